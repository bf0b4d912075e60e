"""The suite that measures the memory: its triples, its columns, its figures."""

import pytest

from evals import memory
from evals.bench import Bench, fresh_agents
from evals.rivals import Graph, PaperLoop
from memagent.memory import CharacterEmbedder


def test_every_triple_means_something_else():
    facts = memory.made_facts(3000)
    assert len(facts) == 3000
    assert len({(subject, relation) for subject, relation, _ in facts}) == len(facts)


def test_the_suite_compares_all_on_the_same_questions(monkeypatch):
    monkeypatch.setattr(memory, "MiniLM", CharacterEmbedder)
    outcome = memory.MemorySuite().run(Bench(fresh_agents, limit=60))
    assert [case.kind for case in outcome.cases] == ["memagent", "paper", "InMemoryStore", "chroma", "networkx"]
    ours = outcome.cases[0].details
    assert {"p50_ms", "p95_ms", "bulk_per_s", "online_per_s", "count_ms", "new_name_ratio", "memory_mb", "disk_mb"} <= set(ours)
    assert (outcome.rows[0].scores["precision"].value, outcome.rows[0].scores["recall"].value) == (1.0, 1.0)
    assert len(outcome.notes) == len(outcome.cases) + 1


@pytest.mark.parametrize("make", [Graph, lambda: PaperLoop(CharacterEmbedder(), ["likes", "owns"])])
def test_rivals_answer(make):
    rival = make()
    rival.add([("Anna", "likes", "tea"), ("Anna", "owns", "a cat"), ("Bob", "likes", "jazz")])
    assert rival.answers("Anna", "likes") == ["tea"]
    rival.close()
