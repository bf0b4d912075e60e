"""The chat suite: its conversations are sound, and its evaluators say right and wrong with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evals.bench import Bench, fresh_agents
from evals.chat import Abstained, Answered, Chat, Heard, SaidBy, WroteCount, WroteTriples, read_conversations
from evals.facts import wanted
from evals.scripted import UNKNOWN, ScriptedTalker
from evals.wording import Templates
from memagent import Match, Provenance, Query, Reply, Settings, Triple
from memagent.model.seam import ScriptedModel
from memagent.ontology import default_ontology

ONTOLOGY = default_ontology()
CONVERSATIONS = read_conversations()


def heard(text: str = "", known: bool = True, written: tuple[Triple, ...] = ()) -> Heard:
    return Heard(Reply(text, known, written=written), ONTOLOGY)


def test_there_are_enough_conversations_over_enough_relations() -> None:
    assert len(CONVERSATIONS) >= 100
    assert len({relation for each in CONVERSATIONS for relation in each.relations}) >= 45
    assert len({each.kind for each in CONVERSATIONS}) >= 12


def test_every_conversation_checks_something_about_known_relations() -> None:
    for each in CONVERSATIONS:
        evaluators = [evaluator for turn in each.turns for evaluator in turn.evaluators]
        assert evaluators, each.name
        facts = [fact for evaluator in evaluators if isinstance(evaluator, WroteTriples) for fact in evaluator.facts]
        named = {*each.relations, *(relation for fact in facts for relation in fact.relations)}
        assert not [relation for relation in named if relation not in ONTOLOGY], each.name


@pytest.mark.parametrize(
    ("evaluator", "text", "right"),
    [
        (Answered(expect=("Warsaw",)), "She was born in Warsaw.", True),
        (Answered(expect=("Warsaw",)), "In Prewarsaw.", False),
        (Answered(expect=("9 October", "October 9")), "on October 9", True),
        (Answered(every=("Olaf", "Thora")), "Thora; Olaf", True),
        (Answered(every=("Olaf", "Thora")), "Olaf", False),
        (Answered(expect=("Porto",), forbid=("Bristol",)), "Porto, before that Bristol", False),
        (Answered(expect=("555-0142",)), "It's 555-0142.", True),
    ],
)
def test_answered(evaluator: Answered, text: str, right: bool) -> None:
    verdict = evaluator.evaluate(heard(text))
    assert verdict.right is right
    assert text in verdict.reason


def test_abstained_compares_the_replys_own_word_and_what_it_must_not_name() -> None:
    assert Abstained(False).evaluate(heard(UNKNOWN, known=False)).right
    assert not Abstained(False).evaluate(heard("Ghent", known=True)).right
    assert not Abstained(False, forbid=("Ghent",)).evaluate(heard("Perhaps Ghent", known=False)).right


def test_written_wants_exactly_the_triples_in_any_of_their_readings() -> None:
    evaluator = WroteTriples((wanted(["user"], ["sister", "sibling"], ["Anna"]), wanted(["Peru"], ["capital"], ["Lima"])), "...")
    both = (Triple("user", "sister", "Anna"), Triple("Lima", "capital of", "Peru"))
    assert evaluator.evaluate(heard(written=both)).right
    assert not evaluator.evaluate(heard(written=both[:1])).right
    assert not evaluator.evaluate(heard(written=(*both, Triple("Anna", "residence", "Oslo")))).right
    assert WroteCount(0).evaluate(heard()).right
    assert not WroteCount(0).evaluate(heard(written=both)).right


def test_said_by_wants_the_speaker_of_every_source() -> None:
    mikkos, petras = (Triple("Peru", "capital", "Lima", provenance=(Provenance("talk", speaker=name),)) for name in ("Mikko", "Petra"))
    match = Match(mikkos, 1.0, "Lima")
    assert SaidBy("Mikko").evaluate(Heard(Reply("Lima", True, matches=(match,)), ONTOLOGY)).right
    both = (match, Match(petras, 1.0, "Lima"))
    assert "Mikko, Petra" in SaidBy("Mikko").evaluate(Heard(Reply("Lima", True, matches=both), ONTOLOGY)).reason
    assert not SaidBy("Mikko").evaluate(heard("Lima")).right


def test_long_conversations_run_only_where_they_are_asked_for(script: Path) -> None:
    script.write_text(SCRIPT + "[long.one]\nrelations = []\nturns = [{ gap = 200, writes = 0 }]\n", encoding="utf-8")
    bench = Bench(ScriptedTalker().fresh)
    assert Chat(script, templates).run(bench).notes == ("3 of 4 conversations; --suite chat holds all",)
    thorough = Chat(script, templates).run(replace(bench, thorough=True))
    assert thorough.cases[-1].name == "long.one" and thorough.notes == ("4 of 4 conversations",)


def test_users_of_one_memory_have_their_own_triples(script: Path) -> None:
    script.write_text(TWO_USERS, encoding="utf-8")
    model = ScriptedModel(
        {"Peter sells tea.": [Triple("Peter", "occupation", "grocer")], "Peter bakes.": [Triple("Peter", "occupation", "baker")]},
        {"What is Peter?": [Query("Peter", "occupation", None)]},
    )
    (case,) = Chat(script, templates).run(Bench(fresh_agents(Settings(), model))).cases
    assert not case.failures, case.failures


TWO_USERS = """
[users.two]
relations = ["occupation"]
turns = [
    { say = "Peter sells tea.", namespace = "first", speaker = "Ann" },
    { say = "Peter bakes.", namespace = "second" },
    { ask = "What is Peter?", namespace = "first", expect = ["grocer"], forbid = ["baker"], said_by = "Ann" },
    { ask = "What is Peter?", namespace = "second", expect = ["baker"], forbid = ["grocer"] },
    { ask = "What is Peter?", known = false },
]
"""

SCRIPT = """
small_talk = ["Well, well.", "So it goes."]

[told.capital]
relations = ["capital"]
turns = [
    { say = "Lima governs Peru.", writes = [["Peru", "capital", "Lima"]] },
    { gap = 3, writes = 0 },
    { ask = "Capital of Peru?", expect = ["Lima"], known = true },
    { forget = "Peru" },
    { ask = "Capital of Peru?", known = false, forbid = ["Lima"] },
]

[odd.wrong_answer]
relations = ["capital"]
turns = [{ say = "Lima governs Peru." }, { ask = "Capital of Peru?", expect = ["Cusco"] }]

[odd.refused]
relations = []
turns = [{ say = "Boom.", writes = 0 }]
"""


def templates() -> Templates:
    return Templates.of(["{s} governs {o}.", "Capital of {s}?", "a string without slots"])


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.toml"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_run_counts_by_kind_and_shows_what_went_wrong(script: Path) -> None:
    talker = ScriptedTalker(
        {"Lima governs Peru.": [Triple("Peru", "capital", "Lima")]},
        {"Capital of Peru?": Query("Peru", "capital", None)},
        frozenset({"Boom."}),
    )
    outcome = Chat(script, templates).run(Bench(talker.fresh))
    scores = {row.label: row.scores for row in outcome.rows}
    assert scores["told"]["right"].value == 1.0
    assert scores["told"]["written"].n == 2
    assert scores["told"]["abstained"].n == 2
    assert scores["odd"]["right"].value == 0.0
    assert scores["new wording"]["whole"].n == 1
    assert scores["overall"]["whole"].value == pytest.approx(1 / 3)
    told, wrong, refused = outcome.cases
    assert not told.failures
    assert any("'Lima' does not name Cusco" in line for line in wrong.failures)
    assert any("MemagentError: refused" in line for line in refused.failures)


def test_a_text_is_covered_if_each_of_its_sentences_is_worded_like_a_template() -> None:
    assert templates().cover("Lima governs Peru! capital of New South Wales")
    assert not templates().cover("Lima governs Peru. Or so they say.")
    assert not templates().cover("Capital of a land that nobody of us ever saw?")


def test_limit_and_seed_draw_the_same_conversations_again(script: Path) -> None:
    names = [[case.name for case in Chat(script, templates).run(Bench(ScriptedTalker().fresh, limit=2, seed=7)).cases] for _ in range(2)]
    assert names[0] == names[1]
    assert len(names[0]) == 2


@pytest.mark.parametrize("turn", ['{ say = "a", ask = "b" }', '{ say = "a", expcet = ["b"] }', "{ writes = 0 }"])
def test_a_turn_that_cannot_be_is_refused(tmp_path: Path, turn: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f"[kind.name]\nrelations = []\nturns = [{turn}]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a turn has one of"):
        read_conversations(path)
