"""Scripted conversations: told, asked, changed, asked again, never told, not to be written, forgotten.

`data/chat.toml` holds them and says what its turns mean. Each runs in an empty memory, turn by turn through
`Agent.reply`, as in the browser: so a question may wrongly write, too, and small talk may wrongly be answered.

Columns: `answered` (the wanted name is in the answer and no forbidden one), `abstained` (whether the answer rests on the memory
is as it should be), `written` (exactly the wanted triples), `right` all three together, `whole` conversations without a
failure. The row `new wording` has those conversations in which some turn is worded like no template of the training grammar
(`wording.py`). An agent that never writes gets every `abstained` right: read that column together with `answered`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

from evals.bench import Bench, Talker, progress
from evals.case import CaseResult, DataFile, Evaluator, Outcome, Row, Score, Verdict
from evals.facts import Wanted, count, wanted
from evals.scoring import contains, sample, score, share_counts
from evals.wording import Templates, training_templates
from memagent import MemagentError, Reply, Triple
from memagent.ontology import Ontology

FILE = Path(__file__).with_name("data") / "chat.toml"
NEW = "new wording"
TURN_FIELDS = {"say", "ask", "forget", "gap", "speaker", "writes", "expect", "every", "forbid", "known"}


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
class Turn:
    """One move of the person: `act` is say, ask, forget or gap, which says several `texts` and is judged as one."""

    act: str
    texts: tuple[str, ...]
    speaker: str | None = None
    evaluators: tuple[Evaluator[Heard], ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A case; `relations` are those of the ontology that it is about."""

    kind: str
    name: str
    relations: tuple[str, ...]
    turns: tuple[Turn, ...]


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
    return Turn(act, texts, table.get("speaker"), tuple(_evaluators(table)))


def _evaluators(table: dict[str, Any]) -> Iterator[Evaluator[Heard]]:
    forbid = tuple(table.get("forbid", ()))
    if "expect" in table or "every" in table:
        yield Answered(tuple(table.get("expect", ())), tuple(table.get("every", ())), forbid)
    if "known" in table:
        yield Abstained(table["known"], forbid)
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
        conversations = sample(read_conversations(self.file), bench.limit, bench.seed)
        held = [hold(conversation, bench, self.templates()) for conversation in progress(conversations, self.name)]
        kinds = dict.fromkeys(case.kind for case in held)
        rows = [_row(kind, [case for case in held if case.kind == kind], bench.seed) for kind in kinds]
        new = _row(NEW, [case for case in held if case.details[NEW]], bench.seed)
        return Outcome([*rows, new, _row("overall", held, bench.seed)], held, (f"{len(held)} conversations",))


def hold(conversation: Conversation, bench: Bench, templates: Templates) -> CaseResult:
    """Run one conversation in an empty memory."""
    with bench.agent() as agent:
        turns = [_take(agent, turn, bench.ontology) for turn in conversation.turns]
    new = any(not templates.cover(text) for turn in conversation.turns if turn.act in ("say", "ask") for text in turn.texts)
    failed = any(not check["right"] for turn in turns for check in turn["checks"])
    transcript = tuple(line for turn in turns for line in _lines(turn)) if failed else ()
    return CaseResult(f"{conversation.kind}.{conversation.name}", conversation.kind, {NEW: new, "turns": turns}, transcript)


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
    scores = {check: _share(cases, check, seed) for check in ("right", "answered", "abstained", "written")}
    scores["whole"] = score([share_counts(not case.failures, 1) for case in cases], seed=seed)
    return Row(label, scores)


def _share(cases: Sequence[CaseResult], check: str, seed: int) -> Score:
    checks = [[c["right"] for t in case.details["turns"] for c in t["checks"] if check in ("right", c["check"])] for case in cases]
    return score([share_counts(sum(each), len(each)) for each in checks], seed=seed)


def _list(triples: Sequence[Triple]) -> str:
    return "; ".join(f"{t.subject} – {t.relation} – {t.object}" for t in triples) or "nothing"
