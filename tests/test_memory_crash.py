"""A few kills in the middle of a mixed load; `python -m evals.crash` does two hundred."""

import pytest

from evals import crash
from memagent import Triple


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path):
    report = crash.crash(tmp_path, points=3, seed=1)
    assert report.points == 3
    assert report.steps > 3


def test_the_steps_are_the_same_for_the_same_memory(tmp_path):
    with crash.open_memory(tmp_path / "one") as one, crash.open_memory(tmp_path / "two") as two:
        for number in range(12):
            for memory in (one, two):
                crash.take_step(memory, number, 7)
        assert crash.state(one) == crash.state(two)
        crash.take_step(two, 12, 7)
        assert len(one.history()) > 3


def test_what_is_lost_is_noticed(tmp_path):
    with crash.open_memory(tmp_path / "reference") as reference, crash.open_memory(tmp_path / "memory") as memory:
        for kept in (reference, memory):
            kept.add([Triple("Anna", "likes", "tea")])
        reference.add([Triple("Anna", "likes", "milk")])
        with pytest.raises(crash.Lost, match="neither"):
            crash.examine(tmp_path / "memory", reference, 0, 1)
