"""The memory folder: what it holds, who may open it, and what is shared by all that have it open in this process.

memory.sqlite        the triples and everything about them
chroma/              the name index
lock                 held by the one process that has the folder open
conversations.sqlite the agent's; ours only to copy
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from memagent.config import Settings
from memagent.errors import ForeignFolder, InvalidInput, MemoryFault, MemoryLocked, StorageFull
from memagent.memory.database import Database
from memagent.memory.names import NameIndex

DATABASE = "memory.sqlite"
CONVERSATIONS = "conversations.sqlite"
PARTIAL = "memory.sqlite.partial"  # of a backup that is being written
OURS = frozenset((DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "chroma", "lock", CONVERSATIONS))
SERVERS = "set MEMAGENT_DATABASE_URL and MEMAGENT_CHROMA_URL to servers if several processes are to share a memory"


@dataclass
class Store:
    """The database and the index of one folder, open; shared and counted, so that a process may open a folder twice."""

    home: Path
    database: Database
    index: NameIndex
    lock: FileLock | None
    users: int = 0

    def close(self) -> None:
        """One user less; the last one closes."""
        with _opening:
            self.users -= 1
            if self.users:
                return
            _stores.pop(_key(self.home), None)
            self.index.close()
            self.database.close()
            if self.lock is not None:
                self.lock.release()


_stores: dict[tuple[int, Path], Store] = {}
_opening = threading.RLock()


def open_store(home: Path, settings: Settings) -> Store:
    """The store of that folder, opened or shared.

    Raises:
        MemoryLocked: another process has it open.
        ForeignFolder: it is something else.
        StorageFull: it cannot be written.
    """
    with _opening:
        home = home.expanduser().resolve()
        store = _stores.get(_key(home))
        if store is None:
            store = _stores[_key(home)] = _open(home, settings)
        store.users += 1
        return store


def _open(home: Path, settings: Settings) -> Store:
    _check(home)
    lock = None if settings.database_url and settings.chroma_url else _lock(home)
    try:
        database = Database(settings.database_url) if settings.database_url else Database.at(home / DATABASE)
        owner = database.identity() if settings.chroma_url else ""
    except MemoryFault:
        if lock is not None:
            lock.release()
        raise
    return Store(home, database, NameIndex(home / "chroma", settings.chroma_url, owner), lock)


def _key(home: Path) -> tuple[int, Path]:
    return os.getpid(), home  # a forked child must not use its parent's connections


def _check(home: Path) -> None:
    """Make the folder if it is missing; refuse one that holds something else."""
    if "\x00" in str(home):
        raise InvalidInput("the path of the memory folder holds a NUL")
    if home.exists() and not home.is_dir():
        raise ForeignFolder(f"{home} is a file, not a folder", hint="name a folder, an empty or a new one")
    try:
        home.mkdir(parents=True, exist_ok=True)
        held = {entry.name for entry in home.iterdir() if not entry.name.startswith(".")}
    except OSError as error:
        raise StorageFull(f"{home} cannot be used: {error.strerror}", hint="name a folder that this user can write") from error
    if PARTIAL in held:
        raise ForeignFolder(f"{home} is a backup that was broken off", hint="remove it and make it again")
    if held and not held & OURS:
        raise ForeignFolder(f"{home} is not a memory: it holds {min(held)!r}", hint="name an empty or a new folder")


def _lock(home: Path) -> FileLock:
    lock = FileLock(home / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        with suppress(OSError):
            raise MemoryLocked(f"another process has {home} open", hint=f"close it, or {SERVERS}") from None
        raise
    except OSError as error:
        raise StorageFull(f"{home} cannot be written: {error.strerror}", hint="name a folder that this user can write") from error
    return lock
