"""Tokenised examples on disk, memory-mapped, and their packing into training windows.

One shard is three files: `NAME.ids` (uint16; uint32 for a vocabulary that needs it, which its size tells), `NAME.weights` (uint8,
loss weight of each token in sixteenths) and `NAME.ends` (int64, one past the last token of each example). A window is `length`
tokens of whole examples; an example never sees another one (`documents` numbers them, the attention mask keeps them apart).
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memagent.errors import InvalidInput

WEIGHT_UNIT = 16  # a weight of 1.0 is stored as 16
Ids = NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids and the loss weight of each (0: not supervised); same length."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.weights):
            raise InvalidInput(f"{len(self.ids)} ids but {len(self.weights)} weights")


@dataclass(frozen=True, slots=True)
class Window:
    """`ids`, `weights`, `documents`, `positions`: arrays of the same length (T,); document 0 is padding."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    documents: NDArray[np.int64]
    positions: NDArray[np.int64]


def write_shard(stem: Path, examples: Iterable[Example]) -> int:
    """Write a shard; returns the number of examples."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    ends, total = [], 0
    with stem.with_suffix(".ids").open("wb") as ids, stem.with_suffix(".weights").open("wb") as weights:
        for example in examples:
            total += len(example.ids)
            ends.append(total)
            ids.write(np.asarray(example.ids, dtype=np.uint32).tobytes())
            weights.write(np.asarray([round(w * WEIGHT_UNIT) for w in example.weights], dtype=np.uint8).tobytes())
    _narrow(stem.with_suffix(".ids"))
    np.asarray(ends, dtype=np.int64).tofile(stem.with_suffix(".ends"))
    return len(ends)


def _narrow(path: Path) -> None:
    """Two bytes an id where that is enough: a vocabulary of at most 65,536."""
    ids = np.fromfile(path, dtype=np.uint32)
    if ids.max(initial=0) <= np.iinfo(np.uint16).max:
        ids.astype(np.uint16).tofile(path)


def _mapped(path: Path) -> mmap.mmap:
    """The file, memory-mapped; read ahead, for the draws would ask a cold disk for its pages in random order."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_WILLNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_WILLNEED)
    return mapped


class Shard:
    """A shard, read by index."""

    def __init__(self, stem: Path) -> None:
        if not stem.with_suffix(".ends").exists():
            raise InvalidInput(f"there is no shard {stem}", hint="make it with: python -m memagent train prepare")
        self.ends = np.fromfile(stem.with_suffix(".ends"), dtype=np.int64)
        wide = stem.with_suffix(".ids").stat().st_size > 2 * self.ends.max(initial=0)
        ids = _mapped(stem.with_suffix(".ids"))
        self.ids: Ids = np.frombuffer(ids, dtype=np.uint32) if wide else np.frombuffer(ids, dtype=np.uint16)
        self.weights = np.frombuffer(_mapped(stem.with_suffix(".weights")), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> tuple[Ids, NDArray[np.uint8]]:
        start = int(self.ends[index - 1]) if index else 0
        stop = int(self.ends[index])
        return self.ids[start:stop], self.weights[start:stop]

    def sample(self, count: int, seed: int) -> list[Example]:
        """Some of the examples, to look at."""
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        both = [self[int(index)] for index in chosen]
        return [Example(tuple(ids.tolist()), tuple((weights / WEIGHT_UNIT).tolist())) for ids, weights in both]

    def shuffled(self, rng: np.random.Generator) -> Iterator[tuple[Ids, NDArray[np.uint8]]]:
        """Examples in random order, for ever."""
        while True:
            for index in rng.permutation(len(self)):
                yield self[int(index)]


class Mixer:
    """Draws examples from shards in given shares (of tokens) and packs them into windows."""

    lookahead = 24  # examples among which one is sought that still fits

    def __init__(self, shards: Mapping[str, Shard], shares: Mapping[str, float], length: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.names = [name for name in shards if shares.get(name, 0) > 0]
        self.streams = {name: shards[name].shuffled(self.rng) for name in self.names}
        mean_length = {name: len(shards[name].ids) / max(1, len(shards[name])) for name in self.names}
        odds = np.array([shares[name] / min(mean_length[name], length) for name in self.names])
        upto = (odds / odds.sum()).cumsum()
        self.upto: list[float] = (upto / upto[-1]).tolist()
        self.length = length
        self.counting = np.arange(length)
        self.waiting = [self._draw() for _ in range(self.lookahead)]

    def _draw(self) -> tuple[Ids, NDArray[np.uint8]]:
        name = self.names[bisect_right(self.upto, self.rng.random())]  # what rng.choice draws, without its checks
        ids, weights = next(self.streams[name])
        return ids[: self.length], weights[: self.length]

    def _next_that_fits(self, room: int) -> tuple[Ids, NDArray[np.uint8]] | None:
        for i, example in enumerate(self.waiting):
            if len(example[0]) <= room:
                self.waiting[i] = self._draw()
                return example
        return None

    def window(self) -> Window:
        """The next window."""
        ids = np.zeros(self.length, dtype=np.int64)
        weights = np.zeros(self.length, dtype=np.float32)
        documents = np.zeros(self.length, dtype=np.int64)
        positions = np.zeros(self.length, dtype=np.int64)
        filled, document = 0, 0
        self.rng.shuffle(self.waiting)
        while (example := self._next_that_fits(self.length - filled)) is not None:
            document += 1
            stop = filled + len(example[0])
            ids[filled:stop] = example[0]
            weights[filled:stop] = example[1]
            documents[filled:stop] = document
            positions[filled:stop] = self.counting[: stop - filled]
            filled = stop
        return Window(ids, weights / np.float32(WEIGHT_UNIT), documents, positions)

    def batch(self, size: int) -> Sequence[Window]:
        """`size` windows."""
        return [self.window() for _ in range(size)]
