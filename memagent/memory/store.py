"""`Memory`: an explicit triple memory, the one door to everything in this package.

SQL is the truth, the name index follows it, no model is involved. Every method stays within the memory's namespace; safe to
use from several threads. What the methods do is written in the module each of them calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

from memagent.config import Settings
from memagent.errors import InvalidInput, MemoryFault
from memagent.memory import browsing, checkup, entities, forgetting, indexing, journal, matching, parts, relations, transfer, writing
from memagent.memory.embedding import Embedder, MiniLM
from memagent.memory.home import Store, open_store
from memagent.memory.rows import at
from memagent.memory.space import Space, namespace_number
from memagent.memory.transfer import Format
from memagent.memory.values import Askable, AsOf, Change, Counts, DoctorReport, ForgetReport, Imported, Mention, PassageMatch
from memagent.ontology import Ontology, load_ontology
from memagent.triples import Match, Provenance, Query, Triple, check_name

_minilm = MiniLM()  # one for the process: it is loaded at its first use


class Memory:
    """A memory of triples, in one namespace; a context manager."""

    def __init__(self, store: Store, space: Space, settings: Settings, *, owner: bool) -> None:
        self._store = store
        self._held = space
        self._settings = settings
        self._owner = owner
        self._closed = False

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        *,
        namespace: str | None = None,
        settings: Settings | None = None,
        embedder: Embedder | None = None,
    ) -> Self:
        """Open the memory in the folder `home`, or make one.

        Raises:
            MemoryLocked: another process has it open.
            ForeignFolder: the folder is something else, or of a newer version.
            StorageFull: it cannot be written.
        """
        settings = settings or Settings()
        name = check_name(namespace if namespace is not None else settings.namespace, "namespace")
        ontology = load_ontology(settings.ontology_file)
        store = open_store(Path(home) if home is not None else settings.home, settings)
        try:
            number = namespace_number(store.database, name)
            space = Space(store.database, store.index, embedder or _minilm, ontology, settings.ontology == "open", name, number)
            indexing.adopt(space)
            forgetting.finish(space)
        except BaseException:
            store.close()
            raise
        return cls(store, space, settings, owner=True)

    def in_namespace(self, name: str) -> Self:
        """Another namespace of the same memory; it is closed with this one."""
        name = check_name(name, "namespace")
        space = replace(self._space, namespace=name, number=namespace_number(self._space.database, name))
        return type(self)(self._store, space, self._settings, owner=False)

    def close(self) -> None:
        """Let go of the folder; closing twice does no harm."""
        if self._owner and not self._closed:
            self._store.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def namespace(self) -> str:
        """Whose memory it is."""
        return self._held.namespace

    @property
    def ontology(self) -> Ontology:
        """The relations it knows the rules of."""
        return self._held.ontology

    @property
    def home(self) -> Path:
        """The folder."""
        return self._store.home

    @property
    def _space(self) -> Space:
        if self._closed or not self._store.users:
            raise MemoryFault("the memory is closed", hint="open it again")
        return self._held

    # Writing

    def add(self, triples: Iterable[Triple]) -> list[Triple]:
        """Write triples, all or none; returns them as stored, one each, in order: canonical relation, linked names."""
        return writing.add(self._space, relations.all_canonical(self._space, triples))

    def note_passage(self, provenance: Provenance) -> None:
        """Keep a passage that stated nothing: it is context for the next one."""
        writing.note_passage(self._space, provenance)

    def retract(self, triple: Triple) -> Change:
        """Believe it no longer; its history stays.

        Raises:
            InvalidInput: it is not believed now.
        """
        return self._change(browsing.retract(self._space, triple))

    def forget(self, what: str | Triple) -> ForgetReport:
        """Erase an entity by its name, or a triple, with everything that only it needed; there is no way back."""
        return forgetting.forget(self._space, what)

    # The journal

    def history(self, what: str | Triple | None = None, *, limit: int | None = None) -> list[Change]:
        """The changes that touched an entity or a triple, or all, oldest first; `limit` keeps the newest."""
        return browsing.history(self._space, what, limit)

    def undo(self, change: int | None = None) -> Change:
        """Take back the last change, or that one; an undo can be undone.

        Raises:
            UndoRefused: it was erased, or something newer depends on it.
        """
        with self._space.database.write() as connection:
            number = journal.undo(connection, self._space.number, change)
        return self._change(number)

    # Entities

    def names(self, entity: str) -> tuple[str, ...]:
        """All names of an entity, its canonical one first; empty if it is not known."""
        return browsing.names(self._space, entity)

    def short_names(self, entity: str) -> tuple[str, ...]:
        """Words of a person's or group's names by which nobody else is meant: "Anna", "Lund"."""
        return tuple(parts.short_names(self._space, self.names(entity)))

    def merge(self, keep: str, other: str) -> Change:
        """Make two entities one, under the name of the first."""
        return self._change(entities.merge(self._space, keep, other))

    def split(self, entity: str, names: Sequence[str]) -> Change:
        """Make these names of the entity an entity of their own, with the triples written under them."""
        return self._change(entities.split(self._space, entity, names))

    def add_alias(self, entity: str, name: str) -> Change:
        """Let the entity go by another name too."""
        return self._change(entities.add_alias(self._space, entity, name))

    def _change(self, number: int) -> Change:
        with self._space.database.read() as connection:
            return journal.read(connection, self._space.number, number)

    # Asking

    def match(self, query: Query, *, as_of: AsOf | None = None, limit: int = 30) -> list[Match]:
        """The triples that fit the query, best and newest first."""
        return matching.match(self._space, query, as_of, _positive(limit))

    def askable(self, entity: str) -> list[Askable]:
        """What `match` could answer about that entity."""
        return matching.askable(self._space, entity)

    def mentions(self, text: str) -> list[Mention]:
        """The known entities that `text` names; people and groups also by a part of the name that nobody else has."""
        with self._space.database.read() as connection:
            return parts.mentions(self._space, connection, text)

    def relation(self, name: str) -> str:
        """The canonical name of a relation."""
        return relations.canonical(self._space, check_name(name, "relation"))

    def passages(self, text: str, k: int = 3) -> list[PassageMatch]:
        """The passages nearest to `text`."""
        return browsing.near_passages(self._space, text, _positive(k))

    # Browsing

    def triples(self, *, entity: str | None = None, limit: int | None = None, offset: int = 0, newest_first: bool = True) -> list[Triple]:
        """The triples that hold now, of one entity or all."""
        return browsing.triples(self._space, None, entity, limit, offset, newest_first)

    def as_of(self, *, valid: str | None = None, recorded: datetime | None = None) -> View:
        """The memory as it was: in the world at `valid`, in our belief at `recorded`."""
        return View(self, at(valid, recorded))

    def count(self) -> Counts:
        """How much it holds."""
        return browsing.count(self._space)

    def recent_passages(self, n: int, *, source: str | None = None) -> list[str]:
        """The last `n` passages (of one source), oldest first."""
        return browsing.recent_passages(self._space, n, source)

    # Care

    def reindex(self) -> int:
        """Make all vectors of the namespace again; returns how many names and passages."""
        return checkup.reindex(self._space)

    def doctor(self) -> DoctorReport:
        """What is off, if anything."""
        return checkup.doctor(self._space)

    def backup(self, path: str | Path) -> Path:
        """Copy the memory and its conversations into a new folder while they are in use."""
        return checkup.backup(self._space, self.home, Path(path))

    def export(self, path: str | Path, *, format: Format | None = None) -> int:
        """Write the namespace to a file (`jsonl` loses nothing; `csv`, `graphml`, `nt`, `ttl`); returns the number of triples."""
        return transfer.export(self._space, Path(path), format)

    def import_(self, path: str | Path, *, format: Format | None = None) -> Imported:
        """Read a file that `export` wrote, or plain triples, or the MCP reference memory's; all of it or nothing.

        Raises:
            TransferError: with the number of the line that cannot be read.
        """
        return transfer.import_(self._space, Path(path), format)


class View:
    """A memory at another moment; for reading."""

    def __init__(self, memory: Memory, as_of: AsOf) -> None:
        self._memory = memory
        self._as_of = as_of

    def match(self, query: Query, *, limit: int = 30) -> list[Match]:
        """As `Memory.match`, then."""
        return self._memory.match(query, as_of=self._as_of, limit=limit)

    def triples(self, *, entity: str | None = None, limit: int | None = None, offset: int = 0, newest_first: bool = True) -> list[Triple]:
        """As `Memory.triples`, then."""
        return browsing.triples(self._memory._space, self._as_of, entity, limit, offset, newest_first)


def _positive(number: int) -> int:
    if number < 1:
        raise InvalidInput(f"at least one must be asked for, not {number}")
    return number
