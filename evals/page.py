"""One HTML page of all results in a folder, with tables and plots inside it; nothing is fetched, light and dark as the reader has it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evals import report
from evals.case import Row, Score

NAME = "report.html"
STYLE = Path(__file__).with_name("page.css")
NO_PLOTS = "no plots: matplotlib is not installed (pip install 'memagent[evals]')"
CIRCUMSTANCES = ("model", "commit", "seed", "limit", "jobs", "seconds", "settings", "data", "versions")


def write(folder: Path) -> Path:
    """Write `report.html` into the folder, and `<suite>.png` for each result that is there.

    Raises:
        ValueError: the folder has no results.
    """
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    results = [result for result in results if isinstance(result, dict) and result.get("format") == report.FORMAT]
    if not results:
        raise ValueError(f"{folder} has no results of `python -m evals.run --out` (format {report.FORMAT})")
    drawn = {result["suite"]: list(_drawn(result)) for result in results}
    for suite, pictures in drawn.items():
        for i, (light, _) in enumerate(pictures):
            (folder / f"{suite}{f'-{i + 1}' if i else ''}.png").write_bytes(light)
    page = folder / NAME
    page.write_text(html(results, drawn), encoding="utf-8")
    return page


def can_draw() -> bool:
    """Whether there is what plots need."""
    return find_spec("matplotlib") is not None


Picture = tuple[bytes, bytes]  # PNG for a light page, and for a dark one


def _drawn(result: Mapping[str, Any]) -> Iterator[Picture]:
    if can_draw():
        from evals.plots import DARK, LIGHT, pictures  # here, for it is an extra

        yield from zip(pictures(result, LIGHT), pictures(result, DARK), strict=True)


def html(results: Sequence[Mapping[str, Any]], drawn: Mapping[str, Sequence[Picture]]) -> str:
    """The page."""
    links = " ".join(f'<a href="#{escape(result["suite"])}">{escape(result["suite"])}</a>' for result in results)
    parts = [_section(result, drawn.get(result["suite"], ())) for result in results]
    style = STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>memagent: evaluation</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>memagent: evaluation</h1><nav>{links}</nav>\n"
        "<p>Shares in per cent; below each figure its 95 % bootstrap interval and the number of things counted.</p></header>\n"
        f"<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _section(result: Mapping[str, Any], pictures: Iterable[Picture]) -> str:
    rows = report.rows(result)
    suite = escape(result["suite"])
    notes = "".join(f"<li>{escape(note)}</li>" for note in result["notes"])
    details = [row for row in rows if row.detail]
    more = f"<details><summary>{len(details)} rows more</summary>{_table(details)}</details>" if details else ""
    images = "".join(_image(picture, suite) for picture in pictures) or f"<p class=quiet>{escape(NO_PLOTS)}</p>"
    return (
        f'<section id="{suite}"><h2>{suite}</h2>\n<p class=quiet>{escape(_headline(result))}</p>\n'
        f"{_table([row for row in rows if not row.detail])}<ul class=quiet>{notes}</ul>\n{more}<div class=plots>{images}</div>\n"
        f"<details><summary>circumstances</summary><pre>{escape(_circumstances(result))}</pre></details></section>\n"
    )


def _headline(result: Mapping[str, Any]) -> str:
    model = result.get("model") or {}
    commit = str(result.get("commit", "unknown"))
    edited = ", files changed since" if commit.endswith("+") else ""
    return f"model {model.get('name', 'unknown')} · commit {commit[:10]}{edited} · {result.get('seconds', '?')} s"


def _circumstances(result: Mapping[str, Any]) -> str:
    return json.dumps({name: result[name] for name in CIRCUMSTANCES if name in result}, ensure_ascii=False, indent=1)


def _table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row.scores))
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *columns))
    body = "".join(f"<tr><th>{escape(row.label)}</th>{''.join(_cell(row.scores.get(name)) for name in columns)}</tr>\n" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"


def _cell(score: Score | None) -> str:
    """The value, and below it the interval; a bar behind shows a share."""
    if score is None or score.value is None:
        return f"<td class=quiet>{report.NOTHING}</td>"
    value, low, high = (report.number(each, score.unit) for each in (score.value, score.low, score.high))
    bar = f' style="--share:{100 * min(1.0, max(0.0, score.value)):.1f}%"' if score.unit == "%" else ""
    return f"<td{bar}><b>{value}</b><small>{low} – {high} · {score.n}</small></td>"


def _image(picture: Picture, suite: str) -> str:
    light, dark = (f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}" for png in picture)
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}"><img src="{light}" alt="plot of {suite}"></picture>\n'
