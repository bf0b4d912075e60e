"""An explicit read-write memory for language models.

Importing this package loads neither torch nor chromadb; both come in when a model or a name index is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memagent.calls import ReadCall, WriteCall
from memagent.config import Settings
from memagent.errors import MalformedCall, MemagentError
from memagent.triples import Match, Provenance, Query, Triple

if TYPE_CHECKING:
    from memagent.agent import Agent, Reply
    from memagent.memory import Memory

__all__ = [
    "Agent",
    "MalformedCall",
    "Match",
    "MemagentError",
    "Memory",
    "Provenance",
    "Query",
    "ReadCall",
    "Reply",
    "Settings",
    "Triple",
    "WriteCall",
]

_LATER = {"Agent": "memagent.agent", "Reply": "memagent.agent", "Memory": "memagent.memory"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
