"""Agents of the evaluations: one model, an empty memory each."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from evals import chat, composition, editing
from evals.bench import Bench, FreshAgents, fresh_agents
from memagent import Query, Settings, Triple
from memagent.model.seam import ScriptedModel

TOLD, ASKED = "Zorblax Quimby is the mayor of Fenwick Hollow.", "Who is the mayor of Fenwick Hollow?"


def test_every_agent_starts_with_an_empty_memory() -> None:
    fact = Triple("Fenwick Hollow", "head of government", "Zorblax Quimby")
    model = ScriptedModel({TOLD: [fact]}, {ASKED: [Query("Fenwick Hollow", "head of government", None)]})
    agent = fresh_agents(Settings(), model)
    with agent() as first:
        assert first.reply(TOLD).written == (fact,)
        assert "Zorblax Quimby" in first.reply(ASKED).text
        with first.beside("another") as other:
            assert not other.ask(ASKED).known
            other.reply(TOLD)
        assert first.ask(ASKED).known
        first.forget("Zorblax Quimby")
        assert not first.ask(ASKED).known
    with agent() as second:
        assert not second.ask(ASKED).known
    with agent(max_reads=0) as silent:
        silent.reply(TOLD)
        assert not silent.ask(ASKED).known


class Elsewhere(Executor):
    """What another process gets and gives back, without the process, which would take seconds to start."""

    def map(self, function: Any, *items: Any, **_: Any) -> Iterator[Any]:
        return (self._there(function, *item) for item in zip(*items, strict=True))

    @staticmethod
    def _there(function: Any, *given: Any) -> Any:
        work, there = pickle.loads(pickle.dumps((function, given)))
        return pickle.loads(pickle.dumps(work(*there)))


def test_cases_are_done_in_their_order_here_and_in_other_processes() -> None:
    bench = Bench(fresh_agents(Settings(threads=3), ScriptedModel()), seed=7)
    assert bench.each(_settings_seen, [1, 2], "here") == [(1, 7, 3), (2, 7, 3)]
    assert replace(bench, crew=Elsewhere()).each(_settings_seen, [1, 2], "there") == [(1, 7, 1), (2, 7, 1)]  # one thread each


def test_the_work_of_every_suite_can_be_handed_to_another_process() -> None:
    form = composition.Form("capital", (frozenset({"country"}), frozenset({"capital"})), ("{s}?",), None)
    question = composition.Question(form, (Triple("Oxley", "country", "Tarn"), Triple("Tarn", "capital", "Moss")), "Oxley?", False)
    edit = editing.Edit("Who leads Moss?", "Ada", "Moss is led by whom?", "why")
    bench = Bench(fresh_agents(Settings(), ScriptedModel()), crew=Elsewhere())
    conversation = next(each for each in chat.read_conversations() if each.kind == "two_users")
    assert [case.kind for case in bench.each(chat.hold, [conversation], "chat")] == ["two_users"]
    (asked,) = bench.each(composition.ask_all, [(composition.World("a", (question,), ()), {})], "composition")
    assert [each.known for each in asked] == [False]
    assert bench.each(editing.tell_and_score, [("no memory", (edit,))], "editing")[0][0].label == "T = 1, no memory"


def _settings_seen(case: int, bench: Bench) -> tuple[int, int, int]:
    assert isinstance(bench.agent, FreshAgents)
    return case, bench.seed, bench.agent.settings.threads


def test_an_agent_has_a_cache_of_its_own() -> None:
    class Caching(ScriptedModel):
        pool: dict[str, str] = {}

    model = Caching()
    model.pool = {"earlier": "text"}
    with fresh_agents(Settings(), model)() as agent:
        assert agent.model.pool == {}
        assert agent.model is not model
    assert model.pool == {"earlier": "text"}
