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
def grow(model: Any, cache: Any, length: int, trees: Sequence[tuple[int, Tree]]) -> Tensor:
    """Log-probabilities after each node of each tree (nodes, vocabulary), in one forward pass.

    A tree comes with its place: it grows after that many of the `length` tokens in `cache`, and sees no later one.
    """
    tokens = [token for _, tree in trees for token in tree.tokens]
    positions = [depth + place for place, tree in trees for depth in tree.depths()]
    allowed = torch.zeros(len(tokens), length + len(tokens), dtype=torch.bool)
    row = 0
    for place, tree in trees:
        end = row + len(tree.tokens)
        allowed[row:end, :place] = True
        allowed[row:end, length + row : length + end] = tree.ancestry()
        row = end
    bias = torch.zeros(allowed.shape, dtype=model.dtype).masked_fill_(~allowed, torch.finfo(model.dtype).min)
    output = model(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]),
        attention_mask=bias[None, None],
        past_key_values=cache,
        use_cache=True,
    )
    cache.crop(-len(tokens))
    return torch.log_softmax(output.logits[0].float(), dim=-1)


@torch.inference_mode()
def score_paths(model: Any, cache: Any, length: int, following: Tensor, paths: Sequence[Sequence[int]]) -> list[Scored]:
    """Score `paths` after a prefix of `length` tokens held in `cache`; `following` are the log-probabilities after the prefix."""
    tree = Tree(paths)
    if not tree.tokens:
        return [Scored((), (), following) for _ in paths]
    after = grow(model, cache, length, [(length, tree)])
    parents = torch.tensor(tree.parents)
    before = after[parents.clamp(min=0), torch.tensor(tree.tokens)]
    logprobs = torch.where(parents < 0, following[torch.tensor(tree.tokens)], before).tolist()  # of each node
    return [
        Scored(tuple(path), tuple(logprobs[n] for n in nodes), after[nodes[-1]] if nodes else following)
        for path, nodes in zip(paths, tree.paths, strict=True)
    ]
