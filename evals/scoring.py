"""Normalising answers, counting, and bootstrap intervals; pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from evals.case import Score

ROUNDS = 1000  # bootstrap resamples
_DASHES = re.compile("[-\u2010-\u2015]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")

Sampled = TypeVar("Sampled")
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # (..., columns) sums, such as those of `Counts` -> (...)


def normalise(text: str) -> str:
    """The form in which SQuAD's script compares answers: lower case, no punctuation, no articles, single spaces.

    Letters keep their accents; punctuation is what Unicode calls so (and symbols), not ASCII's alone; a dash is a space.
    """
    lowered = _DASHES.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(c for c in lowered if unicodedata.category(c)[0] not in "PS")
    return " ".join(_ARTICLES.sub(" ", plain).split())


def contains(text: str, wanted: str) -> bool:
    """Whether `wanted` stands in `text` as whole words, both normalised."""
    return f" {normalise(wanted)} " in f" {normalise(text)} "


@dataclass(frozen=True, slots=True)
class Counts:
    """What one unit (conversation, document, edit) adds to the sums: of `said` things `right`, of `wanted` things `found`."""

    right: int = 0
    said: int = 0
    found: int = 0
    wanted: int = 0


def share_counts(right: int, wanted: int) -> Counts:
    """Counts where there is one sum and its whole."""
    return Counts(right, wanted, right, wanted)


STATISTICS: dict[str, Statistic] = {}


def comparable(statistic: Statistic) -> Statistic:
    """Make it known by its name, so that results that were written down can be compared case by case."""
    STATISTICS[statistic.__name__] = statistic
    return statistic


@comparable
def precision(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right of what was said."""
    return _divide(sums[..., 0], sums[..., 1])


@comparable
def recall(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Found of what was wanted; also the share of `share_counts`."""
    return _divide(sums[..., 2], sums[..., 3])


@comparable
def f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The harmonic mean of the two."""
    p, r = np.nan_to_num(precision(sums)), np.nan_to_num(recall(sums))
    return np.nan_to_num(_divide(2 * p * r, p + r))


def score(units: Iterable[Counts], statistic: Statistic = recall, *, names: Sequence[str] = (), seed: int = 0) -> Score:
    """The statistic over all units; see `interval`."""
    table = np.array([astuple(unit) for unit in units], dtype=np.float64).reshape(-1, 4)
    return interval(table, statistic, int(table[:, 1 if statistic is precision else 3].sum()), names=names, seed=seed)


def interval(
    table: NDArray[np.float64], statistic: Statistic, n: int, *, unit: str = "%", names: Sequence[str] = (), seed: int = 0
) -> Score:
    """The statistic of the sums over the rows of `table` (units, ...), with the interval from resampling the rows.

    A row is what belongs together. With the `names` of the rows the score can be compared with another one of the same cases.
    """
    value = _number(statistic(table.sum(axis=0)))
    if value is None:
        return Score(None, None, None, n, unit)
    values = statistic(_draws(len(table), seed) @ table)
    low, high = np.nanpercentile(values, [2.5, 97.5])
    known: dict[str, Any] = {"statistic": statistic.__name__, "units": _units(names, table)} if names else {}
    return Score(round(value, 6), round(float(low), 6), round(float(high), 6), n, unit, **known)


def _units(names: Sequence[str], table: NDArray[np.float64]) -> dict[str, list[float]]:
    """Sums by name; those that add nothing are left out."""
    if len(set(names)) != len(names):
        raise ValueError(f"{len(names) - len(set(names))} cases have the name of another one")
    return {name: [_short(sum_) for sum_ in row] for name, row in zip(names, table.tolist(), strict=True) if any(row)}


def _short(number: float) -> float:
    return int(number) if number.is_integer() else round(number, 6)


def median(values: Sequence[float], *, seed: int = 0) -> Score:
    """The median of plain numbers, with the interval from resampling them."""
    drawn = np.random.default_rng(seed).choice(values, size=(ROUNDS, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Score(round(float(np.median(values)), 6), round(float(low), 6), round(float(high), 6), len(values), "")


def paired(first: Score, second: Score, *, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % interval of the second value less the first over the same cases; None where they do not say what each case adds."""
    statistic = STATISTICS.get(first.statistic)
    names = list(first.units | second.units)
    if statistic is None or first.statistic != second.statistic or not names:
        return None
    nothing = [0] * len(next(iter((first.units | second.units).values())))
    old, new = (np.array([each.units.get(name, nothing) for name in names], dtype=np.float64) for each in (first, second))
    times = _draws(len(names), seed)
    low, high = np.nanpercentile(statistic(times @ new) - statistic(times @ old), [2.5, 97.5])
    return float(low), float(high)


def _draws(number: int, seed: int) -> NDArray[np.int64]:
    """(`ROUNDS`, number): how often each unit is drawn."""
    return np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=ROUNDS)


def sample(cases: Sequence[Sampled], limit: int | None, seed: int) -> list[Sampled]:
    """At most `limit` of the cases, drawn evenly, in their order."""
    if limit is None or limit >= len(cases):
        return list(cases)
    chosen = np.random.default_rng(seed).choice(len(cases), size=limit, replace=False)
    return [cases[i] for i in sorted(chosen.tolist())]


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _number(value: NDArray[np.float64]) -> float | None:
    return None if np.isnan(value) else float(value)
