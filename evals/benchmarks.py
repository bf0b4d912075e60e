"""docs/benchmarks.md from evals/results/memory.json: python -m evals.benchmarks. Its tables are made anew, and the picture beside it.

A table stands between `<!-- table: NAME -->` and the next empty line; the text around them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evals import page, report

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "evals" / "results" / "memory.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = PAGE.with_suffix(".png")
TABLE = re.compile(r"(<!-- table: (\w+) -->\n)(?:\|.*\n)*")
NAMES = {
    "memagent": "memagent",
    "paper": "the paper's loop",
    "InMemoryStore": "LangGraph's `InMemoryStore`",
    "chroma": "Chroma, a document a triple",
    "networkx": "networkx, exact names",
}
Case = Mapping[str, Any]


def filled(text: str, result: Case) -> str:
    """The page with the tables of this result."""
    return TABLE.sub(lambda found: found[1] + "".join(f"{line}\n" for line in TABLES[found[2]](result)), text)


def _answers(result: Case) -> Iterator[str]:
    """Every system at every size: time, size, and what came back."""
    rows = {row.label: row.scores for row in report.rows(result)}
    yield from _head("", "triples", "p50, ms", "p95, ms", "memory, MB", "disk, MB", "precision", "recall", "misspelt: precision", "recall")
    for kind, name in NAMES.items():
        for case in _of(result, kind):
            shares = [report.number(rows[label][column].value) for label in _labels(case) for column in ("precision", "recall")]
            mark = "" if case["vectors"] == _of(result, kind)[0]["vectors"] else " *"
            times = (_ms(case["p50_ms"]), _ms(case["p95_ms"]))
            yield _line(name, f"{case['size']:,}{mark}", *times, f"{case['memory_mb']:,.0f}", f"{case['disk_mb']:,.0f}", *shares)


def _growth(result: Case) -> Iterator[str]:
    """Ours alone: writing, names that nobody has written, counting."""
    yield from _head(
        "triples",
        "in bulk, /s",
        "one by one, /s",
        "p50, to that at 10 k",
        "new name, ms",
        "to what it needs",
        "`count`, ms",
        "indexed, s",
    )
    cases = _of(result, "memagent")
    base = next((case["p50_ms"] for case in cases if case["size"] == 10_000), None)
    for case in cases:
        yield _line(
            f"{case['size']:,}",
            f"{case['bulk_per_s']:,.0f}",
            f"{case['online_per_s']:,.0f}",
            f"{case['p50_ms'] / base:.2f}" if base else "",
            _ms(case["new_name_p50_ms"]),
            f"{case['new_name_ratio']:.2f}",
            _ms(case["count_ms"]),
            f"{case['indexing_s']:,.1f}",
        )


TABLES = {"answers": _answers, "growth": _growth}


def _of(result: Case, kind: str) -> list[Case]:
    return [case for case in result["cases"] if case["kind"] == kind]


def _labels(case: Case) -> tuple[str, str]:
    return case["name"], f"{case['name']}, misspelt"


def _ms(value: float) -> str:
    """Two figures that count."""
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _head(*columns: str) -> Iterator[str]:
    yield _line(*columns)
    yield "|" + "|".join("---" if not column else "--:" for column in columns) + "|"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Write both; exit status 1 if matplotlib is not there for the picture."""
    result = report.read(RESULT)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    if not page.can_draw():
        print(page.NO_PLOTS, file=sys.stderr)
        return 1
    from evals.plots import growth  # here, for it is an extra

    PICTURE.write_bytes(growth(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
