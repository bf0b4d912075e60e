"""Linear layers whose products are of 8-bit integers: about twice as fast on a processor that has instructions for them.

Weights are scaled by output, activations by token as they come, so that what a token gives does not depend on those beside it in a
pass. Small models stand this well; those of billions of parameters have outliers that it cuts off (Dettmers et al. 2022).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

STEPS = 127  # of an 8-bit integer, in either direction


def fast_here() -> bool:
    """Whether the processor multiplies 8-bit integers faster than floats."""
    supported: bool = torch.cpu._is_vnni_supported()
    return supported


class Int8Linear(nn.Module):
    """What a linear layer computes, with rounded weights and inputs."""

    weight: Tensor  # (inputs, outputs), int8
    scale: Tensor  # (outputs,)
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        rows = layer.weight.detach().float()  # (outputs, inputs)
        scale = _scale(rows)
        self.register_buffer("weight", (rows / scale).round().to(torch.int8).t())
        self.register_buffer("scale", scale.squeeze(-1))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        rows = inputs.reshape(-1, inputs.shape[-1]).float()
        scale = _scale(rows)
        products = torch._int_mm((rows / scale).round_().to(torch.int8), self.weight)  # (tokens, outputs), int32
        outputs = products.float().mul_(scale).mul_(self.scale)
        if self.bias is not None:
            outputs += self.bias
        return outputs.view(*inputs.shape[:-1], -1).to(inputs.dtype)


def _scale(rows: Tensor) -> Tensor:
    """(rows, 1): what one step of each row stands for."""
    return rows.abs().amax(-1, keepdim=True).clamp_min(1e-9) / STEPS


def in_int8(network: Any) -> Any:
    """The network with all its linear layers so, the head too; the embeddings stay."""
    layers = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    for path, layer in layers:
        network.set_submodule(path, Int8Linear(layer))
    return network
