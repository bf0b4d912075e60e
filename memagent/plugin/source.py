"""What every part of the plug-in is given: an agent or a memory, and whose.

The namespace is that of the agent or the memory, or the one that the caller's function makes of the context of the running
LangGraph agent (`namespace=lambda context: context.user_id`). It is never an argument that a chat model can see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from langgraph.runtime import get_runtime

from memagent.agent import Agent
from memagent.errors import InvalidInput
from memagent.memory import Memory

Source = Agent | Memory
NamespaceOf = Callable[[Any], str]  # the context of the run -> the namespace


def checked(source: Source) -> Source:
    """The source, if it is one.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(source, Agent | Memory):
        raise TypeError(f"an Agent or a Memory is needed, not {type(source).__name__}")
    return source


def memory_of(source: Source) -> Memory:
    """The memory itself."""
    return source.memory if isinstance(source, Agent) else source


@contextmanager
def in_context(source: Source, namespace: NamespaceOf | None) -> Iterator[Source]:
    """The source in the namespace of the present run.

    Raises:
        InvalidInput: there is a function, but no run whose context it could be given.
    """
    if namespace is None:
        yield source
        return
    memory = memory_of(source).in_namespace(namespace(_context()))
    if isinstance(source, Agent):
        settings = source.settings.model_copy(update={"namespace": memory.namespace})
        with Agent.open(settings=settings, memory=memory, model=source.model) as agent:
            yield agent
    else:
        yield memory


def _context() -> Any:
    missing = "whose memory it is comes from the context of a running agent, and there is none"
    try:
        runtime = get_runtime()
    except RuntimeError as error:
        raise InvalidInput(missing) from error
    if runtime is None or runtime.context is None:
        raise InvalidInput(missing, hint="give `context=` when the agent is invoked")
    return runtime.context
