"""Texts with the facts that are annotated in them: documents in DocRED form, KnowledgeNet's passages, TekGen's sentences.

A name is right if it is any mention of the entity; a pronoun that stands for the only mention may have any name. The
gold facts stay in here and in the counting: they never reach an agent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evals.case import DataFile
from evals.facts import Wanted, wanted
from memagent.ontology import Ontology
from memagent.training.readers.names import find_name
from memagent.training.readers.relations import by_name
from memagent.training.readers.spelling import mended
from memagent.training.readers.statements import Report

REDOCRED = DataFile(
    "redocred/test_revised.json",
    "Re-DocRED test, documents in DocRED form",
    "https://github.com/tonytan48/Re-DocRED (data/test_revised.json)",
    "MIT (text CC BY-SA)",
)
KNOWLEDGENET = DataFile(
    "knowledgenet/train.jsonl",
    "KnowledgeNet, one row a passage and property",
    "https://github.com/diffbot/knowledge-net (dataset/train.json)",
    "CC BY-SA 4.0",
)
THEMES = ("10_culture", "1_movie", "2_music", "3_sport", "4_book", "5_military", "6_computer", "7_space", "8_politics", "9_nature")
TEKGEN = tuple(
    DataFile(
        f"text2kgbench/wikidata_tekgen/{name}",
        "Text2KGBench's TekGen test, sentences with triples of ten small ontologies",
        "https://github.com/cenguix/Text2KGBench (data/wikidata_tekgen)",
        "CC BY-SA 4.0",
    )
    for theme in THEMES
    for name in (f"ground_truth/ont_{theme}_ground_truth.jsonl", f"ontologies/{theme}_ontology.json")
)
FOLD = 4  # KnowledgeNet's folds 1 to 3 may be trained on
PROPERTIES = {  # KnowledgeNet's names; `~`: said from the object to the subject
    "CEO": {"chief executive officer"},
    "CHILD_OF": {"~child", "father", "mother"},
    "DATE_FOUNDED": {"inception"},
    "DATE_OF_BIRTH": {"date of birth"},
    "DATE_OF_DEATH": {"date of death"},
    "EDUCATED_AT": {"educated at"},
    "EMPLOYEE_OR_MEMBER_OF": {"employer", "member of", "member of sports team"},
    "FOUNDED_BY": {"founded by"},
    "HEADQUARTERS": {"headquarters location"},
    "NATIONALITY": {"country of citizenship"},
    "PLACE_OF_BIRTH": {"place of birth"},
    "PLACE_OF_RESIDENCE": {"residence"},
    "POLITICAL_AFFILIATION": {"member of political party"},
    "SPOUSE": {"spouse"},
    "SUBSIDIARY_OF": {"parent organization"},
}
HYPHEN = re.compile(r"(?<=[^\W\d]) - (?=[^\W\d])|(?<=\d) - (?=\d)")  # as a token between two words or two numbers
PRONOUNS = re.compile("he|him|his|himself|she|her|hers|herself|it|its|they|them|their|we|our|i|me|my|who|whom|whose|which|that", re.I)
Relations = frozenset[str]  # names that say the same; after `~`: said from the object to the subject


@dataclass(frozen=True, slots=True)
class Text:
    """A document or passage: sentences (or passages) as read, the facts of each, and the facts of the whole."""

    name: str
    kind: str
    parts: tuple[str, ...]
    facts_of_part: tuple[tuple[Wanted, ...], ...]
    facts: tuple[Wanted, ...]
    looked_for: frozenset[Relations]  # by the annotators; facts about other relations were not to be annotated

    @property
    def allowed(self) -> frozenset[str]:
        """The names of all relations that the annotators looked for."""
        return frozenset(name.removeprefix("~") for relations in self.looked_for for name in relations)


def read_docred(documents: Iterable[dict[str, Any]], ontology: Ontology) -> list[Text]:
    """Documents in DocRED form; labels whose relation the ontology lacks are left out."""
    names = {relation.wikidata: relation.name for relation in ontology if relation.wikidata}
    documents = list(documents)
    looked_for = frozenset(frozenset({names[label["r"]]}) for d in documents for label in d["labels"] if label["r"] in names)
    return [_docred(document, names, looked_for) for document in documents]


def _docred(document: dict[str, Any], names: dict[str, str], looked_for: frozenset[Relations]) -> Text:
    entities = [[mention["name"] for mention in entity] for entity in document["vertexSet"]]
    named_in = [{mention["sent_id"] for mention in entity} for entity in document["vertexSet"]]
    parts = tuple(detokenise(tokens) for tokens in document["sents"])
    of_part: list[list[Wanted]] = [[] for _ in parts]
    facts: list[Wanted] = []
    for label in document["labels"]:
        if label["r"] not in names:
            continue
        head, tail = label["h"], label["t"]
        fact = wanted(entities[head], [names[label["r"]]], entities[tail])
        facts.append(fact)
        told_from = max(min(named_in[head]), min(named_in[tail]))
        for i in label["evidence"] or named_in[head] & named_in[tail]:
            if i >= told_from:
                of_part[i].append(fact)
    return Text(document["title"], "document", parts, tuple(map(tuple, of_part)), tuple(facts), looked_for)


def detokenise(tokens: Sequence[str]) -> str:
    """Tokens as a person would write them: no space before closing marks, after opening ones or around hyphens."""
    text = ""
    quotes = 0
    for token in filter(None, map(str.strip, tokens)):
        closes = token in {",", ".", ";", ":", "!", "?", ")", "]", "%", "'s", "'", "n't"} or (token == '"' and quotes % 2 == 1)
        opened = text.endswith(("(", "[", "$", "£")) or (text.endswith('"') and quotes % 2 == 1)
        quotes += token == '"'
        text += token if closes or opened or not text else f" {token}"
    return HYPHEN.sub("-", text)


def read_knowledgenet(rows: Iterable[dict[str, Any]]) -> list[Text]:
    """The passages of `FOLD`; rows about one entity under several names become one fact."""
    kept = sorted((row for row in rows if row["fold"] == FOLD), key=lambda row: (row["doc"], row["pass_start"]))
    return [_passage(list(group)) for _, group in groupby(kept, key=lambda row: (row["doc"], row["pass_start"]))]


def _passage(rows: list[dict[str, Any]]) -> Text:
    forms: dict[tuple[str, str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for row in rows:
        if row["subject"] is not None:
            key = (row["property"], row["subject_uri"] or row["subject"], row["object_uri"] or row["object"])
            forms[key][0].add(row["subject"])
            forms[key][1].add(row["object"])
    found = [(relation, _named(subjects), _named(objects)) for (relation, _, _), (subjects, objects) in forms.items()]
    named = [(relation, s, o) for relation, s, o in found if not any(_said_by(relation, s, o, other) for other in found)]
    facts = tuple(wanted(subjects, PROPERTIES[relation], objects) for relation, subjects, objects in named)
    looked_for = frozenset(frozenset(PROPERTIES[row["property"]]) for row in rows)
    return Text(f"{rows[0]['doc']}:{rows[0]['pass_start']}", "passage", (rows[0]["passage"],), (facts,), facts, looked_for)


Found = tuple[str, frozenset[str], frozenset[str]]


def _named(forms: Collection[str]) -> frozenset[str]:
    return frozenset(form for form in forms if not PRONOUNS.fullmatch(form))


def _said_by(relation: str, subjects: frozenset[str], objects: frozenset[str], other: Found) -> bool:
    """Whether a fact with a pronoun on one side is `other`, which has a name there."""
    if relation != other[0] or (subjects and objects):
        return False
    subject_fits = other[1] and (not subjects or subjects & other[1])
    object_fits = other[2] and (not objects or objects & other[2])
    return bool(subject_fits and object_fits)


# ---- TekGen


def read_tekgen(themes: Iterable[tuple[Sequence[dict[str, Any]], dict[str, Any]]]) -> list[Text]:
    """The sentences of every theme (its rows and its ontology) with the facts whose two names are said in them.

    Only triples of the theme's ontology are listed, by a program that aligned Wikidata with the text: what it missed counts as wrong.
    """
    return [text for rows, ontology in themes for text in _theme(rows, ontology)]


def _theme(rows: Iterable[dict[str, Any]], ontology: dict[str, Any]) -> Iterator[Text]:
    relations = {each["label"]: frozenset({said}) for each in ontology["relations"] if (said := _relation(each["label"]))}
    for row in rows:
        sentence = mended(row["sent"])
        facts = tuple(fact for triple in row["triples"] if triple["rel"] in relations for fact in _tekgen(sentence, triple, relations))
        if facts:
            yield Text(row["id"], "sentence", (sentence,), (facts,), facts, frozenset(relations.values()))


def _tekgen(sentence: str, triple: dict[str, Any], relations: dict[str, Relations]) -> Iterator[Wanted]:
    """The triple as a fact, if its names are said; a name is right as the annotation has it, and as the sentence spells it."""
    labels = [mended(triple[side]) for side in ("sub", "obj")]
    said = [find_name(sentence, label) for label in labels]
    if said[0] and said[1]:
        yield wanted({labels[0], said[0]}, relations[triple["rel"]], {labels[1], said[1]})


def _relation(label: str) -> str | None:
    """Our name of a relation of Wikidata; after `~`, it says the same from the object to the subject."""
    mapped = by_name(label.strip(), Report())
    return None if mapped is None else f"~{mapped.relation}" if mapped.swapped else mapped.relation
