"""From text to proposed triples: one write call a focus sentence. Stores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memagent.agent.descriptions import named
from memagent.memory import Memory
from memagent.model.kinds import ALIVE, lives
from memagent.model.seam import LanguageModel, WriteRequest
from memagent.ontology import Ontology
from memagent.passages import Focus, focus_sentences, passages
from memagent.triples import Provenance, Triple

CONTEXT_SENTENCES = 3  # before the focus, so that a pronoun or "the capital" finds what it stands for
MAX_KNOWN = 12  # entities of the context that a call may name
SAID = 8  # stored triples of each that are looked at


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the write call of one focus sentence names, with provenance; nothing is a proposal too."""

    focus: Focus
    triples: tuple[Triple, ...]


def propose(
    model: LanguageModel, memory: Memory, text: str, *, speaker: str, source: str, before: Sequence[str] = ()
) -> Iterator[Proposal]:
    """The proposals of a text, sentence by sentence; `before` is what was said earlier, oldest first."""
    said = tuple(before)[-CONTEXT_SENTENCES:]
    fresh: list[Triple] = []  # proposed so far: they are not in the memory yet
    for passage in passages(text):
        for focus in focus_sentences(passage, said, CONTEXT_SENTENCES):
            about = _about(memory, " ".join(focus.context), fresh)
            known = _known(about, speaker, memory.ontology)
            request = WriteRequest(focus.text, focus.context, known, speaker, _living(about, memory.ontology))
            provenance = Provenance(source, passage, focus.start, focus.end, speaker, datetime.now(UTC))
            triples = tuple(t.with_provenance(provenance) for t in model.write(request))
            triples = named(model, memory, triples, speaker, fresh) if speaker else triples
            fresh += triples
            yield Proposal(focus, triples)
            said = (*said, focus.text)[-CONTEXT_SENTENCES:]


def _about(memory: Memory, context: str, fresh: Sequence[Triple]) -> dict[str, list[Triple]]:
    """The entities of the context, the latest last, each with what is stored and what was proposed of it."""
    if not context:
        return {}
    named = dict.fromkeys(mention.name for mention in memory.mentions(context))
    about = {name: list(memory.triples(entity=name, limit=SAID)) for name in named}
    for triple in fresh:
        for name in (triple.object, triple.subject):
            if name in context:
                about[name] = [*about.pop(name, []), triple]
    return about


def _known(about: dict[str, list[Triple]], speaker: str, ontology: Ontology) -> tuple[str, ...]:
    """Entities of the context, the latest first: what a pronoun or "the capital" may stand for.

    In a conversation those of which the context says something, or who live, so that a topic does not leak into the next; in running text
    any, for it goes on about what it has named.
    """

    def meant(name: str, triples: Sequence[Triple]) -> bool:
        return any(t.subject == name or ALIVE.intersection(ontology[t.relation].range) for t in triples)

    return tuple(name for name, triples in reversed(about.items()) if not speaker or meant(name, triples))[:MAX_KNOWN]


def _living(about: Mapping[str, Sequence[Triple]], ontology: Ontology) -> dict[str, bool]:
    """Of these entities, whether they live, where their relations say so with one voice."""
    living: dict[str, bool] = {}
    for name, triples in about.items():
        said = {lives(ontology[t.relation].domain) for t in triples if t.subject == name}
        said |= {lives(ontology[t.relation].range) for t in triples if t.object == name}
        said.discard(None)
        if len(said) == 1:
            living[name] = bool(said.pop())
    return living
