"""Whether a text is worded like a template of the training grammar: if so, it tests new names but not new words.

The conversations were written without the grammar, but thousands of templates cover most of the plain ways to say or
ask something. The chat suite therefore gives a row of its own for conversations in which some turn has no such template.
Knows only that templates are strings with `{slots}`, not how the grammar files are built.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

SLOT = re.compile(r"\{[^}]*\}")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
SLOT_WORDS = r"\S+(?: \S+){0,3}"  # a name or phrase of at most four words
END = ".!? "


@dataclass(frozen=True, slots=True)
class Templates:
    """Templates, each with its longest literal part, by which it is found."""

    by_literal: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, templates: Iterable[str]) -> Templates:
        """Those of the strings that have a slot."""
        plain = {template.casefold().strip(END) for template in templates if SLOT.search(template)}
        literals = ((max(SLOT.split(template), key=len), template) for template in sorted(plain))
        return cls(tuple((literal, template) for literal, template in literals if literal.strip()))

    def cover(self, text: str) -> bool:
        """Whether every sentence of the text can be made from a template."""
        return all(self._covers(sentence.casefold().strip(END)) for sentence in SENTENCE_END.split(text))

    def _covers(self, sentence: str) -> bool:
        return any(literal in sentence and re.fullmatch(_pattern(template), sentence) for literal, template in self.by_literal)


@lru_cache(maxsize=1)
def training_templates() -> Templates:
    """All templates of the grammar that comes with the package."""
    folder = files("memagent.training") / "grammar"
    tables = (tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name.endswith(".toml"))
    return Templates.of(text for table in tables for text in texts(table))


def texts(value: Any) -> Iterator[str]:
    """All strings in a value of TOML or JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def _pattern(template: str) -> str:
    return SLOT_WORDS.join(map(re.escape, SLOT.split(template)))
