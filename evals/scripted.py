"""An agent without a model, for the tests of the suites: what it writes and asks stands in two tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from evals.bench import Talker
from memagent import Match, MemagentError, Query, ReadCall, Reply, Triple

UNKNOWN = "I don't know."


@dataclass
class ScriptedTalker:
    """Writes `statements[text]`, answers `questions[text]` from what it wrote; a text in `refused` is an error."""

    statements: Mapping[str, Sequence[Triple]] = field(default_factory=dict)
    questions: Mapping[str, Query] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    stored: list[Triple] = field(default_factory=list)

    @contextmanager
    def fresh(self) -> Iterator[Talker]:
        """Another one with the same tables and an empty memory."""
        yield ScriptedTalker(self.statements, self.questions, self.refused)

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
        matches = tuple(self._matches(query))
        text = ", ".join(match.answer for match in matches) or UNKNOWN
        return Reply(text, bool(matches), (ReadCall((query,)),), matches)

    def remember(self, text: str, *, speaker: str | None = None, source: str = "text") -> list[Triple]:
        """Write what the table says."""
        if text in self.refused:
            raise MemagentError("refused")
        written = list(self.statements.get(text, ()))
        self.stored += written
        return written

    def forget(self, what: str) -> None:
        """Drop every triple that names it."""
        self.stored = [triple for triple in self.stored if what not in (triple.subject, triple.object)]

    def _matches(self, query: Query) -> Iterator[Match]:
        for triple in self.stored:
            if triple.relation == query.relation and query.known in (triple.subject, triple.object):
                yield Match(triple, 1.0, triple.object if query.subject else triple.subject)
