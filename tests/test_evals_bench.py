"""Agents of the evaluations: one model, an empty memory each."""

from __future__ import annotations

from evals.bench import fresh_agents
from memagent import Query, Settings, Triple
from memagent.model.seam import ScriptedModel

TOLD, ASKED = "Zorblax Quimby is the mayor of Fenwick Hollow.", "Who is the mayor of Fenwick Hollow?"


def test_every_agent_starts_with_an_empty_memory() -> None:
    fact = Triple("Fenwick Hollow", "head of government", "Zorblax Quimby")
    model = ScriptedModel({TOLD: [fact]}, {ASKED: [Query("Fenwick Hollow", "head of government", None)]})
    with fresh_agents(Settings(), model) as agent:
        with agent() as first:
            assert first.reply(TOLD).written == (fact,)
            assert "Zorblax Quimby" in first.reply(ASKED).text
            assert first.ask(ASKED).known
            first.forget("Zorblax Quimby")
            assert not first.ask(ASKED).known
        with agent() as second:
            assert not second.ask(ASKED).known
