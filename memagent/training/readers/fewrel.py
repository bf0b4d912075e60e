"""FewRel: JSON, Wikidata id → rows `{tokens, h [name, Q-id, [[token numbers]]], t [...]}`.

A row marks one triple of its sentence, so every statement is partial.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memagent.errors import InvalidInput
from memagent.ontology import default_ontology
from memagent.training.corpus import field, open_text
from memagent.training.readers.relations import Mapped, by_wikidata
from memagent.training.readers.spelling import Span, detokenise
from memagent.training.readers.statements import Report, Statement, partial, stated
from memagent.triples import Triple

PARTS = ("wiki", "nyt")
_DATELINES = {"LEAD", "*3*", "*"}  # what newspaper rows may begin with


def read_fewrel(data: Path, part: str, report: Report) -> Iterator[Statement]:
    """The rows of one part: "wiki" (encyclopaedia) or "nyt" (news)."""
    path = data / f"fewrel/val_{part}.json.xz"
    for property_id, rows in _groups(path).items():
        mapped = by_wikidata(property_id, report)
        if mapped is None:
            report[f"unmapped: {property_id}"] += len(rows) - 1
            continue
        for number, row in enumerate(rows, 1):
            statement = _statement(row, mapped, f"fewrel-{part}", f"{path}: {property_id}:{number}", report)
            if statement is not None:
                yield statement


def _groups(path: Path) -> dict[str, list[Any]]:
    with open_text(path) as text:
        try:
            groups = json.load(text)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(groups, dict) or not all(isinstance(rows, list) for rows in groups.values()):
        raise InvalidInput(f"{path}:1: not a table of relations with their rows")
    return groups


def _statement(row: Any, mapped: Mapped, source: str, where: str, report: Report) -> Statement | None:
    tokens = field(row, "tokens", Path(where), 0)
    skipped = _dateline(tokens)
    text, spans = detokenise(["" if i < skipped else token for i, token in enumerate(tokens)])
    names = [_name(text, spans, field(row, key, Path(where), 0), where) for key in ("h", "t")]
    triple = mapped.triple(*names)
    if all(name.isdigit() for name in names):  # one year follows another
        report["two numbers"] += 1
        return None
    if _is_nobody(triple):
        report[f"a person without a name: {triple.relation}"] += 1
        return None
    return partial(stated("", text, [triple], source, report=report))


def _is_nobody(triple: Triple) -> bool:
    """A person's place is taken by a word like "mother"."""
    relation = default_ontology()[triple.relation]
    ends = ((triple.subject, relation.domain), (triple.object, relation.range))
    return any(kinds == ("person",) and name.islower() for name, kinds in ends)


def _dateline(tokens: Sequence[str]) -> int:
    """How many tokens at the beginning are no part of the sentence."""
    count = 0
    while count < len(tokens) and (tokens[count] in _DATELINES or (count and tokens[count] == ":")):
        count += 1
    return count


def _name(text: str, spans: Sequence[Span], end: Any, where: str) -> str:
    try:
        places = end[2][0]
        return text[spans[places[0]][0] : spans[places[-1]][1]].strip('" ')
    except (IndexError, KeyError, TypeError) as error:
        raise InvalidInput(f"{where}: the places of {end!r} are not in the sentence") from error
