"""The memory inside other people's agents: LangChain tools, middleware, retriever and chat model, and a LangGraph store.

Each takes an `Agent` or a `Memory` (the chat model an `Agent`). A name is loaded when it is used, and none of them loads
torch or chromadb.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memagent.plugin.chat_model import ChatMemAgent
    from memagent.plugin.langgraph_store import TripleBackedStore
    from memagent.plugin.middleware import MemoryMiddleware
    from memagent.plugin.retriever import TripleRetriever
    from memagent.plugin.tools import MemoryReadTool, MemoryWriteTool

__all__ = ["ChatMemAgent", "MemoryMiddleware", "MemoryReadTool", "MemoryWriteTool", "TripleBackedStore", "TripleRetriever"]

_LATER = {
    "ChatMemAgent": "memagent.plugin.chat_model",
    "MemoryMiddleware": "memagent.plugin.middleware",
    "MemoryReadTool": "memagent.plugin.tools",
    "MemoryWriteTool": "memagent.plugin.tools",
    "TripleBackedStore": "memagent.plugin.langgraph_store",
    "TripleRetriever": "memagent.plugin.retriever",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
