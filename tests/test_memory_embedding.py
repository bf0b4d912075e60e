"""Texts to vectors: MiniLM in numpy against numbers of sentence-transformers; laziness."""

import subprocess
import sys

import numpy as np
import pytest

from memagent import Query, Triple
from memagent.memory import CharacterEmbedder, Memory, MiniLM

LONG = "the country in which this place, organization or event is " * 40
# SentenceTransformer(...).encode(text, normalize_embeddings=True): the first six numbers, and the sum of every 37th.
REFERENCE = {
    "Marie Curie": ([-0.076385, 0.02166, -0.004561, 0.037344, -0.029726, 0.04925], -0.051077),
    "place of birth": ([-0.003893, 0.080636, -0.03981, 0.031965, -0.004922, 0.033095], -0.141734),
    "Besançon – 東京, C++ & ünïcode!": ([0.018503, 0.062918, -0.016413, -0.050637, -0.083382, -0.034596], -0.481411),
    LONG: ([0.106538, -0.009238, -0.047184, 0.008519, 0.022428, -0.051708], -0.350262),
}


def test_minilm_equals_sentence_transformers():
    vectors = MiniLM().embed(list(REFERENCE))
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for vector, (head, total) in zip(vectors, REFERENCE.values(), strict=True):
        np.testing.assert_allclose(vector[:6], head, atol=2e-6)
        assert float(vector[::37].sum()) == pytest.approx(total, abs=1e-5)


def test_no_text_gives_no_vector():
    assert MiniLM().embed([]).shape == (0, 384)


def test_the_fake_is_deterministic_and_puts_like_spellings_near():
    one, same, other = CharacterEmbedder().embed(["Zorblax Quimby", "zorblax quimbly", "tea"])
    assert one @ same > 0.8 > 0.4 > one @ other
    np.testing.assert_array_equal(one, CharacterEmbedder().embed(["Zorblax Quimby"])[0])


class Counting(CharacterEmbedder):
    """Counts what it is asked for."""

    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts):
        self.texts += texts
        return super().embed(texts)


def test_adding_and_exact_matching_embed_nothing_and_each_name_is_embedded_once(memory_home, memory_settings):
    counting = Counting()
    with Memory.open(memory_home, settings=memory_settings, embedder=counting) as memory:
        memory.add([Triple("Anna", "likes", "tea"), Triple("Anna", "likes", "cake")])
        memory.match(Query("Anna", "likes", None))
        memory.match(Query("anna", "dislikes", None))
        assert counting.texts == []
        assert not (memory_home / "chroma").exists()
        memory.match(Query("Annna", "likes", None))
        memory.match(Query("Annna", "likes", None))
    assert sorted(counting.texts) == ["Anna", "Annna", "Annna", "cake", "tea"]


def test_another_embedder_makes_the_index_anew(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Zorblax Quimby", "likes", "tea")])
        memory.match(Query("Zorblax Quimbly", "likes", None))
    other = CharacterEmbedder(32)
    other.name = "characters 32"
    with Memory.open(memory_home, settings=memory_settings, embedder=other) as memory:
        assert [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))] == ["tea"]
        assert memory.doctor().ok


def test_importing_the_memory_loads_neither_chroma_nor_torch():
    heavy = ("chromadb", "torch", "transformers", "networkx", "rdflib")
    code = f"import sys, memagent.memory; sys.exit(sum(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
