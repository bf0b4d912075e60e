"""What a sentence states and what a question asks, judged by the embedder: a second opinion beside the language model's.

MiniLM, with a LoRA of our own merged in, reads the text once. Two spans of it and the whole give the relation between them (or
none); one span and the whole give what is asked about it (`training/opinions.py` fits all this on the teacher's examples). A
small language model writes well-formed calls and copies names; MiniLM has read enough to know that somebody who "gets a salary
from" a firm is employed there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from safetensors import safe_open

from memagent.memory.embedding import MiniLM, Vectors
from memagent.triples import Query

NOTHING = ""  # no relation: nothing is stated, nothing is asked
Asked = tuple[str, bool]  # relation, and whether its subject is asked for
Span = tuple[int, int]
Layer = tuple[Vectors, Vectors]  # weight (out, in), bias (out,)
WHOLE: Span = (0, 0)  # the token before the text stands for the speaker, who has no span
NONE_FOUND: Mapping[str, str] = MappingProxyType({})
SUBJECTS, OBJECTS = 8, 14  # spans of a sentence that are tried on either side


class Stated(Protocol):
    """What one sentence states."""

    def likeliest(self, count: int) -> list[tuple[str, str]]:
        """Pairs (subject, object) between which something is stated, the likeliest first."""

    def sides(self, count: int) -> list[str]:
        """The names that are likeliest to be a subject or an object of something, so many of either."""

    def relations(self, subject: str, target: str) -> Mapping[str, float]:
        """Log-probabilities of the relations between them; `NOTHING` is one. Empty for names that are not in the sentence."""


class RelationScorer(Protocol):
    """A second opinion on relations."""

    def stated(self, focus: str, names: Sequence[str], far: Sequence[str], speaker: str) -> Stated:
        """Of a sentence: `names` are its spans, `far` names that only its context has; `speaker` is "I"."""

    def asked(
        self, question: str, entities: Sequence[str], speaker: str, own: Sequence[str] = (), found: Mapping[str, str] = NONE_FOUND
    ) -> dict[str, dict[Asked, float]]:
        """Of a question, a table for each entity: log-probabilities of what is asked about it.

        `own` are names that the question has: of an entity that it has not, only what is asked about none of these, nor the speaker.
        `found` says by what a name was found (`found_by`).
        """


def laid_out(focus: str, far: Sequence[str]) -> tuple[str, int]:
    """The text that the encoder reads, and where the focus begins in it: names of the context stand before."""
    before = "".join(f"{name}. " for name in far)
    return before + focus, len(before)


def found_by(query: Query, answer: str, speaker: str) -> str:
    """How a name that a query found stands before the question, by the fact that named it: "Eamon, pet, Commodore".

    Whether more is asked of Commodore depends on whom the question means: "What does Eamon's parrot eat?". An answer that is a part of
    the name asked about stands alone: it would be looked for in that name.
    """
    if locate(query.known, 0, answer):
        return answer
    subject, target = (query.subject, answer) if query.object is None else (answer, query.object)
    return f"{'I' if subject == speaker else subject}, {query.relation}, {'me' if target == speaker else target}"


def locate(text: str, begin: int, name: str) -> Span | None:
    """Where a name stands: first in the focus (from `begin` on), then before it; whatever the case."""
    lowered, sought = text.lower(), name.lower()
    if len(lowered) != len(text):  # a capital whose small letter is two characters would shift all that follows
        lowered, sought = text, name
    return _found(lowered, sought, begin, len(text)) or _found(lowered, sought, 0, begin)


def _found(text: str, name: str, start: int, stop: int) -> Span | None:
    """Where it first stands as whole words between `start` and `stop`; no pattern, for it is asked for every span of a sentence."""
    at = text.find(name, start, stop) if name else -1
    while at >= 0:
        end = at + len(name)
        if not (at and _in_word(text[at - 1])) and not (end < stop and _in_word(text[end])):
            return at, end
        at = text.find(name, at + 1, stop)
    return None


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def tokens_of(span: Span, offsets: Sequence[Span]) -> Span | None:
    """First and last token of a stretch of characters; None if no token is in it."""
    inside = [i for i, (start, end) in enumerate(offsets) if start < span[1] and end > span[0] and end > start]
    return (inside[0], inside[-1]) if inside else None


class FittedStated:
    """`Stated` over the encoder's states of one sentence; pairs are worked out when they are asked for."""

    def __init__(
        self,
        classes: Sequence[str],
        places: Mapping[str, Span],
        left: Mapping[str, Vectors],
        right: Mapping[str, Vectors],
        whole: Vectors,
        along: Vectors,
        out: Layer,
        product: Vectors,
    ) -> None:
        self._classes = list(classes)
        self._places = places
        self._left, self._right = left, right  # by name, likeliest first: each (hidden,)
        self._whole, self._along = whole, along  # (hidden,), and running sums over the tokens (tokens + 1, hidden)
        self._out, self._product = out, product
        self._tables: dict[tuple[str, str], dict[str, float]] = {}

    def likeliest(self, count: int) -> list[tuple[str, str]]:
        """See `Stated`."""
        subjects, objects = list(self._left)[:SUBJECTS], list(self._right)[:OBJECTS]
        pairs = [(s, o) for s in subjects for o in objects if self._apart(s, o)]
        self._work_out(pairs)
        return sorted(pairs, key=lambda pair: self._tables[pair][NOTHING])[:count]

    def sides(self, count: int) -> list[str]:
        """See `Stated`."""
        return list(dict.fromkeys([*list(self._left)[:count], *list(self._right)[:count]]))

    def relations(self, subject: str, target: str) -> Mapping[str, float]:
        """See `Stated`."""
        if subject not in self._left or target not in self._right:
            return {}
        self._work_out([(subject, target)])
        return self._tables[subject, target]

    def _apart(self, one: str, other: str) -> bool:
        (start, stop), (first, last) = self._places[one], self._places[other]
        return stop < first or last < start

    def _work_out(self, pairs: Sequence[tuple[str, str]]) -> None:
        fresh = [pair for pair in pairs if pair not in self._tables]
        if fresh:
            left, right = np.stack([self._left[s] for s, _ in fresh]), np.stack([self._right[o] for _, o in fresh])
            gaps = np.stack([self._gap(*pair) for pair in fresh])
            hidden = left + right + gaps + self._whole
            logits: Vectors = np.asarray(_gelu(hidden) @ self._out[0].T + self._out[1] + (left * right) @ self._product.T, dtype=np.float32)
            for pair, row in zip(fresh, _log_softmax(logits), strict=True):
                self._tables[pair] = dict(zip(self._classes, row, strict=True))

    def _gap(self, subject: str, target: str) -> Vectors:
        """What stands between them (hidden,)."""
        (first, last), (other, end) = self._places[subject], self._places[target]
        start = min(last, end) + 1
        stop = max(start, first, other)
        gap: Vectors = (self._along[stop] - self._along[start]) / max(1, stop - start)
        return gap


class FittedScorer:
    """`RelationScorer` on MiniLM with the fitted LoRA and heads."""

    def __init__(self, encoder: MiniLM, weights: Mapping[str, Vectors], stated: Sequence[str], asked: Sequence[Asked]) -> None:
        self.encoder = encoder
        self.weights = weights
        self._stated = list(stated)
        self._asked = list(asked)

    @classmethod
    def load(cls, encoder: MiniLM, path: Path) -> FittedScorer:
        """From a safetensors file whose metadata name the classes."""
        with safe_open(path, "np") as file:
            names = file.metadata()
            weights = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118 - not a dict
        adapted = [key.removesuffix(".lora_A") for key in weights if key.endswith(".lora_A")]
        scale = float(names["scale"])
        deltas = {f"{key}.weight": scale * weights.pop(f"{key}.lora_B") @ weights.pop(f"{key}.lora_A") for key in adapted}
        asked = [(name.removeprefix("~"), name.startswith("~")) for name in names["asked"].split("\n")]
        return cls(encoder.adapted(deltas), weights, names["stated"].split("\n"), asked)

    def stated(self, focus: str, names: Sequence[str], far: Sequence[str], speaker: str) -> FittedStated:
        """See `RelationScorer`."""
        places, states = self._read(focus, [*names, *far], far, speaker)
        spans = _spans(states, list(places.values()))
        sides = spans @ self.weights["side.weight"].T + self.weights["side.bias"]
        left, right = self._layer("subject", spans), spans @ self.weights["object.weight"].T
        whole = _whole(states) @ self.weights["stated.weight"].T
        along = np.pad(np.cumsum(states @ self.weights["between.weight"].T, axis=0), ((1, 0), (0, 0)))
        rows = dict(zip(places, range(len(places)), strict=True))
        orders = [sorted(rows, key=lambda name, side=side: -sides[rows[name], side]) for side in (0, 1)]  # type: ignore[misc]
        out = (self.weights["stated_out.weight"], self.weights["stated_out.bias"])
        lefts, rights = {n: left[rows[n]] for n in orders[0]}, {n: right[rows[n]] for n in orders[1]}
        return FittedStated(self._stated, places, lefts, rights, whole, along, out, self.weights["product_out.weight"])

    def asked(
        self, question: str, entities: Sequence[str], speaker: str, own: Sequence[str] = (), found: Mapping[str, str] = NONE_FOUND
    ) -> dict[str, dict[Asked, float]]:
        """See `RelationScorer`."""
        far = [e for e in entities if e != speaker and locate(question, 0, e) is None]
        here = [e for e in entities if e not in far]
        tables = self._asked_about(question, here, [], speaker) if here else {}
        for name in far:  # put before the question, alone
            read = self._asked_about(question, [name, *([speaker, *own] if own else [])], [found.get(name, name)], speaker)
            table = read.pop(name, None)
            if table is not None:
                tables[name] = _given(min((other[NOTHING, False] for other in read.values()), default=0.0), table)
        return tables

    def _asked_about(self, question: str, names: Sequence[str], far: Sequence[str], speaker: str) -> dict[str, dict[Asked, float]]:
        places, states = self._read(question, names, far, speaker)
        hidden = self._layer("entity", _spans(states, list(places.values()))) + _whole(states) @ self.weights["asked.weight"].T
        rows = _log_softmax(self._layer("asked_out", _gelu(hidden)))
        return {name: dict(zip(self._asked, row, strict=True)) for name, row in zip(places, rows, strict=True)}

    def _read(self, focus: str, names: Sequence[str], far: Sequence[str], speaker: str) -> tuple[dict[str, Span], Vectors]:
        """The first and last token of each name, and the states of all tokens."""
        text, begin = laid_out(focus, far)
        offsets, states = self.encoder.read(text)
        places: dict[str, Span] = {}
        for name in names:
            span = WHOLE if name == speaker else locate(text, begin, name)
            place = WHOLE if span == WHOLE else tokens_of(span, offsets) if span else None
            if place is not None:
                places[name] = place
        return places, states

    def _layer(self, name: str, inputs: Vectors) -> Vectors:
        outputs: Vectors = inputs @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return outputs


def _given(condition: float, table: Mapping[Asked, float]) -> dict[Asked, float]:
    """Log-probabilities of what is asked where something is asked only under a condition of this log-probability."""
    something = math.exp(condition) * -math.expm1(min(0.0, table[NOTHING, False]))
    return {asked: value + condition for asked, value in table.items()} | {(NOTHING, False): math.log(max(1.0 - something, 1e-9))}


def _spans(states: Vectors, places: Sequence[Span]) -> Vectors:
    """(N, 2 size): the states of first and last token."""
    ends = np.array(places, dtype=np.int64).reshape(-1, 2)
    return np.concatenate([states[ends[:, 0]], states[ends[:, 1]]], axis=1)


def _whole(states: Vectors) -> Vectors:
    """(2 size,): the state before the text, and the mean."""
    return np.concatenate([states[0], states.mean(axis=0)])


def _gelu(x: Vectors) -> Vectors:
    return np.asarray(0.5 * x * (1.0 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))), dtype=np.float32)


def _log_softmax(logits: Vectors) -> list[list[float]]:
    logits = logits - logits.max(axis=1, keepdims=True)
    rows: list[list[float]] = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).tolist()
    return rows
