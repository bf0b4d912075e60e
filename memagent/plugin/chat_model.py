"""`ChatMemAgent`: an agent with its memory as a LangChain chat model.

LangChain hands over the whole conversation each time, so nothing is kept here but the memory: the last human message is the
turn, what was said before it its context. With `remember` what that message states is written first. System and tool messages
are not for this model, which calls no tools. The message's `response_metadata` say whether the answer rests on the memory, and
on which matches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr, SkipValidation

from memagent.agent import Agent
from memagent.agent.agent import check_message
from memagent.agent.events import MemoryAnswered, TextAdded
from memagent.agent.graph import build_graph
from memagent.agent.nodes import Context
from memagent.errors import InvalidInput
from memagent.plugin.showing import Document, match_document

THREAD = "chat model"  # of the caches: they are compared token by token before they are used
SOURCE = "conversation"

Turns = list[list[str]]  # [speaker, text] each


@dataclass(slots=True)
class _Said:
    """What came of a turn."""

    text: str = ""
    unknown: bool = False
    matches: list[Document] = field(default_factory=list)


class ChatMemAgent(BaseChatModel):
    """A chat model that reads and writes a memory."""

    agent: SkipValidation[Agent] = Field(exclude=True, repr=False)
    remember: bool = True
    stop: list[str] | None = None
    _graph: Any = PrivateAttr()

    def __init__(self, agent: Agent, **given: Any) -> None:
        """As LangChain has it, but `agent` may stand first without its name."""
        if not isinstance(agent, Agent):
            raise TypeError(f"an Agent is needed, not {type(agent).__name__}")
        super().__init__(**{**given, "agent": agent})
        if self.remember and agent.settings.approve_writes:
            raise InvalidInput("a chat model cannot ask a person to approve what it writes", hint="give remember=False, or use the agent")
        self._graph = build_graph(False)  # keeps nothing, inside another graph either

    @property
    def model_name(self) -> str:
        """The base model of the agent."""
        return self.agent.settings.model

    @property
    def _llm_type(self) -> str:
        return "memagent"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "namespace": self.agent.memory.namespace, "remember": self.remember}

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> ChatResult:
        turns, message = self._conversation(messages)
        said = self._turn(turns, message, stop)
        usage = self._usage(turns, message, said.text)
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(said.text, usage_metadata=usage, response_metadata=self._metadata(said)))]
        )

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        """The text in one piece (the agent checks a whole turn before it says it), then what is to be said about it."""
        turns, message = self._conversation(messages)
        said = self._turn(turns, message, stop)
        usage = self._usage(turns, message, said.text)
        chunk = ChatGenerationChunk(message=AIMessageChunk(content=said.text))
        if run_manager:
            run_manager.on_llm_new_token(said.text, chunk=chunk)
        yield chunk
        last = AIMessageChunk(content="", usage_metadata=usage, response_metadata=self._metadata(said), chunk_position="last")
        yield ChatGenerationChunk(message=last)

    def _conversation(self, messages: Sequence[BaseMessage]) -> tuple[Turns, str]:
        """The turns before the last human message, and that message."""
        turns: Turns = []
        last = -1
        for message in messages:
            if isinstance(message, HumanMessage):
                last = len(turns)
            if isinstance(message, HumanMessage | AIMessage):
                turns.append([self.agent.settings.speaker if isinstance(message, HumanMessage) else "assistant", str(message.text)])
        if last < 0:
            raise InvalidInput("the conversation has no human message")
        return turns[:last], check_message(turns[last][1])

    def _turn(self, turns: Turns, message: str, stop: list[str] | None) -> _Said:
        settings = self.agent.settings
        state = {"turns": turns, "message": message, "speaker": settings.speaker, "writes": self.remember}
        context = Context(self.agent.memory, self.agent.model, settings, f"{self.agent.memory.namespace}/{THREAD}", SOURCE)
        said = _Said()
        for event in self._graph.stream(state, {"recursion_limit": 2 * settings.max_reads + 12}, context=context, stream_mode="custom"):
            if isinstance(event, TextAdded):
                said.text += event.text
                said.unknown |= event.unknown
            elif isinstance(event, MemoryAnswered):
                said.matches = [match_document(match) for match in event.matches]
        said.text = _cut(said.text, [*(self.stop or ()), *(stop or ())])
        return said

    def _metadata(self, said: _Said) -> dict[str, Any]:
        matches = [] if said.unknown else said.matches
        return {"model_name": self.model_name, "known": bool(matches), "matches": matches}

    def _usage(self, turns: Turns, message: str, text: str) -> UsageMetadata:
        """In tokens of the model: the prompt, and what the answer adds to it."""
        before = [(who, said) for who, said in [*turns, [self.agent.settings.speaker, message]]]
        given = len(self.agent.model.prompt(before))
        added = max(0, len(self.agent.model.prompt([*before, ("assistant", text)])) - given)
        return UsageMetadata(input_tokens=given, output_tokens=added, total_tokens=given + added)


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text up to the first stop sequence."""
    ends = [text.find(mark) for mark in stop if mark and mark in text]
    return text[: min(ends)] if ends else text
