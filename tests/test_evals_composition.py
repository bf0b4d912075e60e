"""The composition suite: its chains, what a broken one leaves, and the same questions without rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.bench import Bench, fresh_agents
from evals.composition import FILE, OWN, CompositionSuite, made_world, read_forms, ruleless
from memagent import Query, Settings, Triple
from memagent.model.seam import ScriptedModel
from memagent.ontology import default_ontology, load_ontology

WORLD = """
[forms.continent]
relation = "continent"
steps = ["country", "continent"]
asks = ["On which continent is {s}?"]

[forms.boss]
steps = ["author", "boss"]
asks = ["Who tells the writer of {s} what to do?"]

[world]
triples = [
    ["Oxley", "country", "Tarn"], ["Tarn", "continent", "Meridia"],
    ["Moss", "author", "Ada"], ["Ada", "boss", "Cy"], ["Ada", "pet", "a goat"],
    ["Loop", "author", "Bo"], ["Bo", "boss", "Loop"],
    ["Twice", "author", "Ada"], ["Twice", "author", "Cy"],
    ["Ulm", "country", "Danubia"],
]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "composition.toml"
    path.write_text(WORLD, encoding="utf-8")
    return path


def test_chains_have_one_answer_and_different_names(file: Path) -> None:
    world = made_world(OWN, *read_forms(file), None, 0)
    assert [(q.text, q.answer) for q in world.questions] == [
        ("On which continent is Oxley?", "Meridia"),
        ("Who tells the writer of Moss what to do?", "Cy"),
    ]
    assert Triple("Ulm", "country", "Danubia") in world.others  # about no name of a chain
    assert not [triple for triple in world.triples if triple.object == "a goat"]


def test_a_broken_chain_leaves_nothing_to_answer_with() -> None:
    world = made_world(OWN, *read_forms(FILE), None, 0)
    broken = [question for question in world.questions if question.broken]
    assert len(broken) >= 5
    for question in broken:
        assert not [triple for triple in world.triples if triple.subject == question.chain[-1].subject], question.text


def test_the_own_world_asks_in_enough_forms_and_in_its_own_words() -> None:
    forms, _ = read_forms(FILE)
    world = made_world(OWN, *read_forms(FILE), None, 0)
    assert len(world.questions) >= 40
    assert {form.name for form in forms} == {question.form.name for question in world.questions}
    assert {form.row for form in forms} == {"rule, 2 triples", "rule, 3 triples", "calls, 2 triples", "calls, 3 triples"}
    grammar = FILE.parents[2] / "memagent" / "training" / "grammar"
    taught = "\n".join(path.read_text(encoding="utf-8") for path in grammar.glob("*.toml")).casefold()
    assert not [ask for form in forms for ask in form.asks if ask.casefold().strip("?") in taught]


def test_without_composition_what_takes_two_triples_is_not_found(file: Path) -> None:
    calls = {
        "On which continent is Oxley?": [Query("Oxley", "continent", None)],
        "Who tells the writer of Moss what to do?": [Query("Moss", "author", None), Query("Ada", "boss", None)],
    }
    outcome = CompositionSuite(file).run(Bench(fresh_agents(Settings(), ScriptedModel({}, calls))))
    rows = {row.label: {name: score.value for name, score in row.scores.items()} for row in outcome.rows}
    assert rows["invented: rule, 2 triples"] == {
        "with": 1.0,
        "without": 0.0,
        "memory with": 1.0,
        "memory without": 0.0,
        "abstained": None,
    }
    assert rows["invented: calls, 2 triples"]["with"] == 1.0
    assert rows["invented: calls, 2 triples"]["without"] == 0.0
    assert rows["invented: calls, 2 triples"]["memory with"] is None
    assert rows["all"]["with"] == 1.0
    assert not [case.failures for case in outcome.cases if case.failures]


def test_an_ontology_without_rules_is_the_same_otherwise() -> None:
    with ruleless(default_ontology()) as path:
        plain = load_ontology(path)
    assert plain.names == default_ontology().names
    assert all(len(steps) == 1 for relation in plain for steps in relation.compositions)
    assert plain["child"].compositions == default_ontology()["child"].compositions
    assert plain["spouse"] == default_ontology()["spouse"]
