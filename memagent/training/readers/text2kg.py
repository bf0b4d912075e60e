"""Text2KGBench: JSON lines of sentences with the triples of one small ontology.

- wikidata_tekgen/train: `sent, sub_label, rel` (Wikidata id), `obj_label`; one triple a line, and lines share sentences
- wikidata_tekgen/ground_truth (the answers of test): `sent, triples [{sub, rel, obj}]`, `rel` an English label
- dbpedia_webnlg/train: the same with names of DBpedia: `Alan_Bean`, `"quoted text"`, `2702.0`

TekGen lists only the triples of the ontology at hand, so its statements are partial; WebNLG's sentences say just
what is listed, and are partial only where a triple could not be found in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from memagent.errors import InvalidInput
from memagent.ontology import default_ontology
from memagent.training.corpus import field, read_jsonl
from memagent.training.readers.names import find_name
from memagent.training.readers.relations import DBPEDIA, Mapped, by_name, by_table, by_wikidata
from memagent.training.readers.spelling import Span, mended, sentences
from memagent.training.readers.statements import Report, Statement, partial, stated
from memagent.triples import Triple

Gold = tuple[str, Mapped, str]  # subject, relation, object in their direction
_PERSON = ("person",)
MIN_WORDS = 4
_PASTED = re.compile(r"\([\w ]* (?:song|album|film|novel|series|band|book|game|comics?|magazine)\)")  # titles put in place of "it"


def read_tekgen(data: Path, report: Report) -> Iterator[Statement]:
    """The training sentences; every statement is partial."""
    gold: dict[str, list[Gold]] = {}
    for path in _files(data / "text2kgbench/wikidata_tekgen/train"):
        for number, row in read_jsonl(path):
            sentence = mended(_text(row, "sent", path, number))
            mapped = by_wikidata(_text(row, "rel", path, number), report)
            names = (mended(_text(row, key, path, number)) for key in ("sub_label", "obj_label"))
            if mapped is not None:
                subject, other = names
                gold.setdefault(sentence, []).append((subject, mapped, other))
    yield from _tekgen(gold, report)


def read_tekgen_test(data: Path, report: Report) -> Iterator[Statement]:
    """The test sentences with their answers: for evaluation only."""
    gold: dict[str, list[Gold]] = {}
    for path in _files(data / "text2kgbench/wikidata_tekgen/ground_truth"):
        for number, row in read_jsonl(path):
            listed = gold.setdefault(mended(_text(row, "sent", path, number)), [])
            for subject, label, other in _triples(row, path, number):
                mapped = by_name(label.strip(), report)
                if mapped is not None:
                    listed.append((mended(subject), mapped, mended(other)))
    yield from _tekgen(gold, report)


def read_webnlg(data: Path, report: Report) -> Iterator[Statement]:
    """The training texts, one statement a sentence."""
    for path in _files(data / "text2kgbench/dbpedia_webnlg/train"):
        for number, row in read_jsonl(path):
            gold, unmapped = [], False
            for subject, name, other in _triples(row, path, number):
                mapped = by_table(name, DBPEDIA, report)
                if mapped is None:
                    unmapped = True
                else:
                    gold.append((_dbpedia(subject), mapped, _dbpedia(other)))
            for statement in _placed(mended(_text(row, "sent", path, number)), gold, "webnlg", report):
                yield partial(statement) if unmapped else statement


def _tekgen(gold: dict[str, list[Gold]], report: Report) -> Iterator[Statement]:
    for sentence, triples in gold.items():
        if sentence.startswith("Redirect") or _PASTED.search(sentence):
            report["not a sentence"] += 1
            continue
        for statement in _placed(sentence, triples, "tekgen", report):
            if statement.triples:
                yield partial(statement)


def _placed(text: str, gold: Iterable[Gold], source: str, report: Report) -> Iterator[Statement]:
    """A statement for each sentence; a triple belongs to the first by whose end both of its names are said."""
    spans = sentences(text)
    if any(len(text[start:end].split()) < MIN_WORDS for start, end in spans):  # cut at an abbreviation
        spans = [(0, len(text))]
    placed: list[list[Triple]] = [[] for _ in spans]
    missing = False
    for subject, mapped, other in gold:
        found = _found(text, spans, subject, mapped, other)
        if found is None:
            missing = True
            report[f"name not in the text: {mapped.relation}"] += 1
        else:
            placed[found[0]].append(found[1])
    for (start, end), triples in zip(spans, placed, strict=True):
        statement = stated(text[:start].rstrip(), text[start:end], triples, source, report=report)
        yield partial(statement) if missing else statement


def _found(text: str, spans: list[Span], subject: str, mapped: Mapped, other: str) -> tuple[int, Triple] | None:
    """The number of the sentence, and the triple with the names as they are spelt there or before."""
    relation = default_ontology()[mapped.relation]
    kinds = (relation.range, relation.domain) if mapped.swapped else (relation.domain, relation.range)
    for i, (start, end) in enumerate(spans):
        names = [
            find_name(text[start:end], name, person=kind == _PERSON) or find_name(text[:start], name, person=kind == _PERSON)
            for name, kind in zip((subject, other), kinds, strict=True)
        ]
        if names[0] is not None and names[1] is not None:
            return i, mapped.triple(names[0], names[1])
    return None


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.jsonl*"))
    if not files:
        raise InvalidInput(f"{folder} has no .jsonl files", hint="--data names the folder of data sets")
    return files


def _text(row: Any, key: str, path: Path, number: int) -> str:
    value = field(row, key, path, number)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{path}:{number}: {key!r} must be text")
    return value


def _triples(row: Any, path: Path, number: int) -> Iterator[tuple[str, str, str]]:
    for triple in field(row, "triples", path, number):
        yield _text(triple, "sub", path, number), _text(triple, "rel", path, number), _text(triple, "obj", path, number)


def _dbpedia(name: str) -> str:
    return name.replace("_", " ").strip().strip('"') or name
