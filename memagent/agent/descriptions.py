"""Whom the speaker means by "my daughter": one whom the memory knows by a name, if only one can be meant.

The model reads "Who is my daughter?" as it reads any question, and the memory answers. As a model takes "my niece" for an aunt, what
is found counts only where it was called by the same word. So what is said of "my daughter" is written of Juno (`named`); and once
"my daughter" has a name, what was written of her before is Juno's too (`name_described`). "Mum" is such a word too: the ontology's
`stand_ins`, where people have but one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from memagent.memory import Memory
from memagent.model.kinds import PERSON
from memagent.model.seam import DraftRequest, LanguageModel
from memagent.ontology import Relation
from memagent.triples import Query, Triple

OWN = ("my", "our")
THREAD = "descriptions"  # of the model's cache
_OWN_WORD = re.compile(r"\b(?P<own>[Mm]y|[Oo]ur) (?P<word>\w+)|\b(?P<alone>[A-Z]\w+)\b(?! [A-Z])")  # no "Mother Teresa"


def called(name: str) -> str:
    """The word for somebody or something of the speaker's: "daughter" of "my daughter"; empty for any other name."""
    small = name.casefold()
    return next((small.removeprefix(f"{own} ") for own in OWN if small.startswith(f"{own} ")), "")


def named(
    model: LanguageModel, memory: Memory, triples: Sequence[Triple], speaker: str, fresh: Sequence[Triple] = ()
) -> tuple[Triple, ...]:
    """The triples with names for the speaker's descriptions, where it is known who is meant; `fresh` are not in the memory yet."""
    described = dict.fromkeys(name for t in triples for name in (t.subject, t.object) if _word(memory, name))
    known = {name: found for name in described if (found := meant(model, memory, name, speaker, (*fresh, *triples)))}
    names = {name: restated(memory, name, speaker) for name in described} | known

    def object_(triple: Triple) -> str:
        introduced = triple.subject == speaker and not called(triple.object)  # "Mum" is the mother: the word is hers, as a name would be
        return (known if introduced else names).get(triple.object, triple.object)

    turned = (replace(t, subject=names.get(t.subject, t.subject), object=object_(t)) for t in triples)
    return tuple(t for t in turned if t.subject != t.object)


def restated(memory: Memory, text: str, speaker: str) -> str:
    """The text with the words by which the memory knows those of whom the speaker has but one: "my mum" for "my mother".

    "Mum", where she is known by her name alone, is "my mum": so she is asked for, and then what is said of her.
    """

    def known(found: re.Match[str]) -> str:
        relation = _stood_in(memory, found["alone"]) if found["alone"] else _of_word(memory, found["word"])
        if relation is None or not relation.one or _known(memory, found[0]):
            return found[0]
        own = f"my {found[0].casefold()}" if found["alone"] and memory.match(Query(speaker, relation.name, None)) else found[0]
        return next((other for other in _words_for(relation, found["own"]) if _known(memory, other)), own)

    return _OWN_WORD.sub(known, text)


def name_described(model: LanguageModel, memory: Memory, focus: str, triple: Triple) -> None:
    """Merge what the memory knows as "my daughter" into the daughter whom `triple`, just stored, names.

    She is described in the same sentence, or before it where the sentence has no such word: "Her name's Juno."; a mother, of whom there
    is but one, at any time.
    """
    speaker, source = triple.provenance[-1].speaker, triple.provenance[-1].source
    if not speaker or triple.subject != speaker or called(triple.object):
        return
    before = " ".join(memory.recent_passages(2, source=source))
    here, there = (dict.fromkeys(_described(memory, text)) for text in (focus, before))
    only = [name for name in dict.fromkeys(_only(memory, memory.ontology[triple.relation])) if name != triple.object]
    meant_here = here or [name for name in there if not _has(focus, called(name))]
    certain = [name for name in meant_here if name not in only and meant(model, memory, name, speaker, said=before) == triple.object]
    for description in (*only, *certain):
        memory.merge(triple.object, description)


def meant(model: LanguageModel, memory: Memory, description: str, speaker: str, fresh: Sequence[Triple] = (), said: str = "") -> str | None:
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
        if not _word(memory, name)
        and _fits(_word(memory, description), memory.ontology[relation], [said, *(p.passage for p in provenance)])
    }
    return names.pop() if len(names) == 1 else None


def _relation(model: LanguageModel, description: str, speaker: str, known: tuple[Query, ...]) -> str | None:
    """What one whom the speaker describes so is to the speaker, by the model's reading."""
    question = f"Who is {description if called(description) else f'my {description.casefold()}'}?"
    ids = tuple(model.prompt([(speaker, question)]))
    call = model.draft(DraftRequest(ids, question, askable=known, entities=(speaker,), speaker=speaker, thread=THREAD)).call
    return call.queries[0].relation if call else None


def _fits(word: str, relation: Relation, said: Iterable[str]) -> bool:
    """Whether one who was introduced so goes by that word: it was said, or names the relation and no other of its names was said.

    Where there is but one of them at a time, any of its names will do: "mum" for whom "my mother" introduced.
    """
    texts = " ".join(said)
    if _has(texts, word) or (relation.one and word in _words(relation)):
        return True
    return word == relation.name and not any(_has(texts, other) for other in relation.other_names)


def _has(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def _word(memory: Memory, name: str) -> str:
    """The word of a description, or one that is used like a name: "mum" of "my mum" and of "Mum"; empty for any other name."""
    return called(name) or (name.casefold() if _stood_in(memory, name) else "")


def _stood_in(memory: Memory, name: str) -> Relation | None:
    """What one who is called by this word like a name is to the speaker, where there is but one: the mother, "Mum"."""
    return next((relation for relation in memory.ontology if relation.one and name in relation.stand_ins), None)


def _of_word(memory: Memory, word: str) -> Relation | None:
    """What "my `word`" is to the speaker, by the ontology's words."""
    return memory.ontology.find(word) or _stood_in(memory, word.capitalize())


def _words(relation: Relation) -> tuple[str, ...]:
    return (relation.name, *relation.other_names, *map(str.casefold, relation.stand_ins))


def _words_for(relation: Relation, own: str | None = None) -> Iterator[str]:
    """What the speaker may call the one who stands in the relation, `own` before the other possessives."""
    yield from (f"{by} {word}" for by in dict.fromkeys((own or OWN[0], *OWN)) for word in _words(relation))
    yield from relation.stand_ins


def _only(memory: Memory, relation: Relation) -> Iterator[str]:
    """Whom the memory knows by a word alone, if it is a person and people have but one: "my mum", "Mum"."""
    if relation.one and relation.domain == relation.range == (PERSON,):
        for words in _words_for(relation):
            if (name := _known(memory, words)) and _word(memory, name):
                yield name


def _known(memory: Memory, name: str) -> str | None:
    """Whom the memory knows by exactly this name."""
    return next((mention.name for mention in memory.mentions(name) if mention.end - mention.start == len(name)), None)


def _described(memory: Memory, text: str) -> Iterator[str]:
    """Entities of the text that the memory knows by a description alone."""
    return (mention.name for mention in memory.mentions(text) if called(mention.name))
