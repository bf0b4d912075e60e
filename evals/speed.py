"""What reading costs: text with read calls against plain generation of the same tokens, and how long people wait.

Text of `TOKENS` tokens is generated through the model's seam (no graph around it): a prompt with a question, the read call, what the
memory answers, and the model's words up to the next question, with 1, 2 or 4 calls in all. Then the same network is given the same
tokens, one by one and with its cache, as in plain generation. Both are repeated in turn, so that what else the machine does hits
both. `plain share` is the share of the plain tokens per second that is left with calls; `a read adds` is the rest, for one call.

Through an agent, as in the chat: seconds from a question to the first sign (the call), the first words and the end of the reply, and
to have a sentence remembered; beside them, from a prompt to the first token of plain generation. Medians over `SENTENCES` and their
questions, with the interval of the median. `peak memory` is the most that the process has had, other suites of the same run included.
"""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from evals.bench import Bench, Talker, progress
from evals.case import CaseResult, DataFile, MissingData, Outcome, Row, Score
from evals.scoring import interval, median
from memagent import Agent, Memory, Triple
from memagent.agent.events import Finished, MemoryAsked, TextAdded
from memagent.agent.reader import answer, scope
from memagent.model.seam import DraftRequest
from memagent.triples import SPEAKER

TOKENS = 256
CALLS = (1, 2, 4)
ROUNDS = 5
WITH_CALLS, PLAIN, FIRST = ("with calls", "read"), ("plain", "read"), ("first token", "read")  # caches: nothing is reused among them
SENTENCES = {  # with the question for each, and the triple where it is put into the memory
    "Ansel Brook was born in Tarnholm.": ("Where was Ansel Brook born?", Triple("Ansel Brook", "place of birth", "Tarnholm")),
    "Vesper Lane is the author of Quiet Tides.": ("Who wrote Quiet Tides?", Triple("Quiet Tides", "author", "Vesper Lane")),
    "The capital of Norrowa is Eskel.": ("What is the capital of Norrowa?", Triple("Norrowa", "capital", "Eskel")),
    "Imra Solt works for Quayle Optics.": ("Who does Imra Solt work for?", Triple("Imra Solt", "employer", "Quayle Optics")),
    "Jory Pell lives in Wenlock.": ("Where does Jory Pell live?", Triple("Jory Pell", "residence", "Wenlock")),
    "Mira Oake is married to Tobin Oake.": ("Who is Mira Oake married to?", Triple("Mira Oake", "spouse", "Tobin Oake")),
}


@runtime_checkable
class Stepwise(Protocol):
    """A model of this machine, which can be fed token by token."""

    def feed(self, ids: list[int], key: tuple[str, str]) -> tuple[object, Any]:
        """Whatever it keeps, and the log-probabilities of what follows `ids`, with a cache of its own for each key."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The suite."""

    name: str = "speed"
    needs: tuple[DataFile, ...] = ()

    def run(self, bench: Bench) -> Outcome:
        """Measure in turn; nothing else should run meanwhile."""
        rounds = bench.limit or ROUNDS
        with bench.agent() as talker:
            agent, model = _local(talker)
            waits = dict(_waits(agent, rounds))
            agent.memory.add(triple for _, triple in SENTENCES.values())
            made = [_text(agent.memory, model, calls) for _ in progress(range(rounds), self.name) for calls in CALLS]
        rows = [_row(calls, [text for text in made if text.calls == calls], bench.seed) for calls in CALLS]
        rows += [Row(name, {"seconds": median(seconds, seed=bench.seed)}) for name, seconds in waits.items()]
        peak = peak_mb()
        rows.append(Row("peak memory", {"MB": Score(peak, peak, peak, 1, "")}))
        cases = [CaseResult(f"{i}", "text", asdict(text)) for i, text in enumerate(made)]
        cases += [CaseResult(name, "wait", {"seconds": [round(each, 4) for each in seconds]}) for name, seconds in waits.items()]
        machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}; compare shares, not seconds"
        return Outcome(rows, cases, (f"{rounds} rounds, in turn", machine))


@dataclass(frozen=True, slots=True)
class Timed:
    """One text: how many tokens and calls, and how many seconds it took with the calls and plainly."""

    tokens: int
    calls: int
    seconds: float
    plain_seconds: float


def _local(talker: Talker) -> tuple[Agent, Any]:
    """The agent, and its model.

    Raises:
        MissingData: the model is somewhere else, or none.
    """
    if isinstance(talker, Agent) and isinstance(talker.model, Stepwise):
        return talker, talker.model
    raise MissingData("needs a model on this machine, which can be fed token by token")


# ---- text with calls


def _text(memory: Memory, model: Any, calls: int) -> Timed:
    """One text with so many calls, then the same plainly."""
    questions = [question for question, _ in SENTENCES.values()][:calls]
    prompts = [model.prompt([(SPEAKER, question)]) for question in questions]
    started = time.perf_counter()
    parts = [_with_call(memory, model, *each, TOKENS // calls) for each in zip(prompts, questions, strict=True)]
    between = time.perf_counter()
    for prompt, ids in zip(prompts, parts, strict=True):
        for i in range(len(ids)):
            _next(model, [*prompt, *ids[:i]], PLAIN)
    return Timed(sum(map(len, parts)), calls, round(between - started, 4), round(time.perf_counter() - between, 4))


def _with_call(memory: Memory, model: Any, prompt: Sequence[int], question: str, length: int) -> list[int]:
    """The tokens after a prompt: a read call with its answers, then words, `length` in all.

    Raises:
        MissingData: the model asks nothing.
    """
    now = scope(memory, [question], [SPEAKER])
    draft = model.draft(DraftRequest(tuple(prompt), question, now.askable, now.entities, thread=WITH_CALLS[0]))
    if draft.call is None:
        raise MissingData(f"needs a model that asks its memory; this one answers {question!r} with {draft.text!r}")
    ids = [*draft.ids, *model.answered([match.answer for match in answer(memory, draft.call)])]
    while len(ids) < length:
        ids.append(_next(model, [*prompt, *ids], WITH_CALLS))
    return ids


def _next(model: Any, ids: list[int], key: tuple[str, str]) -> int:
    """The likeliest token after `ids`."""
    return int(model.feed(ids, key)[1].argmax())


def _row(calls: int, texts: Sequence[Timed], seed: int) -> Row:
    table = np.array([[text.plain_seconds, text.seconds, text.tokens, text.calls] for text in texts])
    share = interval(table, lambda sums: sums[..., 0] / sums[..., 1], len(texts), seed=seed)
    adds = interval(table, lambda sums: (sums[..., 1] - sums[..., 0]) / sums[..., 3], len(texts), unit="", seed=seed)
    rate = interval(table, lambda sums: sums[..., 2] / sums[..., 1], len(texts), unit="", seed=seed)
    plain = interval(table, lambda sums: sums[..., 2] / sums[..., 0], len(texts), unit="", seed=seed)
    scores = {"plain share": share, "tokens/s": rate, "plain tokens/s": plain, "a read adds, s": adds}
    return Row(f"{TOKENS} tokens, {calls} {'call' if calls == 1 else 'calls'}", scores)


# ---- waiting


def _waits(agent: Agent, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds of what a person waits for; the first sentence and question warm up and are not counted."""
    sentences, questions = list(SENTENCES), [question for question, _ in SENTENCES.values()]
    agent.remember(sentences[0])
    agent.ask(questions[0])
    yield "remember a sentence", [_timed(agent, sentence) for sentence in sentences * rounds]
    replies = [list(_reply(agent, question, f"speed {i}")) for i, question in enumerate(questions * rounds)]
    yield "answer: first sign", [seconds[0] for seconds in replies]
    yield "answer: first words", [seconds[-2] for seconds in replies]
    yield "answer: all of it", [seconds[-1] for seconds in replies]
    yield "plain: first token", [_first_token(agent.model, question) for question in questions * rounds]


def _timed(agent: Agent, sentence: str) -> float:
    started = time.perf_counter()
    agent.remember(sentence)
    return time.perf_counter() - started


def _reply(agent: Agent, question: str, thread: str) -> Iterator[float]:
    """Seconds to each sign that a person sees: a call, words, the end; the message is searched for statements first, as in the chat."""
    started = time.perf_counter()
    for event in agent.stream(question, thread=thread):
        if isinstance(event, MemoryAsked | TextAdded | Finished):
            yield time.perf_counter() - started


def _first_token(model: Any, question: str) -> float:
    started = time.perf_counter()
    _next(model, model.prompt([(SPEAKER, question)]), FIRST)
    return time.perf_counter() - started


def peak_mb() -> float:
    """The most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
