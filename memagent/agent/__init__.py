"""The agent: a model and a memory that meet in the nodes of a graph. Loads the model when it is first needed."""

from memagent.agent.agent import Agent
from memagent.agent.events import Reply

__all__ = ["Agent", "Reply"]
