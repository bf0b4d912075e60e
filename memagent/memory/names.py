"""The index of names: vectors under the ids that SQL gives, in Chroma; no text, so nothing to forget but the id.

Chroma is loaded and opened when the first vector is asked for. One collection a namespace and kind; the collection's name
is a digest, for a namespace may be called anything. What is here can be made again from SQL at any time.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from memagent.errors import MemagentError, MemoryFault, StorageFull
from memagent.memory.embedding import Vectors

T = TypeVar("T")
Kind = Literal["entities", "relations", "passages", "ontology"]
KINDS: tuple[Kind, ...] = ("entities", "relations", "passages")  # of a namespace
BATCH = 5000  # Chroma takes 5,461 at once
_TAKEN = slice(20, 28)  # where the header of a graph file tells how many vectors are in it
EF_SEARCH = 100  # recall@10 .988 at 100k names, .962 at 32 (libraries.md); the time hardly differs
UNSETTLED = "Nothing found on disk"  # what a search meets while the first files of a collection are written
PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # after which it is made again


class NameIndex:
    """Chroma, embedded in a folder or at a server; `owner` keeps the memories that share a server apart."""

    def __init__(self, folder: Path, url: str | None = None, owner: str = "") -> None:
        self.folder = folder
        self.url = url
        self.owner = owner
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._writing = threading.RLock()  # held by what makes Chroma write its graphs, and by what blanks them
        self._blanked: set[str] = set()

    def upsert(self, namespace: str, kind: Kind, ids: Sequence[str], vectors: Vectors) -> None:
        """Set the vectors (N, size) of these ids."""

        def put(collection: Any) -> None:
            for first in range(0, len(ids), BATCH):
                collection.upsert(ids=list(ids[first : first + BATCH]), embeddings=vectors[first : first + BATCH])

        with self._writing:
            self._on(namespace, kind, put)

    def nearest(self, namespace: str, kind: Kind, vector: Vectors, count: int) -> list[tuple[str, float]]:
        """Up to `count` ids with their cosine similarity to `vector` (size,), nearest first."""

        def search(collection: Any) -> Any:
            return collection.query(query_embeddings=[vector], n_results=count, include=["distances"])

        found = self._on(namespace, kind, search)
        return [(id_, 1.0 - distance) for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def ids(self, namespace: str, kind: Kind) -> set[str]:
        """All ids of a collection."""

        def every(collection: Any) -> set[str]:
            found: set[str] = set()
            while page := collection.get(include=[], limit=BATCH, offset=len(found))["ids"]:
                found.update(page)
            return found

        return self._on(namespace, kind, every)

    def delete(self, namespace: str, kind: Kind, ids: Sequence[str]) -> None:
        """Take these ids out; unknown ones are no error."""
        if not ids or not self.exists():
            return

        def take(collection: Any) -> None:
            for first in range(0, len(ids), BATCH):
                # Deleting takes twenty times as long as looking, and most of what is forgotten soon has never been indexed.
                if held := collection.get(ids=list(ids[first : first + BATCH]), include=[])["ids"]:
                    collection.delete(ids=held)

        with self._writing:
            self._on(namespace, kind, take)

    def drop(self, namespace: str, kind: Kind) -> None:
        """Take a whole collection away."""
        if not self.exists():
            return
        name = self._name(namespace, kind)
        client = self._open()
        with self._lock, _translated():
            self._collections.pop(name, None)
            self._blanked.discard(name)
            with suppress(_not_found()):
                client.delete_collection(name)

    def exists(self) -> bool:
        """Whether anything has ever been indexed here."""
        return self._client is not None or self.url is not None or (self.folder / "chroma.sqlite3").exists()

    def close(self) -> None:
        """Let go of Chroma."""
        with self._lock:
            client, self._client = self._client, None
            self._collections.clear()
        if client is not None:
            with _translated():
                client.close()
            with suppress(AttributeError):  # Chroma's own `close` leaves the sockets of a server to the garbage collector
                for server in (client._server, client._admin_client._server):
                    if not server._running:
                        server._session.close()

    def _on(self, namespace: str, kind: Kind, work: Callable[[Any], T]) -> T:
        """Do it to the collection; once more if another process of the server has made that anew meanwhile."""
        name = self._name(namespace, kind)
        collection = self._collection(namespace, kind)
        try:
            with _translated(), suppress(_not_found()):
                return _settled(work, collection)
            self._collections.pop(name, None)
            collection = self._collection(namespace, kind)
            with _translated():
                return _settled(work, collection)
        finally:
            if self.url is None and name not in self._blanked:  # its first use, be it only a search, may have made its files anew
                with self._writing:
                    _blank_new_files(self.folder)
                self._blanked.add(name)

    def _name(self, namespace: str, kind: Kind) -> str:
        return f"{kind}-{hashlib.sha256(f'{self.owner}{namespace}'.encode()).hexdigest()[:40]}"

    def _collection(self, namespace: str, kind: Kind) -> Any:
        name = self._name(namespace, kind)
        found = self._collections.get(name)
        if found is None:
            client = self._open()
            with self._lock, _translated():
                found = client.get_or_create_collection(
                    name,
                    embedding_function=None,
                    configuration={"hnsw": {"space": "cosine", "ef_search": EF_SEARCH, "ef_construction": EF_SEARCH}},
                )
                self._collections[name] = found
        return found

    def _open(self) -> Any:
        with self._lock:
            if self._client is None:
                if self.url is None:
                    _blank_new_files(self.folder)  # those of a process that was killed before it did
                self._client = _client(self.folder, self.url)
            return self._client


def _blank_new_files(folder: Path) -> None:
    """Zero the places that Chroma's graph reserves in a new file: it writes them out as it finds them in the heap, with any text.

    Later it writes only the places that are taken; those of a new file (no vector in it by its header) hold nothing yet.
    """
    for header in folder.glob("*/header.bin"):
        places = header.with_name("data_level0.bin")
        if header.read_bytes()[_TAKEN] == bytes(8) and places.exists():
            with places.open("r+b") as file:
                file.write(bytes(places.stat().st_size))


def _settled(work: Callable[[Any], T], collection: Any) -> T:
    """Do it, and again where it came just while another thread made Chroma write the first files of a collection."""
    from chromadb.errors import InternalError

    for pause_s in PAUSES_S:
        try:
            return work(collection)
        except InternalError as error:
            if UNSETTLED not in str(error):
                raise
            time.sleep(pause_s)
    return work(collection)


def _not_found() -> type[Exception]:
    from chromadb.errors import NotFoundError

    return NotFoundError


def _client(folder: Path, url: str | None) -> Any:
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    quiet = ChromaSettings(anonymized_telemetry=False)
    with _translated():
        if url is None:
            try:
                return chromadb.PersistentClient(path=str(folder), settings=quiet)
            except Exception:
                _drop_unstarted(str(folder))
                raise
        parts = urlsplit(url)
        return chromadb.HttpClient(host=parts.hostname or "localhost", port=parts.port or 8000, ssl=parts.scheme == "https", settings=quiet)


def _drop_unstarted(path: str) -> None:
    """Chroma keeps what could not start (a full disk), for the whole process: without this it would never open there again."""
    from chromadb.api.shared_system_client import SharedSystemClient

    if path not in SharedSystemClient._identifier_to_refcount:
        SharedSystemClient._identifier_to_system.pop(path, None)


@contextmanager
def _translated() -> Iterator[None]:
    """Chroma's errors as ours; it raises many kinds, from Python and from Rust."""
    try:
        yield
    except MemagentError:
        raise
    except Exception as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        if any(sign in line.lower() for sign in ("could not connect", "connection refused")):
            raise MemoryFault("the Chroma server cannot be reached", hint="does it run, and is MEMAGENT_CHROMA_URL right?") from error
        if any(sign in line.lower() for sign in ("full", "readonly", "read-only", "no space", "disk i/o")):
            raise StorageFull(f"the name index cannot be written: {line}", hint="free some space and try again") from error
        raise MemoryFault(f"the name index failed: {line}", hint="`reindex` makes it again from the database") from error
