"""Which relation a sentence states or a question asks about, judged by the embedder: a second opinion beside the language model's.

MiniLM's vector of the text with its names masked goes through one hidden layer (fitted on the grammar's phrasings and on real
sentences, `training/relations.py`). A small language model knows where the names are; MiniLM has read enough to know that
somebody who "gets a salary from" a firm is employed there. A relation that was not fitted is scored by the likeness of the text
to its name and description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from memagent.memory.embedding import Embedder

SUBJECT_MASK, OBJECT_MASK = "X", "Y"
NOTHING = ""  # no relation: nothing is stated, nothing is asked
Asked = tuple[str, bool]  # relation, and whether its subject is asked for
SCALE = 8.0  # of the vectors, so that their elements are about one


class RelationScorer(Protocol):
    """Log-probabilities of relations; `NOTHING` is one of them."""

    def stated(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Of masked sentences, one table each."""

    def asked(self, texts: Sequence[str]) -> list[dict[Asked, float]]:
        """Of masked questions, one table each."""


def masked(text: str, names: Mapping[str, str]) -> str:
    """The text with each name replaced by its mask, longest names first, whatever the case."""
    wanted = sorted((n for n in names if n), key=len, reverse=True)
    if not wanted:
        return text
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(n)}(?!\w)" for n in wanted), re.IGNORECASE)
    by_key = {n.casefold(): mask for n, mask in names.items()}
    return pattern.sub(lambda found: by_key.get(found.group().casefold(), found.group()), text)


class RelationHead:
    """Two fitted layers for statements and two for questions, over one embedder."""

    def __init__(
        self, embedder: Embedder, weights: Mapping[str, NDArray[np.float32]], stated: Sequence[str], asked: Sequence[Asked]
    ) -> None:
        self.embedder = embedder
        self.weights = weights
        self._stated = list(stated)
        self._asked = list(asked)

    @classmethod
    def load(cls, embedder: Embedder, path: Path) -> RelationHead:
        """From a safetensors file whose metadata name the classes."""
        with safe_open(path, "np") as file:
            names = file.metadata()
            weights = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118 - not a dict
        asked = [(name.removeprefix("~"), name.startswith("~")) for name in names["asked"].split("\n")]
        return cls(embedder, weights, names["stated"].split("\n"), asked)

    def stated(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """See `RelationScorer`."""
        return [dict(zip(self._stated, row, strict=True)) for row in self._logprobs("stated", texts)]

    def asked(self, texts: Sequence[str]) -> list[dict[Asked, float]]:
        """See `RelationScorer`."""
        return [dict(zip(self._asked, row, strict=True)) for row in self._logprobs("asked", texts)]

    def _logprobs(self, kind: str, texts: Sequence[str]) -> list[list[float]]:
        if not texts:
            return []
        w = self.weights
        hidden = SCALE * self.embedder.embed(texts) @ w[f"{kind}.in.weight"].T + w[f"{kind}.in.bias"]
        hidden = 0.5 * hidden * (1.0 + np.tanh(0.7978845608 * (hidden + 0.044715 * hidden**3)))  # GELU
        logits = hidden @ w[f"{kind}.out.weight"].T + w[f"{kind}.out.bias"]
        logits = logits - logits.max(axis=1, keepdims=True)
        found: list[list[float]] = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).tolist()
        return found
