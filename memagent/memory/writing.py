"""Writing triples: linking their names, adding provenance to what is known, superseding what is one-valued.

The only rule by which a triple ends another: both have the same one-valued relation, the same subject (or, for inverse
one-valued relations, the same object), both hold now, and they do not come from the same passage of the same call. A triple
of a relation that has an inverse counts from both sides: "Lagos | capital of | Nigeria" is Nigeria's capital, too. The older
one keeps its row; a new version of it ends where the newer begins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import compress

from sqlalchemy import Connection, text

from memagent.errors import InvalidInput
from memagent.memory import journal, linking, relations, tally
from memagent.memory.database import chunks, fetch, insert_all, listed
from memagent.memory.moments import after_moment, first_moment, key_of, now
from memagent.memory.space import Space
from memagent.memory.tables import PassageRow, ProvenanceRow, TripleRow
from memagent.ontology import Relation
from memagent.triples import MAX_NAME, NO_TEXT, Provenance, Triple

FEW = 16  # triples of an online write; more of them are looked up by their subjects
MAX_PASSAGE = 100_000  # characters; longer text is for `ingest` to cut
Slot = tuple[int, int]  # an entity, and a relation of which it has one at a time: a number, negative where that is asked for its subject


@dataclass(slots=True, eq=False)
class Version:
    """A version of a triple, stored or about to be."""

    id: int
    subject: linking.Linked
    relation: int
    target: linking.Linked
    confidence: float
    valid_from: str | None
    valid_to: str | None
    from_key: str | None
    to_key: str | None
    created_by: int
    passages: frozenset[str] = frozenset()
    fresh: bool = True
    sources: list[Provenance] = field(default_factory=list)

    def open_at(self, moment: str) -> bool:
        """Whether it has not ended by then."""
        return self.to_key is None or self.to_key > moment


class Writer:
    """One `add`: what it finds, what it decides, what it then stores; lives for one transaction."""

    def __init__(self, space: Space, connection: Connection, triples: Sequence[Triple]) -> None:
        self.space = space
        self.connection = connection
        self.triples = triples
        self.ids = journal.fresh_ids(connection, 6 * len(triples) + 1)
        self.change = next(self.ids)
        self.at = now()
        self.moment = key_of(self.at)
        self.retired: dict[int, int | None] = {}  # stored version -> the version that takes its place
        self.fresh: list[Version] = []
        self.kind = "add"
        self.opened = 0  # triples without an end, more than before
        self.passages = 0  # new ones
        self._one: set[int] = set()  # relations of which a subject has one object; negative ones: an object one subject
        self._backwards: dict[int, int] = {}  # relation -> its inverse, or its own number with the other sign
        self._same: dict[tuple[int, int, int], list[Version]] = {}
        self._rivals: dict[Slot, list[Version]] = {}

    def run(self) -> list[Triple]:
        """Store the triples and return them as stored, one each, in order."""
        names, fresh_names = linking.link(
            self.connection, self.space.number, (n for t in self.triples for n in (t.subject, t.object)), self.ids
        )
        rules = {name: self.space.ontology[name] for name in {t.relation for t in self.triples}}
        numbers = relations.numbers(self.space, self.connection, rules, self.ids)
        self._load(names, numbers, rules)
        written = []
        for triple in self.triples:
            version = self._write(triple, names[triple.subject], numbers[triple.relation], names[triple.object])
            version.sources.extend(triple.provenance)
            known_as = version.subject.canonical, version.target.canonical
            written.append(
                triple if known_as == (triple.subject, triple.object) else replace(triple, subject=known_as[0], object=known_as[1])
            )
        self._store(fresh_names)
        return written

    def _load(self, names: dict[str, linking.Linked], numbers: dict[str, int], rules: dict[str, Relation]) -> None:
        """The versions that the triples may meet: the same three sides, or a rival by a one-valued relation."""
        self._note_rules(numbers, rules)
        meanings = [(names[t.subject].entity, numbers[t.relation], names[t.object].entity) for t in self.triples]
        # Entities of this call have no past; what has ended can only be met by a triple with dates.
        old = [meaning for meaning in meanings if meaning[0] < self.change]
        since = "" if any(t.valid_from or t.valid_to for t in self.triples) else self.moment
        exact = [meaning for meaning in old if meaning[1] not in self._one] if len(old) <= FEW else []
        slots = {slot for meaning in meanings for slot, _ in self._slots(*meaning) if slot[0] < self.change}
        of_subject = {(entity, relation) for entity, relation in slots if relation > 0}
        of_subject |= {(subject, relation) for subject, relation, _ in old} if len(old) > FEW else set()
        of_object = {(entity, self._backwards[relation]) for entity, relation in slots if self._backwards[relation] > 0}
        found: dict[int, Version] = {}
        for query, pairs, targets in (
            (_OF_SUBJECT, of_subject, ()),
            (_OF_BOTH, {meaning[:2] for meaning in exact}, {meaning[2] for meaning in exact}),
            (_OF_OBJECT, of_object, ()),
        ):
            for version in _stored(self.connection, query, pairs, targets, since):
                found.setdefault(version.id, version)
        for number in sorted(found):
            self._remember(found[number])

    def _note_rules(self, numbers: dict[str, int], rules: dict[str, Relation]) -> None:
        """Which relations have one value, from either side."""
        sides = {name: self.space.ontology.one_valued(name) for name in rules}
        inverses = {inverse for name, one in sides.items() if any(one) and (inverse := rules[name].inverse)}
        numbers = relations.held(self.space, self.connection, inverses) | numbers
        for name, one in sides.items():
            number = numbers[name]
            back = numbers.get(rules[name].inverse or "", -number)
            self._backwards |= {number: back, back: number}
            self._one.update(compress((number, back), one))

    def _slots(self, subject: int, relation: int, target: int) -> Iterator[tuple[Slot, int]]:
        """Each entity and relation of which this is the one value, with the value."""
        for entity, side, value in ((subject, relation, target), (target, self._backwards[relation], subject)):
            if side in self._one:
                yield (entity, side), value

    def _filled(self, version: Version) -> dict[Slot, int]:
        return dict(self._slots(version.subject.entity, version.relation, version.target.entity))

    def _places(self, version: Version) -> Iterator[list[Version]]:
        """The lists in which the version is looked up."""
        yield self._same.setdefault((version.subject.entity, version.relation, version.target.entity), [])
        for slot in self._filled(version):
            yield self._rivals.setdefault(slot, [])

    def _remember(self, version: Version) -> None:
        for place in self._places(version):
            place.append(version)

    def _drop(self, version: Version) -> None:
        for place in self._places(version):
            place.remove(version)

    def _write(self, triple: Triple, subject: linking.Linked, relation: int, target: linking.Linked) -> Version:
        new = Version(
            next(self.ids), subject, relation, target, triple.confidence, triple.valid_from, triple.valid_to,
            first_moment(triple.valid_from), _end(triple.valid_to, self.moment), self.change, _passages(triple),
        )  # fmt: skip
        same = self._same.get((subject.entity, relation, target.entity), ())
        for known in same:
            if (known.valid_from, known.valid_to) == (new.valid_from, new.valid_to) or (_undated(new) and known.open_at(self.moment)):
                return self._restate(known, new)
        for known in same:
            if known.valid_to is None and known.valid_from in (None, new.valid_from) and known.open_at(self.moment):
                new.from_key = new.from_key or known.from_key
                return self._replace(known, replace(new, valid_from=new.valid_from or known.valid_from, created_by=self.change))
        if new.open_at(self.moment):
            self._supersede(new)
        self._add(new)
        return new

    def _restate(self, known: Version, new: Version) -> Version:
        """The same again: only its sources are new, unless it is now more certain."""
        if new.confidence <= known.confidence:
            return known
        return self._replace(known, replace(known, id=new.id, confidence=new.confidence, created_by=self.change, sources=[], fresh=True))

    def _supersede(self, new: Version) -> None:
        told = self._filled(new)
        rivals = {v.id: v for slot in told for v in self._rivals.get(slot, ()) if self._filled(v)[slot] != told[slot]}
        for old in rivals.values():
            together = old.created_by == self.change and old.fresh and old.passages & new.passages
            if together or not old.open_at(self.moment):
                continue
            if new.from_key and old.from_key and new.from_key < old.from_key:  # told late: it was before the one we know
                new.valid_to, new.to_key = old.valid_from, old.from_key
                continue
            self.kind = "supersede"
            begins = new.valid_from if new.from_key else self.moment[:10]
            new.from_key = new.from_key or self.moment
            closed = replace(old, id=next(self.ids), valid_to=begins, to_key=new.from_key, created_by=self.change, sources=[], fresh=True)
            self._replace(old, closed)

    def _replace(self, old: Version, new: Version) -> Version:
        """Let `new` stand for `old`; a version that is not yet stored simply changes."""
        self._drop(old)
        if old.fresh:
            self.fresh.remove(old)
            new.sources = [*old.sources, *new.sources]
        else:
            self.retired[old.id] = new.id
            self.opened -= old.to_key is None
            if self.kind == "add":
                self.kind = "edit"
        self._add(new)
        return new

    def _add(self, version: Version) -> None:
        self.fresh.append(version)
        self._remember(version)

    def _store(self, entities: int) -> None:
        ended = [{"old": old, "at": self.at, "by": self.change} for old in self.retired]
        if ended:
            self.connection.execute(text("UPDATE triple SET retracted_at = :at, retracted_by = :by WHERE id = :old"), ended)
        insert_all(self.connection, TripleRow, [self._row(version) for version in self.fresh])
        self.opened += sum(version.to_key is None for version in self.fresh)
        journal.copy_provenance(self.connection, {old: new for old, new in self.retired.items() if new is not None}, self.ids)
        sourced = store_provenance(self)
        if self.fresh or self.retired or sourced or entities:
            more = {"triples": self.opened, "entities": entities, "passages": self.passages}
            journal.note(self.connection, self.space.number, self.change, self.kind, **more)

    def _row(self, version: Version) -> dict[str, object]:
        return {
            "id": version.id, "namespace": self.space.number,
            "subject": version.subject.name, "relation": version.relation, "object": version.target.name,
            "confidence": version.confidence, "valid_from": version.valid_from, "valid_to": version.valid_to,
            "from_key": version.from_key, "to_key": version.to_key, "recorded_at": self.at, "created_by": self.change,
        }  # fmt: skip

    def versions(self) -> list[Version]:
        """Those with sources to store."""
        return [version for versions in self._same.values() for version in versions if version.sources]


def add(space: Space, triples: Sequence[Triple]) -> list[Triple]:
    """Write triples whose relations are canonical; all of them or none."""
    if not triples:
        return []
    for triple in triples:
        check_passages(triple.provenance)
        if triple.valid_from is not None or triple.valid_to is not None:
            check_dates(triple)
    with space.database.write() as connection:
        return Writer(space, connection, triples).run()


def check_passages(sources: Sequence[Provenance]) -> None:
    """Refuse what no passage or source may be.

    Raises:
        InvalidInput: with the reason.
    """
    for source in sources:
        if len(source.passage) > MAX_PASSAGE:
            long = f"the passage has {len(source.passage)} characters, at most {MAX_PASSAGE} are allowed"
            raise InvalidInput(long, hint="cut it into passages")
        if len(source.source) > MAX_NAME or len(source.speaker) > MAX_NAME:
            raise InvalidInput(f"a source and a speaker have at most {MAX_NAME} characters")
        if any(NO_TEXT.search(given) for given in (source.passage, source.source, source.speaker)):
            raise InvalidInput("the source, speaker or passage holds characters that are not text", hint="is this a binary file?")


def check_dates(triple: Triple) -> None:
    """Refuse a date that no text may be.

    Raises:
        InvalidInput: with the reason.
    """
    for said in filter(None, (triple.valid_from, triple.valid_to)):
        if len(said) > MAX_NAME or NO_TEXT.search(said):
            raise InvalidInput(
                f"a date has at most {MAX_NAME} characters, all of them text", hint='write "2014", "May 2020" or "2020-05-01"'
            )


def store_provenance(writer: Writer) -> int:
    """Store the sources of the written versions that are new; returns their number."""
    versions = writer.versions()
    if not versions:
        return 0
    passages, writer.passages = note_passages(writer.space, writer.connection, [s for v in versions for s in v.sources], writer.ids)
    held = _sources(writer.connection, [v.id for v in versions])
    rows = []
    for version in versions:
        for source in dict.fromkeys(version.sources):
            time = source.time.isoformat() if source.time else None
            place = (version.id, passages[digest(source)], source.start, source.end, source.speaker)
            if place not in held:
                held.add(place)
                row = dict(zip(("triple", "passage", "start", "stop", "speaker"), place, strict=True))
                rows.append({**row, "id": next(writer.ids), "time": time, "created_by": writer.change})
    insert_all(writer.connection, ProvenanceRow, rows)
    return len(rows)


def note_passages(space: Space, connection: Connection, sources: Sequence[Provenance], ids: Iterator[int]) -> tuple[dict[str, int], int]:
    """The row of each passage by its digest, made if it is new, and how many texts are new; a known one counts as seen again."""
    by_digest = {digest(source): source for source in sources}
    found: dict[str, int] = {}
    for some in chunks(by_digest):
        found.update((name, number) for name, number in fetch(connection, _BY_DIGEST, {"space": space.number, "digests": some}))
    for some in chunks(found.values()):
        connection.execute(_SEEN, {"at": now(), "ids": some})
    rows = []
    for name, source in by_digest.items():
        if name not in found:
            found[name] = next(ids)
            said = {"source": source.source, "text": source.passage, "noted_at": now(), "indexed": not source.passage.strip()}
            rows.append({"id": found[name], "namespace": space.number, "digest": name, **said})
    insert_all(connection, PassageRow, rows)
    return found, sum(row["text"] != "" for row in rows)


def note_passage(space: Space, source: Provenance) -> None:
    """Keep a passage that stated nothing."""
    check_passages((source,))
    with space.database.write() as connection:
        _, fresh = note_passages(space, connection, (source,), journal.fresh_ids(connection))
        tally.add(connection, space.number, passages=fresh)


def digest(source: Provenance) -> str:
    """What tells passages apart: their source and their text."""
    return hashlib.sha256(f"{source.source}\x00{source.passage}".encode()).hexdigest()[:32]


def retract(space: Space, ids: Sequence[int]) -> int:
    """End these versions without an heir; returns the number of the change."""
    with space.database.write() as connection:
        change = next(journal.fresh_ids(connection))
        closed = sum(len(fetch(connection, _OPEN, {"ids": some})) for some in chunks(ids))
        for some in chunks(ids):
            connection.execute(_RETRACT, {"at": now(), "by": change, "ids": some})
        journal.note(connection, space.number, change, "retract", triples=-closed)
    return change


_BY_DIGEST = "SELECT digest, id FROM passage WHERE namespace = :space AND digest IN :digests"
_SEEN = listed("UPDATE passage SET noted_at = :at WHERE id IN :ids", "ids")
_RETRACT = listed("UPDATE triple SET retracted_at = :at, retracted_by = :by WHERE id IN :ids AND retracted_at IS NULL", "ids")
_OPEN = "SELECT id FROM triple WHERE id IN :ids AND retracted_at IS NULL AND to_key IS NULL"
_STORED = """
SELECT t.id, t.subject, s.entity, cs.text, t.relation, t.object, o.entity, co.text,
t.confidence, t.valid_from, t.valid_to, t.from_key, t.to_key, t.created_by
FROM name {side} JOIN triple t ON t.{column} = {side}.id JOIN name {other} ON {other}.id = t.{opposite}
JOIN name cs ON cs.id = s.entity JOIN name co ON co.id = o.entity
WHERE {side}.entity IN :entities AND t.relation IN :relations AND t.retracted_at IS NULL AND (t.to_key IS NULL OR t.to_key > :since)"""
_OF_SUBJECT = _STORED.format(side="s", column="subject", other="o", opposite="object")
_OF_OBJECT = _STORED.format(side="o", column="object", other="s", opposite="subject")
# For a few triples only: it looks for every subject with every object, but for these without reading all that a subject has.
_OF_BOTH = _OF_SUBJECT + " AND t.object IN (SELECT id FROM name WHERE entity IN :targets)"


def _stored(connection: Connection, query: str, pairs: Set[Slot], targets: Collection[int], since: str) -> Iterator[Version]:
    """The stored versions with these subjects (of `_OF_OBJECT`: objects) and relations; of `_OF_BOTH`, with these objects, too."""
    values: dict[str, object] = {"relations": sorted({relation for _, relation in pairs}), "since": since}
    if query is _OF_BOTH:
        values["targets"] = sorted(targets)
    for some in chunks(sorted({entity for entity, _ in pairs})):
        for row in fetch(connection, query, {**values, "entities": some}):
            ends = linking.Linked(row[1], row[2], row[3], ""), linking.Linked(row[5], row[6], row[7], "")
            if (ends[query is _OF_OBJECT].entity, row[4]) in pairs:
                yield Version(row[0], ends[0], row[4], ends[1], row[8], row[9], row[10], row[11], row[12], row[13], fresh=False)


def _sources(connection: Connection, ids: Sequence[int]) -> set[tuple[int, int, int, int, str]]:
    query = "SELECT triple, passage, start, stop, speaker FROM provenance WHERE triple IN :ids AND retracted_by IS NULL"
    return {row for some in chunks(ids) for row in fetch(connection, query, {"ids": some})}


def _passages(triple: Triple) -> frozenset[str]:
    """The passages it comes from; a triple without a source comes from the call itself."""
    return frozenset(map(digest, triple.provenance)) or frozenset(("",))


def _undated(version: Version) -> bool:
    return version.valid_from is None and version.valid_to is None


def _end(valid_to: str | None, moment: str) -> str | None:
    """The key of an end; one that is no date has passed by now, whenever that was."""
    return None if valid_to is None else after_moment(valid_to) or moment
