"""Facts and questions without sentences, for filling templates and for matching on articles.

- KAMEL: JSON lines `{property, subject, objects}`, names as text
- DocRED's facts: one JSON list of `[head, tail, property]`
- SimpleQuestions: lines of `subject, property, object, question` between tabs; the ends are Q-ids without names, and
  a property `R19` is P19 asked the other way round (who was born here)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from memagent.errors import InvalidInput
from memagent.training.corpus import field, open_text, read_jsonl
from memagent.training.readers.relations import by_wikidata
from memagent.training.readers.spelling import detokenise, mended
from memagent.training.readers.statements import AskedRelation, Fact, Report


def read_kamel(data: Path, report: Report, split: str = "train") -> Iterator[Fact]:
    """The facts of one split: "train", "dev" or "test"."""
    path = data / f"kamel/{split}.jsonl.xz"
    for number, row in read_jsonl(path):
        mapped = by_wikidata(field(row, "property", path, number), report)
        subject, objects = field(row, "subject", path, number), field(row, "objects", path, number)
        if not isinstance(subject, str) or not isinstance(objects, list) or not all(isinstance(name, str) for name in objects):
            raise InvalidInput(f"{path}:{number}: a fact is a subject and a list of objects, all text")
        if mapped is None or not objects:
            continue
        if mapped.swapped:
            yield from (Fact(mended(name), mapped.relation, (mended(subject),)) for name in objects)
        else:
            yield Fact(mended(subject), mapped.relation, tuple(map(mended, objects)))


def read_docred_facts(data: Path, report: Report) -> Iterator[Fact]:
    """DocRED's facts, those of one subject and relation together."""
    path = data / "docred_facts/train_annotated.fact.xz"
    with open_text(path) as text:
        try:
            rows = json.load(text)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    together: dict[tuple[str, str], dict[str, None]] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(value, str) for value in row):
            raise InvalidInput(f"{path}:{number}: a fact is [head, tail, property], not {row!r}")
        mapped = by_wikidata(row[2], report)
        if mapped is not None:
            head, tail = (row[1], row[0]) if mapped.swapped else (row[0], row[1])
            together.setdefault((_joined(head), mapped.relation), {})[_joined(tail)] = None
    for (subject, relation), objects in together.items():
        yield Fact(subject, relation, tuple(objects))


def _joined(name: str) -> str:
    return detokenise(mended(name).split())[0]


def read_simple_questions(data: Path, report: Report, split: str = "train") -> Iterator[AskedRelation]:
    """The questions of one split: "train", "valid", or "test" (evaluation only)."""
    path = data / f"simplequestions_wikidata/{split}.txt.xz"
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            columns = line.rstrip("\n").split("\t")
            if len(columns) != 4 or columns[1][:1] not in ("P", "R"):
                raise InvalidInput(f"{path}:{number}: not subject, property, object and question between tabs")
            mapped = by_wikidata("P" + columns[1][1:], report)
            if mapped is not None:
                yield AskedRelation(columns[3], mapped.relation, (columns[1][0] == "R") != mapped.swapped)
