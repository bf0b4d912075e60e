"""Vectors for what SQL has marked as not yet indexed: names and passages.

A write only sets the marks. They are worked off when the first vector is needed, in batches, each name once: embed, put into
the index, then clear the marks. A crash at any point leaves marks, and doing it again does no harm.
"""

from __future__ import annotations

import threading
from typing import Literal

from sqlalchemy import Connection, text

from memagent.memory.database import chunks, fetch, listed
from memagent.memory.names import KINDS
from memagent.memory.space import Space

BATCH = 512
# A search waits for at most so many new names (about 4 s); `reindex` works off a bulk import, and `doctor` tells of it.
PATIENCE = 2048

Indexed = Literal["entities", "passages"]
TABLES: dict[Indexed, str] = {"entities": "name", "passages": "passage"}
_CLEAR = {
    kind: text(f"UPDATE {table} SET indexed = :done WHERE id = :id AND text = :text") for kind, table in TABLES.items()
}  # fmt: skip
turn = threading.Lock()  # held while the index is brought into line with SQL


def catch_up(space: Space, kind: Indexed, limit: int | None = PATIENCE) -> int:
    """Index up to `limit` of what is marked, newest first; returns how many were."""
    done = 0
    with turn:
        while limit is None or done < limit:
            with space.database.read() as connection:
                marked = _marked(connection, space.number, kind, BATCH)
            if not marked:
                break
            ids = [str(number) for number, _ in marked]
            space.index.upsert(space.namespace, kind, ids, space.embedder.embed([said for _, said in marked]))
            with space.database.write() as connection:
                # A row that was forgotten meanwhile must not leave its vector behind.
                gone = [id_ for id_, (number, said) in zip(ids, marked, strict=True) if not _clear(connection, kind, number, said)]
            space.index.delete(space.namespace, kind, gone)
            done += len(marked)
    return done


def mark_all(connection: Connection, space: int) -> None:
    """Mark everything for indexing again."""
    for table in ("name", "relation"):
        connection.execute(text(f"UPDATE {table} SET indexed = :no WHERE namespace = :space"), {"no": False, "space": space})
    connection.execute(text("UPDATE passage SET indexed = :no WHERE namespace = :space AND text <> ''"), {"no": False, "space": space})


def rows_of(connection: Connection, space: int, kind: Indexed, ids: list[int]) -> dict[int, str]:
    """The texts of those ids that are in this namespace."""
    query = listed(f"SELECT id, text FROM {TABLES[kind]} WHERE namespace = :space AND id IN :ids", "ids")
    return {number: said for some in chunks(ids) for number, said in connection.execute(query, {"space": space, "ids": some})}


def _marked(connection: Connection, space: int, kind: Indexed, count: int) -> list[tuple[int, str]]:
    query = f"SELECT id, text FROM {TABLES[kind]} WHERE namespace = :space AND NOT indexed ORDER BY id DESC LIMIT :count"
    return [(number, said) for number, said in fetch(connection, query, {"space": space, "count": count})]


def _clear(connection: Connection, kind: Indexed, number: int, said: str) -> bool:
    return connection.execute(_CLEAR[kind], {"done": True, "id": number, "text": said}).rowcount == 1


def adopt(space: Space) -> None:
    """Throw away vectors of another embedder: they cannot be compared with those of this one."""
    made_by = text("SELECT value FROM setting WHERE key = 'embedder'")
    with space.database.read() as connection:
        held = connection.execute(made_by).scalar()
    if held == space.embedder.name:
        return
    if held is not None:
        with space.database.write() as connection:
            spaces = connection.execute(text("SELECT id, name FROM namespace")).all()
            for number, _ in spaces:
                mark_all(connection, number)
        space.index.drop("", "ontology")
        for _, name in spaces:
            for kind in KINDS:
                space.index.drop(name, kind)
    with space.database.write() as connection:  # last: after a crash it is all done again
        connection.execute(text("DELETE FROM setting WHERE key = 'embedder'"))
        connection.execute(text("INSERT INTO setting (key, value) VALUES ('embedder', :name)"), {"name": space.embedder.name})
