"""The phrasings of each relation, and which of them are kept from training.

A tenth of them, chosen by a hash of the sentence and therefore fixed, is held out, and what `held_out*.toml` add so that it is a tenth
of every relation: `evals` measures with it how well a model understands words that it was not taught.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent
OTHER_FILES = ("names.toml", "talk.toml", "kin.toml")  # not phrasings of relations
COMPOUNDS = "compounds_*.toml"  # sentences of several relations (`compounds.py`)
HELD_OUT = "held_out*.toml"
Split = Literal["train", "held out"]
NEVER_HELD_OUT = ("answers", "inverse_answers", "many_answers", "none_answers")  # what the model says, not what it reads


@dataclass(frozen=True, slots=True)
class Phrasings:
    """How one relation is stated, changed, denied and asked about; GRAMMAR.md beside this file explains each list.

    Slots: {s} subject, {o} object, {old} the former object, {a} an answer; {an x} and {on x} with article or preposition.
    A sentence about the speaker leaves the speaker's slot out.
    """

    statements: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    first_questions: tuple[str, ...] = ()
    inverse_questions: tuple[str, ...] = ()
    yes_no: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    inverse_answers: tuple[str, ...] = ()
    many_answers: tuple[str, ...] = ()
    none_answers: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    first_changes: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def held_out(sentence: str) -> bool:
    """Whether a phrasing is kept from training."""
    return sentence in _written_for_it() or hashlib.sha256(sentence.encode()).digest()[0] % 10 == 0


@lru_cache(maxsize=1)
def _written_for_it() -> frozenset[str]:
    tables = (table for path in FOLDER.glob(HELD_OUT) for table in lists(path.name).values())
    return frozenset(sentence for table in tables for sentences in table.values() for sentence in sentences)


def _chosen(table: dict[str, list[str]], split: Split) -> Phrasings:
    lists: dict[str, tuple[str, ...]] = {}
    for name in (f.name for f in fields(Phrasings)):
        sentences = table.get(name, [])
        if name not in NEVER_HELD_OUT:
            sentences = [s for s in sentences if held_out(s) == (split == "held out")]
        lists[name] = tuple(sentences)
    return Phrasings(**lists)


def _merge(tables: dict[str, dict[str, list[str]]], more: dict[str, dict[str, list[str]]]) -> None:
    """Add the lists of one file; a relation may stand in several."""
    for relation, lists_ in more.items():
        for name, sentences in lists_.items():
            known = tables.setdefault(relation, {}).setdefault(name, [])
            known += [s for s in sentences if s not in known]


@lru_cache(maxsize=2)
def phrasings(split: Split = "train") -> dict[str, Phrasings]:
    """The phrasings of every relation, by its name."""
    return {relation: _chosen(table, split) for relation, table in all_phrasings().items()}


def all_phrasings() -> dict[str, dict[str, list[str]]]:
    """The lists of every relation as they are written, of both splits."""
    tables: dict[str, dict[str, list[str]]] = {}
    for file in sorted(FOLDER.glob("*.toml")):
        if file.name not in OTHER_FILES and not file.match(COMPOUNDS):
            _merge(tables, tomllib.loads(file.read_text(encoding="utf-8")))
    return tables


@lru_cache(maxsize=16)
def lists(file: str) -> dict[str, Any]:
    """The lists of one file as they are written."""
    return tomllib.loads((FOLDER / file).read_text(encoding="utf-8"))
