"""What the second opinion is taught (`opinions.py`): the teacher's examples and real sentences, with wrong answers beside the right ones.

Of a sentence it learns which spans are the two sides of a triple and which relation holds between any two; of a question, what it
asks about which span. Wrong pairs are taught as much as right ones: other names of the sentence, the sides exchanged, a word too
many or too few, and sentences that state nothing.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memagent.model.decoding import spans
from memagent.model.opinions import NOTHING, WHOLE, RelationScorer, Span, found_by, laid_out, locate
from memagent.ontology import default_ontology
from memagent.training.examples import Teacher
from memagent.training.filtering import tempting
from memagent.training.grammar.engine import PERSONAL, PRONOUNS, Fact, Facts, Grammar, Question, Told
from memagent.training.grammar.names import Name
from memagent.training.grammar.phrasings import Split
from memagent.training.overlap import Overlap, evaluation_texts, unlike
from memagent.training.prepare import earlier_opinion, real_facts, real_questions, real_statements
from memagent.training.readers import AskedRelation, Report, Statement, read_task_talk
from memagent.triples import SPEAKER, Query, Triple

NEGATIVES = 16  # wrong pairs of one sentence
DENIED, BELIEVED = 4, 3  # names of a request; those of them that an earlier model would take for sides of a fact
ARTICLES = ("the ", "a ", "an ")
LIST_WORDS = (",", "and", ", and", "or", "&")
CAPITALS = 3  # names of the context, at most, that a real sentence is read with besides those that it needs
SOURCES = {"redocred": 4.0, "knowledgenet": 2.5, "tekgen": 2.0, "webnlg": 1.0}  # of what is drawn; any other: 0.7


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, some of its spans (characters), and the class of pairs of them, or of single ones."""

    text: str
    spans: tuple[Span, ...]
    pairs: tuple[tuple[int, int, str], ...] = ()  # subject, object, relation
    asked: tuple[tuple[int, str], ...] = ()  # entity, relation ("~" before it: the subject is asked for)


def stated(
    rng: random.Random,
    focus: str,
    far: Sequence[str],
    triples: Sequence[Triple],
    speaker: str,
    *,
    denied: Iterable[str] = (),
    unsure: Iterable[tuple[str, str]] = (),
    partial: bool = False,
) -> Reading | None:
    """A sentence with right and wrong pairs; None where a name cannot be found.

    `denied` are names of which it says something that is not so, or asks; of the pairs `unsure` nobody knows whether it relates them;
    `partial`: it may state more than `triples`.
    """
    text, begin = laid_out(focus, far)

    def found(name: str) -> Span | None:
        return WHOLE if name == speaker else locate(text, begin, name)

    places: dict[Span, int] = {WHOLE: 0}
    right: dict[tuple[int, int], str] = {}
    for triple in triples:
        subject, target = found(triple.subject), found(triple.object)
        if subject is None or target is None or subject == target:
            return None
        right[_place(places, subject), _place(places, target)] = triple.relation
    for name in denied:
        if span := locate(text, begin, name):
            _place(places, span)
    gold = [span for span in places if span != WHOLE]
    near, other = _other_spans(rng, text, begin, focus, gold)
    near += _joined(text, gold)
    for span in near + ([] if partial else other + [s for name in far if (s := locate(text, begin, name))]):
        _place(places, span)
    flat = list(places)
    ends = [(found(one), found(other)) for one, other in unsure]
    neither = {(places[one], places[other]) for one, other in ends if one and other and one in places and other in places}
    neither |= {(j, i) for (i, j), relation in right.items() if default_ontology()[relation].turned}  # the same fact, told from the object
    wrong = [pair for pair in itertools.permutations(range(len(flat)), 2) if pair not in right and pair not in neither]
    wrong = [(i, j) for i, j in wrong if j != 0 or rng.random() < 0.2]
    if partial:
        wrong = [(i, j) for i, j in wrong if _spoils(flat, i, j, right)]
    rng.shuffle(wrong)
    wrong.sort(key=lambda pair: max(pair) > len(gold) and 1.0 + rng.random() - 0.5 * (min(pair) <= len(gold)))
    pairs = [(i, j, relation) for (i, j), relation in right.items()] + [(i, j, NOTHING) for i, j in wrong[:NEGATIVES]]
    return Reading(text, tuple(flat), tuple(pairs))


def _label(relation: str, inverse: bool) -> str:
    """The class of what is asked: of the object, or, by a "~", of the subject."""
    return f"~{relation}" if inverse else relation


def _place(places: dict[Span, int], span: Span) -> int:
    return places.setdefault(span, len(places))


def _other_spans(rng: random.Random, text: str, begin: int, focus: str, gold: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Spans that overlap right ones without being them, and any others; short ones more often, and those with a capital.

    One that differs from a right one by an article alone is neither right nor wrong.
    """
    cores = {_core(text, span) for span in gold}
    near: list[Span] = []
    other: list[Span] = []
    names = spans(focus)
    rng.shuffle(names)
    for name in sorted(names, key=lambda name: (name.count(" ") - name[:1].isupper()) * rng.random()):
        span = locate(text, begin, name)
        if span is None or _core(text, span) in cores:
            continue
        overlapping = any(span[0] < end and start < span[1] for start, end in gold)
        (near if overlapping else other).append(span)
        if len(other) >= 5 and len(near) >= 8:
            break
    return near[:4] + rng.sample(near[4:], min(3, len(near[4:]))), other[:5]


def _core(text: str, span: Span) -> Span:
    """The span without its article; a capital one may belong to a title."""
    start, end = span
    return next(((start + len(article), end) for article in ARTICLES if text.startswith(article, start, end)), span)


def _joined(text: str, gold: Sequence[Span]) -> list[Span]:
    """Two neighbours in a list as if they were one name, as in "Dutch and Polish"."""
    pairs = itertools.pairwise(sorted(span for span in gold if span != WHOLE))
    return [(start, end) for (start, stop), (other, end) in pairs if text[stop:other].strip() in LIST_WORDS]


def _spoils(flat: Sequence[Span], i: int, j: int, right: Iterable[tuple[int, int]]) -> bool:
    """Whether the pair is a right one with a wrong stretch for one of its sides."""
    for s, o in right:
        for kept, changed, before in ((s == i, j, o), (o == j, i, s)):
            if kept and changed != before and flat[changed][0] < flat[before][1] and flat[before][0] < flat[changed][1]:
                return True
    return False


class Lessons:
    """Draws readings from the grammar and from real sentences, none of them worded like the evaluation's."""

    def __init__(
        self,
        seed: int,
        split: Split,
        real: Sequence[Statement] = (),
        overlap: Overlap | None = None,
        facts: Facts | None = None,
        requests: Sequence[str] = (),
        questions: Sequence[tuple[AskedRelation, str]] = (),
        earlier: RelationScorer | None = None,
    ) -> None:
        self.teacher = Teacher(None, Grammar(seed, split, facts=facts or {}))  # type: ignore[arg-type]
        self.rng = random.Random(seed)
        self.real: dict[str, list[Statement]] = {}
        for statement in real:
            self.real.setdefault(statement.source, []).append(statement)
        self.requests = requests
        self.questions = questions
        self.earlier = earlier
        self.overlap = overlap or Overlap(())

    @classmethod
    def of(cls, data: Path, seed: int) -> Lessons:
        """With the training parts of the data sets."""
        overlap = Overlap(evaluation_texts(data))
        real = unlike(real_statements(data, Report()), overlap, Counter())
        requests = [s.focus for s in read_task_talk(data, Report())]
        taught = [s for s in real if s.triples or not s.partial]
        questions = list(real_questions(data, Report(), seed))
        return cls(seed, "train", taught, overlap, real_facts(data), requests, questions, earlier_opinion())

    def draw(self) -> Reading:
        """Any reading."""
        while True:
            kinds: dict[Callable[[], Reading | None], float] = {
                self.told: 6, self.several: 1.5, self.compound: 6, self.related: 1.2, self.named_later: 0.2, self.denied: 4,
                self.changed: 1.5, self.replied: 2, self.asked: 3, self.steps: 3, self.apposed: 1, self.answered: 2.5, self.referred: 0.8,
                self.spoken: 0.5, self.sentence: 6 if self.real else 0, self.requested: 4 if self.requests else 0,
                self.wondered: 1.5 if self.questions else 0,
            }  # fmt: skip
            (draw,) = self.rng.choices(list(kinds), list(kinds.values()))
            reading = draw()
            if reading is not None and len(reading.text) < 400 and self.overlap.suite(reading.text) is None:
                return reading

    def told(self) -> Reading | None:
        """A sentence of the grammar."""
        context, told, speaker = self.teacher.situation()
        far = list(dict.fromkeys(t.subject for t in told.triples if t.subject not in (speaker, SPEAKER) and t.subject not in told.text))
        if context and self.rng.random() < 0.3:
            far.append(self.teacher.grammar.fact().subject.name)
            self.rng.shuffle(far)
        denied = [] if told.triples else [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, far, told.triples, speaker or SPEAKER, denied=denied)

    def several(self) -> Reading | None:
        """Two or three statements about one, in one sentence."""
        g = self.teacher.grammar
        count = self.rng.choice([2, 2, 3])
        if self.rng.random() < 0.5:
            first = [r for r in g.relations if g.phrasings[r].first]
            relations = self.rng.sample(first if self.rng.random() < 0.3 else sorted(PERSONAL & set(first)), count)
            told = [self._plainest(g.fact(relation), first_person=True) for relation in relations]
        else:
            one = g.fact()
            like = g.about(one)
            if len(like) == 1:
                return None
            told = [self._plainest(fact) for fact in (one, *(g.fact(g.relation(like), one.subject) for _ in range(count - 1)))]
        whole = g.decorated(g.listed(told) if self.rng.random() < 0.6 else g.joined(told[0], told[1]))
        return stated(self.rng, whole.text, [], whole.triples, SPEAKER)

    def compound(self) -> Reading | None:
        """Two to four facts of several; now and then of one who is named before."""
        told = self.teacher.compound(SPEAKER)
        if self.rng.random() < 0.5 and told.facts and (later := self.teacher.grammar.with_pronoun(told, told.facts[0].subject.pronoun)):
            return stated(self.rng, later.text, self._beside(told.facts[0].subject.name), later.triples, SPEAKER)
        return stated(self.rng, told.text, [], told.triples, SPEAKER)

    def related(self) -> Reading | None:
        """As in "Her brother Rafa is a diver.", said of one who is named before or in the sentence."""
        g = self.teacher.grammar
        whose = g.names.of("person")
        if self.rng.random() < 0.4:
            told = g.decorated(g.kin_told(whose.name, f"{whose.text}'s"))
            return stated(self.rng, told.text, [], told.triples, SPEAKER)
        if not whose.pronoun:
            return None
        told = g.decorated(g.kin_told(whose.name, PRONOUNS[whose.pronoun][2]))
        return stated(self.rng, told.text, self._beside(whose.name), told.triples, SPEAKER)

    def named_later(self) -> Reading | None:
        """As in "Her name's Juno.", after something about "my daughter"."""
        before, told = self.teacher.grammar.named_later()
        return stated(self.rng, told.text, self._beside(before), told.triples, SPEAKER)

    def _beside(self, name: str) -> list[str]:
        """Names of the context: this one, now and then beside another."""
        far = [name, *([self.teacher.grammar.fact().subject.name] if self.rng.random() < 0.3 else [])]
        self.rng.shuffle(far)
        return far

    def _plainest(self, fact: Fact, first_person: bool = False) -> Told:
        """Most often one that begins with its subject, as sentences with two verbs do."""
        begin = "I " if first_person else f"{fact.subject.text} "
        tries = [self.teacher.grammar.tell(fact, first_person=first_person) for _ in range(self.rng.choice([1, 4, 8]))]
        return max(tries, key=lambda told: told.text.startswith(begin))

    def replied(self) -> Reading | None:
        """A question with its reply."""
        told = self.teacher.replied()
        denied = [] if told.triples else [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, [], told.triples, SPEAKER, denied=denied)

    def denied(self) -> Reading | None:
        """What is not so, wished, supposed or asked: the same names and words, and nothing stated."""
        told = self.teacher.grammar.never(self.teacher.grammar.fact())
        names = [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, [], (), SPEAKER, denied=names)

    def changed(self) -> Reading | None:
        """What is so now, and what was before: that is not so."""
        g = self.teacher.grammar
        relation = g.relation([r for r in g.relations if g.phrasings[r].changes])
        fact = g.fact(relation)
        old = g._alike(fact)
        told = g.change(fact, old.text, first_person=bool(g.phrasings[relation].first_changes) and self.rng.random() < 0.5)
        return None if old.name == fact.object.name else stated(self.rng, told.text, [], told.triples, SPEAKER, denied=[old.name])

    def sentence(self) -> Reading | None:
        """A real one."""
        (source,) = self.rng.choices(list(self.real), [SOURCES.get(source, 0.7) for source in self.real])
        statement = self.rng.choice(self.real[source])
        far = list(dict.fromkeys(n for t in statement.triples for n in (t.subject, t.object) if n not in statement.focus))
        if statement.context and self.rng.random() < 0.5:
            far += self._capitals(statement)
        unsure = statement.elsewhere
        return stated(self.rng, statement.focus, far, statement.triples, SPEAKER, unsure=unsure, partial=statement.partial)

    def _capitals(self, statement: Statement) -> list[str]:
        """Other names of the context."""
        words = spans(" ".join(statement.before()))
        names = [w for w in words if w[0].isupper() and w.count(" ") < 3 and w not in statement.focus]
        named = {n for t in statement.triples for n in (t.subject, t.object)}
        some = self.rng.sample(names, min(self.rng.randint(1, CAPITALS), len(names)))
        return [name for name in some if not any(name in other or other in name for other in named)]

    def requested(self) -> Reading | None:
        """What somebody wants of an assistant now: nothing that lasts; of two, what an earlier model would rather take for a fact."""
        tried = {focus: tempting(focus, self.earlier) if self.earlier else (0.0, []) for focus in self.rng.choices(self.requests, k=2)}
        focus, (_, believed) = max(tried.items(), key=lambda each: each[1][0])
        believed = believed[:BELIEVED]
        names = [name for name in spans(focus) if name[:1].isupper() or name[:1].isdigit() or name.count(" ") >= 2]
        others = self.rng.sample(names, min(DENIED - len(believed), len(names)))
        return stated(self.rng, focus, [], (), SPEAKER, denied=[*believed, *others])

    def asked(self) -> Reading | None:
        """A question about a name in it or about the speaker."""
        question = self.teacher.question()
        query = self.teacher.query(question)
        label = _label(query.relation, question.inverse)
        if question.about_speaker or query.known == SPEAKER:
            return self._question(question.text, (), WHOLE, label)
        place = locate(question.text, 0, query.known)
        return None if place is None else self._question(question.text, (), place, label)

    def steps(self) -> Reading | None:
        """As in "Where does my sister live?": asked about the speaker, who she is; about her, where she lives."""
        steps = self.teacher.steps()
        text, calls = steps.question.text, steps.calls
        made = self.rng.randrange(len(calls))
        (query,) = calls[made].queries
        if made:
            return self._before(str(query.subject), text, query.relation, self._from_either_side(calls[made - 1].queries[0]))
        place = WHOLE if query.subject == SPEAKER else locate(text, 0, str(query.subject))
        return None if place is None else Reading(text, (place,), asked=((0, query.relation),))

    def apposed(self) -> Reading | None:
        """As in "Where does my sister Anna live?": asked about her, neither about the speaker nor about another sister."""
        apposed = self.teacher.apposed()
        text, fact, (link,) = apposed.question.text, apposed.question.fact, apposed.links
        if self.rng.random() < 0.25:
            other = self.teacher.grammar.names.given_name(link.object.pronoun == "she").name
            by = self._from_either_side(apposed.calls[0].queries[0])
            return None if locate(text, 0, other) else self._before(other, text, NOTHING, by)
        whose = WHOLE if link.subject.name == SPEAKER else locate(text, 0, link.subject.name)
        named = locate(text, 0, link.object.name)
        return Reading(text, (named, whose), asked=((0, fact.relation), (1, NOTHING))) if named and whose is not None else None

    def _from_either_side(self, query: Query) -> Query:
        """Now and then what asks for the same by a relation that says it from the other side: who is `owned by` Eamon, for his `pet`."""
        turned = default_ontology()[query.relation].turned
        return Query(None, turned, query.known) if turned and query.object is None and self.rng.random() < 0.4 else query

    def answered(self) -> Reading | None:
        """A question with its answer or another name of the conversation before it: nothing is asked about that one."""
        draw = self.rng.random()
        by: Query | None
        if draw < 0.2:
            steps = self.teacher.steps()
            question, other, by = steps.question, steps.question.fact.object, steps.calls[-1].queries[0]
        else:
            question = self.teacher.question()
            answer = question.fact.subject if question.inverse else question.fact.object
            other, by = (answer, self.teacher.query(question)) if draw < 0.6 else (self._another(question), None)
        by = by and self._from_either_side(by)
        return None if locate(question.text, 0, other.name) else self._before(other.name, question.text, NOTHING, by)

    def _another(self, question: Question) -> Name:
        """One of whom the same could be asked, most often: who asks for the mayor of Norbiton does not ask about Kelby."""
        alike = self.teacher.grammar.fact(question.fact.relation if self.rng.random() < 0.7 else None)
        return alike.object if question.inverse else alike.subject

    def referred(self) -> Reading | None:
        """As in "How old is she?": asked about the name before it, neither about the speaker nor about the pronoun.

        Alone it is asked about nobody, and not about one whom another pronoun stands for.
        """
        question = self.teacher.question()
        referring = self.teacher.grammar.referring(question)
        if referring is None:
            return None
        text, pronoun = referring
        draw = self.rng.random()
        if draw < 0.25:
            alone = locate(text, 0, pronoun)
            return None if alone is None else Reading(text, (WHOLE, alone), asked=((0, NOTHING), (1, NOTHING)))
        if draw < 0.35:
            other = self.teacher.grammar.fact().subject
            unlike = {other.pronoun, question.known.pronoun} == {"he", "she"}
            return self._before(other.name, text, NOTHING) if unlike else None
        query = self.teacher.query(question)
        whole, begin = laid_out(text, [query.known])
        name, pronoun_span = locate(whole, 0, query.known), locate(whole, begin, pronoun)
        if name is None or pronoun_span is None or name[1] > begin:
            return None
        label = _label(query.relation, question.inverse)
        return Reading(whole, (name, WHOLE, pronoun_span), asked=((0, label), (1, NOTHING), (2, NOTHING)))

    def wondered(self) -> Reading | None:
        """A real question."""
        asked, name = self.rng.choice(self.questions)
        return self._question(asked.question, (), locate(asked.question, 0, name), _label(asked.relation, asked.inverse))

    def _before(self, name: str, question: str, label: str, by: Query | None = None) -> Reading | None:
        """What is asked about a name that stands before the question, or was found `by` a query."""
        text, _ = laid_out(question, [found_by(by, name, SPEAKER) if by else name])
        place = locate(text, 0, name)
        return None if place is None else Reading(text, (place,), asked=((0, label),))

    def spoken(self) -> Reading | None:
        """A message that asks nothing."""
        told = self.teacher.situation()[1]
        if told.text.rstrip().endswith("?"):
            return None
        return self._question(told.text, (), None, NOTHING)

    def _question(self, text: str, far: Sequence[str], place: Span | None, label: str) -> Reading:
        near, other = _other_spans(self.rng, text, 0, text, [place] if place not in (None, WHOLE) else [])
        wrong = [span for span in (WHOLE, *near[:1], *other[:2]) if span != place]
        flat = ([place] if place else []) + wrong
        right = [(0, label)] if place else []
        return Reading(text, tuple(flat), asked=(*right, *((flat.index(span), NOTHING) for span in wrong)))
