"""Mentions to entities: which name of the memory a name means.

A name is looked up in steps, the first that finds something wins:
1. exactly as written; 2. by its key (`spelling.py`); 3. by its loose form, if only one entity has it;
and for reading only 4. as a part of a person's or group's name (`parts.py`); 5. by nearest vector (`matching.py`).

Writing links by spelling alone: no threshold on MiniLM's similarity tells a name from its like. "New York" and "New York City"
have .95, "Apollo 11" and "Apollo 12" .93, "my brother" and "my sister" .84, but "Fenwick Hollow" and "Fenwick Holow" .62. A
false merge spoils both entities, a missed link is repaired by one `merge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from memagent.errors import InvalidInput
from memagent.memory.database import chunks, fetch, insert_all
from memagent.memory.spelling import forms, key, loose, spans
from memagent.memory.tables import NameRow
from memagent.memory.values import Mention

_BY_FORM = """
SELECT n.id, n.entity, n.text, n.{form}, c.text AS canonical FROM name n JOIN name c ON c.id = n.entity
WHERE n.namespace = :space AND n.{form} IN :forms ORDER BY n.id"""
_BY_KEY, _BY_LOOSE = _BY_FORM.format(form="key"), _BY_FORM.format(form="loose")


@dataclass(frozen=True, slots=True)
class Linked:
    """A name in the store: its own number, that of its entity, the entity's canonical name, and how it is spelt."""

    name: int
    entity: int
    canonical: str
    spelt: str


def find(connection: Connection, space: int, names: Iterable[str]) -> dict[str, Linked]:
    """The names that the memory knows; `name` is the nearest spelling it has."""
    wanted = dict.fromkeys(names)
    found = dict(_step(connection, space, {name: key(name) for name in wanted}, unique=False))
    missing = {name: loose(name) for name in wanted if name not in found}
    return {**found, **dict(_step(connection, space, missing, unique=True))}


def find_one(connection: Connection, space: int, name: str) -> Linked | None:
    """The same for one name."""
    return find(connection, space, (name,)).get(name)


def require(connection: Connection, space: int, name: str) -> Linked:
    """The same.

    Raises:
        InvalidInput: the memory does not know the name.
    """
    found = find_one(connection, space, name)
    if found is None:
        raise InvalidInput(f"the memory knows nobody and nothing called {name!r}")
    return found


def link(connection: Connection, space: int, names: Iterable[str], ids: Iterator[int]) -> tuple[dict[str, Linked], int]:
    """Every name with its place in the store, new ones stored and marked for indexing; and how many entities are new.

    New spellings of a known entity become names of it, so that they are found exactly the next time and can be split off.
    """
    wanted = list(dict.fromkeys(names))
    known = find(connection, space, wanted)
    rows: list[dict[str, object]] = []
    linked: dict[str, Linked] = {}
    by_key: dict[str, Linked] = {}
    by_loose: dict[str, Linked] = {}
    fresh = 0
    for name in wanted:
        same = known.get(name)
        if same and same.spelt == name:
            linked[name] = same
            continue
        name_key, name_loose = key(name), loose(name)
        same = same or by_key.get(name_key) or by_loose.get(name_loose)
        number = next(ids)
        fresh += same is None
        linked[name] = Linked(number, same.entity if same else number, same.canonical if same else name, name)
        by_key.setdefault(name_key, linked[name])
        by_loose.setdefault(name_loose, linked[name])
        rows.append({"id": number, "namespace": space, "entity": linked[name].entity, "indexed": False, **forms(name)})
    insert_all(connection, NameRow, rows)
    return linked, fresh


def owners(connection: Connection, space: int, names: Iterable[int]) -> dict[int, tuple[int, str, str]]:
    """The entity, the spelling and the key of each of these names, as far as they are in this namespace."""
    query = "SELECT id, entity, text, key FROM name WHERE +namespace = :space AND id IN :ids"  # +: or SQLite reads the whole namespace
    rows = (row for some in chunks(names) for row in fetch(connection, query, {"space": space, "ids": some}))
    return {name: (entity, spelt, name_key) for name, entity, spelt, name_key in rows}


def mentions(connection: Connection, space: int, passage: str) -> list[Mention]:
    """Known entities named in `passage`, from left to right; of overlapping ones the longest."""
    places = list(spans(passage))
    canonical: dict[str, str] = {}
    for some in chunks({name_key for name_key, _, _ in places}):
        for _, _, _, name_key, name in fetch(connection, _BY_KEY, {"space": space, "forms": some}):
            canonical.setdefault(name_key, name)
    hits = [Mention(canonical[name_key], start, end) for name_key, start, end in places if name_key in canonical]
    written_small = passage == passage.lower()
    free = {passage[i:j] for name_key, i, j in places if name_key not in canonical and (written_small or passage[i].isupper())}
    same = _step(connection, space, {name: loose(name) for name in free}, unique=True)
    loosely = {name: linked for name, linked in same if _share_words(name, linked.spelt)}
    hits += [Mention(loosely[name].canonical, start, end) for _, start, end in places if (name := passage[start:end]) in loosely]
    chosen: list[Mention] = []
    taken: list[tuple[int, int]] = []
    for mention in sorted(hits, key=lambda m: (m.start - m.end, m.start)):
        if all(mention.end <= start or mention.start >= end for start, end in taken):
            taken.append((mention.start, mention.end))
            chosen.append(mention)
    return sorted(chosen, key=lambda m: m.start)


def _share_words(one: str, other: str) -> bool:
    """Whether one name is some words of the other: "I ran" is not "Iran"."""
    words, others = set(key(one).split()), set(key(other).split())
    return words <= others or others <= words


def _step(connection: Connection, space: int, keys: dict[str, str], *, unique: bool) -> Iterator[tuple[str, Linked]]:
    rows: dict[str, list[Linked]] = {}
    for some in chunks(set(keys.values())):
        query = _BY_LOOSE if unique else _BY_KEY
        for number, entity, spelt, found_key, canonical in fetch(connection, query, {"space": space, "forms": some}):
            rows.setdefault(found_key, []).append(Linked(number, entity, canonical, spelt))
    for name, name_key in keys.items():
        candidates = rows.get(name_key)
        if candidates and not (unique and len({linked.entity for linked in candidates}) > 1):
            yield name, min(candidates, key=lambda linked: linked.spelt != name)
