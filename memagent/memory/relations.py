"""Names of relations to relations: the ontology first, then what the namespace has added, then the nearest by vector.

The ontology's vectors are the same for every namespace and stand in one collection, a vector for each name and each
description; relations that a namespace has added are in a collection of its own, under their numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import Connection

from memagent.errors import OntologyError
from memagent.memory.database import chunks, fetch, insert_all, listed
from memagent.memory.embedding import Vectors
from memagent.memory.space import Space
from memagent.memory.spelling import key
from memagent.memory.tables import RelationRow
from memagent.triples import Triple

SHARED = ""  # the namespace under which the ontology's vectors stand; no caller's namespace is empty
CANDIDATES = 25  # paper, section 3
# Writing takes an unknown relation for a known one only when it says the same in other words ("lives in the city of");
# a relation that was wrongly folded into another cannot be told apart afterwards.
SAME = 0.85


def known(space: Space, connection: Connection, name: str) -> str | None:
    """The canonical name, by spelling alone."""
    relation = space.ontology.find(name)
    return relation.name if relation is not None else _added(connection, space.number).get(key(name))


def canonical(space: Space, name: str) -> str:
    """The relation that `name` means; in an open ontology a new one is itself.

    Raises:
        OntologyError: the ontology is closed and has nothing like it.
    """
    with space.database.read() as connection:
        found = known(space, connection, name)
    if found is not None:
        return found
    close = [relation for relation, score in nearest(space, name) if score >= SAME]
    if close:
        return close[0]
    if space.is_open:
        return name
    raise OntologyError(f"the ontology has no relation like {name!r}", hint="add it to your ontology file, or set MEMAGENT_ONTOLOGY=open")


def all_canonical(space: Space, triples: Iterable[Triple]) -> list[Triple]:
    """The triples with canonical relations, each name looked up once; of new ones that are spelt alike, the first counts."""
    listed = list(triples)
    names: dict[str, str] = {}
    by_key: dict[str, str] = {}
    for name in dict.fromkeys(triple.relation for triple in listed):
        found = canonical(space, name)
        names[name] = by_key.setdefault(key(found), found)
    return [triple if names[triple.relation] == triple.relation else replace(triple, relation=names[triple.relation]) for triple in listed]


def nearest(space: Space, name: str) -> list[tuple[str, float]]:
    """Up to `CANDIDATES` relations with their similarity to `name`, nearest first."""
    vector: Vectors = space.embedder.embed([name])[0]
    names = _index_ontology(space)
    added = _index_added(space)
    found: dict[str, float] = {}
    for id_, score in space.index.nearest(SHARED, "ontology", vector, 2 * CANDIDATES):
        if id_ in names:
            found[names[id_]] = max(score, found.get(names[id_], -1.0))
    if added:
        for id_, score in space.index.nearest(space.namespace, "relations", vector, CANDIDATES):
            if int(id_) in added:
                found[added[int(id_)]] = score
    return sorted(found.items(), key=lambda item: -item[1])[:CANDIDATES]


def held(space: Space, connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """The rows of those canonical relations that have one."""
    query = "SELECT name, id FROM relation WHERE namespace = :space AND name IN :names"
    return {name: number for some in chunks(names) for name, number in fetch(connection, query, {"space": space.number, "names": some})}


def numbers(space: Space, connection: Connection, names: Iterable[str], ids: Iterator[int]) -> dict[str, int]:
    """The row of each canonical relation, made if it is new."""
    wanted = set(names)
    found = held(space, connection, wanted)
    fresh: dict[str, int] = {}
    if missing := sorted(wanted - found.keys()):
        every = fetch(connection, "SELECT name, id FROM relation WHERE namespace = :space", {"space": space.number})
        alike = {key(name): number for name, number in every if name not in space.ontology}
        for name in missing:
            # Spelt otherwise by another writer, or in the file that is imported, since it was looked up.
            number = None if name in space.ontology else alike.get(key(name))
            if number is None:
                number = fresh[name] = next(ids)
                alike[key(name)] = number
            found[name] = number
    # Those of the ontology have their vectors in the shared collection.
    rows = [{"id": id_, "namespace": space.number, "name": name, "indexed": name in space.ontology} for name, id_ in fresh.items()]
    insert_all(connection, RelationRow, rows)
    return found


def _added(connection: Connection, space: int) -> dict[str, str]:
    return {key(name): name for (name,) in fetch(connection, "SELECT name FROM relation WHERE namespace = :space", {"space": space})}


def _index_ontology(space: Space) -> dict[str, str]:
    """Vectors for what the ontology says and the index has not; returns the relation of each id."""
    texts = {said: relation.name for relation in space.ontology for said in (relation.name, relation.description) if said}
    ids = {hashlib.sha256(said.encode()).hexdigest()[:32]: said for said in texts}
    missing = [id_ for id_ in ids.keys() - space.index.ids(SHARED, "ontology")]
    if missing:
        space.index.upsert(SHARED, "ontology", missing, space.embedder.embed([ids[id_] for id_ in missing]))
    return {id_: texts[said] for id_, said in ids.items()}


def _index_added(space: Space) -> dict[int, str]:
    """Vectors for relations that the namespace has added; returns them by number."""
    with space.database.read() as connection:
        rows = fetch(connection, "SELECT id, name, indexed FROM relation WHERE namespace = :space", {"space": space.number})
    added = {number: name for number, name, _ in rows if name not in space.ontology}
    missing = [number for number, name, indexed in rows if name not in space.ontology and not indexed]
    if missing:
        vectors = space.embedder.embed([added[number] for number in missing])
        space.index.upsert(space.namespace, "relations", list(map(str, missing)), vectors)
        with space.database.write() as connection:
            done = listed("UPDATE relation SET indexed = :done WHERE id IN :ids", "ids")
            connection.execute(done, {"done": True, "ids": missing})
    return added
