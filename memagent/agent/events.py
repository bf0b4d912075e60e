"""What happens while an agent works; the UI, the CLI and the plug-in all draw from these."""

from __future__ import annotations

from dataclasses import dataclass

from memagent.calls import ReadCall
from memagent.memory import PassageMatch
from memagent.triples import Match, Triple


@dataclass(frozen=True, slots=True)
class TextAdded:
    """A piece of the model's own text; `unknown`: it says that the memory does not hold what was asked."""

    text: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class TriplesWritten:
    """What the write call of one focus sentence put into the memory; `call` is its text."""

    focus: str
    call: str
    triples: tuple[Triple, ...]


@dataclass(frozen=True, slots=True)
class WriteRejected:
    """A triple that the model proposed and that was not stored, or a sentence that could not be read."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class MemoryAsked:
    """A read call, before its answer."""

    call: ReadCall


@dataclass(frozen=True, slots=True)
class MemoryAnswered:
    """The same call with its answers, and the matches they come from (none: the memory does not know)."""

    call: ReadCall
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The passages nearest to a question that no triple answers; with `passages_stand_in` only."""

    passages: tuple[PassageMatch, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one message; `known` says whether it rests on the memory.

    A message that asks nothing has `known` False and no calls. `awaiting`: write calls that wait for `Agent.approve`; `passages`: what
    stands in where nothing is known.
    """

    text: str
    known: bool = False
    calls: tuple[ReadCall, ...] = ()
    matches: tuple[Match, ...] = ()
    written: tuple[Triple, ...] = ()
    awaiting: tuple[str, ...] = ()
    passages: tuple[PassageMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a turn."""

    reply: Reply


Event = TextAdded | TriplesWritten | WriteRejected | MemoryAsked | MemoryAnswered | PassagesFound | Finished
