"""What an agent asks of a language model, and a scripted one for tests.

A model never sees the store: the nodes of the graph give it text, the names that are known, and the queries that the memory
could answer. Conversations are lists of token ids of the model's own; a node only keeps them and appends what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from memagent.calls import ReadCall
from memagent.triples import SPEAKER, Query, Triple


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A focus sentence to be written: `context` are the sentences before it, `known` the entities that these named.

    `speaker` is who says it (empty: running text); a call may name spans of the focus, the known entities and the speaker. `living` says of
    names of the context whether they are people or animals, as far as that is known: "He" is no town.
    """

    focus: str
    context: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    speaker: str = ""
    living: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model put down next: `ids` to be appended, either a call that waits for its answers or text that ends the turn.

    `asked_in_vain` says that the model wanted to ask for something that the memory cannot answer.
    """

    ids: tuple[int, ...]
    text: str = ""
    call: ReadCall | None = None
    confidence: float = 1.0
    asked_in_vain: bool = False


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """A turn to be gone on with: the ids so far, the queries that the memory could answer, those that were asked, the latest answers.

    `question` is what the user said last; `entities` are the names about which anything may be asked; `thread` names the
    cache that may be reused.
    """

    ids: tuple[int, ...]
    question: str = ""
    askable: tuple[Query, ...] = ()
    entities: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    speaker: str = SPEAKER
    thread: str = ""
    asked: tuple[Query, ...] = ()


class LanguageModel(Protocol):
    """A model that writes to the memory and asks it."""

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Ids of a conversation, (speaker, text) each, up to where the assistant is to speak."""

    def write(self, request: WriteRequest) -> list[Triple]:
        """The triples that the focus states, in order, each with its confidence."""

    def draft(self, request: DraftRequest) -> Draft:
        """The next read call, or the rest of the turn."""

    def answered(self, answers: Sequence[str]) -> list[int]:
        """Ids of what the memory answers, and of the call's end."""


class ScriptedModel:
    """Deterministic: writes what a table says of a sentence, asks what another says of a question.

    Its ids are code points. A question in `queries` asks its queries in order as far as the memory can answer them, then says the
    answers; anything else gets `reply`.
    """

    def __init__(
        self,
        triples: Mapping[str, Sequence[Triple]] | None = None,
        queries: Mapping[str, Sequence[Query]] | None = None,
        reply: str = "Noted.",
        unknown: str = "I don't know.",
    ) -> None:
        self.triples = dict(triples or {})
        self.queries = dict(queries or {})
        self.reply = reply
        self.unknown = unknown

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """One line a turn."""
        return _points("".join(f"{speaker}: {text}\n" for speaker, text in turns))

    def write(self, request: WriteRequest) -> list[Triple]:
        """What the table says."""
        return list(self.triples.get(request.focus, ()))

    def draft(self, request: DraftRequest) -> Draft:
        """The first query that has not been asked and can be answered, or the reply."""
        text = "".join(map(chr, request.ids))
        question, _, asked = text.rpartition(f"{SPEAKER}: ")[2].partition("\n")
        planned = self.queries.get(question)
        if planned is None:
            return Draft(tuple(_points(self.reply)), self.reply)
        step = asked.count("})")
        if step < len(planned) and planned[step] in request.askable:
            call = ReadCall((planned[step],))
            return Draft(tuple(_points(call.render())), call=call)
        said = ", ".join(request.answers) + "." if step == len(planned) and request.answers else self.unknown
        return Draft(tuple(_points(said)), said, asked_in_vain=said == self.unknown)

    def answered(self, answers: Sequence[str]) -> list[int]:
        """As in the text form of a call."""
        return _points(";".join(answers) + "})")


def _points(text: str) -> list[int]:
    return [ord(c) for c in text]
