"""Scripted conversations: told, asked, changed, asked again, never told, not to be written, forgotten.

`data/chat.toml` holds them and says what its turns mean. Each runs in an empty memory, turn by turn through
`Agent.reply`, as in the browser: so a question may wrongly write, too, and small talk may wrongly be answered.

Columns: `answered` (the wanted name is in the answer and no forbidden one), `abstained` (whether the answer rests on the memory
is as it should be), `written` (exactly the wanted triples), `said by` (the provenance of the answer names who said it; nobody is asked
for that in words, as no relation stands for it), `right` all of these together, `whole` conversations without a failure. The row
`new wording` has those conversations in which some turn is worded like no template of the training grammar (`wording.py`). An agent
that never writes gets every `abstained` right: read that column together with `answered`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

from evals.bench import Bench, Talker
from evals.case import CaseResult, DataFile, Evaluator, Outcome, Row, Verdict
from evals.facts import Wanted, count, wanted
from evals.scoring import Counts, contains, sample, score, share_counts
from evals.wording import Templates, training_templates
from memagent import MemagentError, Reply, Triple
from memagent.ontology import Ontology

FILE = Path(__file__).with_name("data") / "chat.toml"
NEW = "new wording"
CHECKS = ("right", "answered", "abstained", "written", "said by")
LONG = 100  # texts of a conversation that takes minutes
QUICK = 120  # conversations of a run that need not be thorough
TURN_FIELDS = {"say", "ask", "forget", "gap", "speaker", "namespace", "writes", "expect", "every", "forbid", "known", "said_by"}


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back in one turn: the context of the evaluators."""

    reply: Reply
    ontology: Ontology
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """One of `expect` and all of `every` are in the answer, none of `forbid` is."""

    expect: tuple[str, ...] = ()
    every: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    check: ClassVar[str] = "answered"

    def evaluate(self, heard: Heard) -> Verdict:
        """Look for the names in the text of the reply."""
        text = heard.reply.text
        wrong = [name for name in self.forbid if contains(text, name)]
        missing = [name for name in self.every if not contains(text, name)]
        if wrong:
            return Verdict(False, f"{text!r} names {', '.join(wrong)}")
        if missing or (self.expect and not any(contains(text, name) for name in self.expect)):
            return Verdict(False, f"{text!r} does not name {' or '.join(self.expect) or ' and '.join(missing)}")
        return Verdict(True, f"{text!r}")


@dataclass(frozen=True, slots=True)
class Abstained:
    """The answer rests on the memory, or does not, as `known` says; `forbid` as in `Answered`."""

    known: bool
    forbid: tuple[str, ...] = ()
    check: ClassVar[str] = "abstained"

    def evaluate(self, heard: Heard) -> Verdict:
        """Compare with the reply's own word."""
        if heard.reply.known != self.known:
            return Verdict(False, f"known is {heard.reply.known}: {heard.reply.text!r}")
        return Answered(forbid=self.forbid).evaluate(heard)


@dataclass(frozen=True, slots=True)
class WroteCount:
    """So many triples were written."""

    number: int
    check: ClassVar[str] = "written"

    def evaluate(self, heard: Heard) -> Verdict:
        """Count them."""
        written = heard.reply.written
        return Verdict(len(written) == self.number, f"wrote {_list(written)}, wanted {self.number} triples")


@dataclass(frozen=True, slots=True)
class WroteTriples:
    """Exactly these facts were written."""

    facts: tuple[Wanted, ...]
    text: str
    check: ClassVar[str] = "written"

    def evaluate(self, heard: Heard) -> Verdict:
        """Every fact is stated by a triple, and every triple states one of the facts."""
        allowed = {relation for fact in self.facts for relation in fact.relations}
        counts = count(heard.reply.written, self.facts, allowed, heard.ontology)
        right = counts.found == counts.wanted and counts.right == len(heard.reply.written)
        return Verdict(right, f"wrote {_list(heard.reply.written)}, wanted {self.text}")


@dataclass(frozen=True, slots=True)
class SaidBy:
    """The answer comes from what this speaker said, and only that."""

    speaker: str
    check: ClassVar[str] = "said by"

    def evaluate(self, heard: Heard) -> Verdict:
        """Look at the provenance of the stored triples from which the answer comes."""
        speakers = sorted({source.speaker or "nobody" for match in heard.reply.matches for source in match.provenance})
        return Verdict(speakers == [self.speaker], f"said by {', '.join(speakers) or 'nobody'}, wanted {self.speaker}")


@dataclass(frozen=True, slots=True)
class Turn:
    """One move of the person: `act` is say, ask, forget or gap, which says several `texts` and is judged as one.

    `namespace`: whose agent hears it, where that is not the usual one.
    """

    act: str
    texts: tuple[str, ...]
    speaker: str | None = None
    namespace: str | None = None
    evaluators: tuple[Evaluator[Heard], ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A case; `relations` are those of the ontology that it is about."""

    kind: str
    name: str
    relations: tuple[str, ...]
    turns: tuple[Turn, ...]

    @property
    def long(self) -> bool:
        """Whether it takes minutes."""
        return sum(len(turn.texts) for turn in self.turns) > LONG


def read_conversations(path: Path = FILE) -> list[Conversation]:
    """The conversations of a file, gaps filled with its small talk.

    Raises:
        ValueError: a turn has a field that it cannot have, or not exactly one act.
    """
    kinds = tomllib.loads(path.read_text(encoding="utf-8"))
    small_talk = kinds.pop("small_talk", [])
    return [
        Conversation(kind, name, tuple(table["relations"]), tuple(_turn(t, small_talk) for t in table["turns"]))
        for kind, conversations in kinds.items()
        for name, table in conversations.items()
    ]


def _turn(table: dict[str, Any], small_talk: Sequence[str]) -> Turn:
    acts = [act for act in ("say", "ask", "forget", "gap") if act in table]
    if len(acts) != 1 or not set(table) <= TURN_FIELDS:
        raise ValueError(f"a turn has one of say, ask, forget, gap and no unknown field: {table}")
    (act,) = acts
    texts = tuple(islice(cycle(small_talk), table["gap"])) if act == "gap" else (table[act],)
    return Turn(act, texts, table.get("speaker"), table.get("namespace"), tuple(_evaluators(table)))


def _evaluators(table: dict[str, Any]) -> Iterator[Evaluator[Heard]]:
    forbid = tuple(table.get("forbid", ()))
    if "expect" in table or "every" in table:
        yield Answered(tuple(table.get("expect", ())), tuple(table.get("every", ())), forbid)
    if "known" in table:
        yield Abstained(table["known"], forbid)
    if "said_by" in table:
        yield SaidBy(table["said_by"])
    writes = table.get("writes")
    if isinstance(writes, int):
        yield WroteCount(writes)
    elif writes is not None:
        sides = [[side.split("|") for side in triple] for triple in writes]
        yield WroteTriples(tuple(wanted(*each) for each in sides), "; ".join(" – ".join(triple) for triple in writes))


@dataclass(frozen=True, slots=True)
class Chat:
    """The suite; `file` may name other conversations of the same form, `templates` what the model was trained on."""

    file: Path = FILE
    templates: Callable[[], Templates] = training_templates
    name: str = "chat"
    needs: tuple[DataFile, ...] = ()

    def run(self, bench: Bench) -> Outcome:
        """Hold every conversation and judge its turns."""
        every = read_conversations(self.file)
        usual = every if bench.thorough else [conversation for conversation in every if not conversation.long]
        conversations = sample(usual, bench.limit or (None if bench.thorough else QUICK), bench.seed)
        templates = self.templates()
        cases = [
            replace(case, details={NEW: _is_new(conversation, templates), **case.details})
            for conversation, case in zip(conversations, bench.each(hold, conversations, self.name), strict=True)
        ]
        kinds = dict.fromkeys(case.kind for case in cases)
        rows = [_row(kind, [case for case in cases if case.kind == kind], bench.seed) for kind in kinds]
        new = _row(NEW, [case for case in cases if case.details[NEW]], bench.seed)
        note = f"{len(cases)} of {len(every)} conversations{'' if bench.thorough else '; --suite chat holds all'}"
        return Outcome([*rows, new, _row("overall", cases, bench.seed)], cases, (note,))


def hold(conversation: Conversation, bench: Bench) -> CaseResult:
    """Run one conversation in an empty memory."""
    with ExitStack() as stack:
        agent = stack.enter_context(bench.agent())
        names = sorted({turn.namespace for turn in conversation.turns if turn.namespace})
        agents: dict[str | None, Talker] = {name: stack.enter_context(agent.beside(name)) for name in names}
        agents[None] = agent
        turns = [_take(agents[turn.namespace], turn, bench.ontology) for turn in conversation.turns]
    failed = any(not check["right"] for turn in turns for check in turn["checks"])
    transcript = tuple(line for turn in turns for line in _lines(turn)) if failed else ()
    return CaseResult(f"{conversation.kind}.{conversation.name}", conversation.kind, {"turns": turns}, transcript)


def _is_new(conversation: Conversation, templates: Templates) -> bool:
    return any(not templates.cover(text) for turn in conversation.turns if turn.act in ("say", "ask") for text in turn.texts)


def _lines(turn: dict[str, Any]) -> list[str]:
    """A turn for the person who wants to know what went wrong: what came of it, then its failed checks."""
    written = "; ".join(" – ".join(triple) for triple in turn["written"]) or "nothing"
    came = f"{turn['reply']!r} {' '.join(turn['calls'])}" if turn["act"] == "ask" else f"wrote {written}"
    return [f"{turn['act']} {turn['text']!r} → {came}", *(f"  ✗ {c['check']}: {c['reason']}" for c in turn["checks"] if not c["right"])]


def _take(agent: Talker, turn: Turn, ontology: Ontology) -> dict[str, Any]:
    heard = _hear(agent, turn, ontology)
    verdicts = [(each.check, Verdict(False, heard.error) if heard.error else each.evaluate(heard)) for each in turn.evaluators]
    reply = heard.reply
    return {
        "act": turn.act,
        "text": " ".join(turn.texts),
        **({"speaker": turn.speaker} if turn.speaker else {}),
        **({"namespace": turn.namespace} if turn.namespace else {}),
        "reply": reply.text,
        "known": reply.known,
        "written": [[t.subject, t.relation, t.object] for t in reply.written],
        "calls": [call.render() for call in reply.calls],
        "checks": [{"check": check, **asdict(verdict)} for check, verdict in verdicts],
    }


def _hear(agent: Talker, turn: Turn, ontology: Ontology) -> Heard:
    """An error that the agent reports fails the turn's checks, not the run."""
    try:
        if turn.act == "forget":
            agent.forget(turn.texts[0])
            return Heard(Reply(""), ontology)
        replies = [agent.reply(text, speaker=turn.speaker) for text in turn.texts]
        return Heard(replace(replies[-1], written=tuple(t for reply in replies for t in reply.written)), ontology)
    except MemagentError as error:
        return Heard(Reply(""), ontology, f"{type(error).__name__}: {error}")


def _row(label: str, cases: Sequence[CaseResult], seed: int) -> Row:
    names = [case.name for case in cases]
    counted = {check: [_counts(case, check) for case in cases] for check in CHECKS}
    counted["whole"] = [share_counts(not case.failures, 1) for case in cases]
    return Row(label, {check: score(counts, names=names, seed=seed) for check, counts in counted.items()})


def _counts(case: CaseResult, check: str) -> Counts:
    right = [c["right"] for turn in case.details["turns"] for c in turn["checks"] if check in ("right", c["check"])]
    return share_counts(sum(right), len(right))


def _list(triples: Sequence[Triple]) -> str:
    return "; ".join(f"{t.subject} – {t.relation} – {t.object}" for t in triples) or "nothing"
