"""What may be asked, and what the memory answers. Knows nothing about tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memagent.calls import MAX_ANSWERS, ReadCall
from memagent.memory import Memory
from memagent.triples import Match, Query

MAX_ENTITIES = 8  # about which a question may be; the latest mentioned win


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a text mentions and the memory knows, and the queries about them that it could answer."""

    entities: tuple[str, ...]
    askable: tuple[Query, ...]


def scope(memory: Memory, said: Sequence[str], also: Sequence[str], asked: Iterable[Query] = (), topics: Sequence[str] = ()) -> Scope:
    """The scope of a turn: the names in `also`, those that somebody `said` (spelt as last there), then `topics`; without what was asked.

    Of what was said, oldest first, count the last text and the one before it that names anybody known: of others it does not go on.
    """
    *earlier, last = said
    before = next(filter(None, (_mentioned(memory, text) for text in reversed(earlier))), [])
    mentioned = [*before, *_mentioned(memory, last)]
    latest = dict(mentioned)  # one spelling each: "Anna" if the question has that, "Anna Lund" if that
    named = [latest[name] for name, _ in mentioned if name not in also]  # who was found is not asked about by another name again
    entities = tuple(dict.fromkeys([*also, *reversed(named), *topics]))[:MAX_ENTITIES]
    done = set(asked)
    queries = [q for name in entities for a in memory.askable(name) if (q := a.query(name)) not in done]
    return Scope(entities, tuple(dict.fromkeys(queries)))


def _mentioned(memory: Memory, text: str) -> list[tuple[str, str]]:
    """The names of known entities in a text, and how they are spelt there."""
    return [(mention.name, text[mention.start : mention.end]) for mention in memory.mentions(text)]


def answer(memory: Memory, call: ReadCall) -> list[Match]:
    """The matches of a call's queries, best first, one for each answer."""
    best: dict[str, Match] = {}
    for query in call.queries:
        for match in memory.match(query, limit=MAX_ANSWERS):
            best.setdefault(match.answer, match)
    return sorted(best.values(), key=lambda m: -m.score)[:MAX_ANSWERS]
