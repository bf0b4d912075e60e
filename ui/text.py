"""Text that people or the memory supplied, made safe to stand in Markdown: shown letter by letter, never obeyed."""

from __future__ import annotations

import re

from memagent import Provenance, Triple

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+\-.!|<>~$&:@/\"']")
_LINE_START = re.compile(r"^[ \t]+", re.MULTILINE)


def escape(text: str) -> str:
    """`text` as Markdown that shows exactly it: no emphasis, link, image, HTML or formula, and its own line breaks."""
    flat = _LINE_START.sub("", text)  # four blanks would make a code block
    return _MARKUP.sub(lambda found: f"&#{ord(found.group())};", flat)


def shortened(text: str, length: int) -> str:
    """`text`, or its beginning with an ellipsis: at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def in_words(triple: Triple) -> str:
    """A triple as a line of Markdown."""
    return f"**{escape(triple.subject)}** – {escape(triple.relation)} – **{escape(triple.object)}**"


def sentence(provenance: tuple[Provenance, ...]) -> str:
    """The sentence that a triple was read in, as it stands there; empty if it came without one."""
    if not provenance:
        return ""
    newest = provenance[-1]
    return (newest.passage[newest.start : newest.end] or newest.passage).strip()
