"""The form of DocRED: a JSON list of documents with sentences as tokens, entities as mentions, relations as labels.

`{title, sents [[token]], vertexSet [[{name, pos [start, end], sent_id, type}]], labels [{h, t, r, evidence}]}`;
`h` and `t` are places in `vertexSet`, `r` a Wikidata id, `evidence` the sentences that show the relation.

A triple belongs to every sentence of its evidence by whose end both entities are named; without evidence, to every
sentence that names both. Sentences that were cut in two (the second begins in lower case) are joined again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from memagent.errors import InvalidInput
from memagent.training.corpus import field, open_text
from memagent.training.readers.relations import Mapped, by_wikidata
from memagent.training.readers.spelling import Span, detokenise
from memagent.training.readers.statements import Report, Statement, stated

DEV = "redocred/dev_revised.json.xz"


@dataclass(frozen=True, slots=True)
class _Mention:
    sentence: int
    name: str
    proper: bool


@dataclass(frozen=True, slots=True)
class _Label:
    subject: int
    mapped: Mapped
    object: int
    evidence: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Document:
    sentences: list[str]
    entities: list[list[_Mention]]
    labels: list[_Label]


def read_docred(data: Path, report: Report, file: str = DEV, *, documents: slice = slice(None)) -> Iterator[Statement]:
    """A statement for each sentence of each of these documents; those without a triple state nothing that is annotated."""
    path = data / file
    for number, record in list(enumerate(read_records(path), 1))[documents]:
        document = _document(record, path, number, report)
        for i in range(len(document.sentences)):
            yield _statement(document, i, report)


def titles(data: Path, file: str = DEV) -> frozenset[str]:
    """The titles of the documents."""
    path = data / file
    return frozenset(field(record, "title", path, number) for number, record in enumerate(read_records(path), 1))


def read_records(path: Path) -> list[Any]:
    """The documents as they are, unchecked."""
    with open_text(path) as text:
        try:
            records = json.load(text)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(records, list):
        raise InvalidInput(f"{path}:1: not a list of documents")
    return records


@contextmanager
def consistent(path: Path, number: int) -> Iterator[None]:
    """What goes wrong with a document in here is a fault of the file, which is named; `number` counts documents."""
    try:
        yield
    except (KeyError, IndexError, TypeError) as error:
        raise InvalidInput(f"{path}:{number}: the document contradicts itself: {error!r}") from error


def _document(record: Any, path: Path, number: int, report: Report) -> _Document:
    """The document with its text as people write it; `number` counts documents, for the errors."""
    tokens = field(record, "sents", path, number)
    vertices = field(record, "vertexSet", path, number)
    joined = _joined(tokens)
    texts, spans = [], []
    for group in range(joined[-1] + 1):
        text, places = detokenise([token for i, sentence in enumerate(tokens) if joined[i] == group for token in sentence])
        texts.append(text)
        spans.append(places)
    with consistent(path, number):
        entities = [[_mention(mention, tokens, joined, texts, spans) for mention in vertex] for vertex in vertices]
        labels = [_label(label, joined, len(entities), report) for label in field(record, "labels", path, number)]
    return _Document(texts, entities, [label for label in labels if label is not None])


def _joined(tokens: Sequence[Sequence[str]]) -> list[int]:
    """For each sentence the number of the one that it becomes part of."""
    groups: list[int] = []
    for i, sentence in enumerate(tokens):
        goes_on = i > 0 and sentence and sentence[0][:1].islower()
        groups.append(groups[-1] if goes_on else groups[-1] + 1 if groups else 0)
    return groups


def _mention(mention: Any, tokens: Sequence[Sequence[str]], joined: list[int], texts: list[str], spans: list[list[Span]]) -> _Mention:
    sentence = mention["sent_id"]
    start, end = mention["pos"]
    group = joined[sentence]
    before = sum(len(tokens[i]) for i in range(sentence) if joined[i] == group)
    places = spans[group]
    name = texts[group][places[before + start][0] : places[before + end - 1][1]].strip()
    return _Mention(group, name, any(word[:1].isupper() or word[:1].isdigit() for word in name.split()))


def _label(label: Any, joined: list[int], entities: int, report: Report) -> _Label | None:
    mapped = by_wikidata(label["r"], report)
    if max(label["h"], label["t"]) >= entities:
        raise IndexError(f"no entity {max(label['h'], label['t'])}")
    evidence = frozenset(joined[i] for i in label["evidence"])
    return _Label(label["h"], mapped, label["t"], evidence) if mapped is not None else None


def _statement(document: _Document, i: int, report: Report) -> Statement:
    triples = []
    for label in document.labels:
        if not _belongs(document, label, i):
            continue
        subject, other = (_named(document.entities[entity], i) for entity in (label.subject, label.object))
        if subject and other:
            triples.append(label.mapped.triple(subject, other))
        else:
            report[f"not named yet: {label.mapped.relation}"] += 1
    context = " ".join(document.sentences[:i])
    statement = stated(context, document.sentences[i], triples, "redocred", report=report)
    return replace(statement, elsewhere=tuple(_elsewhere(document, i)))


def _elsewhere(document: _Document, i: int) -> Iterator[tuple[str, str]]:
    """The names, in this sentence, of what other sentences relate."""
    for label in document.labels:
        if not _belongs(document, label, i):
            sides = [[m.name for m in document.entities[entity] if m.sentence == i] for entity in (label.subject, label.object)]
            yield from product(*sides)


def _belongs(document: _Document, label: _Label, i: int) -> bool:
    if label.evidence:
        return i in label.evidence
    return all(any(mention.sentence == i for mention in document.entities[entity]) for entity in (label.subject, label.object))


def _named(mentions: Sequence[_Mention], i: int) -> str | None:
    """The entity's name in the focus sentence if it is a proper one, else its first name before."""
    here = [mention for mention in mentions if mention.sentence == i and mention.name]
    before = [mention for mention in mentions if mention.sentence < i and mention.name]
    ranked = [m for m in here if m.proper] + sorted(before, key=lambda m: (not m.proper, m.sentence)) + here
    return ranked[0].name if ranked else None
