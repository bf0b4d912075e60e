"""Fills the phrasings: facts, the sentences that state, change, deny or ask about them, and what a call says of each.

A sentence always comes with its gold triples, in order of appearance; their names are literal pieces of the sentence or of
what precedes it, or the speaker.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memagent.ontology import Ontology, Relation, default_ontology
from memagent.training.grammar.names import Name, Names
from memagent.training.grammar.phrasings import Split, lists, phrasings
from memagent.triples import SPEAKER, Triple

Facts = Mapping[str, Sequence[tuple[str, str]]]  # relation -> real (subject, object) pairs

# What fills a slot where the ontology's kinds are too coarse for a natural sentence.
OBJECT_KINDS: dict[str, tuple[str, ...]] = {
    "pet": ("pet_name",), "breed": ("breed",), "nickname": ("nickname",), "birthday": ("birthday",), "anniversary": ("birthday",),
    "age": ("number",), "phone number": ("phone",), "email address": ("email",), "website": ("website",), "address": ("street address",),
    "blood type": ("blood type",), "height": ("height",), "weight": ("weight",), "price": ("price",), "duration": ("duration",),
    "population": ("population",), "unemployment rate": ("percent",), "opening hours": ("hours",), "access code": ("code",),
    "shoe size": ("shoe size",), "number of children": ("small number",), "diet": ("diet",), "working on": ("project", "work"),
    "responsible for": ("project", "event", "owned_thing"), "owns": ("thing_an", "thing_an", "product"), "wants": ("plan",),
    "currency": ("currency",), "made of": ("material",), "used for": ("activity",), "instance of": ("thing_an", "animal"),
    "subclass of": ("thing",), "likes": ("activity", "food", "drink", "animal", "sport"),
    "dislikes": ("activity", "food", "drink", "animal", "sport"), "allergic to": ("food", "animal", "medication"),
    "afraid of": ("animal", "activity", "condition"), "main subject": ("subject", "event", "person", "activity"),
    "cause of death": ("condition",), "learning": ("language", "instrument", "activity"), "favourite game": ("product", "work"),
    "appointment": ("date", "time"), "vehicle": ("vehicle",), "residence": ("place",),
    "product or material produced": ("product", "material"), "has part": ("organization", "place"), "part of": ("organization", "place"),
    "favourite music": ("person", "genre"), "teacher": ("person",), "instrumentation": ("instrument", "ensemble"),
    "mother": ("woman",), "sister": ("woman",), "daughter": ("woman",), "father": ("man",), "brother": ("man",), "son": ("man",),
}  # fmt: skip
SAME_KIND = frozenset(  # relations between two of a kind
    {"follows", "followed by", "replaces", "replaced by", "separated from", "part of", "has part"}
)
SUBJECT_KINDS: dict[str, tuple[str, ...]] = {
    "breed": ("pet_name",), "price": ("thing", "product"), "access code": ("owned_thing", "owned_thing", "product"),
    "colour": ("thing", "owned_thing"), "made of": ("thing", "product"), "used for": ("thing", "product"),
    "weight": ("thing", "person", "product"), "deadline": ("project", "owned_thing", "work"), "duration": ("event", "work"),
    "age": ("person", "person", "pet_name"), "opening hours": ("organization",), "departure time": ("event", "thing"),
    "height": ("person", "place"), "website": ("organization", "person"), "instance of": ("thing", "product", "pet_name"),
    "nearest station": ("place", "organization"), "subclass of": ("thing", "taxon"), "nickname": ("person", "place", "team"),
    "name": ("role",), "sex or gender": ("person", "person", "pet_name"),
}  # fmt: skip
LOCATION_PAIRS = (
    ("owned_thing", "place_spot"),
    ("owned_thing", "place_spot"),
    ("thing", "place_spot"),
    ("event", "place"),
    ("organization", "place"),
)
NAMES = frozenset({"name", "nickname", "named after"})  # whose object is a word rather than somebody
LINKS = (" and ", " and ", ", and ", ", but ", ", ", " and also ", " and ")  # between two statements about one
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her"), "it": ("it", "it", "its")}  # subject, object, possessive
COPULAS = frozenset({"is", "was", "are", "were", "who's", "what's", "where's", "how's"})  # what follows them is the subject
PREPOSITIONS = frozenset({"about", "at", "behind", "by", "for", "from", "in", "like", "of", "on", "than", "to", "under", "with"})
VOWEL = re.compile(r"(?i)^(?:[aeio]|un(?!i)|u(?!ni|se|sb|k)|hour|honest|heir|mba|x-?ray)")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "next ", "this ")


@dataclass(frozen=True, slots=True)
class Fact:
    """A relation between two names; a side that is the speaker has `speaker` set."""

    subject: Name
    relation: str
    object: Name


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence, the triples that it states, and the facts behind them; `about_speaker`: it is said in the first person."""

    text: str
    triples: tuple[Triple, ...] = ()
    facts: tuple[Fact, ...] = ()
    about_speaker: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its fact; `inverse` asks for the subject."""

    text: str
    fact: Fact
    inverse: bool = False
    yes_no: bool = False
    about_speaker: bool = False

    @property
    def known(self) -> Name:
        """Whom it is about: the side that is not asked for."""
        return self.fact.object if self.inverse else self.fact.subject


def article(text: str) -> str:
    """The text with "a" or "an" before it."""
    return f"{'an' if VOWEL.match(text) else 'a'} {text}"


def dated(text: str) -> str:
    """The text with the preposition that a date or time takes."""
    if text.startswith(("the ", *WEEKDAYS)):
        return text if text.startswith(("next ", "this ")) else f"on {text}"
    if re.search(r"\d\d?(?:st|nd|rd|th)?\b(?!\d)", text) and re.search(r"[A-Z][a-z]{2}", text):
        return f"on {text}" if re.search(r"\b\d{1,2}(?:st|nd|rd|th)?\b", text) else f"in {text}"
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"on {text}"
    if re.fullmatch(r"\d{4}", text):
        return f"in {text}"
    return f"at {text}"


TITLED, STANDING_IN = 0.12, 0.1  # shares of the speaker's relatives that go by a title with a name, and by a word instead of one
NEGATED = 0.35  # share of denials that are statements with a negation put in
UNREAL = 0.25  # share of denials that are statements in a frame that takes them back
OPPOSED = frozenset({"likes", "dislikes"})  # whose negation states the other
_NEGATIONS = (
    (re.compile(r"\b(I'm|I am|is|are|was|were)\b(?! not)"), r"\1 not"),
    (re.compile(r"\b(I|[Ww]e) (?=(?:love|play|work|live|own|have|speak|want|study|drink|eat|prefer|need|drive|use)\b)"), r"\1 don't "),
    (re.compile(r"\b(has|have|had)\b(?= (?:\w+ed|been|written|won|made|got|become)\b)"), r"\1 never"),
)  # fmt: skip
# Where there is a negative already, or a second statement that the negation would leave true.
_UNFIT = re.compile(r"n't\b|\b(?:not|never|no|nobody|nothing|without|only|but|and|before|because|while)\b|[,;:(]", re.IGNORECASE)


def negated(template: str) -> str | None:
    """A plain statement with a negation put in; None where there is no single place for it."""
    for pattern, put in _NEGATIONS:
        if not _UNFIT.search(template) and len(pattern.findall(template)) == 1:
            return pattern.sub(put, template)
    return None


_VERBS = {"is": "are", "was": "were", "has": "have", "lies": "lie", "stands": "stand", "belongs": "belong"}
_SINGULAR = re.compile(rf"\{{s\}} ({'|'.join(_VERBS)})\b|\b(is|was) \{{s\}}")


def agreeing(template: str, subject: Name) -> str:
    """The template with the verb that the subject takes: "my keys are"."""
    if subject.kind not in ("owned_thing", "thing") or not re.search(r"[^s]s$", subject.text):
        return template

    def plural(found: re.Match[str]) -> str:
        return f"{{s}} {_VERBS[found[1]]}" if found[1] else f"{_VERBS[found[2]]} {{s}}"

    return _SINGULAR.sub(plural, template).replace(" it ", " them ") if _SINGULAR.search(template) else template


_SLOT = re.compile(r"\{(?:(an|a|on) )?(s|o|old|a)\}")


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Put names into the slots."""
    return capital(template, _SLOT.sub(lambda found: slotted(found[1], slots[found[2]]), template))


def slotted(before: str | None, text: str) -> str:
    """What stands in a slot: the name as it is, with its article ("an", "a") or with the preposition of a date ("on")."""
    return text if before is None else dated(text) if before == "on" else article(text)


def capital(template: str, filled: str) -> str:
    """A filled template; one that began with a slot begins with a capital."""
    return filled[:1].upper() + filled[1:] if template.startswith("{") and " " in filled else filled


def literal(name: str, text: str) -> str:
    """`name` with the capitals it has in `text`."""
    at = text.find(name)
    if at < 0:
        at = text.lower().find(name.lower())
    return name if at < 0 else text[at : at + len(name)]


class Grammar:
    """The engine: seeded, for one split of phrasings and names."""

    def __init__(self, seed: int, split: Split = "train", facts: Facts | None = None, ontology: Ontology | None = None) -> None:
        self.rng = random.Random(seed)
        self.split = split
        self.names = Names(self.rng, split)
        self.phrasings = phrasings(split)
        self.relations = [name for name in self.phrasings if self.phrasings[name].statements or self.phrasings[name].spoken]
        self.facts = facts or {}
        self.ontology = ontology or default_ontology()
        self.talk: dict[str, Any] = lists("talk.toml")
        self.kin: dict[str, Any] = lists("kin.toml")
        self.kin_words: dict[str, list[str]] = {relation: words for relation, words in self.kin.items() if isinstance(words, list)}

    # ---- facts

    def relation(self, start: Sequence[str] = ()) -> str:
        """Any relation, or one of `start`."""
        return self.rng.choice(start or self.relations)

    def fact(self, relation: str | None = None, subject: Name | None = None) -> Fact:
        """A fact of that relation, with that subject; real, from pools or invented."""
        relation = relation or self.relation()
        real = self.facts.get(relation)
        if real and subject is None and self.rng.random() < 0.3:
            pair = self.rng.choice(real)
            return Fact(Name.plain(pair[0]), relation, Name.plain(pair[1]))
        if relation == "location" and subject is None:
            kinds = self.rng.choice(LOCATION_PAIRS)
            return Fact(self.names.of(kinds[0]), relation, self._object(kinds[1]))
        subject = subject or self.subject(relation)
        return Fact(subject, relation, self.object(relation, subject.kind))

    def about(self, fact: Fact) -> list[str]:
        """The relations that can have the fact's subject on their left."""
        kind = fact.subject.kind
        if kind:
            return self.having(kind) or [fact.relation]
        domain = set(self.ontology[fact.relation].domain)
        return [r for r in self.relations if domain <= set(SUBJECT_KINDS.get(r) or self.ontology[r].domain)] or [fact.relation]

    def having(self, kind: str) -> list[str]:
        """The relations that can have a name of that kind on their left."""
        return [r for r in self.relations if kind in (SUBJECT_KINDS.get(r) or self.ontology[r].domain)]

    def kinds(self, relation: str, *, backwards: bool = False) -> frozenset[str]:
        """What can stand on the left of the relation, or (`backwards`) on its right."""
        link = self.ontology[relation]
        return frozenset((OBJECT_KINDS.get(relation) or link.range) if backwards else (SUBJECT_KINDS.get(relation) or link.domain))

    def subject(self, relation: str) -> Name:
        """A name that can stand on the left of the relation."""
        kinds = SUBJECT_KINDS.get(relation) or self.ontology[relation].domain or ("thing",)
        kind = self.rng.choice(kinds)
        if kind == "role":
            return self.role(whose="the ")
        if kind == "person" and relation in PERSONAL and self.rng.random() < 0.25:
            return self.around()
        return self._subject(kind)

    def _subject(self, kind: str) -> Name:
        return self.names.of(kind)

    def around(self) -> Name:
        """Somebody by a role or kinship instead of a name."""
        if self.rng.random() < 0.3:
            return self.role()
        word = self.rng.choice([w for group, words in self.kin_words.items() if group != "pet" for w in words])
        return Name.plain(f"my {word}", kind="person")

    def role(self, whose: str = "") -> Name:
        """The dentist, our landlord; of those that begin with `whose`."""
        text = self.rng.choice([role for role in self.names.pools["role"] if role.startswith(whose)])
        return Name(text, text.removeprefix("the "), kind="person")

    def object(self, relation: str, beside: str = "") -> Name:
        """A name that can stand on the right of the relation; `beside` is the kind of the one on the left."""
        kinds = OBJECT_KINDS.get(relation) or self.ontology[relation].range or ("thing",)
        if relation in SAME_KIND and beside in kinds:
            kinds = (beside,)
        if relation == "location":
            kinds = ("place_spot",)
        return self._object(self.rng.choice(kinds))

    def _object(self, kind: str) -> Name:
        if kind in ("thing_an", "thing", "animal"):
            return self.names.bare_thing() if kind != "animal" else self.names.of("animal")
        name = self.names.of(kind)
        if kind in ("place_spot", "project") and name.text.startswith("the "):
            return replace(name, name=name.text.removeprefix("the "))
        return name

    def several(self, fact: Fact) -> list[Fact]:
        """The fact and one or two more with other objects."""
        found = {fact.object.name: fact}
        for _ in range(self.rng.choice([1, 1, 2])):
            more = replace(fact, object=self._alike(fact))
            found.setdefault(more.object.name, more)
        return list(found.values())

    def _alike(self, fact: Fact) -> Name:
        kinds = OBJECT_KINDS.get(fact.relation) or self.ontology[fact.relation].range
        kind = fact.object.kind if fact.object.kind in kinds else kinds[0]
        return self._object(kind if fact.relation != "location" else "place_spot")

    # ---- sentences that state

    def tell(self, fact: Fact, speaker: str = SPEAKER, first_person: bool = False, *, register: str | None = None) -> Told:
        """A sentence that states the fact."""
        lists_ = self.phrasings[fact.relation]
        if first_person and lists_.first:
            return self._first(fact, lists_.first, speaker)
        names = [register] if register else self.rng.choices(["statements", "spoken", "notes"], [5, 4, 1.5])
        # A relation may have no phrasing of a register in this split, or none at all.
        template = self.rng.choice(getattr(lists_, names[0]) or lists_.statements or lists_.spoken or lists_.notes or BARE)
        fact = self._suited(fact, template)
        return self._told(template, fact if DESCRIBED.search(template) else self._with_class_noun(fact))

    def _suited(self, fact: Fact, template: str) -> Fact:
        """A wish is for a thing or to do something: the object is one that the sentence can take."""
        a_thing = "{an o}" in template
        if fact.relation != "wants" or "o}" not in template or a_thing != (fact.object.kind == "plan"):
            return fact
        return replace(fact, object=self._object("thing" if a_thing else "plan"))

    def _with_class_noun(self, fact: Fact) -> Fact:
        """Now and then "the singer Anna Ruiz", "the town of Glim": the noun is no part of the name."""
        subject = fact.subject
        nouns = WORK_NOUNS.get(fact.relation) if subject.kind == "work" else None
        nouns = nouns or self.kin["class_nouns"].get(subject.kind)
        if not nouns or subject.text != subject.name or not subject.text[:1].isupper() or self.rng.random() > 0.08:
            return fact
        return replace(fact, subject=replace(subject, text=f"{self.rng.choice(nouns)} {subject.text}"))

    def _told(self, template: str, fact: Fact, **slots: str) -> Told:
        text = fill(agreeing(template, fact.subject), {"s": fact.subject.text, "o": fact.object.text, **slots})
        return Told(text, (self.triple(fact, text),), (fact,))

    def triple(self, fact: Fact, text: str) -> Triple:
        """The gold triple, with names spelt as in the text."""
        return Triple(literal(fact.subject.name, text), fact.relation, literal(fact.object.name, text))

    def _first(self, fact: Fact, templates: Sequence[str], speaker: str, **slots: str) -> Told:
        template = self.rng.choice(templates)
        fact = self._suited(fact, template)
        text = fill(template, {"s": fact.subject.text, "o": fact.object.text, **slots, **self._suited_old(fact, slots)})
        subject = fact.subject if "s}" in template else Name.plain(speaker)
        target = fact.object if "o}" in template else Name.plain(speaker)
        if "s}" in template and "o}" in template:  # a sentence about two others after all
            return Told(text, (self.triple(fact, text),), (fact,))
        said = Fact(subject, fact.relation, target)
        names = [literal(n.name, text) if n.name != speaker else speaker for n in (subject, target)]
        return Told(text, (Triple(names[0], fact.relation, names[1]),), (said,), about_speaker=True)

    def tell_several(self, facts: Sequence[Fact]) -> Told:
        """One sentence with several objects: "A, B and C"."""
        lists_ = self.phrasings[facts[0].relation]
        plain = [t for t in (*lists_.statements, *lists_.spoken) if t.count("{o}") == 1 and not SINGULAR.search(t)]
        if not plain:
            return self.tell(facts[0])
        text = fill(self.rng.choice(plain), {"s": facts[0].subject.text, "o": listed([f.object.text for f in facts])})
        return Told(text, tuple(self.triple(f, text) for f in facts), tuple(facts))

    def named_plainly(self, fact: Fact) -> Told:
        """As in "The boss of Anna is Tom": the relation by its own or another name, so that new relations are understood too."""
        relation = self.ontology[fact.relation]
        nouns = _nouns(relation)
        if not nouns:
            return self.tell(fact)
        return self._told(_with_noun(self.rng.choice(PLAIN), self.rng.choice(nouns)), fact)

    def kin_told(self, whose: str = SPEAKER, owner: str = "") -> Told:
        """As in "My sister Anna lives in Oslo.", "Her brother Rafa is ill.": who it is, and something about that one.

        `owner` are the words for `whose` kin it is, if not the speaker's: "her", "Ximena's".
        """
        relation, relative = self._relative(owner)
        about = self.relation(ABOUT_PETS if relation == "pet" else ABOUT_PEOPLE)
        told = self.tell(Fact(relative, about, self.object(about)), register=self.rng.choice(["spoken", "statements"]))
        text = told.text.replace(",,", ",").replace(",.", ".").replace(",'s", "'s").replace(",?", "?")
        link = Fact(Name.plain(whose), relation, relative)
        first = Triple(whose, relation, literal(relative.name, text))
        return Told(text, (first, *told.triples), (link, *told.facts), about_speaker=not owner)

    def _relative(self, owner: str) -> tuple[str, Name]:
        """A relation, and who stands in it, in the words of one who tells of them: "my sister Anna", "Grandma Odile", "Mum"."""
        draw = self.rng.random()
        if draw < TITLED and not owner:
            relation, titles = self.rng.choice(list(self.kin["titles"].items()))
            title = self.rng.choice(titles)
            return relation, Name.plain(f"{title} {self.names.given_name(is_female(title.lower())).text}", kind="person")
        if draw < TITLED + STANDING_IN and not owner:
            relation = self.rng.choice([r for r in self.ontology if r.stand_ins])
            return relation.name, Name.plain(self.rng.choice(relation.stand_ins), kind="person")
        relation, words = self.rng.choice(list(self.kin_words.items()))
        word = self.rng.choice(words)
        owner = owner or ("our" if self.rng.random() < 0.15 else "my")
        name = self.names.of("pet_name") if relation == "pet" else replace(self.names.given_name(is_female(word)), kind="person")
        text = f"{owner} {word} {name.text}" if self.rng.random() < 0.67 else f"{name.text}, {owner} {word},"
        return relation, replace(name, text=text)

    def named_later(self, speaker: str = SPEAKER) -> tuple[str, Told]:
        """As in "Her name's Juno.", said of "my daughter", which is returned too."""
        relation, words = self.rng.choice([(r, w) for r, w in self.kin_words.items() if r != "pet"])
        word = self.rng.choice(words)
        name = self.names.given_name(is_female(word))
        text = fill(self.rng.choice(self.kin["named_later"][name.pronoun or "she"]), {"o": name.text})
        fact = Fact(Name.plain(speaker), relation, name)
        return f"my {word}", Told(text, (Triple(speaker, relation, name.name),), (fact,), about_speaker=True)

    def kin_introduced(self, speaker: str = SPEAKER) -> Told:
        """As in "I have a sister, Anna, and she lives in Oslo.": first who it is, then something about her."""
        relation, _ = self.rng.choice(list(self.kin_words.items()))
        person = self.names.of("pet_name") if relation == "pet" else self.names.given_name(is_female(relation))
        about = self.relation(ABOUT_PETS if relation == "pet" else ABOUT_PEOPLE)
        first = self._first(Fact(Name.plain(speaker), relation, person), self._objects_of_speaker(relation), speaker)
        first = replace(first, facts=(Fact(Name.plain(speaker), relation, person),))
        second = self.tell(Fact(person, about, self.object(about)), register=self.rng.choice(["spoken", "statements"]))
        shorter = self.with_pronoun(second, person.pronoun) if self.rng.random() < 0.7 else None
        return self.joined(first, shorter or second)

    def _objects_of_speaker(self, relation: str) -> list[str]:
        """First-person phrasings whose subject is the speaker."""
        return [t for t in self.phrasings[relation].first if "s}" not in t] or ["{o} is my " + self.kin_words[relation][0] + "."]

    def change(self, fact: Fact, old: str, speaker: str = SPEAKER, first_person: bool = False) -> Told:
        """A sentence that says that the fact is new; `old` was so before."""
        lists_ = self.phrasings[fact.relation]
        if first_person and lists_.first_changes:
            return self._first(fact, lists_.first_changes, speaker, old=old)
        if not lists_.changes:
            return self.tell(fact)
        template = self.rng.choice(lists_.changes)
        fact = self._suited(fact, template)
        return self._told(template, fact, **self._suited_old(fact, {"old": old}))

    def _suited_old(self, fact: Fact, slots: Mapping[str, str]) -> dict[str, str]:
        """The former object, again one that the sentence can take."""
        suits = fact.relation != "wants" or fact.object.kind == "plan"
        return dict(slots) if suits or "old" not in slots else {"old": self._object("thing").text}

    def elliptic_change(self, fact: Fact) -> Told:
        """As in "The capital is now Glim.": the subject stands only in what precedes."""
        relation = self.ontology[fact.relation]
        template = _with_noun(self.rng.choice(ELLIPTIC), self.rng.choice(_nouns(relation) or [relation.name]))
        text = fill(template, {"o": fact.object.text})
        return Told(text, (Triple(fact.subject.name, fact.relation, literal(fact.object.name, text)),), (fact,))

    def never(self, fact: Fact) -> Told:
        """A sentence about the fact that states nothing: a hand-written one, a statement with a "not" in it or one that is taken back."""
        if self.rng.random() < UNREAL:
            return self._unreal(fact)
        lists_ = self.phrasings[fact.relation]
        template = self.rng.choice(lists_.never) if lists_.never else None
        if fact.relation not in OPPOSED and (template is None or self.rng.random() < NEGATED):
            template = negated(self.rng.choice([*lists_.statements, *lists_.spoken, *lists_.first] or BARE)) or template
        if template is None:
            return self.nothing()
        fact = self._suited(fact, template)
        return Told(fill(template, {"s": fact.subject.text, "o": fact.object.text, "old": fact.object.text}), (), (fact,))

    def _unreal(self, fact: Fact) -> Told:
        """As in "If only Anna lived in Oslo.": a whole statement in a frame that takes it back."""
        person = bool(self.phrasings[fact.relation].first) and self.rng.random() < 0.4
        said = self.tell(fact, first_person=person, register="" if person else self.rng.choice(["statements", "spoken"]))
        text = self.rng.choice(self.talk["unreal"]).replace("{S}", _lowered(said.text.rstrip(".!"), said))
        return Told(text, (), said.facts)

    def nothing(self) -> Told:
        """A sentence with nothing in it to be written."""
        if self.rng.random() < 0.5:
            return Told(self.small_talk()[0])
        text = self.rng.choice(self.talk["nothing"])
        filled = re.sub(r"\{(\w+)\}", lambda found: self._of_kind(found.group(1)).text, text)
        return Told(filled[:1].upper() + filled[1:])

    def _of_kind(self, kind: str) -> Name:
        return self.names.bare_thing() if kind == "thing" else self.names.of(kind)

    def small_talk(self) -> tuple[str, str]:
        """A message that states and asks nothing, and a reply."""
        message, reply = self.rng.choice(self.talk["small_talk"])
        return message, reply

    # ---- joining

    def with_pronoun(self, told: Told, pronoun: str) -> Told | None:
        """The sentence with a pronoun for its subject, where that reads well."""
        if not told.facts or not pronoun:
            return None
        subject = told.facts[0].subject.text
        capital = pronoun.capitalize()
        if told.text.count(subject) != 1:
            return None
        if told.text.startswith(f"{subject}'s "):
            text = PRONOUNS[pronoun][2].capitalize() + told.text[len(subject) + 2 :]
        elif re.match(rf"{re.escape(subject)} [a-z]", told.text):
            text = capital + told.text[len(subject) :]
        else:
            return None
        return replace(told, text=text)

    def referring(self, question: Question) -> tuple[str, str] | None:
        """The question with a pronoun for the name it is about, as in "How old is she?", and the pronoun; None where none is safe."""
        name = question.known
        before, found, after = question.text.partition(name.text)
        if not (name.pronoun and found) or question.yes_no or question.about_speaker or name.text in after:
            return None
        subject, object_, possessive = PRONOUNS[name.pronoun]
        if after.startswith("'s "):
            word, after = possessive, after[2:]
        else:
            last = before.split()[-1].lower() if before.split() else ""
            ends = not after[:1].isspace() and last not in COPULAS
            word = object_ if ends or last in PREPOSITIONS else subject
        word = word if before else word.capitalize()
        return before + word + after, word

    def joined(self, first: Told, second: Told) -> Told:
        """Two statements in one sentence."""
        head = first.text.rstrip(".")
        subject = first.facts[0].subject.text if first.facts else ""
        same = bool(second.facts) and second.facts[0].subject.text == subject
        shared = "I" if first.about_speaker and second.about_speaker else subject if same else ""
        goes_on = re.match(rf"{re.escape(shared)} (?!and )[a-z]", second.text)
        if shared and goes_on and re.match(rf"{re.escape(shared)}(?: |'m )", first.text):
            text = head + self.rng.choice(LINKS) + second.text[len(shared) + 1 :]
        else:
            link = self.rng.choice([", and ", ", while ", "; ", ", and also ", " – "])
            replaced = self.with_pronoun(second, second.facts[0].subject.pronoun) if second.facts and self.rng.random() < 0.4 else None
            tail = second.text if replaced is None or not same else replaced.text
            text = head + link + (_lowered(tail, second) if replaced is None or not same else tail[:1].lower() + tail[1:])
        return Told(text, first.triples + second.triples, first.facts + second.facts, first.about_speaker or second.about_speaker)

    def decorated(self, told: Told) -> Told:
        """With an opener or a closer, now and then in lower case or with a slip of the keyboard."""
        text = told.text
        draw = self.rng.random()
        if draw < 0.16:
            opener = self.rng.choice(self.talk["openers"] + self.talk["remember_requests"])
            text = opener + (text if opener.rstrip()[-1:] in ".:!?" else _lowered(text, told))
        elif draw < 0.20 and text.endswith("."):
            text = text[:-1] + self.rng.choice(self.talk["closers"])
        elif draw < 0.26:
            text = text.rstrip(".")
        elif draw < 0.29:
            text = text.rstrip(".") + "!"
        names = tuple(Triple(literal(t.subject, text), t.relation, literal(t.object, text)) for t in told.triples)
        if self.rng.random() < 0.04:
            text = text.lower()
            names = tuple(Triple(literal(t.subject, text), t.relation, literal(t.object, text)) for t in names)
        return replace(told, text=text, triples=names)

    def listed(self, told: Sequence[Told]) -> Told:
        """Several statements about one, as in "Tom works for Kestrel, plays the cello and lives in Oslo."."""
        subject = "I" if all(t.about_speaker for t in told) else told[0].facts[0].subject.text
        fitting = [t for t in told if re.match(rf"{re.escape(subject)} (?!and )[a-z][^,;:]*\.$", t.text)]
        if len(fitting) < 2:
            return self.joined(told[0], told[1])
        tails = [t.text[len(subject) + 1 :].rstrip(".") for t in fitting]
        triples = tuple(triple for t in fitting for triple in t.triples)
        facts = tuple(fact for t in fitting for fact in t.facts)
        return Told(f"{subject} {listed(tails)}.", triples, facts, told[0].about_speaker)

    # ---- questions and answers

    def ask(self, fact: Fact, speaker: str = SPEAKER) -> Question | None:
        """A question about the fact: for its object mostly, for its subject, or whether."""
        lists_ = self.phrasings[fact.relation]
        if fact.subject.name == speaker:
            templates, inverse, yes_no = lists_.first_questions, False, False
            about = True
        else:
            about = False
            kinds = [("o", lists_.questions, 6.0), ("s", lists_.inverse_questions, 3.0), ("yn", lists_.yes_no, 1.2)]
            if not any(t for _, t, _ in kinds):
                return None
            kind, templates, _ = self.rng.choices(kinds, [w if t else 0.0 for _, t, w in kinds])[0]
            inverse, yes_no = kind == "s", kind == "yn"
            if fact.object.name == speaker and kind != "o":
                return None
        if not templates:
            return None
        template = self.rng.choice(templates)
        fact = self._suited(fact, template)
        text = fill(agreeing(template, fact.subject), {"s": fact.subject.text, "o": fact.object.text})
        return Question(self.asked(text, fact), fact, inverse, yes_no, about)

    def plain_question(self, fact: Fact) -> Question | None:
        """As in "What is the price of X?": the relation by its own or another name, if that is a noun."""
        nouns = _nouns(self.ontology[fact.relation])
        if not nouns:
            return self.ask(fact)
        text = fill(_with_noun(self.rng.choice(PLAIN_QUESTIONS), self.rng.choice(nouns)), {"s": fact.subject.text})
        return Question(self.asked(text, fact), fact)

    def described(self, whose: Name | None = None) -> tuple[Fact, str]:
        """As in "the author of The Salt Road", "my car": a fact, and a phrase for its object, about which more can be asked.

        `whose` is its subject, if given; its text is a phrase itself.
        """
        about = self.relations if whose is None else self.having(whose.kind)
        while True:
            if self.rng.random() < 0.5:
                own = whose is None and self.rng.random() < 0.4
                phrases = self.kin["described_first" if own else "described"]
                relation = self.rng.choice([r for r in phrases if r in about])
                fact = self.fact(relation, Name.plain(SPEAKER) if own else whose)
                phrase = self.rng.choice(phrases[relation]).replace("{s}", fact.subject.text)
            else:
                fact = self.fact(self.rng.choice(about), whose)
                nouns = [noun for noun in _nouns(self.ontology[fact.relation]) if noun not in PLURAL]
                if not nouns or fact.relation in NAMES:
                    continue
                noun = self.rng.choice(nouns)
                phrase = self.rng.choice([f"the {noun} of {fact.subject.text}", f"{fact.subject.text}'s {noun}"])
            if fact.object.kind and self.having(fact.object.kind):
                return fact, phrase

    def kin_of(self, whose: Name, owner: str) -> tuple[Fact, str]:
        """Somebody around a person, and words for that one: "my sister", "Anna's sister", "my sister's dog"."""
        relation, words = self.rng.choice(list(self.kin_words.items()))
        word = self.rng.choice(words)
        other = self.names.of("pet_name") if relation == "pet" else replace(self.names.given_name(is_female(word)), kind="person")
        return Fact(whose, relation, other), f"{owner} {word}"

    def asked(self, text: str, fact: Fact) -> str:
        """The question with an opener, in lower case or with a slip, now and then; a slip never in the fact's names."""
        draw = self.rng.random()
        if draw < 0.08:
            opener: str = self.rng.choice(self.talk["question_openers"])
            keeps = opener.rstrip()[-1:] in ".:!?" or text.split()[0] not in LOWERED
            return opener + (text if keeps else text[:1].lower() + text[1:])
        if draw < 0.15:
            return text.lower()
        if draw < 0.19:
            return self._slip(text, f"{fact.subject.text} {fact.object.text}")
        return text.rstrip("?") if draw < 0.23 else text

    def _slip(self, text: str, names: str) -> str:
        """Two neighbouring letters swapped, not in a capitalised word or a name."""
        words = text.split(" ")
        places = [i for i, w in enumerate(words) if len(w) > 4 and w.isalpha() and w.islower() and w not in names]
        if not places:
            return text
        at = self.rng.choice(places)
        i = self.rng.randrange(1, len(words[at]) - 2)
        w = words[at]
        words[at] = w[:i] + w[i + 1] + w[i] + w[i + 2 :]
        return " ".join(words)

    def answer(self, question: Question, answers: Sequence[str], asked: str | None = None) -> str:
        """What the model says after the memory has answered (nothing: that it does not know)."""
        lists_ = self.phrasings[question.fact.relation]
        slots = {"s": OURS.sub("your ", question.fact.subject.text), "o": OURS.sub("your ", question.fact.object.text)}
        if not answers:
            usable = [t for t in lists_.none_answers if "o}" not in t]
            if question.about_speaker or question.inverse or self.rng.random() < 0.85 or not usable:
                return str(self.rng.choice(self.talk["unknown_replies"]))
            return fill(self.rng.choice(usable), slots)
        if question.yes_no:
            told = asked or question.fact.object.text
            yes = told.lower() in (a.lower() for a in answers)
            return f"{'Yes' if yes else 'No'}, {listed(answers)}."
        slots["a"] = listed(answers)
        if question.about_speaker:
            to_do = question.fact.object.kind == "plan"
            return fill(
                self.rng.choice(["{a}.", "{a}.", "You told me: {a}.", "As you told me, {a}.", "{a}." if to_do else "It is {a}."]), slots
            )
        templates = lists_.inverse_answers if question.inverse else lists_.many_answers if len(answers) > 1 else lists_.answers
        usable = [t for t in templates if not ({"s", "o"} & set(re.findall(r"(s|o)\}", t)) and question.inverse and "s}" in t)]
        if len(answers) > 1:
            usable = [t for t in usable if templates is lists_.many_answers or not SINGULAR.search(t.replace("{a}", "{o}"))]
        if question.fact.relation == "wants" and question.fact.object.kind == "plan" and not question.inverse:
            usable = [t for t in usable if "{an a}" not in t]
        return fill(self.rng.choice([*usable, "{a}."]), slots)


def _nouns(relation: Relation) -> list[str]:
    """Those of a relation's names that can stand in "the ... of X"."""
    return [name for name in (relation.name, *relation.other_names) if not VERBAL.search(name)]


def _with_noun(template: str, noun: str) -> str:
    """The template with the noun for the relation; "the hours are"."""
    return (template.replace(" is ", " are ").replace("What was", "What were") if noun in PLURAL else template).replace("{r}", noun)


def _lowered(text: str, told: Told) -> str:
    """The text as it goes on after an opener or a link: a name keeps its capital."""
    first = text.split()[0]
    named = any(name.text[:1].isupper() and text.startswith(name.text) for fact in told.facts for name in (fact.subject, fact.object))
    return text if named or first not in LOWERED else text[:1].lower() + text[1:]


def is_female(word: str) -> bool | None:
    """Whether a word for a relative is a woman's; None: it may be anybody's."""
    last = word.split()[-1]
    return True if last in FEMALE else False if last in MALE else None


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


PERSONAL = frozenset(
    {
        "allergic to", "works on", "plans to", "travels to", "favourite food", "favourite drink", "favourite colour", "favourite book",
        "favourite film", "favourite music", "phone number", "email address", "address", "plays sport", "plays instrument",
        "supports team", "medical condition", "medication", "diet", "afraid of", "appointment", "owns", "working on", "educated at",
        "field of study", "shoe size", "native language", "place of birth", "sister", "brother", "son", "daughter", "friend", "partner",
        "neighbour", "roommate", "colleague", "boss", "teacher", "doctor", "pet", "occupation", "hobby", "likes", "dislikes", "residence",
        "employer", "hometown", "birthday", "age", "vehicle", "learning", "wants",
    }
)  # fmt: skip
ABOUT_PEOPLE = (
    "residence", "residence", "employer", "employer", "occupation", "educated at", "place of birth", "hobby", "likes", "allergic to",
    "plays instrument", "plays sport", "travels to", "birthday", "age", "vehicle", "learning", "field of study", "working on", "plans to",
    "spouse", "hometown", "favourite food", "medical condition", "dislikes", "owns", "pet",
)  # fmt: skip
ABOUT_PETS = ("breed", "age", "likes", "afraid of", "birthday", "colour", "allergic to", "weight", "favourite food")
PLAIN = (
    "The {r} of {s} is {o}.", "{s}'s {r} is {o}.", "{o} is the {r} of {s}.", "{s} has {o} as {r}.", "{r} of {s}: {o}",
    "{o} is {s}'s {r}.", "As {r} of {s} we have {o}.", "The {r} for {s}: {o}.",
)  # fmt: skip
BARE = ("{s}: {o}.",)
ELLIPTIC = (
    "The {r} is now {o}.", "The {r} is {o} now.", "The new {r} is {o}.", "Now the {r} is {o}.", "The {r} has changed to {o}.",
    "{o} is the new {r}.", "Its {r} is now {o}.", "The {r} is {o}.", "Update: the {r} is {o}.", "As of today the {r} is {o}.",
)  # fmt: skip
PLAIN_QUESTIONS = (
    "What is the {r} of {s}?", "What is {s}'s {r}?", "{s} {r}?", "Tell me the {r} of {s}.", "{r} of {s}?", "Do you know {s}'s {r}?",
    "Which {r} does {s} have?", "What was the {r} of {s} again?",
)  # fmt: skip
VERBAL = re.compile(
    r"\b(?:by|in|at|to|on|is|are|was|has|have|goes|lives|works|plays|took|take|takes|owns|owned|drives|eats|made|knows|loves|hates"
    r"|leads|runs|won|belongs|contains|costs|weighs|resides|comes|comes from|grew|can't|fond|busy|wants|wishes|would|stand|replaces"
    r"|replaced|learning|studies|speaks|borders|leaves|starts|begins|ends|lasts|shut|set|scared|afraid|allergic|starring|stars|used"
    r"|written|followed|follows|kept|consists|includes|produces|makes|split|broke|signed|known|called|inspired|taught|named|died"
    r"|killed|buried|born|served|fought|appears|competed|participant|separated|influenced|composed|possesses|holds|going|does|do"
    r"|rides|sings|sentenced|scored|adapted|guilty|coded|programmed|implemented|which|what|how|why|old|tall|instance|subclass|follows|enjoys|dislikes|departs|manages|shares)\b|\bof$|^(?:part|age|birthday|likes)"
)
PLURAL = frozenset({"opening hours", "hours", "inhabitants", "awards", "characters", "siblings", "kids", "interests", "districts"})
FEMALE = frozenset(
    {
        "sister", "sis", "daughter", "girl", "mother", "mum", "mom", "mama", "wife", "girlfriend", "fiancée", "grandmother", "grandma",
        "gran", "aunt", "auntie", "aunty", "granny", "nana", "nan", "oma", "nonna", "abuela", "tía", "tante",
    }
)  # fmt: skip
MALE = frozenset(
    {
        "brother", "son", "boy", "father", "dad", "papa", "husband", "boyfriend", "fiancé", "grandfather", "grandpa", "grandad", "uncle",
        "opa", "nonno", "abuelo", "tío", "onkel",
    }
)  # fmt: skip
OURS = re.compile(r"^(?:my|our) ")
# What cannot be said of several: "A and B is", "A and B's", "A and B, a town".
SINGULAR = re.compile(
    r"\{o\}(?:,[^,{}]*,)? (?:\w+ly |now |still |also |never |once |often |always )?(?:is|was|has|does|isn't|wasn't"
    r"|(?!(?:this|his|always|besides|towards|years|days|sometimes|afterwards|perhaps|overseas|yes)\b)[a-z]+[^su\W]s)\b"
    r"|\{o\}'s|\{o\}, (?:an?|the|one|my|our|another|who|which|where)\b|^\{o\},|\b(?:called|named|company|firm|city|town|village|novel|film"
    r"|movie|book|song|album|country|river|man|woman|person|label|club|group|party|network|school|event|language|a|an|one|another|little)"
    r" \{o\}"
)
# A subject that a noun or adjective stands before already.
DESCRIBED = re.compile(
    r"\b(?:little|poor|young|old|friend|company|firm|city|town|village|novel|film|movie|book|song|album|play|country|river|team|club"
    r"|singer|writer|artist|device|product|that|the|of one) \{s\}"
)
WORK_NOUNS = {
    **dict.fromkeys(("director", "cast member", "screenwriter", "production company"), ("the film", "the movie")),
    **dict.fromkeys(("author", "publisher", "illustrator"), ("the novel", "the book")),
    **dict.fromkeys(("composer", "performer", "lyrics by", "record label"), ("the song", "the album")),
    **dict.fromkeys(("original network",), ("the series", "the show")),
}
LOWERED = frozenset(
    {
        "He", "She", "The", "A", "An", "In", "On", "At", "After", "Since", "Among", "Today", "Now", "My", "Our", "His", "Her", "Its",
        "This", "That", "These", "If", "It", "There", "We", "You", "They", "Who", "What", "Where", "When", "Which", "Please", "Last",
        "Next", "For", "From", "With", "As", "One", "Every", "Both", "Within", "Of", "So", "To", "During", "According", "Look", "By",
        "You'd", "Nobody", "All", "No", "Under", "Readers", "Critics", "Guess", "Turns", "Before", "Without", "They've", "You'll", "Just",
        "It's", "Visitors", "Ask", "Don't", "Those", "There's", "Whoever", "Put", "Nothing", "Whenever", "We're", "Over", "Say", "Around",
        "Did", "Keep",
    }
)  # fmt: skip
