"""A memory whose process is killed, again and again: python -m evals.crash [--points N] [--seed N].

A worker adds, supersedes, retracts, forgets, undoes, merges, searches and backs up, acknowledging each step, until it is killed (-9) at
a random moment. Then `doctor` must find nothing off; every step that was acknowledged must be there, and the one in which it died as
a whole or not at all; a backup that was acknowledged must be a sound memory. The next worker goes on with what is left.

The steps are a fixed sequence: step N does the same to the same memory. So a second memory, whose process lives, takes the same steps
and tells what should be there. Knows no model; the vectors are counts of trigrams. Exit status 1 if anything is off.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from memagent import Memory, Provenance, Query, Settings, Triple
from memagent.errors import InvalidInput, UndoRefused
from memagent.memory import CharacterEmbedder

POINTS = 200
STEPS = 12  # at most so many are acknowledged before a point
OPENING_S, STEP_S = 0.5, 0.03  # a worker is killed at most so long after its start, or after the last acknowledgement
PEOPLE = [f"{first} {last}" for first in ("Anna", "Bob", "Zoë", "Li") for last in ("Quimby", "Okafor", "de Vries", "王")]
PLACES = ["Oslo", "Rome", "New York", "Besançon", "Fenwick Hollow"]
Step = Callable[[Memory, random.Random], object]


class Lost(Exception):
    """What is not as it should be after a kill."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was survived: kills, acknowledged steps, backups, and kills after which the step at hand was there (`ahead`)."""

    points: int
    steps: int
    backups: int
    ahead: int

    def __str__(self) -> str:
        return (
            f"{self.points} kills, {self.steps} steps acknowledged and there, {self.backups} backups sound; "
            f"{self.ahead} times the step at hand was there too, else it was not begun"
        )


def crash(folder: Path, points: int, seed: int = 0, *, say: Callable[[str], None] = lambda line: None) -> Report:
    """Kill a memory in `folder` so many times.

    Raises:
        Lost: something was off after a kill.
    """
    draw = random.Random(seed)
    done = backups = ahead = 0
    with open_memory(folder / "reference") as reference:
        for point in range(points):
            acknowledged = _kill_one(folder, seed, done, draw)
            for number in range(done, acknowledged):
                take_step(reference, number, seed)
                backups += _sound_backup(folder / "backups" / str(number), reference)
            shutil.rmtree(folder / "backups", ignore_errors=True)
            more = examine(folder / "memory", reference, acknowledged, seed)
            ahead += more
            done = acknowledged + more
            say(f"{point + 1} of {points}: {done} steps")
    return Report(points, done - ahead, backups, ahead)


def _kill_one(folder: Path, seed: int, first: int, draw: random.Random) -> int:
    """Let a worker begin with step `first` and kill it; the number of the step after the last acknowledged one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["memagent.memory", "chromadb"])  # so that a worker starts at once
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=work, args=(folder, seed, first, theirs))
    worker.start()
    theirs.close()
    after, steps = first, draw.randrange(STEPS)
    with ours, suppress(EOFError):
        for _ in range(steps):
            after = ours.recv() + 1
        time.sleep(draw.uniform(0, STEP_S if steps else OPENING_S))
        worker.kill()
        while True:
            after = ours.recv() + 1
    worker.join()
    if worker.exitcode != -9:
        raise Lost(f"the worker stopped by itself in step {after}, see above")
    return after


def work(folder: Path, seed: int, first: int, acknowledge: Connection) -> None:
    """What a worker does until it is killed."""
    with open_memory(folder / "memory") as memory:
        for number in count(first):
            take_step(memory, number, seed, backup=folder / "backups" / str(number))
            acknowledge.send(number)


def examine(home: Path, reference: Memory, number: int, seed: int) -> bool:
    """Compare what a kill has left with the reference, which has not taken step `number`; whether that step is there too."""
    with open_memory(home) as memory:
        _must_be_sound(memory, f"before step {number}")
        found = state(memory)
        ahead = found != state(reference)
        if ahead:
            take_step(reference, number, seed)
        if found != state(reference):
            raise Lost(f"neither what was before step {number} nor what is after it: {home}")
        _must_be_sound(memory, f"after searching, at step {number}")
    return ahead


def _sound_backup(folder: Path, reference: Memory) -> bool:
    """Whether there is one; it is to hold what the reference holds."""
    if not folder.exists():
        return False
    with open_memory(folder) as copy:
        _must_be_sound(copy, f"backup {folder.name}")
        if state(copy) != state(reference):
            raise Lost(f"backup {folder.name} is not what the memory was")
    return True


def _must_be_sound(memory: Memory, when: str) -> None:
    if problems := memory.doctor().problems:
        raise Lost(f"{when}: {'; '.join(problems)}")


def state(memory: Memory) -> tuple[object, ...]:
    """Everything that a reader sees, but for times."""
    triples = memory.triples()
    names = dict.fromkeys(name for triple in triples for name in (triple.subject, triple.object))
    return (
        [(triple, triple.confidence, triple.valid_to is None, triple.provenance) for triple in map(_timeless, triples)],
        [memory.names(name) for name in names],
        [(c.number, c.kind, c.undone_by, c.names, *map(_timeless, (*c.added, *c.ended))) for c in memory.history(limit=20)],
        [[match.answer for match in memory.match(Query(_misspelt(name), "likes", None))] for name in PEOPLE[:4]],
        {match.text for match in memory.passages("likes", k=100)},
        memory.recent_passages(100),
        memory.count(),
    )


def _timeless(triple: Triple) -> Triple:
    return Triple(triple.subject, triple.relation, triple.object, triple.confidence, provenance=triple.provenance)


# The steps


def take_step(memory: Memory, number: int, seed: int, *, backup: Path | None = None) -> None:
    """Step `number`; without a folder for it, a backup is left out."""
    draw = random.Random(f"{seed} {number}")
    (step,) = draw.choices(list(LOAD), list(LOAD.values()))
    with suppress(InvalidInput, UndoRefused):  # refused alike wherever it is tried
        step(memory, draw)
    if backup is not None and draw.random() < BACKUP:
        shutil.rmtree(backup, ignore_errors=True)
        memory.backup(backup)


def _add(memory: Memory, draw: random.Random) -> None:
    people = draw.sample(PEOPLE, 3)
    told = Provenance("chat", f"{people[0]} likes {draw.choice(PLACES)}, {people[1]} does not.", 0, 5, "user")
    likes = [
        Triple(person, draw.choice(("likes", "visited", "owes money to")), draw.choice(PLACES), provenance=(told,)) for person in people
    ]
    memory.add([*likes, Triple(people[0], "friend", people[1])])


def _supersede(memory: Memory, draw: random.Random) -> None:
    memory.add([Triple(draw.choice(PEOPLE), "residence", draw.choice(PLACES))])


def _retract(memory: Memory, draw: random.Random) -> None:
    memory.retract(_any_triple(memory, draw))


def _forget(memory: Memory, draw: random.Random) -> None:
    memory.forget(draw.choice(PEOPLE) if draw.random() < 0.5 else _any_triple(memory, draw))


def _undo(memory: Memory, draw: random.Random) -> None:
    memory.undo()


def _merge(memory: Memory, draw: random.Random) -> None:
    memory.merge(*draw.sample(PEOPLE, 2))


def _split(memory: Memory, draw: random.Random) -> None:
    person = draw.choice(PEOPLE)
    memory.split(person, memory.names(person)[1:])


def _alias(memory: Memory, draw: random.Random) -> None:
    memory.add_alias(draw.choice(PEOPLE), f"nickname {draw.randrange(10**6)}")


def _note(memory: Memory, draw: random.Random) -> None:
    memory.note_passage(Provenance("chat", f"{draw.choice(PEOPLE)} said nothing {draw.randrange(100)} times."))


def _match(memory: Memory, draw: random.Random) -> None:
    memory.match(Query(_misspelt(draw.choice(PEOPLE)), draw.choice(("likes", "is fond of")), None))


def _passages(memory: Memory, draw: random.Random) -> None:
    memory.passages(draw.choice(PLACES))


def _reindex(memory: Memory, draw: random.Random) -> None:
    memory.reindex()


def _any_triple(memory: Memory, draw: random.Random) -> Triple:
    return draw.choice(memory.triples(limit=50) or [Triple("nobody", "likes", "nothing")])


def _misspelt(name: str) -> str:
    return f"{name}e"


LOAD: dict[Step, int] = {  # how often each
    _add: 6, _supersede: 4, _retract: 2, _forget: 3, _undo: 3, _merge: 2, _split: 1, _alias: 1, _note: 1, _match: 3, _passages: 2,
    _reindex: 1,
}  # fmt: skip
BACKUP = 0.1  # of the steps are followed by a backup


def open_memory(home: Path) -> Memory:
    """With the defaults, whatever the environment says."""
    settings = Settings(database_url=None, chroma_url=None, ontology_file=None, ontology="open", namespace="default")
    return Memory.open(home, settings=settings, embedder=CharacterEmbedder())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    options = argparse.ArgumentParser(prog="python -m evals.crash", description="Kill a memory at random moments and look what is left.")
    options.add_argument("--points", type=int, default=POINTS, metavar="N", help=f"kills ({POINTS})")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="for the load and the moments (0)")
    given = options.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="memagent-crash-"))
    started = time.monotonic()
    try:
        report = crash(folder, given.points, given.seed, say=partial(print, file=sys.stderr, flush=True))
    except Lost as lost:
        print(f"{lost} (seed {given.seed}, {folder})", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"{report} ({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
