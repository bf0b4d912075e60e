"""The values as the command line shows them: as JSON documents, and as lines for people.

The shapes of `remember` and `ask` are fixed (other people's scripts read them). Text for people is made visible first: a
name may hold escape sequences, and a terminal would obey them.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from memagent.calls import NEXT, ReadCall, render_query
from memagent.errors import MemagentError
from memagent.triples import Match, Provenance, Triple

Document = dict[str, Any]  # what json.dumps takes

DASH = " – "
JOINERS = "\u200c\u200d"  # of Persian and Indian names, of emoji: they belong to the letters


def visible(text: str) -> str:
    """`text` on one line, with control and direction characters written out as escapes."""
    return "".join(_escape(c) if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in JOINERS else c for c in text)


def _escape(character: str) -> str:
    return " " if character in "\n\r\t" else character.encode("unicode_escape").decode("ascii")


def counted(number: int, one: str, many: str = "") -> str:
    """1 triple, 2 triples, 1,200 entities."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def source_document(provenance: Sequence[Provenance]) -> Document:
    """The newest source of a triple; empty for one that came without."""
    newest = provenance[-1] if provenance else Provenance("")
    return {"passage": newest.passage, "start": newest.start, "end": newest.end, "speaker": newest.speaker}


def triple_document(triple: Triple) -> Document:
    """A triple of `remember`, `add` and `history`."""
    names = {"subject": triple.subject, "relation": triple.relation, "object": triple.object}
    return {**names, "confidence": round(triple.confidence, 4), "source": source_document(triple.provenance)}


def match_document(match: Match) -> Document:
    """A match of `ask`."""
    triple = match.triple
    names = {"subject": triple.subject, "relation": triple.relation, "object": triple.object}
    return {**names, "score": round(match.score, 4), "passage": source_document(match.provenance)["passage"]}


def call_document(call: ReadCall) -> Document:
    """A read call of `ask`; several queries of one call stand together, as in the call."""
    return {"query": NEXT.join(map(render_query, call.queries)), "answers": list(call.answers or ())}


def triple_line(triple: Triple) -> str:
    """The three names, with its valid time and its confidence where there is doubt."""
    line = DASH.join((triple.subject, triple.relation, triple.object))
    if triple.valid_from or triple.valid_to:
        line += f" ({triple.valid_from or ''}–{triple.valid_to or ''})"
    if triple.confidence < 1.0:
        line += f"  [{triple.confidence:.2f}]"
    return visible(line)


def match_line(match: Match) -> str:
    """The answer, and why."""
    line = f"{match.answer}    {DASH.join((match.triple.subject, match.triple.relation, match.triple.object))}"
    if match.score < 1.0:
        line += f"  [{match.score:.2f}]"
    if match.derivation:
        line += "  because " + ", ".join(map(triple_line, match.derivation))
    return visible(line)


def source_line(provenance: Sequence[Provenance]) -> str:
    """The sentence that a triple comes from, or nothing."""
    if not provenance or not provenance[-1].passage:
        return ""
    newest = provenance[-1]
    stated = newest.passage[newest.start : newest.end] or newest.passage
    return visible(f"“{stated.strip()}”")


def complain(error: MemagentError) -> None:
    """Say on standard error what went wrong, in one line, and below it what to do."""
    print(f"error: {visible(str(error))}", file=sys.stderr)
    if error.hint:
        print(f"hint: {visible(error.hint)}", file=sys.stderr)
