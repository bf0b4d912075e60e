"""What can go wrong with a folder, a disk, a process: a clear error or a repair, nothing lost, nothing half written."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromadb.api.models.Collection import Collection
from chromadb.errors import InternalError

from memagent import Provenance, Query, Triple
from memagent.errors import ForeignFolder, MemoryFault, MemoryLocked, StorageFull
from memagent.memory import CharacterEmbedder, Counts, Memory, MiniLM, database, indexing
from memagent.memory.names import NameIndex

ROOT = Path(__file__).parent.parent
NOBODY = 65534
START = """
import os, sys
from memagent import Query, Settings, Triple
from memagent.memory import CharacterEmbedder, Memory
memory = Memory.open(sys.argv[1], settings=Settings(_env_file=None), embedder=CharacterEmbedder())
"""


def run(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", START + code, str(home)], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("where", [(NameIndex, "upsert"), (indexing, "_clear")])
def test_indexing_that_is_broken_off_is_finished(memory_home, memory_settings, monkeypatch, where):
    """The names are in SQL; their vectors are not in the index, or their marks not yet cleared."""
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna", "likes", "tea")])
        memory.match(Query("Annna", "likes", None))
        memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
        with monkeypatch.context() as patched:
            patched.setattr(*where, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                memory.match(Query("Zorblax Quimbly", "likes", None))
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        assert memory.doctor().pending == 2
        assert [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))] == ["jazz"]
        report = memory.doctor()
        assert (report.ok, report.pending, report.vectors) == (True, 0, 4)


@pytest.mark.parametrize("where", [(NameIndex, "delete"), (database.Database, "erase_traces")])
def test_forgetting_that_is_broken_off_is_finished(memory_home, memory_settings, monkeypatch, where):
    """SQL has forgotten, and the index or the files have not: the next opening sees to it."""
    told = Provenance("chat", "Zorblax Quimby likes jazz.")
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add(
            [Triple("Zorblax Quimby", "is fed up with", "jazz", provenance=(told,)), Triple("Bob", "likes", "jazz", provenance=(told,))]
        )
        memory.match(Query("Zorblax Quimbly", "is tired of", None))
        memory.passages("Quimby")
        with monkeypatch.context() as patched:
            patched.setattr(*where, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                memory.forget("Zorblax Quimby")
        assert memory.doctor().ok  # what is left to do is no fault
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        assert [path.name for path in memory_home.rglob("*") if path.is_file() and b"quimby" in path.read_bytes().lower()] == []
        report = memory.doctor()
        assert (report.ok, report.pending, report.vectors) == (True, 1, 2)
        assert [match.text for match in memory.passages("██████████████ likes jazz.")] == ["██████████████ likes jazz."]
        assert memory.doctor().ok


def test_nothing_goes_over_the_network(memory_home, memory_settings, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a host was looked up"))
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Zorblax Quimby", "likes", "tea", provenance=(Provenance("chat", "He likes tea."),))])
        assert memory.match(Query("Zorblax Quimbly", "likes", None))
        assert memory.passages("likes tea")
    assert MiniLM().embed(["tea"]).any()


def test_a_second_process_is_refused(memory, memory_home):
    done = run("", memory_home)
    assert done.returncode == 1
    assert "MemoryLocked" in done.stderr


def test_the_lock_error_has_the_hint(memory_home, memory_settings, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", START + "print('open', flush=True)\nsys.stdin.read()", str(memory_home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(MemoryLocked) as refused:
            Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder())
        assert "MEMAGENT_DATABASE_URL" in refused.value.hint
        assert "MEMAGENT_CHROMA_URL" in refused.value.hint
    finally:
        holder.communicate("")
    Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()).close()


def test_a_process_may_open_its_folder_twice(memory, memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as other:
        other.add([Triple("Anna", "likes", "tea")])
    assert len(memory.triples()) == 1
    memory.close()
    memory.close()
    with pytest.raises(MemoryFault, match="closed"):
        memory.triples()


def test_a_full_disk_writes_nothing_and_says_so(memory_home, memory_settings, monkeypatch):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna", "likes", "tea")])
    with monkeypatch.context() as patched:
        pages = (memory_home / "memory.sqlite").stat().st_size // 4096
        patched.setattr(database, "PRAGMAS", (*database.PRAGMAS, f"max_page_count={pages + 2}"))
        with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
            with pytest.raises(StorageFull, match="full"):
                memory.add([Triple(f"person {number} " + "x" * 900, "likes", "tea") for number in range(200)])
            assert memory.triples() == [Triple("Anna", "likes", "tea")]
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Bob", "likes", "tea")])
        assert len(memory.triples()) == 2
        assert memory.doctor().ok


@contextmanager
def powerless() -> Iterator[None]:
    """Root may write everywhere: meanwhile we are nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("held", [(), ("memory.sqlite",), ("memory.sqlite", "lock")])
def test_a_read_only_folder_is_refused_and_left_alone(memory_settings, held):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        home = Path(folder) / "memory"
        with Memory.open(home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
            memory.add([Triple("Anna", "likes", "tea")])
        for path in list(home.iterdir()):
            path.chmod(0o444) if path.name in held else path.unlink()
        home.chmod(0o555)
        with powerless(), pytest.raises(StorageFull) as refused:
            Memory.open(home, settings=memory_settings)
        assert refused.value.hint
        assert sorted(path.name for path in home.iterdir()) == sorted(held)
        home.chmod(0o755)


def test_a_read_only_database_says_so(memory_home, memory_settings, monkeypatch):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna", "likes", "tea")])
    monkeypatch.setattr(database, "PRAGMAS", (*database.PRAGMAS, "query_only=ON"))
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        with pytest.raises(StorageFull, match="read-only"):
            memory.add([Triple("Bob", "likes", "tea")])
        assert len(memory.triples()) == 1


def test_foreign_folders_and_files_are_refused(tmp_path, memory_settings):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for foreign in ("photos", "file"):
        with pytest.raises(ForeignFolder) as refused:
            Memory.open(tmp_path / foreign, settings=memory_settings)
        assert refused.value.hint
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_database_of_something_else_is_refused(tmp_path, memory_settings):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "memory.sqlite").write_text("this is no database, whatever its name says" * 99, encoding="utf-8")
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / "memory.sqlite") as connection:
        connection.execute("CREATE TABLE song (title TEXT)")
    connection.close()
    for foreign in ("text", "other"):
        with pytest.raises(ForeignFolder):
            Memory.open(tmp_path / foreign, settings=memory_settings)


def test_an_older_schema_is_brought_up_to_date(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add(
            [
                Triple("Anna", "likes", "tea"),
                Triple("Anna", "job", "baker", valid_to="2999"),
                Triple("Anna", "job", "cook", valid_to="1999"),
                Triple("Anna Lund", "residence", "Oslo"),
            ]
        )
        memory.note_passage(Provenance("chat", "Well."))
        before = memory.count()
    with sqlite3.connect(memory_home / "memory.sqlite") as connection:
        connection.executescript("DROP TABLE erasure; DROP INDEX triple_ending; DELETE FROM migration WHERE name > '2026-11 e';")
        connection.executescript("DROP INDEX name_first; DROP INDEX name_last;")
        connection.execute("INSERT INTO migration VALUES ('2026-11 first tables', 0)")
        for column in ("triples", "entities", "passages"):
            connection.execute(f"ALTER TABLE namespace DROP COLUMN {column}")
        for column in ("first_word", "last_word"):
            connection.execute(f"ALTER TABLE name DROP COLUMN {column}")
    connection.close()
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        assert memory.count() == before == Counts(3, 6, 3, 1)
        assert [match.answer for match in memory.match(Query("Lund", "residence", None))] == ["Oslo"]
        memory.forget("Anna")
        memory.forget("Anna Lund")
        assert memory.count() == Counts(passages=1)
        assert memory.doctor().ok


def test_a_wrong_tally_is_found_and_repaired(memory, memory_home):
    memory.add([Triple("Anna", "likes", "tea")])
    with sqlite3.connect(memory_home / "memory.sqlite") as connection:
        connection.execute("UPDATE namespace SET entities = 7")
    connection.close()
    assert memory.doctor().problems == ("2 entities are counted as 7; `reindex` repairs it",)
    memory.reindex()
    assert memory.doctor().ok


def test_a_newer_schema_is_refused_and_left_alone(memory_home, memory_settings):
    Memory.open(memory_home, settings=memory_settings).close()
    connection = sqlite3.connect(memory_home / "memory.sqlite")
    connection.execute("INSERT INTO migration (name, at) VALUES ('2999-01 from the future', 1)")
    connection.commit()
    connection.close()
    with pytest.raises(ForeignFolder, match="newer version") as refused:
        Memory.open(memory_home, settings=memory_settings)
    assert "upgrade" in refused.value.hint


def test_a_deleted_index_is_repaired(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
        memory.match(Query("Zorblax Quimbly", "likes", None))
    shutil.rmtree(memory_home / "chroma")
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        assert any("reindex" in problem for problem in memory.doctor().problems)
        assert memory.reindex() == 2
        assert memory.doctor().ok
        assert [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))] == ["jazz"]


def test_what_was_acknowledged_outlives_a_power_cut(memory_home, memory_settings, monkeypatch):
    """By what SQLite promises of its FULL, which a test cannot try."""
    monkeypatch.setattr(database, "PRAGMAS", database.PRAGMAS[:-1])  # without the haste of the tests
    with Memory.open(memory_home, settings=memory_settings) as memory, memory._space.database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_an_index_that_cannot_be_opened_is_named_and_opens_once_it_can(memory, memory_home):
    """Chroma on a full disk leaves something half started behind, in this process."""
    memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
    in_the_way = memory_home / "chroma" / "chroma.sqlite3"
    in_the_way.mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(MemoryFault, match="name index"):
            memory.match(Query("Zorblax Quimbly", "likes", None))
        (problem,) = memory.doctor().problems
        assert "name index" in problem
    in_the_way.rmdir()
    assert [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))] == ["jazz"]
    assert memory.doctor().ok


def test_a_search_while_chroma_makes_its_files_is_made_again(memory, monkeypatch):
    """What a Chroma server says to a reader that comes just then."""
    memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
    memory.match(Query("Zorblax Quimbly", "likes", None))
    said = ["Error creating hnsw segment reader: Nothing found on disk"] * 2
    query = Collection.query

    def hasty(*given, **more):
        if said:
            raise InternalError(said.pop())
        return query(*given, **more)

    monkeypatch.setattr(Collection, "query", hasty)
    assert [match.answer for match in memory.match(Query("Zorblax Quimbly", "likes", None))] == ["jazz"]
    said.append("something else")
    with pytest.raises(MemoryFault, match="something else"):
        memory.match(Query("Zorblax Quimbly", "likes", None))


def test_a_truncated_log_loses_at_most_its_tail(memory_home, memory_settings, tmp_path):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        for number in range(20):
            memory.add([Triple(f"person {number}", "likes", "tea")])
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("memory.sqlite", "memory.sqlite-wal"):
            shutil.copy(memory_home / name, copy / name)
    log = copy / "memory.sqlite-wal"
    log.write_bytes(log.read_bytes()[:-5000])
    with Memory.open(copy, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        assert memory.doctor().ok
        assert 10 <= memory.count().triples <= 20


def test_a_damaged_database_is_named(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple(f"person {number}", "likes", "tea") for number in range(500)])
    path = memory_home / "memory.sqlite"
    path.write_bytes(path.read_bytes()[: 4096 * 12])
    with pytest.raises(MemoryFault) as refused, Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.triples()
    assert "backup" in refused.value.hint


def test_a_backup_is_a_memory_of_its_own(memory, memory_settings, tmp_path):
    memory.add([Triple("Zorblax Quimby", "likes", "jazz")])
    memory.match(Query("Zorblax Quimbly", "likes", None))
    memory.backup(tmp_path / "copy")
    memory.add([Triple("Bob", "likes", "tea")])
    with Memory.open(tmp_path / "copy", settings=memory_settings, embedder=CharacterEmbedder()) as copy:
        assert copy.triples() == [Triple("Zorblax Quimby", "likes", "jazz")]
        assert [match.answer for match in copy.match(Query("Zorblax Quimbly", "likes", None))] == ["jazz"]
        assert copy.doctor().ok
