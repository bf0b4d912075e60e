"""From text to proposed triples: one write call a focus sentence. Stores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memagent.memory import Memory
from memagent.model.seam import LanguageModel, WriteRequest
from memagent.passages import Focus, focus_sentences, passages
from memagent.triples import Provenance, Triple

CONTEXT_SENTENCES = 3  # before the focus, so that a pronoun or "the capital" finds what it stands for
MAX_KNOWN = 12  # entities of the context that a call may name


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
    fresh: list[str] = []  # names proposed so far: they are not in the memory yet
    for passage in passages(text):
        for focus in focus_sentences(passage, said, CONTEXT_SENTENCES):
            request = WriteRequest(focus.text, focus.context, _known(memory, focus, fresh, speaker), speaker)
            provenance = Provenance(source, passage, focus.start, focus.end, speaker, datetime.now(UTC))
            triples = tuple(t.with_provenance(provenance) for t in model.write(request))
            fresh += [name for t in triples for name in ((t.object, t.subject) if not speaker or _lives(memory, t) else (t.subject,))]
            yield Proposal(focus, triples)
            said = (*said, focus.text)[-CONTEXT_SENTENCES:]


def _known(memory: Memory, focus: Focus, fresh: Sequence[str], speaker: str) -> tuple[str, ...]:
    """Entities of the context, the latest first: what a pronoun or "the capital" may stand for.

    In a conversation those of which the context says something, or who live, so that a topic does not leak into the next; in running text
    any, for it goes on about what it has named.
    """
    if not focus.context:
        return ()
    context = " ".join(focus.context)
    named = dict.fromkeys(mention.name for mention in memory.mentions(context))
    stored = [n for n in named if not speaker or any(t.subject == n or _lives(memory, t) for t in memory.triples(entity=n, limit=8))]
    here = [name for name in fresh if name in context]
    return tuple(dict.fromkeys([*reversed(here), *reversed(stored)]))[:MAX_KNOWN]


def _lives(memory: Memory, triple: Triple) -> bool:
    """Whether the object is somebody, a person or an animal: "Tom is my boss. He comes from Oslo."."""
    return bool({"person", "animal"} & set(memory.ontology[triple.relation].range))
