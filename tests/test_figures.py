"""The README's figures, and those of docs/, are those of the results under evals/results."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals import report
from evals.case import Outcome, Row, Score
from evals.wording import texts

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- figures: ([\w.]+) -->\n((?:\|.*\n)+)")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def wrong(text: str, read: Callable[[str], dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Figures of the marked tables that the results do not have: file, row, column, figure."""
    for file, table in MARK.findall(text):
        rows = {row.label: row.scores for row in report.rows(read(file))}
        header, _, *lines = table.strip().splitlines()
        for line in lines:
            label, *figures = cells(line)
            for column, figure in zip(cells(header)[1:], figures, strict=True):
                score = rows[label].get(column)
                if figure != (report.number(score.value, score.unit) if score else ""):
                    yield file, label, column, figure


def test_every_figure_of_the_documents_is_in_the_results() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    assert any(map(MARK.search, texts)), "there is no marked table of figures"
    found = [each for text in texts for each in wrong(text, lambda file: report.read(ROOT / "evals" / "results" / file))]
    assert not found


@pytest.mark.parametrize("suite", ["editing", "extraction", "junk", "perplexity"])
def test_no_sentence_of_a_data_set_is_in_the_results(suite: str) -> None:
    """These suites read public data: their results are written with `--no-text`."""
    result = report.read(ROOT / "evals" / "results" / f"{suite}.json")
    assert result["data"]
    assert not [text for case in result["cases"] for name, value in case.items() if name not in ("name", "kind") for text in texts(value)]


def test_a_figure_that_is_not_in_the_results_is_found() -> None:
    table = "<!-- figures: a.json -->\n| | right | loss |\n|---|--:|--:|\n| all | 66.7 | 1.230 |\n| some | – | |\n"
    rows = [
        Row("all", {"right": Score(2 / 3, 0, 1, 3), "loss": Score(1.23, 1, 2, 3, "")}),
        Row("some", {"right": Score(None, None, None, 0)}),
    ]
    result = report.document("a", Outcome(rows, []), {})
    assert not list(wrong(table, lambda _: result))
    assert list(wrong(table.replace("66.7", "66.8"), lambda _: result)) == [("a.json", "all", "right", "66.8")]
    assert list(wrong(table.replace("1.230", "1.23"), lambda _: result))
