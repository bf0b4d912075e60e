"""How much a namespace holds, kept in its row: to count a million triples takes a tenth of a second each time.

Adding, retracting, merging and splitting tell the journal by how much they change it; what reaches further (undo, forget, import)
counts anew. Triples with an end in the future stop holding without a change, so those with an end are never in the tally.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from memagent.memory.values import Counts

_TALLIED = {
    "triples": "SELECT count(*) FROM triple WHERE namespace = :space AND retracted_at IS NULL AND to_key IS NULL",
    "entities": "SELECT count(*) FROM name WHERE namespace = :space AND id = entity",
    "passages": "SELECT count(*) FROM passage WHERE namespace = :space AND text <> ''",
}
_KEPT = text("SELECT triples, entities, passages FROM namespace WHERE id = :space")
_RECOUNT = text(f"UPDATE namespace SET {', '.join(f'{name} = ({query})' for name, query in _TALLIED.items())} WHERE id = :space")
_ADD = text(
    "UPDATE namespace SET triples = triples + :triples, entities = entities + :entities, passages = passages + :passages,"
    " changes = changes + :changes WHERE id = :space RETURNING changes"
)
_ENDING = text("SELECT count(*) FROM triple WHERE namespace = :space AND retracted_at IS NULL AND to_key > :first")
_RELATIONS = text("SELECT count(*) FROM relation WHERE namespace = :space")


def add(connection: Connection, space: int, *, triples: int = 0, entities: int = 0, passages: int = 0, changes: int = 0) -> int:
    """So many more, or fewer; returns the number of changes."""
    more = {"triples": triples, "entities": entities, "passages": passages, "changes": changes}
    return int(connection.execute(_ADD, {"space": space, **more}).scalar_one())


def recount(connection: Connection, space: int) -> None:
    """Count what is there."""
    connection.execute(_RECOUNT, {"space": space})


def counts(connection: Connection, space: int, first: str) -> Counts:
    """How much holds from the moment `first` (a key of valid time) on."""
    triples, entities, passages = connection.execute(_KEPT, {"space": space}).one()
    ending = connection.execute(_ENDING, {"space": space, "first": first}).scalar_one()
    return Counts(triples + ending, entities, connection.execute(_RELATIONS, {"space": space}).scalar_one(), passages)


def errors(connection: Connection, space: int) -> list[str]:
    """What the tally has wrong."""
    kept = dict(zip(_TALLIED, connection.execute(_KEPT, {"space": space}).one(), strict=True))
    there = {name: connection.execute(text(query), {"space": space}).scalar_one() for name, query in _TALLIED.items()}
    return [f"{there[name]} {name} are counted as {kept[name]}; `reindex` repairs it" for name in kept if kept[name] != there[name]]
