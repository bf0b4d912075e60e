"""How fast, how large and how right the memory is as it grows, beside others on the same triples, in the same run.

Knows no model. The triples are people and things with near-identical neighbours (another number, one letter more, a relation of
nearly the same name), so that only the right one answers. Sizes are 1 k, 10 k, 100 k, 1 M up to --limit (default: 10 k).
The others: `paper` is MemLLM's matching loop (section 3 of the paper: every candidate entity with every candidate relation, one
look-up each), `InMemoryStore` is LangGraph's with the same embeddings, `chroma` has one document a triple, `networkx` a graph
in memory, by exact name only. What embeds every triple is left out above `EMBEDDED` triples (`--limit 1000000`: above 100 k).

Adding is timed without the embedding, which is the same for all. Timings are in `cases` of the JSON document, in milliseconds; the
notes are the table. The scores are shares of right answers: `precision` of what came back, `recall` of what should have.
"""

from __future__ import annotations

import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from evals.bench import Bench
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.rivals import ChromaDocuments, Fact, Graph, PaperLoop, Remembering, Rival, StoreOfItems
from evals.scoring import score, share_counts
from memagent import Memory, Query, Settings, Triple
from memagent.memory import Embedder, MiniLM

SIZES = (1_000, 10_000, 100_000, 1_000_000)
USUAL = 10_000
EMBEDDED = 1_000  # triples that the others embed, at about 200 texts a second
QUESTIONS = 300
NEW_NAMES = 30
BULK = 20_000  # triples of one `add`
ONLINE = 200
RELATIONS = ("likes", "dislikes", "owns", "friend", "work location", "residence", "place of birth", "owes money to")
OWES = "owes a favour to"
FIRST = ("Anna", "Anne", "Bob", "Rob", "Clara", "Klara", "Dmitri", "Dimitri", "Eve", "Eva", "Farid", "Hugo")
LAST = ("Meyer", "Meier", "Okafor", "Okafar", "Quimby", "Quimbly", "Larsen", "Larson", "Novak", "Nowak", "Silva", "Sylva")
Answers = Callable[[str, str], list[str]]
Found = list[tuple[list[str], str]]  # what came back for each question, and what is right


@dataclass(frozen=True, slots=True)
class MemorySuite:
    """The suite."""

    name: str = "memory"
    needs: tuple[DataFile, ...] = ()

    def run(self, bench: Bench) -> Outcome:
        """Measure every size up to the limit."""
        sizes = [size for size in SIZES if size <= (bench.limit or USUAL)] or [bench.limit or USUAL]
        embedded = SIZES[-2] if sizes[-1] == SIZES[-1] else EMBEDDED
        embedder = Remembering(MiniLM())
        cases, rows = [], []
        for size in sizes:
            facts = made_facts(size)
            for case, found in (*_ours(facts, embedder, embedded, bench.seed), *_others(facts, embedder, embedded, bench.seed)):
                cases.append(case)
                rows.append(Row(case.name, _scores(found, bench.seed)))
        return Outcome(rows, cases, tuple(_notes(cases)))


def made_facts(size: int) -> list[Fact]:
    """So many triples, each of another meaning: four a person, whose names differ in a letter or a number."""
    people = [f"{FIRST[n % 12]} {LAST[n // 12 % 12]} {_word(n // 144)}" for n in range(size // 4 + 1)]
    return [(people[n // 4], RELATIONS[n % 4 + 4 * (n // 4 % 2)], f"{RELATIONS[n % 4]} {_word(n)}") for n in range(size)]


def _word(number: int) -> str:
    """A pronounceable word of its own for every number."""
    word = ""
    number += 100
    while number:
        number, place = divmod(number, 100)
        word += "bcdfghjklmnprstvwxyz"[place // 5] + "aeiou"[place % 5]
    return word.capitalize()


def _ours(facts: Sequence[Fact], embedder: Embedder, embedded: int, seed: int) -> Iterator[tuple[CaseResult, Found]]:
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        before = resident_mb()
        with Memory.open(Path(folder) / "memory", settings=_settings(), embedder=embedder) as memory:
            triples = [Triple(*fact) for fact in facts]
            memory.add(Triple("nobody", relation, "nothing") for relation in (*RELATIONS, OWES))  # the ontology's vectors are made here
            seconds = timed(lambda: [memory.add(triples[first : first + BULK]) for first in range(0, len(triples), BULK)])
            asked = questions(facts, seed)
            exact, found = _latencies(asked, lambda subject, relation: _answers(memory, subject, relation))
            online = _online(memory, facts, seed)
            counting = 1000 * timed(memory.count)
            details = {
                "size": len(facts),
                "bulk_per_s": len(facts) / seconds,
                "online_per_s": online,
                "count_ms": counting,
                **exact,
                "memory_mb": resident_mb() - before,
                "disk_mb": disk_mb(Path(folder)),
            }
            if len(facts) <= embedded:
                details |= _by_new_name(memory, embedder, facts, seed)
        yield CaseResult(f"memagent {len(facts):,}", "memagent", details), found


def _by_new_name(memory: Memory, embedder: Embedder, facts: Sequence[Fact], seed: int) -> dict[str, float]:
    """The time of a name that nobody has written, beside the embedding of it and the bare query that it cannot do without."""
    indexing = timed(memory.reindex)
    names = [f"{subject}e" for subject, _, _ in random.Random(seed + 1).sample(list(facts), min(NEW_NAMES, len(facts)))]
    whole, _ = _latencies([(name, "likes", "") for name in names], lambda subject, relation: _answers(memory, subject, relation))
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        bare = ChromaDocuments(embedder, Path(folder), texts=lambda fact: fact[0])
        bare.add(list({fact[0]: fact for fact in facts}.values()) + [(fact[2], "", "") for fact in facts])
        needed, _ = _latencies([(name, "", "") for name in names], lambda subject, _: bare.near(subject, 300))
        bare.close()
    return {"new_name_p50_ms": whole["p50_ms"], "new_name_ratio": whole["p50_ms"] / needed["p50_ms"], "indexing_s": indexing}


def _others(facts: Sequence[Fact], embedder: Embedder, embedded: int, seed: int) -> Iterator[tuple[CaseResult, Found]]:
    embedding: tuple[Callable[[Path], Rival], ...] = (
        lambda _: PaperLoop(embedder, RELATIONS),
        lambda _: StoreOfItems(embedder),
        lambda folder: ChromaDocuments(embedder, folder),
    )
    if len(facts) <= embedded:  # so that none of them pays for what the others get
        embedder.embed([name for fact in facts for name in (fact[0], fact[2], " ".join(fact))])
    in_memory: tuple[Callable[[Path], Rival], ...] = (lambda _: Graph(),)
    for make in (embedding if len(facts) <= embedded else ()) + in_memory:
        with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
            before = resident_mb()
            rival = make(Path(folder))
            seconds = timed(partial(rival.add, facts))
            asked = questions(facts, seed)[: QUESTIONS if rival.quick else NEW_NAMES]
            times, found = _latencies(asked, rival.answers)
            details = {"size": len(facts), "bulk_per_s": len(facts) / seconds, **times}
            details |= {"memory_mb": resident_mb() - before, "disk_mb": disk_mb(Path(folder))}
            rival.close()
            yield CaseResult(f"{rival.name} {len(facts):,}", rival.name, details), found


def questions(facts: Sequence[Fact], seed: int) -> list[Fact]:
    """Triples to ask for, drawn with the seed."""
    return random.Random(seed).sample(list(facts), min(QUESTIONS, len(facts)))


def _answers(memory: Memory, subject: str, relation: str) -> list[str]:
    return [match.answer for match in memory.match(Query(subject, relation, None))]


def _latencies(asked: Sequence[Fact], answers: Answers) -> tuple[dict[str, float], Found]:
    """Milliseconds a question, and what came back beside what is right; the first tenth is a warm-up and asked again."""
    for subject, relation, _ in asked[: max(1, len(asked) // 10)]:
        answers(subject, relation)
    times, found = [], []
    for subject, relation, right in asked:
        started = time.perf_counter()
        got = answers(subject, relation)
        times.append(1000 * (time.perf_counter() - started))
        found.append((got, right))
    return {"p50_ms": statistics.median(times), "p95_ms": sorted(times)[int(0.95 * len(times))]}, found


def _online(memory: Memory, facts: Sequence[Fact], seed: int) -> float:
    """Durable adds a second, one triple each, of names that are known."""
    rng = random.Random(seed + 2)
    fresh = [Triple(rng.choice(facts)[0], OWES, rng.choice(facts)[0]) for _ in range(ONLINE)]
    memory.add(fresh[:1])
    return ONLINE / timed(lambda: [memory.add([triple]) for triple in fresh])


def _scores(found: Found, seed: int) -> dict[str, Any]:
    precise = [share_counts(got.count(right), len(got)) for got, right in found]
    recalled = [share_counts(int(right in got), 1) for got, right in found]
    return {"precision": score(precise, seed=seed), "recall": score(recalled, seed=seed)}


def _notes(cases: Sequence[CaseResult]) -> Iterator[str]:
    base = {case.kind: case.details["p50_ms"] for case in cases if case.details["size"] == USUAL}
    for case in cases:
        known = case.details
        ratio = f" ({known['p50_ms'] / base[case.kind]:.2f}x that at 10 k)" if case.kind in base else ""
        said = f"{case.name}: p50 {known['p50_ms']:.3f} ms{ratio}, p95 {known['p95_ms']:.3f} ms"
        said += f", {known['bulk_per_s']:,.0f} triples/s in bulk"
        if "online_per_s" in known:
            said += f", {known['online_per_s']:,.0f}/s one by one, count {known['count_ms']:.1f} ms"
        if "new_name_ratio" in known:
            said += f", a new name {known['new_name_p50_ms']:.1f} ms ({known['new_name_ratio']:.2f}x embedding and bare query)"
        yield f"{said}, {known['memory_mb']:.0f} MB memory, {known['disk_mb']:.0f} MB disk"
    yield f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}; compare ratios, not milliseconds"


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def resident_mb() -> float:
    """The memory that the process has now, in MB; where the system does not tell, the most that it has had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 1e6


def disk_mb(folder: Path) -> float:
    """What is in the folder, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _settings() -> Settings:
    return Settings(database_url=None, chroma_url=None, ontology_file=None, ontology="open", namespace="default")
