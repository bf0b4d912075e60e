"""Results as text: tables, JSON, comparisons, the page and its plots."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evals import page, report
from evals.calibration import Judged, calibration
from evals.case import CaseResult, Outcome, Row, Score
from evals.scoring import median, paired, precision, score, share_counts


def result(suite: str, right: list[bool], seed: int = 0, **more: Any) -> dict[str, Any]:
    names = [f"case {i}" for i in range(len(right))]
    shares = score([share_counts(each, 1) for each in right], names=names, seed=seed)
    rows = [Row("all <of it>", {"right": shares, "seconds": Score(0.25, 0.2, 0.3, 3, "")}), Row("small", {"right": shares}, detail=True)]
    cases = [CaseResult(name, "kind", {"says": ["1", 2, 3.5]}) for name in names]
    return report.document(suite, Outcome(rows, cases, ["a note"]), {"seed": seed, "model": {"name": "mini"}, **more})


def test_a_score_that_names_its_cases_is_read_back_with_them(tmp_path: Path) -> None:
    path = report.write(tmp_path, result("chat", [True, False, True]))
    whole, detail = report.rows(report.read(path))
    assert whole.scores["right"].units == {f"case {i}": [right, 1, right, 1] for i, right in enumerate([1, 0, 1])}
    assert detail.detail and not detail.scores["right"].units
    assert "[1, 1, 1, 1]" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))["cases"][0]["says"] == ["1", 2, 3.5]


def test_two_cases_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="1 cases have the name"):
        score([share_counts(1, 1)] * 2, names=["a", "a"])


def test_the_same_cases_are_compared_case_by_case() -> None:
    """Three of forty cases more are within either interval, but each of them is a gain."""
    before = [i % 2 == 0 for i in range(40)]
    after = [right or i < 12 for i, right in enumerate(before)]
    table = report.compare(result("chat", before), result("chat", after))
    line = next(line for line in table.splitlines() if line.startswith("all <of it>") and "right" in line)
    assert re.search(r"50\.0 +65\.0 +\+15\.0 +\[\+[\d.]+, \+[\d.]+\] +\*", line), line
    same = report.compare(result("chat", before), result("chat", before))
    assert "*" not in same and "[+0.0, +0.0]" in same


def test_other_cases_are_compared_by_their_intervals() -> None:
    few, many = result("chat", [True] * 30 + [False] * 10), result("chat", [False] * 50)
    table = report.compare(few, many)
    assert "-75.0" in table and "*" in table and "[" not in table.split("differs")[0]
    assert paired(Score(1.0, 1.0, 1.0, 1), Score(0.0, 0.0, 0.0, 1)) is None


def test_pairs_may_lack_a_case_that_adds_nothing() -> None:
    names = [f"{i}" for i in range(10)]
    first = score([share_counts(1, 1)] * 5 + [share_counts(0, 0)] * 5, precision, names=names)
    second = score([share_counts(1, 1)] * 5 + [share_counts(0, 1)] * 5, precision, names=names)
    low, high = paired(first, second) or (0.0, 0.0)
    assert -0.9 < low < -0.4 < high < 0.0


def test_the_median_of_seconds() -> None:
    middle = median([0.1, 0.2, 0.9])
    assert (middle.value, middle.n, middle.unit) == (0.2, 3, "")


def test_calibration_counts_triples_by_their_confidence() -> None:
    row, case = calibration([[Judged(0.9, True), Judged(0.9, False)], [Judged(0.35, False)], []])
    error = row.scores["calibration error"]
    assert error.value == pytest.approx((abs(1.8 - 1) + 0.35) / 3, abs=1e-5)
    assert error.n == 3
    assert case.details["bins"] == [
        {"from": 0.3, "n": 1, "mean confidence": 0.35, "right": 0.0},
        {"from": 0.9, "n": 2, "mean confidence": 0.9, "right": 0.5},
    ]
    assert calibration([[]])[0].scores["calibration error"].value is None


def test_the_page_has_every_result_and_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "can_draw", lambda: False)
    report.write(tmp_path, result("chat", [True, False], commit="abc+", seconds=1.5))
    report.write(tmp_path, result("junk", [True]))
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    html = page.write(tmp_path).read_text(encoding="utf-8")
    assert html.count("<section") == 2
    assert "all &lt;of it&gt;" in html and "<of it>" not in html
    assert "a note" in html and "1 rows more" in html and page.NO_PLOTS in html.replace("&#x27;", "'")
    assert not re.search(r'(src|href|url)\W*"?(https?:)?//', html)
    with pytest.raises(ValueError, match="has no results"):
        page.write(tmp_path / "nowhere")


def test_each_result_has_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.write(tmp_path, result("chat", [True, False]))
    html = page.write(tmp_path).read_text(encoding="utf-8")
    assert (tmp_path / "chat.png").read_bytes().startswith(b"\x89PNG")
    assert html.count("data:image/png;base64,") == 2  # light and dark


def test_without_texts_a_case_keeps_its_numbers() -> None:
    details = {"turn": "told by a data set", "written": [["Anna", 0.5], ["no number"]], "stage": None, "right": True}
    outcome = Outcome([], [CaseResult("7", "edit", details)])
    (bare,) = report.document("editing", outcome, {}, texts=False)["cases"]
    assert bare == {"name": "7", "kind": "edit", "written": [[0.5]], "right": True}
    assert report.document("editing", outcome, {})["cases"][0]["turn"] == "told by a data set"
