"""The journal: every change has a number, and can be looked up and undone.

A change is known by what carries its number: the versions of triples it created and retracted, the provenance it added, the
names it moved. Undoing one ends what it created and restores what it ended, as new versions, so that `as_of` still sees
what was believed in between. Undoing an undo puts the change back. What was forgotten stays forgotten: `undo` stops at a
forget and says so; what was changed before it can still be undone by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, select, text

from memagent.errors import InvalidInput, UndoRefused
from memagent.memory import tally
from memagent.memory.database import chunks, insert_all, listed, take_ids
from memagent.memory.moments import moment_of, now
from memagent.memory.rows import select_rows, triples_of
from memagent.memory.tables import ChangeRow, MoveRow, ProvenanceRow, TripleRow
from memagent.memory.values import Change

BLOCK = 64
_CHANGES = ChangeRow.metadata.tables["change"]
_CHANGE = select(_CHANGES)


def fresh_ids(connection: Connection, expected: int = 0) -> Iterator[int]:
    """Rising ids, taken in blocks; the first one starts the transaction's turn among the writers."""
    return chain(take_ids(connection, max(expected, BLOCK)), _blocks(connection))


def _blocks(connection: Connection) -> Iterator[int]:
    while True:
        yield from take_ids(connection, BLOCK)


def note(connection: Connection, space: int, change: int, kind: str, *, undoes: int | None = None, **more: int) -> None:
    """Write a line into the journal; people know it by its number, which counts within the namespace. `more` is for the tally."""
    number = tally.add(connection, space, changes=1, **more)
    insert_all(connection, ChangeRow, [{"id": change, "namespace": space, "number": number, "kind": kind, "at": now(), "undoes": undoes}])


def read(connection: Connection, space: int, change: int) -> Change:
    """The change with that id, with what is left of it."""
    row = _row(connection, space, change)
    created = select_rows(
        connection,
        "((t.created_by = :change AND t.restored_by IS NULL) OR t.restored_by = :change)",
        None,
        tail=" ORDER BY t.id",
        change=change,
    )
    ended = select_rows(connection, "t.retracted_by = :change", None, tail=" ORDER BY t.id", change=change)
    moved = text("SELECT n.text FROM move m JOIN name n ON n.id = m.name WHERE m.change = :change ORDER BY m.id")
    names = connection.execute(moved, {"change": change}).scalars()
    undone_by = None if row.undone_by is None else _row(connection, space, row.undone_by).number
    return Change(
        row.number,
        row.kind,
        moment_of(row.at),
        tuple(triples_of(connection, created)),
        tuple(triples_of(connection, ended)),
        tuple(names),
        undone_by,
    )


_OF_ENTITY = listed(
    """
SELECT change FROM (
    SELECT t.created_by AS change, t.id AS triple FROM triple t WHERE t.id IN :ids
    UNION SELECT t.retracted_by, t.id FROM triple t WHERE t.id IN :ids AND t.retracted_by IS NOT NULL
    UNION SELECT t.restored_by, t.id FROM triple t WHERE t.id IN :ids AND t.restored_by IS NOT NULL
    UNION SELECT p.created_by, p.triple FROM provenance p WHERE p.triple IN :ids
) AS touched GROUP BY change""",
    "ids",
)
_OF_NAMES = text("SELECT DISTINCT m.change FROM move m JOIN name n ON n.id = m.name WHERE n.entity = :entity")


def of_triples(connection: Connection, ids: Sequence[int], entity: int | None = None) -> list[int]:
    """The numbers of the changes that touched these versions, or moved names of the entity; oldest first."""
    found = {number for some in chunks(ids) for number in connection.execute(_OF_ENTITY, {"ids": some}).scalars()}
    if entity is not None:
        found.update(connection.execute(_OF_NAMES, {"entity": entity}).scalars())
    return sorted(found)


def undo(connection: Connection, space: int, number: int | None) -> int:
    """Take back the change of that number, or the last one; returns the id of the undo.

    Raises:
        UndoRefused: with the reason.
    """
    ids = fresh_ids(connection)
    by = next(ids)
    row = _last(connection, space) if number is None else _numbered(connection, space, number)
    if row.kind == "forget":
        older = _standing(connection, space, before=row.id, kinds=("undo", "forget"))
        hint = "" if older is None else f"undo {older.number} takes back the change before it"
        raise UndoRefused(f"change {row.number} erased what it forgot; nothing is left to restore", hint=hint)
    if row.undone_by is not None:
        newer = _row(connection, space, row.undone_by).number
        raise UndoRefused(f"change {row.number} has already been undone, by change {newer}", hint=f"undo {newer} puts it back")
    root = row
    while root.undoes is not None:
        root = _row(connection, space, root.undoes)
    if root.undone_by is None:
        _take_back(connection, root.id, by, ids)
    else:
        _put_back(connection, root.id, root.undone_by, by, ids)
    mark = text("UPDATE change SET undone_by = :by WHERE id = :id")
    connection.execute(mark, {"by": by, "id": row.id})
    connection.execute(mark, {"by": by if root.undone_by is None else None, "id": root.id})
    note(connection, space, by, "undo", undoes=row.id)
    tally.recount(connection, space)
    return by


_DEPENDENT = text("""
SELECT c.number FROM triple t JOIN change c ON c.id = t.retracted_by
WHERE t.created_by = :number AND c.undone_by IS NULL AND c.kind <> 'undo' AND c.id <> :number ORDER BY c.number DESC""")
_MOVED_AGAIN = text("SELECT count(*) FROM move m JOIN name n ON n.id = m.name WHERE m.change = :number AND n.entity <> m.after")
_MOVE = """
UPDATE name SET entity = (SELECT {entity} FROM move m WHERE m.change = :number AND m.name = name.id)
WHERE id IN (SELECT name FROM move WHERE change = :number)"""
_END = "UPDATE triple SET retracted_at = :at, retracted_by = :by WHERE retracted_at IS NULL AND "


def _take_back(connection: Connection, number: int, by: int, ids: Iterator[int]) -> None:
    newer = connection.execute(_DEPENDENT, {"number": number}).scalar()
    if newer is not None:
        raise UndoRefused(f"change {newer} came after it and depends on it", hint=f"undo {newer} first")
    if connection.execute(_MOVED_AGAIN, {"number": number}).scalar():
        raise UndoRefused("the names it moved have been moved again since", hint="undo the later change first")
    given = {"number": number, "by": by, "at": now()}
    connection.execute(text(_END + "created_by = :number"), given)
    connection.execute(text("UPDATE provenance SET retracted_by = :by WHERE created_by = :number AND retracted_by IS NULL"), given)
    # The versions it created keep their sources: they are history.
    keep = "SELECT id FROM triple WHERE created_by = :number"
    connection.execute(text(f"UPDATE provenance SET retracted_by = NULL WHERE retracted_by = :by AND triple IN ({keep})"), given)
    restore(connection, "t.retracted_by = :number", {"number": number}, by, ids)
    # A name that an alias brought, and that had no entity before, becomes one of its own.
    connection.execute(text(_MOVE.format(entity="coalesce(m.before, m.name)")), given)


def _put_back(connection: Connection, number: int, undone_by: int, by: int, ids: Iterator[int]) -> None:
    given = {"number": number, "undone_by": undone_by, "by": by, "at": now()}
    if connection.execute(text("SELECT count(*) FROM triple WHERE restored_by = :undone_by AND retracted_at IS NOT NULL"), given).scalar():
        raise UndoRefused("what the undo restored has been changed since", hint="undo the later change first")
    connection.execute(text(_END + "restored_by = :undone_by"), given)
    restore(connection, "t.retracted_by = :undone_by AND t.created_by = :number", given, by, ids)
    connection.execute(text("UPDATE provenance SET retracted_by = NULL WHERE retracted_by = :undone_by"), given)
    connection.execute(text(_MOVE.format(entity="m.after")), given)


def restore(connection: Connection, where: str, values: Mapping[str, object], by: int, ids: Iterator[int]) -> None:
    """Believe again the versions that fit, as copies from now on."""
    copies: dict[int, int] = {}
    rows = []
    for row in connection.execute(text(f"SELECT t.* FROM triple t WHERE {where} ORDER BY t.id"), values).mappings().all():
        copies[row["id"]] = next(ids)
        rows.append({**row, "id": copies[row["id"]], "recorded_at": now(), "retracted_at": None, "retracted_by": None, "restored_by": by})
    insert_all(connection, TripleRow, rows)
    copy_provenance(connection, copies, ids)


def copy_provenance(connection: Connection, copies: dict[int, int], ids: Iterator[int]) -> None:
    """Give each new version the sources of the old one."""
    query = listed("SELECT * FROM provenance WHERE triple IN :ids AND retracted_by IS NULL ORDER BY id", "ids")
    for some in chunks(copies):
        rows = connection.execute(query, {"ids": some}).mappings().all()
        insert_all(connection, ProvenanceRow, [{**row, "id": next(ids), "triple": copies[row["triple"]]} for row in rows])


def move(connection: Connection, change: int, names: dict[int, int | None], after: int, ids: Iterator[int]) -> None:
    """Note that `names` (each with the entity it had) now belong to the entity `after`."""
    insert_all(
        connection,
        MoveRow,
        [{"id": next(ids), "change": change, "name": name, "before": before, "after": after} for name, before in names.items()],
    )


def _row(connection: Connection, space: int, change: int) -> Row[Any]:
    return connection.execute(_CHANGE.where(_CHANGES.c.namespace == space, _CHANGES.c.id == change)).one()


def _numbered(connection: Connection, space: int, number: int) -> Row[Any]:
    row = connection.execute(_CHANGE.where(_CHANGES.c.namespace == space, _CHANGES.c.number == number)).first()
    if row is None:
        raise InvalidInput(f"there is no change {number}", hint="`history` lists them")
    return row


def _last(connection: Connection, space: int) -> Row[Any]:
    row = _standing(connection, space)
    if row is None:
        raise UndoRefused("there is nothing to undo")
    return row


def _standing(connection: Connection, space: int, *, before: int | None = None, kinds: Sequence[str] = ("undo",)) -> Row[Any] | None:
    """The newest change that has not been undone and is of none of these kinds."""
    found = _CHANGE.where(_CHANGES.c.namespace == space, _CHANGES.c.undone_by.is_(None), _CHANGES.c.kind.not_in(kinds))
    if before is not None:
        found = found.where(_CHANGES.c.id < before)
    return connection.execute(found.order_by(_CHANGES.c.id.desc()).limit(1)).first()
