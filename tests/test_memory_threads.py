"""Eight threads that write and eight that read, at once: for a second, or for MEMAGENT_TEST_SECONDS (and `-s` to see how much they did)."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from memagent import Provenance, Query, Triple
from memagent.memory import CharacterEmbedder, Memory

pytestmark = pytest.mark.databases("sqlite", "postgresql", "servers")

SECONDS = float(os.environ.get("MEMAGENT_TEST_SECONDS", "1"))
THREADS = range(8)


def write(memory, thread: int, until: float) -> list[str]:
    """Add, supersede and forget; returns the names that are there to stay."""
    kept = []
    for number in count():
        if time.monotonic() > until:
            return kept
        name = f"person {thread} {number}"
        told = Provenance(f"source {thread}", f"{name} likes thing {number % 9}.", 0, 5)
        memory.add([Triple(name, "likes", f"thing {number % 9}", provenance=(told,)), Triple(name, "residence", "Oslo")])
        memory.add([Triple(name, "residence", "Rome")])
        if number % 10 == 3:
            memory.forget(name)
        else:
            kept.append(name)


def read(memory, thread: int, until: float) -> int:
    """Look around in every way; returns how many times."""
    for number in count():
        if time.monotonic() > until:
            return number
        name = f"person {thread} {number % 20}"
        homes = [match.answer for match in memory.match(Query(name, "residence", None))]
        assert homes in ([], ["Oslo"], ["Rome"])  # never both, never half of a write
        memory.match(Query(f"perso {thread} {number % 20}", "likes", None))
        memory.match(Query(None, "likes", f"thing {number % 9}"))
        memory.passages(f"{name} likes a thing.")
        memory.history(name)
        memory.count()
        memory.triples(limit=5)


def test_eight_writers_and_eight_readers(memory):
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(2 * len(THREADS)) as pool:
        writers = [pool.submit(write, memory, thread, until) for thread in THREADS]
        readers = [pool.submit(read, memory, thread, until) for thread in THREADS]
    reads = sum(reader.result() for reader in readers)
    kept = [name for writer in writers for name in writer.result()]
    print(f"{len(kept)} people written and kept, looked around {reads} times, in {SECONDS:.0f} s")
    for name in kept:
        assert [match.answer for match in memory.match(Query(name, "residence", None))] == ["Rome"]
        (likes,) = memory.match(Query(name, "likes", None))
        assert likes.provenance[0].passage == f"{name} likes {likes.answer}."
    assert memory.count().triples == 2 * len(kept)
    memory.reindex()
    report = memory.doctor()
    assert (report.problems, report.pending) == ((), 0)


@pytest.mark.databases("sqlite")
def test_a_backup_while_others_write_is_whole(memory, memory_settings, tmp_path):
    """Each call writes two triples: a copy has both or neither, and none that came after one that it has not."""
    done = threading.Event()

    def fill() -> int:
        for number in range(1000):
            if done.is_set():
                return number
            memory.add([Triple(f"person {number}", "likes", "tea"), Triple(f"person {number}", "residence", "Oslo")])
        return 1000

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(fill)
        while not memory.count().triples:
            time.sleep(0.01)
        for number in range(3):
            memory.backup(tmp_path / str(number))
        done.set()
        written = writer.result()
    sizes = []
    for number in range(3):
        with Memory.open(tmp_path / str(number), settings=memory_settings, embedder=CharacterEmbedder()) as copy:
            held = sorted((triple.subject, triple.relation) for triple in copy.triples())
            sizes.append(len(held))
            assert held == sorted((f"person {n}", relation) for n in range(len(held) // 2) for relation in ("likes", "residence"))
            assert copy.doctor().ok
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 2 * written
    assert sizes[-1] > 0
