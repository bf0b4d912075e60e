"""What a base without adapters needs: the marks as text, and examples of calls to go on from.

Its tokenizer has no marks, so they get ids beyond its vocabulary, and a scorer that spells each of them before the network sees it:
the searches of `decoding.py` need not know. The probability of what a mark begins with stands for that of the mark itself, until
the whole of it is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from memagent import calls
from memagent.calls import ReadCall, WriteCall
from memagent.model.bases import spelt
from memagent.model.decoding import Scorer
from memagent.model.marks import BEGIN, END, MARK_TOKENS, NEXT_TOKEN, Marks
from memagent.model.seam import WriteRequest
from memagent.model.tree import Scored
from memagent.triples import SPEAKER, Query, Triple

# The first examples are the ones that a short context has room for.
WRITTEN = (
    (
        WriteRequest("My brother Jonas lives in Tarn.", speaker=SPEAKER),
        WriteCall((Triple(SPEAKER, "brother", "Jonas"), Triple("Jonas", "residence", "Tarn"))),
    ),
    (WriteRequest("What a lovely morning!", speaker=SPEAKER), WriteCall()),
    (
        WriteRequest("Mira Holt, who was born in Dunmore, works for Vexa."),
        WriteCall((Triple("Mira Holt", "place of birth", "Dunmore"), Triple("Mira Holt", "employer", "Vexa"))),
    ),
    (WriteRequest("Where does Jonas work?", speaker=SPEAKER), WriteCall()),
    (
        WriteRequest("She likes green tea.", ("Mira Holt called again.",), ("Mira Holt",)),
        WriteCall((Triple("Mira Holt", "likes", "green tea"),)),
    ),
    (WriteRequest("The capital of Orlandia is Port Selm."), WriteCall((Triple("Orlandia", "capital", "Port Selm"),))),
)
ASKED = (
    (
        "Where was Mira Holt born?",
        (ReadCall((Query("Mira Holt", "place of birth", None),), ("Dunmore",)),),
        "Mira Holt was born in Dunmore.",
    ),
    ("Good morning!", (), "Good morning! What can I do for you?"),
    ("Where does Otto work?", (ReadCall((Query("Otto", "employer", None),), ()),), "I don't know."),
    (
        "Where does my brother live?",
        (
            ReadCall((Query(SPEAKER, "brother", None),), ("Jonas",)),
            ReadCall((Query("Jonas", "residence", None),), ("Tarn",)),
        ),
        "Your brother Jonas lives in Tarn.",
    ),
    ("Who works for Vexa?", (ReadCall((Query(None, "employer", "Vexa"),), ("Mira Holt", "Kai Brandt")),), "Mira Holt and Kai Brandt do."),
)


class SpeltMarks(Marks):
    """Marks that a tokenizer does not have: ids from `vocabulary` on, each spelt as text for the network."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        super().__init__(tokenizer, range(vocabulary, vocabulary + len(MARK_TOKENS)))
        spellings = {mark: mark for mark in MARK_TOKENS} | {BEGIN: "\n", END: "\n", NEXT_TOKEN: calls.NEXT}
        self._spelt = dict(zip(self.ids, spelt(tokenizer, spellings).values(), strict=True))
        first = [self._spelt[mark][0] for mark in self.ids]
        self._first = torch.tensor(first)
        self._never = torch.tensor(sorted({*first, *tokenizer.all_special_ids}))  # as text: it would be taken for a mark

    def fed(self, ids: Sequence[int]) -> list[int]:
        """The ids that the network sees."""
        return [token for i in ids for token in self._spelt.get(i, (i,))]

    def following(self, plain: Tensor) -> Tensor:
        """Log-probabilities of tokens (vocabulary,) and, after them, of the marks (vocabulary + marks,)."""
        return torch.cat([plain.index_fill(0, self._never, float("-inf")), plain[self._first]])

    def folded(self, path: Sequence[int], scored: Scored) -> Scored:
        """What was scored with marks spelt, for the path with marks."""
        left = iter(scored.logprobs)
        logprobs = tuple(sum(next(left) for _ in self._spelt.get(i, (i,))) for i in path)
        return Scored(tuple(path), logprobs, self.following(scored.following))

    def plain(self, ids: Sequence[int]) -> str:
        """Text of ids without marks; the first line, for a token may hold more than the end of it."""
        return super().plain(ids).partition("\n")[0].strip()

    def end_line(self, token: int) -> bool:
        """Whether a line ends with, or in, this token."""
        return token == self.end or "\n" in self.tokenizer.decode([token])


class SpeltScorer:
    """`decoding.Scorer` of ids with such marks, over one of ids without."""

    def __init__(self, scorer: Scorer, marks: SpeltMarks) -> None:
        self.scorer, self.marks = scorer, marks

    def after(self, tail: Sequence[int]) -> SpeltScorer:
        """The same with `tail` added."""
        return SpeltScorer(self.scorer.after(self.marks.fed(tail)), self.marks)

    def following(self) -> Tensor:
        """Log-probabilities of the next token or mark."""
        return self.marks.following(self.scorer.following())

    def score(self, paths: Sequence[Sequence[int]]) -> list[Scored]:
        """Every path in one pass."""
        scored = self.scorer.score([self.marks.fed(path) for path in paths])
        return [self.marks.folded(path, s) for path, s in zip(paths, scored, strict=True)]
