"""The README's figures are those of the results under evals/results."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- figures: ([\w.]+) -->\n((?:\|.*\n)+)")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_figure_of_the_readme_is_in_the_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = MARK.findall(readme)
    assert tables, "the README has no marked table of figures"
    for file, table in tables:
        result = json.loads((ROOT / "evals" / "results" / file).read_text(encoding="utf-8"))
        rows = {row["label"]: row["scores"] for row in result["rows"]}
        header, _, *lines = table.strip().splitlines()
        columns = cells(header)[1:]
        for line in lines:
            label, *figures = cells(line)
            for column, figure in zip(columns, figures, strict=True):
                score = rows[label][column]
                if figure in ("", "–"):
                    assert score["value"] is None, (file, label, column)
                else:
                    assert float(figure) == round(100 * score["value"], 1), (file, label, column)
