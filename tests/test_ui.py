"""The page, its two columns, and what they make of what an agent does; the agent here plays a part."""

import gc
import urllib.request
from dataclasses import dataclass, field

import pytest

from memagent import Match, MemagentError, Provenance, Query, ReadCall, Settings, Triple
from memagent.agent.events import Finished, MemoryAnswered, MemoryAsked, Reply, TextAdded, TriplesWritten, WriteRejected
from memagent.memory.values import Counts
from ui.app import build, launch
from ui.chat import said, turn
from ui.table import choose, draw
from ui.text import escape

SENTENCE = "My sister Anna lives in Oslo."
SOURCE = Provenance("chat", f"Hello. {SENTENCE} Bye.", 7, 7 + len(SENTENCE), "user")
LIVES = Triple("Anna", "residence", "Oslo", 0.93, provenance=(SOURCE,))
ASKED = ReadCall((Query("Anna", "residence", None),))
HOSTILE = "<img src=x onerror=alert(1)> ![i](http://evil.example/x.png) **b** `c` $$x$$"


@dataclass
class FakeMemory:
    held: list[Triple] = field(default_factory=list)

    def count(self):
        return Counts(len(self.held), 2 * len(self.held), 1, 1)

    def triples(self, *, entity=None, limit=None):
        return [triple for triple in reversed(self.held) if entity in (None, triple.subject, triple.object)][:limit]


@dataclass
class FakeAgent:
    events: list = field(default_factory=list)
    memory: FakeMemory = field(default_factory=FakeMemory)
    settings: Settings = field(default_factory=Settings)

    def stream(self, text, *, thread):
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event


def shown(*events):
    """For every moment of a turn: (title or None, content) of each message."""
    return [[(m.metadata.get("title"), m.content) for m in messages] for messages, _ in turn(FakeAgent(list(events)), "hello", "t")]


def test_a_write_is_a_step_with_its_triples_and_its_sentence():
    moments = shown(TriplesWritten(SENTENCE, "call", (LIVES,)), Finished(Reply("Noted.", written=(LIVES,))))
    assert moments[0] == [("Reading", "")]
    (title, content), words = moments[-1]
    assert title == "Remembered one triple"
    assert "**Anna** – residence – **Oslo** (93% sure)" in content
    assert escape(SENTENCE) in content
    assert words == (None, escape("Noted."))


def test_a_read_is_a_step_that_first_waits():
    answered = ReadCall(ASKED.queries, ("Oslo",))
    moments = shown(
        MemoryAsked(ASKED),
        MemoryAnswered(answered, (Match(LIVES, 1.0, "Oslo"),)),
        TextAdded("In "),
        TextAdded("Oslo"),
        Finished(Reply("In Oslo")),
    )
    assert moments[1] == [("Asking the memory: Anna › residence › ?", "")]
    title, content = moments[2][0]
    assert title == "Asked the memory: Anna › residence › ?"
    assert escape(SENTENCE) in content
    assert [moment[1:] for moment in moments[3:]] == [[(None, "In ")], [(None, "In Oslo")], [(None, "In Oslo")]]


def test_not_knowing_is_said():
    moments = shown(MemoryAsked(ASKED), MemoryAnswered(ReadCall(ASKED.queries, ()), ()), Finished(Reply("I do not know.")))
    assert moments[-1][0][0].endswith("it does not know")


def test_a_sentence_that_states_nothing_makes_no_step():
    assert shown(TriplesWritten("Hello!", "call", ()), Finished(Reply("Hello")))[-1] == [(None, "Hello")]


def test_what_was_not_remembered_is_shown_with_its_reason():
    assert "unknown relation" in shown(WriteRejected("Anna zorbs Oslo", "unknown relation"))[-1][0][1]


def test_an_error_is_one_clear_line_and_keeps_what_was_done():
    moments = shown(TriplesWritten(SENTENCE, "call", (LIVES,)), MemagentError("the disk is full", hint="make room"))
    assert moments[-1][0][0] == "Remembered one triple"
    assert moments[-1][1] == (None, "⚠️ the disk is full – make room")


def test_names_are_shown_and_never_obeyed():
    hostile = Triple(HOSTILE, HOSTILE, HOSTILE)
    contents = [said(HOSTILE).content]
    for event in (
        TriplesWritten(HOSTILE, "call", (hostile,)),
        MemoryAsked(ReadCall((Query(HOSTILE, "x", None),))),
        Finished(Reply(HOSTILE)),
    ):
        contents += [part for title, content in shown(event)[-1] for part in (title or "", content)]
    for content in contents:
        assert not set(content.replace("**", "")) & set("<>[]`$*!"), content


def test_the_table_has_the_newest_first_with_their_sentences():
    memory = FakeMemory([LIVES, Triple("Paris", "capital of", "France")])
    summary, rows, empty, chosen, forget = draw(memory, "")
    assert "2 triples" in summary
    assert rows["value"] == [["Paris", "capital of", "France", "100%", ""], ["Anna", "residence", "Oslo", "93%", SENTENCE]]
    assert (rows["visible"], empty["visible"], chosen, forget["visible"]) == (True, False, None, False)


def test_the_empty_table_says_what_will_be_there():
    _, rows, empty, *_ = draw(FakeMemory(), "")
    assert not rows["visible"]
    assert "Nothing is remembered yet" in empty["value"]


def test_search_looks_at_names_and_sentences_whatever_the_case():
    memory = FakeMemory([LIVES, Triple("Paris", "capital of", "France")])
    assert [row[0] for row in draw(memory, "SISTER")[1]["value"]] == ["Anna"]
    assert [row[0] for row in draw(memory, "paris ")[1]["value"]] == ["Paris"]
    assert "has this in it" in draw(memory, "Zorblax")[2]["value"]


def test_a_chosen_row_can_be_forgotten():
    names, forget = choose(["Anna", "residence", "Oslo", "93%", SENTENCE])
    assert names == ["Anna", "residence", "Oslo"]
    assert forget["value"] == "Forget Anna – residence – Oslo"
    assert len(choose(["x" * 1000, "residence", "Oslo"])[1]["value"]) < 60


def test_the_functions_of_the_page_are_no_api():
    assert {function.api_visibility for function in build(FakeAgent()).fns.values()} == {"private"}


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")  # gradio leaves one behind; it is collected here, not in another test
def test_the_page_is_served_and_asks_nothing_of_the_network():
    page = build(FakeAgent())
    try:
        address = launch(page, "127.0.0.1", None)
        html = urllib.request.urlopen(address, timeout=20).read().decode()
    finally:
        page.close(verbose=False)
        gc.collect()
    assert "memagent" in html
    assert "fonts.googleapis" not in html
