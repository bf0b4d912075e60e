"""Rows of triples as values: which of them hold at a moment, under their canonical names, with their provenance.

The statements are plain SQL that both dialects take; they are the hot path, and each is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from memagent.errors import InvalidInput
from memagent.memory.database import chunks, fetch
from memagent.memory.moments import after_moment, first_moment, key_of, micros, now
from memagent.memory.values import AsOf
from memagent.triples import Provenance, Triple


class Row(NamedTuple):
    """A version of a triple with its canonical names and the numbers of its entities."""

    id: int
    subject: str
    relation: str
    object: str
    confidence: float
    valid_from: str | None
    valid_to: str | None
    subject_entity: int
    object_entity: int

    @property
    def meaning(self) -> tuple[int, str, int]:
        """What two rows of the same triple share."""
        return self.subject_entity, self.relation, self.object_entity


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a reader stands in both times: a stretch `first`..`after` of valid time; `recorded` None is now."""

    first: str
    after: str
    recorded: int | None = None

    @property
    def values(self) -> dict[str, object]:
        """The parameters of `CURRENT` and `RECORDED`."""
        given: dict[str, object] = {"first": self.first, "after": self.after}
        return given if self.recorded is None else given | {"recorded": self.recorded}


def moment(as_of: AsOf | None) -> Moment:
    """The moment that `as_of` means; None is now.

    Raises:
        InvalidInput: `valid` is no date.
    """
    recorded = None if as_of is None or as_of.recorded is None else micros(as_of.recorded)
    if as_of is None or as_of.valid is None:
        point = now() if recorded is None else recorded
        return Moment(key_of(point), key_of(point + 1), recorded)
    first, after = first_moment(as_of.valid), after_moment(as_of.valid)
    if first is None or after is None:
        raise InvalidInput(f"{as_of.valid!r} is not a date", hint='write "2014", "May 2020" or "2020-05-01"')
    return Moment(first, after, recorded)


def at(valid: str | None = None, recorded: datetime | None = None) -> AsOf:
    """`AsOf`, checked."""
    found = AsOf(valid, recorded)
    moment(found)
    return found


# One subquery a side: with an OR over both, the whole table would be read.
OF_ENTITY = """t.id IN (
    SELECT x.id FROM name n JOIN triple x ON x.subject = n.id WHERE n.entity = :entity
    UNION SELECT x.id FROM name n JOIN triple x ON x.object = n.id WHERE n.entity = :entity)"""
_HOLDS = "(t.from_key IS NULL OR t.from_key < :after) AND (t.to_key IS NULL OR t.to_key > :first)"
CURRENT = f"t.retracted_at IS NULL AND {_HOLDS}"
RECORDED = f"t.recorded_at <= :recorded AND (t.retracted_at IS NULL OR t.retracted_at > :recorded) AND {_HOLDS}"

_SELECT = """
SELECT t.id, cs.text, r.name, co.text, t.confidence, t.valid_from, t.valid_to, cs.id, co.id
FROM triple t
JOIN name s ON s.id = t.subject JOIN name cs ON cs.id = s.entity
JOIN name o ON o.id = t.object JOIN name co ON co.id = o.entity
JOIN relation r ON r.id = t.relation
WHERE """


def select_rows(
    connection: Connection, where: str, moment: Moment | None, /, *, tail: str = " ORDER BY t.id DESC", **values: object
) -> list[Row]:
    """The rows that fit, newest first; those that hold at `moment`, or every version if it is None."""
    if moment is None:
        return [Row(*row) for row in fetch(connection, _SELECT + where + tail, values)]
    holds = CURRENT if moment.recorded is None else RECORDED
    return [Row(*row) for row in fetch(connection, f"{_SELECT}{where} AND {holds}{tail}", {**values, **moment.values})]


_PROVENANCE = """
SELECT p.triple, a.source, a.text, p.start, p.stop, p.speaker, p.time
FROM provenance p JOIN passage a ON a.id = p.passage
WHERE p.triple IN :ids AND p.retracted_by IS NULL ORDER BY p.id"""


def triples_of(connection: Connection, rows: Sequence[Row]) -> list[Triple]:
    """The triples of the rows, in order, rows of the same meaning and dates as one, each with its provenance."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((*row.meaning, row.valid_from, row.valid_to), []).append(row)
    found = provenance_of(connection, (row.id for row in rows))
    triples = []
    for group in groups.values():
        sources = dict.fromkeys(source for row in group for source in found.get(row.id, ()))
        first = group[0]
        triple = Triple(first.subject, first.relation, first.object, max(row.confidence for row in group), first.valid_from, first.valid_to)
        triples.append(replace(triple, provenance=tuple(sources)))
    return triples


def provenance_of(connection: Connection, ids: Iterable[int]) -> dict[int, list[Provenance]]:
    """The provenance of each of these versions."""
    found: dict[int, list[Provenance]] = {}
    for some in chunks(ids):
        for triple, source, passage, start, stop, speaker, time in fetch(connection, _PROVENANCE, {"ids": some}):
            when = None if time is None else datetime.fromisoformat(time)
            found.setdefault(triple, []).append(Provenance(source, passage, start, stop, speaker, when))
    return found
