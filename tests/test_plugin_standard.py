"""LangChain's own standard suites, where `langchain-tests` is installed."""

import pytest

pytest.importorskip("langchain_tests", reason="pip install langchain-tests")

from langchain_tests.integration_tests import ChatModelIntegrationTests, RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests

from memagent import Agent, Query, Triple
from memagent.model.seam import ScriptedModel
from memagent.plugin import ChatMemAgent, MemoryReadTool, MemoryWriteTool, TripleRetriever

# The suites have tests of both kinds, and leave the marking of async ones to an option of pytest-asyncio.
pytestmark = [pytest.mark.asyncio, pytest.mark.filterwarnings("ignore:The test .* is marked with '@pytest.mark.asyncio'")]

BORN = "Marie Curie was born in Warsaw."
WHERE = "Where was Marie Curie born?"
CURIE = [Triple("Marie Curie", "place of birth", "Warsaw"), Triple("Marie Curie", "child", "Irène"), Triple("Marie Curie", "child", "Ève")]


class WithMemory:
    """Gives the suites, which know no fixtures, a memory."""

    @pytest.fixture(autouse=True)
    def given(self, memory, memory_settings):
        memory.add(CURIE)
        model = ScriptedModel({BORN: CURIE[:1]}, {WHERE: [Query("Marie Curie", "place of birth", None)]})
        with Agent.open(settings=memory_settings, memory=memory, model=model) as agent:
            self.memory, self.agent = memory, agent
            yield


class ReadOfMemory(WithMemory):
    tool_constructor = MemoryReadTool
    tool_invoke_params_example = {"query": "Marie Curie>>place of birth>>"}

    @property
    def tool_constructor_params(self):
        return {"source": self.memory}


class WriteOfMemory(WithMemory):
    tool_constructor = MemoryWriteTool
    tool_invoke_params_example = {"triples": [{"subject": "Anna", "relation": "residence", "object": "Oslo"}]}

    @property
    def tool_constructor_params(self):
        return {"source": self.memory}


class ReadOfAgent(WithMemory):
    tool_constructor = MemoryReadTool
    tool_invoke_params_example = {"question": WHERE}

    @property
    def tool_constructor_params(self):
        return {"source": self.agent}


class WriteOfAgent(WithMemory):
    tool_constructor = MemoryWriteTool
    tool_invoke_params_example = {"text": BORN}

    @property
    def tool_constructor_params(self):
        return {"source": self.agent}


class TestReadOfMemory(ReadOfMemory, ToolsUnitTests):
    pass


class TestReadOfMemoryUsed(ReadOfMemory, ToolsIntegrationTests):
    pass


class TestWriteOfMemory(WriteOfMemory, ToolsUnitTests):
    pass


class TestWriteOfMemoryUsed(WriteOfMemory, ToolsIntegrationTests):
    pass


class TestReadOfAgent(ReadOfAgent, ToolsUnitTests):
    pass


class TestReadOfAgentUsed(ReadOfAgent, ToolsIntegrationTests):
    pass


class TestWriteOfAgent(WriteOfAgent, ToolsUnitTests):
    pass


class TestWriteOfAgentUsed(WriteOfAgent, ToolsIntegrationTests):
    pass


class TestRetriever(WithMemory, RetrieversIntegrationTests):
    retriever_constructor = TripleRetriever
    retriever_query_example = WHERE

    @property
    def retriever_constructor_params(self):
        return {"source": self.agent}


class ChatModel(WithMemory):
    chat_model_class = ChatMemAgent
    has_tool_calling = False
    has_structured_output = False
    supports_model_override = False

    @property
    def chat_model_params(self):
        return {"agent": self.agent}


class TestChatModel(ChatModel, ChatModelUnitTests):
    pass


class TestChatModelUsed(ChatModel, ChatModelIntegrationTests):
    pass
