"""What a suite gets to work with: agents with an empty memory each, the data folder, a limit, a seed, and processes that help.

The agents of a process share one loaded model; nothing that a case writes is there for the next one, and no cache of it either.
So a case has the same result whatever was run before it, and in whichever process.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from tqdm import tqdm

from evals.case import DataFile, MissingData, Outcome
from memagent import Agent, Match, Query, Reply, Settings, Triple
from memagent.model.seam import LanguageModel
from memagent.ontology import Ontology, default_ontology

Item = TypeVar("Item")
Result = TypeVar("Result")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of a process that is one of several


class Remembered(Protocol):
    """What the suites use of a `Memory`."""

    def add(self, triples: Iterable[Triple]) -> list[Triple]:
        """Write triples without a model."""

    def match(self, query: Query) -> list[Match]:
        """The stored and derived triples that fit."""


class Talker(Protocol):
    """What the suites use of an `Agent`."""

    @property
    def memory(self) -> Remembered:
        """Its memory."""

    @property
    def model(self) -> LanguageModel:
        """Its model."""

    def reply(self, text: str, *, thread: str = ..., speaker: str | None = ...) -> Reply:
        """Write what the person states, then answer."""

    def ask(self, question: str) -> Reply:
        """Answer without writing."""

    def remember(self, text: str, *, speaker: str | None = ..., source: str = ...) -> list[Triple]:
        """Write what the text states; `speaker=""` is running text, a source gives earlier texts of that source as context."""

    def forget(self, what: str) -> object:
        """Erase everything about a name."""

    def beside(self, namespace: str) -> AbstractContextManager[Talker]:
        """An agent over another namespace of the same memory."""


class FreshAgent(Protocol):
    """Opens an agent whose memory is empty."""

    def __call__(self, **changes: Any) -> AbstractContextManager[Talker]:
        """`changes` are settings in which it differs from the others."""


class EvaluatedAgent(Agent):
    """An agent that can open others in the same memory."""

    def beside(self, namespace: str) -> Self:
        """One over another namespace; it is closed before this one."""
        return type(self)(self.memory.in_namespace(namespace), self.settings, self.model)


@dataclass(frozen=True, slots=True)
class Bench:
    """`agent()` opens an agent whose memory is empty; `limit` is the number of cases, None for all.

    `thorough`: all cases, also those that take minutes. `crew`: processes among which `each` shares out the cases, None for this one alone;
    `jobs`: how many they are.
    """

    agent: FreshAgent
    ontology: Ontology = default_ontology()
    data: Path | None = None
    limit: int | None = None
    seed: int = 0
    thorough: bool = False
    crew: Executor | None = None
    jobs: int = 1

    def each(self, work: Callable[[Item, Bench], Result], cases: Sequence[Item], what: str) -> list[Result]:
        """`work(case, bench)` of every case, in their order; `work` is a function of a module, so that other processes find it."""
        if self.crew is None:
            return [work(case, self) for case in progress(cases, what)]
        alone = replace(self, crew=None)
        return list(progress(self.crew.map(partial(_work, work, alone), cases), what, len(cases)))

    def has(self, wanted: DataFile) -> bool:
        """Whether the file is in the data folder."""
        return self.data is not None and wanted.under(self.data) is not None

    def read(self, wanted: DataFile) -> bytes:
        """The file's content, unpacked.

        Raises:
            MissingData: it is not in the data folder, or there is no data folder.
        """
        path = wanted.under(self.data) if self.data is not None else None
        if path is None:
            raise MissingData.of(wanted)
        content = path.read_bytes()
        return lzma.decompress(content) if path.suffix == ".xz" else content

    def read_lines(self, wanted: DataFile) -> list[Any]:
        """The values of a file with one JSON document a line."""
        return [json.loads(line) for line in self.read(wanted).splitlines()]

    def digest(self, wanted: DataFile) -> str:
        """SHA-256 of the unpacked file, so that packing makes no difference."""
        return hashlib.sha256(self.read(wanted)).hexdigest()


def _work(work: Callable[[Item, Bench], Result], bench: Bench, case: Item) -> Result:
    return work(case, bench)


class Suite(Protocol):
    """One table, and the cases behind it."""

    @property
    def name(self) -> str:
        """What --suite calls it."""

    @property
    def needs(self) -> Sequence[DataFile]:
        """The files that it reads from --data."""

    def run(self, bench: Bench) -> Outcome:
        """Run all cases."""


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """`items` with a progress bar on standard error; silent where that is not a terminal."""
    bar: Iterable[Item] = tqdm(items, desc=what, total=total, leave=False, disable=None)
    return bar


# ---- agents and processes


@dataclass(frozen=True, slots=True)
class FreshAgents:
    """Opens agents, each in a home of its own that is removed when it closes; `model` stands in for that of the settings.

    Handed to another process, it loads the model there, on one thread.
    """

    settings: Settings
    model: LanguageModel | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FreshAgents, (self.settings.model_copy(update={"threads": 1}), self.model)

    @contextmanager
    def __call__(self, **changes: Any) -> Iterator[Talker]:
        """An agent under the settings with these changes."""
        settings = self.settings.model_copy(update=changes)
        with tempfile.TemporaryDirectory(prefix="memagent-evals-") as home:
            model = _without_caches(self.model or _loaded(self.settings))
            with EvaluatedAgent.open(home, settings=settings, model=model) as agent:
                yield agent


def fresh_agents(settings: Settings, model: LanguageModel | None = None) -> FreshAgents:
    """What opens agents under these settings."""
    return FreshAgents(settings, model)


@lru_cache(maxsize=1)
def _loaded(settings: Settings) -> LanguageModel:
    """The model of the settings, loaded once a process."""
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as home, Agent.open(home, settings=settings) as agent:
        return agent.model


def _without_caches(model: LanguageModel) -> LanguageModel:
    """The same weights, nothing kept of earlier texts: a prefix that is fed again gives figures that differ in the last digits."""
    if not hasattr(model, "pool"):
        return model
    afresh: Any = copy(model)
    afresh.pool = type(afresh.pool)()
    return afresh  # type: ignore[no-any-return]


def available_cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def crew(size: int) -> Iterator[Executor | None]:
    """So many processes, each of one thread, started anew (a fork would inherit the threads of torch and Chroma); None for one."""
    if size == 1:
        yield None
        return
    os.environ.update(ONE_THREAD)
    with ProcessPoolExecutor(size, mp_context=get_context("spawn")) as pool:
        yield pool
