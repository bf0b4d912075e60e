"""The ways of writing one document that suite `perplexity` compares: the log-probability of every token under each.

What people marked (`Document.gold`) is read only by the ways whose name begins with `ORACLE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evals.perplexity import OFF
from memagent import Memory, Query, ReadCall
from memagent.agent.reader import answer
from memagent.memory import Embedder
from memagent.model.local import BARE, LocalModel
from memagent.model.scoring import Branch, Call, Encoded, Reading, mixed
from memagent.training.readers.documents import Document, Target, place

BASE, RAG, OWN, ORACLE = "base", "RAG", "own memory", "oracle: "
GOLD = ORACLE + "triples"
PASSAGES = 3  # sentences that are looked up; a small model has room for one or two
LOOKED_UP_BY = 200  # characters of the text before


class Passages:
    """The sentences of all documents, to be looked up by what they are near to."""

    def __init__(self, embedder: Embedder, documents: Sequence[Document]) -> None:
        self._embedder = embedder
        self._sentences = [(document.title, sentence) for document in documents for sentence in document.sentences]
        self._vectors = embedder.embed([sentence for _, sentence in self._sentences])

    def near(self, text: str, title: str) -> list[str]:
        """The nearest to `text`, of documents with another title, best first."""
        scores = self._vectors @ self._embedder.embed([text])[0]
        others = (self._sentences[i] for i in (-scores).argsort() if self._sentences[i][0] != title)
        return [sentence for (_, sentence), _ in zip(others, range(PASSAGES), strict=False)]


class Knowing:
    """A memory that does not change any more, asked about texts."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._askable: dict[str, list[Query]] = {}

    def askable(self, text: str) -> list[Query]:
        """What it could answer about the names in `text`."""
        names = dict.fromkeys(text[m.start : m.end] for m in self.memory.mentions(text))
        for name in names.keys() - self._askable.keys():
            self._askable[name] = [asked.query(name) for asked in self.memory.askable(name)]
        return [query for name in names for query in self._askable[name]]

    def call(self, at: int, query: Query) -> Call:
        """The query before token `at`, answered."""
        return Call(at, query, tuple(match.answer for match in answer(self.memory, ReadCall((query,)))))


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a document may be written with: what the model wrote, what people marked, the other documents' sentences."""

    own: Knowing
    gold: Knowing
    passages: Passages


@dataclass(frozen=True, slots=True)
class Written:
    """A document's tokens, and their log-probabilities each way.

    `places`: the tokens before which a call was considered; `targets`: those before which the calls for the targets stand.
    `malformed`: how many queries that nothing grounded were no queries.
    """

    tokens: Encoded
    ways: dict[str, list[float]]
    places: list[int]
    targets: list[int]
    malformed: int


def write(document: Document, model: LocalModel, shelf: Shelf) -> Written:
    """The document in every way."""
    text = document.text
    tokens = Encoded.of(text, model.marks)
    bare = Reading(model, tokens, BARE).plain
    retrieved = Reading(model, tokens, before=_retrieval(document, tokens, model, shelf.passages)).plain
    reading = Reading(model, tokens)
    places = reading.places
    free = {i: [(query, 1.0)] for i, query in reading.written(places).items() if query is not None}
    ways = {BASE: bare, OFF: reading.plain, RAG: retrieved}
    for name, knowing in ((OWN, shelf.own), (GOLD, shelf.gold)):
        grounded = reading.chosen({i: knowing.askable(text[: tokens.spans[i][0]]) for i in places})
        for how, asked in (("", grounded), (", not grounded", free)):
            branches = _branches(reading, knowing, asked)
            ways[name + how] = mixed(reading.plain, [replace(b, weight=b.weight * reading.opening[b.at]) for b in branches])
            firsts = {b.at: b for b in reversed(branches) if reading.opens[b.at]}
            ways[f"{name}{how}, no branching"] = mixed(reading.plain, [replace(b, weight=1.0) for b in firsts.values()])
    targets = {place(text, tokens.spans, target): target for target in document.gold.targets}
    ways |= _told(targets, text, tokens, reading, shelf.gold)
    return Written(tokens, ways, places, list(targets), len(places) - len(free))


def _told(targets: Mapping[int, Target], text: str, tokens: Encoded, reading: Reading, gold: Knowing) -> dict[str, list[float]]:
    """The ways in which people say where to call, what to ask, what the answer is; every call is made."""
    chosen = reading.chosen({i: gold.askable(text[: tokens.spans[i][0]]) for i in targets})
    asked = _branches(reading, gold, {i: [(target.query, 1.0)] for i, target in targets.items()})
    answers = [Call(i, target.query, (target.name,)) for i, target in targets.items()]
    answered = [Branch(call.at, 1.0, logprobs) for call, logprobs in zip(answers, reading.after(answers), strict=True)]
    told = {"places": _branches(reading, gold, chosen), "queries": asked, "answers": answered}
    return {ORACLE + what: mixed(reading.plain, branches) for what, branches in told.items()}


def _branches(reading: Reading, knowing: Knowing, asked: Mapping[int, Sequence[tuple[Query, float]]]) -> list[Branch]:
    """What follows each query and its answers; the weight is the query's share of those asked in its place."""
    calls = [(knowing.call(i, query), share) for i, queries in asked.items() for query, share in queries]
    after = reading.after([call for call, _ in calls])
    return [Branch(call.at, share, logprobs) for (call, share), logprobs in zip(calls, after, strict=True)]


def _retrieval(document: Document, tokens: Encoded, model: LocalModel, passages: Passages) -> Callable[[int], list[int]]:
    """Sentences for the window that predicts from token `i` on: those near to the text just before it."""

    def before(i: int) -> list[int]:
        known = document.text[: tokens.spans[i][0]][-LOOKED_UP_BY:]
        if not known.strip():
            return []
        return [token for sentence in passages.near(known, document.title) for token in model.marks.text(sentence)]

    return before
