"""`TripleBackedStore`: LangGraph's `BaseStore` on a memory, so that items have history, can be undone, and are erased for good.

An item is one triple, in a namespace of its own beside the memory's ("default" keeps its items in "default items"):

    users/123/prefs #5f1c…  –  has stored value  –  {"theme": "dark"} #9b02…
    source ADDRESS: {"namespace": ["users", "123"], "key": "prefs", "indexed": true}     its time: when it was first put
    source VALUE:   {"theme": "dark"}                                                     its time: when it was last put

Names end in a digest, because the memory takes names that are spelt alike for one, and keys are not names. Putting retracts
the value before (`store.memory.history()` still has it), deleting forgets the item with all its values. A search by words
compares them with the whole value: items put with `index=False`, and values that have nothing to do with the words, come last
and without a score. Searching looks through all items, as `InMemoryStore` does. No ttl. A value is JSON of up to 100,000
characters.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from langgraph.store.base import BaseStore, GetOp, Item, ListNamespacesOp, MatchCondition, Op, PutOp, Result, SearchItem, SearchOp

from memagent.errors import InvalidInput
from memagent.plugin.showing import one_line
from memagent.plugin.source import Source, checked, memory_of
from memagent.triples import Provenance, Triple

RELATION = "has stored value"
ADDRESS, VALUE = "item address", "item value"
LABEL = 200  # characters of a name that are for people

Address = tuple[tuple[str, ...], str]  # namespace and key

_writing = threading.Lock()  # a put reads what it replaces


@dataclass(frozen=True, slots=True)
class _Held:
    """An item with the triple it is kept in."""

    item: Item
    triple: Triple
    passage: str
    indexed: bool


class TripleBackedStore(BaseStore):
    """Items of a LangGraph application in a memory."""

    __slots__ = ("memory",)

    def __init__(self, source: Source) -> None:
        """The items of that agent's or that memory's namespace."""
        memory = memory_of(checked(source))
        self.memory = memory.in_namespace(f"{memory.namespace} items")

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do these operations: reading sees what was there before; of several puts of one item the last one counts."""
        ops = list(ops)
        puts = {(tuple(op.namespace), op.key): op for op in ops if isinstance(op, PutOp)}
        whole = self._all() if any(isinstance(op, SearchOp | ListNamespacesOp) for op in ops) else []
        results = [self._read(op, whole) for op in ops]
        if puts:
            self._write(puts)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _read(self, op: Op, whole: list[_Held]) -> Result:
        if isinstance(op, GetOp):
            held = self._one((tuple(op.namespace), op.key))
            return held.item if held else None
        if isinstance(op, SearchOp):
            return self._search(op, whole)
        if isinstance(op, ListNamespacesOp):
            return _namespaces(op, whole)
        if isinstance(op, PutOp):
            return None
        raise InvalidInput(f"not an operation: {type(op).__name__}")

    def _one(self, address: Address) -> _Held | None:
        """The newest value; after a crash between adding and retracting there may be two."""
        triples = self.memory.triples(entity=_subject(address), limit=1)
        return _held(triples[0]) if triples else None

    def _all(self) -> list[_Held]:
        """Every item once, in the order in which they were first put."""
        newest: dict[str, _Held] = {}
        for triple in self.memory.triples(newest_first=False):
            newest[triple.subject] = _held(triple)
        return sorted(newest.values(), key=lambda held: held.item.created_at)

    def _search(self, op: SearchOp, whole: list[_Held]) -> list[SearchItem]:
        prefix = tuple(op.namespace_prefix)
        found = [
            held
            for held in whole
            if held.item.namespace[: len(prefix)] == prefix
            and all(_fits(held.item.value.get(name), wanted) for name, wanted in (op.filter or {}).items())
        ]
        scores: dict[str, float] = {}
        if op.query and found:
            near = self.memory.passages(op.query, max(1, self.memory.count().passages))
            scores = {passage.text: passage.score for passage in near if passage.source == VALUE}
        scored = [(held, scores.get(held.passage) if held.indexed else None) for held in found]
        if op.query:
            scored.sort(key=lambda pair: -1.0 if pair[1] is None else -pair[1] - 1.0)
        return [_search_item(held.item, score) for held, score in scored[op.offset : op.offset + op.limit]]

    def _write(self, puts: Mapping[Address, PutOp]) -> None:
        start = datetime.now(UTC)
        with _writing:
            before = {address: self.memory.triples(entity=_subject(address)) for address in puts}
            fresh = []
            for number, (address, op) in enumerate(puts.items()):
                if op.value is not None:
                    now = start + timedelta(microseconds=number)  # so that their order can be told
                    created = _held(before[address][0]).item.created_at if before[address] else now
                    fresh.append(_triple(address, op, created, now))
            self.memory.add(fresh)
            for address, op in puts.items():
                if op.value is None:
                    self.memory.forget(_subject(address))
                else:
                    for triple in before[address]:
                        self.memory.retract(triple)


def _triple(address: Address, op: PutOp, created: datetime, now: datetime) -> Triple:
    try:
        value = json.dumps(dict(op.value or {}), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the value of {address[1]!r} is not JSON: {error}") from error
    if any("\ud800" <= c <= "\udfff" for c in value):  # an unpaired surrogate is no text, but JSON can write it out
        value = json.dumps(dict(op.value or {}))
    place = json.dumps({"namespace": address[0], "key": address[1], "indexed": op.index is not False})
    sources = Provenance(ADDRESS, place, time=created), Provenance(VALUE, value, time=now)
    return Triple(_subject(address), RELATION, f"{_label(value)} #{uuid.uuid4().hex}", provenance=sources)


def _held(triple: Triple) -> _Held:
    sources = {source.source: source for source in triple.provenance}
    place, value = sources[ADDRESS], sources[VALUE]
    address = json.loads(place.passage)
    assert place.time is not None and value.time is not None
    item = Item(
        value=json.loads(value.passage),
        key=address["key"],
        namespace=tuple(address["namespace"]),
        created_at=place.time,
        updated_at=value.time,
    )
    return _Held(item, triple, value.passage, address["indexed"])


def _subject(address: Address) -> str:
    digest = hashlib.sha256(json.dumps(address).encode()).hexdigest()[:32]
    return f"{_label('/'.join((*address[0], address[1])))} #{digest}".strip()


def _label(text: str) -> str:
    """The beginning of a text, for people."""
    return one_line(text[:LABEL]).encode("utf-8", "replace").decode()


def _namespaces(op: ListNamespacesOp, whole: list[_Held]) -> list[tuple[str, ...]]:
    there = {held.item.namespace for held in whole}
    fitting = {namespace for namespace in there if all(_names(condition, namespace) for condition in op.match_conditions or ())}
    return sorted({namespace[: op.max_depth] for namespace in fitting})[op.offset : op.offset + op.limit]


def _names(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Whether the namespace begins (or ends) with the path; `*` in a path is any one label."""
    path = tuple(condition.path)
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a field is what a filter wants: equal, part by part, or as its operators say."""
    if isinstance(wanted, dict):
        if any(name.startswith("$") for name in wanted):
            return all(_compares(value, operator, operand) for operator, operand in wanted.items())
        return isinstance(value, dict) and all(_fits(value.get(name), part) for name, part in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_fits, value, wanted))
    return bool(value == wanted)


def _compares(value: Any, operator: str, operand: Any) -> bool:
    """An operator of a filter; what is no number is neither more nor less than anything."""
    if operator in ("$eq", "$ne"):
        return bool(value == operand) == (operator == "$eq")
    if operator not in _ORDER:
        raise InvalidInput(f"unknown filter operator {operator!r}", hint=f"there are $eq, $ne, {', '.join(_ORDER)}")
    try:
        left, right = float(value), float(operand)
    except (TypeError, ValueError):
        return False
    return bool(_ORDER[operator](left, right))


_ORDER = {"$gt": float.__gt__, "$gte": float.__ge__, "$lt": float.__lt__, "$lte": float.__le__}


def _search_item(item: Item, score: float | None) -> SearchItem:
    return SearchItem(item.namespace, item.key, item.value, item.created_at, item.updated_at, score)
