"""KnowledgeNet: JSON lines, one for each gold triple, or for "this passage states no such property" (names are null).

A passage is one sentence, in which **all** triples of one property (of some, in 910 of 5,728 passages) are marked and
nothing else: its statement is partial, and covers that property's relation. Passages that follow one another in a
document are each other's context. Mentions that are pronouns give way to another mention of the same `uri`; without
one the triple is dropped, for the same triple is nearly always there with the name as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memagent.errors import InvalidInput
from memagent.training.corpus import field, read_jsonl
from memagent.training.readers.relations import KNOWLEDGENET, by_table
from memagent.training.readers.statements import Report, Statement, partial, stated
from memagent.triples import Triple

SOURCE = "knowledgenet"
TRAINING_FOLDS = (1, 2, 3)
PRONOUNS = re.compile(
    "i|me|my|mine|myself|we|us|our|ours|ourselves|you|your|yours|he|him|his|himself|she|her|hers|herself|it|its|itself|they|them|their|theirs"
    "|this|that|these|those|who|whom|whose|which|where|there|here|one",
    re.IGNORECASE,
)
NEIGHBOURS = 1  # at most so many characters lie between a passage and its context
NEAR = 60  # characters before a name in which "member" makes an employer an organisation that one is a member of


@dataclass(frozen=True, slots=True)
class _Row:
    property: str
    subject: str | None
    subject_uri: str | None
    object: str | None
    object_uri: str | None


@dataclass(frozen=True, slots=True)
class _Passage:
    start: int
    end: int
    text: str
    rows: list[_Row]


def read_knowledgenet(data: Path, report: Report, folds: Collection[int] = TRAINING_FOLDS) -> Iterator[Statement]:
    """The passages of these folds (4 is for evaluation), also those that state nothing of their property."""
    for passages in _documents(data / "knowledgenet/train.jsonl.xz", folds):
        context, end = "", -1
        names = _names(row for passage in passages for row in passage.rows)
        for passage in passages:
            if passage.start - end > NEIGHBOURS:
                context = ""
            statement = _statement(context, passage, names, report)
            if statement.triples or statement.covered:
                yield statement
            context, end = f"{context} {passage.text}".strip(), passage.end


def _documents(path: Path, folds: Collection[int]) -> Iterator[list[_Passage]]:
    """The passages of each document, in the order of the text."""
    documents: dict[str, dict[int, _Passage]] = {}
    for number, record in read_jsonl(path):
        values = {key: field(record, key, path, number) for key in ("fold", "doc", "pass_start", "pass_end", "passage", *_Row.__slots__)}
        _check(values, path, number)
        if values["fold"] in folds:
            passages = documents.setdefault(values["doc"], {})
            start = values["pass_start"]
            passage = passages.setdefault(start, _Passage(start, values["pass_end"], " ".join(values["passage"].split()), []))
            passage.rows.append(_Row(**{key: values[key] for key in _Row.__slots__}))
    for passages in documents.values():
        yield [passages[start] for start in sorted(passages)]


def _check(values: Mapping[str, Any], path: Path, number: int) -> None:
    for key, kind in (("fold", int), ("pass_start", int), ("pass_end", int), ("passage", str), ("property", str)):
        if not isinstance(values[key], kind):
            raise InvalidInput(f"{path}:{number}: {key!r} must be {kind.__name__}, not {values[key]!r}")
    if (values["subject"] is None) != (values["object"] is None):
        raise InvalidInput(f"{path}:{number}: a row has both names or none")


def _names(rows: Iterator[_Row]) -> dict[str, list[str]]:
    """The mentions of each `uri` in a document that are names."""
    names: dict[str, list[str]] = {}
    for row in rows:
        for mention, uri in ((row.subject, row.subject_uri), (row.object, row.object_uri)):
            if mention and uri and not _is_pronoun(mention):
                names.setdefault(uri, []).append(_plain(mention))
    return names


def _plain(mention: str) -> str:
    return re.sub(r"['’]s?$", "", " ".join(mention.split()))


def _is_pronoun(mention: str) -> bool:
    return PRONOUNS.fullmatch(mention) is not None


def _statement(context: str, passage: _Passage, names: Mapping[str, list[str]], report: Report) -> Statement:
    triples, covered, unresolved = [], set[str](), []
    for row in passage.rows:
        mapped = by_table(row.property, KNOWLEDGENET, report)
        if mapped is None:
            continue
        covered |= {mapped.relation, "member of"} if mapped.relation == "employer" else {mapped.relation}
        if row.subject is None or row.object is None:
            continue
        subject = _name(row.subject, row.subject_uri, context, passage.text, names)
        other = _name(row.object, row.object_uri, context, passage.text, names)
        if subject is None or other is None:
            unresolved.append((row, mapped.relation))
        else:
            triples.append(_membership(mapped.triple(subject, other), passage.text))
    for row, relation in unresolved:
        if not any({row.subject, row.object} & {triple.subject, triple.object} for triple in triples):
            report[f"pronoun: {relation}"] += 1
            covered -= {relation, "member of"} if relation == "employer" else {relation}
    statement = stated(context, passage.text, _one_name_each(triples, passage.text), SOURCE, report=report)
    return partial(statement, covered)


def _name(mention: str, uri: str | None, context: str, focus: str, names: Mapping[str, list[str]]) -> str | None:
    """The entity's first name in the focus, else the one before it."""
    mention = _plain(mention)
    here = [name for name in names.get(uri or "", []) if name in focus]
    if here:
        return min(here, key=lambda name: (focus.find(name), -len(name)))
    if not _is_pronoun(mention):
        return mention if mention in focus else None
    return next((name for name in names.get(uri or "", []) if name in context), None)


def _membership(triple: Triple, focus: str) -> Triple:
    """The property EMPLOYEE_OR_MEMBER_OF is two relations here."""
    at = focus.find(triple.object)
    if triple.relation == "employer" and "member" in focus[max(0, at - NEAR) : at].casefold():
        return Triple(triple.subject, "member of", triple.object)
    return triple


def _one_name_each(triples: list[Triple], focus: str) -> list[Triple]:
    """Without the triples that repeat another with an abbreviation ("Board (MASB)")."""
    short = {triple.object for triple in triples for other in triples if _explains(other.object, triple.object, focus)}
    short |= {triple.subject for triple in triples for other in triples if _explains(other.subject, triple.subject, focus)}
    return [triple for triple in triples if not {triple.subject, triple.object} & short]


def _explains(name: str, short: str, focus: str) -> bool:
    return f"{name} ({short}" in focus or f'{name} ("{short}' in focus
