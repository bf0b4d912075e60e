"""Every change is in the journal and can be taken back, and that too."""

import pytest

from memagent import Provenance, Query, Triple
from memagent.errors import InvalidInput, UndoRefused

pytestmark = pytest.mark.databases

PARIS, LYON, NICE = (Triple("France", "capital", name) for name in ("Paris", "Lyon", "Nice"))


def state(memory):
    """Everything that a reader sees now."""
    return sorted((t.subject, t.relation, t.object, t.valid_to, t.provenance) for t in memory.triples())


def test_the_journal_tells_what_happened_in_order(memory):
    memory.add([PARIS])
    memory.add([LYON])
    memory.retract(LYON)
    changes = memory.history("France")
    assert [(c.number, c.kind, len(c.added), len(c.ended)) for c in changes] == [
        (1, "add", 1, 0),
        (2, "supersede", 2, 1),
        (3, "retract", 0, 1),
    ]
    assert [c.number for c in memory.history(PARIS)] == [1, 2]
    assert memory.history("nobody") == []
    assert [c.number for c in memory.history(limit=2)] == [2, 3]


def test_an_edit_is_told_and_taken_back(memory):
    """A date or a confidence that is learnt later."""
    memory.add([Triple("Anna", "residence", "Oslo", 0.5)])
    memory.add([Triple("Anna", "residence", "Oslo", 0.9)])
    memory.add([Triple("Anna", "residence", "Oslo", 0.9, valid_to="2014")])
    assert [change.kind for change in memory.history("Anna")] == ["add", "edit", "edit"]
    assert memory.triples() == []
    memory.undo()
    assert [triple.confidence for triple in memory.triples()] == [0.9]
    memory.undo()
    assert [triple.confidence for triple in memory.triples()] == [0.5]


def test_undo_walks_back_step_by_step(memory):
    seen = [state(memory)]
    for change in (
        lambda: memory.add([PARIS, Triple("Anna", "likes", "tea")]),
        lambda: memory.add([LYON]),
        lambda: memory.add([Triple("Anna", "likes", "tea", provenance=(Provenance("chat", "I like tea."),))]),
        lambda: memory.retract(Triple("Anna", "likes", "tea")),
        lambda: memory.merge("Anna", "tea"),
        lambda: memory.add_alias("Anna", "Annie"),
        lambda: memory.add([Triple("Annie", "likes", "coffee")]),
        lambda: memory.split("Anna", ["Annie"]),
        lambda: memory.add([NICE]),
    ):
        change()
        seen.append(state(memory))
    for expected in seen[-2::-1]:
        assert memory.undo().kind == "undo"
        assert state(memory) == expected
    with pytest.raises(UndoRefused, match="nothing to undo"):
        memory.undo()
    assert memory.doctor().ok


def test_an_undo_can_be_undone_and_undone_again(memory):
    memory.add([PARIS])
    memory.add([LYON])
    with_lyon = state(memory)
    undone = memory.undo()
    with_paris = state(memory)
    redone = memory.undo(undone.number)
    assert state(memory) == with_lyon
    memory.undo(redone.number)
    assert state(memory) == with_paris
    with pytest.raises(UndoRefused, match="already been undone"):
        memory.undo(redone.number)


def test_an_undo_that_something_newer_depends_on_is_refused(memory):
    memory.add([PARIS])
    memory.add([LYON])
    before = state(memory)
    with pytest.raises(UndoRefused, match="change 2 came after") as refused:
        memory.undo(1)
    assert refused.value.hint == "undo 2 first"
    assert state(memory) == before


def test_an_undo_of_something_older_leaves_the_newer(memory):
    memory.add([Triple("Anna", "likes", "tea")])
    memory.add([Triple("Anna", "likes", "coffee")])
    memory.undo(1)
    assert [triple.object for triple in memory.triples()] == ["coffee"]


def test_what_was_believed_in_between_is_still_seen(memory):
    memory.add([PARIS])
    (added,) = memory.history()
    memory.undo()
    (_, undone) = memory.history()
    assert memory.as_of(recorded=added.at).triples() == [PARIS]
    assert memory.as_of(recorded=undone.at).triples() == memory.triples() == []


def test_a_forgotten_change_cannot_be_undone(memory):
    memory.add([PARIS])
    memory.add([Triple("Anna", "likes", "tea")])
    memory.forget("France")
    forgotten = memory.history()[-1]
    assert forgotten.kind == "forget"
    with pytest.raises(UndoRefused, match="erased"):
        memory.undo(forgotten.number)
    assert [triple.object for triple in memory.triples()] == ["tea"]


def test_undo_stops_at_a_forget_and_goes_on_by_number(memory):
    memory.add([Triple("Anna", "likes", "tea")])
    memory.add([PARIS])
    memory.forget("France")
    memory.add([NICE])
    assert memory.undo().ended == (NICE,)
    for _ in range(2):
        with pytest.raises(UndoRefused, match="change 3 erased") as refused:
            memory.undo()
        assert refused.value.hint == "undo 1 takes back the change before it"
    assert memory.undo(1).ended == (Triple("Anna", "likes", "tea"),)
    with pytest.raises(UndoRefused, match="change 3 erased") as refused:
        memory.undo()
    assert refused.value.hint == ""


def test_retracting_ends_belief_and_keeps_history(memory):
    memory.add([Triple("Anna", "likes", "tea")])
    change = memory.retract(Triple("anna", "loves", "Tea"))
    assert (change.kind, change.ended) == ("retract", (Triple("Anna", "likes", "tea"),))
    assert memory.match(Query("Anna", "likes", None)) == []
    with pytest.raises(InvalidInput, match="not believed"):
        memory.retract(Triple("Anna", "likes", "tea"))


def test_a_change_that_is_not_there_is_refused(memory):
    with pytest.raises(InvalidInput, match="no change 7"):
        memory.undo(7)
