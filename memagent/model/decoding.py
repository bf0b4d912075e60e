"""Grounded decoding: calls that name only what is there.

A write call is searched slot by slot (subject, relation, object) among the spans of the focus sentence, the known entities, the
speaker and the relations of the ontology. A read call is chosen among the queries that the memory could answer, against
everything else that could be asked about the same entities. Both are well-formed by construction, whatever the weights.

Works on any `Scorer`: something that gives log-probabilities of continuations. Knows nothing about stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import regex
from torch import Tensor

from memagent.model.marks import Marks
from memagent.model.tree import Scored
from memagent.triples import Query, Triple

MAX_SPAN_WORDS = 9
MAX_TRIPLES = 8  # of one focus sentence
BEAM = 3  # hypotheses kept after each slot
OPTIONS = 24  # options of a slot that are scored in full, the most likely first tokens first
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}@+#$£€%&_/’'.\-:]*[\p{L}\p{N}%€$£+\-]\.?|&")


class Scorer(Protocol):
    """Log-probabilities after one prefix."""

    def after(self, tail: Sequence[int]) -> Scorer:
        """The same with `tail` added to the prefix."""

    def following(self) -> Tensor:
        """Log-probabilities of the next token, (vocabulary,)."""

    def score(self, paths: Sequence[Sequence[int]]) -> list[Scored]:
        """Each path scored as a continuation."""


def spans(text: str) -> list[str]:
    """Every run of at most `MAX_SPAN_WORDS` words, as it stands in the text."""
    words = [(w.start(), w.end()) for w in _WORD.finditer(text)]
    found: dict[str, None] = {}
    for i, (start, _) in enumerate(words):
        for _, end in words[i : i + MAX_SPAN_WORDS]:
            for form in _forms(text[start:end]):
                found.setdefault(form, None)
    return list(found)


def _forms(span: str) -> Iterable[str]:
    """The span; without a possessive or a final full stop or colon too."""
    yield span
    for ending in ("'s", "’s", ".", ":", "'", "’"):
        if span.endswith(ending) and len(span) > len(ending):
            yield span[: -len(ending)]


@dataclass(frozen=True, slots=True)
class Option:
    """Something that can fill a slot: its name and its tokens, the mark that ends it included."""

    name: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A part of a call: the names so far, the tokens, and their log-probability."""

    names: tuple[str, ...]
    tokens: tuple[int, ...]
    logprob: float
    following: Tensor


def fill_slot(
    scorer: Scorer, hypotheses: Sequence[Hypothesis], options: Callable[[Hypothesis], Sequence[Option]], beam: int = BEAM
) -> list[Hypothesis]:
    """Every hypothesis continued by its options; the best `beam`, best first."""
    tried: list[tuple[Hypothesis, Option]] = []
    for hypothesis in hypotheses:
        ranked = sorted(options(hypothesis), key=lambda o: -float(hypothesis.following[o.tokens[0]]))
        tried += [(hypothesis, option) for option in ranked[:OPTIONS]]
    if not tried:
        return []
    scored = scorer.score([h.tokens + o.tokens for h, o in tried])
    longer = [
        Hypothesis((*h.names, o.name), h.tokens + o.tokens, h.logprob + sum(s.logprobs[len(h.tokens) :]), s.following)
        for (h, o), s in zip(tried, scored, strict=True)
    ]
    return sorted(longer, key=lambda h: -h.logprob)[:beam]


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """When a write call goes on, and which triples it keeps; all are probabilities."""

    open: float = 0.5  # that the sentence states anything
    next: float = 0.5  # that another triple follows
    keep: float = 0.05  # of a triple, over its names; below, it is not written


class WriteSearch:
    """The triples of one focus sentence."""

    def __init__(self, marks: Marks, relations: Sequence[str], limits: WriteLimits) -> None:
        self.marks = marks
        self.limits = limits
        self.relations = self._options(relations, marks.side)

    def _options(self, names: Sequence[str], mark: int) -> list[Option]:
        return [Option(name, (*ids, mark)) for name, ids in zip(names, self.marks.texts(names), strict=True)]

    def search(self, scorer: Scorer, names: Sequence[str], focus_names: frozenset[str], speaker: str) -> list[Triple]:
        """`names`: what a slot may hold; every triple has at least one side in `focus_names` or the speaker."""
        subjects = self._options(names, self.marks.side)
        objects = [Option(name, tuple(ids)) for name, ids in zip(names, self.marks.texts(names), strict=True)]
        found: list[Triple] = []
        for _ in range(MAX_TRIPLES):
            following = scorer.following()
            if found:
                going_on = _share(following, self.marks.next, self.marks.close)
                if going_on < self.limits.next:
                    break
                scorer = scorer.after([self.marks.next])
            elif 1.0 - math.exp(float(following[self.marks.close])) < self.limits.open:
                break
            best = self._triple(scorer, subjects, objects, found, focus_names, speaker)
            if best is None:
                break
            triple, tokens = best
            scorer = scorer.after(tokens)
            found.append(triple)
        return [t for t in found if t.confidence >= self.limits.keep]

    def _triple(
        self,
        scorer: Scorer,
        subjects: Sequence[Option],
        objects: Sequence[Option],
        found: Sequence[Triple],
        focus_names: frozenset[str],
        speaker: str,
    ) -> tuple[Triple, tuple[int, ...]] | None:
        taken = {(t.subject, t.relation, t.object) for t in found}
        start = Hypothesis((), (), 0.0, scorer.following())
        after_subject = fill_slot(scorer, [start], lambda _: subjects)
        after_relation = fill_slot(scorer, after_subject, lambda _: self.relations, beam=2 * BEAM)

        def allowed(h: Hypothesis) -> list[Option]:
            new = [o for o in objects if _apart(h.names[0], o.name) and (h.names[0], h.names[1], o.name) not in taken]
            return [o for o in new if h.names[0] in focus_names or o.name in focus_names or h.names[0] == speaker]

        ends = (self.marks.next, self.marks.close)
        closed = fill_slot(scorer, after_relation, allowed, beam=BEAM * OPTIONS)  # the mark that ends an object is not scored yet
        if not closed:
            return None
        whole = max(closed, key=lambda h: h.logprob + _log_any(h.following, ends))
        confidence = min(1.0, math.exp(whole.logprob + _log_any(whole.following, ends)))
        subject, relation, target = whole.names
        return Triple(subject, relation, target, confidence), whole.tokens


def _apart(one: str, other: str) -> bool:
    """Whether two names are not the same stretch of text."""
    return one.casefold() != other.casefold()


def _share(following: Tensor, one: int, other: int) -> float:
    """Probability of `one` against `other`."""
    return 1.0 / (1.0 + math.exp(float(following[other] - following[one])))


def _log_any(following: Tensor, tokens: Sequence[int]) -> float:
    """Log-probability that one of `tokens` comes next."""
    return math.log(sum(math.exp(float(following[t])) for t in tokens) + 1e-12)


# ---- reading


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """When a read call is made; probabilities."""

    open: float = 0.5  # that the model wants to ask at all
    answerable: float = 0.3  # of the query among everything that could be asked here


@dataclass(frozen=True, slots=True)
class ReadChoice:
    """What the model would ask: the best query that can be answered, its probability, and the best of all."""

    query: Query | None
    confidence: float
    wished: Query | None  # the best of all queries, answerable or not
    opening: float  # probability that a call opens here


class ReadSearch:
    """Which query to ask at one place of the text."""

    def __init__(self, marks: Marks, relations: Sequence[str]) -> None:
        self.marks = marks
        self.relations = list(relations)
        self._ids = dict(zip(self.relations, marks.texts(self.relations), strict=True))  # of names, relations to begin with

    def _name(self, name: str | None) -> list[int]:
        if name is None:
            return []
        if name not in self._ids:
            self._ids[name] = self.marks.text(name)
        return self._ids[name]

    def tokens(self, query: Query) -> tuple[int, ...]:
        """The query as tokens, the answer's mark included."""
        marks = self.marks
        subject, relation, target = (self._name(n) for n in (query.subject, query.relation, query.object))
        return (*subject, marks.side, *relation, marks.side, *target, marks.read_answer)

    def choose(self, scorer: Scorer, askable: Sequence[Query], entities: Sequence[str]) -> ReadChoice:
        """Score the answerable queries against all that could be asked about `entities`."""
        self._ids = {name: self._ids[name] for name in self.relations}
        opening = math.exp(float(scorer.following()[self.marks.read_open]))
        inside = scorer.after([self.marks.read_open])
        every = list(dict.fromkeys([*askable, *self._conceivable(entities)]))
        if not every:
            return ReadChoice(None, 0.0, None, opening)
        scored = self._scored(inside, every)
        total = _log_sum([s for _, s in scored])
        wished = max(scored, key=lambda pair: pair[1])[0]
        can = set(askable)
        possible = [(q, s) for q, s in scored if q in can]
        if not possible:
            return ReadChoice(None, 0.0, wished, opening)
        query, score = max(possible, key=lambda pair: pair[1])
        return ReadChoice(query, math.exp(score - total), wished, opening)

    def _conceivable(self, entities: Sequence[str]) -> list[Query]:
        forwards = [Query(entity, relation, None) for entity in entities for relation in self.relations]
        backwards = [Query(None, relation, entity) for entity in entities for relation in self.relations]
        return forwards + backwards

    def _scored(self, scorer: Scorer, queries: Sequence[Query]) -> list[tuple[Query, float]]:
        """Queries with their log-probability, those with an unlikely beginning left out.

        The tree shares the subjects; relations are first ranked by their first token, as in a beam search.
        """
        heads = self._heads(queries)
        head_scores = scorer.score(list(heads))
        kept: list[tuple[Query, tuple[int, ...]]] = []
        for scored in head_scores:
            group = heads[scored.tokens]
            ranked = sorted(group, key=lambda q: -float(scored.following[self.tokens(q)[len(scored.tokens)]]))
            kept += [(q, self.tokens(q)) for q in ranked[: 2 * OPTIONS]]
        totals = scorer.score([tokens for _, tokens in kept])
        return [(query, s.total) for (query, _), s in zip(kept, totals, strict=True)]

    def _heads(self, queries: Sequence[Query]) -> dict[tuple[int, ...], list[Query]]:
        """Queries by the tokens before their relation."""
        heads: dict[tuple[int, ...], list[Query]] = {}
        for query in queries:
            heads.setdefault((*self._name(query.subject), self.marks.side), []).append(query)
        return heads


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))
