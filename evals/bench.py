"""What a suite gets to work with: agents with an empty memory each, the data folder, a limit, a seed.

The agents share one loaded model; nothing that a case writes is there for the next one.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from evals.case import DataFile, MissingData, Outcome
from memagent import Agent, Reply, Settings, Triple
from memagent.model.seam import LanguageModel
from memagent.ontology import Ontology, default_ontology

Item = TypeVar("Item")


class Talker(Protocol):
    """What the suites use of an `Agent`."""

    def reply(self, text: str, *, thread: str = ..., speaker: str | None = ...) -> Reply:
        """Write what the person states, then answer."""

    def ask(self, question: str) -> Reply:
        """Answer without writing."""

    def remember(self, text: str, *, speaker: str | None = ..., source: str = ...) -> list[Triple]:
        """Write what the text states; `speaker=""` is running text, a source gives earlier texts of that source as context."""

    def forget(self, what: str) -> object:
        """Erase everything about a name."""


FreshAgent = Callable[[], AbstractContextManager[Talker]]


@dataclass(frozen=True, slots=True)
class Bench:
    """`agent()` opens an agent whose memory is empty; `limit` is the number of cases, None for all."""

    agent: FreshAgent
    ontology: Ontology = default_ontology()
    data: Path | None = None
    limit: int | None = None
    seed: int = 0

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


def progress(items: Sequence[Item], what: str) -> Iterable[Item]:
    """`items` with a progress bar on standard error; silent where that is not a terminal."""
    bar: Iterable[Item] = tqdm(items, desc=what, leave=False, disable=None)
    return bar


@contextmanager
def fresh_agents(settings: Settings, model: LanguageModel | None = None) -> Iterator[FreshAgent]:
    """Give a function that opens agents over one model, each in a home of its own that is removed when it closes."""
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as first, Agent.open(first, settings=settings, model=model) as loaded:

        @contextmanager
        def agent() -> Iterator[Talker]:
            with (
                tempfile.TemporaryDirectory(prefix="memagent-evals-") as home,
                Agent.open(home, settings=settings, model=loaded.model) as opened,
            ):
                yield opened

        yield agent
