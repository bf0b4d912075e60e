"""Talk: what people say to an assistant that is no lasting fact, and what they say about themselves.

Schema-Guided Dialogue gives the first (requests, choices, confirmations; a sentence about the speaker's life or
habits is left out and counted), the personas of the persona conversations the second, as raw sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from memagent.training.corpus import field, read_csv, task_dialogues
from memagent.training.readers.spelling import sentences
from memagent.training.readers.statements import Report, Statement

_LASTING = re.compile(
    r"\b(?:my (?!(?:reservation|booking|ticket|tickets|request|choice|requirements|needs|behalf|search|budget|criteria|questions?|queries"
    r"|preferences?|query)\b)\w+|i(?: a|')m (?:an?|from|allergic|vegan|vegetarian|moving|married)\b|i (?:usually|always|never|often|live"
    r"|lived|work|own|hate|prefer|love|enjoy|dislike|was born|grew up|moved)\b|i like\b|i have (?:an?|two|three|some|family|kids|to)\b"
    r"|we (?:live|own|moved)\b|favou?rite|birthday|anniversary|wife|husband|girlfriend|boyfriend|mother|father|mom|dad|son|daughter"
    r"|friends?|family|doctor|dentist|meeting|appointment|trip|travel|vacation|flying|visit)",
    re.IGNORECASE,
)


def read_task_talk(data: Path, report: Report) -> Iterator[Statement]:
    """Each distinct sentence of a user's turn, after those before it in the turn; it states nothing."""
    seen: set[str] = set()
    for turns in task_dialogues(data):
        for speaker, text in turns:
            turn = " ".join(text.split())
            for start, end in sentences(turn) if speaker == "user" else ():
                focus = turn[start:end]
                if focus.casefold() in seen:
                    continue
                seen.add(focus.casefold())
                if _LASTING.search(focus):
                    report["may state a lasting fact"] += 1
                else:
                    yield Statement(turn[:start].rstrip(), focus, (), "sgd")


def read_personas(data: Path) -> Iterator[str]:
    """Each distinct sentence in which somebody says who they are."""
    seen: dict[str, None] = {}
    for path in sorted((data / "synthetic_persona_chat").glob("*.csv*")):
        for number, record in read_csv(path):
            for column in ("user 1 personas", "user 2 personas"):
                text = field(record, column, path, number)
                seen.update(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    yield from seen
