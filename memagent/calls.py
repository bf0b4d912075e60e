r"""The text form of the calls by which a model writes to, or asks, the memory.

    write  = "({MEM_WRITE-->" [triple *(";" triple)] "})"
    triple = name ">>" name ">>" name
    read   = "({MEM_READ(" query *(";" query) ")-->" [answer *(";" answer)] "})"
    query  = name ">>" name ">>" | ">>" name ">>" name
    focus  = "({USER_ST})" text "({USER_END})"

A name may hold anything: the marks `({`, `-->`, `})`, `)-->`, `>>`, `;` and the backslash itself are escaped with a backslash
before their first character, so that `render` and `parse` are inverse for every name. This module knows nothing about
tokens: on that level the marks are tokens of their own (`model/marks.py`) and nothing needs escaping.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from memagent.errors import InvalidInput, MalformedCall
from memagent.triples import Query, Triple, check_name

Value = TypeVar("Value")

WRITE_OPEN = "({MEM_WRITE-->"
READ_OPEN = "({MEM_READ("
READ_ANSWER = ")-->"
CLOSE = "})"
SIDE = ">>"
NEXT = ";"
FOCUS_OPEN = "({USER_ST})"
FOCUS_CLOSE = "({USER_END})"
MAX_QUERIES = 3  # paper, section 3: at most three queries a call
MAX_ANSWERS = 30  # and thirty results

# The first character of every mark inside a name, and a last character that would make a mark with the one that follows.
_SPECIAL = re.compile(r"\\|;|\((?=\{)|\}(?=\)|$)|-(?=->|-$)|>(?=>|$)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def escape(name: str) -> str:
    """Write `name` so that no mark can be read in it."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), name)


def unescape(text: str) -> str:
    """The inverse of `escape`."""
    return _ESCAPED.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class WriteCall:
    """The triples that one focus sentence states, in their order; none is a call too."""

    triples: tuple[Triple, ...] = ()

    def render(self) -> str:
        """The call as text."""
        body = NEXT.join(SIDE.join(map(escape, (t.subject, t.relation, t.object))) for t in self.triples)
        return WRITE_OPEN + body + CLOSE


@dataclass(frozen=True, slots=True)
class ReadCall:
    """One to three queries, and the answers once the memory has given them (None before)."""

    queries: tuple[Query, ...]
    answers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.queries) <= MAX_QUERIES:
            raise InvalidInput(f"a read call has one to {MAX_QUERIES} queries, not {len(self.queries)}")
        if self.answers is not None:
            object.__setattr__(self, "answers", tuple(check_name(answer, "answer") for answer in self.answers))

    def render(self) -> str:
        """The call as text; without answers it stops where the memory is to answer."""
        text = READ_OPEN + NEXT.join(map(render_query, self.queries)) + READ_ANSWER
        if self.answers is None:
            return text
        return text + NEXT.join(map(escape, self.answers)) + CLOSE


def render_query(query: Query) -> str:
    """`S>>R>>` or `>>R>>O`."""
    return SIDE.join((escape(query.subject or ""), escape(query.relation), escape(query.object or "")))


def parse_query(text: str) -> Query:
    """Read `S>>R>>` or `>>R>>O`.

    Raises:
        MalformedCall: it has not two `>>`, or not exactly one empty side.
    """
    reader = _Reader(text)
    query = reader.query()
    reader.end()
    return query


def parse_write(text: str) -> WriteCall:
    """The inverse of `WriteCall.render`.

    Raises:
        MalformedCall: with the text and the position where it broke.
    """
    reader = _Reader(text)
    reader.expect(WRITE_OPEN)
    triples: list[Triple] = []
    if not reader.at(CLOSE):
        triples.append(reader.triple())
        while reader.take(NEXT):
            triples.append(reader.triple())
    reader.expect(CLOSE)
    reader.end()
    return WriteCall(tuple(triples))


def parse_read(text: str) -> ReadCall:
    """The inverse of `ReadCall.render`.

    Raises:
        MalformedCall: with the text and the position where it broke.
    """
    reader = _Reader(text)
    reader.expect(READ_OPEN)
    queries = [reader.query()]
    while reader.take(NEXT):
        queries.append(reader.query())
    reader.expect(READ_ANSWER)
    if len(queries) > MAX_QUERIES:
        raise reader.broken(f"more than {MAX_QUERIES} queries")
    if reader.at_end():
        return ReadCall(tuple(queries))
    answers: list[str] = []
    if not reader.at(CLOSE):
        answers.append(reader.answer())
        while reader.take(NEXT):
            answers.append(reader.answer())
    reader.expect(CLOSE)
    reader.end()
    return ReadCall(tuple(queries), tuple(answers))


class _Reader:
    """Reads a call from left to right; a position, no state beside it."""

    _name = re.compile(r"(?:\\.|(?!>>|;|\}\)|\)-->|\(\{|-->)[^\\])*", re.DOTALL)

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def broken(self, message: str) -> MalformedCall:
        return MalformedCall(message, text=self.text, position=self.position)

    def at(self, mark: str) -> bool:
        return self.text.startswith(mark, self.position)

    def at_end(self) -> bool:
        return self.position == len(self.text)

    def take(self, mark: str) -> bool:
        found = self.at(mark)
        self.position += len(mark) * found
        return found

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise self.broken(f"expected {mark!r}")

    def end(self) -> None:
        if not self.at_end():
            raise self.broken("unexpected text after the call")

    def side(self) -> str:
        found = self._name.match(self.text, self.position)
        assert found is not None  # the pattern matches the empty string
        self.position = found.end()
        return unescape(found.group())

    def name(self) -> str:
        start = self.position
        name = self.side()
        if not name.strip():
            self.position = start
            raise self.broken("a name is missing")
        return name

    def answer(self) -> str:
        start = self.position
        name = self.name()
        return self._legal(start, lambda: check_name(name, "answer"))

    def triple(self) -> Triple:
        start = self.position
        subject = self.name()
        self.expect(SIDE)
        relation = self.name()
        self.expect(SIDE)
        target = self.name()
        return self._legal(start, lambda: Triple(subject, relation, target))

    def query(self) -> Query:
        start = self.position
        subject = self.side()
        self.expect(SIDE)
        relation = self.name()
        self.expect(SIDE)
        target = self.side()
        return self._legal(start, lambda: Query(subject or None, relation, target or None))

    def _legal(self, start: int, make: Callable[[], Value]) -> Value:
        try:
            return make()
        except InvalidInput as error:
            self.position = start
            raise self.broken(str(error)) from error
