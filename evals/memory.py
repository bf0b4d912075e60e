"""How fast, how large and how right the memory is as it grows, beside others on the same triples, in the same run.

Knows no model. The triples are people and things with near-identical neighbours (another number, one letter more, a relation of
nearly the same name), so that only the right one answers. Sizes are 1 k, 10 k, 100 k, 1 M up to --limit (default: 10 k); each case is
told on standard error as soon as it is measured.

The others: `paper` is MemLLM's matching loop (section 3 of the paper: every candidate entity with every candidate relation, one
look-up each), `InMemoryStore` is LangGraph's with the same embeddings, `chroma` has one document a triple, `networkx` a graph in
memory, by exact name only.

Embedding in bulk is the same for all and reported apart: no time of adding has it in it. The vectors of names are MiniLM's at every
size. Those of whole triples (`InMemoryStore`, `chroma`) are so up to `EMBEDDED` of them; above, where these would take hours, counts of
trigrams of the same size (20 us each): `vectors` says which. Where a question is embedded, its time is that of the search
(`search_p50_ms`) and that of MiniLM for one name, measured in the same run. What the memory takes for a name that nobody has written is
compared with what cannot be done without: that embedding, and the bare query of its index. Timings are in `cases` of the JSON document,
in milliseconds; the notes are the table. The scores are shares of right answers: `precision` of what came back, `recall` of what should
have, `first` of what came back first; for names as written, and misspelt. Names as written are drawn from all; those that are misspelt
are at every size the same, so that only what lies around them grows.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from evals.bench import Bench
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.rivals import Asked, BareIndex, ChromaDocuments, Fact, Graph, PaperLoop, Rival, StoreOfItems
from evals.scoring import precision, score, share_counts
from memagent import Memory, Query, Settings, Triple
from memagent.memory import CharacterEmbedder, MiniLM

SIZES = (1_000, 10_000, 100_000, 1_000_000)
USUAL = 10_000
EMBEDDED = 10_000  # triples that are embedded by MiniLM as a whole, at 200 a second
QUESTIONS = 300
FEW = 30  # questions where each takes long, and names embedded one by one
NEAR = 300  # entities that a name which nobody has written is compared with
BULK = 20_000  # triples of one `add`
ONLINE = 500
RELATIONS = (  # sixteen, near to one another
    "likes", "dislikes", "wants", "owns", "work location", "residence", "hometown", "place of birth", "place of death", "employer",
    "occupation", "favourite food", "favourite drink", "hobby", "plays sport", "owes money to",
)  # fmt: skip
OWES = "owes a favour to"
FIRST = ("Anna", "Anne", "Bob", "Rob", "Clara", "Klara", "Dmitri", "Dimitri", "Eve", "Eva", "Farid", "Hugo")
LAST = ("Meyer", "Meier", "Okafor", "Okafar", "Quimby", "Quimbly", "Larsen", "Larson", "Novak", "Nowak", "Silva", "Sylva")
Answers = Callable[[str, str], list[str]]
Found = list[tuple[list[str], str]]  # what came back for each question, and what is right
Measured = tuple[CaseResult, Found, Found]  # with the answers for names as written, and misspelt


@dataclass(frozen=True, slots=True)
class MemorySuite:
    """The suite."""

    name: str = "memory"
    needs: tuple[DataFile, ...] = ()

    def run(self, bench: Bench) -> Outcome:
        """Measure every size up to the limit."""
        sizes = [size for size in SIZES if size <= (bench.limit or USUAL)] or [bench.limit or USUAL]
        minilm = Asked(MiniLM(), keep=True)
        cases: list[CaseResult] = []
        rows = []
        for size in sizes:
            facts = made_facts(size)
            minilm_ms, names_per_s = _embedding(minilm, facts, bench.seed)
            whole = minilm if size <= EMBEDDED else Asked(CharacterEmbedder(minilm.size), keep=False)
            ask, ask_whole = Asking(minilm, minilm_ms), Asking(whole, minilm_ms)
            for case, exact, near in chain(_ours(facts, ask, bench.seed), _others(facts, ask, ask_whole, bench.seed)):
                cases.append(replace(case, details={**case.details, "minilm_ms": minilm_ms, "minilm_names_per_s": names_per_s}))
                rows += [Row(case.name, _scores(exact, bench.seed)), Row(f"{case.name}, misspelt", _scores(near, bench.seed))]
                print(_note(cases[-1], cases), file=sys.stderr, flush=True)
        return Outcome(rows, cases, tuple(_notes(cases)))


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks and looks at the clock; `minilm_ms` is what stands for the embedding of a question."""

    embedder: Asked
    minilm_ms: float

    def __call__(self, asked: Sequence[Fact], answers: Answers) -> tuple[dict[str, float], Found]:
        """Milliseconds a question, and what came back beside what is right; the first tenth is asked twice, to warm up."""
        for subject, relation, _ in asked[: max(1, len(asked) // 10)]:
            answers(subject, relation)
        times, embeds = [], False
        found: Found = []
        for subject, relation, right in asked:
            self.embedder.asked_s = 0.0
            started = time.perf_counter()
            got = answers(subject, relation)
            times.append(1000 * (time.perf_counter() - started - self.embedder.asked_s))
            embeds |= self.embedder.asked_s > 0
            found.append((got, right))
        more = self.minilm_ms if embeds else 0.0
        search, slow = statistics.median(times), sorted(times)[int(0.95 * len(times))]
        return {"p50_ms": search + more, "p95_ms": slow + more, "search_p50_ms": search}, found


def made_facts(size: int) -> list[Fact]:
    """So many triples, each of another meaning: sixteen a person, whose names differ in a letter or a word; forty people share a thing.

    A larger size begins with the triples of a smaller one.
    """
    people = [f"{FIRST[n % 12]} {LAST[n // 12 % 12]} {_word(n // 144)}" for n in range(size // 16 + 1)]
    return [(people[n // 16], RELATIONS[n % 16], f"{RELATIONS[n % 4]} {_word(n // 640 * 16 + n % 16)}") for n in range(size)]


def _word(number: int) -> str:
    """A pronounceable word of its own for every number."""
    word = ""
    number += 100
    while number:
        number, place = divmod(number, 100)
        word += "bcdfghjklmnprstvwxyz"[place // 5] + "aeiou"[place % 5]
    return word.capitalize()


def _embedding(minilm: Asked, facts: Sequence[Fact], seed: int) -> tuple[float, float]:
    """Embed all names in bulk; how many milliseconds MiniLM takes for one that is asked for, and how many a second in bulk."""
    names = [_misspelt(fact)[0] for fact in _drawn(facts, FEW, seed)]
    minilm.embed(names[:1])
    held = len(minilm)
    bulk = timed(partial(minilm.prepare, [name for fact in facts for name in (fact[0], fact[2])]))
    single = [1000 * timed(partial(minilm.embed, [name])) for name in names]
    return statistics.median(single), (len(minilm) - held) / bulk


def _ours(facts: Sequence[Fact], ask: Asking, seed: int) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        triples = [Triple(*fact) for fact in facts]
        before = resident_mb()
        with Memory.open(Path(folder) / "memory", settings=_settings(), embedder=ask.embedder) as memory:
            memory.add(Triple("nobody", relation, "nothing") for relation in (*RELATIONS, OWES))  # the ontology's vectors are made here
            adding = timed(lambda: [memory.add(triples[first : first + BULK]) for first in range(0, len(triples), BULK)])
            times, exact = ask(_drawn(facts, QUESTIONS, seed), partial(_answers, memory))
            details = {
                "size": len(facts),
                "vectors": ask.embedder.name,
                "bulk_per_s": len(facts) / adding,
                "online_per_s": _online(memory, facts, seed),
                "count_ms": 1000 * timed(memory.count),
                **times,
            }
            more, near = _by_new_name(memory, ask, facts, seed)
            details |= {**more, "memory_mb": resident_mb() - before, "disk_mb": disk_mb(Path(folder))}
        yield CaseResult(f"memagent {len(facts):,}", "memagent", details), exact, near


def _by_new_name(memory: Memory, ask: Asking, facts: Sequence[Fact], seed: int) -> tuple[dict[str, float], Found]:
    """The time for a name that nobody has written, beside what it cannot do without: its embedding, and the bare query."""
    indexing = timed(memory.reindex)
    asked = _misspelt_ones(facts, QUESTIONS, seed)
    whole, near = ask(asked, partial(_answers, memory))
    bare = BareIndex(memory.home / "chroma")
    needed, _ = ask(asked, lambda subject, _: [str(bare.query(ask.embedder.embed([subject])[0], NEAR))])
    bare.close()
    times = {"new_name_p50_ms": whole["p50_ms"], "bare_query_p50_ms": needed["p50_ms"]}
    return {"indexing_s": indexing, **times, "new_name_ratio": whole["p50_ms"] / needed["p50_ms"]}, near


def _others(facts: Sequence[Fact], ask: Asking, ask_whole: Asking, seed: int) -> Iterator[Measured]:
    makers: tuple[tuple[Asking, Callable[[Path], Rival]], ...] = (
        (ask, lambda _: PaperLoop(ask.embedder, RELATIONS)),
        (ask, lambda _: Graph()),
        (ask_whole, lambda _: StoreOfItems(ask_whole.embedder)),
        (ask_whole, lambda folder: ChromaDocuments(ask_whole.embedder, folder)),
    )
    ask_whole.embedder.prepare([" ".join(fact) for fact in facts])
    for asking, make in makers:
        yield _measured(make, facts, asking, seed)


def _measured(make: Callable[[Path], Rival], facts: Sequence[Fact], ask: Asking, seed: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        before = resident_mb()
        rival = make(Path(folder))
        name = f"{rival.name} {len(facts):,}"
        adding = timed(partial(rival.add, facts))
        count = QUESTIONS if rival.quick else FEW
        times, exact = ask(_drawn(facts, count, seed), rival.answers)
        _, near = ask(_misspelt_ones(facts, count, seed), rival.answers)
        details = {"size": len(facts), "vectors": ask.embedder.name, "bulk_per_s": len(facts) / adding, **times}
        details |= {"memory_mb": resident_mb() - before, "disk_mb": disk_mb(Path(folder))}
        rival.close()
        return CaseResult(name, rival.name, details), exact, near


def _drawn(facts: Sequence[Fact], count: int, seed: int) -> list[Fact]:
    """Triples to ask for, drawn with the seed."""
    return random.Random(seed).sample(facts, min(count, len(facts)))


def _misspelt_ones(facts: Sequence[Fact], count: int, seed: int) -> list[Fact]:
    """Such as every size has, with a slip in the name."""
    return [_misspelt(fact) for fact in _drawn(facts[: SIZES[0]], count, seed)]


def _misspelt(fact: Fact) -> Fact:
    return f"{fact[0]}e", fact[1], fact[2]


def _answers(memory: Memory, subject: str, relation: str) -> list[str]:
    return [match.answer for match in memory.match(Query(subject, relation, None))]


def _online(memory: Memory, facts: Sequence[Fact], seed: int) -> float:
    """Durable adds a second, one triple each, of names that are known."""
    rng = random.Random(seed + 2)
    fresh = [Triple(rng.choice(facts)[0], OWES, rng.choice(facts)[0]) for _ in range(ONLINE)]
    memory.add(fresh[:1])
    return ONLINE / timed(lambda: [memory.add([triple]) for triple in fresh])


def _scores(found: Found, seed: int) -> dict[str, Any]:
    precise = [share_counts(got.count(right), len(got)) for got, right in found]
    recalled = [share_counts(int(right in got), 1) for got, right in found]
    first = [share_counts(int(got[:1] == [right]), 1) for got, right in found]
    return (
        {
            "precision": score(precise, precision, seed=seed),
            "recall": score(recalled, seed=seed),
            "first": score(first, seed=seed),
        }
        if found
        else {}
    )


def _notes(cases: Sequence[CaseResult]) -> Iterator[str]:
    for case in cases:
        yield _note(case, cases)
    yield f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}; compare ratios, not milliseconds"


def _note(case: CaseResult, cases: Sequence[CaseResult]) -> str:
    """One case in words; the usual size of its kind, if it is among `cases`, is what it is measured against."""
    known = case.details
    base = next((other.details["p50_ms"] for other in cases if (other.kind, other.details["size"]) == (case.kind, USUAL)), None)
    ratio = "" if base is None or known["size"] <= USUAL else f" ({known['p50_ms'] / base:.2f}x that at 10 k)"
    said = [
        f"p50 {known['p50_ms']:.3f} ms{ratio}, p95 {known['p95_ms']:.3f} ms, searching {known['search_p50_ms']:.3f} ms",
        f"{known['bulk_per_s']:,.0f} triples/s in bulk",
    ]
    if "new_name_ratio" in known:
        said += [
            f"{known['online_per_s']:,.0f}/s one by one, count {known['count_ms']:.1f} ms, indexed in {known['indexing_s']:,.0f} s",
            f"a new name {known['new_name_p50_ms']:.1f} ms, {known['new_name_ratio']:.2f}x its embedding and the bare query",
            f"embedding {known['minilm_ms']:.1f} ms a question, {known['minilm_names_per_s']:,.0f} names/s in bulk",
        ]
    return f"{case.name}: {', '.join(said)}, {known['memory_mb']:,.0f} MB memory, {known['disk_mb']:,.0f} MB disk"


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def resident_mb() -> float:
    """The memory that the process has now, in MB; where the system does not tell, the most that it has had."""
    gc.collect()
    with suppress(OSError, AttributeError):  # what was freed goes back to the system, where the library can be told so
        ctypes.CDLL(None).malloc_trim(0)
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
