"""People by a part of their name: told of "Anna Lund", the memory is asked about "Anna".

For reading only, and only people: "Oslo" is no short form of "University of Oslo". Who is a person is known from what the memory says of
them: they live somewhere, or are somebody's sister. A part that two people share names neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection

from memagent.memory import linking
from memagent.memory.database import chunks, fetch
from memagent.memory.space import Space
from memagent.memory.spelling import ends, key, spans
from memagent.memory.values import Mention

PERSON = "person"
MANY = 20  # entities with a word in common, of which it is not looked up which are people: it will not be one alone

_BY_WORD = """
SELECT n.first_word, c.id, c.text FROM name n JOIN name c ON c.id = n.entity WHERE n.namespace = :space AND n.first_word IN :words
UNION
SELECT n.last_word, c.id, c.text FROM name n JOIN name c ON c.id = n.entity WHERE n.namespace = :space AND n.last_word IN :words"""
_SAID = """
SELECT DISTINCT n.entity, r.name, 0 FROM name n JOIN triple t ON t.subject = n.id JOIN relation r ON r.id = t.relation
WHERE n.entity IN :entities AND t.retracted_at IS NULL
UNION
SELECT DISTINCT n.entity, r.name, 1 FROM name n JOIN triple t ON t.object = n.id JOIN relation r ON r.id = t.relation
WHERE n.entity IN :entities AND t.retracted_at IS NULL"""


def by_part(space: Space, connection: Connection, words: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Of keys of single words those that are the first or last one of one person's name only: the entity and its canonical name."""
    found: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for some in chunks(words):
        for word, entity, canonical in fetch(connection, _BY_WORD, {"space": space.number, "words": some}):
            found[word][entity] = canonical
    few = {word: named for word, named in found.items() if len(named) <= MANY}
    people = _people(space, connection, {entity for named in few.values() for entity in named})
    persons = {word: [(entity, name) for entity, name in named.items() if entity in people] for word, named in few.items()}
    return {word: one for word, (one, *others) in ((word, each) for word, each in persons.items() if each) if not others}


def meant(space: Space, connection: Connection, name: str) -> list[int]:
    """The entities that a name may stand for where something is asked, the likeliest first: it, and the person of whom it is a part.

    Of a person's whole name also the entity of its first or last word, if that is a person's and nobody else has the word.
    """
    linked = linking.find_one(connection, space.number, name)
    words = {key(name)} if " " not in key(name) else set(ends(name) or ())
    of_part = by_part(space, connection, words)
    if linked is None:
        return [entity for word, (entity, _) in of_part.items() if word == key(name)]
    if key(name) in of_part:
        return list(dict.fromkeys([linked.entity, of_part[key(name)][0]]))
    shorter = linking.find(connection, space.number, [word for word, (entity, _) in of_part.items() if entity == linked.entity])
    people = _people(space, connection, {short.entity for short in shorter.values()})
    return list(dict.fromkeys([linked.entity, *(short.entity for short in shorter.values() if short.entity in people)]))


def mentions(space: Space, connection: Connection, passage: str) -> list[Mention]:
    """Known entities named in `passage`, from left to right; where none is, people by a part of their name.

    Such a part has a capital, unless nobody cares for capitals here.
    """
    named = linking.mentions(connection, space.number, passage)
    written_small = passage == passage.lower()
    parts = [
        (word, start, end)
        for word, start, end in spans(passage)
        if " " not in word
        and (written_small or passage[start].isupper())
        and all(end <= mention.start or start >= mention.end for mention in named)
    ]
    people = by_part(space, connection, {word for word, _, _ in parts})
    named += [Mention(people[word][1], start, end) for word, start, end in parts if word in people]
    return sorted(named, key=lambda mention: mention.start)


def _people(space: Space, connection: Connection, entities: Iterable[int]) -> set[int]:
    """Those of whom the memory says what is said of people only, or what may be and nothing that may not."""
    wanted = list(entities)
    kinds: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    for entity, relation, is_object in fetch(connection, _SAID, {"entities": wanted}) if wanted else ():
        kinds[entity].append(space.ontology[relation].range if is_object else space.ontology[relation].domain)
    return {entity for entity, every in kinds.items() if (PERSON,) in every or all(PERSON in some for some in every)}
