"""Forgetting: erasing what is known of an entity, or one triple, so that no table, index or file still has it.

Erased are the triples in all their versions, passages that nothing else needs, entities that no triple has any more, with
their names and vectors, relations that only they had, and the lines of the journal that told of them. A passage that another
triple needs stays, with the erased names blacked out (offsets keep their meaning). At last the database overwrites the places.

SQL forgets in one transaction, which also notes what is left to do elsewhere; if a crash comes in between, the next opening
does it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from memagent.memory import indexing, journal, linking, parts, relations, tally
from memagent.memory.database import chunks, fetch, insert_all, listed
from memagent.memory.names import KINDS
from memagent.memory.rows import OF_ENTITY, select_rows
from memagent.memory.space import Space
from memagent.memory.spelling import find_all, key
from memagent.memory.tables import ErasureRow
from memagent.memory.values import ForgetReport
from memagent.triples import Triple

BLACK = "█"

_ENDS = """
SELECT n.entity FROM triple t JOIN name n ON n.id = t.subject WHERE t.id IN :ids
UNION SELECT n.entity FROM triple t JOIN name n ON n.id = t.object WHERE t.id IN :ids"""
_USED = """
SELECT n.entity FROM name n JOIN triple t ON t.subject = n.id WHERE n.entity IN :ids
UNION SELECT n.entity FROM name n JOIN triple t ON t.object = n.id WHERE n.entity IN :ids"""

_NAMED = text(
    "SELECT text FROM name WHERE namespace = :space AND (lower(text) LIKE :said ESCAPE '\\' OR key LIKE :key ESCAPE '\\') ORDER BY id"
)
_ASIDES = (  # columns that hold what people wrote, and which of their rows are of the namespace
    ("provenance", "speaker", "triple IN (SELECT id FROM triple WHERE namespace = :space)"),
    ("triple", "valid_from", "namespace = :space"),
    ("triple", "valid_to", "namespace = :space"),
)
# `indexed`: a passage that was blacked out has its new vector already.
_LEFT = text("""
SELECT n.name, e.kind, e.id, EXISTS (SELECT 1 FROM passage p WHERE p.id = e.id AND p.indexed) AS indexed
FROM erasure e JOIN namespace n ON n.id = e.namespace ORDER BY e.id""")


@dataclass
class _Erased:
    triples: int = 0
    passages: list[int] = field(default_factory=list)
    redacted: list[int] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)  # the names that were to be forgotten, not those that went with them
    entities: list[str] = field(default_factory=list)
    relations: list[int] = field(default_factory=list)


def forget(space: Space, what: str | Triple) -> ForgetReport:
    """Erase the entity of that name, or the triple; what is not known is no error and gives an empty report."""
    with space.database.write() as connection:
        ids = journal.fresh_ids(connection)
        change = next(ids)
        others: tuple[str, ...] = ()
        if isinstance(what, Triple):
            erased = _triples(space, connection, _versions(space, connection, what))
        else:
            linked = linking.find_one(connection, space.number, what)
            others = parts.others_meant(space, connection, what, linked.entity if linked else None)
            erased = _Erased() if linked is None else _entity(space, connection, linked.entity)
        if not erased.triples and not erased.names and not erased.passages:
            return ForgetReport(also_named=others)
        _relations(space, connection, erased)
        _journal(space, connection)
        journal.note(connection, space.number, change, "forget")
        tally.recount(connection, space.number)
        _asides(space, connection, erased.wanted)
        also = tuple(dict.fromkeys([*_also_named(space, connection, erased.wanted), *others]))
        _to_finish(space, connection, change, erased)
    finish(space)
    return ForgetReport(erased.triples, tuple(erased.entities), len(erased.passages), len(erased.redacted), also)


def finish(space: Space) -> None:
    """Do what a forget, of any namespace, has left to do outside SQL's transaction: vectors, then traces in the files.

    What cannot be done now (a reader holds the log for seconds, the index cannot be reached) is left to the next forget or opening.
    """
    with indexing.turn, space.database.read() as connection:
        left = connection.execute(_LEFT).all()
        for namespace in {row.name for row in left}:
            for kind in KINDS:
                gone = [str(row.id) for row in left if (row.name, row.kind) == (namespace, kind) and not row.indexed]
                space.index.delete(namespace, kind, gone)
    if not left or not space.database.erase_traces():
        return
    with space.database.write() as connection:
        _execute(connection, "DELETE FROM erasure WHERE id IN :ids", [row.id for row in left])


def _to_finish(space: Space, connection: Connection, change: int, erased: _Erased) -> None:
    passages = [*erased.passages, *erased.redacted]
    _execute(connection, "DELETE FROM erasure WHERE id IN :ids", passages)  # one that was blacked out before may be waiting still
    kinds = {"change": [change], "entities": erased.names, "passages": passages, "relations": erased.relations}
    rows = [{"id": id_, "namespace": space.number, "kind": kind} for kind, ids in kinds.items() for id_ in ids]
    insert_all(connection, ErasureRow, rows)


def versions_of(space: Space, connection: Connection, triple: Triple, relation: str) -> list[int]:
    """Every version of that triple, ended ones too."""
    ends = linking.find(connection, space.number, (triple.subject, triple.object))
    if len(ends) < len({triple.subject, triple.object}):
        return []
    where = "s.entity = :subject AND o.entity = :object AND r.namespace = :space AND r.name = :relation"
    subject, target = ends[triple.subject].entity, ends[triple.object].entity
    return [row.id for row in select_rows(connection, where, None, subject=subject, object=target, space=space.number, relation=relation)]


def _versions(space: Space, connection: Connection, triple: Triple) -> list[int]:
    relation = relations.known(space, connection, triple.relation)
    return [] if relation is None else versions_of(space, connection, triple, relation)


def _entity(space: Space, connection: Connection, entity: int) -> _Erased:
    ids = [row.id for row in select_rows(connection, OF_ENTITY, None, entity=entity)]
    return _triples(space, connection, ids, entity)


def _triples(space: Space, connection: Connection, ids: list[int], entity: int | None = None) -> _Erased:
    """Erase these versions, and what then belongs to nothing."""
    erased = _Erased(triples=_meanings(connection, ids))
    entities = set(_column(connection, _ENDS, ids))
    passages = set(_column(connection, "SELECT DISTINCT passage FROM provenance WHERE triple IN :ids", ids))
    _execute(connection, "DELETE FROM provenance WHERE triple IN :ids", ids)
    _execute(connection, "DELETE FROM triple WHERE id IN :ids", ids)
    used = set(_column(connection, _USED, entities))
    orphans = (entities - used) | ({entity} if entity is not None else set())
    _names(connection, orphans, entity, erased)
    needed = set(_column(connection, "SELECT DISTINCT passage FROM provenance WHERE passage IN :ids", passages))
    _passages(space, connection, passages, needed, erased)
    return erased


def _meanings(connection: Connection, ids: list[int]) -> int:
    return len({row.meaning for some in chunks(ids) for row in select_rows(connection, "t.id IN :ids", None, ids=some)})


def _names(connection: Connection, entities: Collection[int], asked: int | None, erased: _Erased) -> None:
    query = listed("SELECT id, entity, text FROM name WHERE entity IN :ids ORDER BY id", "ids")
    for some in chunks(entities):
        for name, entity, said in connection.execute(query, {"ids": some}):
            erased.names[name] = said
            if entity == asked:
                erased.wanted.append(said)
            if name == entity:
                erased.entities.append(said)
    _execute(connection, "DELETE FROM move WHERE name IN :ids", erased.names)
    _execute(connection, "DELETE FROM name WHERE id IN :ids", erased.names)


def _passages(space: Space, connection: Connection, touched: set[int], needed: set[int], erased: _Erased) -> None:
    """Delete passages that only the erased triples needed; black out the rest.

    What was to be forgotten goes from every passage, or with the passage if no triple needs it; names that only went with
    it ("Oslo", once nobody lives there) from the passages it came from.
    """
    erased.passages = sorted(touched - needed)
    deleted = set(erased.passages)
    everywhere, here = erased.wanted, list(erased.names.values())
    needs = "EXISTS (SELECT 1 FROM provenance v WHERE v.passage = p.id)"
    query = text(f"SELECT p.id, p.text, p.source, {needs} FROM passage p WHERE p.namespace = :space")
    black: list[dict[str, object]] = []
    for number, said, source, is_needed in connection.execute(query, {"space": space.number}).all() if everywhere or needed else ():
        names = here if number in needed else everywhere
        clean, clean_source = _blackened(said, names), _blackened(source, names)
        if number in deleted or (clean, clean_source) == (said, source):
            continue
        if is_needed:
            black.append({"id": number, "text": clean, "source": clean_source, "no": False, "digest": f"redacted {number}"})
            erased.redacted.append(number)
        else:
            erased.passages.append(number)
    _execute(connection, "DELETE FROM passage WHERE id IN :ids", erased.passages)
    if black:
        connection.execute(text("UPDATE passage SET text = :text, source = :source, indexed = :no, digest = :digest WHERE id = :id"), black)


def _asides(space: Space, connection: Connection, names: Collection[str]) -> None:
    """Black out the names where triples that stay have them besides: as the speaker, or in a date ("since Anna's wedding")."""
    for table, column, ours in _ASIDES if names else ():
        query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> '' AND {ours}"
        change = text(f"UPDATE {table} SET {column} = :clean WHERE {column} = :said AND {ours}")
        for said in connection.execute(text(query), {"space": space.number}).scalars().all():
            if (clean := _blackened(said, names)) != said:
                connection.execute(change, {"space": space.number, "said": said, "clean": clean})


def _blackened(said: str, names: Iterable[str]) -> str:
    for name in names:
        for start, end in find_all(said, name):
            said = said[:start] + BLACK * (end - start) + said[end:]
    return said


def _relations(space: Space, connection: Connection, erased: _Erased) -> None:
    """Relations of no triple; those of the ontology would come again, and tell nothing."""
    used = "SELECT 1 FROM triple t WHERE t.namespace = :space AND t.relation = r.id"
    query = text(f"SELECT id FROM relation r WHERE namespace = :space AND NOT EXISTS ({used})")
    erased.relations = list(connection.execute(query, {"space": space.number}).scalars())
    _execute(connection, "DELETE FROM relation WHERE id IN :ids", erased.relations)


def _journal(space: Space, connection: Connection) -> None:
    """Lines of the journal that tell of nothing any more."""
    connection.execute(
        text("""
DELETE FROM change WHERE namespace = :space AND kind NOT IN ('forget', 'undo')
AND NOT EXISTS (SELECT 1 FROM triple t WHERE t.created_by = change.id)
AND NOT EXISTS (SELECT 1 FROM triple t WHERE t.retracted_by = change.id)
AND NOT EXISTS (SELECT 1 FROM provenance p WHERE p.created_by = change.id)
AND NOT EXISTS (SELECT 1 FROM move m WHERE m.change = change.id)"""),
        {"space": space.number},
    )
    gone = "NOT EXISTS (SELECT 1 FROM change c WHERE c.id = change.undoes)"
    undone = text(f"DELETE FROM change WHERE namespace = :space AND undoes IS NOT NULL AND {gone}")
    while connection.execute(undone, {"space": space.number}).rowcount:  # an undo of an undo goes in the next round
        pass


def _also_named(space: Space, connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    kept = [
        said for (said,) in fetch(connection, "SELECT name FROM relation WHERE namespace = :space ORDER BY id", {"space": space.number})
    ]
    for name in names:
        # SQLite knows the case of ASCII letters only, and a key may lose the signs in a name: one of the two finds it.
        given = {"space": space.number, "said": _pattern(name.lower()), "key": _pattern(key(name))}
        found.update(dict.fromkeys(said for said in connection.execute(_NAMED, given).scalars() if find_all(said, name)))
        found.update(dict.fromkeys(said for said in kept if find_all(said, name)))
    return tuple(found)


def _pattern(words: str) -> str:
    return "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _column(connection: Connection, query: str, ids: Iterable[int]) -> Iterable[int]:
    for some in chunks(ids):
        yield from connection.execute(listed(query, "ids"), {"ids": some}).scalars().all()


def _execute(connection: Connection, query: str, ids: Iterable[int]) -> None:
    for some in chunks(ids):
        connection.execute(listed(query, "ids"), {"ids": some})
