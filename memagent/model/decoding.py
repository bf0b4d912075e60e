"""Grounded decoding: calls that name only what is there.

A write call is searched slot by slot (subject, relation, object) among the spans of the focus sentence, the known entities, the
speaker and the relations of the ontology; no name may contradict the domain or range of its relation. A read call is chosen among
the queries that the memory could answer, against everything else that could be asked about the same entities. Both are well-formed
by construction, whatever the weights.

Works on any `Scorer`: something that gives log-probabilities of continuations. Knows nothing about stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import regex
from torch import Tensor

from memagent.model.kinds import may_be_object, may_be_subject
from memagent.model.marks import Marks
from memagent.model.opinions import NOTHING, Asked, RelationScorer, Stated
from memagent.model.tree import Scored
from memagent.ontology import Ontology
from memagent.triples import SPEAKER, Query, Triple

MAX_SPAN_WORDS = 9
MAX_TRIPLES = 8  # of one focus sentence
BEAM = 3  # hypotheses kept after each slot
OPTIONS = 24  # options of a slot that are scored in full, the most likely first tokens first
HOPELESS = 8.0  # nats by which an option's first token may be behind the best one's; of those further behind none ever won
FAR_SUBJECT = 2.0  # nats against a subject that only the context names, so that what was said before does not leak into every sentence
LEAST_COMING = math.log(0.02)  # of a triple at all; below, nothing is searched
SAID_NOTHING = math.log(0.8)  # of the likeliest pair: the second opinion is that nothing is stated
UNFITTED = -5.2  # log-probability of a relation that the relation scorer does not know: one in about 180
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
    ranked: list[tuple[float, Hypothesis, Option]] = []
    for hypothesis in hypotheses:
        begun = [(hypothesis.logprob + float(hypothesis.following[o.tokens[0]]), hypothesis, o) for o in options(hypothesis)]
        ranked += sorted(begun, key=lambda entry: -entry[0])[:OPTIONS]
    if not ranked:
        return []
    least = max(logprob for logprob, _, _ in ranked) - HOPELESS
    tried = [(hypothesis, option) for logprob, hypothesis, option in ranked if logprob >= least]
    scored = scorer.score([h.tokens + o.tokens for h, o in tried])
    longer = [
        Hypothesis((*h.names, o.name), h.tokens + o.tokens, h.logprob + sum(s.logprobs[len(h.tokens) :]), s.following)
        for (h, o), s in zip(tried, scored, strict=True)
    ]
    return sorted(longer, key=lambda h: -h.logprob)[:beam]


@dataclass(frozen=True)
class Judge:
    """A logistic model of whether a call is right: `weights` of its features, `keep` the probability from which it is made.

    `relation` weighs the relation scorer's log-probability against the language model's when candidates are ranked.
    All are fitted on phrasings that no training saw (`training/calibrate.py`).
    """

    weights: tuple[float, ...]
    relation: float = 0.5
    keep: float = 0.5

    def probability(self, features: Sequence[float]) -> float:
        """That the call is right."""
        total = sum(w * f for w, f in zip(self.weights, features, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, total))))


# Features of a write: 1, log P(a triple comes here), log P(its names), the scorer's log P(relation) and log P(nothing), later triple.
WRITE_JUDGE = Judge((2.0, 1.0, 0.5, 0.3, -0.2, 0.0))
# Features of a read: 1, log P(a call opens), log share of the query, the scorer's log P(relation), log P(nothing), distance to the best.
READ_JUDGE = Judge((2.0, 0.5, 1.0, 0.2, -0.1, 0.3))
PAIRS = 5  # pairs of names, the language model's likeliest and the second opinion's, that are tried with other relations
SECOND_OPINIONS = 3  # relations that the second opinion may add for each pair


class WriteSearch:
    """The triples of one focus sentence."""

    def __init__(self, marks: Marks, ontology: Ontology, judge: Judge = WRITE_JUDGE, second: RelationScorer | None = None) -> None:
        self.marks = marks
        self.ontology = ontology
        self.judge = judge
        self.second = second
        self.relations = self._options(ontology.names, marks.side)
        self._relation_tokens = {option.name: option.tokens for option in self.relations}

    def _options(self, names: Sequence[str], mark: int) -> list[Option]:
        return [Option(name, (*ids, mark)) for name, ids in zip(names, self.marks.texts(names), strict=True)]

    def search(self, scorer: Scorer, focus: str, names: Sequence[str], focus_names: frozenset[str], speaker: str) -> list[Triple]:
        """`names`: what a slot may hold; every triple has at least one side in `focus_names`, or the speaker for its subject."""
        subjects = self._options(names, self.marks.side)
        objects = [Option(name, tuple(ids)) for name, ids in zip(names, self.marks.texts(names), strict=True)]
        stated = self._stated(focus, names, focus_names, speaker)
        found: list[Triple] = []
        while len(found) < MAX_TRIPLES:
            following = scorer.following()
            if found:
                coming = _log_share(following, self.marks.next, self.marks.close)
                scorer = scorer.after([self.marks.next])
            else:
                coming = math.log(max(1e-9, 1.0 - math.exp(float(following[self.marks.close]))))
            if coming < LEAST_COMING and _says_nothing(stated):
                break
            best = self._best(scorer, stated, subjects, objects, found, focus_names, speaker, coming)
            if best is None or best[0].confidence < self.judge.keep:
                break
            found.append(best[0])
            scorer = scorer.after(best[1])
        return found

    def _stated(self, focus: str, names: Sequence[str], focus_names: frozenset[str], speaker: str) -> Stated | None:
        """The second opinion on the sentence."""
        if self.second is None:
            return None
        far = [name for name in names if name not in focus_names and name != speaker]
        return self.second.stated(focus, [name for name in names if name not in far], far, speaker)

    def _best(
        self,
        scorer: Scorer,
        stated: Stated | None,
        subjects: Sequence[Option],
        objects: Sequence[Option],
        found: Sequence[Triple],
        focus_names: frozenset[str],
        speaker: str,
        coming: float,
    ) -> tuple[Triple, tuple[int, ...]] | None:
        """The likeliest next triple with its confidence, and its tokens."""

        def allowed(subject: str, relation: str, target: str) -> bool:
            near = subject in focus_names or target in focus_names or subject == speaker
            new = near and _apart(subject, target) and (subject, relation, target) not in taken
            link = self.ontology[relation]
            return new and may_be_subject(subject, link, speaker) and may_be_object(target, link, speaker)

        taken = {(t.subject, t.relation, t.object) for t in found}
        candidates = self._candidates(scorer, subjects, objects, allowed, focus_names, speaker)
        if stated is not None:
            candidates += self._seconded(scorer, stated, candidates, allowed)
        if not candidates:
            return None
        tables = {c.pair: stated.relations(*c.pair) if stated else {} for c in candidates}

        def rank(candidate: Candidate) -> float:
            far = candidate.names[0] not in focus_names and candidate.names[0] != speaker
            return candidate.logprob + self.judge.relation * _opinion(tables[candidate.pair], candidate.names[1]) - FAR_SUBJECT * far

        best = max(candidates, key=rank)
        table = tables[best.pair]
        features = (1.0, coming, best.logprob, _opinion(table, best.names[1]), table.get(NOTHING, 0.0), float(bool(found)))
        subject, relation, target = best.names
        return Triple(subject, relation, target, self.judge.probability(features)), best.tokens

    def _candidates(
        self,
        scorer: Scorer,
        subjects: Sequence[Option],
        objects: Sequence[Option],
        allowed: Callable[[str, str, str], bool],
        focus_names: frozenset[str],
        speaker: str,
    ) -> list[Candidate]:
        """What the language model alone would write, best first."""
        start = Hypothesis((), (), 0.0, scorer.following())
        near = [o for o in subjects if o.name in focus_names or o.name == speaker]
        far = [o for o in subjects if o not in near]
        after_subject = fill_slot(scorer, [start], lambda _: near) + fill_slot(scorer, [start], lambda _: far, beam=1)

        def of_subject(h: Hypothesis) -> list[Option]:
            return [o for o in self.relations if may_be_subject(h.names[0], self.ontology[o.name], speaker)]

        after_relation = fill_slot(scorer, after_subject, of_subject, beam=2 * BEAM)

        def fitting(h: Hypothesis) -> list[Option]:
            return [o for o in objects if allowed(h.names[0], h.names[1], o.name)]

        closed = fill_slot(scorer, after_relation, fitting, beam=BEAM * OPTIONS)  # the mark that ends an object is not scored yet
        return sorted((self._candidate(h.names, h.tokens, h.logprob, h.following) for h in closed), key=lambda c: -c.logprob)

    def _candidate(self, names: tuple[str, ...], tokens: tuple[int, ...], logprob: float, following: Tensor) -> Candidate:
        subject, relation, target = names
        ended = logprob + _log_any(following, (self.marks.next, self.marks.close))
        return Candidate((subject, relation, target), tokens, ended)

    def _seconded(
        self, scorer: Scorer, stated: Stated, candidates: Sequence[Candidate], allowed: Callable[[str, str, str], bool]
    ) -> list[Candidate]:
        """What the second opinion adds: its likeliest pairs, and its likeliest relations for those that the language model found."""
        known = {c.names for c in candidates}
        pairs = dict.fromkeys([*[c.pair for c in candidates][:PAIRS], *stated.likeliest(PAIRS)])
        added: list[tuple[str, str, str]] = []
        for subject, target in pairs:
            table = stated.relations(subject, target)
            likeliest = sorted((r for r in table if r in self._relation_tokens), key=lambda r: -table[r])[:SECOND_OPINIONS]
            added += [n for r in likeliest if (n := (subject, r, target)) not in known and allowed(*n)]
        ids = dict(zip(texts := list({n for names in added for n in (names[0], names[2])}), self.marks.texts(texts), strict=True))
        paths = [(*ids[s], self.marks.side, *self._relation_tokens[r], *ids[o]) for s, r, o in added]
        scored = scorer.score(paths) if paths else []
        return [self._candidate(names, s.tokens, s.total, s.following) for names, s in zip(added, scored, strict=True)]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole triple: names, tokens, and the language model's log-probability of them."""

    names: tuple[str, str, str]
    tokens: tuple[int, ...]
    logprob: float

    @property
    def pair(self) -> tuple[str, str]:
        """Subject and object."""
        return self.names[0], self.names[2]


def _opinion(table: Mapping[str, float], relation: str) -> float:
    return table.get(relation, UNFITTED) if table else 0.0


def _says_nothing(stated: Stated | None) -> bool:
    """Whether the second opinion, if there is one, holds that the sentence states nothing."""
    return stated is None or all(stated.relations(*pair)[NOTHING] > SAID_NOTHING for pair in stated.likeliest(1))


def _apart(one: str, other: str) -> bool:
    """Whether two names are not the same stretch of text."""
    return one.casefold() != other.casefold()


def _log_share(following: Tensor, one: int, other: int) -> float:
    """Log-probability of `one` against `other`."""
    return -math.log1p(math.exp(min(50.0, float(following[other] - following[one]))))


def _log_any(following: Tensor, tokens: Sequence[int]) -> float:
    """Log-probability that one of `tokens` comes next."""
    return math.log(sum(math.exp(float(following[t])) for t in tokens) + 1e-12)


# ---- reading


@dataclass(frozen=True, slots=True)
class ReadChoice:
    """What the model would ask: the best query that can be answered, the probability that it is right, and the best of all."""

    query: Query | None
    confidence: float
    wished: Query | None  # the best of all queries, answerable or not
    opening: float  # probability that a call opens here


class ReadSearch:
    """Which query to ask at one place of the text."""

    def __init__(self, marks: Marks, ontology: Ontology, judge: Judge = READ_JUDGE, second: RelationScorer | None = None) -> None:
        self.marks = marks
        self.judge = judge
        self.second = second
        self.relations = list(ontology.names)
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

    def choose(
        self, scorer: Scorer, question: str, askable: Sequence[Query], entities: Sequence[str], speaker: str = SPEAKER
    ) -> ReadChoice:
        """Score the answerable queries against all that could be asked about `entities`; `question` is what is asked last."""
        self._ids = {name: self._ids[name] for name in self.relations}
        opening = float(scorer.following()[self.marks.read_open])
        every = list(dict.fromkeys([*askable, *self._conceivable(entities)]))
        if not every:
            return ReadChoice(None, 0.0, None, math.exp(opening))
        opinions = self._opinions(question, entities, speaker)
        scored = self._scored(scorer.after([self.marks.read_open]), every, askable, opinions)
        wished, most = max(scored, key=lambda pair: pair[1])
        can = set(askable)
        possible = [(q, s) for q, s in scored if q in can]
        if not possible:
            return ReadChoice(None, 0.0, wished, math.exp(opening))
        query, score = max(possible, key=lambda pair: pair[1])
        table = opinions.get(query.known, {})
        share = score - _log_sum([s for _, s in scored])
        features = (1.0, opening, share, _asked(table, query), table.get((NOTHING, False), 0.0), score - most)
        return ReadChoice(query, self.judge.probability(features), wished, math.exp(opening))

    def _opinions(self, question: str, entities: Sequence[str], speaker: str) -> dict[str, dict[Asked, float]]:
        """What the second opinion thinks is asked about each of the entities."""
        if self.second is None:
            return {}
        return self.second.asked(question, entities, speaker)

    def _conceivable(self, entities: Sequence[str]) -> list[Query]:
        forwards = [Query(entity, relation, None) for entity in entities for relation in self.relations]
        backwards = [Query(None, relation, entity) for entity in entities for relation in self.relations]
        return forwards + backwards

    def _scored(
        self, scorer: Scorer, queries: Sequence[Query], always: Sequence[Query], opinions: Mapping[str, Mapping[Asked, float]]
    ) -> list[tuple[Query, float]]:
        """Queries with their fused log-score, those with an unlikely beginning left out unless they are in `always`.

        The tree shares the subjects; relations are first ranked by their first token, as in a beam search.
        """
        heads = self._heads(queries)
        must = set(always)
        kept: dict[Query, tuple[int, ...]] = {}
        for scored in scorer.score(list(heads)):
            group = heads[scored.tokens]

            def first(query: Query, scored: Scored = scored) -> float:
                opinion = _asked(opinions.get(query.known, {}), query)
                return float(scored.following[self.tokens(query)[len(scored.tokens)]]) + self.judge.relation * opinion

            ranked = sorted(group, key=first, reverse=True)
            kept |= {q: self.tokens(q) for i, q in enumerate(ranked) if i < OPTIONS or q in must}
        totals = scorer.score(list(kept.values()))
        return [(q, s.total + self.judge.relation * _asked(opinions.get(q.known, {}), q)) for q, s in zip(kept, totals, strict=True)]

    def _heads(self, queries: Sequence[Query]) -> dict[tuple[int, ...], list[Query]]:
        """Queries by the tokens before their relation."""
        heads: dict[tuple[int, ...], list[Query]] = {}
        for query in queries:
            heads.setdefault((*self._name(query.subject), self.marks.side), []).append(query)
        return heads


def _asked(table: Mapping[Asked, float], query: Query) -> float:
    return table.get((query.relation, query.subject is None), UNFITTED) if table else 0.0


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))
