"""The values that everything else passes around: frozen, without ids, never illegal.

Identity (row ids) belongs to the store; a name here is the text as a person would write it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime

from memagent.errors import InvalidInput

MAX_NAME = 1000  # characters; longer names are a mistake of the caller, not a name
SPEAKER = "user"  # the entity that stands for the person who talks, unless the caller names another
NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # a NUL or an unpaired surrogate: no database and no file takes them


def check_name(name: str, what: str) -> str:
    """Return `name` stripped of outer white space.

    Raises:
        InvalidInput: it is empty, longer than `MAX_NAME`, or holds a NUL or an unpaired surrogate.
    """
    if not isinstance(name, str):
        raise InvalidInput(f"{what} must be text, not {type(name).__name__}")
    stripped = name.strip()
    if not stripped:
        raise InvalidInput(f"{what} is empty", hint="give a name")
    if len(stripped) > MAX_NAME:
        raise InvalidInput(f"{what} has {len(stripped)} characters, at most {MAX_NAME} are allowed")
    if NO_TEXT.search(stripped):
        raise InvalidInput(f"{what} holds characters that are not text", hint="is this a binary file?")
    return stripped


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a triple comes from: `passage[start:end]` is the sentence (or mention) that states it.

    `start` and `end` are character offsets into `passage`; `source` names a file, a conversation or "api".
    """

    source: str
    passage: str = ""
    start: int = 0
    end: int = 0
    speaker: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Triple:
    """subject – relation – object. Two triples are equal when their three names are.

    `valid_from` and `valid_to` (ISO dates or free text such as "2014", "May 2020") say when it holds in the world.
    """

    subject: str
    relation: str
    object: str
    confidence: float = field(default=1.0, compare=False)
    valid_from: str | None = field(default=None, compare=False)
    valid_to: str | None = field(default=None, compare=False)
    provenance: tuple[Provenance, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for what in ("subject", "relation", "object"):
            object.__setattr__(self, what, check_name(getattr(self, what), what))
        if not 0.0 <= self.confidence <= 1.0:
            raise InvalidInput(f"confidence must lie between 0 and 1, not {self.confidence}")

    def with_provenance(self, *provenance: Provenance) -> Triple:
        """The same triple with these sources."""
        return replace(self, provenance=provenance)


@dataclass(frozen=True, slots=True)
class Query:
    """A triple with exactly one side unknown (None): `Query("Anna", "residence", None)`."""

    subject: str | None
    relation: str
    object: str | None

    def __post_init__(self) -> None:
        if (self.subject is None) == (self.object is None):
            raise InvalidInput("a query has exactly one unknown side: its subject or its object")
        for what in ("subject", "relation", "object"):
            value = getattr(self, what)
            if value is not None:
                object.__setattr__(self, what, check_name(value, what))

    @property
    def known(self) -> str:
        """The name that is given."""
        return self.subject if self.subject is not None else self.object or ""


@dataclass(frozen=True, slots=True)
class Match:
    """A stored (or composed) triple that fits a query.

    `score` is 1.0 for exact names and the mean cosine similarity otherwise; `derivation` is the chain of stored
    triples from which a composed one follows (empty for a stored one); `answer` is the side that was asked for.
    """

    triple: Triple
    score: float
    answer: str
    derivation: tuple[Triple, ...] = ()

    @property
    def provenance(self) -> tuple[Provenance, ...]:
        """The sources of the triple, or of its derivation."""
        if self.triple.provenance or not self.derivation:
            return self.triple.provenance
        return tuple(p for step in self.derivation for p in step.provenance)
