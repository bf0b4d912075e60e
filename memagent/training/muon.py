"""Muon (Keller Jordan, 2024) in a dtype of one's choice: `torch.optim.Muon` always computes in bf16.

A processor that cannot multiply bf16 takes fifty times as long for it, and a training step of a small base is then spent in its optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

SLOPES = (3.4445, -4.7750, 2.0315)  # of the quintic that raises all singular values towards one, steepest at zero
ITERATIONS = 5
LEAST_NORM = 1e-7


def orthogonal(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix (M, N) with its singular values brought near one, between about .7 and 1.2 (Newton and Schulz)."""
    a, b, c = SLOPES
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(dtype)
    x = x / x.norm().clamp(min=LEAST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal; for matrices only. Settings as in `torch.optim.Muon`, its state too."""

    def __init__(
        self, matrices: Iterable[nn.Parameter | Tensor], lr: float, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient; a closure is not asked."""
        for group in self.param_groups:
            for matrix in (m for m in group["params"] if m.grad is not None):
                kept = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
                kept.lerp_(matrix.grad, 1.0 - group["momentum"])
                update = orthogonal(matrix.grad.lerp(kept, group["momentum"]), self.dtype)
                matrix.mul_(1.0 - group["lr"] * group["weight_decay"])
                matrix.add_(update.to(matrix.dtype), alpha=-group["lr"] * math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1])))
