"""A picture of a result, as PNG: every score with its interval, and where a suite has more to show, that.

Needs matplotlib (`pip install 'memagent[evals]'`); the only file that does. Knows nothing about suites but their results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from evals import calibration, report
from evals.case import Row

DPI = 110
ROW, PANEL, LABELS = 0.27, 1.9, 0.075  # inches: height of a row, width of a panel, width of a letter of its labels


@dataclass(frozen=True, slots=True)
class Colours:
    """Of the page that the picture stands on."""

    ground: str
    text: str
    quiet: str
    lines: str
    marks: tuple[str, ...]


LIGHT = Colours("#ffffff", "#1f2328", "#59636e", "#e3e6ea", ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed"))
DARK = Colours("#161b22", "#e6edf3", "#9198a1", "#2d333b", ("#6ea8fe", "#fbbf24", "#34d399", "#f472b6", "#a78bfa"))


def pictures(result: Mapping[str, Any], colours: Colours = LIGHT) -> Iterator[bytes]:
    """The pictures of a result; the first one shows its table."""
    yield _scores(report.rows(result), colours)
    if result["suite"] in MORE:
        yield from MORE[result["suite"]](result, colours)


# ---- the table


def _scores(rows: Sequence[Row], colours: Colours) -> bytes:
    """Rows with the same columns stand above one another, a panel for each column."""
    rows = [row for row in rows if not row.detail and any(score.value is not None for score in row.scores.values())]
    groups = [list(group) for _, group in groupby(rows, key=lambda row: tuple(row.scores))]
    columns = max(len(group[0].scores) for group in groups)
    margin = LABELS * max(len(row.label) for row in rows)
    heights = [len(group) + 1.6 for group in groups]  # in rows: room for the title and the scale
    width, height = margin + PANEL * max(columns, 2) + 0.3, ROW * sum(heights) + 0.6
    figure = Figure((width, height), dpi=DPI, facecolor=colours.ground, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    grid = figure.add_gridspec(len(groups), columns, height_ratios=heights)
    for i, group in enumerate(groups):
        for j, name in enumerate(group[0].scores):
            spanned = grid[i, j:] if len(group[0].scores) == 1 else grid[i, j]
            axes = figure.add_subplot(spanned)
            _panel(axes, name, group, colours, labelled=j == 0)
    return _png(figure)


def _panel(axes: Axes, name: str, rows: Sequence[Row], colours: Colours, *, labelled: bool) -> None:
    """One column: a dot for each value, a line for its interval."""
    given = [(i, row.scores[name]) for i, row in enumerate(rows)]
    shown = [(i, score) for i, score in given if score.value is not None]
    per_cent = any(score.unit == "%" for _, score in shown)
    scale = 100 if per_cent else 1
    for i, score in shown:
        low, value, high = (scale * (each if each is not None else score.value or 0.0) for each in (score.low, score.value, score.high))
        axes.plot([low, high], [i, i], color=colours.marks[0], alpha=0.35, linewidth=4, solid_capstyle="round")
        axes.plot([value], [i], "o", color=colours.marks[0], markersize=5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [row.label for row in rows] if labelled else [""] * len(rows))
    if per_cent and all((score.high or 0) <= 1 for _, score in shown):
        axes.set_xlim(-4, 104)
        axes.set_xticks([0, 50, 100])
    elif shown:
        ends = [scale * (end or 0.0) for _, score in shown for end in (score.low, score.value, score.high)]
        axes.set_xlim(1.06 * min(0.0, *ends) - 0.02 * max(ends), 1.06 * max(ends))
        axes.locator_params(axis="x", nbins=4)
    _dress(axes, f"{name}, %" if per_cent else name, colours)


def _dress(axes: Axes, title: str, colours: Colours) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=colours.text)
    axes.set_facecolor(colours.ground)
    axes.grid(color=colours.lines, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colours.quiet, labelsize=8, length=0)
    for label in axes.get_yticklabels():
        label.set_color(colours.text)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})  # the same bytes for the same result
    return file.getvalue()


# ---- more of some suites


def _reliability(result: Mapping[str, Any], colours: Colours) -> Iterator[bytes]:
    """Share of right triples over their confidence; a dot's area grows with the number of triples."""
    bins: list[dict[str, float]] = next((case["bins"] for case in result["cases"] if case["name"] == calibration.LABEL), [])
    if not bins:
        return
    figure = Figure((4.2, 4.2), dpi=DPI, facecolor=colours.ground, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=colours.quiet, linewidth=1, linestyle=":")
    most = max(each["n"] for each in bins)
    points = [(100 * each["mean confidence"], 100 * each["right"], 20 + 180 * each["n"] / most) for each in bins]
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colours.marks[0], alpha=0.35, linewidth=2)
    axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], [size for _, _, size in points], color=colours.marks[0])
    axes.set_xlim(-4, 104)
    axes.set_ylim(-4, 104)
    axes.set_xlabel("confidence, %", fontsize=8, color=colours.quiet)
    _dress(axes, "right, % of the triples written with so much confidence", colours)
    yield _png(figure)


def _growth(result: Mapping[str, Any], colours: Colours) -> Iterator[bytes]:
    if any("p50_ms" in case for case in result["cases"]):
        yield growth(result, colours)


def growth(result: Mapping[str, Any], colours: Colours = LIGHT) -> bytes:
    """Over the size of each memory: how long an answer takes, and how right it is where the name is misspelt."""
    figure = Figure((9.2, 3.9), dpi=DPI, facecolor=colours.ground, layout="constrained")
    times, shares = figure.subplots(1, 2)
    precision = {row.label: score.value for row in report.rows(result) if (score := row.scores.get("precision"))}
    measured = [case for case in result["cases"] if "p50_ms" in case]
    vectors: dict[str, str] = {}  # those of the smallest size
    for case in measured:
        vectors.setdefault(case["kind"], case["vectors"])
    for i, kind in enumerate(vectors):
        drawn = {"color": colours.marks[i % len(colours.marks)], "markersize": 5, "linewidth": 2}
        cases = [case for case in measured if case["kind"] == kind]
        times.plot([case["size"] for case in cases], [case["p50_ms"] for case in cases], "o-", label=kind, **drawn)
        if new := [(case["size"], case["new_name_p50_ms"]) for case in cases if "new_name_p50_ms" in case]:
            times.plot(*zip(*new, strict=True), "o:", label=f"{kind}, a misspelt name", **drawn)
        right = [(case["size"], precision.get(f"{case['name']}, misspelt")) for case in cases if case["vectors"] == vectors[kind]]
        if right := [(size, 100 * share) for size, share in right if share is not None]:
            shares.plot(*zip(*right, strict=True), "o-", **drawn)
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:g}")
    shares.set_ylim(0, 104)
    for axes, title in ((times, "ms for an answer, median"), (shares, "right, % of the answers to a misspelt name")):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("triples", fontsize=8, color=colours.quiet)
        _dress(axes, title, colours)
        axes.tick_params(which="minor", length=0)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False, labelcolor=colours.text)
    return _png(figure)


MORE: dict[str, Callable[[Mapping[str, Any], Colours], Iterator[bytes]]] = {"extraction": _reliability, "memory": _growth}
