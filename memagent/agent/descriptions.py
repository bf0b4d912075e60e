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
from memagent.model.kinds import lives
from memagent.model.seam import DraftRequest, LanguageModel
from memagent.ontology import Relation
from memagent.triples import Query, Triple

OWN = ("my", "our")
DETERMINERS = frozenset(["a", "an", "the", "my", "our", "your", "his", "her", "its", "their"])  # "the Father of physics" is nobody's
THREAD = "descriptions"  # of the model's cache
TOLD = 20  # triples of one that are looked at
_WORD = re.compile(r"\b(?:(?P<own>[Mm]y|[Oo]ur) )?(?P<word>\w+)\b(?!-)")
_NAME_GOES_ON = re.compile(r"(['’]s)? [A-Z]")  # "Mother Teresa", "Mother's Day"


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
    names = {name: _other_words(memory, name, speaker) or name for name in described} | known

    def target(triple: Triple) -> str:
        """Where the triple says that "Mum" is the mother, the word is hers, as a name would be."""
        stood_in = _stood_in(memory, triple.object)
        introduced = triple.subject == speaker and stood_in is not None and stood_in.name == triple.relation
        return (known if introduced else names).get(triple.object, triple.object)

    turned = (replace(t, subject=names.get(t.subject, t.subject), object=target(t)) for t in triples)
    return tuple(t for t in turned if t.subject != t.object)


def restated(memory: Memory, text: str, speaker: str) -> str:
    """The text with the words by which the memory knows those of whom the speaker has but one: "my mum" for "my mother".

    "Mum", where she is known by her name alone, is "my mum": so she is asked for, and then what is said of her.
    """

    def known(found: re.Match[str]) -> str:
        if not found["own"] and not (_stood_in(memory, found[0]) and _used_as_name(text, found)):
            return found[0]
        return _other_words(memory, found[0], speaker) or found[0]

    return _WORD.sub(known, text)


def _used_as_name(text: str, found: re.Match[str]) -> bool:
    """Whether a word stands where a name would, and has a capital where the text has any: "Mum", not "Anna's Mum", "Mother Teresa"."""
    before = text[: found.start()].rsplit(None, 1)[-1:]
    owned = bool(before) and (before[0].casefold() in DETERMINERS or before[0].endswith(("'s", "’s")))
    return not owned and not _NAME_GOES_ON.match(text, found.end()) and (found[0][:1].isupper() or text == text.lower())


def _other_words(memory: Memory, words: str, speaker: str) -> str | None:
    """What the memory knows the speaker's mother by, for "my mother" or "Mum" that it does not know; None if there is nothing."""
    found = _WORD.fullmatch(words)
    if found is None:
        return None
    relation = _of_word(memory, found["word"]) if found["own"] else _stood_in(memory, words)
    if relation is None or not relation.one or _known(memory, words):
        return None
    for other in _words_for(relation, found["own"]):
        if (name := _known(memory, other)) and (called(other) or _is_own(memory, name, speaker)):
            return other
    return None if found["own"] or not memory.match(Query(speaker, relation.name, None)) else f"my {words.casefold()}"


def name_described(model: LanguageModel, memory: Memory, focus: str, triple: Triple) -> None:
    """Merge what the memory knows as "my daughter" into the daughter whom `triple`, just stored, names.

    She is described in the same sentence, or before it where the sentence has no such word: "Her name's Juno."; a mother, of whom there
    is but one ever, at any time.
    """
    speaker, source = triple.provenance[-1].speaker, triple.provenance[-1].source
    if not speaker or triple.subject != speaker or called(triple.object):
        return
    own = memory.names(triple.object)
    only = [name for name in dict.fromkeys(_only(memory, memory.ontology[triple.relation], speaker)) if name not in own]
    certain: list[str] = []
    if not _word(memory, triple.object):
        before = " ".join(memory.recent_passages(2, source=source))
        here, there = (dict.fromkeys(_described(memory, text)) for text in (focus, before))
        others = [name for name in here or [name for name in there if not _has(focus, called(name))] if name not in only]
        certain = [name for name in others if meant(model, memory, name, speaker, said=before) == triple.object]
    for description in (*only, *certain):
        memory.merge(triple.object, description)


def meant(model: LanguageModel, memory: Memory, description: str, speaker: str, fresh: Sequence[Triple] = (), said: str = "") -> str | None:
    """The name of the only one who can be meant; None if there is none or several. `said` counts as said with each of them."""
    new = [t for t in fresh if t.subject == speaker]
    asked = [a.query(speaker) for a in memory.askable(speaker) if not a.inverse] + [Query(speaker, t.relation, None) for t in new]
    stood_in = _stood_in(memory, description)
    relation = stood_in.name if stood_in else _relation(model, description, speaker, tuple(dict.fromkeys(asked))) if asked else None
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
    question = f"Who is {description}?"
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
    """What one who is called by this word like a name is to the speaker, where there is but one: the mother, "Mum" or "mum"."""
    relation = memory.ontology.stood_in(name)
    return relation if relation is not None and relation.one else None


def _of_word(memory: Memory, word: str) -> Relation | None:
    """What "my `word`" is to the speaker, by the ontology's words."""
    return memory.ontology.find(word) or _stood_in(memory, word)


def _words(relation: Relation) -> tuple[str, ...]:
    return tuple(dict.fromkeys((relation.name, *relation.other_names, *map(str.casefold, relation.stand_ins))))


def _words_for(relation: Relation, own: str | None = None) -> Iterator[str]:
    """What the speaker may call the one who stands in the relation, `own` before the other possessives."""
    yield from (f"{by} {word}" for by in dict.fromkeys((own or OWN[0], *OWN)) for word in _words(relation))
    yield from relation.stand_ins


def _only(memory: Memory, relation: Relation, speaker: str) -> Iterator[str]:
    """Whom the memory knows by a word of the speaker's alone, where people have but one ever: "my mum", "Mum"."""
    if relation.one and relation.stand_ins:
        for words in _words_for(relation):
            if (name := _known(memory, words)) and _word(memory, name) and _is_own(memory, name, speaker):
                yield name


def _is_own(memory: Memory, name: str, speaker: str) -> bool:
    """Whether nobody but the speaker told of one, and nothing by which it is no living being: "Mother" may be a film."""
    told = memory.triples(entity=name, limit=TOLD)
    alive = all(lives(memory.ontology[t.relation].domain) is not False for t in told if t.subject == name)
    return alive and all(p.speaker == speaker for t in told for p in t.provenance)


def _known(memory: Memory, words: str) -> str | None:
    """Whom the memory knows by exactly these words; "PA" is not "Pa"."""
    names = memory.names(words)
    alike = any(name == words or (name.casefold() == words.casefold() and (called(words) or name.islower())) for name in names)
    return names[0] if alike else None


def _described(memory: Memory, text: str) -> Iterator[str]:
    """Entities of the text that the memory knows by a description alone."""
    return (mention.name for mention in memory.mentions(text) if called(mention.name))
