"""The commands that need a model, with a scripted one: what is printed, as documents and as lines."""

import io
import json
import sys

import pytest

from memagent.agent import Agent
from memagent.cli import main
from memagent.config import Settings
from memagent.model.seam import ScriptedModel
from memagent.triples import Query, Triple

BORN = "Marie Curie was born in Warsaw."
WHERE = "Where was Marie Curie born?"
LIVES = "Zorblax Quimby lives in Fenwick Hollow."
MODEL = ScriptedModel(
    {BORN: [Triple("Marie Curie", "place of birth", "Warsaw", 0.91)], LIVES: [Triple("Zorblax Quimby", "residence", "Fenwick Hollow")]},
    {WHERE: [Query("Marie Curie", "place of birth", None)]},
)


@pytest.fixture(autouse=True)
def a_scripted_model(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MEMAGENT_{name.upper()}", raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    opened = Agent.open
    monkeypatch.setattr(Agent, "open", lambda **given: opened(**given, model=MODEL))


@pytest.fixture
def run(tmp_path, capsys):
    """Run one command on a memory of its own; status, standard output and standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        status = main([*argv, "--home", str(tmp_path / "memory")])
        return status, *capsys.readouterr()

    return call


def type_in(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))


def test_remember_as_json_has_the_agreed_form(run):
    status, out, err = run("remember", BORN, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "triples": [
            {
                "subject": "Marie Curie",
                "relation": "place of birth",
                "object": "Warsaw",
                "confidence": 0.91,
                "source": {"passage": BORN, "start": 0, "end": len(BORN), "speaker": "user"},
            }
        ],
        "rejected": [],
    }


def test_passages_that_stand_in_are_marked(run, monkeypatch):
    monkeypatch.setenv("MEMAGENT_PASSAGES_STAND_IN", "true")
    question = "Where does Zorblax Quimby work?"
    monkeypatch.setitem(MODEL.queries, question, [Query("Zorblax Quimby", "employer", None)])
    run("remember", LIVES)
    (near,) = json.loads(run("ask", question, "--json")[1])["passages"]
    assert (near["text"], near["source"]) == (LIVES, "text")
    assert f"  said nearest to it: “{LIVES}” (text)" in run("ask", question)[1].splitlines()


def test_ask_as_json_has_the_agreed_form(run):
    run("remember", BORN)
    status, out, err = run("--json", "ask", WHERE)
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert set(found) == {"answer", "known", "calls", "matches"}
    assert "Warsaw" in found["answer"]
    assert found["known"] is True
    assert found["calls"] == [{"query": "Marie Curie>>place of birth>>", "answers": ["Warsaw"]}]
    names = {"subject": "Marie Curie", "relation": "place of birth", "object": "Warsaw"}
    assert found["matches"] == [{**names, "score": 1.0, "passage": BORN}]


def test_what_was_never_told_is_not_known(run):
    run("remember", LIVES)
    status, out, _ = run("ask", WHERE, "--json")
    found = json.loads(out)
    assert (status, found["known"], found["matches"]) == (0, False, [])


def test_asking_writes_nothing(run):
    run("remember", LIVES)
    run("ask", BORN)
    assert json.loads(run("doctor", "--json")[1])["counts"]["triples"] == 1


def test_lines_for_people(run):
    assert run("remember", *BORN.split())[1] == "Marie Curie – place of birth – Warsaw  [0.91]\n"
    assert run("remember", "Good morning!")[1] == "Nothing to remember in that.\n"
    assert run("ask", WHERE)[1].splitlines()[1:] == [f"  “{BORN}”"]


def test_standard_input_is_read(run, monkeypatch):
    type_in(monkeypatch, BORN + "\n")
    assert "Warsaw" in run("remember", "-")[1]


def test_files_are_ingested_with_their_names_as_source(run, tmp_path):
    file = tmp_path / "curie.txt"
    file.write_text(f"{BORN}\n", encoding="utf-8")
    status, out, _ = run("ingest", str(file), "--json")
    (document,) = json.loads(out)["files"]
    assert (status, document["file"], len(document["triples"])) == (0, str(file), 1)


def test_a_chat_remembers_and_answers(run, monkeypatch):
    type_in(monkeypatch, f"{BORN}\n\n{WHERE}\n")
    status, out, err = run("chat")
    assert (status, err) == (0, "")
    assert "  + Marie Curie – place of birth – Warsaw" in out
    assert "  ? Marie Curie>>place of birth>>  Warsaw" in out


def test_a_chat_as_json_is_one_document(run, monkeypatch):
    type_in(monkeypatch, f"{BORN}\n{WHERE}\n")
    _, out, _ = run("chat", "--json")
    told, asked = json.loads(out)["turns"]
    assert [triple["object"] for triple in told["triples"]] == ["Warsaw"]
    assert (asked["known"], asked["triples"]) == (True, [])


def test_an_error_in_a_chat_does_not_end_it(run, monkeypatch):
    type_in(monkeypatch, f"a\x00b\n{BORN}\n")
    status, out, err = run("chat", "--json")
    assert status == 0
    assert err.startswith("error: ")
    assert [set(turn) & {"error"} for turn in json.loads(out)["turns"]] == [{"error"}, set()]
