"""The SQL tables, as SQLModel classes: what is stored, not what may be done with it.

A triple refers to *names*, a name belongs to an *entity*: an entity is the set of names that share `entity`, the id of its
canonical (first written) one. So a merge or a split moves names and touches no triple.

A row of `triple` is one version of one belief: it is never changed but for `retracted_at`; a new valid time or a new
confidence is a new row. `recorded_at` and `retracted_at` (microseconds since 1970, UTC) say when we believed it,
`valid_from` and `valid_to` (as given) when it holds in the world, `from_key` and `to_key` the same as sortable ISO text:
from <= moment < to. Rows of different namespaces never refer to each other.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

ENDING = "retracted_at IS NULL AND to_key IS NOT NULL"  # the triples that `triple_ending` indexes


class Base(SQLModel, registry=registry()):
    """Our own registry: a program that uses SQLModel itself keeps its table names."""


def _part(name: str, where: str, *columns: str) -> Index:
    """An index of some rows only, in both dialects."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _id() -> Column[int]:
    # SQLite makes an INTEGER key the row's own place; a BIGINT one would cost a second index.
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)


def _moment(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class MigrationRow(Base, table=True):
    """A migration that has been applied."""

    __tablename__ = "migration"
    name: str = Field(primary_key=True)
    at: int = Field(sa_column=_moment())


class SettingRow(Base, table=True):
    """What the store notes about itself: the embedder whose vectors are in the index, the identity of the database."""

    __tablename__ = "setting"
    key: str = Field(primary_key=True)
    value: str


class CounterRow(Base, table=True):
    """The next free id, for all tables together; a write takes as many as it needs and so serialises with other writers."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    next: int = Field(sa_column=Column(BigInteger, nullable=False))


class NamespaceRow(Base, table=True):
    """Whose memory it is; `changes` is the number of its last change, the others are what `tally.py` keeps."""

    __tablename__ = "namespace"
    id: int = Field(sa_column=_id())
    name: str = Field(unique=True)
    changes: int = 0
    triples: int = 0
    entities: int = 0
    passages: int = 0


class NameRow(Base, table=True):
    """A name of an entity; `indexed`: whether its vector is in the index. The other fields are its forms (`spelling.py`)."""

    __tablename__ = "name"
    __table_args__ = (
        UniqueConstraint("namespace", "text"),
        Index("name_key", "namespace", "key"),
        Index("name_loose", "namespace", "loose"),
        Index("name_entity", "entity"),
        _part("name_first", "first_word IS NOT NULL", "namespace", "first_word"),
        _part("name_last", "last_word IS NOT NULL", "namespace", "last_word"),
        _part("name_pending", "NOT indexed", "namespace"),
        _part("name_canonical", "id = entity", "namespace"),
    )
    id: int = Field(sa_column=_id())
    namespace: int
    entity: int = Field(sa_column=Column(BigInteger, nullable=False))
    text: str
    key: str
    loose: str
    first_word: str | None = None
    last_word: str | None = None
    indexed: bool = False


class RelationRow(Base, table=True):
    """A relation that some triple of the namespace has, from the ontology or a new one."""

    __tablename__ = "relation"
    __table_args__ = (UniqueConstraint("namespace", "name"),)
    id: int = Field(sa_column=_id())
    namespace: int
    name: str
    indexed: bool = False


class PassageRow(Base, table=True):
    """A passage of a source; `digest` finds it again. A source without a text has one row with an empty text."""

    __tablename__ = "passage"
    __table_args__ = (
        UniqueConstraint("namespace", "digest"),
        Index("passage_recent", "namespace", "noted_at"),
        _part("passage_pending", "NOT indexed", "namespace"),
    )
    id: int = Field(sa_column=_id())
    namespace: int
    digest: str
    source: str
    text: str = Field(sa_column=Column(Text, nullable=False))
    noted_at: int = Field(sa_column=_moment())
    indexed: bool = False


class TripleRow(Base, table=True):
    """One version of one belief; `created_by` and `retracted_by` are the changes that did it, `restored_by` the undo that copied it."""

    __tablename__ = "triple"
    __table_args__ = (
        Index("triple_subject", "subject", "relation", "object"),
        Index("triple_object", "object", "relation", "subject"),
        _part("triple_listing", "retracted_at IS NULL", "namespace", "id", "to_key", "retracted_at"),
        _part("triple_ending", ENDING, "namespace", "to_key"),
        Index("triple_created", "created_by"),
        _part("triple_retracted", "retracted_by IS NOT NULL", "retracted_by"),
        _part("triple_restored", "restored_by IS NOT NULL", "restored_by"),
    )
    id: int = Field(sa_column=_id())
    namespace: int
    subject: int = Field(sa_column=Column(BigInteger, nullable=False))
    relation: int = Field(sa_column=Column(BigInteger, nullable=False))
    object: int = Field(sa_column=Column(BigInteger, nullable=False))
    confidence: float = 1.0
    valid_from: str | None = None
    valid_to: str | None = None
    from_key: str | None = None
    to_key: str | None = None
    recorded_at: int = Field(sa_column=_moment())
    retracted_at: int | None = Field(default=None, sa_column=_moment(nullable=True))
    created_by: int = Field(sa_column=Column(BigInteger, nullable=False))
    retracted_by: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    restored_by: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class ProvenanceRow(Base, table=True):
    """Where a version of a triple comes from; `time` is ISO text, as given."""

    __tablename__ = "provenance"
    __table_args__ = (
        Index("provenance_triple", "triple"),
        Index("provenance_passage", "passage"),
        Index("provenance_created", "created_by"),
    )
    id: int = Field(sa_column=_id())
    triple: int = Field(sa_column=Column(BigInteger, nullable=False))
    passage: int = Field(sa_column=Column(BigInteger, nullable=False))
    start: int = 0
    stop: int = 0
    speaker: str = ""
    time: str | None = None
    created_by: int = Field(sa_column=Column(BigInteger, nullable=False))
    retracted_by: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class ChangeRow(Base, table=True):
    """A line of the journal; `number` counts within the namespace, `undoes` is the change that an undo took back.

    It holds no name and no text: these are looked up, so that forgetting them is complete.
    """

    __tablename__ = "change"
    __table_args__ = (UniqueConstraint("namespace", "number"),)
    id: int = Field(sa_column=_id())
    namespace: int
    number: int
    kind: str
    at: int = Field(sa_column=_moment())
    undone_by: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    undoes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class ErasureRow(Base, table=True):
    """A row that a forget took out of SQL and that is still to be taken out of the index; gone when its traces are, too.

    `kind` is that of the index, or "change" for the forget itself.
    """

    __tablename__ = "erasure"
    id: int = Field(sa_column=_id())
    namespace: int
    kind: str


class MoveRow(Base, table=True):
    """A name that a change gave from one entity to another (merge, split) or created (`before` is None)."""

    __tablename__ = "move"
    __table_args__ = (Index("move_change", "change"), Index("move_name", "name"))
    id: int = Field(sa_column=_id())
    change: int = Field(sa_column=Column(BigInteger, nullable=False))
    name: int = Field(sa_column=Column(BigInteger, nullable=False))
    before: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    after: int = Field(sa_column=Column(BigInteger, nullable=False))
