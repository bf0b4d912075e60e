"""Knowledge edits in sequence (zsRE), by WISE's protocol: every edit is scored after the last one.

  reliability     the edit's question gives the new answer
  generalisation  so does the question in other words
  locality        an unrelated question gets the same answer as before the first edit

An edit is told to the agent as one text, the question and its new answer: "What is the product made by UniFirst?
unmanned aircraft." (`Edit.text`), for zsRE has no declarative form of it; no other edit is its context. Questions are
asked without writing. Right is an exact match after SQuAD's normalisation, of the reply's text or of the one answer that
the memory gave; `... (contained)` asks only that the new answer stands in the text. No gold answer filters the memory.

Edits that were not reliable are split as in the paper: not written, written but not found, found but not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals.bench import Bench, Talker, progress
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.scoring import contains, normalise, score, share_counts
from memagent import MemagentError, Reply

ZSRE = DataFile(
    "zsre_700.json",
    "700 zsRE edits with rephrased and unrelated questions",
    "https://github.com/zjunlp/EasyEdit (zsRE in the form of MEND: subject, src, alt, rephrase, loc, loc_ans)",
    "Apache-2.0",
)
STEPS = (10, 100, 700)  # numbers of edits after which all of them are scored
LOCALITY_PREFIX = "nq question: "


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: a question and its new answer, the same question in other words, and an unrelated one."""

    question: str
    answer: str
    rephrased: str
    unrelated: str

    @property
    def text(self) -> str:
        """What the agent is told."""
        return f"{self.question.strip()} {self.answer.strip().removesuffix('.')}."


@dataclass(frozen=True, slots=True)
class Scored:
    """An edit after the last one; `stage` is where it failed, "" if it did not."""

    exact: dict[str, bool]
    contained: dict[str, bool]
    stage: str
    reply: str


@dataclass(frozen=True, slots=True)
class Editing:
    """The suite."""

    name: str = "editing"
    needs: tuple[DataFile, ...] = (ZSRE,)

    def run(self, bench: Bench) -> Outcome:
        """Make the edits in one memory; stop at every step to score all edits so far."""
        edits = read_edits(json.loads(bench.read(ZSRE)))[: bench.limit]
        rows: list[Row] = []
        scored: list[Scored] = []
        with bench.agent() as agent:
            before = [_ask(agent, edit.unrelated).text for edit in progress(edits, "editing: before")]
            written: list[bool] = []
            for step in steps(len(edits)):
                written += [_tell(agent, edit) for edit in edits[len(written) : step]]
                now = list(zip(edits[:step], before, written, strict=False))
                scored = [_score(agent, *each) for each in progress(now, f"editing: {step}")]
                rows.append(_row(f"T = {step}", scored, bench.seed))
        return Outcome(rows, [_case(*each) for each in zip(edits, scored, strict=True)], [_stages(scored)])


def read_edits(rows: Iterable[dict[str, Any]]) -> list[Edit]:
    """The edits of a file in WISE's form."""
    return [Edit(row["src"], row["alt"], row["rephrase"], row["loc"].removeprefix(LOCALITY_PREFIX)) for row in rows]


def steps(number: int) -> list[int]:
    """Where to score a sequence of so many edits: at `STEPS`, and at its end."""
    return sorted({step for step in STEPS if step < number} | ({number} if number else set()))


def _tell(agent: Talker, edit: Edit) -> bool:
    """Whether a triple with the new answer was written."""
    try:
        triples = agent.remember(edit.text, speaker="", source=edit.text)
    except MemagentError:
        return False
    return any(normalise(edit.answer) in (normalise(t.subject), normalise(t.object)) for t in triples)


def _ask(agent: Talker, question: str) -> Reply:
    """An error that the agent reports is an answer that is not right."""
    try:
        return agent.ask(question)
    except MemagentError as error:
        return Reply(f"{type(error).__name__}: {error}")


def _score(agent: Talker, edit: Edit, before: str, written: bool) -> Scored:
    direct, rephrased = _ask(agent, edit.question), _ask(agent, edit.rephrased)
    kept = normalise(_ask(agent, edit.unrelated).text) == normalise(before)
    return Scored(
        {"reliability": exact(direct, edit.answer), "generalisation": exact(rephrased, edit.answer), "locality": kept},
        {"reliability": contains(direct.text, edit.answer), "generalisation": contains(rephrased.text, edit.answer)},
        stage(direct, edit.answer, written),
        direct.text,
    )


def exact(reply: Reply, answer: str) -> bool:
    """Whether the reply is the answer and nothing else."""
    given = {normalise(match.answer) for match in reply.matches}
    return normalise(answer) == normalise(reply.text) or (given == {normalise(answer)} and contains(reply.text, answer))


def stage(reply: Reply, answer: str, written: bool) -> str:
    """Where the way from the edit to the answer broke."""
    if contains(reply.text, answer):
        return ""
    if not written:
        return "not written"
    found = any(normalise(match.answer) == normalise(answer) for match in reply.matches)
    return "not used" if found else "not found"


def _row(label: str, scored: Sequence[Scored], seed: int) -> Row:
    named = {name: [s.exact[name] for s in scored] for name in ("reliability", "generalisation", "locality")}
    named |= {f"{name} (contained)": [s.contained[name] for s in scored] for name in ("reliability", "generalisation")}
    return Row(label, {name: score([share_counts(right, 1) for right in values], seed=seed) for name, values in named.items()})


def _case(edit: Edit, scored: Scored) -> CaseResult:
    failures = (f"{edit.question!r}: {scored.stage}; wanted {edit.answer!r}, got {scored.reply!r}",) if scored.stage else ()
    return CaseResult(edit.question, scored.stage or "reliable", {"answer": edit.answer, **asdict(scored)}, failures)


def _stages(scored: Sequence[Scored]) -> str:
    numbers = {name: sum(s.stage == name for s in scored) for name in ("not written", "not found", "not used")}
    return f"of {len(scored)} edits, after the last: " + ", ".join(f"{number} {name}" for name, number in numbers.items())
