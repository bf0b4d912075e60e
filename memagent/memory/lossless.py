"""JSON Lines that lose nothing: names, passages, changes, every version of every triple, its sources, moved names.

The first line is a header; the others are objects with a `kind`. Names stand for themselves, passages, changes and triples go
by numbers of the file's own. Reading into a memory that holds something already joins the two: known names are linked, and
what is there already (the same version, recorded at the same microsecond) is not doubled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy import Connection, text

from memagent.errors import TransferError
from memagent.memory import journal, linking, relations, tally
from memagent.memory.database import chunks, insert_all, listed
from memagent.memory.space import Space
from memagent.memory.spelling import forms
from memagent.memory.tables import ChangeRow, MoveRow, NameRow, PassageRow, ProvenanceRow, TripleRow
from memagent.memory.values import Imported
from memagent.memory.writing import digest
from memagent.triples import Provenance, check_name

HEADER = {"memagent": 1}


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Name(_Line):
    kind: Literal["name"] = "name"
    text: str
    entity: str


class _Passage(_Line):
    kind: Literal["passage"] = "passage"
    number: int
    source: str
    text: str
    noted_at: int


class _Change(_Line):
    kind: Literal["change"] = "change"
    number: int
    what: str
    at: int
    undone_by: int | None = None
    undoes: int | None = None


class _Triple(_Line):
    kind: Literal["triple"] = "triple"
    number: int
    subject: str
    relation: str
    object: str
    confidence: float = Field(ge=0, le=1)
    valid_from: str | None = None
    valid_to: str | None = None
    from_key: str | None = None
    to_key: str | None = None
    recorded_at: int
    retracted_at: int | None = None
    created_by: int
    retracted_by: int | None = None
    restored_by: int | None = None


class _Source(_Line):
    kind: Literal["source"] = "source"
    triple: int
    passage: int
    start: int
    stop: int
    speaker: str
    time: str | None = None
    created_by: int
    retracted_by: int | None = None


class _Move(_Line):
    kind: Literal["move"] = "move"
    change: int
    name: str
    before: str | None = None
    after: str


_LINE: TypeAdapter[Any] = TypeAdapter(Annotated[_Name | _Passage | _Change | _Triple | _Source | _Move, Field(discriminator="kind")])


def is_header(line: Mapping[str, Any]) -> bool:
    """Whether a file that begins so was written here."""
    return "memagent" in line


@contextmanager
def at_line(path: Path, number: int) -> Iterator[None]:
    """What is wrong within, as a TransferError that names the line."""
    try:
        yield
    except TransferError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TransferError(f"{path}, line {number}: {where}: {first['msg']}") from error
    except KeyError as error:
        raise TransferError(f"{path}, line {number}: {error.args[0]!r} is missing or unknown") from error
    except UnicodeDecodeError as error:
        raise TransferError(f"{path}, line {number}: not UTF-8 text") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise TransferError(f"{path}, line {number}: {error}") from error


# Writing

_QUERIES: dict[type[_Line], str] = {
    _Name: "SELECT n.text, c.text AS entity FROM name n JOIN name c ON c.id = n.entity WHERE n.namespace = :space ORDER BY n.id",
    _Passage: "SELECT id AS number, source, text, noted_at FROM passage WHERE namespace = :space ORDER BY id",
    _Change: """
        SELECT c.number, c.kind AS what, c.at, u.number AS undone_by, o.number AS undoes
        FROM change c LEFT JOIN change u ON u.id = c.undone_by LEFT JOIN change o ON o.id = c.undoes
        WHERE c.namespace = :space ORDER BY c.id""",
    _Triple: """
        SELECT t.id AS number, s.text AS subject, r.name AS relation, o.text AS object,
        t.confidence, t.valid_from, t.valid_to, t.from_key, t.to_key, t.recorded_at, t.retracted_at,
        c.number AS created_by, e.number AS retracted_by, u.number AS restored_by
        FROM triple t JOIN name s ON s.id = t.subject JOIN name o ON o.id = t.object JOIN relation r ON r.id = t.relation
        JOIN change c ON c.id = t.created_by LEFT JOIN change e ON e.id = t.retracted_by LEFT JOIN change u ON u.id = t.restored_by
        WHERE t.namespace = :space ORDER BY t.id""",
    _Source: """
        SELECT p.triple, p.passage, p.start, p.stop, p.speaker, p.time, c.number AS created_by, e.number AS retracted_by
        FROM provenance p JOIN triple t ON t.id = p.triple JOIN change c ON c.id = p.created_by LEFT JOIN change e ON e.id = p.retracted_by
        WHERE t.namespace = :space ORDER BY p.id""",
    _Move: """
        SELECT c.number AS change, n.text AS name, b.text AS before, a.text AS after
        FROM move m JOIN change c ON c.id = m.change JOIN name n ON n.id = m.name
        JOIN name a ON a.id = m.after LEFT JOIN name b ON b.id = m.before
        WHERE c.namespace = :space ORDER BY m.id""",
}  # fmt: skip
_NUMBERED = {"passage", "triple"}  # kinds whose row ids become numbers of the file


def write(space: Space, file: TextIO) -> int:
    """Write the namespace; returns the number of versions of triples."""
    file.write(json.dumps(HEADER) + "\n")
    numbers: dict[str, dict[int, int]] = {kind: {} for kind in _NUMBERED}
    with space.database.read() as connection:
        for kind, query in _QUERIES.items():
            name = kind.model_fields["kind"].default
            for row in connection.execute(text(query), {"space": space.number}).mappings():
                line = {"kind": name, **{field: value for field, value in row.items() if value is not None}}
                if name in _NUMBERED:
                    line["number"] = numbers[name].setdefault(line["number"], len(numbers[name]) + 1)
                for refers in _NUMBERED & line.keys():
                    line[refers] = numbers[refers][line[refers]]
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(numbers["triple"])


# Reading


def read(space: Space, path: Path, lines: Sequence[tuple[int, dict[str, Any]]]) -> Imported:
    """Join what the lines hold into the namespace.

    Raises:
        TransferError: naming the line that cannot be read.
    """
    if lines[0][1] != HEADER:
        raise TransferError(f"{path}, line {lines[0][0]}: a file of another version: {lines[0][1]}", hint="upgrade memagent")
    parsed = []
    for number, line in lines[1:]:
        with at_line(path, number):
            value = _LINE.validate_python(line)
            _check(value)
            parsed.append((number, value))
    with space.database.write() as connection:
        return _Reading(space, connection, path, parsed).run()


def _check(line: _Line) -> None:
    if isinstance(line, _Name):
        check_name(line.text, "name")
    elif isinstance(line, _Triple):
        check_name(line.relation, "relation")


class _Reading:
    """One import: the numbers of the file and the rows they have become."""

    def __init__(self, space: Space, connection: Connection, path: Path, lines: Sequence[tuple[int, Any]]) -> None:
        self.space = space
        self.connection = connection
        self.path = path
        self.lines = lines
        self.at = 0
        self.ids = journal.fresh_ids(connection, len(lines))
        self.names: dict[str, int] = {}
        self.passages: dict[int, int] = {}
        self.changes: dict[int, int] = {}
        self.triples: dict[int, int] = {}

    def run(self) -> Imported:
        """Store everything.

        Raises:
            TransferError: a line refers to something that the file does not have.
        """
        try:
            entities, passages = self._names(), self._passages()
            self._changes()
            triples = self._triples()
            self._sources()
            self._moves()
            tally.recount(self.connection, self.space.number)
        except KeyError:
            with at_line(self.path, self.at):
                raise
        return Imported(triples, entities, passages)

    def _of(self, kind: type[Any]) -> Iterator[Any]:
        """The lines of that kind; `at` is the number of the one at hand."""
        for number, line in self.lines:
            if isinstance(line, kind):
                self.at = number
                yield line

    def _names(self) -> int:
        lines = list(self._of(_Name))
        known = linking.find(self.connection, self.space.number, [line.text for line in lines])
        exact = {name: linked.name for name, linked in known.items() if linked.spelt == name}
        self.names = {line.text: exact.get(line.text) or next(self.ids) for line in lines}
        entities: dict[str, int] = {}
        for line in sorted(lines, key=lambda line: line.text != line.entity):  # the canonical names decide before the others
            if line.text in known:
                entities.setdefault(line.entity, known[line.text].entity)
        fresh = {line.entity for line in lines} - entities.keys()
        rows = []
        for line in self._of(_Name):
            if line.text not in exact:
                entity = entities.get(line.entity) or self.names[line.entity]
                rows.append(
                    {"id": self.names[line.text], "namespace": self.space.number, "entity": entity, **forms(line.text), "indexed": False}
                )
        insert_all(self.connection, NameRow, rows)
        return len(fresh)

    def _passages(self) -> int:
        lines = {digest(Provenance(line.source, line.text)): line for line in self._of(_Passage)}
        query = listed("SELECT digest, id FROM passage WHERE namespace = :space AND digest IN :digests", "digests")
        held = {
            name: number
            for some in chunks(lines)
            for name, number in self.connection.execute(query, {"space": self.space.number, "digests": some})
        }
        rows = []
        for name, line in lines.items():
            self.passages[line.number] = held.get(name) or next(self.ids)
            if name not in held:
                values = {
                    "source": line.source,
                    "text": line.text,
                    "noted_at": line.noted_at,
                    "digest": name,
                    "indexed": not line.text.strip(),
                }
                rows.append({"id": self.passages[line.number], "namespace": self.space.number, **values})
        insert_all(self.connection, PassageRow, rows)
        return len(rows)

    def _changes(self) -> None:
        lines = list(self._of(_Change))
        held = {
            (kind, at): id_
            for kind, at, id_ in self.connection.execute(
                text("SELECT kind, at, id FROM change WHERE namespace = :space"), {"space": self.space.number}
            )
        }
        last = self.connection.execute(text("SELECT changes FROM namespace WHERE id = :space"), {"space": self.space.number}).scalar_one()
        for line in lines:
            self.changes[line.number] = held.get((line.what, line.at)) or next(self.ids)
        rows = []
        for line in self._of(_Change):
            if (line.what, line.at) not in held:
                undone = {"undone_by": self._change(line.undone_by), "undoes": self._change(line.undoes)}
                rows.append(
                    {
                        "id": self.changes[line.number],
                        "namespace": self.space.number,
                        "number": last + line.number,
                        "kind": line.what,
                        "at": line.at,
                        **undone,
                    }
                )
        insert_all(self.connection, ChangeRow, rows)
        if rows:
            highest = max(int(str(row["number"])) for row in rows)
            self.connection.execute(
                text("UPDATE namespace SET changes = :last WHERE id = :space"), {"last": highest, "space": self.space.number}
            )

    def _change(self, number: int | None) -> int | None:
        return None if number is None else self.changes[number]

    def _triples(self) -> int:
        lines = list(self._of(_Triple))
        numbers = relations.numbers(self.space, self.connection, {line.relation for line in lines}, self.ids)
        query = listed(
            "SELECT id, subject, relation, object, recorded_at FROM triple WHERE namespace = :space AND subject IN :names", "names"
        )
        held = {
            tuple(rest): id_
            for some in chunks({self.names[line.subject] for line in self._of(_Triple)})
            for id_, *rest in self.connection.execute(query, {"space": self.space.number, "names": some})
        }
        rows = []
        for line in self._of(_Triple):
            ends = {
                "subject": self.names[line.subject],
                "relation": numbers[line.relation],
                "object": self.names[line.object],
                "recorded_at": line.recorded_at,
            }
            known = held.get(tuple(ends.values()))
            self.triples[line.number] = known or next(self.ids)
            if known is None:
                by = {field: self._change(getattr(line, field)) for field in ("created_by", "retracted_by", "restored_by")}
                plain = line.model_dump(include={"confidence", "valid_from", "valid_to", "from_key", "to_key", "retracted_at"})
                rows.append({"id": self.triples[line.number], "namespace": self.space.number, **plain, **ends, **by})
        insert_all(self.connection, TripleRow, rows)
        return len(rows)

    def _sources(self) -> None:
        query = listed("SELECT triple, passage, start, stop, speaker FROM provenance WHERE triple IN :ids", "ids")
        held = {tuple(row) for some in chunks(self.triples.values()) for row in self.connection.execute(query, {"ids": some})}
        rows = []
        for line in self._of(_Source):
            place = (self.triples[line.triple], self.passages[line.passage], line.start, line.stop, line.speaker)
            if place not in held:
                by = {"created_by": self._change(line.created_by), "retracted_by": self._change(line.retracted_by), "time": line.time}
                rows.append(
                    {"id": next(self.ids), **dict(zip(("triple", "passage", "start", "stop", "speaker"), place, strict=True)), **by}
                )
        insert_all(self.connection, ProvenanceRow, rows)

    def _moves(self) -> None:
        query = text("SELECT m.change, m.name FROM move m JOIN change c ON c.id = m.change WHERE c.namespace = :space")
        held = {tuple(row) for row in self.connection.execute(query, {"space": self.space.number})}
        rows = []
        for line in self._of(_Move):
            change, name = self.changes[line.change], self.names[line.name]
            if (change, name) not in held:
                before = None if line.before is None else self.names[line.before]
                rows.append({"id": next(self.ids), "change": change, "name": name, "before": before, "after": self.names[line.after]})
        insert_all(self.connection, MoveRow, rows)
