"""One namespace of one open memory: what every part of the package is handed to work with."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from memagent.memory.database import Database, take_ids
from memagent.memory.embedding import Embedder
from memagent.memory.names import NameIndex
from memagent.memory.tables import NamespaceRow
from memagent.ontology import Ontology


@dataclass(frozen=True, slots=True)
class Space:
    """`number` is the namespace in SQL; nothing is read or written without it."""

    database: Database
    index: NameIndex
    embedder: Embedder
    ontology: Ontology
    is_open: bool  # whether new relations are kept
    namespace: str
    number: int


def namespace_number(database: Database, name: str) -> int:
    """The number of that namespace, which is made if it is new."""
    with database.read() as connection:
        number = _number(connection, name)
    if number is not None:
        return number
    with database.write() as connection:
        (fresh,) = take_ids(connection, 1)
        number = _number(connection, name)
        if number is not None:
            return number
        connection.execute(insert(NamespaceRow).values(id=fresh, name=name, changes=0, triples=0, entities=0, passages=0))
    return fresh


def _number(connection: Connection, name: str) -> int | None:
    return connection.execute(select(NamespaceRow.id).where(NamespaceRow.name == name)).scalar()  # type: ignore[call-overload]
