"""What the memory is measured against, each in the fewest lines that do it justice; suite `memory`.

All answer "what stands on the other side of this subject and relation?" from the same triples and with the same embedder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memagent.memory import Embedder

Fact = tuple[str, str, str]
BATCH = 5000  # documents that Chroma takes at once

# Section 3 of the paper; its thresholds are for Contriever, these for MiniLM, as in `memagent/memory/matching.py`.
ENTITIES, RELATIONS = 300, 25
NEAR_ENTITY, NEAR_RELATION, NEAR_PAIR = 0.87, 0.65, 0.80


class Rival(Protocol):
    """One way to keep triples; `quick` ones are asked every question."""

    name: str
    quick: bool

    def add(self, facts: Sequence[Fact]) -> None:
        """Take them in."""

    def answers(self, subject: str, relation: str) -> list[str]:
        """What it gives back for the question."""

    def close(self) -> None:
        """Let go."""


class Remembering:
    """An embedder that embeds what it is given in bulk once for all of them; a single text, a question, is embedded each time."""

    def __init__(self, embedder: Embedder) -> None:
        self.name, self.size = embedder.name, embedder.size
        self._embedder = embedder
        self._held: dict[str, Any] = {}

    def embed(self, texts: Sequence[str]) -> Any:
        """See `Embedder`."""
        if len(texts) == 1:
            return self._embedder.embed(texts)
        if missing := [text for text in dict.fromkeys(texts) if text not in self._held]:
            self._held.update(zip(missing, self._embedder.embed(missing), strict=True))
        return np.stack([self._held[text] for text in texts])


class PaperLoop:
    """MemLLM's: every candidate entity with every candidate relation, one look-up each."""

    name = "paper"
    quick = False

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
    """LangGraph's `InMemoryStore`, an item a triple, indexed by its text."""

    name = "InMemoryStore"
    quick = False

    def __init__(self, embedder: Embedder) -> None:
        from langgraph.store.memory import InMemoryStore

        def embed(texts: Sequence[str]) -> list[list[float]]:
            return [list(map(float, vector)) for vector in embedder.embed(list(texts))]

        self.store = InMemoryStore(index={"dims": embedder.size, "embed": embed, "fields": ["text"]})

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        from langgraph.store.base import PutOp

        self.store.batch([PutOp(("facts",), str(n), {"text": " ".join(fact), "object": fact[2]}) for n, fact in enumerate(facts)])

    def answers(self, subject: str, relation: str) -> list[str]:
        """The one nearest item: it has no rule by which to take more or none."""
        return [item.value["object"] for item in self.store.search(("facts",), query=f"{subject} {relation}", limit=1)]

    def close(self) -> None:
        """See `Rival`."""


class ChromaDocuments:
    """Chroma alone, a document a triple."""

    name = "chroma"
    quick = False

    def __init__(self, embedder: Embedder, folder: Path, texts: Callable[[Fact], str] = " ".join) -> None:
        import chromadb
        from chromadb.config import Settings

        self.embedder = embedder
        self.texts = texts
        self.client: Any = chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))
        configuration: Any = {"hnsw": {"space": "cosine", "ef_search": 100}}
        self.collection = self.client.create_collection("facts", embedding_function=None, configuration=configuration)
        self.facts: list[Fact] = []

    def add(self, facts: Sequence[Fact]) -> None:
        """See `Rival`."""
        self.facts = list(facts)
        for first in range(0, len(facts), BATCH):
            some = facts[first : first + BATCH]
            vectors = self.embedder.embed([self.texts(fact) for fact in some])
            self.collection.add(ids=[str(first + n) for n in range(len(some))], embeddings=vectors)

    def answers(self, subject: str, relation: str) -> list[str]:
        """The one nearest document, as with `StoreOfItems`."""
        return self.near(f"{subject} {relation}", 1)

    def near(self, text: str, count: int) -> list[str]:
        """The objects of the nearest documents."""
        vector: Any = self.embedder.embed([text])[0]
        found = self.collection.query(query_embeddings=[vector], n_results=min(count, len(self.facts)), include=[])
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


def _nearest(vectors: Any, vector: Any, count: int, least: float) -> list[tuple[int, float]]:
    scores = vectors @ vector
    best = np.argsort(-scores)[:count]
    return [(int(place), float(scores[place])) for place in best if scores[place] >= least]
