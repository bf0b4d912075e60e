"""The state machine: propose -> store -> draft -> (recall -> draft)* -> end."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph

from memagent.agent.nodes import Context, State, draft_node, propose_node, recall_node, store_node


def build_graph(checkpointer: Any = None) -> Any:
    """The compiled graph; with a checkpointer a conversation goes on across restarts."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("propose", propose_node)
    graph.add_node("store", store_node)
    graph.add_node("draft", draft_node, destinations=("recall", END))
    graph.add_node("recall", recall_node)
    graph.add_conditional_edges(START, lambda state: "propose" if state["writes"] else "draft", ["propose", "draft"])
    graph.add_edge("propose", "store")
    graph.add_edge("store", "draft")
    graph.add_edge("recall", "draft")
    return graph.compile(checkpointer=checkpointer)
