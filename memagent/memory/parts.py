"""People and groups by a part of their name: told of "Anna Lund" and "Harrow Otters", the memory is asked about "Anna" and "the Otters".

Only where something is asked, or where a text names whom a pronoun may stand for: what is written is linked by spelling alone. And only
people and groups (firms, teams), of which "Oslo" is no short form of "University of Oslo". Which a name is, is known from what the memory
says of it now: people live somewhere, or are somebody's sister; firms have a head office. A part that two people share names neither, and
one of a group is no other name's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection

from memagent.memory import linking
from memagent.memory.database import fetch
from memagent.memory.space import Space
from memagent.memory.spelling import addressed, ends, key, spans
from memagent.memory.values import Mention

PERSON, GROUP = "person", "group"  # what goes by a part of its name
GROUPS = {"organization", "team"}  # kinds of the ontology
MANY = 20  # things that have a word in common: of more it is not looked up what they are
SAID = 1000  # triples from whose relations it is told whether something is a person

_BY_WORD = """
SELECT DISTINCT x.entity FROM (
    SELECT entity FROM name WHERE namespace = :space AND first_word = :word
    UNION ALL SELECT entity FROM name WHERE namespace = :space AND last_word = :word) x
LIMIT :most"""
_SAID = """
SELECT DISTINCT r.name, x.is_object FROM (
    SELECT a.relation, 0 AS is_object FROM (
        SELECT t.relation FROM name n JOIN triple t ON t.subject = n.id WHERE n.entity = :entity AND t.retracted_at IS NULL LIMIT :most) a
    UNION ALL SELECT b.relation, 1 FROM (
        SELECT t.relation FROM name n JOIN triple t ON t.object = n.id WHERE n.entity = :entity AND t.retracted_at IS NULL LIMIT :most) b) x
JOIN relation r ON r.id = x.relation"""
_NAMES = "SELECT id, text FROM name WHERE id IN :entities"


def by_part(space: Space, connection: Connection, words: Iterable[str], *, groups: bool = True) -> dict[str, int]:
    """Of keys of single words those that are the first or last one of one person's name only, or of a group's, with that entity."""
    found: dict[str, int] = {}
    for word in dict.fromkeys(words):
        rows = fetch(connection, _BY_WORD, {"space": space.number, "word": word, "most": MANY + 1})
        named = [entity for (entity,) in rows] if len(rows) <= MANY else []
        kinds = {entity: kind_of(space, connection, entity) for entity in named}
        people = [entity for entity, kind in kinds.items() if kind == PERSON]
        if len(people) == 1 or (groups and list(kinds.values()) == [GROUP] and _all_capitals(connection, named[0])):
            found[word] = (people or named)[0]
    return found


def kind_of(space: Space, connection: Connection, entity: int) -> str | None:
    """`PERSON` if the memory says what is said of people only, or what may be said of them and nothing that may not.

    `GROUP` if it says something that is said of groups only.
    """
    said = fetch(connection, _SAID, {"entity": entity, "most": SAID})
    kinds = [space.ontology[relation].range if is_object else space.ontology[relation].domain for relation, is_object in said]
    declared = [some for some in kinds if some]
    if (PERSON,) in declared or (declared and all(PERSON in some for some in declared)):
        return PERSON
    return GROUP if any(GROUPS.issuperset(some) for some in declared) else None


def _all_capitals(connection: Connection, entity: int) -> bool:
    """Whether a canonical name is capitalised throughout, unlike "University of Oslo"."""
    ((_, spelt),) = fetch(connection, _NAMES, {"entities": [entity]})
    return all(word[:1].isupper() for word in spelt.split())


def meant(space: Space, connection: Connection, name: str) -> Iterator[int]:
    """The entities that a name may stand for where something is asked, the likeliest first: it, and the person or group it is a part of.

    Of these also the entities of the first and last word of the name, if they are of the same kind and nobody else has the word.
    """
    linked = linking.find_one(connection, space.number, name)
    if linked is not None:
        yield linked.entity
    word = addressed(name) if linked is None else key(name)
    if " " not in word:
        (whole,) = by_part(space, connection, [word]).values() or (None,)
        if whole is not None and (linked is None or (whole != linked.entity and _alike(space, connection, whole, linked.entity))):
            yield whole
            own = linked.entity if linked else None
            yield from (short for short in _shorter(space, connection, whole, _words(connection, whole)) if short != own)
    elif linked is not None:
        yield from _shorter(space, connection, linked.entity, ends(name) or ())


def _words(connection: Connection, entity: int) -> list[str]:
    """The first and last words of a canonical name."""
    ((_, spelt),) = fetch(connection, _NAMES, {"entities": [entity]})
    return list(ends(spelt) or ())


def _shorter(space: Space, connection: Connection, entity: int, words: Collection[str]) -> Iterator[int]:
    """What is called one of these words of a name and is of its kind, where nobody else's has the word."""
    its_own = [word for word, owner in by_part(space, connection, words).items() if owner == entity]
    for short in linking.find(connection, space.number, its_own).values():
        if short.entity != entity and _alike(space, connection, entity, short.entity):
            yield short.entity


def _alike(space: Space, connection: Connection, one: int, other: int) -> bool:
    """Whether both are people, or both are groups."""
    kind = kind_of(space, connection, one)
    return kind is not None and kind == kind_of(space, connection, other)


def mentions(space: Space, connection: Connection, passage: str) -> list[Mention]:
    """Known entities named in `passage`, from left to right; where none is, people and groups by a part of their name.

    Such a part has a capital; that of a person need not where nobody cares for capitals.
    """
    named = linking.mentions(connection, space.number, passage)
    written_small = passage == passage.lower()
    parts = [
        (word, start, end)
        for _, start, end in spans(passage)  # the longest first: "Captain Lund" before "Lund"
        if (written_small or passage[start].isupper())
        and all(end <= mention.start or start >= mention.end for mention in named)
        and " " not in (word := addressed(passage[start:end]))
    ]
    owners = by_part(space, connection, (word for word, _, _ in parts), groups=not written_small)
    canonical = dict(fetch(connection, _NAMES, {"entities": list(owners.values())})) if owners else {}
    for word, start, end in parts:
        if word in owners and all(end <= mention.start or start >= mention.end for mention in named):
            named.append(Mention(canonical[owners[word]], start, end))
    return sorted(named, key=lambda mention: mention.start)


def short_names(space: Space, names: Iterable[str]) -> list[str]:
    """Of the names of one person or group the parts by which nobody else is meant, as they are spelt there."""
    spelt = {key(word): word for name in names for word in name.replace("-", " ").split()}
    wanted = dict.fromkeys(word for name in names for word in ends(name) or ())
    with space.database.read() as connection:
        return [spelt[word] for word in by_part(space, connection, wanted) if word in spelt]


def others_meant(space: Space, connection: Connection, name: str, own: int | None) -> tuple[str, ...]:
    """Canonical names of what would answer for a name beside its own entity."""
    others = [entity for entity in meant(space, connection, name) if entity != own]
    canonical = dict(fetch(connection, _NAMES, {"entities": others})) if others else {}
    return tuple(canonical[entity] for entity in others)
