"""`memory_read` and `memory_write`: the memory as two LangChain tools.

                 with a Memory                             with an Agent
memory_read      a query, or its sides one by one          the same, or a question in plain words
memory_write     triples                                   the user's sentence, which the local model turns into triples

The tool message's content is short text for the chat model, its artifact plain JSON for programs. What goes wrong comes back
to the chat model as one line. Async calls run the same code in a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, ValidationError

from memagent.agent import Agent
from memagent.agent.events import TriplesWritten, WriteRejected
from memagent.calls import SIDE, parse_query
from memagent.errors import InvalidInput, MemagentError
from memagent.memory import Memory
from memagent.plugin.showing import Document, error_line, match_document, match_line, one_line, triple_document, triple_line
from memagent.plugin.source import NamespaceOf, Source, checked, in_context, memory_of
from memagent.triples import Match, Provenance, Query, Triple

SHOWN = 20  # lines of one tool message; the artifact has all
UNKNOWN = "The memory knows nothing about that."
NOTHING = "That states nothing to remember."

Outcome = tuple[str, Document]


class ReadArguments(BaseModel):
    """What `memory_read` takes with a memory alone."""

    model_config = ConfigDict(extra="forbid")

    query: str | None = Field(None, description="SUBJECT>>RELATION>> asks for objects, >>RELATION>>OBJECT for subjects")
    subject: str | None = Field(None, description="instead of a query: the subject; alone, everything known about it")
    relation: str | None = Field(None, description="instead of a query: the relation, such as 'residence'")
    object: str | None = Field(None, description="instead of a query: the object")


class AskArguments(ReadArguments):
    """With an agent."""

    question: str | None = Field(None, description="instead of a query: a question in plain words")


class GivenTriple(BaseModel):
    """A triple that is to be written."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(description="a name, such as 'Marie Curie'; 'user' is the person who talks")
    relation: str = Field(description="a short relation, such as 'place of birth'")
    object: str = Field(description="a name or a value, such as 'Warsaw'")
    valid_from: str | None = Field(None, description="when it began to hold, such as '2014' or '2014-05-01'")
    valid_to: str | None = Field(None, description="when it ceased to hold")


class WriteArguments(BaseModel):
    """What `memory_write` takes with a memory alone."""

    model_config = ConfigDict(extra="forbid")

    triples: list[GivenTriple] = Field(min_length=1, max_length=50, description="what was said, as subject, relation and object")


class TellArguments(BaseModel):
    """With an agent."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="the sentences to remember, word for word as the user or a document has them, not your own words")


class _MemoryTool(BaseTool):
    """What both tools share."""

    source: SkipValidation[Source] = Field(exclude=True, repr=False)
    namespace: SkipValidation[NamespaceOf | None] = Field(None, exclude=True, repr=False)
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True


class MemoryReadTool(_MemoryTool):
    """Asks the memory."""

    name: str = "memory_read"
    description: str = "Look up what the long-term memory knows."

    def __init__(self, source: Source, **given: Any) -> None:
        """As LangChain has it, but `source` may stand first without its name."""
        super().__init__(**_filled(source, (ReadArguments, AskArguments), given))

    def _run(
        self,
        query: str | None = None,
        subject: str | None = None,
        relation: str | None = None,
        object: str | None = None,
        question: str | None = None,
    ) -> Outcome:
        try:
            with in_context(self.source, self.namespace) as source:
                if isinstance(source, Agent) and query and SIDE not in query:
                    query, question = None, question or query
                sides = subject, relation, object
                if sum((bool(query), any(sides), bool(question))) != 1:
                    raise InvalidInput("give one of: " + ", ".join(name for name in self.args if name not in ("relation", "object")))
                if question:
                    return _asked(source, question)
                return _matched(memory_of(source), parse_query(query.strip()) if query else _query(*sides))
        except MemagentError as error:
            raise ToolException(error_line(error)) from error


class MemoryWriteTool(_MemoryTool):
    """Writes to the memory."""

    name: str = "memory_write"
    description: str = "Put what the user states into the long-term memory, to be known in later conversations."

    def __init__(self, source: Source, **given: Any) -> None:
        """As LangChain has it, but `source` may stand first without its name."""
        super().__init__(**_filled(source, (WriteArguments, TellArguments), given))

    def _run(self, text: str = "", triples: list[GivenTriple] | None = None) -> Outcome:
        try:
            with in_context(self.source, self.namespace) as source:
                return _told(source, text, self.name) if isinstance(source, Agent) else _added(source, triples or [], self.name)
        except MemagentError as error:
            raise ToolException(error_line(error)) from error


def _filled(source: Source, schemas: tuple[type[BaseModel], type[BaseModel]], given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a tool; of the schemas the first is for a memory alone, the second for an agent."""
    defaults = {"args_schema": schemas[isinstance(source, Agent)], "handle_validation_error": _validation_line}
    return {**defaults, **given, "source": checked(source)}


def _query(subject: str | None, relation: str | None, target: str | None) -> Query | str:
    """The query of these sides, or the name about which everything is wanted."""
    if relation:
        return Query(subject or None, relation, target or None)
    if subject and target:
        raise InvalidInput("a relation is missing", hint="or give one name alone, for everything known about it")
    return subject or target or ""


def _matched(memory: Memory, query: Query | str) -> Outcome:
    if isinstance(query, Query):
        return _found(memory.match(query))
    return _found([Match(t, 1.0, t.object) for t in memory.triples(entity=query, limit=100)])


def _asked(source: Source, question: str) -> Outcome:
    assert isinstance(source, Agent)  # the schema has no question otherwise
    reply = source.ask(question)
    if not reply.known:
        return _found([])
    content, artifact = _found(reply.matches)
    return f"{one_line(reply.text)}\n{content}", {**artifact, "answer": reply.text}


def _found(matches: list[Match] | tuple[Match, ...]) -> Outcome:
    lines = [match_line(match) for match in matches[:SHOWN]]
    if len(matches) > SHOWN:
        lines.append(f"and {len(matches) - SHOWN} more")
    return "\n".join(lines) or UNKNOWN, {"known": bool(matches), "matches": [match_document(match) for match in matches]}


def _told(agent: Agent, text: str, source: str) -> Outcome:
    events = list(agent.remember_events(text, source=source))
    written = [t for event in events if isinstance(event, TriplesWritten) for t in event.triples]
    return _written(written, [event for event in events if isinstance(event, WriteRejected)])


def _added(memory: Memory, given: list[GivenTriple], source: str) -> Outcome:
    origin = (Provenance(source, time=datetime.now(UTC)),)
    triples = [Triple(g.subject, g.relation, g.object, 1.0, g.valid_from, g.valid_to, origin) for g in given]
    return _written(memory.add(triples), [])


def _written(triples: list[Triple], rejected: list[WriteRejected]) -> Outcome:
    lines = [f"Written: {triple_line(triple)}" for triple in triples]
    lines += [f"Not written: {one_line(event.text)} ({one_line(event.reason)})" for event in rejected]
    refused = [{"text": event.text, "reason": event.reason} for event in rejected]
    return "\n".join(lines) or NOTHING, {"triples": [triple_document(triple) for triple in triples], "rejected": refused}


def _validation_line(error: ValidationError) -> str:
    wrong = (f"{'.'.join(map(str, detail['loc'])) or 'arguments'}: {detail['msg']}" for detail in error.errors(include_url=False))
    return one_line("; ".join(wrong))
