"""Text into passages, and passages into focus sentences with what precedes them.

A passage is a paragraph (or a message); a focus sentence is one sentence of it, the unit of a write call. Offsets are characters
of the passage. Splitting is by rules for Western punctuation; initials, titles and usual abbreviations do not end a sentence. A question
and a few words after it ("Where was she born? In Oslo.") are one focus: neither says anything alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_FOCUS = 400  # characters; a longer sentence is cut at a comma or space, so that a call stays within the model's reach
REPLY_WORDS = 6  # the most that a reply has which belongs to the question before it
_BOUNDARY = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+")
_PLAIN_WORD = re.compile(r"(?:\b[a-z]{3,}|[!?])[.!?…)\]]*$")  # after it even a small letter begins a sentence, as people type in a chat
_NO_END = re.compile(
    r"\b(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|Sr|Jr|Gen|Col|Sgt|Capt|Lt|Rev|Hon|Gov|Sen|vs|etc|e\.g|i\.e|cf|approx|ca|Mt|Ft|Ave|Blvd|Dept|Univ"
    r"|b|d|a\.m|p\.m)\.$"
)
_NUMBERED = re.compile(r"\b(?:No|Nr|Vol|Fig)\.$")  # no end before a number


@dataclass(frozen=True, slots=True)
class Focus:
    """One sentence of a passage: `passage[start:end] == text`; `context` are the sentences before it, oldest first."""

    text: str
    passage: str
    start: int
    end: int
    context: tuple[str, ...] = ()


def passages(text: str) -> Iterator[str]:
    """The paragraphs of a text."""
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        if part.strip():
            yield part.strip()


def sentences(passage: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence, without outer white space; of a question with the few words that reply to it."""
    asked: tuple[int, int] | None = None
    for start, end in _sentences(passage):
        text = passage[start:end]
        if asked and not text.endswith("?") and len(text.split()) <= REPLY_WORDS:
            yield asked[0], end
            asked = None
            continue
        if asked:
            yield asked
        asked = (start, end) if text.endswith("?") else None
        if not asked:
            yield start, end
    if asked:
        yield asked


def _sentences(passage: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _BOUNDARY.finditer(passage):
        end = found.end()
        if not found.group().startswith("\n") and _goes_on(passage[start:end], passage[end:].lstrip()[:1]):
            continue
        yield from _pieces(passage, start, end)
        start = end
    yield from _pieces(passage, start, len(passage))


def _goes_on(so_far: str, following: str) -> bool:
    """Whether a full stop ends an abbreviation rather than the sentence."""
    if _NO_END.search(so_far) or (following.isdigit() and _NUMBERED.search(so_far)):
        return True
    return following.islower() and not _PLAIN_WORD.search(so_far)


def _pieces(passage: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch without white space around it, in pieces of at most `MAX_FOCUS` characters."""
    while start < end:
        start += len(passage[start:end]) - len(passage[start:end].lstrip())
        stop = min(end, start + MAX_FOCUS)
        if stop < end:
            cut = max(passage.rfind(", ", start, stop), passage.rfind("; ", start, stop))
            space = passage.rfind(" ", start, stop)
            stop = cut + 1 if cut > start else space if space > start else stop
        text = passage[start:stop].rstrip()
        if text:
            yield start, start + len(text)
        start = stop


def focus_sentences(passage: str, before: tuple[str, ...] = (), reach: int = 3) -> Iterator[Focus]:
    """Each sentence with up to `reach` sentences before it; `before` are those that precede the passage."""
    said = list(before)
    for start, end in sentences(passage):
        yield Focus(passage[start:end], passage, start, end, tuple(said[-reach:]))
        said.append(passage[start:end])
