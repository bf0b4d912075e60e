"""Is the memory sound? Counts, marks, the index against SQL, references, the database's own check; repair; a copy."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from memagent.errors import InvalidInput, MemoryFault, StorageFull
from memagent.memory import browsing, indexing, tally
from memagent.memory.database import Database, copy_sqlite
from memagent.memory.home import CONVERSATIONS, DATABASE, PARTIAL
from memagent.memory.names import KINDS, Kind
from memagent.memory.space import Space
from memagent.memory.values import DoctorReport

TABLES: dict[Kind, str] = {"entities": "name", "relations": "relation", "passages": "passage"}
_TEXT: dict[Kind, str] = {"entities": "text", "passages": "text", "relations": "name"}

# What must never be there: what it is called, and a query that counts it.
_BROKEN = {
    "triples of names that are gone": """
        SELECT count(*) FROM triple WHERE namespace = :space AND (subject NOT IN (SELECT id FROM name WHERE namespace = :space)
        OR object NOT IN (SELECT id FROM name WHERE namespace = :space)
        OR relation NOT IN (SELECT id FROM relation WHERE namespace = :space))""",
    "names of entities that are gone": """
        SELECT count(*) FROM name
        WHERE namespace = :space AND entity NOT IN (SELECT id FROM name WHERE namespace = :space AND id = entity)""",
    "sources of triples or passages that are gone": """
        SELECT count(*) FROM provenance p JOIN triple t ON t.id = p.triple
        WHERE t.namespace = :space AND p.passage NOT IN (SELECT id FROM passage WHERE namespace = :space)""",
    "triples that no line of the journal tells of": """
        SELECT count(*) FROM triple
        WHERE namespace = :space AND created_by NOT IN (SELECT id FROM change WHERE namespace = :space)""",
    "triples that end before they begin": "SELECT count(*) FROM triple t WHERE t.namespace = :space AND t.retracted_at < t.recorded_at",
}


def doctor(space: Space) -> DoctorReport:
    """Everything that is off in this namespace; a backlog of marks is none, the next search or `reindex` works it off."""
    problems = [f"the database: {line}" for line in space.database.integrity()]
    pending = vectors = 0
    with indexing.turn, space.database.read() as connection:
        for what, query in _BROKEN.items():
            if count := connection.execute(text(query), {"space": space.number}).scalar_one():
                problems.append(f"{count} {what}")
        problems += tally.errors(connection, space.number)
        erased = connection.execute(text("SELECT id FROM erasure WHERE namespace = :space"), {"space": space.number})
        leaving = set(map(str, erased.scalars()))
        for kind in KINDS:
            rows = _rows(space, connection, kind)
            try:
                held = space.index.ids(space.namespace, kind) if space.index.exists() else set()
            except MemoryFault as fault:
                problems.append(f"{fault}; {fault.hint}")
                break
            pending += len({id_ for id_, mark in rows.items() if mark == "waiting"} | held & leaving)
            vectors += len(held)
            if missing := len({id_ for id_, mark in rows.items() if mark == "done"} - held):
                problems.append(f"{missing} {kind} are marked as indexed and have no vector; `reindex` repairs it")
            if stray := len(held - rows.keys() - leaving):
                problems.append(f"{stray} vectors belong to no {kind}; `reindex` repairs it")
    return DoctorReport(browsing.count(space), tuple(problems), pending, vectors)


def _rows(space: Space, connection: Connection, kind: Kind) -> dict[str, str]:
    """Every id in SQL, and whether its vector is "done", "waiting", or "" if it needs none."""
    query = text(f"SELECT id, indexed, {_TEXT[kind]} FROM {TABLES[kind]} WHERE namespace = :space")
    return {
        str(id_): "" if not said.strip() or (kind == "relations" and said in space.ontology) else "done" if indexed else "waiting"
        for id_, indexed, said in connection.execute(query, {"space": space.number})
    }


def reindex(space: Space) -> int:
    """Make the vectors of this namespace again from SQL, and its tally; returns how many names and passages were indexed."""
    with space.database.write() as connection:
        tally.recount(connection, space.number)
        indexing.mark_all(connection, space.number)
    for kind in KINDS:
        space.index.drop(space.namespace, kind)
    return sum(indexing.catch_up(space, kind, None) for kind in indexing.TABLES)


def backup(space: Space, home: Path, folder: Path) -> Path:
    """A copy of the whole memory (all namespaces, all conversations) in a new folder, while others use it.

    It makes its own vectors again. Until it is whole, its database has another name: a copy that was broken off is no memory.

    Raises:
        InvalidInput: the folder is there already and not empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty", hint="name a new folder")
    except OSError as error:
        raise StorageFull(f"{folder} cannot be written: {error.strerror}") from error
    partial = folder / PARTIAL
    space.database.copy_to(partial)
    if (home / CONVERSATIONS).exists():
        copy_sqlite(home / CONVERSATIONS, folder / CONVERSATIONS)
    copy = Database.at(partial)
    try:
        with copy.write() as connection:
            connection.execute(text("DELETE FROM setting WHERE key = 'identity'"))  # its vectors are not those of the first
            for number in connection.execute(text("SELECT id FROM namespace")).scalars().all():
                indexing.mark_all(connection, number)
    finally:
        copy.close()
    partial.rename(folder / DATABASE)
    return folder
