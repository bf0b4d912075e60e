"""Scores many continuations of one prefix in a single forward pass.

The continuations are laid out as a tree (shared beginnings once); each node may look at the prefix and at its own ancestors only.
Knows nothing about calls. The cache holds the prefix and is left as it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scored:
    """One continuation: the log-probability of each token, and the log-probabilities of what comes next (vocabulary,)."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    following: Tensor

    @property
    def total(self) -> float:
        """Log-probability of the whole continuation."""
        return sum(self.logprobs)


class Tree:
    """Continuations as nodes: token and parent of each (-1: the prefix)."""

    def __init__(self, paths: Sequence[Sequence[int]]) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        children: dict[tuple[int, int], int] = {}
        self.paths: list[list[int]] = []  # node numbers of each continuation
        for path in paths:
            at, nodes = -1, []
            for token in path:
                key = (at, token)
                if key not in children:
                    children[key] = len(self.tokens)
                    self.tokens.append(token)
                    self.parents.append(at)
                at = children[key]
                nodes.append(at)
            self.paths.append(nodes)

    def depths(self) -> list[int]:
        """How many ancestors each node has."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(0 if parent < 0 else depths[parent] + 1)
        return depths

    def ancestry(self) -> Tensor:
        """(nodes, nodes) True where column is the row's ancestor or itself."""
        mask = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] |= mask[parent]
        return mask


@torch.inference_mode()
def score_paths(model: Any, cache: Any, length: int, following: Tensor, paths: Sequence[Sequence[int]]) -> list[Scored]:
    """Score `paths` after a prefix of `length` tokens held in `cache`; `following` are the log-probabilities after the prefix."""
    tree = Tree(paths)
    if not tree.tokens:
        return [Scored((), (), following) for _ in paths]
    count = len(tree.tokens)
    positions = torch.tensor([tree.depths()]) + length
    allowed = torch.cat([torch.ones(count, length, dtype=torch.bool), tree.ancestry()], dim=1)
    bias = torch.zeros(allowed.shape).masked_fill_(~allowed, torch.finfo(torch.float32).min)
    output = model(
        input_ids=torch.tensor([tree.tokens]),
        position_ids=positions,
        attention_mask=bias[None, None],
        past_key_values=cache,
        use_cache=True,
    )
    cache.crop(-count)
    after = torch.log_softmax(output.logits[0].float(), dim=-1)  # (nodes, vocabulary)
    scored = []
    for path, nodes in zip(paths, tree.paths, strict=True):
        along = [following, *(after[n] for n in nodes)]
        logprobs = tuple(float(before[token]) for before, token in zip(along, path, strict=False))
        scored.append(Scored(tuple(path), logprobs, along[-1]))
    return scored
