"""What the spelling of a name says against the domain and range of a relation (`ontology.Relation`).

Little can be told from a name, so only what is certain is refused: the speaker is a person, and nothing without a letter is a person,
a place or an animal. What words mean is the model's to know.
"""

from __future__ import annotations

from collections.abc import Sequence

from memagent.ontology import Relation

PERSON = "person"
ALIVE = frozenset({PERSON, "animal"})
SPELT = frozenset({PERSON, "place", "country", "animal", "language", "water"})  # kinds whose names have letters


def may_be_subject(name: str, relation: Relation, speaker: str) -> bool:
    """Whether a name may be of a kind that the relation has on its left."""
    return _may_be(name, relation.domain, speaker)


def may_be_object(name: str, relation: Relation, speaker: str) -> bool:
    """Whether a name may be of a kind that the relation has on its right."""
    return _may_be(name, relation.range, speaker)


def lives(kinds: Sequence[str]) -> bool | None:
    """Whether what is of one of these kinds lives; None where some do and others do not, or nothing is said."""
    alive = ALIVE.intersection(kinds)
    return None if not kinds or 0 < len(alive) < len(set(kinds)) else bool(alive)


def may_live(living: bool | None, kinds: Sequence[str]) -> bool:
    """Whether what lives, or does not (None: nobody knows), may be of one of these kinds."""
    return living is None or lives(kinds) in (None, living)


def _may_be(name: str, kinds: Sequence[str], speaker: str) -> bool:
    """No kinds: anything may be."""
    if not kinds or name == speaker:
        return not kinds or PERSON in kinds
    return any(_could_be(name, kind) for kind in kinds)


def _could_be(name: str, kind: str) -> bool:
    return kind not in SPELT or any(letter.isalpha() for letter in name)
