"""The base model: a Llama shape trained from nothing, resumable.

Muon for the matrices and AdamW for embeddings and norms; weights in bf16 where that is fast, with fp32 master copies; learning
rates constant, then falling linearly to zero from `decay_from` of the way on (docs/LOG.md has the trials behind these choices).
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from memagent.training.muon import Muon
from memagent.training.shards import Mixer, Shard, Window
from memagent.training.team import Team

STRETCHES = 20  # of a run; each asks for its shares of the sources


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the base model."""

    vocabulary: int = 8192
    width: int = 320
    layers: int = 7
    heads: int = 5
    hidden: int = 896
    positions: int = 256  # the length of its training windows

    def config(self) -> LlamaConfig:
        """The same for transformers."""
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            intermediate_size=self.hidden,
            max_position_embeddings=self.positions,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run is trained; travels with its checkpoint."""

    tokens: int = 15_000_000
    length: int = 256
    batch: int = 24
    at_once: int = 24  # windows of one forward pass
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    decay_from: float = 0.5
    warmup_steps: int = 40
    seed: int = 1
    muon: bool = True  # for the matrices; adapters learn with AdamW alone

    def rate(self, tokens: int, step: int) -> float:
        """The factor on both learning rates."""
        progress = tokens / self.tokens
        falling = min(1.0, (1.0 - progress) / (1.0 - self.decay_from))
        return max(0.0, falling) * min(1.0, (step + 1) / self.warmup_steps)


def tensors(windows: Sequence[Window]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids (B, T), weights (B, T), positions (B, T), mask (B, 1, T, T): True where a token may look.

    The first token of an example has no weight: before it stands another example's end.
    """
    ids = torch.from_numpy(np.stack([w.ids for w in windows]))
    weights = torch.from_numpy(np.stack([w.weights * (w.positions > 0) for w in windows]))
    positions = torch.from_numpy(np.stack([w.positions for w in windows]))
    documents = torch.from_numpy(np.stack([w.documents for w in windows]))
    same = documents[:, :, None] == documents[:, None, :]
    mask = same & torch.ones(same.shape[1:], dtype=torch.bool).tril()
    return ids, weights, positions, mask[:, None]


def weighted_loss(model: PreTrainedModel, windows: Sequence[Window]) -> tuple[Tensor, float]:
    """The mean loss over supervised tokens, each by its weight; and the sum of the weights."""
    ids, weights, positions, mask = (tensor.to(model.device) for tensor in tensors(windows))
    bias = torch.zeros(mask.shape, dtype=model.dtype, device=model.device).masked_fill_(~mask, torch.finfo(model.dtype).min)
    hidden = model.base_model(ids, position_ids=positions, attention_mask=bias).last_hidden_state[:, :-1]  # (B, T-1, width)
    targets, target_weights = ids[:, 1:], weights[:, 1:]
    supervised = target_weights > 0
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    logits = head(hidden[supervised]).float()  # (supervised, vocabulary)
    losses = nn.functional.cross_entropy(logits, targets[supervised], reduction="none")
    chosen = target_weights[supervised]
    return (losses * chosen).sum() / chosen.sum().clamp_min(1e-6), float(chosen.sum())


def learn(model: PreTrainedModel, windows: Sequence[Window], at_once: int) -> float:
    """Add the gradients of a batch, `at_once` windows at a time; returns its loss."""
    parts = [windows[start : start + at_once] for start in range(0, len(windows), at_once)]
    total = 0.0
    for part in parts:
        loss = weighted_loss(model, part)[0] / len(parts)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


class MasterWeights:
    """fp32 copies of weights in any dtype, with one optimiser for the matrices and one for the rest."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], recipe: Recipe, team: Team) -> None:
        self.team = team
        self.parameters = parameters
        self.masters = {name: p.detach().float().clone().requires_grad_() for name, p in parameters.items()}
        matrices = [m for name, m in self.masters.items() if recipe.muon and m.ndim == 2 and "embed" not in name and "lm_head" not in name]
        self.matrices = matrices  # each is updated by one process of the team, for Muon's products cost as much as many tokens
        chosen = {id(m) for m in matrices}
        rest = [m for m in self.masters.values() if id(m) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=recipe.other_rate, betas=(0.9, 0.97), weight_decay=0.0)]
        self.rates = [recipe.other_rate]
        if matrices:
            device = matrices[0].device.type
            self.optimisers.insert(0, Muon(matrices, recipe.matrix_rate, momentum=0.95, weight_decay=0.01, dtype=fastest_dtype(device)))
            self.rates.insert(0, recipe.matrix_rate)

    def step(self, factor: float) -> None:
        """One update with both rates times `factor`."""
        for name, parameter in self.parameters.items():
            self.masters[name].grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        self.team.average([m.grad for m in self.masters.values() if m.grad is not None])
        nn.utils.clip_grad_norm_(self.masters.values(), 1.0)
        for index, matrix in enumerate(self.matrices):
            if not self.team.owns(index):
                matrix.grad = None
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
        self.team.exchange(self.matrices)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.masters[name])

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs; all processes of a team ask for it at once."""
        if self.team.size > 1 and self.matrices:
            muon = self.optimisers[0].state
            momenta = [muon[m].setdefault("momentum_buffer", torch.zeros_like(m)) for m in self.matrices]
            self.team.exchange(momenta)
        return {"masters": self.masters, "optimisers": [o.state_dict() for o in self.optimisers]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        with torch.no_grad():
            for name, value in state["masters"].items():
                self.masters[name].copy_(value)
                self.parameters[name].copy_(value)
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def fastest_dtype(device: str = "cpu") -> torch.dtype:
    """What a device computes fastest: bf16 on accelerators and on processors that multiply it; others take fifty times as long for it."""
    able = torch.cpu.get_capabilities()
    bf16 = device != "cpu" or any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if bf16 else torch.float32


def save_atomically(path: Path, value: Any) -> None:
    """torch.save that leaves either the old file or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def log_line(path: Path, **values: Any) -> None:
    """Append one JSON line to a run's log."""
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(values) + "\n")


def train(
    model: PreTrainedModel,
    parameters: Mapping[str, nn.Parameter],
    shares: Callable[[float], Mapping[str, float]],
    shards: Mapping[str, Shard],
    recipe: Recipe,
    checkpoint: Path,
    *,
    save_every_s: float = 240.0,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train `parameters` of `model` until `recipe.tokens`; goes on from `checkpoint` where there is one.

    `shares` gives each source's share of tokens at a progress between 0 and 1; it is asked again every twentieth of the way.
    A run that was stopped sees the same batches as one that was not; a team shares each batch.
    """
    team = Team.join()
    weights = MasterWeights(parameters, recipe, team)
    tokens, step = 0, 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        weights.restore(saved["weights"])
        tokens, step = saved["tokens"], saved["step"]
    seen = recipe.batch * recipe.length
    batches = _batches(shares, shards, recipe, step)
    log = checkpoint.with_suffix(".log.jsonl")
    bar = tqdm(total=recipe.tokens, initial=tokens, unit="tok", unit_scale=True, mininterval=5.0, disable=not team.leads)
    saved_at = time.monotonic()
    model.train()
    smooth = math.nan
    while tokens < recipe.tokens and not team.any(stop()):
        loss = learn(model, next(batches)[team.rank :: team.size], recipe.at_once)
        weights.step(recipe.rate(tokens, step))
        tokens, step = tokens + seen, step + 1
        smooth = loss if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss
        bar.update(seen)
        bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
        if team.leads and step % 20 == 0:
            log_line(log, step=step, tokens=tokens, loss=round(smooth, 4), time=round(time.time()))
        if team.any(time.monotonic() - saved_at > save_every_s):
            _save(checkpoint, weights, recipe, tokens, step)
            saved_at = time.monotonic()
    _save(checkpoint, weights, recipe, tokens, step)
    bar.close()


def _batches(
    shares: Callable[[float], Mapping[str, float]], shards: Mapping[str, Shard], recipe: Recipe, step: int
) -> Iterator[Sequence[Window]]:
    """The batches from `step` on. Each twentieth of the way has a mixer of its own, seeded by its first step."""
    stretch = max(1, math.ceil(recipe.tokens / (recipe.batch * recipe.length * STRETCHES)))
    for start in itertools.count(step - step % stretch, stretch):
        progress = start * recipe.batch * recipe.length / recipe.tokens
        mixer = Mixer(shards, shares(progress), recipe.length, recipe.seed + start)
        for at in range(start, start + stretch):
            batch = mixer.batch(recipe.batch)
            if at >= step:
                yield batch


def _save(checkpoint: Path, weights: MasterWeights, recipe: Recipe, tokens: int, step: int) -> None:
    state = weights.state()
    if weights.team.leads:
        save_atomically(checkpoint, {"weights": state, "recipe": asdict(recipe), "tokens": tokens, "step": step})


def new_base(shape: Shape, seed: int) -> LlamaForCausalLM:
    """A base with random weights."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(shape.config())
    model.to(dtype=fastest_dtype())  # type: ignore[call-arg]
    return model
