"""The suite of held-out phrasings: what is drawn can be told and asked, and an agent is judged by what it writes and answers."""

from __future__ import annotations

from evals.bench import Bench
from evals.phrasings import NEVER, SAID, PhrasingsSuite, _questions, _sentences
from evals.scripted import ScriptedTalker
from memagent import Query

LIMIT = 42


def test_an_agent_that_writes_and_asks_as_wanted_is_right_throughout() -> None:
    sentences, questions = list(_sentences(LIMIT, 0)), list(_questions(LIMIT, 0))
    asked = {
        q.question: Query(t.subject, t.relation, None) if t.object == q.answer else Query(None, t.relation, t.object)
        for q in questions
        if q.answer
        for t in q.memory[-1:]
    }
    knows = ScriptedTalker({s.text: s.triples for s in sentences}, asked)
    rows = {row.label: row.scores for row in PhrasingsSuite().run(Bench(knows.fresh, limit=LIMIT)).rows}
    assert rows["all sentences"]["f1"].value == 1.0
    assert rows[NEVER]["wrote nothing"].value == 1.0
    assert set(SAID) <= set(rows)
    assert rows["all questions"]["answered"].value == 1.0
    assert rows["all questions"]["abstained"].value == 1.0
    assert rows["all questions"]["answered"].n == 2 * rows["all questions"]["abstained"].n == LIMIT * 2 / 3


def test_an_agent_that_says_nothing_is_right_only_where_nothing_is_known() -> None:
    outcome = PhrasingsSuite().run(Bench(ScriptedTalker().fresh, limit=LIMIT))
    rows = {row.label: row.scores for row in outcome.rows}
    assert (rows["all sentences"]["recall"].value, rows["all questions"]["answered"].value) == (0.0, 0.0)
    assert (rows[NEVER]["wrote nothing"].value, rows["all questions"]["abstained"].value) == (1.0, 1.0)
    stating = [case for case in outcome.cases if case.kind in SAID and case.kind != NEVER]
    assert all(len(case.failures) == 1 and "wrote nothing, not " in case.failures[0] for case in stating)


def test_what_the_memory_cannot_know_is_not_in_it() -> None:
    for question in _questions(90, 1):
        held = [triple for triple in question.memory if question.answer in (triple.subject, triple.object)]
        assert bool(held) == (question.answer is not None)


def test_the_same_seed_draws_the_same() -> None:
    assert list(_sentences(20, 3)) == list(_sentences(20, 3)) != list(_sentences(20, 4))
    assert list(_questions(20, 3)) == list(_questions(20, 3)) != list(_questions(20, 4))
