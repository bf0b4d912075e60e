"""The suite that measures the memory: its triples, its columns, its figures."""

import pytest

from evals import benchmarks, memory, report
from evals.bench import Bench, fresh_agents
from evals.rivals import Graph, PaperLoop
from memagent.memory import CharacterEmbedder


def test_every_triple_means_something_else():
    facts = memory.made_facts(3000)
    assert len(facts) == 3000
    assert len({(subject, relation) for subject, relation, _ in facts}) == len(facts)
    assert memory.made_facts(100) == facts[:100]


def test_the_suite_compares_all_on_the_same_questions(monkeypatch, capsys):
    monkeypatch.setattr(memory, "MiniLM", CharacterEmbedder)
    monkeypatch.setattr(memory, "EMBEDDED", 20)
    monkeypatch.setattr(memory, "QUESTIONS", 30)
    monkeypatch.setattr(memory, "ONLINE", 20)
    outcome = memory.MemorySuite().run(Bench(fresh_agents, limit=60))
    assert [case.kind for case in outcome.cases] == ["memagent", "paper", "networkx", "InMemoryStore", "chroma"]
    ours = outcome.cases[0].details
    assert {"p50_ms", "p95_ms", "bulk_per_s", "online_per_s", "count_ms", "new_name_ratio", "memory_mb", "disk_mb"} <= set(ours)
    exact, misspelt = outcome.rows[:2]
    assert {name: score.value for name, score in exact.scores.items()} == {"precision": 1.0, "recall": 1.0, "first": 1.0}
    assert misspelt.label == "memagent 60, misspelt"
    assert misspelt.scores["recall"].value > 0.5
    assert outcome.notes[3].startswith("InMemoryStore 60: p50 ")
    assert len(outcome.notes) == len(outcome.cases) + 1
    assert capsys.readouterr().err.splitlines() == list(outcome.notes[:-1])  # told as they are measured


@pytest.mark.parametrize("make", [Graph, lambda: PaperLoop(CharacterEmbedder(), ["likes", "owns"])])
def test_rivals_answer(make):
    rival = make()
    rival.add([("Anna", "likes", "tea"), ("Anna", "owns", "a cat"), ("Bob", "likes", "jazz")])
    assert rival.answers("Anna", "likes") == ["tea"]
    rival.close()


def test_the_page_has_the_figures_of_the_result():
    """`python -m evals.benchmarks` makes it so."""
    text = benchmarks.PAGE.read_text(encoding="utf-8")
    assert benchmarks.filled(text, report.read(benchmarks.RESULT)) == text
    assert benchmarks.PICTURE.read_bytes().startswith(b"\x89PNG")
