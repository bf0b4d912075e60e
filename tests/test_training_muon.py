"""Muon in any dtype: PyTorch's own updates in bf16, orthogonal ones in fp32."""

import pytest
import torch

from memagent.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (8, 8)])
def test_in_bf16_it_is_pytorchs(shape):
    torch.manual_seed(1)
    start = torch.randn(shape)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    optimisers = (
        Muon([ours], 0.02, momentum=0.95, weight_decay=0.01, dtype=torch.bfloat16),
        torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.01),
    )
    for _ in range(3):
        gradient = torch.randn(shape)
        for matrix, optimiser in zip((ours, theirs), optimisers, strict=True):
            matrix.grad = gradient.clone()
            optimiser.step()
    assert not torch.equal(ours, start)
    assert torch.equal(ours, theirs)
    states = [optimiser.state[matrix]["momentum_buffer"] for matrix, optimiser in zip((ours, theirs), optimisers, strict=True)]
    assert torch.equal(*states)


def test_an_update_has_singular_values_near_one():
    torch.manual_seed(2)
    for shape in ((16, 40), (40, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape), torch.float32))
        assert values.min() > 0.5
        assert values.max() < 1.3
    assert torch.equal(orthogonal(torch.zeros(3, 4), torch.float32), torch.zeros(3, 4))


def test_a_matrix_without_a_gradient_stays():
    still, moved = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    moved.grad = torch.randn(2, 3)
    Muon([still, moved], 0.02, momentum=0.95, weight_decay=0.0, dtype=torch.float32).step()
    assert torch.equal(still, torch.ones(2, 3))
    assert not torch.equal(moved, torch.ones(2, 3))
