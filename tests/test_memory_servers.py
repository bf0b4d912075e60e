"""A memory on servers: Chroma by URL beside either database, and several processes on one memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memagent import Query, Triple
from memagent.errors import MemoryFault
from memagent.memory import CharacterEmbedder, Memory

ROOT = Path(__file__).parent.parent
OTHER = """
import sys
from memagent import Query, Settings, Triple
from memagent.memory import CharacterEmbedder, Memory
settings = Settings(_env_file=None, database_url=sys.argv[2], chroma_url=sys.argv[3])
with Memory.open(sys.argv[1], settings=settings, embedder=CharacterEmbedder()) as memory:
    print([match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))])
    for number in range(20):
        memory.add([Triple(f"person {number}", "likes", "tea"), Triple("everybody", "likes", f"tea {number}")])
    memory.reindex()
"""


@pytest.fixture
def settings(memory_settings, chroma):
    return memory_settings.model_copy(update={"chroma_url": chroma})


def near(memory: Memory) -> list[str]:
    return [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))]


@pytest.mark.databases
def test_the_index_is_on_the_server(settings, memory_home, chroma):
    with Memory.open(memory_home, settings=settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Zorblax Quimby", "likes", "jazz"), Triple("Anna", "likes", "tea")])
        assert near(memory) == ["jazz"]
        assert memory.doctor().vectors == 4
        assert memory.reindex() == 4
        assert near(memory) == ["jazz"]
        assert memory.doctor().ok
        memory.forget("Zorblax Quimby")
        assert near(memory) == []
        assert memory.doctor().ok
        assert memory.doctor().vectors == 2
    assert not (memory_home / "chroma").exists()


def test_memories_on_one_server_are_apart(settings, tmp_path):
    with Memory.open(tmp_path / "one", settings=settings, embedder=CharacterEmbedder()) as one:
        one.add([Triple("Zorblax Quimby", "likes", "jazz")])
        assert near(one) == ["jazz"]
        one.backup(tmp_path / "copy")
        for folder, answers in (("two", []), ("copy", ["jazz"])):
            with Memory.open(tmp_path / folder, settings=settings, embedder=CharacterEmbedder()) as other:
                other.add([Triple("Bob", "likes", "tea")])
                assert near(other) == answers
                assert other.reindex() == 2 + 2 * len(answers)
                other.forget("Bob")
        assert near(one) == ["jazz"]
        assert one.doctor().ok


@pytest.mark.databases("postgresql")
def test_two_processes_share_a_memory(settings, memory_home):
    with Memory.open(memory_home, settings=settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
        assert near(memory) == ["jazz"]
        command = [sys.executable, "-c", OTHER, str(memory_home), str(settings.database_url), str(settings.chroma_url)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}) as other:
            for number in range(20):
                memory.add([Triple(f"person {number}", "likes", "milk"), Triple("everybody", "likes", f"milk {number}")])
            assert other.communicate()[0] == "['jazz']\n"
        assert other.returncode == 0
        assert near(memory) == ["jazz"]
        assert memory.count().triples == 81
        assert memory.count().entities == 2 + 20 + 2 + 1 + 40
        assert len(memory.match(Query("everybody", "likes", None), limit=99)) == 40
        assert memory.doctor().ok


def test_a_server_that_is_not_there_is_named(memory_settings, memory_home):
    away = memory_settings.model_copy(update={"chroma_url": "http://127.0.0.1:9"})
    with Memory.open(memory_home, settings=away, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna", "likes", "tea")])
        assert memory.match(Query("Anna", "likes", None))
        with pytest.raises(MemoryFault, match="Chroma server") as refused:
            near(memory)
    assert "MEMAGENT_CHROMA_URL" in refused.value.hint
    gone = memory_settings.model_copy(update={"database_url": "postgresql+psycopg://127.0.0.1:9/none"})
    pytest.importorskip("psycopg")
    with pytest.raises(MemoryFault, match="database server") as refused:
        Memory.open(memory_home, settings=gone, embedder=CharacterEmbedder())
    assert "MEMAGENT_DATABASE_URL" in refused.value.hint
