"""Entities and their names: aliases, merging, splitting. All of it moves names; no triple is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, text

from memagent.errors import InvalidInput
from memagent.memory import journal, linking
from memagent.memory.database import listed
from memagent.memory.space import Space
from memagent.memory.spelling import forms
from memagent.memory.tables import NameRow
from memagent.triples import check_name

_NAMES = text("SELECT id, text FROM name WHERE entity = :entity ORDER BY id")
_GIVE = listed("UPDATE name SET entity = :entity WHERE id IN :ids", "ids")


class Name(NamedTuple):
    """A name of an entity, with its number."""

    id: int
    text: str


def names_of(connection: Connection, entity: int) -> list[Name]:
    """All names of the entity, the first written first."""
    return [Name(*row) for row in connection.execute(_NAMES, {"entity": entity})]


def merge(space: Space, keep: str, other: str) -> int:
    """Make the two entities one, under the name of the first; returns the number of the change."""
    with space.database.write() as connection:
        ids = journal.fresh_ids(connection)
        change = next(ids)
        kept = linking.require(connection, space.number, keep)
        gone = linking.require(connection, space.number, other)
        if kept.entity == gone.entity:
            raise InvalidInput(f"{keep!r} and {other!r} are one entity already")
        _give(connection, change, [name.id for name in names_of(connection, gone.entity)], gone.entity, kept.entity, journal_ids=ids)
        journal.note(connection, space.number, change, "merge", entities=-1)
    return change


def split(space: Space, entity: str, names: Sequence[str]) -> int:
    """Make an entity of its own of these names, with the triples that were written under them; returns the change's number.

    Raises:
        InvalidInput: one of them is no name of the entity, or all of them are asked for.
    """
    with space.database.write() as connection:
        ids = journal.fresh_ids(connection)
        change = next(ids)
        held = linking.require(connection, space.number, entity).entity
        all_names = names_of(connection, held)
        by_text = {name.text: name.id for name in all_names}
        unknown = [name for name in names if name not in by_text]
        if unknown or not names:
            raise InvalidInput(
                f"{unknown[0]!r} is no name of {entity!r}" if unknown else "no name to split off",
                hint=f"its names are {', '.join(by_text)}",
            )
        parted = [by_text[name] for name in dict.fromkeys(names)]
        rest = [name.id for name in all_names if name.id not in parted]
        if not rest:
            raise InvalidInput(f"these are all the names of {entity!r}; one must stay")
        _give(connection, change, parted, held, min(parted), journal_ids=ids)
        if held in parted:
            _give(connection, change, rest, held, min(rest), journal_ids=ids)
        journal.note(connection, space.number, change, "split", entities=1)
    return change


def add_alias(space: Space, entity: str, alias: str) -> int:
    """Let `alias` name the entity too; returns the number of the change.

    Raises:
        InvalidInput: it names another entity already.
    """
    alias = check_name(alias, "alias")
    with space.database.write() as connection:
        ids = journal.fresh_ids(connection)
        change = next(ids)
        held = linking.require(connection, space.number, entity)
        taken = linking.find_one(connection, space.number, alias)
        if taken is not None and taken.spelt == alias:
            reason = "already names it" if taken.entity == held.entity else f"already names {taken.canonical!r}"
            raise InvalidInput(f"{alias!r} {reason}", hint="" if taken.entity == held.entity else "merge the two")
        number = next(ids)
        connection.execute(insert(NameRow).values(id=number, namespace=space.number, entity=held.entity, indexed=False, **forms(alias)))
        journal.move(connection, change, {number: None}, held.entity, ids)
        journal.note(connection, space.number, change, "alias")
    return change


def _give(connection: Connection, change: int, names: list[int], before: int, after: int, *, journal_ids: Iterator[int]) -> None:
    connection.execute(_GIVE, {"entity": after, "ids": names})
    journal.move(connection, change, dict.fromkeys(names, before), after, journal_ids)
