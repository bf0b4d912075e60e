"""What the memory gives back: small frozen values, without ids of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from memagent.triples import Provenance, Query, Triple


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a namespace holds now."""

    triples: int = 0
    entities: int = 0
    relations: int = 0
    passages: int = 0


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point in both times: `valid` in the world ("2014", "May 2020"), `recorded` when we believed it; None is now."""

    valid: str | None = None
    recorded: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """`text[start:end]` names the entity `name`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Askable:
    """A question that the memory can answer about an entity: for its objects, or with `inverse` for its subjects."""

    relation: str
    inverse: bool = False

    def query(self, entity: str) -> Query:
        """The question, put about `entity`."""
        return Query(None, self.relation, entity) if self.inverse else Query(entity, self.relation, None)


@dataclass(frozen=True, slots=True)
class PassageMatch:
    """A passage near to a text; `score` is the cosine similarity."""

    text: str
    source: str
    score: float


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the journal: what it made believed and what it ended, as far as these have not been forgotten since.

    `names` are those that a merge, a split or an alias moved. `undone_by` is the number of the change that undid it.
    """

    number: int
    kind: str
    at: datetime
    added: tuple[Triple, ...] = ()
    ended: tuple[Triple, ...] = ()
    names: tuple[str, ...] = ()
    undone_by: int | None = None


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What was erased. `redacted` passages stay for other triples, with the forgotten names blacked out.

    `also_named` are entities and relations that stay and whose own name holds the forgotten one ("Anna's dog"), or who may be meant by it
    ("Anna" by "Anna Lund", written apart). `conversations` are those kept by an agent in which it was said; the agent erases them with it
    when asked to.
    """

    triples: int = 0
    entities: tuple[str, ...] = ()
    passages: int = 0
    redacted: int = 0
    also_named: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What is off, one line each; `pending` names and passages are only waiting for their vectors."""

    counts: Counts
    problems: tuple[str, ...] = ()
    pending: int = 0
    vectors: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is off."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought in."""

    triples: int = 0
    entities: int = 0
    passages: int = 0
    skipped: tuple[str, ...] = field(default=())


NO_PROVENANCE = Provenance("api")
