"""Whom the speaker means by "my daughter": one whom the memory knows by a name, if only one can be meant.

The model reads "Who is my daughter?" as it reads any question, and the memory answers. As a model takes "my niece" for an aunt, what
is found counts only where it was called by the same word. So what is said of "my daughter" is written of Juno (`named`); and once
"my daughter" has a name, what was written of her before is Juno's too (`name_described`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from memagent.memory import Memory
from memagent.model.seam import DraftRequest, LanguageModel
from memagent.ontology import Relation
from memagent.triples import Query, Triple

OWN = ("my", "our")
THREAD = "descriptions"  # of the model's cache
_OWN_WORD = re.compile(r"\b([Mm]y|[Oo]ur) (\w+)")


def called(name: str) -> str:
    """The word for somebody or something of the speaker's: "daughter" of "my daughter"; empty for any other name."""
    small = name.casefold()
    return next((small.removeprefix(f"{own} ") for own in OWN if small.startswith(f"{own} ")), "")


def named(
    model: LanguageModel, memory: Memory, triples: Sequence[Triple], speaker: str, fresh: Sequence[Triple] = ()
) -> tuple[Triple, ...]:
    """The triples with names for the speaker's descriptions, where it is known who is meant; `fresh` are not in the memory yet."""
    described = dict.fromkeys(name for t in triples for name in (t.subject, t.object) if called(name))
    names = {name: meant(model, memory, name, speaker, (*fresh, *triples)) or restated(memory, name) for name in described}
    turned = (replace(t, subject=names.get(t.subject, t.subject), object=names.get(t.object, t.object)) for t in triples)
    return tuple(t for t in turned if t.subject != t.object)


def restated(memory: Memory, text: str) -> str:
    """The text with the words by which the memory knows those of whom the speaker has but one: "my mum" for "my mother"."""

    def known(found: re.Match[str]) -> str:
        own, word = found.groups()
        relation = memory.ontology.find(word)
        if relation is None or not relation.one or _known(memory, found[0]):
            return found[0]
        others = (f"{by} {other}" for by in (own, *OWN) for other in (relation.name, *relation.other_names))
        return next((other for other in others if _known(memory, other)), found[0])

    return _OWN_WORD.sub(known, text)


def name_described(model: LanguageModel, memory: Memory, focus: str, triple: Triple) -> None:
    """Merge what the memory knows as "my daughter" into the daughter whom `triple`, just stored, names.

    She is described in the same sentence, or before it where the sentence has no such word: "Her name's Juno.".
    """
    speaker, source = triple.provenance[-1].speaker, triple.provenance[-1].source
    if not speaker or triple.subject != speaker or called(triple.object):
        return
    before = " ".join(memory.recent_passages(2, source=source))
    here, there = (dict.fromkeys(_described(memory, text)) for text in (focus, before))
    for description in here or [name for name in there if not _has(focus, called(name))]:
        if meant(model, memory, description, speaker, said=before) == triple.object:
            memory.merge(triple.object, description)


def meant(
    model: LanguageModel, memory: Memory, description: str, speaker: str, fresh: Sequence[Triple] = (), said: str = ""
) -> str | None:
    """The name of the only one who can be meant; None if there is none or several. `said` counts as said with each of them."""
    new = [t for t in fresh if t.subject == speaker]
    asked = [a.query(speaker) for a in memory.askable(speaker) if not a.inverse] + [Query(speaker, t.relation, None) for t in new]
    relation = _relation(model, description, speaker, tuple(dict.fromkeys(asked))) if asked else None
    if relation is None:
        return None
    stored = [(m.answer, m.provenance) for m in memory.match(Query(speaker, relation, None))]
    added = [(t.object, t.provenance) for t in new if t.relation == relation]
    names = {
        name
        for name, provenance in (*stored, *added)
        if not called(name) and _fits(called(description), memory.ontology[relation], [said, *(p.passage for p in provenance)])
    }
    return names.pop() if len(names) == 1 else None


def _relation(model: LanguageModel, description: str, speaker: str, known: tuple[Query, ...]) -> str | None:
    """What one whom the speaker describes so is to the speaker, by the model's reading."""
    question = f"Who is {description}?"
    ids = tuple(model.prompt([(speaker, question)]))
    call = model.draft(DraftRequest(ids, question, askable=known, entities=(speaker,), speaker=speaker, thread=THREAD)).call
    return call.queries[0].relation if call else None


def _fits(word: str, relation: Relation, said: Iterable[str]) -> bool:
    """Whether one who was introduced so goes by that word: it was said, or names the relation and no other of its names was said.

    Where there is but one of them at a time, any of its names will do: "mum" for whom "my mother" introduced.
    """
    texts = " ".join(said)
    if _has(texts, word) or (relation.one and word in relation.other_names):
        return True
    return word == relation.name and (relation.one or not any(_has(texts, other) for other in relation.other_names))


def _has(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def _known(memory: Memory, name: str) -> bool:
    """Whether the memory knows somebody by exactly this name."""
    return any(mention.end - mention.start == len(name) for mention in memory.mentions(name))


def _described(memory: Memory, text: str) -> Iterator[str]:
    """Entities of the text that the memory knows by a description alone."""
    return (mention.name for mention in memory.mentions(text) if called(mention.name))
