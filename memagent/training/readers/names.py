"""Finding a name of a knowledge base in running text, as it is spelt there.

Case, accents, punctuation and spaces do not count; brackets and what follows a comma may be missing; dates are
found in the usual notations, a whole date by its year alone if need be; a person by the last name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from memagent.training.readers.spelling import MONTHS, Span

_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)")
_WRITTEN = re.compile(rf"(?P<day>\d\d?) (?P<month>{'|'.join(MONTHS)}) (?P<year>\d{{4}})")
_DECIMAL = re.compile(r"(\d+)\.0+")
_ALIASES = {
    "United States": ("United States of America", "U.S.A.", "USA", "U.S.", "US", "American"),
    "United Kingdom": ("U.K.", "UK", "Great Britain", "British"),
    "Soviet Union": ("USSR", "U.S.S.R."),
}
_TITLES = {"Mr", "Mrs", "Ms", "Dr", "Sir", "Lady", "Lord", "King", "Queen", "Prince", "Princess", "President", "Professor", "General"}
MIN_SURNAME = 4  # characters; shorter last names are found in too many other words


def find_name(text: str, name: str, *, person: bool = False) -> str | None:
    """The name as `text` spells it, or None."""
    for spelling in spellings(name):
        span = find_span(text, spelling)
        if span is not None:
            return text[slice(*span)]
    return _surname(text, name) if person else None


def find_span(text: str, spelling: str) -> Span | None:
    """Where a name stands in the text, whole words only, whatever the case, accents and punctuation."""
    exact = re.search(rf"(?<!\w){re.escape(spelling)}(?!\w)", text)
    if exact:
        return exact.span()
    letters, places = _squashed(text)
    wanted, _ = _squashed(spelling)
    start = letters.find(wanted) if wanted else -1
    while start >= 0:
        first, last = places[start], places[start + len(wanted) - 1]
        if not text[first - 1 : first].isalnum() and not text[last + 1 : last + 2].isalnum():
            return first, last + 1
        start = letters.find(wanted, start + 1)
    return None


@lru_cache(maxsize=256)
def _squashed(text: str) -> tuple[str, list[int]]:
    """Only letters and digits, without case and accents, and where each came from."""
    letters, places = [], []
    for i, char in enumerate(text):
        for letter in unicodedata.normalize("NFKD", char.casefold()):
            if letter.isalnum():
                letters.append(letter)
                places.append(i)
    return "".join(letters), places


def spellings(name: str) -> Iterator[str]:
    """The ways to write a name, the fullest first."""
    date = _ISO.fullmatch(name) or _WRITTEN.fullmatch(name)
    if date:
        yield from _dates(int(date["year"]), date["month"], int(date["day"]))
        return
    yield name
    yield from _ALIASES.get(name, ())
    plain = re.sub(r"\s*\([^()]*\)$", "", name)
    number = _DECIMAL.fullmatch(plain)
    if number:
        yield number[1]
    for shorter in (plain, plain.partition(", ")[0], plain.removeprefix("The ")):
        if shorter != name and len(shorter) > 1:
            yield shorter
    if plain.endswith((" people", "s")):
        yield plain.removesuffix(" people").removesuffix("s")
    elif plain[:1].islower():
        yield plain + "s"


def _dates(year: int, month: str, day: int) -> Iterator[str]:
    number = int(month) if month.isdigit() else MONTHS.index(month) + 1
    long = MONTHS[number - 1]
    ordinal = f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
    for written in (str(day), ordinal):
        for spelt in (long, long[:3]):
            yield from (f"{written} {spelt} {year}", f"{spelt} {written} {year}")
            yield from (f"{written} of {spelt} {year}", f"{spelt} the {written} {year}")
    yield f"{year}-{number:02}-{day:02}"
    for short in (year, f"{year % 100:02}"):
        yield from (f"{day}/{number}/{short}", f"{day:02}/{number:02}/{short}", f"{number}/{day}/{short}", f"{number:02}/{day:02}/{short}")
    yield from (f"{long} {year}", str(year))


def _surname(text: str, name: str) -> str | None:
    words = name.split()
    if len(words) < 2 or len(words[-1]) < MIN_SURNAME or not words[-1][:1].isupper():
        return None
    for found in re.finditer(rf"(?:(\w+)[.]? )?\b({re.escape(words[-1])})\b", text):
        before = found[1] or ""
        if not before[:1].isupper() or before in _TITLES:
            return found[2]
    return None
