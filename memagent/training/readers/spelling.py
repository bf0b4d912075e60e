"""Text as people write it: tokens joined again, sentences cut, broken encodings mended.

Knows nothing about data sets. Offsets are characters; a span is (start, end), end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

Span = tuple[int, int]

_CLOSING = {*",.;:!?%)]}…’”º°'", "...", "n't", "n’t", *(mark + end for mark in "'’" for end in ("s", "S", "m", "d", "re", "ve", "ll"))}
_OPENING = {*"([{$£€“‘#"}
_QUOTES = {"``": '"', "`": "'", "--": "–"}
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def detokenise(tokens: Sequence[str]) -> tuple[str, list[Span]]:
    """The sentence as it was before it was cut into tokens, and where each token stands in it.

    Quotes open and close in turn, `-` and `/` join words, empty brackets vanish (their tokens get an empty span).
    """
    shown = _shown(tokens)
    text, spans, glued, open_quotes = "", [], True, set[str]()
    for i, token in enumerate(shown):
        left, right = _sides(shown, i, open_quotes)
        if token and text and not (glued or left):
            text += " "
        spans.append((len(text), len(text) + len(token)))
        text += token
        glued = right if token else glued
    return text, spans


def _shown(tokens: Sequence[str]) -> list[str]:
    """Each token as it will be written; "" for what is not."""
    shown = [" ".join(_QUOTES.get(token, token).replace("''", '"').split()) for token in tokens]
    for start, token in enumerate(shown):
        if token == "(" and ")" in shown[start:]:
            end = shown.index(")", start)
            if all(inner in ("", ";", ",", ":") for inner in shown[start + 1 : end]):
                shown[start : end + 1] = [""] * (end + 1 - start)
    return shown


def _sides(tokens: Sequence[str], i: int, open_quotes: set[str]) -> tuple[bool, bool]:
    """Whether the token clings to what stands left of it, and to what stands right."""
    token = tokens[i]
    if _opens_word(tokens, i):
        open_quotes.add("'")
    if token == '"' or (token == "'" and not _is_genitive(tokens, i, open_quotes)):
        closes = token in open_quotes
        open_quotes ^= {token}
        return closes, not closes
    if token in ("-", "/") or (token == "–" and tokens[i - 1][-1:].isdigit()):
        joins = 0 < i < len(tokens) - 1 and _joins(tokens, i)
        return joins, joins
    return token in _CLOSING, token in _OPENING


def _is_genitive(tokens: Sequence[str], i: int, open_quotes: set[str]) -> bool:
    """An apostrophe after a plural ("the governors' races"), not a quote."""
    return "'" not in open_quotes and i > 0 and tokens[i - 1][-1:] == "s" and tokens[i:].count("'") % 2 == 1


def _opens_word(tokens: Sequence[str], i: int) -> bool:
    """A quote that was left at its word ("'Tis", "'The ... '") and is closed later."""
    token = tokens[i]
    return token[:1] == "'" and token[1:2].isalpha() and token not in _CLOSING and "'" in tokens[i:]


def _joins(tokens: Sequence[str], i: int) -> bool:
    """Words and years are joined ("low-budget", "1999-2004"), the ends of whole dates are not."""
    before, after = tokens[i - 1], tokens[i + 1]
    if not (before[-1:].isalnum() or before[-1:] in ".)") or not after[:1].isalnum():
        return False
    if before.isdigit() and after.isdigit():
        return not ({*MONTHS} & {*tokens[max(i - 4, 0) : i], *tokens[i + 2 : i + 3]})
    return True


_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|Rev|Fr|Sr|Jr|St|Mt|Ft|Gen|Col|Capt|Cpt|Lt|Sgt|Maj|Adm|Cmdr|Gov|Sen|Rep|Hon|Pres|No|Nos|vs|v|cf|ca|c"
    r"|b|d|r|fl|approx|est|Inc|Ltd|Co|Corp|Bros|Pvt|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec|pp|p|vol|ed|eds|etc|lit|al)"
    r"|\b(?:[A-Za-z]\.)+[A-Za-z])\.$"
)
_BREAK = re.compile(r"(?<!\.\.)[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")


def sentences(text: str) -> list[Span]:
    """Where the sentences of a paragraph stand, without the white space around them."""
    cuts = [0]
    for found in _BREAK.finditer(text):
        if not _ABBREVIATION.search(text, max(0, found.start() - 12), found.start() + 1):
            cuts.append(found.end())
    cuts.append(len(text))
    spans = []
    for start, end in zip(cuts, cuts[1:], strict=False):
        piece = text[start:end]
        if piece.strip():
            spans.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
    return spans


_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\x80-\x9f]")
_TORN = re.compile(r"\s+(?=(?:'s|[,;:!?)])(?:\s|$))|(?<=\()\s+")
_EMPTY_BRACKETS = re.compile(r"\s*\((?:[A-Z][a-z]+:)?[\s,;:]*\)|(?<=\()(?:[A-Z][a-z]+:)?\s*[,;]\s*")


def mended(text: str) -> str:
    """UTF-8 that was once read as Latin-1 read aright; invisible characters, empty brackets and stray spaces gone."""
    if any("\x80" <= c <= "\xff" for c in text):
        with suppress(UnicodeError):
            text = text.encode("latin-1").decode("utf-8")
    return _TORN.sub("", " ".join(_EMPTY_BRACKETS.sub("", _INVISIBLE.sub("", text)).split()))
