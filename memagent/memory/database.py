"""The SQL database of a memory: opening it, transactions, and its errors in our words.

Reading and writing are told apart: `read()` is a snapshot (REPEATABLE READ on PostgreSQL), `write()` is one serialised
transaction (BEGIN IMMEDIATE on SQLite, the counter's row lock on PostgreSQL). Knows the dialects; nothing else in the package does.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, TextClause, bindparam, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from memagent.errors import ForeignFolder, MemagentError, MemoryFault, StorageFull
from memagent.memory.migrations import migrate
from memagent.memory.tables import Base

# synchronous: what was acknowledged outlives a power cut, too (NORMAL saves 0.4 ms a write, and does not promise that).
# secure_delete: a forgotten name is overwritten, not only unlinked.
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "secure_delete=ON",
    "cache_size=-65536",
    "temp_store=MEMORY",
)
TEXTS = ("name", "relation", "passage", "provenance")  # the tables that hold what people wrote
CHUNK = 5000  # values in one IN list; SQLite takes 32,766 parameters
FEW = 16  # values that an IN names one by one; longer lists are one parameter
POOL = 64  # connections, more than threads that a process will use at once

_TURN = text("SELECT next FROM counter WHERE name = 'id' FOR UPDATE")
_IDENTITY = text("SELECT value FROM setting WHERE key = 'identity'")
_TAKE = text("UPDATE counter SET next = next + :count WHERE name = 'id' RETURNING next")


class Database:
    """One SQL database, by URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._writing = threading.RLock()
        with translated():
            self._engine = _engine(url)
            self._reading = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with translated():
                migrate(self._engine)
        except MemagentError:
            self._engine.dispose()
            raise

    @classmethod
    def at(cls, path: Path) -> Database:
        """The SQLite database in that file."""
        return cls(f"sqlite:///{path}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot; it must not write."""
        with translated(), self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end or not at all."""
        with self._writing, translated(), self._engine.connect().execution_options(memagent_writes=True) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(_TURN)
            yield connection

    def erase_traces(self) -> bool:
        """Overwrite what deleted rows left behind, in the file and in its log; a server's log is its keeper's.

        False if a reader that does not end still needs the log.
        """
        if not self.is_sqlite:
            with translated(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
                server.execute(text(f"VACUUM FULL {', '.join(TEXTS)}"))
            return True
        with self._writing, translated(), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            ((busy, _, _),) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.close()
        return not busy

    def integrity(self) -> list[str]:
        """What the database itself finds wrong with its files."""
        if not self.is_sqlite:
            return []
        with self.read() as connection:
            lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
        return [line for line in lines if line != "ok"]

    def copy_to(self, path: Path) -> None:
        """A consistent copy in a new SQLite file, while others read and write.

        Raises:
            MemoryFault: the database is not SQLite.
        """
        if not self.is_sqlite:
            raise MemoryFault("a server's database is backed up by its own tools", hint="pg_dump, or `export` for one namespace")
        with self.read() as connection, closing(sqlite3.connect(path)) as copy:
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(copy)

    def identity(self) -> str:
        """What tells this database from any other."""
        with self.read() as connection:
            found = connection.execute(_IDENTITY).scalar()
        if found is None:
            with self.write() as connection:
                found = connection.execute(_IDENTITY).scalar()
                if found is None:
                    found = uuid4().hex
                    connection.execute(text("INSERT INTO setting (key, value) VALUES ('identity', :value)"), {"value": found})
        return str(found)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database that others may be writing to: what was committed, in one piece."""
    with translated(), closing(sqlite3.connect(source)) as held, closing(sqlite3.connect(target)) as copy:
        held.backup(copy)


def take_ids(connection: Connection, count: int) -> range:
    """`count` fresh ids, rising; the writer that takes them holds the others back until it has committed."""
    after = int(connection.execute(_TAKE, {"count": count}).scalar_one())
    return range(after - count, after)


def insert_all(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the same columns in one go."""
    if rows:
        statement = _insert(str(table.__tablename__), tuple(rows[0]))
        connection.exec_driver_sql(_driver_sql(statement, (), connection.dialect.name), [dict(row) for row in rows])


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"


def fetch(connection: Connection, statement: str, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """Run a SELECT whose parameters may be lists (`IN :ids`), past SQLAlchemy's compiler: that takes longer than the look-up.

    So does SQLAlchemy's result, and on SQLite its driver is asked itself.
    """
    given = dict(values)
    lists = []
    for name, value in values.items():
        if isinstance(value, list):
            del given[name]
            size = len(value) if len(value) <= FEW else 0
            lists.append((name, size))
            if size:
                given.update((f"{name}_{place}", item) for place, item in enumerate(value))
            else:
                given[name] = value if connection.dialect.name == "postgresql" else json.dumps(value, ensure_ascii=False)
    said = _driver_sql(statement, tuple(lists), connection.dialect.name)
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return driver.execute(said, given).fetchall()
    return [tuple(row) for row in connection.exec_driver_sql(said, given)]


@cache
def _driver_sql(statement: str, lists: tuple[tuple[str, int], ...], dialect: str) -> str:
    """In the driver's own words; `lists` has the names of the lists with their lengths, 0 for one that is given as a whole."""
    postgresql = dialect == "postgresql"
    for name, size in lists:
        if size == 1:  # runs in half the time of an IN
            fitting = f"= :{name}_0"
        elif size:
            fitting = f"IN ({', '.join(f':{name}_{place}' for place in range(size))})"
        else:
            fitting = f"= ANY(:{name})" if postgresql else f"IN (SELECT value FROM json_each(:{name}))"
        statement = re.sub(rf"\bIN :{name}\b", fitting, statement)
    return re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", statement) if postgresql else statement


def listed(statement: str, *lists: str) -> TextClause:
    """A statement whose parameters `lists` are the values of an IN."""
    return text(statement).bindparams(*(bindparam(name, expanding=True) for name in lists))


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """The values in lists that fit one statement."""
    listed = list(values)
    for first in range(0, len(listed), CHUNK):
        yield listed[first : first + CHUNK]


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=POOL)
    engine = create_engine(url, pool_size=POOL)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred: two writers would deadlock
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("memagent_writes", False)
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")  # by SQLAlchemy it takes a tenth of the time of an answer


@contextmanager
def translated() -> Iterator[None]:
    """SQL's errors as ours."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(str(error.orig)) from error
    except ModuleNotFoundError as error:
        raise MemoryFault(f"this database needs {error.name}, which is not installed", hint="pip install 'memagent[postgres]'") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _ours(str(error)) from error


_FAULTS: tuple[tuple[str, type[MemoryFault], str, str], ...] = (
    ("database or disk is full", StorageFull, "the disk is full; nothing was half written", "free some space and try again"),
    ("disk i/o error", StorageFull, "the disk cannot be written or read; nothing was half written", "is the disk full or gone?"),
    ("readonly database", StorageFull, "the memory folder is read-only", "give this user the right to write there"),
    ("unable to open database", StorageFull, "the database file cannot be opened", "may this user read and write the folder?"),
    ("file is not a database", ForeignFolder, "memory.sqlite is not a SQLite database", "choose another folder, or restore a backup"),
    ("malformed", MemoryFault, "the database file is damaged", "restore a backup; `doctor` says what is damaged"),
    ("connection failed", MemoryFault, "the database server cannot be reached", "does it run, and is MEMAGENT_DATABASE_URL right?"),
    ("database is locked", MemoryFault, "another program holds the database for writing", "close it and try again"),
)


def _ours(message: str) -> MemoryFault:
    lowered = message.lower()
    for sign, kind, line, hint in _FAULTS:
        if sign in lowered:
            return kind(line, hint=hint)
    return MemoryFault(f"the database refused: {message.splitlines()[0] if message else 'no reason given'}")
