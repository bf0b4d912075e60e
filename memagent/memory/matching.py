"""Queries to matches.

A name that the memory knows is taken at its word, as is a part of it that only one person has: its triples are looked up, and if
there are none, nothing is guessed. Only a name that nobody has ever written is replaced by near ones, as the paper has it (section 3): up
to `ENTITIES` entities and `RELATIONS` relations by vector, pairs whose mean similarity is high enough, all their triples in one statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from memagent.memory import indexing, linking, parts, relations
from memagent.memory.composition import DEPTH, Walk, ways
from memagent.memory.rows import Moment, Row, moment, provenance_of, select_rows
from memagent.memory.space import Space
from memagent.memory.spelling import key, numerals, slips
from memagent.memory.values import Askable, AsOf
from memagent.triples import Match, Query, Triple

# The paper's thresholds are for Contriever, these for MiniLM. Misspelt names have .90 to .97 with the right one ("Marie Curi",
# "Zorblax Quimbly"), others of the same kind up to .84 ("my brother", "my sister"). Relations said otherwise have .67 to .80
# ("hates" and dislikes, "was born at" and place of birth), others mostly under .60 ("owes money to" and currency: .39).
ENTITIES = 300
NEAR_ENTITY = 0.87
NEAR_RELATION = 0.65
NEAR_PAIR = 0.80  # mean of the two
# A name that is so few letters from a near one is a slip; then only the nearest in spelling are meant. Among names of one pattern
# others are as near by vector: "Eve Quimby Cubee" has .97 with "Eve Quimby Cube" and .95 with "Eve Quimbly Cube".
SLIPS = 2


@dataclass(frozen=True, slots=True)
class _Found:
    """A row that answers; `answer` is the entity asked for, `chain` what it was derived from."""

    row: Row
    answer: str
    score: float
    chain: tuple[Row, ...] = ()


def match(space: Space, query: Query, as_of: AsOf | None, limit: int) -> list[Match]:
    """The triples that fit, best and newest first."""
    when = moment(as_of)
    with space.database.read() as connection:
        relation = relations.known(space, connection, query.relation)
        meant: list[int] = []
        for entity in parts.meant(space, connection, query.known):
            meant.append(entity)
            if relation is not None and (exact := _exact(space, connection, query, entity, relation, when)):
                return _matches(connection, exact[:limit])
    if meant and relation is not None:
        return []
    candidates = [{entity: 1.0} for entity in meant] or [_near_entities(space, query.known)]
    names = {relation: 1.0} if relation is not None else dict(relations.nearest(space, query.relation))
    with space.database.read() as connection:
        found = (_near(space, connection, query, entities, names, when) for entities in candidates)
        return _matches(connection, next(filter(None, found), [])[:limit])


def _exact(space: Space, connection: Connection, query: Query, entity: int, relation: str, when: Moment) -> list[_Found]:
    walk = Walk(space, connection, when)
    backwards = query.subject is None
    found = [
        _Found(row, row.object if end == row.object_entity else row.subject, 1.0)
        for _, end, row in walk.stored((entity,), relation, backwards=backwards)
    ]
    if found and (space.ontology[relation].one if not backwards else space.ontology[relation].inverse_one):
        return found
    answered = {item.answer for item in found}
    for chain in walk.composed((entity,), relation, backwards=backwards).get(entity, {}).values():
        derived = _derived(relation, chain, entity, backwards=backwards)
        if derived.answer not in answered:
            found.append(derived)
    return found


def _derived(relation: str, chain: tuple[Row, ...], entity: int, *, backwards: bool) -> _Found:
    """The composed row: from `entity` to where the chain ends."""
    at, name = entity, ""
    for row in chain:
        start = row.subject if row.subject_entity == at else row.object
        name = name or start
        at, end = (row.object_entity, row.object) if row.subject_entity == at else (row.subject_entity, row.subject)
    confidence = 1.0
    for row in chain:
        confidence *= row.confidence
    subject, target = ((end, at), (name, entity)) if backwards else ((name, entity), (end, at))
    return _Found(Row(0, subject[0], relation, target[0], confidence, None, None, subject[1], target[1]), end, 1.0, chain)


def _near_entities(space: Space, name: str) -> dict[int, float]:
    indexing.catch_up(space, "entities")
    near = [
        (int(id_), score)
        for id_, score in space.index.nearest(space.namespace, "entities", space.embedder.embed([name])[0], ENTITIES)
        if score >= NEAR_ENTITY
    ]
    with space.database.read() as connection:
        owners = linking.owners(connection, space.number, [number for number, _ in near])
    name_key, numbers = key(name), numerals(name)
    found: dict[int, float] = {}
    letters: dict[int, int] = {}
    most = SLIPS
    for number, score in near:
        entity, spelt, spelt_key = owners.get(number, (0, "", ""))
        if entity and numerals(spelt) == numbers:  # "Apollo 11" is no misspelling of "Apollo 12"
            found[entity] = max(score, found.get(entity, 0.0))
            between = slips(name_key, spelt_key, most)
            if between is not None:
                letters[entity] = most = between  # one that is farther is not meant
    least = min(letters.values(), default=None)
    return {entity: score for entity, score in found.items() if letters.get(entity) == least}


def _near(
    space: Space, connection: Connection, query: Query, entities: dict[int, float], names: dict[str, float], when: Moment
) -> list[_Found]:
    """All triples of near pairs, in one statement a direction."""
    best = max(entities.values(), default=0.0)
    wanted = {name: score for name, score in names.items() if score >= NEAR_RELATION and (score + best) / 2 >= NEAR_PAIR}
    if not wanted or not entities:
        return []
    backwards = query.subject is None
    forward: dict[str, float] = {}
    backward: dict[str, float] = {}
    for name, score in wanted.items():
        there = ways(space.ontology, name, backwards=backwards)
        for direction, stored in ((forward, there.forward), (backward, there.backward)):
            for stored_name in stored:
                direction[stored_name] = max(score, direction.get(stored_name, 0.0))
    found = []
    for scores, side in ((forward, "s"), (backward, "o")):
        if scores:
            where = f"r.namespace = :space AND r.name IN :names AND {side}.entity IN :entities"
            for row in select_rows(connection, where, when, space=space.number, names=list(scores), entities=list(entities)):
                start, answer = (row.subject_entity, row.object) if side == "s" else (row.object_entity, row.subject)
                found.append(_Found(row, answer, (entities[start] + scores[row.relation]) / 2))
    return sorted((item for item in found if item.score >= NEAR_PAIR), key=lambda item: -item.score)


def _matches(connection: Connection, found: Sequence[_Found]) -> list[Match]:
    """With provenance; the same answer by the same triple once."""
    rows = {row.id: row for item in found for row in (item.chain or (item.row,))}
    triples: dict[int, Triple] = dict(zip(rows, _one_each(connection, list(rows.values())), strict=True))
    matches: dict[tuple[Triple, str], Match] = {}
    for item in found:
        row = item.row
        chain = tuple(triples[step.id] for step in item.chain)
        triple = Triple(row.subject, row.relation, row.object, row.confidence) if chain else triples[row.id]
        known = matches.get((triple, item.answer))
        if known is None:
            matches[triple, item.answer] = Match(triple, min(item.score, 1.0), item.answer, chain)
        elif not chain:
            sources = dict.fromkeys((*known.triple.provenance, *triple.provenance))
            matches[triple, item.answer] = replace(known, triple=replace(known.triple, provenance=tuple(sources)))
    return list(matches.values())


def _one_each(connection: Connection, rows: Sequence[Row]) -> Iterable[Triple]:
    sources = provenance_of(connection, (row.id for row in rows))
    for row in rows:
        yield Triple(row.subject, row.relation, row.object, row.confidence, row.valid_from, row.valid_to, tuple(sources.get(row.id, ())))


def askable(space: Space, entity: str) -> list[Askable]:
    """What `match` would answer about that entity: stored relations first, then those that follow from them."""
    with space.database.read() as connection:
        meant = list(parts.meant(space, connection, entity))
        return list(dict.fromkeys(asked for number in meant for asked in _askable(space, connection, number)))


def _askable(space: Space, connection: Connection, entity: int) -> list[Askable]:
    when = moment(None)
    found: dict[Askable, None] = {}
    for name in _names(connection, "s", entity, when):
        found[Askable(name)] = None
    for name in _names(connection, "o", entity, when):
        rule = space.ontology[name]
        if rule.inverse:
            found[Askable(rule.inverse)] = None
        found[Askable(name) if rule.symmetric else Askable(name, inverse=True)] = None
    for name in [asked.relation for asked in found if not asked.inverse]:
        if inverse := space.ontology[name].inverse:
            found[Askable(inverse, inverse=True)] = None
    walk = Walk(space, connection, when)
    for asked in _composable(space, {asked.relation for asked in found}):
        if asked not in found and walk.composed((entity,), asked.relation, backwards=asked.inverse).get(entity):
            found[asked] = None
    return list(found)


def _names(connection: Connection, side: str, entity: int, when: Moment) -> list[str]:
    rows = select_rows(connection, f"{side}.entity = :entity", when, tail=" ORDER BY t.id DESC LIMIT 1000", entity=entity)
    return list(dict.fromkeys(row.relation for row in rows))


def _composable(space: Space, held: set[str]) -> list[Askable]:
    """Composed relations whose first (or, asked inversely, last) step could start from what is held; to `DEPTH` rules deep."""
    ontology = space.ontology
    reach = set(held)
    found: dict[Askable, None] = {}
    for _ in range(DEPTH):
        for relation in ontology:
            rules = relation.compositions
            for inverse, ends in ((False, [rule[0] for rule in rules]), (True, [rule[-1] for rule in rules])):
                if any(step.relation in reach or ontology[step.relation].inverse in reach for step in ends):
                    found[Askable(relation.name, inverse)] = None
        reach |= {asked.relation for asked in found}
    return list(found)
