"""The page, its two columns, and what they make of what an agent does; the agent here plays a part."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from memagent import Match, MemagentError, Provenance, Query, ReadCall, Settings, Triple
from memagent.agent.events import Finished, MemoryAnswered, MemoryAsked, PassagesFound, Reply, TextAdded, TriplesWritten, WriteRejected
from memagent.memory.values import Counts, PassageMatch
from ui.__main__ import main
from ui.app import Actions
from ui.chat import said, turn
from ui.table import choose, draw
from ui.text import escape

ROOT = Path(__file__).parent.parent
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
    assert title == "Remembered 1 triple"
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


def test_passages_that_stand_in_are_a_step_of_their_own():
    found = PassagesFound((PassageMatch("Anna has <moved>.", "letter", 0.5),))
    title, content = shown(found, Finished(Reply("I do not know.")))[-1][0]
    assert (title, content) == ("What was said nearest to it", f"- “{escape('Anna has <moved>.')}” (letter)")


def test_a_sentence_that_states_nothing_makes_no_step():
    assert shown(TriplesWritten("Hello!", "call", ()), Finished(Reply("Hello")))[-1] == [(None, "Hello")]


def test_what_was_not_remembered_is_shown_with_its_reason():
    assert "unknown relation" in shown(WriteRejected("Anna zorbs Oslo", "unknown relation"))[-1][0][1]


def test_an_error_is_one_clear_line_and_keeps_what_was_done():
    moments = shown(TriplesWritten(SENTENCE, "call", (LIVES,)), MemagentError("the disk is full", hint="make room"))
    assert moments[-1][0][0] == "Remembered 1 triple"
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
    assert forget["value"] == "Forget for good: Anna – residence – Oslo"
    assert len(choose(["x" * 1000, "residence", "Oslo"])[1]["value"]) < 70


def test_a_turn_clears_the_box_and_the_table_follows():
    agent = FakeAgent([TriplesWritten(SENTENCE, "call", (LIVES,)), Finished(Reply("Noted."))], FakeMemory([LIVES]))
    moments = list(Actions(agent).converse(SENTENCE, [], "", SimpleNamespace(session_hash="x")))
    assert {typed for typed, *_ in moments} == {""}
    assert [message.role for message in moments[-1][1]] == ["user", "assistant", "assistant"]
    assert [("1 triple " in str(table)) for _, _, *table in moments] == [False, True, False]


def test_nothing_typed_is_no_turn():
    agent = FakeAgent([MemagentError("not to be asked")])
    assert [shown for _, shown, *_ in Actions(agent).converse(" \n", ["before"], "", SimpleNamespace(session_hash="x"))] == [["before"]]


def test_the_page_is_served_to_this_machine_and_asks_nothing_of_the_network(tmp_path):
    command = [sys.executable, "-m", "ui", "--home", str(tmp_path / "memory")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert address, line + server.communicate(timeout=20)[1]
            with (
                urllib.request.urlopen(address.group(), timeout=20) as page,
                urllib.request.urlopen(address.group() + "config", timeout=20) as config,
            ):
                assert not re.search(rb"https://fonts|googleapis", page.read())
                assert {each["api_visibility"] for each in json.load(config)["dependencies"]} == {"private"}
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0


def test_a_wrong_folder_is_one_line_and_status_one(tmp_path, capsys):
    (tmp_path / "letters.txt").write_text("Dear Anna")
    assert main(["--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_wrong_port_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "70000"])
    assert stopped.value.code == 2
