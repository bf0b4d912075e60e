"""Looking through a memory without a query: listings, counts, passages."""

from __future__ import annotations

from sqlalchemy import Connection, text

from memagent.errors import InvalidInput
from memagent.memory import entities, forgetting, indexing, journal, linking, relations, tally, writing
from memagent.memory.rows import OF_ENTITY, moment, select_rows, triples_of
from memagent.memory.space import Space
from memagent.memory.values import AsOf, Change, Counts, PassageMatch
from memagent.triples import Triple

NEAR_PASSAGE = 0.3  # below it a passage has nothing to do with the question (MiniLM; unrelated sentences score under 0.2)


def triples(space: Space, as_of: AsOf | None, entity: str | None, limit: int | None, offset: int, newest_first: bool) -> list[Triple]:
    """The triples that hold at that moment."""
    if offset < 0 or (limit is not None and limit < 0):
        raise InvalidInput("limit and offset cannot be negative")
    order = "DESC" if newest_first else "ASC"
    tail = f" ORDER BY t.id {order} LIMIT :limit OFFSET :offset"
    page = {"limit": limit if limit is not None else 2**62, "offset": offset}
    when = moment(as_of)
    with space.database.read() as connection:
        if entity is None:
            rows = select_rows(connection, "t.namespace = :space", when, tail=tail, space=space.number, **page)
            return triples_of(connection, rows)
        linked = linking.find_one(connection, space.number, entity)
        if linked is None:
            return []
        return triples_of(connection, select_rows(connection, OF_ENTITY, when, tail=tail, entity=linked.entity, **page))


def count(space: Space) -> Counts:
    """How much the namespace holds."""
    with space.database.read() as connection:
        return tally.counts(connection, space.number, moment(None).first)


def recent_passages(space: Space, n: int, source: str | None) -> list[str]:
    """The last `n` passages, oldest first."""
    of_source = "" if source is None else " AND source = :source"
    query = f"SELECT text FROM passage WHERE namespace = :space AND text <> ''{of_source} ORDER BY noted_at DESC LIMIT :n"
    given = {"space": space.number, "n": max(n, 0)} | ({} if source is None else {"source": source})
    with space.database.read() as connection:
        return list(connection.execute(text(query), given).scalars())[::-1]


def near_passages(space: Space, question: str, k: int) -> list[PassageMatch]:
    """The passages nearest to the question."""
    if not question.strip():
        return []
    indexing.catch_up(space, "passages")
    near = {
        int(id_): score
        for id_, score in space.index.nearest(space.namespace, "passages", space.embedder.embed([question])[0], k)
        if score >= NEAR_PASSAGE
    }
    with space.database.read() as connection:
        sources = indexing.rows_of(connection, space.number, "passages", list(near))
        origin = {
            number: connection.execute(text("SELECT source FROM passage WHERE id = :id"), {"id": number}).scalar_one() for number in sources
        }
    return [PassageMatch(sources[number], origin[number], score) for number, score in near.items() if number in sources]


def names(space: Space, entity: str) -> tuple[str, ...]:
    """The names of an entity, its canonical one first."""
    with space.database.read() as connection:
        linked = linking.find_one(connection, space.number, entity)
        held = [] if linked is None else entities.names_of(connection, linked.entity)
    return tuple(name.text for name in sorted(held, key=lambda name: linked is not None and name.id != linked.entity))


def retract(space: Space, triple: Triple) -> int:
    """End every version of the triple that is believed; returns the number of the change."""
    with space.database.read() as connection:
        held = _held(space, connection, triple)
        believed = [row.id for row in select_rows(connection, "t.id IN :ids AND t.retracted_at IS NULL", None, ids=held)] if held else []
    if not believed:
        raise InvalidInput(f"not believed: {triple.subject} – {triple.relation} – {triple.object}", hint="`history` tells when it was")
    return writing.retract(space, believed)


def history(space: Space, what: str | Triple | None, limit: int | None) -> list[Change]:
    """The changes that touched an entity, a triple, or anything; oldest first."""
    with space.database.read() as connection:
        if what is None:
            numbers = list(
                connection.execute(text("SELECT id FROM change WHERE namespace = :space ORDER BY id"), {"space": space.number}).scalars()
            )
        elif isinstance(what, Triple):
            numbers = journal.of_triples(connection, _held(space, connection, what))
        else:
            linked = linking.find_one(connection, space.number, what)
            if linked is None:
                return []
            rows = select_rows(connection, OF_ENTITY, None, entity=linked.entity)
            numbers = journal.of_triples(connection, [row.id for row in rows], linked.entity)
        kept = numbers if limit is None else numbers[len(numbers) - min(limit, len(numbers)) :]
        return [journal.read(connection, space.number, number) for number in kept]


def _held(space: Space, connection: Connection, triple: Triple) -> list[int]:
    relation = relations.known(space, connection, triple.relation)
    return [] if relation is None else forgetting.versions_of(space, connection, triple, relation)
