"""What the memory is measured against, each in the fewest lines that do it justice; suite `memory`.

All answer "what stands on the other side of this subject and relation?" from the same triples and with the same embedder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memagent.memory import Embedder

Fact = tuple[str, str, str]
BATCH = 5000  # triples that are handed over at once; Chroma takes no more

# Section 3 of the paper; its thresholds are for Contriever, these for MiniLM, as in `memagent/memory/matching.py`.
ENTITIES, RELATIONS = 300, 25
NEAR_ENTITY, NEAR_RELATION, NEAR_PAIR = 0.87, 0.65, 0.80


class Rival(Protocol):
    """One way to keep triples; `quick` ones are asked more questions."""

    name: str
    quick: bool

    def add(self, facts: Sequence[Fact]) -> None:
        """Take them in."""

    def answers(self, subject: str, relation: str) -> list[str]:
        """What it gives back for the question."""

    def close(self) -> None:
        """Let go."""


class Asked:
    """An embedder that knows how long questions took it, `asked_s` in all: a single text is a question and embedded each time.

    With `keep`, what it is given in bulk it embeds once for all who ask, so that none of them pays for it.
    """

    def __init__(self, embedder: Embedder, *, keep: bool) -> None:
        self.name, self.size = embedder.name, embedder.size
        self.asked_s = 0.0
        self._embedder = embedder
        self._keep = keep
        self._held: dict[str, Any] = {}

    def __len__(self) -> int:
        """How many it keeps."""
        return len(self._held)

    def prepare(self, texts: Sequence[str]) -> None:
        """Embed in bulk what will be asked for, if it is kept."""
        if self._keep and (missing := [text for text in dict.fromkeys(texts) if text not in self._held]):
            self._held.update(zip(missing, self._embedder.embed(missing), strict=True))

    def embed(self, texts: Sequence[str]) -> Any:
        """See `Embedder`."""
        if len(texts) == 1:
            started = time.perf_counter()
            vectors = self._embedder.embed(texts)
            self.asked_s += time.perf_counter() - started
            return vectors
        if not self._keep:
            return self._embedder.embed(texts)
        self.prepare(texts)
        return np.stack([self._held[text] for text in texts])


class PaperLoop:
    """MemLLM's: every candidate entity with every candidate relation, one look-up each."""

    name = "paper"
    quick = True

    def __init__(self, embedder: Embedder, relations: Sequence[str]) -> None:
        self.embedder = embedder
        self.relations = list(relations)
        self.relation_vectors = embedder.embed(self.relations)
        self.entities: list[str] = []
        self.held: dict[tuple[str, str], list[str]] = {}

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        for subject, relation, target in facts:
            self.held.setdefault((subject, relation), []).append(target)
        self.entities = list(dict.fromkeys(name for fact in facts for name in (fact[0], fact[2])))
        self.vectors = self.embedder.embed(self.entities)

    def answers(self, subject: str, relation: str) -> list[str]:
        """See `Rival`."""
        near = _nearest(self.vectors, self.embedder.embed([subject])[0], ENTITIES, NEAR_ENTITY)
        kinds = _nearest(self.relation_vectors, self.embedder.embed([relation])[0], RELATIONS, NEAR_RELATION)
        found = []
        for (entity, alike), (kind, same) in product(near, kinds):
            if (alike + same) / 2 >= NEAR_PAIR:
                found += self.held.get((self.entities[entity], self.relations[kind]), [])
        return self.held.get((subject, relation)) or found  # of exact matches, only these

    def close(self) -> None:
        """See `Rival`."""


class StoreOfItems:
    """LangGraph's `InMemoryStore`, an item a triple, indexed by its text.

    A vector is a list of Python numbers, 12 kB, and every search makes an array of them all: a million would take 22 GB. Counts of
    trigrams are mostly zeros, and all zeros are one number here: that takes a third.
    """

    name = "InMemoryStore"
    quick = False

    def __init__(self, embedder: Embedder) -> None:
        from langgraph.store.memory import InMemoryStore

        def embed(texts: Sequence[str]) -> list[list[float]]:
            return [[number or 0.0 for number in vector.tolist()] for vector in embedder.embed(list(texts))]

        self.store = InMemoryStore(index={"dims": embedder.size, "embed": embed, "fields": ["text"]})

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        from langgraph.store.base import PutOp

        puts = [PutOp(("facts",), str(n), {"text": " ".join(fact), "object": fact[2]}) for n, fact in enumerate(facts)]
        for first in range(0, len(puts), BATCH):
            self.store.batch(puts[first : first + BATCH])

    def answers(self, subject: str, relation: str) -> list[str]:
        """The one nearest item: it has no rule by which to take more or none."""
        return [item.value["object"] for item in self.store.search(("facts",), query=f"{subject} {relation}", limit=1)]

    def close(self) -> None:
        """See `Rival`."""


class ChromaDocuments:
    """Chroma alone, a document a triple."""

    name = "chroma"
    quick = True

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self.embedder = embedder
        self.client = _client(folder)
        configuration: Any = {"hnsw": {"space": "cosine", "ef_search": 100}}
        self.collection = self.client.create_collection("facts", embedding_function=None, configuration=configuration)
        self.facts: list[Fact] = []

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        self.facts = list(facts)
        for first in range(0, len(facts), BATCH):
            some = facts[first : first + BATCH]
            vectors = self.embedder.embed([" ".join(fact) for fact in some])
            self.collection.add(ids=[str(first + n) for n in range(len(some))], embeddings=vectors)

    def answers(self, subject: str, relation: str) -> list[str]:
        """The one nearest document, as with `StoreOfItems`."""
        vector = self.embedder.embed([f"{subject} {relation}"])[0]
        found = self.collection.query(query_embeddings=[vector], n_results=1, include=[])
        return [self.facts[int(id_)][2] for id_ in found["ids"][0]]

    def close(self) -> None:
        """See `Rival`."""
        self.client.close()


class Graph:
    """A networkx graph in memory: exact names only, nothing kept."""

    name = "networkx"
    quick = True

    def __init__(self) -> None:
        import networkx

        self.graph = networkx.MultiDiGraph()

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        self.graph.add_edges_from((subject, target, relation) for subject, relation, target in facts)

    def answers(self, subject: str, relation: str) -> list[str]:
        """See `Rival`."""
        return [target for _, target, kind in self.graph.out_edges(subject, keys=True) if kind == relation]

    def close(self) -> None:
        """See `Rival`."""


class BareIndex:
    """The largest collection of a Chroma folder that this process has open already, asked without anything around it."""

    def __init__(self, folder: Path) -> None:
        self.client = _client(folder)
        self.collection = max(self.client.list_collections(), key=lambda collection: collection.count())

    def query(self, vector: Any, count: int) -> int:
        """How many it finds."""
        return len(self.collection.query(query_embeddings=[vector], n_results=count, include=["distances"])["ids"][0])

    def close(self) -> None:
        """Let go; what others have open stays open."""
        self.client.close()


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))


def _nearest(vectors: Any, vector: Any, count: int, least: float) -> list[tuple[int, float]]:
    scores = vectors @ vector
    best = np.argpartition(-scores, count)[:count] if len(scores) > count else np.arange(len(scores))
    best = best[np.argsort(-scores[best])]
    return [(int(place), float(scores[place])) for place in best if scores[place] >= least]
