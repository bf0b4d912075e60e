"""The speed suite, on a model that does nothing: what it measures, and what it refuses to measure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evals import speed
from evals.bench import Bench, fresh_agents
from evals.case import MissingData
from memagent import Query, Settings
from memagent.model.seam import ScriptedModel

QUERIES = {question: [Query(triple.subject, triple.relation, None)] for question, triple in speed.SENTENCES.values()}


class Fed(ScriptedModel):
    """Counts the tokens that it is fed under each key."""

    def __init__(self, *tables: Any) -> None:
        super().__init__(*tables)
        self.fed: dict[tuple[str, str], int] = {}

    def feed(self, ids: list[int], key: tuple[str, str]) -> tuple[object, Any]:
        self.fed[key] = self.fed.get(key, 0) + 1
        return None, np.arange(100, 120)


def test_texts_have_so_many_tokens_and_are_repeated_plainly() -> None:
    model = Fed({}, QUERIES)
    outcome = speed.Speed().run(Bench(fresh_agents(Settings(), model), limit=1))
    rows = {row.label: row.scores for row in outcome.rows}
    assert list(rows["256 tokens, 1 call"]) == ["plain share", "tokens/s", "plain tokens/s", "a read adds, s"]
    texts = [case.details for case in outcome.cases if case.kind == "text"]
    assert [text["calls"] for text in texts] == list(speed.CALLS)
    assert all(text["tokens"] >= speed.TOKENS for text in texts)
    assert model.fed[speed.PLAIN] == sum(text["tokens"] for text in texts)
    assert 0 < model.fed[speed.WITH_CALLS] < model.fed[speed.PLAIN]  # calls and answers are not fed one by one
    assert rows["remember a sentence"]["seconds"].n == len(speed.SENTENCES)
    assert rows["answer: first sign"]["seconds"].value <= rows["answer: all of it"]["seconds"].value
    assert rows["peak memory"]["MB"].value > 10


def test_a_model_that_asks_nothing_or_is_elsewhere_is_not_measured() -> None:
    with pytest.raises(MissingData, match="that asks its memory"):
        speed.Speed().run(Bench(fresh_agents(Settings(), Fed()), limit=1))
    with pytest.raises(MissingData, match="on this machine"):
        speed.Speed().run(Bench(fresh_agents(Settings(), ScriptedModel()), limit=1))
