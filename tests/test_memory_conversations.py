"""The conversations that an agent keeps in the memory's folder: forgetting names and erases them, a backup takes them along."""

import json
import shutil

import pytest

from memagent import Agent, Triple
from memagent.cli import main
from memagent.errors import ForeignFolder
from memagent.memory import CharacterEmbedder, Memory, checkup
from memagent.memory.home import PARTIAL
from memagent.model.seam import ScriptedModel

LIVES = Triple("Zorblax Quimby", "residence", "Oslo")
TOLD = {"Zorblax Quimby lives in Oslo.": [LIVES], "Bob lives in Oslo.": [Triple("Bob", "residence", "Oslo")]}


def open_agent(home, settings):
    memory = Memory.open(home, settings=settings, embedder=CharacterEmbedder())
    return Agent(memory, settings, ScriptedModel(TOLD, {}))


@pytest.fixture
def agent(memory_home, memory_settings):
    with open_agent(memory_home, memory_settings) as opened:
        for number, text in enumerate((*TOLD, "I met Zorblax Quimby.")):
            opened.reply(text, thread=str(number))
        yield opened


def test_forgetting_names_the_conversations_in_which_it_was_said(agent):
    assert agent.forget(LIVES).conversations == ("default/0",)
    assert agent.forget("Bob").conversations == ("default/1",)
    assert agent.forget("zorblax quimby").conversations == ("default/0", "default/2")  # whatever the memory still knows
    assert agent.forget("nobody").conversations == ()


def test_forgetting_with_conversations_leaves_no_trace(agent, memory_home):
    agent.forget("Zorblax Quimby", with_conversations=True)
    assert agent.conversations_naming(["Oslo"]) == ["default/1"]
    assert [path.name for path in memory_home.rglob("*") if path.is_file() and b"zorblax" in path.read_bytes().lower()] == []


def test_the_command_names_and_erases_them(agent, memory_home, capsys, monkeypatch):
    monkeypatch.setenv("MEMAGENT_NAMESPACE", "default")
    agent.close()
    assert main(["--home", str(memory_home), "forget", "Bob"]) == 0
    assert "--with-conversations erases these too): default/1" in capsys.readouterr().out
    assert main(["--home", str(memory_home), "forget", "Bob", "--with-conversations", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conversations"] == ["default/1"]
    assert not any(b"Bob" in path.read_bytes() for path in memory_home.rglob("*") if path.is_file())


def test_a_backup_takes_the_conversations_along_while_they_go_on(agent, memory_settings, tmp_path):
    agent.memory.backup(tmp_path / "copy")
    agent.reply("This is not in the copy.", thread="later")
    with open_agent(tmp_path / "copy", memory_settings) as copy:
        assert copy.conversations_naming(["Zorblax Quimby"]) == ["default/0", "default/2"]
        assert copy.conversations_naming(["copy"]) == []
        assert copy.memory.triples() == agent.memory.triples()
        copy.reply("And this is only in the copy.", thread="0")
    assert agent.conversations_naming(["only"]) == []


def test_a_backup_that_was_broken_off_is_no_memory(memory, memory_settings, tmp_path, monkeypatch):
    memory.add([LIVES])
    with monkeypatch.context() as patched:
        patched.setattr(checkup.indexing, "mark_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            memory.backup(tmp_path / "copy")
    assert (tmp_path / "copy" / PARTIAL).exists()
    with pytest.raises(ForeignFolder, match="broken off"):
        Memory.open(tmp_path / "copy", settings=memory_settings)
    shutil.rmtree(tmp_path / "copy")
    memory.backup(tmp_path / "copy")
    with Memory.open(tmp_path / "copy", settings=memory_settings, embedder=CharacterEmbedder()) as copy:
        assert copy.triples() == [LIVES]
        assert copy.doctor().ok


def test_a_conversation_in_which_only_a_part_of_the_name_was_said_goes_too(agent):
    agent.memory.add([Triple("Anna Lund", "residence", "Oslo")])
    agent.reply("What did Anna say?", thread="one")
    agent.reply("Hello there.", thread="two")
    assert agent.forget("Anna Lund", with_conversations=True).conversations == ("default/one",)
    assert agent.conversations_naming(["Anna"]) == []
