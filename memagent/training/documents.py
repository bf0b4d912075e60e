"""Read examples in running text, from documents in which people marked entities and triples (paper, section 3).

Before the first mention of an entity that a triple connects to an entity mentioned before, a call asks for it. One to three of the
triples that connect it are asked for, the one from the nearest mention always; the answers come from a memory filled with all
documents and with the facts of DocRED, so that the right one stands among others. Forms of queries that mostly have more answers
than a call may have are never asked ("who is a citizen of this country").

A document is taught in stretches, each with its calls, behind as much of the text before it as there is room for, without calls and
unsupervised: so a call is learnt as one continuation of many places without one, and the text is read as it is when it is scored
(`model/scoring.py`). Every document is taught as it is and once more with invented names, so that the answers are copied.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from memagent.calls import MAX_ANSWERS, MAX_QUERIES, ReadCall
from memagent.model.marks import Marks
from memagent.ontology import Ontology, default_ontology
from memagent.training.examples import MAX_TOKENS, TEXT_WEIGHT, Parts, put_read
from memagent.training.grammar.names import Names
from memagent.training.overlap import Overlap
from memagent.training.readers import Report, read_docred_facts
from memagent.training.readers.docred import DEV, consistent, read_records
from memagent.training.readers.documents import Answers, Document, Target, place, read_document
from memagent.training.shards import Example
from memagent.triples import Query

CROWDED = 0.1  # share of answers that come more than `MAX_ANSWERS` at a time, from which on a form of query is never asked
STRETCH = 64  # tokens of text that are taught at a time; a name that is asked for is not cut
TAUGHT = 180  # tokens of a stretch with its calls, at most; the rest of an example is what stands before
ANSWERS = 60  # tokens of the answers of one call, at most: a small model's window has room for no more
MORE_QUERIES = (6, 3, 1)  # odds that one, two or three queries are asked where there are as many
INVENTED = 0.8  # share of the words of names that are invented in the second telling
SPOKEN_OF = ("PER", "ORG", "LOC", "MISC")  # kinds of entity that have names, not numbers or dates
Record = Mapping[str, Any]


def document_examples(data: Path, marks: Marks, seed: int, overlap: Overlap, removed: Counter[str], report: Report) -> Iterator[Example]:
    """Both tellings of each document that has no sentence worded like one of the evaluation; the others are counted.

    Raises:
        InvalidInput: a document contradicts itself; names file and number.
    """
    rng = random.Random(seed)
    path, ontology = data / DEV, default_ontology()
    records, answers = read_records(path), Answers()
    for number, record in enumerate(records, 1):
        with consistent(path, number):
            answers.add_document(record, ontology)
    answers.add_facts(read_docred_facts(data, report))
    answers.leave_out_crowded(CROWDED)
    for number, record in enumerate(records, 1):
        with consistent(path, number):
            tellings = list(_tellings(record, ontology, answers, rng))
        suite = overlap.suite(tellings[0].text)
        if suite is not None:
            removed[f"documents like {suite}"] += 1
            continue
        for document in tellings:
            yield from examples(document, marks, rng)


def _tellings(record: Record, ontology: Ontology, answers: Answers, rng: random.Random) -> Iterator[Document]:
    """The document as it is, and with invented names."""
    yield read_document(record, ontology, answers)
    words = InventedWords(Names(rng), rng)
    yield read_document(renamed(record, words), ontology, InventedAnswers(answers, words))


# ---- one document


def examples(document: Document, marks: Marks, rng: random.Random) -> Iterator[Example]:
    """The document, a stretch at a time."""
    text = document.text
    ids, spans = marks.located(text)
    places = {place(text, spans, target): target for target in document.gold.targets}
    calls = {i: call_for(target, marks, rng) for i, target in places.items()}
    whole = {j for i, target in places.items() for j in range(i + 1, len(ids)) if spans[j][0] < target.span[1]}
    start = 0
    while start < len(ids):
        stretch, end = _stretch(ids, start, calls, whole, marks)
        room = MAX_TOKENS - 1 - len(stretch.ids)
        parts = Parts(marks).put([marks.begin, *ids[max(0, start - room) : start]])
        yield Example((*parts.ids, *stretch.ids), (*parts.weights, *stretch.weights))
        start = end


def _stretch(ids: Sequence[int], start: int, calls: Mapping[int, ReadCall], whole: Set[int], marks: Marks) -> tuple[Parts, int]:
    """Tokens of the text from `start` on with the calls before them, and where the next stretch begins: not at a token of `whole`."""
    parts = Parts(marks)
    for i in range(start, len(ids)):
        more = Parts(marks)
        if i in calls:
            put_read(more, calls[i])
        more.put([ids[i]], TEXT_WEIGHT)
        if i > start and i not in whole and (i >= start + STRETCH or len(parts.ids) + len(more.ids) > TAUGHT):
            return parts, i
        parts.ids += more.ids
        parts.weights += more.weights
    return parts, len(ids)


def call_for(target: Target, marks: Marks, rng: random.Random) -> ReadCall:
    """One to three of the target's queries in one call, with all that the memory knows, the right answer among it."""
    count = rng.choices(range(1, MAX_QUERIES + 1), MORE_QUERIES)[0]
    chosen: dict[str, None] = {}
    queries: list[Query] = []
    for call in dict.fromkeys(target.calls):
        more = dict.fromkeys((*chosen, *(call.answers or ())))
        if len(queries) < count and call.queries[0] not in queries and len(more) <= MAX_ANSWERS:
            queries.append(call.queries[0])
            chosen = more
    return ReadCall(tuple(queries), tuple(_fitting(list(chosen), target.name, marks, rng)))


def _fitting(answers: list[str], right: str, marks: Marks, rng: random.Random) -> list[str]:
    """The answers in any order; where they are too long, the right one and as many of the others as there is room for."""
    rng.shuffle(answers)
    answers.sort(key=lambda answer: answer != right)  # stable
    room = ANSWERS
    kept: list[str] = []
    for answer in answers:
        room -= len(marks.text(answer)) + 1
        if room < 0 and kept:
            break
        kept.append(answer)
    rng.shuffle(kept)
    return kept


# ---- invented names


class InventedWords:
    """For most words of names an invented one, the same wherever the word stands."""

    def __init__(self, names: Names, rng: random.Random) -> None:
        self._names = names
        self._rng = rng
        self._known: dict[str, str] = {}

    def word(self, word: str) -> str:
        """The word that stands for this one: itself, if it is no name's."""
        if not (word[:1].isupper() and word.isalpha() and len(word) > 2 and word != "The"):
            return word
        if word not in self._known:
            self._known[word] = self._names.word() if self._rng.random() < INVENTED else word
        return self._known[word]

    def name(self, name: str) -> str:
        """A name of such words."""
        return " ".join(map(self.word, name.split()))


def renamed(record: Record, words: InventedWords) -> Record:
    """The document with invented words in the mentions of its entities; what the memory calls them stays."""
    sentences = [list(tokens) for tokens in record["sents"]]
    for mention in (mention for entity in record["vertexSet"] for mention in entity if mention["type"] in SPOKEN_OF):
        sentence, (start, end) = sentences[mention["sent_id"]], mention["pos"]
        sentence[start:end] = map(words.word, record["sents"][mention["sent_id"]][start:end])
    return {**record, "sents": sentences}


class InventedAnswers(Answers):
    """The same memory with the same words invented in its answers."""

    def __init__(self, answers: Answers, words: InventedWords) -> None:
        super().__init__()
        self._real = answers
        self._words = words

    def to(self, known: str, relation: str, inverse: bool) -> dict[str, str]:
        """The answers by their real names in lower case."""
        return {key: self._words.name(name) for key, name in self._real.to(known, relation, inverse).items()}

    def useful(self, known: str, relation: str, inverse: bool) -> bool:
        """As with the real names."""
        return self._real.useful(known, relation, inverse)
