"""Triples and matches as a chat model reads them (one line each) and as programs do (plain JSON, fit for a checkpoint).

A name is somebody's text: on its way to a chat model it is put on one line, without control characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from memagent.errors import MemagentError
from memagent.triples import Match, Provenance, Triple

Document = dict[str, Any]  # what json.dumps takes

DASH = " – "


def one_line(text: str) -> str:
    """The text with single spaces, without control and direction characters."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in ("Cc", "Cf"))


def triple_line(triple: Triple) -> str:
    """`Marie Curie – employer – Sorbonne (1906–1934)`."""
    line = DASH.join((triple.subject, triple.relation, triple.object))
    if triple.valid_from or triple.valid_to:
        line += f" ({triple.valid_from or ''}–{triple.valid_to or ''})"
    return one_line(line)


def match_line(match: Match) -> str:
    """The triple, and for a composed one what it follows from."""
    if not match.derivation:
        return triple_line(match.triple)
    return f"{triple_line(match.triple)}, because {'; '.join(map(triple_line, match.derivation))}"


def error_line(error: MemagentError) -> str:
    """What went wrong and what to do, on one line."""
    return one_line(f"{error} ({error.hint})" if error.hint else str(error))


def triple_document(triple: Triple) -> Document:
    """A triple with its times and its newest source."""
    return {
        "subject": triple.subject,
        "relation": triple.relation,
        "object": triple.object,
        "confidence": triple.confidence,
        "valid_from": triple.valid_from,
        "valid_to": triple.valid_to,
        "source": _source(triple.provenance),
    }


def match_document(match: Match) -> Document:
    """The same with the answer, its score, and what it follows from."""
    chain = [triple_document(step) for step in match.derivation]
    return {
        **triple_document(match.triple),
        "answer": match.answer,
        "score": match.score,
        "derivation": chain,
        "source": _source(match.provenance),
    }


def _source(provenance: Sequence[Provenance]) -> Document:
    newest = provenance[-1] if provenance else Provenance("")
    time = newest.time.isoformat() if newest.time else None
    return {
        "name": newest.source,
        "passage": newest.passage,
        "start": newest.start,
        "end": newest.end,
        "speaker": newest.speaker,
        "time": time,
    }
