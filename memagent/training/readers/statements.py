"""What a reader yields: a sentence with the triples it states, and nothing about ids, masks or tokens.

`Report` counts what a reader could not use, by reason ("unmapped: P931", "name not in the text: author"); a reader
that is given one fills it, and nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memagent.errors import InvalidInput
from memagent.triples import Triple

Report = Counter[str]
MAX_CONTEXT = 3  # sentences before a focus sentence


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence (`focus`), the text before it in the same passage (`context`) and what the sentence states.

    The triples stand in order of appearance: by the place in the focus where the later of the two names is said.
    `partial`: the sentence may state more than is listed; `covered` names the relations of which nothing is missing
    all the same. A statement without triples that is not partial states nothing. `elsewhere`: pairs of names in the focus between
    which another sentence states something; whether this one does, nobody has said.
    """

    context: str
    focus: str
    triples: tuple[Triple, ...]
    source: str
    partial: bool = False
    covered: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty focus, and a name that is not in the text."""
        if not self.focus.strip():
            raise InvalidInput(f"{self.source}: a statement needs a focus sentence")
        for triple in self.triples:
            for name in (triple.subject, triple.object):
                if name not in self.focus and name not in self.context:
                    raise InvalidInput(f"{self.source}: {name!r} is neither in {self.focus!r} nor before it")

    def before(self) -> list[str]:
        """The last sentences of the context."""
        return re.split(r"(?<=[.!?]) (?=[A-Z])", self.context)[-MAX_CONTEXT:] if self.context else []


@dataclass(frozen=True, slots=True)
class Fact:
    """A subject, a relation of ours and its objects, without a sentence."""

    subject: str
    relation: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskedRelation:
    """A question and the relation it asks for; `inverse`: the object is known and the subject asked for."""

    question: str
    relation: str
    inverse: bool


def stated(context: str, focus: str, triples: Iterable[Triple], source: str, *, report: Report) -> Statement:
    """A full statement of the triples in order of appearance, without repeats and without triples of one name only."""
    kept: dict[Triple, None] = {}
    for triple in triples:
        if triple.subject == triple.object:
            report["one name on both sides"] += 1
        else:
            kept[triple] = None
    return Statement(context, focus, tuple(sorted(kept, key=lambda triple: appearance(focus, triple))), source)


def partial(statement: Statement, covered: Iterable[str] = ()) -> Statement:
    """The same statement, marked as not telling all."""
    return replace(statement, partial=True, covered=tuple(sorted(set(covered))))


def appearance(focus: str, triple: Triple) -> tuple[int, int]:
    """Where the triple is complete in the focus, and where its earlier name stands (-1: in the context)."""
    first, last = sorted((focus.find(triple.subject), focus.find(triple.object)))
    return last, first
