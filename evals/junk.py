"""What is written from talk that states no lasting fact: triples per 100 turns; less is better, 0 is right.

The turns are what users say to task assistants in the Schema-Guided Dialogue data (test split): requests, questions,
confirmations, thanks. They state wishes of the moment ("Make it for four people."). Turns in which people speak of
themselves for good ("I usually eat vegan", "my birthday") are left out by `LASTING`, so what remains should leave no trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.bench import Bench, Talker
from evals.case import CaseResult, DataFile, Outcome, Row
from evals.scoring import sample, score, share_counts
from memagent import MemagentError, Triple

SGD = DataFile(
    "sgd_dialogues.jsonl",
    "Schema-Guided Dialogue, one dialogue a line (id, split, turns)",
    "https://github.com/google-research-datasets/dstc8-schema-guided-dialogue",
    "CC BY-SA 4.0",
)
LASTING = re.compile(
    r"\b(my|mine|our|favou?rite|birthday|(i|we)('m|'ve|'d| am| have| do)? (usually|always|often|really|also|been|from|"
    r"like|love|hate|prefer|live|lived|work|own|plan|planning|got|know|named|called))\b",
    re.IGNORECASE,
)
KINDS = ("questions", "short turns", "requests", "all turns")
DIALOGUES = 60  # drawn with the seed, unless --limit says another number
SHORT = 5  # words; such turns are mostly thanks and confirmations


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The turns of one user that state nothing lasting."""

    name: str
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Junk:
    """The suite."""

    name: str = "junk"
    needs: tuple[DataFile, ...] = (SGD,)

    def run(self, bench: Bench) -> Outcome:
        """Tell every dialogue's turns to an agent with an empty memory."""
        dialogues = sample(read_dialogues(bench.read_lines(SGD)), bench.limit or DIALOGUES, bench.seed)
        told = bench.each(_tell, dialogues, self.name)
        rows = [_row(kind, told, bench.seed) for kind in KINDS]
        cases = [_case(each) for dialogue in told for each in dialogue]
        return Outcome(rows, cases, (f"{len(dialogues)} dialogues; triples per 100 turns",))


def kind_of(turn: str) -> str:
    """Which row a turn counts in, besides the last."""
    if turn.rstrip().endswith("?"):
        return "questions"
    return "short turns" if len(turn.split()) <= SHORT else "requests"


def read_dialogues(rows: Iterable[dict[str, Any]]) -> list[Dialogue]:
    """The users' turns of the test split that state nothing lasting."""
    tests = (row for row in rows if row["split"] == "test")
    return [Dialogue(row["id"], tuple(text for who, text in row["turns"] if who == "USER" and not LASTING.search(text))) for row in tests]


@dataclass(frozen=True, slots=True)
class Told:
    """A turn and what the agent wrote at it."""

    dialogue: str
    turn: str
    triples: tuple[Triple, ...]


def _tell(dialogue: Dialogue, bench: Bench) -> list[Told]:
    with bench.agent() as agent:
        return [Told(dialogue.name, turn, _remember(agent, turn)) for turn in dialogue.turns]


def _remember(agent: Talker, turn: str) -> tuple[Triple, ...]:
    """A turn that the agent refuses leaves no trace."""
    try:
        return tuple(agent.remember(turn, source="dialogue"))
    except MemagentError:
        return ()


def _row(kind: str, dialogues: Sequence[Sequence[Told]], seed: int) -> Row:
    """A dialogue is one unit of the bootstrap: its turns are about the same thing."""
    kept = [[len(t.triples) for t in told if kind in (kind_of(t.turn), "all turns")] for told in dialogues]
    counts = [share_counts(sum(numbers), len(numbers)) for numbers in kept]
    return Row(kind, {"triples": score(counts, names=[str(i) for i in range(len(counts))], seed=seed)})


def _case(told: Told) -> CaseResult:
    written = [[t.subject, t.relation, t.object] for t in told.triples]
    failures = tuple(f"{told.turn!r}: wrote {' – '.join(triple)}" for triple in written)
    return CaseResult(told.dialogue, kind_of(told.turn), {"turn": told.turn, "written": written}, failures)
