"""The shape that all suites share: a case is data, an evaluator gives a value and a reason, a suite turns cases into rows.

Knows nothing about agents, files or terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

Context = TypeVar("Context", contravariant=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluator found: whether it is right, and why, in words for the person who reads the failures."""

    right: bool
    reason: str


class Evaluator(Protocol[Context]):
    """Judges one thing about a context; `check` is the column it counts in."""

    check: ClassVar[str]

    def evaluate(self, context: Context, /) -> Verdict:
        """The verdict on this context."""


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with its 95 % bootstrap interval over `n` counted things; None where nothing was counted.

    `unit` is what it is measured in; "%" is a share (1.0 is shown as 100), "" a plain number. `units` are the sums that each case
    adds, of which `statistic` makes the value: two results over the same cases can be compared case by case.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str = "%"
    statistic: str = ""
    units: dict[str, list[float]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a suite's table; a `detail` is shown only with --verbose."""

    label: str
    scores: dict[str, Score]
    detail: bool = False


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What happened in one case: `details` is plain JSON; `failures` are lines for --verbose."""

    name: str
    kind: str
    details: dict[str, Any]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a suite; `notes` say how to read it."""

    rows: Sequence[Row]
    cases: Sequence[CaseResult]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that a suite reads from --data, and what to tell a person who does not have it."""

    path: str
    what: str
    published: str
    licence: str

    def under(self, folder: Path) -> Path | None:
        """The file in `folder`, as it is or as .xz; None if it is not there."""
        found = [folder / (self.path + ending) for ending in ("", ".xz") if (folder / (self.path + ending)).is_file()]
        return found[0] if found else None


class MissingData(Exception):
    """A suite cannot run without this file."""

    @classmethod
    def of(cls, wanted: DataFile) -> MissingData:
        """Say which file, where it is published and under which licence."""
        return cls(f"needs {wanted.path}[.xz] under --data: {wanted.what}; published at {wanted.published}, licence {wanted.licence}")
