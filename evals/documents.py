"""Documents in DocRED form as running text, with what people marked in them: mentions, triples, and what a read call could supply.

A target (section 3 of the paper): the first mention of an entity that some triple connects to an entity mentioned before it. Its
query asks for it by that triple, from the nearest such mention. Queries with more answers in the whole file than a call may have
("who is a citizen of this country") supply nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memagent import Query, Triple
from memagent.calls import MAX_ANSWERS
from memagent.ontology import Ontology
from memagent.training.readers.spelling import Span, detokenise


@dataclass(frozen=True, slots=True)
class Target:
    """A mention that a read call could supply, and the query that does."""

    span: Span
    name: str
    query: Query


@dataclass(frozen=True, slots=True)
class Gold:
    """What people marked: mentions as stretches of the text, triples, and the names of each entity as the text has them."""

    mentions: tuple[Span, ...]
    targets: tuple[Target, ...]
    triples: tuple[Triple, ...]
    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Sentences with one space between them are the text; `gold` is for measuring, and for rows that say oracle."""

    title: str
    sentences: tuple[str, ...]
    gold: Gold

    @property
    def text(self) -> str:
        """The whole of it."""
        return " ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class _Label:
    subject: int
    relation: str
    object: int


Answers = Mapping[tuple[str, str, bool], set[str]]  # to (known name, relation, whether the subject is asked for)


def read_documents(records: Sequence[Mapping[str, Any]], ontology: Ontology) -> list[Document]:
    """All documents of a file; labels whose relation the ontology lacks are left out."""
    relations = {relation.wikidata: relation.name for relation in ontology if relation.wikidata}
    labels = [[_Label(x["h"], relations[x["r"]], x["t"]) for x in record["labels"] if x["r"] in relations] for record in records]
    answers: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
    for record, labelled in zip(records, labels, strict=True):
        names = [entity[0]["name"].casefold() for entity in record["vertexSet"]]
        for label in labelled:
            answers[names[label.subject], label.relation, False].add(names[label.object])
            answers[names[label.object], label.relation, True].add(names[label.subject])
    return [_document(record, labelled, answers) for record, labelled in zip(records, labels, strict=True)]


def _document(record: Mapping[str, Any], labels: Sequence[_Label], answers: Answers) -> Document:
    written = [detokenise(tokens) for tokens in record["sents"]]
    sentences = tuple(text for text, _ in written)
    starts = [sum(len(text) + 1 for text in sentences[:i]) for i in range(len(sentences))]
    text = " ".join(sentences)
    entities = [sorted({_span(mention, written, starts) for mention in entity}) for entity in record["vertexSet"]]
    entities = [[span for span in spans if text[slice(*span)].strip()] for spans in entities]  # some have nothing but empty brackets
    names = [
        tuple(dict.fromkeys(text[slice(*span)] for span in spans)) or (entity[0]["name"],)
        for spans, entity in zip(entities, record["vertexSet"], strict=True)
    ]
    triples = tuple(dict.fromkeys(Triple(names[x.subject][0], x.relation, names[x.object][0]) for x in labels))
    mentions = tuple(sorted(span for spans in entities for span in spans))
    asked = [label for label in labels if label.subject != label.object]
    keys = [entity[0]["name"].casefold() for entity in record["vertexSet"]]
    targets = [target for i in range(len(entities)) if (target := _target(i, text, entities, asked, keys, answers))]
    return Document(record["title"], sentences, Gold(mentions, tuple(sorted(targets, key=lambda t: t.span)), triples, tuple(names)))


def _span(mention: Mapping[str, Any], written: Sequence[tuple[str, list[Span]]], starts: Sequence[int]) -> Span:
    """Where a mention stands in the text."""
    sentence, (first, end) = mention["sent_id"], mention["pos"]
    places = written[sentence][1][first:end]
    return starts[sentence] + places[0][0], starts[sentence] + places[-1][1]


def _target(
    entity: int, text: str, entities: Sequence[Sequence[Span]], labels: Sequence[_Label], keys: Sequence[str], answers: Answers
) -> Target | None:
    """The first mention of the entity with the query from the nearest mention before it, if a triple connects the two."""
    if not entities[entity]:
        return None
    first = entities[entity][0]
    found: list[tuple[int, Query]] = []
    for known, relation, inverse in _connections(entity, labels):
        before = [span for span in entities[known] if span[1] <= first[0]]
        if before and len(answers[keys[known], relation, inverse]) <= MAX_ANSWERS:
            name = text[slice(*before[-1])]
            found.append((before[-1][1], Query(None, relation, name) if inverse else Query(name, relation, None)))
    if not found:
        return None
    return Target(first, text[slice(*first)], max(found, key=lambda pair: pair[0])[1])


def _connections(entity: int, labels: Sequence[_Label]) -> Iterator[tuple[int, str, bool]]:
    """From which other entity, by which relation, and whether the subject is asked for."""
    for label in labels:
        if label.object == entity:
            yield label.subject, label.relation, False
        elif label.subject == entity:
            yield label.object, label.relation, True
