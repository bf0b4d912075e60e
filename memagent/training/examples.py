"""Training examples: what the model sees, and which of its tokens it learns from.

Ids and loss weights grow together, part by part. Supervised: the tokens of a call that the model itself puts down, and its own
words. Never supervised: the user's text, the context, and what the memory answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memagent.calls import ReadCall
from memagent.model.marks import Marks
from memagent.training.grammar.compounds import compound, compounds
from memagent.training.grammar.engine import PERSONAL, Fact, Grammar, Question, Told, fill, literal
from memagent.training.grammar.names import Name
from memagent.training.shards import Example
from memagent.triples import SPEAKER, Query, Triple

CALL_WEIGHT = 1.0
TEXT_WEIGHT = 0.5  # the model's own words; a call decides more than the wording around it
MAX_TOKENS = 250


class Parts:
    """Ids and weights, growing together."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.ids: list[int] = []
        self.weights: list[float] = []

    def put(self, ids: Sequence[int], weight: float = 0.0) -> Parts:
        """Add tokens with one weight."""
        self.ids += ids
        self.weights += [weight] * len(ids)
        return self

    def text(self, text: str, weight: float = 0.0) -> Parts:
        """Add text."""
        return self.put(self.marks.text(text), weight)

    def example(self) -> Example:
        """What has been put down."""
        return Example(tuple(self.ids), tuple(self.weights))


def write_prompt(marks: Marks, context: Sequence[str], focus: str) -> Parts:
    """Everything before the triples of a write call; `context` are the sentences or messages before the focus."""
    parts = Parts(marks).put([marks.begin])
    for sentence in context:
        parts.text(sentence)
    return parts.put([marks.focus_open]).text(focus).put([marks.focus_close, marks.write_open])


def write_example(marks: Marks, context: Sequence[str], focus: str, triples: Sequence[Triple], *, partial: bool = False) -> Example:
    """A write call. `partial`: the sentence may state more than `triples`, so that closing the call is not taught."""
    parts = write_prompt(marks, context, focus)
    for i, triple in enumerate(triples):
        parts.put([marks.next] * (i > 0), CALL_WEIGHT)
        parts.text(triple.subject, CALL_WEIGHT).put([marks.side], CALL_WEIGHT)
        parts.text(triple.relation, CALL_WEIGHT).put([marks.side], CALL_WEIGHT)
        parts.text(triple.object, CALL_WEIGHT)
    return parts.put([marks.close], 0.0 if partial else CALL_WEIGHT).example()


def put_read(parts: Parts, call: ReadCall) -> Parts:
    """A read call with its answers, in the middle of the model's text."""
    marks = parts.marks
    parts.put([marks.read_open], CALL_WEIGHT)
    for i, query in enumerate(call.queries):
        parts.put([marks.next] * (i > 0), CALL_WEIGHT)
        put_query(parts, query, CALL_WEIGHT)
    parts.put([marks.read_answer], CALL_WEIGHT)
    return parts.put(marks.joined(call.answers or (), marks.next)).put([marks.close])


def put_query(parts: Parts, query: Query, weight: float) -> Parts:
    """`S>>R>>` or `>>R>>O`."""
    marks = parts.marks
    if query.subject is not None:
        parts.text(query.subject, weight)
    parts.put([marks.side], weight).text(query.relation, weight).put([marks.side], weight)
    if query.object is not None:
        parts.text(query.object, weight)
    return parts


def user_turn(parts: Parts, text: str, speaker: str = SPEAKER) -> Parts:
    """A message of the user; ends where the model is to answer."""
    marks = parts.marks
    return parts.text(f"{speaker}: {text}").put([marks.end]).text("assistant:")


def reply_turn(parts: Parts, calls: Sequence[ReadCall], text: str, weight: float = TEXT_WEIGHT) -> Parts:
    """The model's calls and answer."""
    for call in calls:
        put_read(parts, call)
    return parts.text(text, weight).put([parts.marks.end], weight)


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: what the user says, the calls, the reply."""

    said: str
    calls: tuple[ReadCall, ...]
    reply: str


@dataclass(frozen=True, slots=True)
class Steps:
    """A question that takes several calls: each of `links` gives the name that the next is about, the last the one that is meant."""

    question: Question
    links: tuple[Fact, ...]

    @property
    def fact(self) -> Fact:
        """What is asked, about the name that is meant instead of the words for it."""
        return replace(self.question.fact, subject=self.links[-1].object)

    @property
    def calls(self) -> tuple[ReadCall, ...]:
        """All calls with their answers; the names that come from answers are spelt as there."""
        facts = (*self.links, self.fact)
        return tuple(ReadCall((Query(fact.subject.name, fact.relation, None),), (fact.object.name,)) for fact in facts)


class Teacher:
    """Draws examples from the grammar."""

    def __init__(self, marks: Marks, grammar: Grammar) -> None:
        self.marks = marks
        self.grammar = grammar
        self.rng: random.Random = grammar.rng

    # ---- write

    def write(self) -> Example:
        """One write example of any kind."""
        context, told, speaker = self.situation()
        focus = told.text if speaker is None else f"{speaker}: {told.text}"
        return write_example(self.marks, context, focus, told.triples)

    def situation(self) -> tuple[list[str], Told, str | None]:
        """Context, focus sentence with its triples, and who speaks (None: running text)."""
        kind = self.rng.choices(list(WRITE_KINDS), list(WRITE_KINDS.values()))[0]
        speaker = self._speaker() if kind in ("first", "kin") or self.rng.random() < 0.5 else None
        context, told = getattr(self, f"_write_{kind}")(speaker)
        if speaker is not None:
            context = [c if ": " in c[:30] and c.startswith(f"{speaker}: ") else f"{speaker}: {c}" for c in context]
        return context, told, speaker

    def _speaker(self) -> str:
        return SPEAKER if self.rng.random() < 0.85 else self.grammar.names.given_name().text

    def _distractors(self, most: int = 2) -> list[str]:
        count = self.rng.choices(range(most + 1), [5, 2, 1][: most + 1])[0]
        return [self._sentence().text for _ in range(count)]

    def _sentence(self) -> Told:
        if self.rng.random() < 0.3:
            return self.grammar.nothing()
        return self.grammar.decorated(self.grammar.tell(self.grammar.fact()))

    def _write_one(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        told = g.named_plainly(g.fact()) if self.rng.random() < 0.12 else g.tell(g.fact())
        return self._distractors(), g.decorated(told)

    def _write_first(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        any_relation = [r for r in g.relations if g.phrasings[r].first]
        relation = g.relation(any_relation if self.rng.random() < 0.4 else [r for r in g.relations if r in PERSONAL])
        return self._distractors(), g.decorated(g.tell(g.fact(relation), speaker or SPEAKER, first_person=True))

    def _write_kin(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        told = g.kin_introduced(speaker or SPEAKER) if self.rng.random() < 0.35 else g.kin_told(speaker or SPEAKER)
        return self._distractors(1), g.decorated(told)

    def _write_several(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        relation = g.relation([r for r in g.relations if not g.ontology[r].one])
        return self._distractors(1), g.decorated(g.tell_several(g.several(g.fact(relation))))

    def _write_two(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        if speaker and self.rng.random() < 0.5:
            first, second = (g.tell(g.fact(r), speaker, first_person=True) for r in self.rng.sample(sorted(PERSONAL & set(g.phrasings)), 2))
            return self._distractors(1), g.decorated(g.joined(first, second))
        one = g.fact()
        same = self.rng.random() < 0.7
        like = g.about(one)
        told = g.joined(self._whole(one), self._whole(g.fact(g.relation(like), one.subject) if same else g.fact()))
        if self.rng.random() < 0.25:
            told = g.joined(told, self._whole(g.fact(g.relation(like), one.subject)))
        return self._distractors(1), g.decorated(told)

    def _whole(self, fact: Fact) -> Told:
        """The fact in a whole sentence, no note."""
        return self.grammar.tell(fact, register=self.rng.choice(["statements", "spoken"]))

    def _write_pronoun(self, speaker: str | None) -> tuple[list[str], Told]:
        """The subject stands in the context, a pronoun in the focus; a distractor may stand between."""
        g = self.grammar
        for _ in range(20):
            earlier = g.fact()
            if not earlier.subject.pronoun:
                continue
            told = g.with_pronoun(self._whole(g.fact(g.relation(g.about(earlier)), earlier.subject)), earlier.subject.pronoun)
            if told is None:
                continue
            before = g.tell(earlier)
            named = replace(told, triples=tuple(Triple(before.triples[0].subject, t.relation, t.object) for t in told.triples))
            return [*self._distractors(1), before.text], named
        return self._write_one(speaker)

    def _write_change(self, speaker: str | None) -> tuple[list[str], Told]:
        g = self.grammar
        relation = g.relation([r for r in g.relations if g.phrasings[r].changes])
        fact = g.fact(relation)
        old = replace(fact, object=g._alike(fact))
        first = speaker is not None and bool(g.phrasings[relation].first_changes) and self.rng.random() < 0.5
        told = g.change(fact, old.object.text, speaker or SPEAKER, first_person=first)
        context = self._distractors(1)
        if self.rng.random() < 0.4:
            context.append(g.tell(old, speaker or SPEAKER, first_person=first).text)
        return context, g.decorated(told)

    def _write_elliptic(self, speaker: str | None) -> tuple[list[str], Told]:
        """The subject stands only in the context: "The capital is now Glim."."""
        g = self.grammar
        relation = g.relation(ELLIPTIC_RELATIONS)
        old = g.fact(relation)
        before = g.tell(old)
        told = g.elliptic_change(replace(old, object=g._alike(old)))
        told = replace(told, triples=tuple(Triple(before.triples[0].subject, t.relation, t.object) for t in told.triples))
        return [*self._distractors(1), before.text], told

    def _write_compound(self, speaker: str | None) -> tuple[list[str], Told]:
        return self._distractors(1), self.compound(speaker)

    def compound(self, speaker: str | None) -> Told:
        """Two to four facts in one sentence; of "I", even as in "Anna and I", only where somebody speaks."""
        templates = compounds(self.grammar.split)
        person = "first" if speaker and self.rng.random() < 0.6 else "third"
        fitting = templates[person] if speaker else [t for t in templates[person] if "@I" not in t]
        return self.grammar.decorated(compound(self.grammar, self.rng.choice(fitting), speaker or SPEAKER))

    def _write_never(self, speaker: str | None) -> tuple[list[str], Told]:
        return self._distractors(), self.grammar.decorated(self.grammar.never(self.grammar.fact()))

    def _write_nothing(self, speaker: str | None) -> tuple[list[str], Told]:
        return self._distractors(), self.grammar.nothing()

    def _write_question(self, speaker: str | None) -> tuple[list[str], Told]:
        question = self.question()
        return self._distractors(), Told(question.text, (), (question.fact,))

    def _write_replied(self, speaker: str | None) -> tuple[list[str], Told]:
        return self._distractors(1), self.replied()

    def replied(self) -> Told:
        """A question with its reply, as in "Where was Anna born? Oslo.", or with one that tells nothing."""
        g = self.grammar
        fact = g.fact()
        question = (g.plain_question(fact) if self.rng.random() < 0.35 else None) or self.question(fact)
        fact = question.fact
        asked = question.text if question.text.endswith("?") else f"{question.text.rstrip('.')}?"
        if self.rng.random() < 0.2 or question.yes_no or question.about_speaker or SPEAKER in (fact.subject.name, fact.object.name):
            reply = self.rng.choice([*g.talk["unknown_replies"], *g.talk["acknowledge"], "No.", "Thanks!", "Never mind."])
            return Told(f"{asked} {reply}", (), (fact,))
        answer = fact.subject.text if question.inverse else fact.object.text
        answer = answer[:1].upper() + answer[1:] if self.rng.random() < 0.5 else answer
        text = f"{asked} {self.rng.choice(REPLIES).format(answer)}"
        return Told(text, (g.triple(fact, text),), (fact,))

    # ---- read, in conversations

    def question(self, fact: Fact | None = None) -> Question:
        """Any question."""
        g = self.grammar
        while True:
            chosen = fact or g.fact()
            if fact is None and self.rng.random() < 0.2:
                about_speaker = g.relation([r for r in g.relations if g.phrasings[r].first_questions])
                chosen = replace(g.fact(about_speaker), subject=Name.plain(SPEAKER))
            plainly = self.rng.random() < 0.06 and chosen.subject.name != SPEAKER
            asked = g.plain_question(chosen) if plainly else g.ask(chosen)
            if asked is not None:
                return asked
            fact = None

    def conversation(self) -> Example:
        """A few exchanges, the last of them most often a question."""
        parts = Parts(self.marks).put([self.marks.begin])
        turns = [self._earlier_turn() for _ in range(self.rng.choices([0, 1, 2], [6, 3, 1])[0])]
        turns.append(self._turn())
        for turn in turns:
            reply_turn(user_turn(parts, turn.said), turn.calls, turn.reply)
        return parts.example()

    def _earlier_turn(self) -> Turn:
        return self._told_turn() if self.rng.random() < 0.6 else self._turn()

    def _turn(self) -> Turn:
        kind = self.rng.choices(["asked", "unknown", "told", "talk", "steps"], [6, 2, 1.2, 1.2, 1.5])[0]
        draw: Callable[[], Turn] = getattr(self, f"_{kind}_turn")
        return draw()

    def _told_turn(self) -> Turn:
        told = self.situation()[1]
        if not told.triples:
            return self._talk_turn()
        return Turn(told.text, (), self.rng.choice(self.grammar.talk["acknowledge"]))

    def _talk_turn(self) -> Turn:
        message, reply = self.grammar.small_talk()
        return Turn(message, (), reply)

    def query(self, question: Question) -> Query:
        """What the question asks of the memory, names spelt as in the question."""
        fact = question.fact
        if question.inverse:
            return Query(None, fact.relation, literal(fact.object.name, question.text))
        return Query(literal(fact.subject.name, question.text), fact.relation, None)

    def _asked_turn(self) -> Turn:
        g = self.grammar
        question = self.question()
        many = not g.ontology[question.fact.relation].one
        if question.inverse:
            answers = [question.fact.subject.name]
            if self.rng.random() < 0.2:
                answers.append(g.subject(question.fact.relation).name)
        elif question.yes_no and self.rng.random() < 0.4:
            answers = [g._alike(question.fact).name]
        else:
            facts = g.several(question.fact) if many and self.rng.random() < 0.3 else [question.fact]
            answers = [f.object.name for f in facts]
        answers = list(dict.fromkeys(answers))
        call = ReadCall((self.query(question),), tuple(answers))
        return Turn(question.text, (call,), g.answer(question, answers))

    def _unknown_turn(self) -> Turn:
        question = self.question()
        return Turn(question.text, (ReadCall((self.query(question),), ()),), self.grammar.answer(question, []))

    def steps(self) -> Steps:
        """As in "Where does my sister live?", "Anna's sister", "the author of The Salt Road", "my sister's husband"."""
        links, phrase = self._met()
        question = self._asked_of(links[-1], phrase)
        begin = links[0].subject.name
        known = Name.plain(begin if begin == SPEAKER else literal(begin, question.text))
        return Steps(question, (replace(links[0], subject=known), *links[1:]))

    def apposed(self) -> Steps:
        """As in "Where does my sister Anna live?": the question has the name, and asks about her at once."""
        link, phrase = self._kin()
        return Steps(self._asked_of(link, f"{phrase} {link.object.text}"), (link,))

    def _asked_of(self, link: Fact, phrase: str) -> Question:
        """A question about the object of a fact, for which the phrase stands."""
        g = self.grammar
        about = g.relation(g.having(link.object.kind))
        if link.relation in g.kin_words and self.rng.random() < 0.6:
            about = g.relation(KIN_QUESTIONS_PETS if link.relation == "pet" else KIN_QUESTIONS)
        fact = Fact(Name.plain(phrase), about, g.object(about, link.object.kind))
        templates = [t for t in g.phrasings[about].questions if "{s}" in t]
        text = _filled(self.rng.choice(templates or [f"What is the {about} of {{s}}?"]), fact)
        return Question(g.asked(text, fact), fact)

    def _kin(self) -> tuple[Fact, str]:
        """Somebody around the speaker or another person, and words for that one."""
        g = self.grammar
        whose = g.names.of("person") if self.rng.random() < 0.35 else Name.plain(SPEAKER, kind="person")
        return g.kin_of(whose, "my" if whose.name == SPEAKER else f"{whose.text}'s")

    def _met(self) -> tuple[tuple[Fact, ...], str]:
        """One or two facts, each about the object of the one before, and words that stand for the last object."""
        g = self.grammar
        if self.rng.random() < 0.4:
            link, phrase = g.described()
        else:
            link, phrase = self._kin()
        if link.object.kind not in DESCRIBABLE or self.rng.random() < 0.7:
            return (link,), phrase
        met = replace(link.object, text=phrase)
        further, longer = g.kin_of(met, f"{phrase}'s") if met.kind == "person" and self.rng.random() < 0.5 else g.described(met)
        return (link, further), longer

    def _steps_turn(self) -> Turn:
        steps = self.steps()
        question, calls = steps.question, steps.calls
        if self.rng.random() < 0.15:
            made = self.rng.randrange(len(calls))
            unknown = replace(calls[made], answers=())
            return Turn(question.text, (*calls[:made], unknown), self.rng.choice(self.grammar.talk["unknown_replies"]))
        reply = self.grammar.answer(replace(question, fact=steps.fact), [steps.fact.object.name])
        return Turn(question.text, calls, reply)

    # ---- read, in running text

    def running_text(self) -> Example:
        """Sentences in which an entity that the memory could supply is asked for before it is named (paper, section 3)."""
        g = self.grammar
        parts = Parts(self.marks).put([self.marks.begin])
        for sentence in self._distractors(1):
            parts.text(sentence if sentence[-1] in ".!?" else f"{sentence}.", TEXT_WEIGHT)
        for _ in range(20):
            fact = g.fact()
            told = g.tell(fact, register="statements")
            subject, target = told.triples[0].subject, told.triples[0].object
            first, second = told.text.find(subject), told.text.find(target)
            if min(first, second) < 0 or first == second or not {first, second}:
                continue
            forwards = first < second
            query = Query(subject, fact.relation, None) if forwards else Query(None, fact.relation, target)
            name, at = (target, second) if forwards else (subject, first)
            if at <= max(first, second) - 1 or not told.text[:at].strip() or told.text[at - 1] != " ":
                continue
            answers = [name]
            if self.rng.random() < 0.3:
                answers += [g._alike(fact).name if query.object is None else g.subject(fact.relation).name]
                self.rng.shuffle(answers)
            parts.text(told.text[: at - 1], TEXT_WEIGHT)
            put_read(parts, ReadCall((query,), tuple(dict.fromkeys(answers))))
            parts.text(told.text[at:], TEXT_WEIGHT)
            break
        return parts.example()


def _filled(template: str, fact: Fact) -> str:
    return fill(template, {"s": fact.subject.text, "o": fact.object.text})


REPLIES = ("{}.", "{}.", "{}", "{}!", "It's {}.", "That's {}.", "{}, I think.")
WRITE_KINDS = {
    "one": 8.0, "first": 4.0, "kin": 2.5, "several": 2.5, "two": 3.0, "compound": 4.0, "pronoun": 2.0, "change": 3.0,
    "elliptic": 1.0, "never": 2.5, "nothing": 1.5, "question": 2.0, "replied": 1.5,
}  # fmt: skip
ELLIPTIC_RELATIONS = (
    "capital", "head of government", "head of state", "headquarters location", "chief executive officer", "head coach", "price",
    "deadline", "owned by", "chairperson", "access code", "phone number", "email address", "opening hours", "population", "currency",
    "official language", "location", "website", "address", "colour",
)  # fmt: skip
KIN_QUESTIONS = (
    "residence", "residence", "employer", "occupation", "place of birth", "birthday", "age", "hobby", "allergic to", "favourite food",
    "phone number", "email address", "vehicle", "likes", "hometown", "field of study", "educated at", "spouse", "plays instrument",
    "travels to", "working on",
)  # fmt: skip
DESCRIBABLE = frozenset({"person", "organization", "work"})  # what a question may lead on from
KIN_QUESTIONS_PETS = ("breed", "age", "likes", "birthday", "colour", "weight")
