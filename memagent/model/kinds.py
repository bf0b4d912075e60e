"""What the spelling of a name says against the domain and range of a relation (`ontology.Relation`).

Little can be told from a name, so only what is certain is refused: the speaker is a person; nothing without a letter is a person, a
place or an animal; a date, a time, a number or an amount has a digit in it, or a word of the calendar, of the clock or of counting.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

from memagent.ontology import Relation

PERSON = "person"
SPELT = frozenset({PERSON, "place", "country", "animal", "language", "water"})  # kinds whose names have letters
MEASURED = frozenset({"date", "time", "number", "amount"})
_MEASURE = regex.compile(
    r"\p{N}|\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?|spring|summer|autumn|winter|today|tonight|yesterday"
    r"|tomorrow|noon|midnight|midday|(?:mid)?(?:day|week|month|year|decade|centur|hour|minute|second|morning|afternoon|evening|night)"
    r"(?:s|y|ies)?|weekends?|fortnights?|always|never|now|dawn|dusk|sunrise|sunset|christmas|easter|eve|half|quarter|dozens?|zero|one|two"
    r"|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teenth?|\w*(?:twen|thir|for|fif|six|seven|eigh|nine)ty\w*"
    r"|hundreds?|thousands?|millions?|billions?|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|none|few|many|several)\b",
    regex.IGNORECASE,
)  # fmt: skip


def may_be_subject(name: str, relation: Relation, speaker: str) -> bool:
    """Whether a name may be of a kind that the relation has on its left."""
    return _may_be(name, relation.domain, speaker)


def may_be_object(name: str, relation: Relation, speaker: str) -> bool:
    """Whether a name may be of a kind that the relation has on its right."""
    return _may_be(name, relation.range, speaker)


def _may_be(name: str, kinds: Sequence[str], speaker: str) -> bool:
    """No kinds: anything may be."""
    if not kinds or name == speaker:
        return not kinds or PERSON in kinds
    return any(_could_be(name, kind) for kind in kinds)


def _could_be(name: str, kind: str) -> bool:
    if kind in MEASURED:
        return _MEASURE.search(name) is not None
    return kind not in SPELT or any(letter.isalpha() for letter in name)
