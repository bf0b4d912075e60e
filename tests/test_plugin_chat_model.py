"""The agent as a chat model: it answers from its memory, writes what the last message states, and keeps nothing else."""

import asyncio

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from memagent import Agent, Query, Triple
from memagent.errors import InvalidInput
from memagent.model.seam import ScriptedModel
from memagent.plugin import ChatMemAgent

BORN = "Marie Curie was born in Warsaw."
WHERE = "Where was Marie Curie born?"


@pytest.fixture
def agent(memory, memory_settings):
    place = Query("Marie Curie", "place of birth", None)
    model = ScriptedModel({BORN: [Triple("Marie Curie", "place of birth", "Warsaw")]}, {WHERE: [place]})
    with Agent.open(settings=memory_settings, memory=memory, model=model) as opened:
        yield opened


def test_it_writes_what_is_said_and_answers_from_it(agent):
    chat = ChatMemAgent(agent)
    assert chat.invoke(BORN).content == "Noted."
    answer = chat.invoke([SystemMessage("Be brief."), HumanMessage(BORN), AIMessage("Noted."), HumanMessage(WHERE)])
    assert answer.content == "Warsaw."
    assert answer.response_metadata["known"] is True
    assert answer.response_metadata["matches"][0]["object"] == "Warsaw"
    (triple,) = agent.memory.triples()
    assert triple.provenance[0].source == "conversation"


def test_without_remembering_nothing_is_written(agent):
    answer = ChatMemAgent(agent, remember=False).invoke([HumanMessage(BORN), AIMessage(BORN), HumanMessage(WHERE)])
    assert (answer.content, answer.response_metadata["known"]) == ("I don't know.", False)
    assert agent.memory.count().triples == 0


def test_the_models_own_words_are_not_written(agent):
    ChatMemAgent(agent).invoke([HumanMessage("Tell me something."), AIMessage(BORN), HumanMessage("Thank you.")])
    assert agent.memory.count().triples == 0


def test_streaming_says_the_same_and_calls_back(agent):
    class Tokens(BaseCallbackHandler):
        seen: list = []

        def on_llm_new_token(self, token, **given):
            self.seen.append(token)

    chat = ChatMemAgent(agent)
    whole = chat.invoke(BORN)
    first, *others = chat.stream(BORN, config={"callbacks": [Tokens()]})
    full = first
    for chunk in others:
        full = full + chunk
    assert (full.content, full.usage_metadata) == (whole.content, whole.usage_metadata)
    assert full.response_metadata["known"] is False
    assert Tokens.seen[0] == "Noted."


def test_tokens_are_counted(agent):
    usage = ChatMemAgent(agent).invoke(BORN).usage_metadata
    assert usage == {
        "input_tokens": len(f"user: {BORN}\n"),
        "output_tokens": len("assistant: Noted.\n"),
        "total_tokens": len(f"user: {BORN}\nassistant: Noted.\n"),
    }


def test_a_stop_sequence_ends_the_text(agent):
    assert ChatMemAgent(agent).invoke("Hello", stop=["ted", "zzz"]).content == "No"
    assert ChatMemAgent(agent, stop=["t"]).invoke("Hello").content == "No"


def test_async_is_the_same(agent):
    assert asyncio.run(ChatMemAgent(agent).ainvoke("Hello")).content == "Noted."


def test_what_cannot_be_answered_is_an_error_of_ours(agent, memory, memory_settings):
    with pytest.raises(InvalidInput, match="no human message"):
        ChatMemAgent(agent).invoke([SystemMessage("Be brief.")])
    with pytest.raises(TypeError, match="Memory"):
        ChatMemAgent(memory)
    asking = memory_settings.model_copy(update={"approve_writes": True})
    with Agent.open(settings=asking, memory=memory, model=agent.model) as careful:
        with pytest.raises(InvalidInput, match="approve"):
            ChatMemAgent(careful)
        assert ChatMemAgent(careful, remember=False).invoke("Hello").content == "Noted."
