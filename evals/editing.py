"""Knowledge edits in sequence (zsRE), by WISE's protocol: every edit is scored after the last one.

  reliability     the edit's question gives the new answer
  generalisation  so does the question in other words
  locality        an unrelated question gets the same answer as before the first edit

An edit is told to the agent as one text, the question and its new answer: "What is the product made by UniFirst?
unmanned aircraft." (`Edit.text`), for zsRE has no declarative form of it; no other edit is its context. Questions are
asked without writing. Right is an exact match after SQuAD's normalisation, of the reply's text or of the one answer that
the memory gave; `... (contained)` asks only that the new answer stands in the text. No gold answer filters the memory.

Rows `T = n` are our memory after n edits (T = 1: the first `ALONE`, each in a memory of its own). Beside them, with the same model and
no memory: nothing told (`no memory`), the latest edits in the prompt, as many as fit (`in the prompt`), and the `NEAREST` edits that
the embedder finds for the question (`RAG`). `immediate` is the protocol of MemLLM's authors: an edit is scored as soon as it is told,
by containment; their filter, which hides contradicting triples by the gold answer, is left out.

Edits that were not reliable are split as in the paper: not written, written but not found, found but not used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

from evals.bench import Bench, Talker, progress
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.scoring import contains, normalise, score, share_counts
from memagent import MemagentError, Reply
from memagent.memory import MiniLM
from memagent.model.seam import DraftRequest, LanguageModel
from memagent.triples import SPEAKER

ZSRE = DataFile(
    "zsre_700.json",
    "700 zsRE edits with rephrased and unrelated questions",
    "https://github.com/zjunlp/EasyEdit (zsRE in the form of MEND: subject, src, alt, rephrase, loc, loc_ans)",
    "Apache-2.0",
)
STEPS = (10, 100, 700)  # numbers of edits after which all of them are scored
ALONE = 100  # edits that are scored in a memory of their own
NEAREST = 5  # edits that are put before a question, the nearest last
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
    """How an edit did; `stage` is where it failed, "" if it did not."""

    exact: dict[str, bool]
    contained: dict[str, bool]
    stage: str
    reply: str


@dataclass(frozen=True, slots=True)
class Step:
    """One row: the first edits, scored at one moment in one way; `note` says how to read it."""

    label: str
    scored: tuple[Scored, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Editing:
    """The suite."""

    name: str = "editing"
    needs: tuple[DataFile, ...] = (ZSRE,)

    def run(self, bench: Bench) -> Outcome:
        """Tell the edits in every way, and score them."""
        edits = tuple(read_edits(json.loads(bench.read(ZSRE)))[: bench.limit])
        came = dict(zip(WAYS, bench.each(tell_and_score, [(way, edits) for way in WAYS], self.name), strict=True))
        ordered = [step for way in ("alone", "memory", "no memory", "in the prompt", "RAG", "immediate") for step in came[way]]
        last = {way: steps[-1].scored for way, steps in came.items() if way != "alone" and steps}
        cases = [_case(i, edit, {way: scored[i] for way, scored in last.items()}) for i, edit in enumerate(edits)]
        notes = [_stages(last["memory"]), *dict.fromkeys(step.note for step in ordered if step.note)] if edits else []
        return Outcome([_row(step, bench.seed) for step in ordered], cases, notes)


def read_edits(rows: Iterable[dict[str, Any]]) -> list[Edit]:
    """The edits of a file in WISE's form."""
    return [Edit(row["src"], row["alt"], row["rephrase"], row["loc"].removeprefix(LOCALITY_PREFIX)) for row in rows]


def steps(number: int) -> list[int]:
    """Where to score a sequence of so many edits: at `STEPS`, and at its end."""
    return sorted({step for step in STEPS if step < number} | ({number} if number else set()))


# ---- ways of being told


def in_memory(edits: Sequence[Edit], bench: Bench) -> list[Step]:
    """Make the edits in one memory; stop at every step to score all edits so far."""
    made: list[Step] = []
    with bench.agent() as agent:
        before = [_ask(agent, edit.unrelated).text for edit in progress(edits, "editing: before")]
        written: list[bool] = []
        for step in steps(len(edits)):
            written += [_tell(agent, edit) for edit in edits[len(written) : step]]
            now = list(zip(edits[:step], before, written, strict=False))
            made.append(Step(f"T = {step}", tuple(_score(partial(_ask, agent), *each) for each in progress(now, f"editing: {step}"))))
    return made


def at_once(edits: Sequence[Edit], bench: Bench) -> list[Step]:
    """Make the edits in one memory; score each before the next one."""
    scored = []
    with bench.agent() as agent:
        for edit in progress(edits, "editing: immediate"):
            before = _ask(agent, edit.unrelated).text
            scored.append(_score(partial(_ask, agent), edit, before, _tell(agent, edit)))
    return [Step(f"immediate, T = {len(edits)}", tuple(scored), "immediate: without the authors' filter by the gold answer")]


def alone(edits: Sequence[Edit], bench: Bench) -> list[Step]:
    """Make each edit in a memory of its own."""
    scored = []
    for edit in progress(edits[:ALONE], "editing: alone"):
        with bench.agent() as agent:
            before = _ask(agent, edit.unrelated).text
            scored.append(_score(partial(_ask, agent), edit, before, _tell(agent, edit)))
    return [Step("T = 1", tuple(scored), f"T = 1: {len(scored)} edits, each in a memory of its own")]


Told = Callable[[str], Sequence[str]]  # what stands in the prompt before a question


def untold(edits: Sequence[Edit], model: LanguageModel) -> tuple[Told, str]:
    """Nothing is told."""
    return lambda question: (), ""


def latest(edits: Sequence[Edit], model: LanguageModel) -> tuple[Told, str]:
    """The latest edits, as many as fit."""
    texts = [edit.text for edit in edits]
    fit = 1
    while fit < len(texts) and len(_prompt(model, texts[-fit - 1 :])) > len(_prompt(model, texts[-fit:])):
        fit += 1
    return lambda question: texts[-fit:], f"in the prompt: the latest {fit} of {len(texts)} edits"


def nearest(edits: Sequence[Edit], model: LanguageModel) -> tuple[Told, str]:
    """The edits that are nearest to the question."""
    embedder = MiniLM()
    vectors = embedder.embed([edit.text for edit in edits])

    def told(question: str) -> list[str]:
        order = (vectors @ embedder.embed([question])[0]).argsort()
        return [edits[i].text for i in order[-NEAREST:]]

    return told, f"RAG: the nearest {NEAREST} edits"


def prompted(
    way: str, choose: Callable[[Sequence[Edit], LanguageModel], tuple[Told, str]], edits: Sequence[Edit], bench: Bench
) -> list[Step]:
    """The same model without a memory: what it is told stands before the question."""
    made: list[Step] = []
    with bench.agent() as agent:
        model = agent.model
        say = cache(partial(_say, model))  # whose reply to the same texts is the same
        before = [say((edit.unrelated,)) for edit in progress(edits, f"editing: {way}")]
        for step in steps(len(edits)):
            told, note = choose(edits[:step], model)
            now = zip(edits[:step], before, strict=False)
            made.append(Step(f"T = {step}, {way}", tuple(_score(partial(_answer, say, told), *each) for each in now), note))
    return made


def _answer(say: Callable[[tuple[str, ...]], str], told: Told, question: str) -> Reply:
    return Reply(say((*told(question), question)))


def _prompt(model: LanguageModel, texts: Sequence[str]) -> list[int]:
    return model.prompt([(SPEAKER, text) for text in texts])


def _say(model: LanguageModel, texts: Sequence[str]) -> str:
    """What the model says to these texts, which cannot be looked up anywhere."""
    return model.draft(DraftRequest(tuple(_prompt(model, texts)), texts[-1], thread="editing")).text


WAYS: dict[str, Callable[[Sequence[Edit], Bench], list[Step]]] = {  # what takes longest comes first
    "memory": in_memory,
    "immediate": at_once,
    "RAG": partial(prompted, "RAG", nearest),
    "in the prompt": partial(prompted, "in the prompt", latest),
    "no memory": partial(prompted, "no memory", untold),
    "alone": alone,
}


def tell_and_score(part: tuple[str, Sequence[Edit]], bench: Bench) -> list[Step]:
    """Go one of the ways with these edits."""
    way, edits = part
    return WAYS[way](edits, bench)


# ---- scoring


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


def _score(ask: Callable[[str], Reply], edit: Edit, before: str, written: bool = False) -> Scored:
    direct, rephrased = ask(edit.question), ask(edit.rephrased)
    kept = normalise(ask(edit.unrelated).text) == normalise(before)
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


def _row(step: Step, seed: int) -> Row:
    scored = step.scored
    named = {name: [s.exact[name] for s in scored] for name in ("reliability", "generalisation", "locality")}
    named |= {f"{name} (contained)": [s.contained[name] for s in scored] for name in ("reliability", "generalisation")}
    if step.label.startswith("immediate"):  # their script looks at nothing else
        named = {name: right for name, right in named.items() if name.endswith("(contained)") or name == "locality"}
    names = [str(i) for i in range(len(scored))]
    return Row(step.label, {name: score([share_counts(r, 1) for r in right], names=names, seed=seed) for name, right in named.items()})


def _case(number: int, edit: Edit, came: dict[str, Scored]) -> CaseResult:
    scored = came["memory"]
    failures = (f"{edit.question!r}: {scored.stage}; wanted {edit.answer!r}, got {scored.reply!r}",) if scored.stage else ()
    others = {way: each.reply for way, each in came.items() if way != "memory"}
    details: dict[str, Any] = {"question": edit.question, "answer": edit.answer, **asdict(scored), "other replies": others}
    return CaseResult(str(number), scored.stage or "reliable", details, failures)


def _stages(scored: Sequence[Scored]) -> str:
    numbers = {name: sum(s.stage == name for s in scored) for name in ("not written", "not found", "not used")}
    return f"of {len(scored)} edits, after the last: " + ", ".join(f"{number} {name}" for name, number in numbers.items())
