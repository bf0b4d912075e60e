"""The one place where results become text: tables, JSON documents, comparisons, and how a number looks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evals.case import CaseResult, Outcome, Row, Score
from evals.scoring import paired

FORMAT = 1  # of the JSON documents; a reader refuses another
NOTHING = "–"
NUMBERS = re.compile(r"\[\n\s*(-?[\d.]+(?:,\n\s*-?[\d.]+)*)\n\s*\]")  # a list of them, indented


def number(value: float | None, unit: str = "%") -> str:
    """A share in per cent with one decimal, another figure with four digits; what was not counted is a dash."""
    if value is None:
        return NOTHING
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.{max(0, 4 - len(str(int(abs(value)))))}f}"


def cell(score: Score | None) -> str:
    """Value, interval and number of things counted: `83.2 [78.1, 88.0] 247`."""
    if score is None or score.value is None:
        return NOTHING
    value, low, high = (number(figure, score.unit) for figure in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}] {score.n}"


def table(title: str, rows: Sequence[Row], notes: Iterable[str] = (), *, details: bool = False) -> str:
    """The rows under their columns, per cent with 95 % intervals."""
    rows = [row for row in rows if details or not row.detail]
    columns = list(dict.fromkeys(name for row in rows for name in row.scores))
    lines = [[title, *columns], *([row.label, *(cell(row.scores.get(name)) for name in columns)] for row in rows)]
    return "\n".join([*align(lines), *(f"  {note}" for note in notes)])


def align(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of one width each; a rule under the first line."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for i, line in enumerate(lines):
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        if i == 0:
            yield "  ".join("-" * width for width in widths)


def failures(cases: Iterable[CaseResult]) -> str:
    """What --verbose shows: every case that failed, with its lines."""
    return "\n".join(line for case in cases if case.failures for line in (case.name, *(f"    {text}" for text in case.failures)))


def document(suite: str, outcome: Outcome, circumstances: Mapping[str, Any], *, texts: bool = True) -> dict[str, Any]:
    """A result as plain JSON; `circumstances` say under which model, seed, data, versions it was made.

    Without `texts` a case keeps its name, its kind and its numbers: sentences of data sets stay out of what is published.
    """
    return {
        "format": FORMAT,
        "suite": suite,
        **circumstances,
        "rows": [{"label": row.label, "detail": row.detail, "scores": dict(_plain(row))} for row in outcome.rows],
        "notes": list(outcome.notes),
        "cases": [{"name": case.name, "kind": case.kind, **(case.details if texts else _numbers(case.details))} for case in outcome.cases],
    }


def _numbers(value: Any) -> Any:
    """The same without strings, and without what holds nothing else."""
    if isinstance(value, Mapping):
        return {key: kept for key, each in value.items() if (kept := _numbers(each)) not in (None, {}, [])}
    if isinstance(value, list | tuple):
        return [kept for each in value if (kept := _numbers(each)) not in (None, {}, [])]
    return None if isinstance(value, str) else value


def _plain(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scores; what each case adds is left out of details, and where a suite does not say it."""
    for name, given in row.scores.items():
        plain = asdict(given)
        if row.detail or not given.units:
            del plain["statistic"], plain["units"]
        yield name, plain


def rows(result: Mapping[str, Any]) -> list[Row]:
    """The rows of a document that was read."""
    return [Row(each["label"], {n: Score(**s) for n, s in each["scores"].items()}, each.get("detail", False)) for each in result["rows"]]


def write(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write `<suite>.json` into the folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['suite']}.json"
    path.write_text(_json(result) + "\n", encoding="utf-8")
    return path


def _json(result: Mapping[str, Any]) -> str:
    """Indented, with lists of numbers on one line each."""
    text = json.dumps(result, ensure_ascii=False, indent=1)
    return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)


def read(path: Path) -> dict[str, Any]:
    """A result that was written before.

    Raises:
        ValueError: it is not a result of this format.
    """
    result = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise ValueError(f"{path} is not a result of `python -m evals.run --out` (format {FORMAT})")
    return result


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """The second result against the first.

    Over the same cases the interval is that of the difference, case by case, and `*` marks those that leave out 0. Otherwise `*` marks
    where each value lies outside the other's interval.
    """
    if first["suite"] != second["suite"]:
        raise ValueError(f"{first['suite']} and {second['suite']} are different suites")
    same = [case["name"] for case in first["cases"]] == [case["name"] for case in second["cases"]]
    theirs = {row.label: row.scores for row in rows(second)}
    lines = [[first["suite"], "score", "first", "second", "difference", "interval", ""]]
    for row in rows(first):
        for name, old in row.scores.items():
            new = theirs.get(row.label, {}).get(name)
            if new is not None and None not in (old.value, new.value):
                lines.append([row.label, name, *_difference(old, new, same)])
    return "\n".join([*align(lines), *_unlike(first, second)])


def _difference(old: Score, new: Score, same: bool) -> list[str]:
    values = [number(old.value, old.unit), number(new.value, new.unit), _signed((new.value or 0.0) - (old.value or 0.0), new.unit)]
    between = paired(old, new) if same else None
    if between is None:
        return [*values, "", "*" if _outside(old, new) and _outside(new, old) else ""]
    low, high = (_signed(each, new.unit) for each in between)
    return [*values, f"[{low}, {high}]", "" if between[0] <= 0.0 <= between[1] else "*"]


def _signed(change: float, unit: str) -> str:
    shown = number(change, unit)
    return shown if shown.startswith("-") else f"+{shown}"


def _outside(one: Score, interval: Score) -> bool:
    return not (interval.low or 0.0) <= (one.value or 0.0) <= (interval.high or 0.0)


def _unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    """What else differs between two runs: a difference of figures may come from there."""
    for name in ("model", "settings", "seed", "limit", "data", "versions", "commit"):
        if first.get(name) != second.get(name):
            yield f"  {name} differs: {json.dumps(first.get(name))} / {json.dumps(second.get(name))}"
