"""Near-duplicates: what is worded like something that the model will be judged by is kept out of training.

Texts are compared sentence by sentence, as words in lower case, without punctuation and without "user:" before them.
A sentence is a near-duplicate of an evaluation sentence

- of `NGRAM` words or more, if the two share at least `SHARE` of the n-grams of the shorter one;
- of fewer words, down to `MIN_WORDS`, if it is the same sentence. Still shorter ones ("Thank you so much.") are everybody's.

The chat suite is read here, by program, and its sentences are shown to nobody. Phrasings of the grammar that a sentence of
the suite happens to fit are counted (`fitting`), not dropped: names differ, and `evals` has a row of its own for the others.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from memagent.model.marks import Marks
from memagent.training.corpus import field, open_text
from memagent.training.readers import Report, Statement, read_docred, read_knowledgenet, read_simple_questions
from memagent.training.readers.text2kg import read_tekgen_test
from memagent.training.shards import Example

NGRAM = 8
SHARE = 0.5
MIN_WORDS = 4
EVALUATION_FOLD = 4
LEAST_LITERAL = 2  # words that a phrasing must have besides its names to be compared at all
Text = tuple[str, str]  # of which suite, the text

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_SPEAKER = re.compile(r"^\s*(?:user|assistant): ")
_SLOT = re.compile(r"\{[^}]*\}")
_NAME = r"\w+(?: \w+){0,4}"


def words(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared."""
    return tuple(_WORD.findall(_SPEAKER.sub("", text).casefold()))


def compared(text: str) -> Iterator[tuple[str, ...]]:
    """The words of each sentence that is long enough."""
    for sentence in _SENTENCE_END.split(text):
        found = words(sentence)
        if len(found) >= MIN_WORDS:
            yield found


def ngrams(sentence: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Its runs of `NGRAM` words."""
    return {sentence[i : i + NGRAM] for i in range(len(sentence) - NGRAM + 1)}


class Overlap:
    """The sentences of the suites, found again by their words."""

    def __init__(self, texts: Iterable[Text]) -> None:
        self._whole: dict[tuple[str, ...], str] = {}
        self._holders: dict[tuple[str, ...], list[int]] = {}
        self._long: list[tuple[str, int]] = []  # suite, number of n-grams
        self.sizes: Counter[str] = Counter()
        for suite, text in texts:
            for sentence in compared(text):
                if sentence not in self._whole:
                    self._add(suite, sentence)

    def _add(self, suite: str, sentence: tuple[str, ...]) -> None:
        self.sizes[suite] += 1
        self._whole[sentence] = suite
        grams = ngrams(sentence)
        for gram in grams:
            self._holders.setdefault(gram, []).append(len(self._long))
        if grams:
            self._long.append((suite, len(grams)))

    def suite(self, text: str) -> str | None:
        """The suite that has a near-duplicate of some sentence of the text."""
        return next((found for sentence in compared(text) if (found := self._of_sentence(sentence))), None)

    def _of_sentence(self, sentence: tuple[str, ...]) -> str | None:
        if sentence in self._whole:
            return self._whole[sentence]
        grams = ngrams(sentence)
        shared = Counter(holder for gram in grams for holder in self._holders.get(gram, ()))
        for holder, count in shared.most_common():
            suite, size = self._long[holder]
            if count >= SHARE * min(size, len(grams)):
                return suite
        return None


def evaluation_texts(data: Path) -> Iterator[Text]:
    """The suites chat and composition, and the rows of the data folder that are for evaluation only."""
    report = Report()
    yield from (("chat suite", text) for text in chat_texts())
    yield from (("composition suite", text) for text in composition_texts())
    yield from (("Re-DocRED test", s.focus) for s in read_docred(data, report, "redocred/test_revised.json.xz"))
    yield from (("KnowledgeNet fold 4", s.focus) for s in read_knowledgenet(data, report, (EVALUATION_FOLD,)))
    yield from (("TekGen test", s.focus) for s in read_tekgen_test(data, report))
    yield from (("zsRE", text) for text in _zsre_questions(data / "zsre_700.json"))
    yield from (("SimpleQuestions test", q.question) for q in read_simple_questions(data, report, "test"))


def chat_texts(suite: str | None = None) -> list[str]:
    """All that the person says or asks in the chat suite (or in a file of that form, given as text)."""
    table = tomllib.loads(suite or (files("evals") / "data" / "chat.toml").read_text(encoding="utf-8"))
    small_talk = table.pop("small_talk", [])
    turns = chain.from_iterable(conversation["turns"] for kind in table.values() for conversation in kind.values())
    return [*small_talk, *(turn[act] for turn in turns for act in ("say", "ask") if act in turn)]


def composition_texts() -> list[str]:
    """The questions of the composition suite, without a name."""
    forms = tomllib.loads((files("evals") / "data" / "composition.toml").read_text(encoding="utf-8"))["forms"]
    return [text.replace("{s}", "") for form in forms.values() for text in form["asks"]]


def _zsre_questions(path: Path) -> Iterator[str]:
    with open_text(path) as text:
        rows: list[Any] = json.load(text)
    for number, row in enumerate(rows, 1):
        for key in ("src", "rephrase", "loc"):
            yield str(field(row, key, path, number)).removeprefix("nq question: ")


def unlike(statements: Iterable[Statement], overlap: Overlap, removed: Counter[str]) -> Iterator[Statement]:
    """The statements that are no near-duplicates, with their context; the others are counted by source and suite."""
    for statement in statements:
        suite = overlap.suite(f"{statement.context}\n{statement.focus}")
        if suite is None:
            yield statement
        else:
            removed[f"{statement.source} like {suite}"] += 1


def kept(examples: Iterable[Example], overlap: Overlap, marks: Marks, removed: Counter[str]) -> Iterator[Example]:
    """The examples in which nothing is a near-duplicate; the others are counted by suite."""
    for example in examples:
        suite = next((found for text in said(example.ids, marks) if (found := overlap.suite(text))), None)
        if suite is None:
            yield example
        else:
            removed[f"like {suite}"] += 1


def said(ids: Sequence[int], marks: Marks) -> Iterator[str]:
    """The stretches of text of an example, calls left out."""
    run: list[int] = []
    calling = False
    for token in ids:
        if token in (marks.read_open, marks.write_open):
            calling = True
        elif token == marks.close:
            calling = False
        elif token in (marks.begin, marks.end, marks.focus_open, marks.focus_close):
            yield marks.plain(run)
            run = []
        elif not calling:
            run.append(token)
    yield marks.plain(run)


def fitting(templates: Iterable[str], overlap_texts: Iterable[str]) -> list[str]:
    """The templates that a sentence of the texts fits word for word, apart from the names in the slots."""
    wanted = [" ".join(sentence) for text in overlap_texts for sentence in compared(text)]
    found = []
    for template in templates:
        literal = [" ".join(words(piece)) for piece in _SLOT.split(template)]
        longest = max(literal, key=len)
        if len(literal) < 2 or sum(len(piece.split()) for piece in literal) < LEAST_LITERAL:
            continue
        pattern = re.compile(" ?".join(_slotted(literal)))
        if any(longest in sentence and pattern.fullmatch(sentence) for sentence in wanted):
            found.append(template)
    return found


def _slotted(literal: Sequence[str]) -> Iterator[str]:
    yield re.escape(literal[0])
    for piece in literal[1:]:
        yield _NAME
        yield re.escape(piece)
