"""How likely a given text is, token by token: as it stands, and with read calls that may have been made while it was written.

A text is read in windows that overlap, a quarter of a window at a time: every token is predicted from all of the text before it
or, where that is more, from the last three quarters of a window at least. The window leaves room in the model's reach for what
stands in the text besides: a call, or passages put before it. So every way of scoring sees the same text.

Log-probabilities of text are among the tokens that text can have: the marks are left out, for they open calls, end turns and
cannot be meant. The probability of a call before a token is its mark's share against all of these.

A call stands after the text so far, as the model has learnt it (`training/examples.py::running_text`), with its answers; the
`STRETCH` tokens after it are predicted from text and call, then the call is out of sight again. So a window is run once, and
all calls in it, with their stretches, branch off from its cache in one more pass. Knows nothing about stores.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from memagent.errors import InvalidInput
from memagent.model.local import READ, LocalModel
from memagent.model.marks import Marks
from memagent.model.tree import Tree, grow
from memagent.triples import Query

STRETCH = 16  # tokens that a call may change: long names have about as many
LEAST_OPENING = 0.01  # probability of a call below which it is not considered: it could change a token's loss by 0.01 nats to the worse
BEAM = 4  # of a query's beginnings that are gone on with, and of whole queries
MAX_QUERY = 24  # tokens of a query that the model writes freely
MAX_NODES = 2048  # tokens of one forward pass
Span = tuple[int, int]
Path = tuple[int, ...]  # tokens
Place = tuple[int, Path]  # before token i of the text, these
Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as tokens, and the stretch of characters of each."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, text: str, marks: Marks) -> Encoded:
        """The tokens that the model reads."""
        ids, spans = marks.located(text)
        return cls(tuple(ids), tuple(spans))


@dataclass(frozen=True, slots=True)
class Call:
    """A read call with its answers, to stand before token `at` of a text."""

    at: int
    query: Query
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """The text from token `at` on after a call there: the log-probability of each token, and the probability of the call."""

    at: int
    weight: float
    logprobs: tuple[float, ...]


def mixed(plain: Sequence[float], branches: Sequence[Branch]) -> list[float]:
    """The log-probability of each token of a text whose writer may have made the calls of `branches`, or not.

    `plain` are the log-probabilities without a call. At the place of a branch it takes its weight's share of all that could have
    happened so far; what happened is then judged by how well each possibility predicted the tokens (Bayes, as in the forward
    algorithm of a hidden Markov model). At the end of its stretch a branch joins the text without a call.
    """
    starting: dict[int, list[Branch]] = defaultdict(list)
    for branch in branches:
        starting[branch.at].append(branch)
    free, live = 1.0, list[tuple[Branch, float]]()  # probabilities of what happened: no call in force, or one of the branches
    logprobs = []
    for i, logprob in enumerate(plain):
        free += sum(mass for branch, mass in live if i >= branch.at + len(branch.logprobs))
        live = [(branch, mass) for branch, mass in live if i < branch.at + len(branch.logprobs)]
        rest = max(0.0, 1.0 - sum(branch.weight for branch in starting[i]))  # weights that add up to one do so but for rounding
        free *= rest
        live = [(branch, mass * rest) for branch, mass in live] + [(branch, branch.weight) for branch in starting[i]]
        free *= math.exp(logprob)
        live = [(branch, mass * math.exp(branch.logprobs[i - branch.at])) for branch, mass in live]
        total = free + sum(mass for _, mass in live)
        logprobs.append(math.log(total))
        free /= total
        live = [(branch, mass / total) for branch, mass in live]
    return logprobs


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens `first` to `end` of the text, predicted from a cache of `length` tokens that ends with token `end`.

    `after` are the log-probabilities before each of them, and after the last (end - first + 1, vocabulary).
    """

    first: int
    end: int
    length: int
    cache: Any
    after: Tensor

    def held(self, i: int) -> int:
        """How many tokens of the cache stand before token `i`."""
        return self.length - (self.end - i)


Before = Callable[[int], Sequence[int]]


class Reading:
    """A text under a network: `plain`, `opening` and `opens` have a value for each token.

    `plain`: its log-probability; `opening`: the probability that a call opens before it; `opens`: whether that is likelier than
    any token of text. `before(i)` gives tokens that are put before the window in which token `i` is the first to be predicted.
    """

    def __init__(self, model: LocalModel, text: Encoded, adapter: str = READ, before: Before | None = None) -> None:
        self.ids = text.ids
        self.marks = model.marks
        self.room = model.reach // 4  # for a call with its stretch, or for what is put before
        self._network = model.networks.under(adapter)
        self._size = model.reach - self.room - 1  # tokens of text in a window; the one more begins it
        self._no_text = torch.tensor(self.marks.ids)
        self._names: dict[str, Path] = {}  # tokens of the names in queries
        self._windows = list(self._read(before))
        after = torch.cat([window.after[:-1] for window in self._windows])
        text_only, opening = self._text_only(after), after[:, self.marks.read_open]
        self.plain: list[float] = self._logprobs(after, self.ids)
        self.opening: list[float] = torch.sigmoid(opening - text_only.logsumexp(1)).tolist()
        self.opens: list[bool] = (opening > text_only.amax(1)).tolist()

    @property
    def places(self) -> list[int]:
        """The tokens before which a call is worth considering."""
        return [i for i, opening in enumerate(self.opening) if opening >= LEAST_OPENING]

    @torch.inference_mode()
    def _read(self, before: Before | None) -> Iterator[_Window]:
        step = self._size // 4
        first, end = 0, step if before else self._size  # without anything before it, a window may as well begin full
        while first < len(self.ids):
            end = min(end, len(self.ids))
            put = list(before(first))[: self.room] if before else []
            ids = [self.marks.begin, *put, *self.ids[max(0, end - self._size) : end]]
            cache = DynamicCache()
            output = self._network(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=end - first + 1)
            yield _Window(first, end, len(ids), cache, torch.log_softmax(output.logits[0].float(), dim=-1))
            first, end = end, end + step

    def _text_only(self, after: Tensor) -> Tensor:
        """Log-probabilities without the marks; they do not add up to one."""
        return after.index_fill(1, self._no_text, -math.inf)

    def _logprobs(self, after: Tensor, ids: Sequence[int]) -> list[float]:
        """Of each of `ids` among the tokens of text, where `after` are the log-probabilities before each (ids, vocabulary)."""
        found: list[float] = self._text_only(after).log_softmax(1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
        return found

    # ---- calls

    def chosen(self, asks: Mapping[int, Sequence[Query]]) -> dict[int, list[tuple[Query, float]]]:
        """Of the queries that may be asked before each token, the likeliest with their shares, as in a beam search over two halves."""
        halves = {(i, query): self._halves(query) for i, queries in asks.items() for query in queries}
        heads = list(dict.fromkeys((i, head) for (i, _), (head, _) in halves.items()))
        likely = {(i, path) for i, ranked in _ranked(heads, self._totals(heads)).items() for path, _ in ranked}
        wholes = {(i, head + tail): query for (i, query), (head, tail) in halves.items() if (i, head) in likely}
        best = _ranked(list(wholes), self._totals(list(wholes)))
        return {i: [(wholes[i, path], share) for path, share in ranked] for i, ranked in best.items()}

    def written(self, places: Sequence[int]) -> dict[int, Query | None]:
        """The query that the model writes before each of these tokens, greedily and whatever the memory holds; None: malformed."""
        banned = [mark for mark in self.marks.ids if mark not in (self.marks.side, self.marks.read_answer)]

        def following(_: Path, along: Tensor) -> int:
            return int(along[-1].index_fill(0, torch.tensor(banned), -math.inf).argmax())

        paths: dict[int, Path] = {i: (self.marks.read_open,) for i in places}
        for _ in range(MAX_QUERY):
            going = [(i, path) for i, path in paths.items() if path[-1] != self.marks.read_answer]
            paths |= {i: (*path, token) for (i, path), token in zip(going, self._along(going, following), strict=True)}
        return {i: _parsed(self.marks, path) for i, path in paths.items()}

    def after(self, calls: Sequence[Call]) -> list[tuple[float, ...]]:
        """The log-probabilities of the stretch after each call; answers for which there is no room are left out."""

        def stretch(path: Path, along: Tensor) -> tuple[float, ...]:
            start = path.index(self.marks.close) + 1
            return tuple(self._logprobs(along[start:-1], path[start:]))

        return self._along([(call.at, (*self._call(call), *self.ids[call.at : call.at + STRETCH])) for call in calls], stretch)

    def _halves(self, query: Query) -> tuple[Path, Path]:
        """The call up to its relation, and from there up to the mark of the answer."""
        marks = self.marks
        subject, relation, target = (self._name(name) if name else () for name in (query.subject, query.relation, query.object))
        return (marks.read_open, *subject, marks.side), (*relation, marks.side, *target, marks.read_answer)

    def _name(self, name: str) -> Path:
        if name not in self._names:
            self._names[name] = tuple(self.marks.text(name))
        return self._names[name]

    def _call(self, call: Call) -> Path:
        head, tail = self._halves(call.query)
        ids = [*head, *tail]
        for i, answer in enumerate(call.answers):
            more = [self.marks.next] * (i > 0) + self.marks.text(answer)
            if len(ids) + len(more) + 1 + STRETCH > self.room and i > 0:
                break
            ids += more
        return (*ids, self.marks.close)

    def _totals(self, paths: Sequence[Place]) -> list[float]:
        """The log-probability of each path."""
        return self._along(paths, lambda path, along: float(along[:-1].gather(1, torch.tensor(path)[:, None]).sum()))

    # ---- branches of the windows

    @torch.inference_mode()
    def _along(self, paths: Sequence[Place], take: Callable[[Path, Tensor], Taken]) -> list[Taken]:
        """What `take` makes of each path and the log-probabilities before each of its tokens and after the last (tokens + 1, vocabulary).

        One pass for each window, or as many as `MAX_NODES` asks for.
        """
        found: dict[Place, Taken] = {}
        for window in self._windows:
            here: dict[int, list[Path]] = defaultdict(list)
            for i, path in dict.fromkeys(paths):
                if window.first <= i < window.end:
                    here[i].append(path)
            for some in _batches([(i, Tree(tails)) for i, tails in here.items()]):
                grown = grow(self._network, window.cache, window.length, [(window.held(i), tree) for i, tree in some])
                for i, tree in some:
                    own, grown = grown[: len(tree.tokens)], grown[len(tree.tokens) :]
                    for path, nodes in zip(here[i], tree.paths, strict=True):
                        found[i, path] = take(path, torch.cat([window.after[i - window.first, None], own[nodes]]))
        return [found[place] for place in paths]


def _ranked(paths: Sequence[Place], totals: Sequence[float]) -> dict[int, list[tuple[Path, float]]]:
    """For each token the `BEAM` likeliest paths before it, with their shares of these."""
    found: dict[int, list[tuple[Path, float]]] = defaultdict(list)
    for (i, path), total in sorted(zip(paths, totals, strict=True), key=lambda pair: -pair[1]):
        if len(found[i]) < BEAM:
            found[i].append((path, math.exp(total)))
    return {i: [(path, share / sum(p for _, p in ranked)) for path, share in ranked] for i, ranked in found.items()}


def _batches(trees: Sequence[tuple[int, Tree]]) -> Iterator[list[tuple[int, Tree]]]:
    """Trees, as many together as `MAX_NODES` allows, at least one."""
    batch: list[tuple[int, Tree]] = []
    for pair in trees:
        if batch and sum(len(tree.tokens) for _, tree in [*batch, pair]) > MAX_NODES:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _parsed(marks: Marks, path: Path) -> Query | None:
    """The query between the mark that opens the call and the mark of the answer, if it is one."""
    parts: list[list[int]] = [[]]
    for token in path[1:-1]:
        if token == marks.side:
            parts.append([])
        else:
            parts[-1].append(token)
    if path[-1] != marks.read_answer or len(parts) != 3:
        return None
    subject, relation, target = map(marks.plain, parts)
    try:
        return Query(subject or None, relation, target or None)
    except InvalidInput:
        return None
