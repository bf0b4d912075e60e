"""Sentences of two to four facts, from templates whose slots say who has which relation to whom (`compounds_*.toml`).

A slot is a path from the subject `{s}` (in a template without one: from the speaker) along relations:

    {employer}          an object of the subject          {boss/vehicle}     the vehicle of the boss
    {hobby#2}           another object                    {~author}          what the subject is the author of
    {s2}                a second subject                  {s2/age}           an object of it
    {employer@s2}       an object of both; `@I`: of the speaker too

Each slot but the subjects makes one triple, that with `@` two. "an" or "on" before the path is an article or a preposition, as in all
phrasings. A tenth of the templates is held out, by the same hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from memagent.training.grammar.engine import Fact, Grammar, Told, capital, slotted
from memagent.training.grammar.names import Name
from memagent.training.grammar.phrasings import COMPOUNDS, FOLDER, Split, held_out, lists
from memagent.triples import SPEAKER, Triple

ANCHORS = ("s", "s2")
TRIES = 12  # draws of a name, until one comes that fits the sentence
_SLOT = re.compile(r"\{(?:(an|a|on) )?([^{}]+)\}")


@lru_cache(maxsize=2)
def compounds(split: Split = "train") -> dict[str, tuple[str, ...]]:
    """The templates of one split: `third` with a subject, `first` about the speaker."""
    files = [lists(path.name) for path in sorted(FOLDER.glob(COMPOUNDS))]
    return {
        person: tuple(t for file in files for t in file.get(person, []) if held_out(t) == (split == "held out"))
        for person in ("third", "first")
    }


def compound(grammar: Grammar, template: str, speaker: str = SPEAKER) -> Told:
    """The template filled: every slot is a name of its own, and the triples come in the order of the sentence."""
    scene = _Scene(grammar, [path for _, path in _SLOT.findall(template)], speaker)
    text = capital(template, _SLOT.sub(lambda found: slotted(found[1], scene.name(found[2]).text), template))
    triples = tuple(
        grammar.triple(fact, text) if fact.subject != scene.speaker else _of(speaker, grammar.triple(fact, text)) for fact in scene.facts
    )
    return Told(text, triples, tuple(scene.facts), about_speaker="s" not in scene.paths)


def _of(speaker: str, triple: Triple) -> Triple:
    return Triple(speaker, triple.relation, triple.object)


class _Scene:
    """The names of one sentence and the facts between them, drawn as its slots are read."""

    def __init__(self, grammar: Grammar, paths: Sequence[str], speaker: str) -> None:
        self.grammar = grammar
        self.paths = paths
        self.speaker = Name.plain(speaker, kind="person")
        self.facts: list[Fact] = []
        self._names: dict[str, Name] = {}

    def name(self, path: str) -> Name:
        """The name at the end of a path; at its first mention it becomes a fact, with `@` two."""
        path, _, also = path.partition("@")
        if path not in self._names:
            self._names[path] = self._subject(path) if path in ANCHORS else self._along(path)
            if also:
                other = self.speaker if also == "I" else self.name(also)
                self.facts.append(replace(self.facts[-1], subject=other))
        return self._names[path]

    def _subject(self, anchor: str) -> Name:
        """Somebody or something that can have all that is said of it; the second subject is of the kind of the first."""
        steps = [step for path in self.paths if path not in ANCHORS and "/" not in (step := path.removeprefix("s2/"))]
        beside = self._names.get("s")
        if beside and anchor == "s2" or "s" not in self.paths:
            kind = beside.kind if beside else "person"
            return self._fresh(lambda: self.grammar.names.of(kind))
        if not steps:
            return self._fresh(lambda: self.grammar.subject("name"))
        kinds = frozenset.intersection(*(self.grammar.kinds(_relation(step), backwards=step.startswith("~")) for step in steps))
        side = self.grammar.object if steps[0].startswith("~") else self.grammar.subject
        return self._fresh(lambda: side(_relation(steps[0])), kinds)

    def _along(self, path: str) -> Name:
        before, _, step = path.rpartition("/")
        known = self.name(before) if before else self.name("s") if "s" in self.paths else self.speaker
        relation = _relation(step)
        if step.startswith("~"):
            found = self._fresh(lambda: self.grammar.subject(relation))
            self.facts.append(Fact(found, relation, known))
        else:
            found = self._fresh(lambda: self.grammar.object(relation, known.kind))
            self.facts.append(Fact(known, relation, found))
        return found

    def _fresh(self, draw: Callable[[], Name], kinds: Collection[str] = ()) -> Name:
        """A name of which no other of the sentence is a part, and of one of these kinds, if any is named."""
        for _ in range(TRIES):
            name = draw()
            if (name.kind in kinds or not kinds) and not any(_nested(name, other) for other in self._names.values()):
                break
        return name


def _nested(one: Name, other: Name) -> bool:
    """Whether one of them is a part of the other."""
    here, there = one.name.casefold(), other.name.casefold()
    return here in there or there in here


def _relation(step: str) -> str:
    """The relation of one step."""
    return step.partition("@")[0].partition("#")[0].removeprefix("~")
