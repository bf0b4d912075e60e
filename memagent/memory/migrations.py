"""Named migrations, in their order; each runs in one transaction and is noted in the table `migration`.

A migration is never edited once released: add one below. A database that has a migration this list does not know was
written by a newer version and is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert, inspect, select, text

from memagent.errors import ForeignFolder
from memagent.memory import tally
from memagent.memory.moments import now
from memagent.memory.spelling import ends
from memagent.memory.tables import ENDING, Base, CounterRow, MigrationRow

_SOME_NAMES = "SELECT id, text FROM name WHERE id > :after ORDER BY id LIMIT 5000"
ADVISORY = 0x6D656D61  # "mema": the number of a lock that only migrations take


def _first_tables(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    connection.execute(insert(CounterRow).values(name="id", next=1))


def _erasures(connection: Connection) -> None:
    Base.metadata.tables["erasure"].create(connection, checkfirst=True)  # a new database has all tables from the first migration


def _tallies(connection: Connection) -> None:
    held = {column["name"] for column in inspect(connection).get_columns("namespace")}
    for name in ("triples", "entities", "passages"):
        if name not in held:
            connection.execute(text(f"ALTER TABLE namespace ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"))
    connection.execute(text("CREATE INDEX IF NOT EXISTS triple_ending ON triple (namespace, to_key) WHERE " + ENDING))
    for number in connection.execute(text("SELECT id FROM namespace")).scalars().all():
        tally.recount(connection, number)


def _words(connection: Connection) -> None:
    held = {column["name"] for column in inspect(connection).get_columns("name")}
    for name in ("first_word", "last_word"):
        if name not in held:
            connection.execute(text(f"ALTER TABLE name ADD COLUMN {name} TEXT"))
    after = 0
    while some := connection.execute(text(_SOME_NAMES), {"after": after}).all():
        filled = [{"id": number, "first": words[0], "last": words[1]} for number, spelt in some if (words := ends(spelt))]
        if filled:
            connection.execute(text("UPDATE name SET first_word = :first, last_word = :last WHERE id = :id"), filled)
        after = some[-1][0]
    for name in ("first", "last"):
        where = f"ON name (namespace, {name}_word) WHERE {name}_word IS NOT NULL"
        connection.execute(text(f"CREATE INDEX IF NOT EXISTS name_{name} {where}"))


MIGRATIONS: dict[str, Callable[[Connection], None]] = {
    "2026-11 first tables": _first_tables,
    "2026-11 erasures": _erasures,
    "2026-11 tallies": _tallies,
    "2026-11 words": _words,
}


def migrate(engine: Engine) -> list[str]:
    """Apply what is missing and return its names.

    Raises:
        ForeignFolder: the database is not a memory, or of a newer version.
    """
    applied = _applied(engine)
    unknown = sorted(applied - MIGRATIONS.keys())
    if unknown:
        raise ForeignFolder(f"this memory was written by a newer version (it has {unknown[0]!r})", hint="upgrade memagent")
    missing = [name for name in MIGRATIONS if name not in applied]
    return [name for name in missing if _apply(engine, name)]


def _apply(engine: Engine, name: str) -> bool:
    """Whether it was still missing: on a server, another process may have been faster."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY})
        if inspect(connection).has_table("migration") and name in _noted(connection):
            return False
        MIGRATIONS[name](connection)
        connection.execute(insert(MigrationRow).values(name=name, at=now()))
    return True


def _applied(engine: Engine) -> set[str]:
    tables = set(inspect(engine).get_table_names())
    if not tables:
        return set()
    if "migration" not in tables or "triple" not in tables:
        raise ForeignFolder("this database is not a memory: it has tables of something else", hint="choose another folder or database")
    with engine.connect() as connection:
        return _noted(connection)


def _noted(connection: Connection) -> set[str]:
    return set(connection.execute(select(MigrationRow.name)).scalars())  # type: ignore[call-overload]
