"""Fits the judges of both calls (`decoding.Judge`) on phrasings and names that no training saw, that of running text on such documents.

Each decision that the searches would take is recorded with its features and whether it was right; a logistic model of them gives
the probability that a call is right. The judge of a write also says which triple comes first, so it is fitted again on what it chooses
itself. How the relation scorer is weighed against the language model in a read is chosen from a few values by how often the best query
is the right one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from memagent.calls import ReadCall
from memagent.model.decoding import READ_JUDGE, WRITE_JUDGE, Judge
from memagent.model.local import READ, TEXT, WRITE, Limits, LocalModel
from memagent.model.opinions import NOTHING, found_by
from memagent.model.seam import DraftRequest, WriteRequest
from memagent.ontology import default_ontology
from memagent.training.examples import Parts, Teacher, put_read
from memagent.training.grammar.engine import Grammar, Told, literal
from memagent.training.lessons import ARTICLES
from memagent.training.readers import Statement
from memagent.triples import SPEAKER, Query, Triple

WEIGHINGS = (1.0, 3.0)
ROUNDS = 2
ANSWERABLE = 0.67  # share of the questions that the memory could answer
KEEPS = tuple(k / 20 for k in range(2, 15))
SAID_AGAIN = 0.75  # weight of recall against precision where somebody talks: what is missed can be said again, what is wrong stays
WRONG = 2  # triples of a sentence, after which its others are left out
WRONG_OF_TEXT = 4  # the same in documents, of whose sentences not all that they state is annotated
ASKING = 0.1  # share of what somebody says that only asks: of it nothing is to be written
BESIDE = 0.4  # share of the sentences before which another one is talked of
STRANGE = 0.5  # share of the questions after another one's fact that are about one whom the memory does not know
BESIDE_IT = 0.25  # share of the unanswerable questions of which the memory knows what could be mistaken for the answer
MISTAKEN = 3  # such queries, the second opinion's likeliest
DISTRACTORS = 6  # other queries that the memory could answer


@dataclass(frozen=True)
class Recorder(Judge):
    """A judge that lets the first `most` calls pass, whatever they are, and remembers what it was asked.

    What it is not asked about, but only shown, is judged by `like`.
    """

    weights: tuple[float, ...] = ()
    most: int = 1
    like: Judge = WRITE_JUDGE
    seen: list[tuple[float, ...]] = field(default_factory=list)

    def probability(self, features: Sequence[float]) -> float:
        """Record; certain of everything up to the last."""
        self.seen.append(tuple(features))
        return float(len(self.seen) <= self.most)

    def rank(self, features: Sequence[float]) -> float:
        """See `Judge`."""
        return self.like.rank(features)

    def at_most(self, features: Sequence[float]) -> float:
        """After the last nothing is to be tried."""
        return float(len(self.seen) < self.most)


Decision = tuple[tuple[float, ...], bool]  # features, right
Key = tuple[str, str, str]


def write_decisions(model: LocalModel, seed: int, count: int, judge: Judge) -> list[Decision]:
    """What the write search would write for held-out sentences that somebody says, some of them read with what was said before."""
    teacher = Teacher(model.marks, Grammar(seed, "held out"))
    decisions: list[Decision] = []
    for _ in range(count):
        context, told, speaker = _spoken(teacher)
        gold = {key for triple in told.triples for key in _ways(triple)}
        recorder = Recorder(like=judge, most=len(told.triples) + WRONG)  # there are as many wrong ones at least
        model.judges(write=recorder)
        request = WriteRequest(told.text, (), (), speaker)
        known = tuple({t.subject for t in told.triples if t.subject not in told.text and t.subject != speaker})
        asks = told.text.rstrip().endswith("?")  # such a sentence is read alone
        beside = bool(known) or (teacher.rng.random() < BESIDE and not asks)
        if beside:  # read with its context: of another one, too, who must not leak into this sentence
            earlier = teacher.grammar.tell(teacher.grammar.fact())
            known += tuple(t.subject for t in earlier.triples if t.subject not in told.text)
            said = tuple(c.removeprefix(f"{speaker}: ") for c in context)
            request = replace(request, context=(earlier.text, *said), known=known)
            request = replace(request, known=model.talked_about(request))
        found = model.search(request)
        decisions += _up_to_wrong((features, _key(t) in gold) for features, t in zip(recorder.seen, found, strict=False))
    return decisions


def _spoken(teacher: Teacher) -> tuple[list[str], Told, str]:
    """A situation in which somebody speaks."""
    if teacher.rng.random() < ASKING:
        return [], Told(teacher.question().text, ()), SPEAKER
    while True:
        context, told, speaker = teacher.situation()
        if speaker is not None:
            return context, told, speaker


def text_decisions(model: LocalModel, statements: Sequence[Statement], judge: Judge) -> list[Decision]:
    """What it would write for the sentences of documents; of pairs that another sentence relates nothing is known."""
    decisions: list[Decision] = []
    for statement in statements:
        gold = {key for triple in statement.triples for key in _ways(triple)}
        unsure = {frozenset(map(_core, pair)) for pair in statement.elsewhere}
        recorder = Recorder(like=judge, most=len(statement.triples) + WRONG_OF_TEXT)
        model.judges(text=recorder)
        far = dict.fromkeys(n for t in statement.triples for n in (t.subject, t.object) if n not in statement.focus)
        found = model.search(WriteRequest(statement.focus, tuple(statement.before()), tuple(far), ""))
        judged = ((features, t) for features, t in zip(recorder.seen, found, strict=False))
        known = ((features, _key(t) in gold) for features, t in judged if frozenset((_key(t)[0], _key(t)[2])) not in unsure)
        decisions += _up_to_wrong(known, WRONG_OF_TEXT)
    return decisions


def _up_to_wrong(decisions: Iterable[Decision], most: int = WRONG) -> Iterator[Decision]:
    """Those before, and the last of `most` wrong ones: what would come after these, a search with a threshold hardly reaches."""
    wrong = 0
    for decision in decisions:
        yield decision
        wrong += not decision[1]
        if wrong == most:
            return


def _key(triple: Triple) -> Key:
    return _core(triple.subject), triple.relation, _core(triple.object)


def _core(name: str) -> str:
    """A name whatever its case and article."""
    lowered = name.casefold()
    return next((lowered.removeprefix(article) for article in ARTICLES if lowered.startswith(article)), lowered)


def _ways(triple: Triple) -> Iterator[Key]:
    """The triple, and the same said from the other side."""
    subject, relation, target = _key(triple)
    yield subject, relation, target
    other = default_ontology()[relation].turned
    if other is not None:
        yield target, other, subject


def read_decisions(model: LocalModel, seed: int, count: int, weighing: float) -> list[Decision]:
    """What the read search would ask: at held-out questions, a third of them unanswerable, and at messages that ask nothing."""
    teacher = Teacher(model.marks, Grammar(seed, "held out"))
    rng = random.Random(seed)
    decisions: list[Decision] = []
    while len(decisions) < count:
        (draw,) = rng.choices(list(CASES), list(CASES.values()))
        case = draw(teacher, rng)
        if case is None:
            continue
        recorder = Recorder(relation=weighing, like=READ_JUDGE)
        model.judges(read=recorder)
        parts = Parts(model.marks).put(model.prompt([*case.turns, (SPEAKER, case.text)]))
        for earlier in case.before:
            put_read(parts, earlier)
        answers = case.before[-1].answers or () if case.before else ()
        known = [case.right] if case.right and rng.random() < ANSWERABLE else []
        mistaken = _mistaken(model, case) if not known and rng.random() < BESIDE_IT else []
        askable = (*known, *mistaken, *case.others)
        done = tuple(query for earlier in case.before for query in earlier.queries)
        entities = (*case.entities, SPEAKER)
        request = DraftRequest(tuple(parts.ids), case.text, askable, entities, answers, thread="calibration", asked=done)
        call = model.draft(request).call
        decisions += [(features, call is not None and call.queries[0] == case.right) for features in recorder.seen]
    return decisions


def _mistaken(model: LocalModel, case: Case) -> list[Query]:
    """What else about the name that is asked about, or about an answer, the second opinion would take the question for, likeliest first."""
    last = case.before[-1] if case.before else None
    found = {answer: found_by(last.queries[0], answer, SPEAKER) for answer in last.answers or ()} if last else {}
    known = case.right.known if case.right else next(iter(found), None)
    if model.second is None or known is None:
        return []
    table = model.second.asked(case.text, [known], SPEAKER, found=found).get(known, {})
    likely = [asked for asked in sorted(table, key=lambda asked: -table[asked]) if asked[0] != NOTHING]
    same = _same_kind(case.right.relation) if case.right else set()
    some = [(relation, inverse) for relation, inverse in likely if relation not in same][:MISTAKEN]
    return [Query(None, relation, known) if inverse else Query(known, relation, None) for relation, inverse in some]


def _same_kind(relation: str) -> set[str]:
    """The relation, its inverse, and those from which it follows: a sister answers who the siblings are."""
    own = default_ontology()[relation]
    narrower = {steps[0].relation for steps in own.compositions if len(steps) == 1}
    return {relation, own.turned or relation} | narrower


@dataclass(frozen=True, slots=True)
class Case:
    """A message, the names about which anything may be asked, the right query, others that can be answered; calls and turns before."""

    text: str
    entities: tuple[str, ...]
    right: Query | None
    others: tuple[Query, ...]
    before: tuple[ReadCall, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()


def _asked(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question."""
    grammar = teacher.grammar
    question = grammar.ask(grammar.fact())
    if question is None:
        return None
    entity = literal(question.known.name, question.text)
    return Case(question.text, (entity,), teacher.query(question), _others(grammar, rng, entity, question.fact.relation))


def _answered(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question whose answer is there: nothing more is to be asked, although the memory knows more about the answer."""
    case = _asked(teacher, rng)
    if case is None or case.right is None or case.right.subject is None:
        return None
    answer = teacher.grammar.object(case.right.relation).name
    others = (*_others(teacher.grammar, rng, answer, rng.choice(teacher.grammar.relations)), *case.others)
    return Case(case.text, (*case.entities, answer), None, others, (ReadCall((case.right,), (answer,)),))


def _of_another(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question of which the memory knows the answer for another one, who was talked of before; its own one it may not know."""
    case = _asked(teacher, rng)
    if case is None or case.right is None:
        return None
    relation = case.right.relation
    told = teacher.grammar.tell(teacher.grammar.fact(relation))
    triple = told.triples[0]
    other, same = triple.subject, Query(triple.subject, relation, None)
    if case.right.subject is None:
        other, same = triple.object, Query(None, relation, triple.object)
    if other in case.entities:
        return None
    turns = _turns(teacher.grammar, rng, told)
    if rng.random() < STRANGE:
        return Case(case.text, (other,), None, (same, *_others(teacher.grammar, rng, other, relation)), turns=turns)
    return replace(case, entities=(*case.entities, other), others=(same, *case.others), turns=turns)


def _referred(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question with a pronoun for one who was talked of before."""
    grammar = teacher.grammar
    question = grammar.ask(grammar.fact())
    referring = grammar.referring(question) if question is not None else None
    if question is None or referring is None or question.inverse:
        return None
    told = grammar.tell(grammar.fact(grammar.relation(grammar.about(question.fact)), question.fact.subject))
    name, relation = told.triples[0].subject, question.fact.relation
    right = Query(name, relation, None)
    return Case(referring[0], (name,), right, _others(grammar, rng, name, relation), turns=_turns(grammar, rng, told))


def _turns(grammar: Grammar, rng: random.Random, told: Told) -> tuple[tuple[str, str], ...]:
    return (SPEAKER, told.text), ("assistant", rng.choice(grammar.talk["acknowledge"]))


def _first_step(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question that takes several steps."""
    steps = teacher.steps()
    first = steps.calls[0].queries[0]
    known = str(first.known)
    return Case(steps.question.text, (known,) * (known != SPEAKER), first, _others(teacher.grammar, rng, known, "residence"))


def _later_step(teacher: Teacher, rng: random.Random) -> Case | None:
    """The same when some steps are made."""
    steps = teacher.steps()
    made = rng.randrange(1, len(steps.calls))
    calls, (query,) = steps.calls[:made], steps.calls[made].queries
    names = [str(call.queries[0].known) for call in calls] + [str(query.known)]
    return Case(steps.question.text, tuple(names), query, _others(teacher.grammar, rng, names[-1], query.relation), calls)


def _apposed(teacher: Teacher, rng: random.Random) -> Case | None:
    """A question with somebody's name beside the words for that one: who it is can be asked, and is not."""
    apposed = teacher.apposed()
    (link,) = apposed.links
    name = literal(link.object.name, apposed.question.text)
    whose = literal(link.subject.name, apposed.question.text) if link.subject.name != SPEAKER else SPEAKER
    others = (Query(whose, link.relation, None), *_others(teacher.grammar, rng, name, apposed.question.fact.relation))
    return Case(apposed.question.text, (name, *((whose,) * (whose != SPEAKER))), Query(name, apposed.question.fact.relation, None), others)


def _told(teacher: Teacher, rng: random.Random) -> Case | None:
    """A statement: nothing is to be asked, although the memory knows what it says."""
    fact = teacher.grammar.fact()
    told = teacher.grammar.tell(fact)
    subject = told.triples[0].subject
    return Case(told.text, (subject,), None, (Query(subject, fact.relation, None), Query(SPEAKER, "residence", None)))


CASES: dict[Callable[[Teacher, random.Random], Case | None], float] = {
    _asked: 0.4, _of_another: 0.08, _referred: 0.06, _answered: 0.14, _first_step: 0.1, _later_step: 0.1, _apposed: 0.04, _told: 0.12
}  # fmt: skip


def _others(grammar: Grammar, rng: random.Random, entity: str, relation: str) -> tuple[Query, ...]:
    """Other things that the memory could know of something that has this relation."""
    domain = set(grammar.ontology[relation].domain)
    alike = [r for r in grammar.relations if r != relation and set(grammar.ontology[r].domain) & domain]
    return (*(Query(entity, r, None) for r in rng.sample(alike, min(DISTRACTORS, len(alike)))), Query(SPEAKER, "residence", None))


def fit_judge(decisions: Sequence[Decision], weighing: float = 0.5, beta: float = 1.0) -> Judge:
    """Logistic regression, a little pulled towards zero; the threshold is where F-beta over the decisions is highest."""
    features = torch.tensor([f for f, _ in decisions])
    labels = torch.tensor([float(right) for _, right in decisions])
    spread = features.std(0).clamp(min=1e-3)
    spread[0] = 1.0
    weights = nn.Parameter(torch.zeros(features.shape[1]))
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(features / spread @ weights, labels) + 1e-3 * (weights[1:] ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    judge = Judge(tuple(round(float(w), 4) for w in (weights / spread).detach()), weighing)
    return replace(judge, keep=max(KEEPS, key=lambda keep: _f(beta, judge, decisions, keep)))


def _f(beta: float, judge: Judge, decisions: Sequence[Decision], keep: float) -> float:
    """F-beta of the calls that a threshold lets pass, against all that would have been right."""
    passed = [right for features, right in decisions if judge.probability(features) >= keep]
    wanted = sum(right for _, right in decisions)
    return (1.0 + beta**2) * sum(passed) / max(1.0, len(passed) + beta**2 * wanted)


def calibration_error(judge: Judge, decisions: Sequence[Decision], bins: int = 10) -> float:
    """Expected calibration error: the mean distance between confidence and share of right calls, over bins of equal width."""
    filled: dict[int, list[tuple[float, bool]]] = {}
    for features, right in decisions:
        probability = judge.probability(features)
        filled.setdefault(min(bins - 1, int(probability * bins)), []).append((probability, right))
    return sum(abs(sum(p - right for p, right in some)) for some in filled.values()) / max(1, len(decisions))


def calibrate(model: LocalModel, path: Path, count: int, seed: int, texts: Sequence[Statement]) -> str:
    """Fit the judges and write `calibration.json`; returns a table of what each weighing gave. `texts` are sentences of documents."""
    some = random.Random(seed).sample(texts, min(count, len(texts)))
    write, lines = _fitted(lambda judge: write_decisions(model, seed, count, judge), WRITE_JUDGE, SAID_AGAIN)
    text, of_text = _fitted(lambda judge: text_decisions(model, some, judge), WRITE_JUDGE)
    tried = {weighing: read_decisions(model, seed, count, weighing) for weighing in WEIGHINGS}
    weighing = max(tried, key=lambda weighing: sum(right for _, right in tried[weighing]))
    chosen = {WRITE: write, READ: fit_judge(tried[weighing], weighing), TEXT: text}
    path.write_text(json.dumps({call: asdict(judge) for call, judge in chosen.items()}, indent=1) + "\n", encoding="utf-8")
    limits = Limits.load(path)
    model.judges(limits.write, limits.read, limits.text)
    of_read = [f"weighing {w}: {_said(decisions, chosen[READ].keep, w)}" for w, decisions in tried.items()]
    return "\n".join(f"{call}: {line}" for call, some in ((WRITE, lines), (TEXT, of_text), (READ, of_read)) for line in some)


def _fitted(decide: Callable[[Judge], list[Decision]], judge: Judge, beta: float = 1.0) -> tuple[Judge, list[str]]:
    """A judge fitted on what it chooses itself, and a line for each round."""
    lines = []
    for number in range(ROUNDS):
        decisions = decide(judge)
        judge = fit_judge(decisions, beta=beta)
        lines.append(f"round {number + 1}: {_said(decisions, judge.keep)}")
    return judge, lines


def _said(decisions: Sequence[Decision], keep: float, weighing: float = 0.5) -> str:
    """How many are right, and how far a confidence is off: fitted on one half, looked at on the other."""
    half = len(decisions) // 2
    error = calibration_error(fit_judge(decisions[:half], weighing), decisions[half:])
    right = sum(right for _, right in decisions)
    return f"{right} of {len(decisions)} right, threshold {keep}, calibration error {error:.3f} on the other half"
