"""`TripleRetriever`: triples as LangChain documents.

With an Agent the local model reads the question first, and what answers it comes before what merely bears on it. A document's
text is the triple in one line; its metadata are names, score, derivation and source. If no triple is found and `passages`
is set, the nearest passages stand in, marked with `kind`.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, SkipValidation

from memagent.agent import Agent
from memagent.plugin.recall import recall
from memagent.plugin.showing import match_document, match_line
from memagent.plugin.source import NamespaceOf, Source, checked, in_context, memory_of
from memagent.triples import SPEAKER, Match, Triple


class TripleRetriever(BaseRetriever):
    """Finds up to `k` triples for a question; `k` can be given with each call too."""

    source: SkipValidation[Source] = Field(exclude=True, repr=False)
    namespace: SkipValidation[NamespaceOf | None] = Field(None, exclude=True, repr=False)
    k: int = Field(4, ge=1)
    passages: bool = False

    def __init__(self, source: Source, **given: Any) -> None:
        """As LangChain has it, but `source` may stand first without its name."""
        super().__init__(**{**given, "source": checked(source)})

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None) -> list[Document]:
        if not query.strip():
            return []
        k = self.k if k is None else k
        with in_context(self.source, self.namespace) as source:
            memory = memory_of(source)
            found: dict[Triple, Match] = {}
            if isinstance(source, Agent):
                found = {match.triple: match for match in source.ask(query).matches}
            speaker = source.settings.speaker if isinstance(source, Agent) else SPEAKER
            for match in recall(memory, query, k, speaker=speaker):
                found.setdefault(match.triple, match)
            if found or not self.passages:
                return [_triple(match) for match in list(found.values())[:k]]
            return [_passage(passage.text, passage.source, passage.score) for passage in memory.passages(query, k)]


def _triple(match: Match) -> Document:
    return Document(match_line(match), metadata={"kind": "triple", **match_document(match)})


def _passage(text: str, source: str, score: float) -> Document:
    return Document(text, metadata={"kind": "passage", "score": score, "source": {"name": source, "passage": text}})
