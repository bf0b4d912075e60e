"""Agents of LangChain with our tools and our middleware, played by a scripted chat model."""

import asyncio
from dataclasses import dataclass

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from memagent import Agent, Query, Triple
from memagent.errors import InvalidInput, ModelError
from memagent.model.seam import ScriptedModel
from memagent.plugin import MemoryMiddleware, MemoryReadTool, MemoryWriteTool

BORN = "Marie Curie was born in Warsaw."
WHERE = "Where was Marie Curie born?"
PLACE = Query("Marie Curie", "place of birth", None)


class ScriptedChat(GenericFakeChatModel):
    """Says its messages in order; keeps what it was shown."""

    shown: list = []
    bound: list = []

    def bind_tools(self, tools, **kwargs):
        self.bound.extend(tools)
        return self

    def _generate(self, messages, *args, **kwargs):
        self.shown.append(messages)
        return super()._generate(messages, *args, **kwargs)


def calling(name: str, **args) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call {name}", "type": "tool_call"}])


def scripted(*messages: AIMessage) -> ScriptedChat:
    return ScriptedChat(messages=iter(messages))


@pytest.fixture
def agent(memory, memory_settings):
    model = ScriptedModel({BORN: [Triple("Marie Curie", "place of birth", "Warsaw", 0.9)]}, {WHERE: [PLACE]})
    with Agent.open(settings=memory_settings, memory=memory, model=model) as opened:
        yield opened


def test_an_agent_uses_both_tools(agent):
    chat = scripted(calling("memory_write", text=BORN), calling("memory_read", question=WHERE), AIMessage("In Warsaw."))
    graph = create_agent(chat, [MemoryReadTool(agent), MemoryWriteTool(agent)], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    messages = graph.invoke({"messages": [HumanMessage(f"{BORN} {WHERE}")]}, config)["messages"]
    written, read = (message for message in messages if isinstance(message, ToolMessage))
    assert written.content == "Written: Marie Curie – place of birth – Warsaw"
    assert read.artifact["matches"][0]["answer"] == "Warsaw"
    assert messages[-1].content == "In Warsaw."
    assert graph.get_state(config).values["messages"][-2].artifact == read.artifact
    assert agent.memory.match(PLACE)[0].answer == "Warsaw"


@pytest.mark.parametrize(("decision", "written"), [("approve", 1), ("reject", 0)])
def test_a_person_can_approve_what_is_written(memory, memory_settings, decision, written):
    model = ScriptedModel({BORN: [Triple("Marie Curie", "place of birth", "Warsaw")]})
    with Agent.open(settings=memory_settings.model_copy(update={"approve_writes": True}), memory=memory, model=model) as careful:
        with pytest.raises(InvalidInput, match="approval"):
            MemoryMiddleware(careful)
        chat = scripted(calling("memory_write", text=BORN), AIMessage("Done."))
        asking = HumanInTheLoopMiddleware(interrupt_on={"memory_write": True})
        graph = create_agent(chat, middleware=[MemoryMiddleware(careful, remember=False), asking], checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "1"}}
        assert graph.invoke({"messages": [HumanMessage(BORN)]}, config)["__interrupt__"]
        assert memory.count().triples == 0
        graph.invoke(Command(resume={"decisions": [{"type": decision}]}), config)
        assert memory.count().triples == written


@dataclass
class Caller:
    user: str


def test_the_namespace_comes_from_the_context_of_the_run(memory):
    tools = [tool(memory, namespace=lambda context: context.user) for tool in (MemoryReadTool, MemoryWriteTool)]
    triple = {"subject": "user", "relation": "residence", "object": "Oslo"}
    for user, call, expected in (
        ("ann", calling("memory_write", triples=[triple]), "Written: user – residence – Oslo"),
        ("ann", calling("memory_read", subject="user"), "user – residence – Oslo"),
        ("bob", calling("memory_read", subject="user"), "The memory knows nothing about that."),
        ("bob", calling("memory_read", subject="user", namespace="ann"), None),
    ):
        graph = create_agent(scripted(call, AIMessage("Done.")), tools, context_schema=Caller)
        messages = graph.invoke({"messages": [HumanMessage("Hi")]}, context=Caller(user))["messages"]
        assert "Oslo" not in messages[2].content if expected is None else messages[2].content == expected
    assert memory.count().triples == 0
    outside = tools[0].invoke({"name": "memory_read", "args": {"subject": "user"}, "id": "1", "type": "tool_call"})
    assert (outside.status, "context of a running agent" in outside.content) == ("error", True)


def system_text(chat: ScriptedChat, call: int = -1) -> str:
    first = chat.shown[call][0]
    return first.text if first.type == "system" else ""


def test_the_middleware_remembers_the_user_and_recalls_what_it_knows(agent):
    chat = scripted(AIMessage("Noted."), AIMessage("In Warsaw."))
    graph = create_agent(chat, middleware=[MemoryMiddleware(agent)], system_prompt="Be brief.", checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "7"}}
    state = graph.invoke({"messages": [HumanMessage(BORN)]}, config)
    assert "recalled" not in state
    (match,) = agent.memory.match(PLACE)
    assert match.provenance[0].source == "conversation 7"
    graph.invoke({"messages": [HumanMessage(WHERE)]}, config)
    assert system_text(chat).startswith("Be brief.")
    assert system_text(chat).endswith("\n- Marie Curie – place of birth – Warsaw")
    assert {tool.name for tool in chat.bound} == {"memory_read", "memory_write"}


def test_the_models_own_words_are_not_remembered(agent):
    chat = scripted(AIMessage(BORN), AIMessage("Hello again."))
    graph = create_agent(chat, middleware=[MemoryMiddleware(agent)], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "7"}}
    for text in ("Tell me something.", "Thank you."):
        graph.invoke({"messages": [HumanMessage(text)]}, config)
    assert agent.memory.count().triples == 0
    assert system_text(chat) == ""


def test_a_chat_model_without_instructions_is_shown_what_is_recalled(memory):
    memory.add([Triple("user", "residence", "Oslo"), Triple("Bob", "residence", "Rome")])
    chat = scripted(AIMessage("In Oslo."))
    create_agent(chat, middleware=[MemoryMiddleware(memory)]).invoke({"messages": [HumanMessage("Where do I live?")]})
    assert "user – residence – Oslo" in system_text(chat)
    assert "Rome" not in system_text(chat)


def test_what_is_recalled_stays_the_same_within_a_turn_and_is_bounded(memory):
    memory.add([Triple("Anna", "likes", f"thing {number}") for number in range(30)])
    write = calling("memory_write", triples=[{"subject": "Anna", "relation": "likes", "object": "tea"}])
    chat = scripted(write, AIMessage("Done."))
    create_agent(chat, middleware=[MemoryMiddleware(memory, k=5)]).invoke({"messages": [HumanMessage("What does Anna like?")]})
    assert system_text(chat, 0) == system_text(chat, 1)
    assert system_text(chat).count("\n- ") == 5


def test_async_is_the_same(agent):
    agent.memory.add([Triple("Marie Curie", "place of birth", "Warsaw")])
    chat = scripted(calling("memory_read", question=WHERE), AIMessage("In Warsaw."))
    graph = create_agent(chat, middleware=[MemoryMiddleware(agent)])
    messages = asyncio.run(graph.ainvoke({"messages": [HumanMessage(WHERE)]}))["messages"]
    assert messages[2].content == "Warsaw.\nMarie Curie – place of birth – Warsaw"
    assert "Marie Curie – place of birth – Warsaw" in system_text(chat)


def test_a_message_that_cannot_be_remembered_is_answered_and_the_failure_told(memory, memory_settings, caplog):
    class Broken(ScriptedModel):
        def write(self, request):
            raise ModelError("no weights", hint="train some")

    chat = scripted(AIMessage("Hello."))
    with Agent.open(settings=memory_settings, memory=memory, model=Broken()) as agent:
        graph = create_agent(chat, middleware=[MemoryMiddleware(agent)])
        assert graph.invoke({"messages": [HumanMessage(BORN)]})["messages"][-1].content == "Hello."
    assert system_text(chat).endswith("no weights (train some)")
    assert "no weights" in caplog.text


def test_middleware_keeps_users_apart_by_the_context_of_the_run(agent):
    def graph(*said: str):
        chat = scripted(*map(AIMessage, said))
        return chat, create_agent(chat, middleware=[MemoryMiddleware(agent, namespace=lambda c: c.user)], context_schema=Caller)

    for user, text, known in (("ann", BORN, True), ("ann", WHERE, True), ("bob", WHERE, False)):
        chat, running = graph("Yes.")
        running.invoke({"messages": [HumanMessage(text)]}, context=Caller(user))
        assert ("Warsaw" in system_text(chat)) is known
    assert agent.memory.count().triples == 0
