"""Grounded decoding: calls that name only what is there.

A write call is searched triple by triple among the spans of the focus sentence, the known entities, the speaker and the relations of
the ontology; no name may contradict the domain or range of its relation. A read call is chosen among the queries that the memory could
answer, against everything else that could be asked about the same entities. Both are well-formed by construction, whatever the weights.

Works on any `Scorer`: something that gives log-probabilities of continuations. Knows nothing about stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from itertools import islice
from types import MappingProxyType
from typing import Protocol

import regex
from torch import Tensor

from memagent.model.kinds import lives, may_be_object, may_be_subject, may_live
from memagent.model.marks import Marks
from memagent.model.opinions import NOTHING, Asked, RelationScorer, Stated, found_by, locate
from memagent.model.tree import Scored
from memagent.ontology import Ontology
from memagent.triples import SPEAKER, Query, Triple

MAX_SPAN_WORDS = 9
MAX_TRIPLES = 8  # of one focus sentence
BEAM = 3  # hypotheses kept after each slot
OPTIONS = 24  # options of a slot that are scored in full, the most likely first tokens first
HOPELESS = 8.0  # nats by which an option's first token may be behind the best one's; of those further behind none ever won
LEAST_COMING = math.log(0.02)  # of a triple at all; below, nothing is searched
SAID_NOTHING = math.log(0.8)  # of the likeliest pair: the second opinion is that nothing is stated
UNFITTED = -5.2  # log-probability of a relation that the relation scorer does not know: one in about 180
_WORD = regex.compile(r"(?:[\p{L}\p{N}\p{M}@+#$£€%&_/’'.\-:]|(?<=\p{N}),(?=\p{N}))*[\p{L}\p{N}%€$£+\-]\.?|&")


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

    `relation` weighs the relation scorer's log-probability against the language model's when queries are ranked.
    All are fitted on phrasings that no training saw (`training/calibrate.py`).
    """

    weights: tuple[float, ...]
    relation: float = 0.5
    keep: float = 0.5

    def probability(self, features: Sequence[float]) -> float:
        """That the call is right."""
        total = sum(w * f for w, f in zip(self.weights, features, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, total))))

    def rank(self, features: Sequence[float]) -> float:
        """By which candidates are ordered: the likeliest to be right first."""
        return self.probability(features)

    def at_most(self, features: Sequence[float]) -> float:
        """The same for features of a write whose names are not scored yet: their log-probability stands as 0."""
        return self.probability(features) if self.weights[2] >= 0.0 else 1.0


# Features of a write: 1, log P(a triple comes here), log P(its names), the scorer's log-odds of the fact and log P(nothing); whether it is
# a later triple, has a name that is a part of an earlier one's or has one for its part, has the names of an earlier one, has the object
# of an earlier one of the same relation, of another relation; whether only the context has its subject; and whether its relation has one
# value only, and an earlier one gives it: nobody is born in two places.
WRITE_JUDGE = Judge((2.0, 1.0, 0.5, 0.3, -0.2, 0.0, -2.0, -1.0, -0.5, -0.5, -1.0, -1.0))
UNLIKELY_NAMES = -12.0  # the least log-probability of names and relation that counts where there is a second opinion: of less the language
# model says no more than that it does not know them
SUREST = 6.0  # log-odds of the scorer beyond which it is not believed
UNLIKELY_NEXT = -5.0  # the least log-probability of a further triple that counts: a small model is surer that a list ends than right
# Features of a read: 1, log P(a call opens), log share of the query, the scorer's log-odds of the relation, log P(nothing), distance to the
# best, and whether something was answered already.
READ_JUDGE = Judge((2.0, 0.5, 1.0, 0.2, -0.1, 0.3, 0.0))
PAIRS = 60  # pairs of names, the likeliest of the second opinion, that are tried
RELATIONS = 8  # of each pair, the likeliest of the second opinion
HOPES = 16  # of all these triples, the likeliest that may be kept: the language model scores them
UNLEARNT_PAIRS = 4  # pairs that are tried with relations which the second opinion has not learnt, of an ontology of one's own say
ALSO_ASKED = math.log(0.2)  # of something else about a name whose answer is there: after it the language model likes to ask on
Names = tuple[str, str, str]  # subject, relation, object


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole triple: names, tokens, the language model's log-probability of them, and the log-probabilities of what comes next."""

    names: Names
    tokens: tuple[int, ...]
    logprob: float
    following: Tensor


@dataclass(frozen=True, slots=True)
class Sentence:
    """What stays the same from triple to triple of a focus sentence: its text, the tokens of its names, and the second opinion on it."""

    text: str
    ids: Mapping[str, tuple[int, ...]]
    here: frozenset[str]  # names that stand in the sentence
    speaker: str
    stated: Stated | None
    hopes: tuple[Names, ...]  # what it may state, the second opinion's likeliest first
    unlearnt: tuple[Names, ...]  # what else it may state, of which the second opinion knows only that the names are connected
    living: Mapping[str, bool] = field(default_factory=dict)  # whether names of the context live, where that is known
    scored: dict[Names, float] = field(default_factory=dict)  # the best log-probability of each triple at any step so far

    def near(self, name: str) -> bool:
        """Whether a name is no name of the context."""
        return name in self.here or name == self.speaker

    def may_be(self, name: str, kinds: Sequence[str]) -> bool:
        """Whether a name may be of one of these kinds, by what is known of the names of the context."""
        return self.near(name) or may_live(self.living.get(name), kinds)

    def again(self, names: Names, found: Iterable[Names]) -> bool:
        """Whether one of `found` says the same of a stretch that overlaps, as "Mendez" of "Chef Mendez"."""
        subject, relation, target = names
        same = [(s, o) for s, r, o in found if r == relation]
        return any((s == subject and self._overlap(o, target)) or (o == target and self._overlap(s, subject)) for s, o in same)

    def _overlap(self, one: str, other: str) -> bool:
        """Whether two names have words in common and the shorter one stands nowhere else."""
        shorter, longer = sorted((one, other), key=len)
        if shorter == longer or locate(self.text, 0, shorter) is None:
            return False
        rest, blanked = self.text, False
        while place := locate(rest, 0, longer):
            rest, blanked = f"{rest[: place[0]]}\n{rest[place[1] :]}", True
        return blanked and locate(rest, 0, shorter) is None

    def opinions(self, names: Names) -> Mapping[str, float]:
        """On the relations between the two names; empty without a second opinion."""
        return self.stated.relations(names[0], names[2]) if self.stated else {}

    def says_nothing(self) -> bool:
        """Whether the second opinion, if there is one, holds that nothing is stated."""
        return self.stated is None or all(self.stated.relations(*pair)[NOTHING] > SAID_NOTHING for pair in self.stated.likeliest(1))


@dataclass(frozen=True, slots=True)
class Step:
    """How far a call has come: the triples so far, and the log-probability that another follows."""

    found: frozenset[Names]
    coming: float

    def features(
        self, logprob: float, names: Names, opinion: float, opinions: Mapping[str, float], near: bool, one: tuple[bool, bool]
    ) -> tuple[float, ...]:
        """Of these names as the next triple, as `WRITE_JUDGE` has them.

        `opinion`: that of the fact; `opinions`: on all relations between the names; `near`: the subject is no name of the context; `one`:
        whether the relation has one object, and one subject.
        """
        subject, relation, target = names
        return (
            1.0,
            max(UNLIKELY_NEXT, self.coming),
            max(UNLIKELY_NAMES, logprob) if opinions else logprob,
            log_odds(opinion) if opinions else 0.0,
            opinions.get(NOTHING, 0.0),
            float(bool(self.found)),
            float(any(_within(name, other) for name in (subject, target) for s, _, o in self.found for other in (s, o))),
            float(any({subject, target} == {s, o} for s, _, o in self.found)),
            float(any(target == o and subject != s and relation == r for s, r, o in self.found)),
            float(any(target == o and subject != s and relation != r for s, r, o in self.found)),
            float(not near),
            float(any(relation == r and ((one[0] and subject == s) or (one[1] and target == o)) for s, r, o in self.found)),
        )


class WriteSearch:
    """The triples of one focus sentence.

    The second opinion says which triples are worth trying; one pass of the language model scores them. Without a second opinion the
    language model fills slot after slot.
    """

    def __init__(self, marks: Marks, ontology: Ontology, judge: Judge = WRITE_JUDGE, second: RelationScorer | None = None) -> None:
        self.marks = marks
        self.ontology = ontology
        self.judge = judge
        self.second = second
        texts = marks.texts(ontology.names)
        self.relations = [Option(name, (*ids, marks.side)) for name, ids in zip(ontology.names, texts, strict=True)]
        self._relation_tokens = {option.name: option.tokens for option in self.relations}

    def search(
        self,
        scorer: Scorer,
        focus: str,
        names: Sequence[str],
        here: frozenset[str],
        speaker: str,
        living: Mapping[str, bool] = MappingProxyType({}),
    ) -> list[Triple]:
        """`names`: what a slot may hold; every triple has at least one side in `here`, or the speaker for its subject.

        `living`: of names that are not in `here`, whether they live, where that is known.
        """
        sentence = replace(self._sentence(focus, names, here, speaker), living=living)
        step = Step(frozenset(), math.log(max(1e-9, 1.0 - math.exp(float(scorer.following()[self.marks.close])))))
        found: list[Triple] = []
        while len(found) < MAX_TRIPLES and (step.coming >= LEAST_COMING or not sentence.says_nothing()):
            best = self._best(scorer, sentence, step)
            if best is None:
                break
            confidence = self.judge.probability(self._features(best, sentence, step))
            if confidence < self.judge.keep:
                break
            found.append(Triple(*best.names, confidence))
            step = Step(step.found | {best.names}, _log_share(best.following, self.marks.next, self.marks.close))
            scorer = scorer.after([*best.tokens, self.marks.next])
        return found

    def _sentence(self, focus: str, names: Sequence[str], here: frozenset[str], speaker: str) -> Sentence:
        ids = dict(zip(names, map(tuple, self.marks.texts(names)), strict=True))
        if self.second is None:
            return Sentence(focus, ids, here, speaker, None, (), ())
        near = [name for name in names if name in here or name == speaker]
        stated = self.second.stated(focus, near, [name for name in names if name not in near], speaker)
        return Sentence(focus, ids, here, speaker, stated, tuple(self._hopes(stated)), tuple(self._unlearnt(stated)))

    def _hopes(self, stated: Stated) -> list[Names]:
        """What the second opinion holds likeliest, likeliest first."""
        likely: list[tuple[float, Names]] = []
        for subject, target in stated.likeliest(PAIRS):
            table = [(logprob, name) for name, logprob in stated.relations(subject, target).items() if name in self._relation_tokens]
            likely += [(logprob, (subject, name, target)) for logprob, name in nlargest(RELATIONS, table)]
        return [names for _, names in sorted(likely, key=lambda entry: -entry[0])]

    def _unlearnt(self, stated: Stated) -> list[Names]:
        pairs = stated.likeliest(UNLEARNT_PAIRS)
        return [(s, relation, o) for s, o in pairs for relation in self._relation_tokens if relation not in stated.relations(s, o)]

    def _best(self, scorer: Scorer, sentence: Sentence, step: Step) -> Candidate | None:
        """The next triple that is likeliest to be right."""
        found = self._slot_by_slot(scorer, sentence, step) if sentence.stated is None else self._hoped(scorer, sentence, step)
        return max(found, key=lambda candidate: self.judge.rank(self._features(candidate, sentence, step)), default=None)

    def _features(self, candidate: Candidate, sentence: Sentence, step: Step) -> tuple[float, ...]:
        return self._features_of(candidate.names, candidate.logprob, sentence, step)

    def _features_of(self, names: Names, logprob: float, sentence: Sentence, step: Step) -> tuple[float, ...]:
        opinion, one = self._opinion(names, sentence), self.ontology.one_valued(names[1])
        return step.features(logprob, names, opinion, sentence.opinions(names), sentence.near(names[0]), one)

    def _opinion(self, names: Names, sentence: Sentence) -> float:
        """The second opinion's log-probability of the fact, from whichever side it is told."""
        own, turned = _opinion(sentence.opinions(names), names[1]), self._turned(names)
        other = sentence.opinions(turned).get(turned[1], -math.inf) if turned else -math.inf
        return min(0.0, math.log(math.exp(own) + math.exp(other)))

    def _turned(self, names: Names) -> Names | None:
        """The same fact from the other side, where a relation says that."""
        subject, relation, target = names
        turned = self.ontology[relation].turned
        return (target, turned, subject) if turned else None

    def _allowed(self, names: Names, sentence: Sentence, step: Step) -> bool:
        """Whether a triple of these names is new, about this sentence, and of kinds that its relation has."""
        subject, relation, target = names
        link = self.ontology[relation]
        return (
            not any(way in step.found or sentence.again(way, step.found) for way in (names, self._turned(names)) if way)
            and (sentence.near(subject) or target in sentence.here)
            and _apart(subject, target)
            and may_be_subject(subject, link, sentence.speaker)
            and may_be_object(target, link, sentence.speaker)
            and sentence.may_be(subject, link.domain)
            and sentence.may_be(target, link.range)
        )

    def _hoped(self, scorer: Scorer, sentence: Sentence, step: Step) -> list[Candidate]:
        """What the second opinion thinks likely and the judge could let pass, scored by the language model."""

        def open_(names: Names) -> bool:
            at_most = self.judge.at_most(self._features_of(names, 0.0, sentence, step))
            return at_most >= self.judge.keep and self._allowed(names, sentence, step)

        tried = [*islice(filter(open_, sentence.hopes), HOPES), *filter(open_, sentence.unlearnt)]
        ids, side = sentence.ids, self.marks.side
        scored = scorer.score([(*ids[s], side, *self._relation_tokens[r], *ids[o]) for s, r, o in tried]) if tried else []
        found = [self._candidate(names, s.tokens, s.total, s.following) for names, s in zip(tried, scored, strict=True)]
        # The model has learnt triples in the order of the sentence: one that was passed over is not to suffer for coming late.
        found = [replace(c, logprob=max(c.logprob, sentence.scored.get(c.names, -math.inf))) for c in found]
        sentence.scored.update({c.names: c.logprob for c in found})
        return found

    def _slot_by_slot(self, scorer: Scorer, sentence: Sentence, step: Step) -> list[Candidate]:
        """What the language model alone would write."""
        start = Hypothesis((), (), 0.0, scorer.following())
        objects = [Option(name, ids) for name, ids in sentence.ids.items()]  # the mark that ends an object is not scored yet
        subjects = [Option(name, (*ids, self.marks.side)) for name, ids in sentence.ids.items()]
        near = [o for o in subjects if sentence.near(o.name)]
        far = [o for o in subjects if not sentence.near(o.name)]
        after_subject = fill_slot(scorer, [start], lambda _: near) + fill_slot(scorer, [start], lambda _: far, beam=1)

        def of_subject(h: Hypothesis) -> list[Option]:
            return [o for o in self.relations if may_be_subject(h.names[0], self.ontology[o.name], sentence.speaker)]

        after_relation = fill_slot(scorer, after_subject, of_subject, beam=2 * BEAM)

        def fitting(h: Hypothesis) -> list[Option]:
            return [o for o in objects if self._allowed((h.names[0], h.names[1], o.name), sentence, step)]

        closed = fill_slot(scorer, after_relation, fitting, beam=BEAM * OPTIONS)
        return [self._candidate((h.names[0], h.names[1], h.names[2]), h.tokens, h.logprob, h.following) for h in closed]

    def _candidate(self, names: Names, tokens: tuple[int, ...], logprob: float, following: Tensor) -> Candidate:
        return Candidate(names, tokens, logprob + _log_any(following, (self.marks.next, self.marks.close)), following)


def _opinion(table: Mapping[str, float], relation: str) -> float:
    return table.get(relation, UNFITTED) if table else 0.0


def log_odds(logprob: float) -> float:
    """A log-probability as a judge weighs it: .99 says more than .9, which log-probabilities hide; no surer than `SUREST`."""
    return max(-SUREST, min(SUREST, logprob - math.log(max(1e-9, -math.expm1(min(-1e-9, logprob))))))


def _apart(one: str, other: str) -> bool:
    """Whether two names are not the same stretch of text."""
    return one.casefold() != other.casefold()


def _within(one: str, other: str) -> bool:
    """Whether one name is some of the words of the other, and not all."""
    return one.casefold() != other.casefold() and bool(locate(other, 0, one) or locate(one, 0, other))


def _log_share(following: Tensor, one: int, other: int) -> float:
    """Log-probability of `one` against `other`."""
    return -math.log1p(math.exp(min(50.0, float(following[other] - following[one]))))


def _log_any(following: Tensor, tokens: Sequence[int]) -> float:
    """Log-probability that one of `tokens` comes next."""
    return math.log(sum(math.exp(float(following[t])) for t in tokens) + 1e-12)


# ---- reading


@dataclass(frozen=True, slots=True)
class ReadChoice:
    """What the model would ask: the best query that can be answered, and the best of all, each with the probability that it is right."""

    query: Query | None
    confidence: float
    wished: Query | None  # the best of all queries, answerable or not
    wish: float  # the probability that it is right
    opening: float  # probability that a call opens here
    opinion: float = 0.0  # the second opinion's log-probability of what is wished; 0 without one


class ReadSearch:
    """Which query to ask at one place of the text."""

    def __init__(self, marks: Marks, ontology: Ontology, judge: Judge = READ_JUDGE, second: RelationScorer | None = None) -> None:
        self.marks = marks
        self.ontology = ontology
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
        self,
        scorer: Scorer,
        question: str,
        askable: Sequence[Query],
        entities: Sequence[str],
        speaker: str = SPEAKER,
        *,
        asked: Sequence[Query] = (),
        answers: Sequence[str] = (),
    ) -> ReadChoice:
        """Score the answerable queries against all that could be asked about `entities`.

        `question` is what is asked last; `asked` are the queries that were, and `answers` what the last one found: neither these, from
        whichever side, nor the way back from there is asked again; no more about the same names, and no way back that only a rule knows,
        unless the second opinion believes it.
        """
        self._ids = {name: self._ids[name] for name in self.relations}
        if answers:  # a further step is about what was found, or about another name of the question, never about another one of before
            entities = [name for name in entities if _named(name, question, speaker, answers)]
            askable = [query for query in askable if _named(query.known, question, speaker, answers)]
        opening = float(scorer.following()[self.marks.read_open])
        opinions = self._opinions(question, entities, speaker, asked, answers) if entities or askable else {}
        done = {*asked, *(same for query in asked for same in self._asked_again(query, answers))}
        doubted = {same for query in asked for way in self.ontology.from_object(query.relation) for same in _turned(query, way, answers)}
        settled = {query.known for query in asked} if answers else set()

        def is_open(query: Query) -> bool:
            doubtful = query in doubted or query.known in settled
            return query not in done and not (doubtful and _asked(opinions.get(query.known, {}), query) < ALSO_ASKED)

        askable = list(filter(is_open, askable))
        conceivable = [query for query in self._conceivable(entities) if is_open(query) and self._may_ask(query, asked, answers)]
        every = list(dict.fromkeys([*askable, *conceivable]))
        if not every:
            return ReadChoice(None, 0.0, None, 0.0, math.exp(opening))
        scored = self._scored(scorer, every, askable, opinions)
        wished, most = max(scored, key=lambda pair: pair[1])
        every_score = _log_sum([s for _, s in scored])

        def features(query: Query, score: float) -> tuple[float, ...]:
            table = opinions.get(query.known, {})
            nothing = table.get((NOTHING, False), 0.0)
            asked_for = log_odds(_asked(table, query)) if table else 0.0
            return (1.0, opening, score - every_score, asked_for, nothing, score - most, float(bool(answers)))

        opinion = _asked(opinions.get(wished.known, {}), wished)
        wish = self.judge.rank(features(wished, most))  # a probability too, but a `Recorder` takes note of what is chosen only
        can = set(askable)
        possible = [(q, s) for q, s in scored if q in can]
        if not possible:
            return ReadChoice(None, 0.0, wished, wish, math.exp(opening), opinion)
        query, score = max(possible, key=lambda pair: pair[1])
        return ReadChoice(query, self.judge.probability(features(query, score)), wished, wish, math.exp(opening), opinion)

    def _may_ask(self, query: Query, asked: Sequence[Query], answers: Sequence[str]) -> bool:
        """Not a town's home town: an answer is what the query that found it asks for, and lives or does not."""
        if not asked or query.known not in answers:
            return True
        (_, found), (own, _) = self._sides(asked[-1]), self._sides(query)
        return may_live(lives(found), own)

    def _sides(self, query: Query) -> tuple[Sequence[str], Sequence[str]]:
        """The kinds of what a query is about, and of what it asks for."""
        link = self.ontology[query.relation]
        return (link.domain, link.range) if query.object is None else (link.range, link.domain)

    def _asked_again(self, query: Query, answers: Sequence[str]) -> Iterable[Query]:
        """The queries that ask for the same fact, about what was known and each answer; and for its other side, which was not meant."""
        turned = self.ontology[query.relation].turned
        yield _about(query.known, query.relation, query.object is not None)
        yield from (_about(answer, query.relation, query.object is not None) for answer in answers)
        yield from _turned(query, turned, answers) if turned else ()

    def _opinions(
        self, question: str, entities: Sequence[str], speaker: str, asked: Sequence[Query], answers: Sequence[str]
    ) -> dict[str, dict[Asked, float]]:
        """What the second opinion thinks is asked about each of the entities.

        One that the question does not name is asked about if it is an answer, or if nobody in the question is asked about: "Where does my
        brother live?" asks who the brother is, "Who is the mayor of Norbiton?" about Norbiton, whoever was talked of.
        """
        if self.second is None:
            return {}
        near = [name for name in entities if _named(name, question, speaker, answers)]
        others = [name for name in entities if name not in near]
        found = {answer: found_by(asked[-1], answer, speaker) for answer in answers} if asked else {}
        of_near = self.second.asked(question, near, speaker, found=found)
        return of_near | self.second.asked(question, others, speaker, spans(question))

    def _conceivable(self, entities: Sequence[str]) -> list[Query]:
        return [_about(entity, relation, forwards) for forwards in (True, False) for entity in entities for relation in self.relations]

    def _scored(
        self, scorer: Scorer, queries: Sequence[Query], always: Sequence[Query], opinions: Mapping[str, Mapping[Asked, float]]
    ) -> list[tuple[Query, float]]:
        """Queries with their fused log-score; those with a hopeless beginning are left out, of `always` those hopeless among these.

        The tree shares the subjects; queries are first ranked by the first token of their relation, as in a beam search.
        """
        heads = self._heads(queries)
        opinion = {q: self.judge.relation * _asked(opinions.get(q.known, {}), q) for q in queries}
        begun: dict[Query, float] = {}
        for scored in scorer.score(list(heads)):
            following = scored.following.tolist()
            begun |= {q: scored.total + following[self._whole(q)[len(scored.tokens)]] + opinion[q] for q in heads[scored.tokens]}
        kept = dict.fromkeys([*_hopeful(begun), *_hopeful({q: begun[q] for q in always})])
        totals = scorer.score([self._whole(q) for q in kept])
        least = max(s.total for s in totals) + UNLIKELY_NAMES if opinions else -math.inf
        return [(q, max(least, s.total) + opinion[q]) for q, s in zip(kept, totals, strict=True)]

    def _whole(self, query: Query) -> tuple[int, ...]:
        return (self.marks.read_open, *self.tokens(query))

    def _heads(self, queries: Sequence[Query]) -> dict[tuple[int, ...], list[Query]]:
        """Queries by the tokens before their relation."""
        heads: dict[tuple[int, ...], list[Query]] = {}
        for query in queries:
            heads.setdefault((self.marks.read_open, *self._name(query.subject), self.marks.side), []).append(query)
        return heads


def _named(name: str, question: str, speaker: str, answers: Sequence[str]) -> bool:
    """Whether the question has a name, or the speaker or an answer is meant."""
    return name == speaker or name in answers or locate(question, 0, name) is not None


def _about(known: str, relation: str, forwards: bool) -> Query:
    """What asks for the objects of a name, or for its subjects."""
    return Query(known, relation, None) if forwards else Query(None, relation, known)


def _turned(query: Query, relation: str, answers: Sequence[str]) -> Iterable[Query]:
    """What asks for the fact of `query` by a relation that says it from its other side."""
    forwards = query.object is None
    yield _about(query.known, relation, not forwards)
    yield from (_about(answer, relation, forwards) for answer in answers)


def _hopeful(begun: Mapping[Query, float]) -> list[Query]:
    """The likeliest by their beginning."""
    best = nlargest(OPTIONS, begun, key=lambda query: begun[query])
    return [query for query in best if begun[query] >= begun[best[0]] - HOPELESS]


def _asked(table: Mapping[Asked, float], query: Query) -> float:
    return table.get((query.relation, query.subject is None), UNFITTED) if table else 0.0


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))
