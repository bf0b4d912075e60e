"""An agent without a model, for the tests of the suites: what it writes and asks stands in two tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from evals.bench import Talker
from memagent import Match, MemagentError, Query, ReadCall, Reply, Triple
from memagent.model.seam import LanguageModel, ScriptedModel

UNKNOWN = "I don't know."


@dataclass
class ScriptedMemory:
    """Triples in a list; nothing follows from them."""

    stored: list[Triple] = field(default_factory=list)

    def add(self, triples: Iterable[Triple]) -> list[Triple]:
        """Store them."""
        added = list(triples)
        self.stored += added
        return added

    def match(self, query: Query) -> list[Match]:
        """Those with this relation and this name."""
        fitting = [t for t in self.stored if t.relation == query.relation and query.known in (t.subject, t.object)]
        return [Match(triple, 1.0, triple.object if query.subject else triple.subject) for triple in fitting]


@dataclass
class ScriptedTalker:
    """Writes `statements[text]`, answers `questions[text]` from what it wrote; a text in `refused` is an error."""

    statements: Mapping[str, Sequence[Triple]] = field(default_factory=dict)
    questions: Mapping[str, Query] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    memory: ScriptedMemory = field(default_factory=ScriptedMemory)
    model: LanguageModel = field(default_factory=ScriptedModel)

    @contextmanager
    def fresh(self, **_: Any) -> Iterator[Talker]:
        """Another one with the same tables and an empty memory."""
        yield replace(self, memory=ScriptedMemory())

    @contextmanager
    def beside(self, namespace: str) -> Iterator[Talker]:
        """The same, for there is nothing to share."""
        yield replace(self, memory=ScriptedMemory())

    def reply(self, text: str, *, thread: str = "default", speaker: str | None = None) -> Reply:
        """Write and answer."""
        written = tuple(self.remember(text))
        answer = self.ask(text)
        return Reply(answer.text, answer.known, answer.calls, answer.matches, written)

    def ask(self, question: str) -> Reply:
        """The names that fit, separated by commas."""
        query = self.questions.get(question)
        if query is None:
            return Reply("Noted.")
        matches = tuple(self.memory.match(query))
        text = ", ".join(match.answer for match in matches) or UNKNOWN
        return Reply(text, bool(matches), (ReadCall((query,)),), matches)

    def remember(self, text: str, *, speaker: str | None = None, source: str = "text") -> list[Triple]:
        """Write what the table says."""
        if text in self.refused:
            raise MemagentError("refused")
        return self.memory.add(self.statements.get(text, ()))

    def forget(self, what: str) -> None:
        """Drop every triple that names it."""
        self.memory.stored = [triple for triple in self.memory.stored if what not in (triple.subject, triple.object)]
