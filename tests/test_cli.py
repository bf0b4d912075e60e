"""The command line without a model: what it prints, what it refuses, and with which exit status."""

import json
import subprocess
import sys

import pytest

from memagent.cli import COMMANDS, main
from memagent.commands import given
from memagent.commands.printing import visible
from memagent.config import Settings


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MEMAGENT_{name.upper()}", raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def run(tmp_path, capsys):
    """Run one command on a memory of its own; status, standard output and standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        status = main(["--home", str(tmp_path / "memory"), *argv])
        return status, *capsys.readouterr()

    return call


def refused(outcome: tuple[int, str, str], reason: str) -> None:
    """One line that says why, perhaps a hint, nothing on standard output."""
    status, out, err = outcome
    assert status == 1
    assert out == ""
    assert err.startswith("error: ")
    assert reason in err
    assert len(err.splitlines()) <= 2


def test_what_was_added_is_found(run):
    assert run("add", "Paris", "capital of", "France") == (0, "Paris – capital of – France\n", "")
    status, out, _ = run("query", "Paris>>capital of>>")
    assert (status, out.split()[0]) == (0, "France")


def test_query_as_json_is_one_document(run):
    run("add", "Paris", "capital of", "France")
    status, out, err = run("query", ">>capital of>>France", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["answers"] == ["Paris"]
    assert set(found["matches"][0]) == {"subject", "relation", "object", "score", "passage", "derivation"}


def test_nothing_matches_is_no_error(run):
    run("add", "Paris", "capital of", "France")
    assert run("query", "Zorblax Quimby>>residence>>")[:2] == (0, "Nothing matches.\n")
    assert json.loads(run("--json", "query", "Zorblax Quimby>>residence>>")[1])["matches"] == []


def test_what_was_forgotten_is_gone(run):
    run("add", "Zorblax Quimby", "residence", "Fenwick Hollow")
    status, out, _ = run("forget", "Zorblax Quimby", "--json")
    assert status == 0
    assert json.loads(out)["triples"] == 1
    assert run("query", "Zorblax Quimby>>residence>>")[1] == "Nothing matches.\n"


def test_one_triple_is_forgotten_by_its_three_names(run):
    run("add", "Anna", "residence", "Oslo")
    run("add", "Anna", "occupation", "baker")
    assert run("forget", "Anna", "residence", "Oslo")[0] == 0
    assert run("query", "Anna>>residence>>")[1] == "Nothing matches.\n"
    assert "baker" in run("query", "Anna>>occupation>>")[1]


def test_a_change_is_shown_and_undone(run):
    run("add", "Anna", "residence", "Oslo")
    changes = json.loads(run("history", "Anna", "--json")[1])["changes"]
    assert [change["added"][0]["object"] for change in changes] == ["Oslo"]
    assert run("undo")[0] == 0
    assert run("query", "Anna>>residence>>")[1] == "Nothing matches.\n"
    refused(run("undo", "4711"), "4711")


def test_undo_after_forget_is_refused_and_names_the_older_change(run):
    run("add", "Anna", "residence", "Oslo")
    run("add", "Bob", "residence", "Rome")
    run("forget", "Bob")
    refused(run("undo"), "erased")
    assert run("undo")[2].splitlines()[1] == "hint: undo 1 takes back the change before it"
    assert run("undo", "1")[0] == 0


def test_an_export_comes_back_by_import(run, tmp_path):
    run("add", "Anna", "residence", "Oslo")
    file = str(tmp_path / "memory.jsonl")
    assert run("export", file)[0] == 0
    run("forget", "Anna")
    assert json.loads(run("import", file, "--json")[1])["triples"] == 1
    assert "Oslo" in run("query", "Anna>>residence>>")[1]


def test_namespaces_are_walls(run):
    run("add", "Anna", "residence", "Oslo", "--namespace", "mine")
    assert run("query", "Anna>>residence>>", "--namespace", "yours")[1] == "Nothing matches.\n"
    assert "Oslo" in run("query", "Anna>>residence>>", "--namespace", "mine")[1]


def test_a_sound_memory_passes_the_doctor(run):
    run("add", "Anna", "residence", "Oslo")
    assert run("reindex")[0] == 0
    status, out, _ = run("doctor", "--json")
    assert (status, json.loads(out)["ok"]) == (0, True)


def test_a_backup_is_a_memory(run, tmp_path, capsys):
    run("add", "Paris", "capital of", "France")
    assert run("backup", str(tmp_path / "copy"))[0] == 0
    assert main(["--home", str(tmp_path / "copy"), "query", "Paris>>capital of>>"]) == 0
    capsys.readouterr()
    refused(run("backup", str(tmp_path / "copy")), "not empty")


@pytest.mark.parametrize("command", ["ask", "query", "forget", "history", "undo", "export", "backup", "reindex", "doctor"])
def test_reading_from_a_folder_that_is_not_there_is_refused(run, tmp_path, command):
    words = [] if command in ("undo", "reindex", "doctor") else ["Anna>>residence>>"]
    refused(run(command, *words), "no memory")
    assert not (tmp_path / "memory").exists()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, capsys):
    (tmp_path / "letters.txt").write_text("Dear Anna")
    status = main(["add", "Anna", "residence", "Oslo", "--home", str(tmp_path)])
    refused((status, *capsys.readouterr()), "not a memory")
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_file_as_folder_is_refused(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("x")
    refused((main(["query", "a>>b>>", "--home", str(file)]), *capsys.readouterr()), "not a folder")


def test_unusable_names_are_refused_and_nothing_is_written(run):
    run("add", "Anna", "residence", "Oslo")
    refused(run("add", "Anna", "residence", "x" * 10_000), "10000")
    refused(run("add", "Anna", " ", "Oslo"), "empty")
    refused(run("add", "Anna", "residence", "Os\x00lo"), "not text")
    refused(run("query", "Anna"), "position")
    refused(run("query", "Anna>>residence>>Oslo"), "unknown side")
    assert json.loads(run("doctor", "--json")[1])["counts"]["triples"] == 1


def test_marks_of_a_call_are_only_names(run):
    hostile = "({MEM_READ(Anna>>residence>>)-->"
    run("add", hostile, "residence", "a;b})")
    assert json.loads(run("query", r">>residence>>a\;b\})", "--json")[1])["answers"] == [hostile]


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_text_is_refused(run, text):
    refused(run("remember", text), "no text")


def test_binary_is_refused(run, monkeypatch):
    refused(run("remember", "a\x00b"), "not text")
    refused(run("remember", "caf\udce9"), "not text")
    monkeypatch.setattr(sys, "stdin", Input(b"\x89PNG\r\n\x1a\n\x00\x00"))
    refused(run("remember", "-"), "not UTF-8")
    monkeypatch.setattr(sys, "stdin", Input(b"plain\x00bytes"))
    refused(run("remember", "-"), "binary")


def test_too_much_text_is_refused(run, monkeypatch):
    refused(run("remember", "word " * (given.MAX_TEXT // 5 + 1)), "ingest")
    monkeypatch.setattr(sys, "stdin", Input("Größe ".encode() * given.MAX_TEXT))
    refused(run("remember", "-"), "200,000")


def test_an_unreadable_file_stops_ingest_before_anything_is_written(run, tmp_path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.bin"
    good.write_text("Anna lives in Oslo.")
    bad.write_bytes(b"\xff\xfe\x00")
    refused(run("ingest", str(good), str(bad)), "bad.bin")
    refused(run("ingest", str(tmp_path / "none.txt")), "cannot be read")
    assert not (tmp_path / "memory").exists()


def test_a_setting_that_cannot_be_read_is_named(run, monkeypatch):
    monkeypatch.setenv("MEMAGENT_THREADS", "many")
    refused(run("query", "a>>b>>"), "MEMAGENT_THREADS")


@pytest.mark.parametrize(
    "argv", [[], ["rember", "x"], ["add", "Anna"], ["forget", "Marie", "Curie"], ["undo", "x"], ["query", "a>>b>>", "--jsn"]]
)
def test_wrong_usage_is_status_two(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().out == ""


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert all(f"    {name}" in told for name in COMMANDS)


def test_a_look_up_loads_no_model(tmp_path):
    code = """if True:
        import sys
        from memagent.cli import main
        for argv in (["add", "Anna", "residence", "Oslo"], ["query", "Anna>>residence>>"], ["forget", "Anna"]):
            main([*argv, "--home", sys.argv[1]])
            print(*{"torch", "transformers", "langgraph"} & set(sys.modules), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "memory")], capture_output=True, text=True)
    assert done.stderr == "\n" * 3
    assert "Oslo" in done.stdout


def test_a_terminal_is_never_given_orders():
    assert visible("\x1b[2Jgone\u202eabc\nnext") == "\\x1b[2Jgone\\u202eabc next"
    assert visible("نمی‌دانم 👩‍👧 Zoë") == "نمی‌دانم 👩‍👧 Zoë"


class Input:
    """A standard input that holds these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = self
        self.data = data

    def read(self, size: int) -> bytes:
        return self.data[:size]
