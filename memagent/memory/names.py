"""The index of names: vectors under the ids that SQL gives, in Chroma; no text, so nothing to forget but the id.

Chroma is loaded and opened when the first vector is asked for. One collection a namespace and kind; the collection's name
is a digest, for a namespace may be called anything. What is here can be made again from SQL at any time.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from memagent.errors import MemagentError, MemoryFault, StorageFull
from memagent.memory.embedding import Vectors

Kind = Literal["entities", "relations", "passages", "ontology"]
BATCH = 5000  # Chroma takes 5,461 at once
EF_SEARCH = 100  # recall@10 .988 at 100k names, .962 at 32 (libraries.md); the time hardly differs


class NameIndex:
    """Chroma, embedded in a folder or at a server."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.url = url
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._lock = threading.Lock()

    def upsert(self, namespace: str, kind: Kind, ids: Sequence[str], vectors: Vectors) -> None:
        """Set the vectors (N, size) of these ids."""
        collection = self._collection(namespace, kind)
        with _translated():
            for first in range(0, len(ids), BATCH):
                collection.upsert(ids=list(ids[first : first + BATCH]), embeddings=vectors[first : first + BATCH])

    def nearest(self, namespace: str, kind: Kind, vector: Vectors, count: int) -> list[tuple[str, float]]:
        """Up to `count` ids with their cosine similarity to `vector` (size,), nearest first."""
        collection = self._collection(namespace, kind)
        with _translated():
            held = collection.count()
            if not held:
                return []
            found = collection.query(query_embeddings=[vector], n_results=min(count, held), include=["distances"])
        return [(id_, 1.0 - distance) for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def ids(self, namespace: str, kind: Kind) -> set[str]:
        """All ids of a collection."""
        collection = self._collection(namespace, kind)
        found: set[str] = set()
        with _translated():
            while page := collection.get(include=[], limit=BATCH, offset=len(found))["ids"]:
                found.update(page)
        return found

    def delete(self, namespace: str, kind: Kind, ids: Sequence[str]) -> None:
        """Take these ids out; unknown ones are no error."""
        if not ids or not self.exists():
            return
        collection = self._collection(namespace, kind)
        with _translated():
            for first in range(0, len(ids), BATCH):
                collection.delete(ids=list(ids[first : first + BATCH]))

    def drop(self, namespace: str, kind: Kind) -> None:
        """Take a whole collection away."""
        if not self.exists():
            return
        name = _collection_name(namespace, kind)
        client = self._open()
        with self._lock, _translated():
            self._collections.pop(name, None)
            if name in {collection.name for collection in client.list_collections()}:
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

    def _collection(self, namespace: str, kind: Kind) -> Any:
        name = _collection_name(namespace, kind)
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
                self._client = _client(self.folder, self.url)
            return self._client


def _collection_name(namespace: str, kind: Kind) -> str:
    return f"{kind}-{hashlib.sha256(namespace.encode()).hexdigest()[:40]}"


def _client(folder: Path, url: str | None) -> Any:
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    quiet = ChromaSettings(anonymized_telemetry=False)
    with _translated():
        if url is None:
            return chromadb.PersistentClient(path=str(folder), settings=quiet)
        parts = urlsplit(url)
        return chromadb.HttpClient(host=parts.hostname or "localhost", port=parts.port or 8000, ssl=parts.scheme == "https", settings=quiet)


@contextmanager
def _translated() -> Iterator[None]:
    """Chroma's errors as ours; it raises many kinds, from Python and from Rust."""
    try:
        yield
    except MemagentError:
        raise
    except Exception as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        if any(sign in line.lower() for sign in ("full", "readonly", "read-only", "no space")):
            raise StorageFull(f"the name index cannot be written: {line}", hint="free some space and try again") from error
        raise MemoryFault(f"the name index failed: {line}", hint="`reindex` makes it again from the database") from error
