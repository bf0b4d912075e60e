"""KV caches kept between the nodes of a graph, keyed by (thread, adapter).

Token ids are the only truth: an entry remembers the ids that its cache holds, and taking it crops the cache to what it has in
common with the ids that are wanted, less one, so that at least one token is fed and the next logits are fresh.
A cache made under one adapter is wrong under another, hence the key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache


@dataclass(slots=True)
class Entry:
    """A cache and the ids whose keys and values it holds."""

    cache: Any
    ids: list[int]


class CachePool:
    """At most `size` caches, the least recently used one goes first."""

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.fed = 0  # tokens run through the model
        self.reused = 0  # tokens that were found in a cache
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def take(self, key: tuple[str, str], ids: Sequence[int]) -> Entry:
        """An entry whose cache holds a proper prefix of `ids`; put it back when done."""
        entry = self._entries.pop(key, None) or Entry(DynamicCache(), [])
        keep = min(_common(entry.ids, ids), len(ids) - 1)
        surplus = len(entry.ids) - keep
        if surplus > 0:
            entry.cache.crop(-surplus) if keep else None
            entry = Entry(entry.cache if keep else DynamicCache(), entry.ids[:keep])
        self.reused += keep
        self.fed += len(ids) - keep
        return entry

    def put(self, key: tuple[str, str], entry: Entry) -> None:
        """Keep an entry for the next call."""
        self._entries[key] = entry
        while len(self._entries) > self.size:
            self._entries.popitem(last=False)


def _common(held: Sequence[int], wanted: Sequence[int]) -> int:
    count = 0
    for a, b in zip(held, wanted, strict=False):
        if a != b:
            break
        count += 1
    return count
