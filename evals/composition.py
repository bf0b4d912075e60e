"""Questions whose answer needs two or three stored triples, each asked with composition and without.

Where the chain of triples comes from: an invented world in `data/composition.toml`, and with --data facts of DocRED and KAMEL (dev and
test), names joined by their spelling. `data/composition.toml` says which relations make a chain and how people ask for its end.
The triples are put into the memory without a model, among `OTHERS` that have nothing to do with them; only reading is tried.
Every fourth chain has lost its last triple: there nothing is known, and naming something on the way is wrong.

  with      the memory as it is: the rules of the ontology, and as many calls as the settings allow
  without   a memory whose ontology has no rules, and one call

Columns: the share of questions with the right name in the answer, `with` and `without`; `memory with` and `memory without` the same
for the memory alone, asked for the derived relation by its name (rows `rule`: some rule of the ontology gives the answer at once;
rows `calls`: the model has to ask again with what it got); `abstained`, with composition: the chain is broken, and nothing is claimed.
"""

from __future__ import annotations

import json
import math
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evals.bench import Bench
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.scoring import Counts, contains, sample, score, share_counts
from memagent import MemagentError, Query, Reply, Triple
from memagent.ontology import Ontology, Relation, Step
from memagent.training.readers import Fact, read_docred_facts, read_kamel

FILE = Path(__file__).with_name("data") / "composition.toml"
KAMEL, KAMEL_LICENCE = "https://github.com/JanKalo/KAMEL", "CC0 (facts of Wikidata)"
FACTS = (
    DataFile(
        "docred_facts/train_annotated.fact",
        "facts of DocRED train, [head, tail, property]",
        "https://github.com/thunlp/DocRED (ref/train_annotated.fact)",
        "MIT",
    ),
    DataFile("kamel/dev.jsonl", "KAMEL dev, facts with names", KAMEL, KAMEL_LICENCE),
    DataFile("kamel/test.jsonl", "KAMEL test, facts with names", KAMEL, KAMEL_LICENCE),
)
OWN, PUBLIC = "invented", "DocRED and KAMEL"
QUESTIONS = 120  # from public facts, unless --limit says another number
OTHERS = 500  # facts of DocRED and KAMEL beside those of the chains
BROKEN = 4  # every so manieth chain has lost its last triple
COLUMNS = ("with", "without", "memory with", "memory without", "abstained")


@dataclass(frozen=True, slots=True)
class Form:
    """How triples make a chain, and how its end is asked for; `relation` is what a rule derives from it, if one does."""

    name: str
    steps: tuple[frozenset[str], ...]
    asks: tuple[str, ...]
    relation: str | None

    @property
    def row(self) -> str:
        """In which row its questions count."""
        return f"{'rule' if self.relation else 'calls'}, {len(self.steps)} triples"


@dataclass(frozen=True, slots=True)
class Question:
    """A question for the end of a chain of triples; `broken`: the memory lacks the last one."""

    form: Form
    chain: tuple[Triple, ...]
    text: str
    broken: bool

    @property
    def answer(self) -> str:
        """The name at the end."""
        return self.chain[-1].object

    @property
    def query(self) -> Query | None:
        """What the memory alone is asked."""
        return Query(self.chain[0].subject, self.form.relation, None) if self.form.relation else None

    @property
    def stored(self) -> tuple[Triple, ...]:
        """What the memory has of the chain."""
        return self.chain[:-1] if self.broken else self.chain


Held = Mapping[str, Mapping[str, str]]  # subject -> relation -> its only object


@dataclass(frozen=True, slots=True)
class World:
    """Questions over one memory, and what else is in it."""

    name: str
    questions: tuple[Question, ...]
    others: tuple[Triple, ...]

    @property
    def triples(self) -> list[Triple]:
        """All that is stored."""
        return list(dict.fromkeys([*(triple for question in self.questions for triple in question.stored), *self.others]))


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back: the reply, and whether the memory alone had the answer (None: it was not asked)."""

    reply: str
    known: bool
    memory: bool | None


@dataclass(frozen=True, slots=True)
class CompositionSuite:
    """The suite; it goes without the files."""

    file: Path = FILE
    name: str = "composition"
    needs: tuple[DataFile, ...] = FACTS

    def run(self, bench: Bench) -> Outcome:
        """Ask all questions of every world, with composition and without."""
        forms, own = read_forms(self.file)
        worlds = [made_world(OWN, forms, own, bench.limit, bench.seed)]
        if all(map(bench.has, self.needs)) and bench.data is not None:
            worlds.append(made_world(PUBLIC, forms, public_facts(bench.data), bench.limit or QUESTIONS, bench.seed))
        with ruleless(bench.ontology) as file:
            changes: tuple[dict[str, Any], ...] = ({}, {"ontology_file": file, "max_reads": 1})
            came = bench.each(ask_all, [(world, each) for world in worlds for each in changes], self.name)
        told = zip(worlds, came[::2], came[1::2], strict=True)
        cases = [_case(world.name, *each) for world, *asked in told for each in zip(world.questions, *asked, strict=True)]
        return Outcome(_rows(cases, bench.seed), cases, [_note(world) for world in worlds])


def read_forms(file: Path) -> tuple[list[Form], list[Fact]]:
    """The forms of a file, and the facts of its world."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    forms = [
        Form(name, tuple(frozenset(step.split("|")) for step in each["steps"]), tuple(each["asks"]), each.get("relation"))
        for name, each in table["forms"].items()
    ]
    return forms, [Fact(subject, relation, (target,)) for subject, relation, target in table["world"]["triples"]]


def public_facts(data: Path) -> list[Fact]:
    """Facts of DocRED, and of KAMEL's dev and test."""
    report: Counter[str] = Counter()
    kamel = [fact for split in ("dev", "test") for fact in read_kamel(data, report, split)]
    return [*kamel, *read_docred_facts(data, report)]


# ---- making questions


def made_world(name: str, forms: Sequence[Form], facts: Iterable[Fact], number: int | None, seed: int) -> World:
    """At most so many questions, evenly over the forms, with facts beside them that are about none of their names."""
    held = _held(facts)
    each = None if number is None else max(1, math.ceil(number / len(forms)))
    drawn = [_question(form, i, chain) for form in forms for i, chain in enumerate(sample(list(_chains(form, held)), each, seed))]
    questions = sample(_sound(drawn), number, seed)
    named = {name for question in questions for triple in question.chain for name in (triple.subject, triple.object)}
    apart = [(s, r, o) for s, relations in held.items() for r, o in relations.items() if s not in named and o not in named]
    return World(name, tuple(questions), tuple(Triple(*names) for names in sample(apart, OTHERS, seed)))


def _held(facts: Iterable[Fact]) -> Held:
    """Facts with one object; those that have several, or are given twice with different ones, make no question with one answer."""
    objects: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for fact in facts:
        objects[fact.subject][fact.relation] |= set(fact.objects)
    return {s: {r: min(names) for r, names in relations.items() if len(names) == 1 and names != {s}} for s, relations in objects.items()}


def _chains(form: Form, held: Held) -> Iterator[tuple[Triple, ...]]:
    """Every chain of the form whose names are all different and that is the only one from its beginning."""
    for start in held:
        chains: list[tuple[Triple, ...]] = [()]
        for step in form.steps:
            chains = [(*chain, triple) for chain in chains for triple in _onward(chain[-1].object if chain else start, step, held)]
        if len(chains) == 1 and len({start, *(triple.object for triple in chains[0])}) == len(form.steps) + 1:
            yield chains[0]


def _onward(name: str, step: Iterable[str], held: Held) -> Iterator[Triple]:
    known = held.get(name, {})
    yield from (Triple(name, relation, known[relation]) for relation in sorted(step) if relation in known)


def _question(form: Form, i: int, chain: tuple[Triple, ...]) -> Question:
    return Question(form, chain, form.asks[i % len(form.asks)].format(s=chain[0].subject), i % BROKEN == BROKEN - 1)


def _sound(drawn: Sequence[Question]) -> list[Question]:
    """Without those that another one gives away or spoils.

    Nothing may be stored about the name at which a broken chain ends, and no answer of a rule may be stored as it is.
    """
    ends = {question.chain[-1].subject for question in drawn if question.broken}
    kept = [question for question in drawn if not any(triple.subject in ends for triple in question.stored)]
    direct = {(triple.subject, triple.relation) for question in kept for triple in question.stored}
    return [question for question in kept if (question.chain[0].subject, question.form.relation) not in direct]


# ---- asking


@contextmanager
def ruleless(ontology: Ontology) -> Iterator[Path]:
    """A file with the relations of the ontology and none of its compositions."""
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        path = Path(folder) / "ontology.toml"
        path.write_text("\n".join(map(_table, ontology)), encoding="utf-8")
        yield path


def _table(relation: Relation) -> str:
    """A relation as TOML, whose texts, lists and flags are written as in JSON; rules of one step (`child = son`) are only other names."""
    rules = [_rule(steps) for steps in relation.compositions if len(steps) == 1]
    fields = {name: value for name, value in asdict(relation).items() if value and name not in ("name", "compositions")}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in {**fields, "compositions": rules}.items()]
    return "\n".join([f"[{json.dumps(relation.name, ensure_ascii=False)}]", *lines, ""])


def _rule(steps: Iterable[Step]) -> str:
    return " / ".join(f"{'~' * step.backwards}{step.relation}{'+' * step.repeated}" for step in steps)


def ask_all(part: tuple[World, Mapping[str, Any]], bench: Bench) -> list[Asked]:
    """Put a world into an empty memory, under settings with these changes, and ask its questions."""
    world, changes = part
    with bench.agent(**changes) as agent:
        agent.memory.add(world.triples)
        asked = []
        for question in world.questions:
            try:
                reply = agent.ask(question.text)
            except MemagentError as error:
                reply = Reply(f"{type(error).__name__}: {error}")
            found = [match.answer for match in agent.memory.match(question.query)] if question.query else None
            asked.append(Asked(reply.text, reply.known, None if found is None else question.answer in found))
        return asked


# ---- counting


def _case(world: str, question: Question, composed: Asked, plain: Asked) -> CaseResult:
    right = {"with": contains(composed.reply, question.answer), "without": contains(plain.reply, question.answer)}
    details = {
        "question": question.text,
        "answer": question.answer,
        "chain": [[triple.subject, triple.relation, triple.object] for triple in question.chain],
        "broken": question.broken,
        "with": {**asdict(composed), "right": right["with"]},
        "without": {**asdict(plain), "right": right["without"]},
    }
    fine = not composed.known if question.broken else right["with"]
    wanted = "nothing, for the last triple is missing" if question.broken else repr(question.answer)
    failures = () if fine else (f"{question.text!r}: wanted {wanted}, got {composed.reply!r}",)
    return CaseResult(f"{world}: {question.text}", f"{world}: {question.form.row}", details, failures)


def _rows(cases: Sequence[CaseResult], seed: int) -> list[Row]:
    kinds = sorted({case.kind for case in cases}, key=lambda kind: (not kind.startswith(OWN), kind.split(": ")[1][::-1]))
    return [*(_row(kind, [case for case in cases if case.kind == kind], seed) for kind in kinds), _row("all", cases, seed)]


def _row(label: str, cases: Sequence[CaseResult], seed: int) -> Row:
    names = [case.name for case in cases]
    return Row(label, {column: score([_counts(case, column) for case in cases], names=names, seed=seed) for column in COLUMNS})


def _counts(case: CaseResult, column: str) -> Counts:
    """What a question adds to a column; nothing where the column is not about it."""
    details = case.details
    if column == "abstained":
        return share_counts(not details["with"]["known"], 1) if details["broken"] else Counts()
    if details["broken"]:
        return Counts()
    condition = column.removeprefix("memory ")
    right = details[condition]["right" if condition == column else "memory"]
    return Counts() if right is None else share_counts(right, 1)


def _note(world: World) -> str:
    return f"{world.name}: {len(world.questions)} questions over {len(world.triples)} triples"
