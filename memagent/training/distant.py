"""Distant supervision: known facts found again in the encyclopaedia articles.

A sentence is taken to state a fact when it names both ends of it and a cue of the relation stands near them. Cues come
from the grammar: words that are frequent in the relation's own phrasings and rare in those of the others. The subject
may also be the article's title, taken up by a pronoun at the beginning of one of the first sentences. Only leads (what
stands before the first heading) are searched, unless the whole articles are asked for.

Every statement is partial. What is found is filtered once more by a model's belief, once there is one (`filtering.py`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from memagent.ontology import default_ontology
from memagent.training.corpus import articles, wikipedia_files
from memagent.training.grammar.phrasings import lists, phrasings
from memagent.training.readers import Fact, Report, Statement, read_docred_facts, read_kamel, titles
from memagent.training.readers.spelling import MONTHS, Span, sentences
from memagent.training.readers.statements import partial, stated
from memagent.triples import Triple

SOURCE = "wikipedia"
HEADING = 60  # characters; a shorter line is a heading
LIMIT = 300  # statements of one relation; without it four in five are of two
FIRST_SENTENCES = 3  # in which a pronoun is taken for the article's subject
MAX_WORDS = 8  # of a name
MAX_GAP = 90  # characters between the two names
CLOSE_GAP = 40  # the same where the subject is not what the article is about
NEAR = 15  # characters around the two names in which a cue counts
OFTEN = 0.064  # share of a relation's phrasings that hold a cue; less, the more there are
RARER = 6  # times rarer a cue is in the average other relation
SPREAD = 6  # relations at most of which a word is a frequent one
MIN_NAME = 3  # characters

_IS_A = re.compile(r"\b(?:is|was|are|were) (?:an?|the) [^,;]{0,40}$")
_IN = re.compile(  # a few words in lower case that do not begin something new
    r"^,? (?:(?!(?:and|or|to|from|by|before|after|behalf|against|as|outside|near|than|with|for|until|that|which|while)\b)[a-z-]+ ){0,6}"
    r"(?:in|of) (?:the )?(?:[\w' ]+, ){0,2}$|^, (?:[\w' ]+, ){0,2}$"
)
PLACES = frozenset({"country", "located in the administrative territorial entity", "head of state", "capital", "capital of", "continent"})
_ADJECTIVE = re.compile(r"[a-z](?:ian|ish|ese)$|^(?:American|African|European|German|Mexican|Cuban|Moroccan|Korean)$")
BETWEEN: dict[str, re.Pattern[str] | None] = {  # relations whose cue is the very text between subject and object, and no word
    **dict.fromkeys(  # no text of that kind is a sure sign
        (
            "basin country",
            "continent",
            "contains administrative territorial entity",
            "country of origin",
            "ethnic group",
            "followed by",
            "follows",
            "has part",
            "native language",
            "participant",
            "participant of",
            "replaced by",
            "replaces",
            "separated from",
            "sister city",
            "subclass of",
        )
    ),
    "official language": re.compile(r"official language"),
    "country": _IN,
    "located in the administrative territorial entity": _IN,
    "occupation": _IS_A,
    "country of citizenship": _IS_A,
    "instance of": _IS_A,
    "genre": _IS_A,
    "date of birth": re.compile(r"\bborn\b[^,;–]{0,30}$|^ \((?:[^–)]{0,60}[;,] )?$"),
    "date of death": re.compile(r"^[^)]* [–-] (?:[\w ]+, )?$|\bdied\b[^,;]{0,30}$"),
}
_DOUBT = re.compile(
    r"\b(?:not|never|nor|no longer|rumou?r\w*|alleged\w*|unsuccessful\w*|failed|refused|declined|proposed|if|might)\b|n't\b", re.IGNORECASE
)
_VAGUE = {"city", "government", "town"}  # cues that the grammar cannot tell to be none
_IN_A_DATE = re.compile(rf"(?:\d,?|\b(?:{'|'.join(MONTHS)}),?) $")  # what stands before a year or month that is part of a date
_PRONOUN = re.compile(r"(?:He|She|It|His|Her|Its)\b")
_WORD = re.compile(r"\w+")
_SLOT = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Passage:
    """A lead or a paragraph of an article as one line, and its sentences; `first`: it is the lead."""

    title: str
    text: str
    spans: tuple[Span, ...]
    first: bool = True


class Candidate(NamedTuple):
    """A triple that a sentence may state; the higher the score, the surer."""

    score: float
    triple: Triple


class Facts:
    """Facts by the names at their ends."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        """Keep the facts whose two names differ and are no abbreviations of two letters."""
        self._relations: dict[str, dict[str, set[str]]] = {}
        for fact in facts:
            for name in fact.objects:
                if len(name) >= MIN_NAME and len(fact.subject) >= MIN_NAME and name != fact.subject:
                    self._relations.setdefault(fact.subject, {}).setdefault(name, set()).add(fact.relation)
        self.names = frozenset(chain(self._relations, chain.from_iterable(self._relations.values())))

    def about(self, subject: str) -> Mapping[str, set[str]]:
        """Object → relations of everything that is known of a subject."""
        return self._relations.get(subject, {})


def read_facts(data: Path, report: Report) -> Facts:
    """KAMEL's and DocRED's facts."""
    return Facts(chain(read_kamel(data, report), read_kamel(data, report, "dev"), read_docred_facts(data, report)))


def read_distant(data: Path, report: Report, limit: int = LIMIT, *, whole: bool = False) -> list[Statement]:
    """The surest statements, at most `limit` of one relation, in the order of the articles."""
    overlap = titles(data) | titles(data, "redocred/test_revised.json.xz")
    facts = read_facts(data, report)
    found_in = (passage for path in wikipedia_files(data) for passage in read_passages(path, overlap, report, whole=whole))
    return matched(found_in, facts, report, limit)


def matched(found_in: Iterable[Passage], facts: Facts, report: Report, limit: int = LIMIT) -> list[Statement]:
    """Statements of these passages; the best of each relation, and among equals the first."""
    found: list[tuple[str, str, list[Candidate]]] = []
    for passage in found_in:
        for i, (start, end) in enumerate(passage.spans):
            candidates = _candidates(passage, i, facts, report)
            if candidates:
                found.append((passage.text[:start].rstrip(), passage.text[start:end], candidates))
    least = _least_scores(found, limit)
    left = Counter({relation: limit for relation in least})
    statements = []
    for context, focus, candidates in found:
        kept = []
        for candidate in candidates:
            relation = candidate.triple.relation
            if candidate.score >= least[relation] and left[relation] > 0:
                left[relation] -= 1
                kept.append(candidate.triple)
                report[f"kept: {relation}"] += 1
            else:
                report[f"over the limit: {relation}"] += 1
        if kept:
            statements.append(partial(stated(context, focus, kept, SOURCE, report=report)))
    return statements


def _least_scores(found: Iterable[tuple[str, str, list[Candidate]]], limit: int) -> dict[str, float]:
    """The score of each relation's last one within the limit."""
    scores: dict[str, list[float]] = {}
    for _, _, candidates in found:
        for candidate in candidates:
            scores.setdefault(candidate.triple.relation, []).append(candidate.score)
    return {relation: sorted(values, reverse=True)[:limit][-1] for relation, values in scores.items()}


def read_passages(path: Path, overlap: Collection[str], report: Report, *, whole: bool = False) -> Iterator[Passage]:
    """The leads, or all passages, of one file of articles, without those of these titles."""
    for title, text in articles(path):
        if title in overlap:
            report["article of an evaluation document"] += 1
            continue
        found = passages(title, text)
        yield from found if whole else islice(found, 1)


def passages(title: str, text: str) -> Iterator[Passage]:
    """The lead (all paragraphs before the first heading), then each paragraph; short lines by themselves are headings."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    end = next((i for i, line in enumerate(lines) if i and len(line) < HEADING), len(lines))
    for i, passage in enumerate([" ".join(lines[:end]), *lines[end:]]):
        if len(passage) >= HEADING:
            yield Passage(title, passage, tuple(sentences(passage)), first=i == 0)


def _candidates(passage: Passage, i: int, facts: Facts, report: Report) -> list[Candidate]:
    start, end = passage.spans[i]
    focus = passage.text[start:end]
    if _DOUBT.search(focus):
        return []
    named = named_in(focus, facts.names)
    best: dict[Triple, float] = {}
    for subject, subject_span in _subjects(passage, i, named):
        known = facts.about(passage.title if subject == _plain(passage.title) else subject)
        for other, other_span in named:
            if _IN_A_DATE.search(focus, 0, other_span[0]) and (other.isdigit() or other.startswith(MONTHS)):
                continue
            for relation in known.get(other, ()):
                person = default_ontology()[relation].domain == ("person",)
                if person and " " not in subject and subject != _plain(passage.title):
                    continue  # "Paris" is rarely a person
                widest = MAX_GAP if subject == _plain(passage.title) else CLOSE_GAP
                score = _score(focus, relation, subject_span, other_span, widest)
                if score is None:
                    report[f"no cue: {relation}"] += 1
                else:
                    triple = Triple(subject, relation, other)
                    best[triple] = max(score, best.get(triple, 0.0))
    turned = {triple for triple in best if _is_turned(triple, best)}
    return [Candidate(score, triple) for triple, score in best.items() if triple not in turned]


def _is_turned(triple: Triple, others: Collection[Triple]) -> bool:
    """The facts have it both ways, and only one can be right."""
    return not default_ontology()[triple.relation].symmetric and Triple(triple.object, triple.relation, triple.subject) in others


def _plain(title: str) -> str:
    return re.sub(r" \([^()]*\)$", "", title)


def _subjects(passage: Passage, i: int, named: list[tuple[str, Span]]) -> Iterator[tuple[str, Span]]:
    """Who or what the sentence may be about: the article's own subject, and every proper name."""
    start, end = passage.spans[i]
    title = _plain(passage.title)
    place = passage.text.find(title, start, end)
    if place >= 0:
        yield title, (place - start, place - start + len(title))
    elif passage.first and 0 < i < FIRST_SENTENCES and title in passage.text[:start]:
        pronoun = _PRONOUN.match(passage.text, start, end)
        if pronoun:
            yield title, (0, pronoun.end() - start)
    yield from ((name, span) for name, span in named if name[0].isupper() and name != title)


def named_in(sentence: str, names: Collection[str]) -> list[tuple[str, Span]]:
    """The known names in a sentence: whole words, the longest at each place, none that is part of a longer proper name."""
    words = [word.span() for word in _WORD.finditer(sentence)]
    found: list[tuple[str, Span]] = []
    i = 0
    while i < len(words):
        step = 1
        for j in range(min(len(words), i + MAX_WORDS) - 1, i - 1, -1):
            name = sentence[words[i][0] : words[j][1]]
            if name in names:
                if not _goes_on(sentence, words, i, j):
                    found.append((name, (words[i][0], words[j][1])))
                step = j - i + 1
                break
        i += step
    return found


def _goes_on(sentence: str, words: list[Span], i: int, j: int) -> bool:
    """Whether a capitalised word stands right beside a capitalised name."""
    if not sentence[words[i][0]].isupper():
        return False
    before = i > 1 and sentence[words[i - 1][1] : words[i][0]] == " " and sentence[words[i - 1][0]].isupper()
    after = j + 1 < len(words) and sentence[words[j][1] : words[j + 1][0]] == " " and sentence[words[j + 1][0]].isupper()
    return before or after


def _score(focus: str, relation: str, subject: Span, other: Span, widest: int) -> float | None:
    """The cues near the two names, and their closeness; None: too far apart, overlapping, or without a cue."""
    if relation in PLACES and any(_is_adjective(focus[start:end]) for start, end in (subject, other)):
        return None
    first, last = sorted((subject, other))
    gap = last[0] - first[1]
    if gap < 1 or gap > widest:
        return None
    if relation in BETWEEN:
        sign = BETWEEN[relation]
        signed = sign is not None and first == subject and sign.search(focus[first[1] : last[0]])
        return 2 - gap / MAX_GAP if signed else None
    around = focus[max(0, first[0] - NEAR) : first[0]] + " " + focus[first[1] : last[0]] + " " + focus[last[1] : last[1] + NEAR]
    hits = {word.casefold() for word in _WORD.findall(around)} & cues().get(relation, frozenset())
    return len(hits) + 1 - gap / MAX_GAP if hits else None


@lru_cache(maxsize=1)
def _peoples() -> frozenset[str]:
    names = lists("names.toml")
    return frozenset([*names["language"], *names["ethnic_group"]])


def _is_adjective(name: str) -> bool:
    """Whether a name is a language or what belongs to a country, such as "French" or "Canadian", and no place."""
    return name in _peoples() or bool(_ADJECTIVE.search(name))


@lru_cache(maxsize=1)
def cues() -> dict[str, frozenset[str]]:
    """The cue words of each relation, from the training part of the grammar."""
    shares = {relation: _shares(table.statements + table.spoken + table.notes) for relation, table in phrasings("train").items()}
    totals: dict[str, float] = defaultdict(float)
    spread: Counter[str] = Counter()
    for share in shares.values():
        spread.update(word for word, part in share.items() if part >= OFTEN)
        for word, part in share.items():
            totals[word] += part
    others = max(len(shares) - 1, 1)
    return {
        relation: frozenset(
            word
            for word, part in share.items()
            if word not in _VAGUE and part >= OFTEN and spread[word] <= SPREAD and part >= RARER * (totals[word] - part) / others
        )
        for relation, share in shares.items()
    }


def _shares(texts: tuple[str, ...]) -> dict[str, float]:
    """For each word the share of the sentences that hold it."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({word.casefold() for word in _WORD.findall(_SLOT.sub(" ", text)) if len(word) > 2})
    return {word: count / len(texts) for word, count in counts.items()}
