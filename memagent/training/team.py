"""Training in several processes that share the work: `torchrun --nproc-per-node N -m memagent train base|opinions --threads 1`.

On CPU cores, N processes of one thread each train faster than one process of N threads (docs/LOG.md), and they do not wait
for each other inside every operation when other programs want a core.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Team:
    """This process is number `rank` of `size`; a team of one does nothing."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Team:
        """The team that torchrun started, or one alone."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes what the team writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process: all of them answer alike."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes into each of these fp32 tensors."""
        if self.size > 1:
            self._sum(tensors, [1.0 / self.size] * len(tensors))

    def owns(self, index: int) -> bool:
        """Whether the tensor at this place of a list is this process's to update."""
        return index % self.size == self.rank

    def exchange(self, tensors: Sequence[Tensor]) -> None:
        """Put into each of these fp32 tensors what the process has that owns it."""
        if self.size > 1:
            self._sum(tensors, [float(self.owns(index)) for index in range(len(tensors))])

    def _sum(self, tensors: Sequence[Tensor], factors: Sequence[float]) -> None:
        with torch.no_grad():
            flat = torch.cat([tensor.reshape(-1) * factor for tensor, factor in zip(tensors, factors, strict=True)])
            dist.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))
