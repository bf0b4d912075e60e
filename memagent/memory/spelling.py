"""Names as people spell them, and the normalised forms under which the store looks them up.

`key`   the same name written otherwise: case, accents, punctuation, white space, "the", dots of abbreviations.
        "The  Beatles" = "beatles", "Besançon" = "besancon", "U.S." = "US", "Skłodowska-Curie" = "Sklodowska Curie".
`loose` the same name with or without what is no part of it: titles, company forms, the order "Curie, Marie", spaces.
        "Dr. Ines Okafor" = "Ines Okafor", "Acme Inc." = "ACME", "J. R. Smith" = "J.R. Smith".
`first`, `last` words of the key of a name that has several, without a title: "Ines" and "Okafor" of both.

Digits and signs are never dropped: "Apollo 11" is not "Apollo 1-1", "-5" is not "5", "C++" is not "C".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from os.path import commonprefix

MAX_MENTION_WORDS = 10

_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "`": "'", "–": "-", "—": "-"}
)
_ACCENT = re.compile("[\u0300-\u036f]")
_ABBREVIATION = re.compile(r"(?<!\w)((?:[^\W\d_]\.){2,}|[^\W\d_](?:\.[^\W\d_])+)(?!\w)")
_PUNCTUATION = re.compile(r"""[\s_.,:;!?'"()\[\]{}/\\|«»„“”…·¿¡-]+""")
_PLAIN_PUNCTUATION = re.compile(r"""[\s_!?'"()«»„“”…]+|[,;](?=\s|$)|\.(?=\s|$)""")
_DIGIT = re.compile(r"\d")
_ARTICLE = re.compile(r"^(?:the|a|an) (?=\S)")
# A word to begin or end a mention at: no white space and no punctuation; each Chinese or Japanese character stands alone.
_WORD = re.compile(r"""[\u3040-\u30ff\u3400-\u9fff]|[^\s_.,:;!?'"’‘()\[\]{}/\\|«»„“”…·¿¡–—\u3040-\u30ff\u3400-\u9fff-]+|-(?=\d)""")
_TITLE = re.compile("(?:mr|mrs|ms|miss|mx|dr|prof|professor|doctor|sir|dame|lord|lady|madam|rev|reverend|phd|md|msc|mba|esq)$")
_ADDRESS = re.compile(  # before a last name, beside the titles
    "(?:captain|major|colonel|general|sergeant|lieutenant|commander|president|mayor|judge|senator|minister|chef|coach|inspector|detective"
    "|nurse|madame|monsieur|father|mother|sister|brother|aunt|auntie|uncle|grandma|grandpa|king|queen|prince|princess)$"
)
_GENERATION = re.compile("(?:jr|sr|ii|iii|iv)$")
_POSSESSIVE = re.compile(r"['’]s\b", re.IGNORECASE)
_FORM = re.compile("(?:inc|incorporated|corp|corporation|ltd|limited|llc|plc|gmbh|ag|co|company|sa|bv|nv|oy|ab|spa|srl)$")


@lru_cache(maxsize=65536)
def key(name: str) -> str:
    """The normalised form of `name`; never empty."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    folded = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", folded)))
    folded = _ABBREVIATION.sub(lambda found: found.group().replace(".", ""), folded)
    punctuation = _PLAIN_PUNCTUATION if _DIGIT.search(folded) else _PUNCTUATION
    plain = punctuation.sub(" ", folded).strip()
    return _ARTICLE.sub("", plain) or " ".join(folded.split()) or name


@lru_cache(maxsize=65536)
def loose(name: str) -> str:
    """The form without titles, company forms and spaces; equal to `key` for names with digits."""
    plain = key(name)
    if _DIGIT.search(plain):
        return plain
    if name.count(",") == 1 and len(plain.split()) <= 3:
        last, first = name.split(",")
        plain = key(f"{first} {last}") if not _FORM.match(key(last)) and not _FORM.match(key(first)) else plain
    words = plain.split()
    kept = [word for word in words if not _TITLE.match(word)]
    if len(kept) > 1 and _FORM.match(kept[-1]):
        kept = kept[:-1]
    # A title may be all there is to a name ("Doctor", "Lady"), and with one word left it may be another's: "Dr. Curie".
    if not kept or (len(kept) == 1 and len(kept) < len(words) and not _FORM.match(words[-1])):
        kept = words
    return "".join(kept)


def ends(name: str) -> tuple[str, str] | None:
    """The first and the last word of a name of several, without titles; None for one word, and for what is no proper name.

    That is what does not begin and end with a capital ("my sister"), belongs to somebody ("Anna's Mum"), or has digits.
    """
    plain, spelt = key(name), name.split()
    words = plain.split()
    kept = [word for word in words if not _TITLE.match(word) and not _GENERATION.match(word)]
    proper = len(words) > 1 and spelt[0][:1].isupper() and spelt[-1][:1].isupper() and not _POSSESSIVE.search(name)
    return (kept[0], kept[-1]) if kept and proper and not _DIGIT.search(plain) else None


def addressed(name: str) -> str:
    """The key of a name without the titles and forms of address that it begins with: "holm" of "Captain Holm"."""
    words = key(name).split()
    while len(words) > 1 and (_TITLE.match(words[0]) or _ADDRESS.match(words[0])):
        words = words[1:]
    return " ".join(words)


def forms(name: str) -> dict[str, str | None]:
    """All forms of a name, as the store keeps them beside it."""
    first, last = ends(name) or (None, None)
    return {"text": name, "key": key(name), "loose": loose(name), "first_word": first, "last_word": last}


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Every run of up to `MAX_MENTION_WORDS` words as (key, start, end), longest first at each place."""
    words = [found.span() for found in _WORD.finditer(text)]
    for place, (start, _) in enumerate(words):
        for _, end in reversed(words[place : place + MAX_MENTION_WORDS]):
            yield key(text[start:end]), start, end


def find_all(text: str, name: str) -> list[tuple[int, int]]:
    """Where `text` holds `name` as words of their own, whatever the case and the white space between."""
    words = r"\s+".join(map(re.escape, name.split()))
    before = r"(?<!\w)" if name[:1].isalnum() else ""
    after = r"(?!\w)" if name[-1:].isalnum() else ""
    return [found.span() for found in re.finditer(before + words + after, text, re.IGNORECASE)]


def numerals(name: str) -> list[str]:
    """The numbers in a name, in order: names that differ in them are different."""
    return re.findall(r"\d+", name)


def slips(one: str, other: str, most: int) -> int | None:
    """`edits`, or None if they are more than `most`: nearly all pairs are told apart by their lengths and letters."""
    same = len(commonprefix((one, other)))
    one, other = one[same:], other[same:]
    if same := len(commonprefix((one[::-1], other[::-1]))):
        one, other = one[:-same], other[:-same]
    if abs(len(one) - len(other)) > most or len(set(one) - set(other)) > most or len(set(other) - set(one)) > most:
        return None
    count = edits(one, other)
    return count if count <= most else None


def edits(one: str, other: str) -> int:
    """How many letters to add, drop or change to make one of the other; a column of the usual table at once (Myers, 1999)."""
    places: dict[str, int] = {}
    for place, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << place
    every, last = (1 << len(one)) - 1, 1 << len(one) >> 1
    up, down, count = every, 0, len(one)
    for letter in other:
        same = places.get(letter, 0)
        across = (((same & up) + up) ^ up) | same
        more, fewer = down | ~(across | up), up & across
        count += bool(more & last) - bool(fewer & last)
        more, fewer = more << 1 | 1, fewer << 1
        up, down = (fewer | ~(same | down | more)) & every, more & (same | down) & every
    return count if one else len(other)
