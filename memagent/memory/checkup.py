"""Is the memory sound? Counts, marks, the index against SQL, references, the database's own check; repair; a copy."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from memagent.errors import InvalidInput, StorageFull
from memagent.memory import browsing, indexing
from memagent.memory.database import Database
from memagent.memory.indexing import TABLES
from memagent.memory.space import Space
from memagent.memory.values import DoctorReport

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
    with space.database.read() as connection:
        for what, query in _BROKEN.items():
            if count := connection.execute(text(query), {"space": space.number}).scalar_one():
                problems.append(f"{count} {what}")
    for kind in TABLES:
        with space.database.read() as connection:
            done = set(
                map(
                    str,
                    connection.execute(
                        text(f"SELECT id FROM {TABLES[kind]} WHERE namespace = :space AND indexed{_PLAIN[kind]}"), {"space": space.number}
                    ).scalars(),
                )
            )
            waiting = set(
                map(
                    str,
                    connection.execute(
                        text(f"SELECT id FROM {TABLES[kind]} WHERE namespace = :space AND NOT indexed"), {"space": space.number}
                    ).scalars(),
                )
            )
        held = space.index.ids(space.namespace, kind) if space.index.exists() else set()
        pending += len(waiting)
        vectors += len(held)
        if done - held:
            problems.append(f"{len(done - held)} {kind} are marked as indexed and have no vector; `reindex` repairs it")
        if held - done - waiting:
            problems.append(f"{len(held - done - waiting)} vectors belong to no {kind}; `reindex` repairs it")
    return DoctorReport(browsing.count(space), tuple(problems), pending, vectors)


_PLAIN = {"entities": "", "passages": " AND text <> ''"}


def reindex(space: Space) -> int:
    """Make the vectors of this namespace again from SQL; returns how many names and passages were indexed."""
    with space.database.write() as connection:
        indexing.mark_all(connection, space.number)
    for kind in ("entities", "relations", "passages"):
        space.index.drop(space.namespace, kind)
    return sum(indexing.catch_up(space, kind, None) for kind in TABLES)


def backup(space: Space, folder: Path) -> Path:
    """A copy of the whole memory (all namespaces) in a new folder, while others use it; it makes its own vectors again.

    Raises:
        InvalidInput: the folder is there already and not empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty", hint="name a new folder")
    except OSError as error:
        raise StorageFull(f"{folder} cannot be written: {error.strerror}") from error
    path = folder / "memory.sqlite"
    space.database.copy_to(path)
    copy = Database.at(path)
    try:
        with copy.write() as connection:
            connection.execute(text("DELETE FROM setting WHERE key = 'identity'"))  # its vectors are not those of the first
            for number in connection.execute(text("SELECT id FROM namespace")).scalars().all():
                indexing.mark_all(connection, number)
    finally:
        copy.close()
    return folder
