"""The training grammar's held-out phrasings: words that the model was not taught, about names that it was not taught either.

A tenth of the phrasings of each relation, and of the sentences of several facts, is kept from training (`training/grammar/`); a fifth of
the names is. Written: each sentence is told to an empty memory, alone; the rows say of which kind it is, and columns are precision, recall
and F1 over triples (`facts.py` says what counts as the same). In `never`, where nothing is to be written, they say nothing: its column is
how many of the sentences wrote nothing. Asked: the memory holds the fact, other facts about its subject and the same relation of
another; `answered` is the share of the questions whose answer names it. A third of the questions is asked without the fact being
there: `abstained` is the share of these that are not answered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from evals.bench import Bench
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.facts import count, wanted
from evals.scoring import Counts, contains, f1, precision, recall, score, share_counts
from memagent import Triple
from memagent.training.examples import Teacher
from memagent.training.grammar.compounds import compound, compounds
from memagent.training.grammar.engine import Fact, Grammar, Told
from memagent.training.grammar.phrasings import Split
from memagent.triples import SPEAKER

SPLIT: Split = "held out"
SENTENCES, QUESTIONS = 700, 450  # drawn with the seed, unless --limit says another number
QUICK = 0.25  # the share of them in a run that need not be thorough
OTHERS = 5  # facts of the memory beside the one that is asked for
NEVER = "never"


@dataclass(frozen=True, slots=True)
class PhrasingsSuite:
    """The suite."""

    name: str = "phrasings"
    needs: tuple[DataFile, ...] = ()

    def run(self, bench: Bench) -> Outcome:
        """Tell and ask what was drawn."""
        share = 1.0 if bench.thorough else QUICK
        told = bench.each(_tell, list(_sentences(bench.limit or round(share * SENTENCES), bench.seed)), "sentences")
        asked = bench.each(_ask, list(_questions(bench.limit or round(share * QUESTIONS), bench.seed)), "questions")
        stating = [result for result in told if result.kind != NEVER]
        rows = [_written("all sentences", stating, bench.seed), _answered("all questions", asked, bench.seed)]
        rows += [_written(kind, [r for r in told if r.kind == kind], bench.seed) for kind in SAID]
        rows += [_answered(kind, [r for r in asked if r.kind == kind], bench.seed) for kind in dict.fromkeys(r.kind for r in asked)]
        return Outcome([row for row in rows if row.scores], [result.case for result in (*told, *asked)])


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is told, and the triples that it states."""

    name: str
    kind: str
    text: str
    triples: tuple[Triple, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what the memory holds, and the answer; none if it cannot know."""

    name: str
    kind: str
    question: str
    memory: tuple[Triple, ...]
    answer: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """A sentence or question after the agent has read it, counted."""

    kind: str
    counts: Counts
    case: CaseResult
    known: bool = True  # whether the memory held the answer


# ---- what is drawn


def _one(grammar: Grammar, register: str) -> Told:
    """A sentence of one register, about a relation that has any."""
    relation = grammar.rng.choice([r for r in grammar.relations if getattr(grammar.phrasings[r], register)])
    return grammar.tell(grammar.fact(relation), register=register)


def _first(grammar: Grammar) -> Told:
    relation = grammar.rng.choice([r for r in grammar.relations if grammar.phrasings[r].first])
    return grammar.tell(grammar.fact(relation), first_person=True)


def _changed(grammar: Grammar) -> Told:
    relation = grammar.rng.choice([r for r in grammar.relations if grammar.phrasings[r].changes])
    fact = grammar.fact(relation)
    return grammar.change(fact, grammar.object(relation, fact.subject.kind).text)


def _denied(grammar: Grammar) -> Told:
    return grammar.never(grammar.fact(grammar.rng.choice([r for r in grammar.relations if grammar.phrasings[r].never])))


def _compound(grammar: Grammar) -> Told:
    templates = compounds(SPLIT)
    return compound(grammar, grammar.rng.choice(templates[grammar.rng.choice(list(templates))]))


SAID: dict[str, Callable[[Grammar], Told]] = {
    "statements": lambda grammar: _one(grammar, "statements"),
    "spoken": lambda grammar: _one(grammar, "spoken"),
    "first person": _first,
    "notes": lambda grammar: _one(grammar, "notes"),
    "changes": _changed,
    "several facts": _compound,
    NEVER: _denied,
}


def _sentences(most: int, seed: int) -> Iterator[Sentence]:
    """So many sentences, as many of each kind."""
    grammar = Grammar(seed, SPLIT)
    for number in range(most):
        kind = list(SAID)[number % len(SAID)]
        told = SAID[kind](grammar)
        yield Sentence(f"sentence {number}", kind, told.text, told.triples)


def _questions(most: int, seed: int) -> Iterator[Asked]:
    """So many questions; every third asks for what the memory does not hold."""
    teacher = Teacher(None, Grammar(seed, SPLIT))  # type: ignore[arg-type]  # it has nothing to spell
    rng = random.Random(seed)
    number = 0
    while number < most:
        question = teacher.question()
        if question.yes_no:
            continue
        fact, known = question.fact, number % 3 != 2
        kind = "about the speaker" if question.about_speaker else "for the subject" if question.inverse else "for the object"
        others = _others(teacher.grammar, rng, fact)
        memory = (*others, Triple(fact.subject.name, fact.relation, fact.object.name)) if known else others
        answer = fact.subject.name if question.inverse else fact.object.name
        yield Asked(f"question {number}", kind, question.text, memory, answer if known else None)
        number += 1


def _others(grammar: Grammar, rng: random.Random, fact: Fact) -> tuple[Triple, ...]:
    """Other facts about the subject, and the same relation of another one."""
    near = [relation for relation in grammar.about(fact) if relation != fact.relation]
    drawn = [grammar.fact(relation, fact.subject) for relation in rng.sample(near, min(OTHERS, len(near)))]
    if fact.subject.name != SPEAKER:
        drawn.append(replace(grammar.fact(fact.relation), relation=fact.relation))
    kept = [f for f in drawn if fact.object.name not in (f.subject.name, f.object.name)]
    return tuple(Triple(f.subject.name, f.relation, f.object.name) for f in kept)


# ---- what becomes of it


def _tell(sentence: Sentence, bench: Bench) -> Result:
    with bench.agent() as agent:
        written = agent.remember(sentence.text)
    allowed = set(bench.ontology.names)
    facts = [wanted([t.subject], [t.relation], [t.object]) for t in sentence.triples]
    counts = count(written, facts, allowed, bench.ontology) if sentence.kind != NEVER else share_counts(int(not written), 1)
    line = f"{sentence.text!r}: wrote {_listed(written)}, not {_listed(sentence.triples)}"
    failed = counts.found < counts.wanted or counts.right < counts.said
    return Result(sentence.kind, counts, CaseResult(sentence.name, sentence.kind, {"text": sentence.text}, (line,) * failed))


def _ask(asked: Asked, bench: Bench) -> Result:
    with bench.agent() as agent:
        agent.memory.add(asked.memory)
        reply = agent.ask(asked.question)
    right = not reply.known if asked.answer is None else reply.known and contains(reply.text, asked.answer)
    line = f"{asked.question!r}: {reply.text!r}, not {asked.answer or 'anything'!r}"
    case = CaseResult(asked.name, asked.kind, {"question": asked.question}, (line,) * (not right))
    return Result(asked.kind, share_counts(int(right), 1), case, asked.answer is not None)


def _listed(triples: Sequence[Triple]) -> str:
    return "; ".join(f"{t.subject} – {t.relation} – {t.object}" for t in triples) or "nothing"


def _written(label: str, results: Sequence[Result], seed: int) -> Row:
    counts, names = [r.counts for r in results], [r.case.name for r in results]
    if label == NEVER:
        return Row(label, {"wrote nothing": score(counts, names=names, seed=seed)})
    return Row(label, {each.__name__: score(counts, each, names=names, seed=seed) for each in (precision, recall, f1)} if results else {})


def _answered(label: str, results: Sequence[Result], seed: int) -> Row:
    def share(known: bool) -> tuple[list[Counts], list[str]]:
        some = [r for r in results if r.known == known]
        return [r.counts for r in some], [r.case.name for r in some]

    columns = {"answered": share(True), "abstained": share(False)}
    return Row(label, {column: score(counts, names=names, seed=seed) for column, (counts, names) in columns.items() if counts})
