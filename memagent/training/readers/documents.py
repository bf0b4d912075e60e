"""Documents in DocRED form as running text, with what people marked in them: mentions, triples, and what a read call could supply.

A target (section 3 of the paper): the first mention of an entity that some triple connects to an entity mentioned before it. Its
calls ask for it by those triples, each from the nearest mention before. Queries to which a memory filled with all documents has more
answers than a call may have ("who is a citizen of this country") supply nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memagent.calls import MAX_ANSWERS, ReadCall
from memagent.ontology import Ontology
from memagent.training.readers.spelling import Span, detokenise
from memagent.training.readers.statements import Fact
from memagent.triples import Query, Triple

Pattern = tuple[str, bool]  # a relation, and whether its subject is asked for


@dataclass(frozen=True, slots=True)
class Target:
    """A mention that a read call could supply, and the calls that do, each with one query; the nearest known mention first."""

    span: Span
    name: str
    calls: tuple[ReadCall, ...]

    @property
    def query(self) -> Query:
        """Of the first call."""
        return self.calls[0].queries[0]


@dataclass(frozen=True, slots=True)
class Gold:
    """What people marked: mentions as stretches of the text, triples, and the names of each entity as the text has them."""

    mentions: tuple[Span, ...]
    targets: tuple[Target, ...]
    triples: tuple[Triple, ...]
    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Sentences with one space between them are the text; `gold` is for teaching, for measuring, and for rows that say oracle."""

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


class Answers:
    """What a memory filled with documents would answer. Names are the same whatever their case."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, Pattern], dict[str, str]] = defaultdict(dict)  # spelt as they came first
        self.crowded: frozenset[Pattern] = frozenset()  # nothing of these forms is asked

    @classmethod
    def filled(cls, records: Iterable[Mapping[str, Any]], ontology: Ontology) -> Answers:
        """From the labels of all documents."""
        answers = cls()
        for record in records:
            answers.add_document(record, ontology)
        return answers

    def add_document(self, record: Mapping[str, Any], ontology: Ontology) -> None:
        """Store the labels of one document."""
        names = _names(record)
        for label in _labels(record, ontology):
            self.add(names[label.subject], label.relation, names[label.object])

    def add(self, subject: str, relation: str, target: str) -> None:
        """Store a triple."""
        self._names[subject.casefold(), (relation, False)][target.casefold()] = target
        self._names[target.casefold(), (relation, True)][subject.casefold()] = subject

    def add_facts(self, facts: Iterable[Fact]) -> None:
        """Store facts without a text."""
        for fact in facts:
            for target in fact.objects:
                self.add(fact.subject, fact.relation, target)

    def to(self, known: str, relation: str, inverse: bool) -> dict[str, str]:
        """The answers, by their names in lower case."""
        return self._names.get((known.casefold(), (relation, inverse)), {})

    def useful(self, known: str, relation: str, inverse: bool) -> bool:
        """Whether a call may ask it."""
        return (relation, inverse) not in self.crowded and len(self.to(known, relation, inverse)) <= MAX_ANSWERS

    def leave_out_crowded(self, share: float) -> None:
        """Ask nothing of a form by which this share of the answers, or more, come in crowds that no call may hold."""
        all_, crowd = Counter[Pattern](), Counter[Pattern]()
        for (_, pattern), names in self._names.items():
            all_[pattern] += len(names)
            crowd[pattern] += len(names) * (len(names) > MAX_ANSWERS)
        self.crowded = frozenset(pattern for pattern in all_ if crowd[pattern] >= share * all_[pattern])


def read_documents(records: Sequence[Mapping[str, Any]], ontology: Ontology) -> list[Document]:
    """All documents of a file; labels whose relation the ontology lacks are left out."""
    answers = Answers.filled(records, ontology)
    return [read_document(record, ontology, answers) for record in records]


def read_document(record: Mapping[str, Any], ontology: Ontology, answers: Answers) -> Document:
    """One document, with what `answers` could supply to it."""
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
    labels = _labels(record, ontology)
    triples = tuple(dict.fromkeys(Triple(names[x.subject][0], x.relation, names[x.object][0]) for x in labels))
    mentions = tuple(sorted(span for spans in entities for span in spans))
    asked = [label for label in labels if label.subject != label.object]
    targets = [target for i in range(len(entities)) if (target := _target(i, text, entities, asked, _names(record), answers))]
    return Document(record["title"], sentences, Gold(mentions, tuple(sorted(targets, key=lambda t: t.span)), triples, tuple(names)))


def _names(record: Mapping[str, Any]) -> list[str]:
    """What a memory calls each entity."""
    return [entity[0]["name"] for entity in record["vertexSet"]]


def _labels(record: Mapping[str, Any], ontology: Ontology) -> list[_Label]:
    relations = {relation.wikidata: relation.name for relation in ontology if relation.wikidata}
    return [_Label(label["h"], relations[label["r"]], label["t"]) for label in record["labels"] if label["r"] in relations]


def _span(mention: Mapping[str, Any], written: Sequence[tuple[str, list[Span]]], starts: Sequence[int]) -> Span:
    """Where a mention stands in the text."""
    sentence, (first, end) = mention["sent_id"], mention["pos"]
    places = written[sentence][1][first:end]
    return starts[sentence] + places[0][0], starts[sentence] + places[-1][1]


def _target(
    entity: int, text: str, entities: Sequence[Sequence[Span]], labels: Sequence[_Label], names: Sequence[str], answers: Answers
) -> Target | None:
    """The first mention of the entity with the calls from the nearest mentions before it, if a triple connects it to any."""
    if not entities[entity]:
        return None
    first = entities[entity][0]
    name = text[slice(*first)]
    found: list[tuple[int, ReadCall]] = []
    for known, relation, inverse in _connections(entity, labels):
        before = [span for span in entities[known] if span[1] <= first[0]]
        if before and answers.useful(names[known], relation, inverse):
            asked = text[slice(*before[-1])]
            query = Query(None, relation, asked) if inverse else Query(asked, relation, None)
            given = answers.to(names[known], relation, inverse) | {names[entity].casefold(): name}
            found.append((before[-1][1], ReadCall((query,), tuple(given.values()))))
    if not found:
        return None
    found.sort(key=lambda pair: -pair[0])
    return Target(first, name, tuple(call for _, call in found))


def _connections(entity: int, labels: Sequence[_Label]) -> Iterator[tuple[int, str, bool]]:
    """From which other entity, by which relation, and whether the subject is asked for."""
    for label in labels:
        if label.object == entity:
            yield label.subject, label.relation, False
        elif label.subject == entity:
            yield label.object, label.relation, True


def place(text: str, spans: Sequence[Span], target: Target) -> int:
    """The token before which a call for the target stands: the first of the mention, or of the space before it.

    `spans` are the stretches of the text that its tokens stand for.
    """
    start = target.span[0] - text[: target.span[0]].endswith(" ")
    return next(i for i, (_, end) in enumerate(spans) if end > start)
