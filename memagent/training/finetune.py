"""The write and the read adapter: LoRA on all linear layers of a base, by a recipe of `recipes.toml`.

A base that was not trained with the marks gets their rows trained too, and they are saved with the adapter: those of the embeddings
always, those of the head where it is not the embeddings and has no LoRA of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights
from torch import nn
from transformers.pytorch_utils import Conv1D

from memagent.errors import ModelError
from memagent.model.bases import tied
from memagent.training.pretrain import Recipe, fastest_dtype
from memagent.training.shards import Shard

RECIPES = Path(__file__).with_name("recipes.toml")
WHOLE_RATE = 0.3  # of an adapter's: all weights of a trained base move less than a product that begins at zero


@dataclass(frozen=True, slots=True)
class Tuning:
    """A recipe for adapters; `head`: LoRA on the head too, where that is not the embeddings."""

    rank: int
    alpha: int
    dropout: float
    head: bool
    rate: Mapping[str, float]
    batch: int
    at_once: int
    length: int
    decay_from: float
    warmup_steps: int
    tokens: int = 0
    epochs: float = 0.0

    @classmethod
    def named(cls, name: str) -> Tuning:
        """From `recipes.toml`."""
        return cls(**tomllib.loads(RECIPES.read_text(encoding="utf-8"))[name])

    def long(self, shards: Iterable[Shard]) -> int:
        """Tokens of a whole run over these shards."""
        return self.tokens or round(self.epochs * sum(len(shard.ids) for shard in shards))

    def recipe(self, adapter: str, tokens: int, positions: int, seed: int, *, whole: bool = False) -> Recipe:
        """For one adapter of a base that reaches `positions` tokens, or for all weights (`whole`): AdamW alone."""
        return Recipe(
            tokens=tokens,
            length=min(self.length, positions),
            batch=self.batch,
            at_once=self.at_once,
            other_rate=self.rate[adapter] * (WHOLE_RATE if whole else 1.0),
            decay_from=self.decay_from,
            warmup_steps=self.warmup_steps,
            seed=seed,
            muon=False,
        )


def with_adapter(base: Any, name: str, seed: int, how: Tuning, marks: Sequence[int] = ()) -> tuple[PeftModel, dict[str, nn.Parameter]]:
    """The base with a fresh adapter, and the adapter's parameters; `marks` are the tokens that the base does not know yet."""
    torch.manual_seed(seed)
    words, head = base.get_input_embeddings(), base.get_output_embeddings()
    own_head = not tied(base)
    through_head = own_head and (how.head or head.bias is not None)  # peft's trained rows know no bias
    layers = {path: m for path, m in base.named_modules() if isinstance(m, nn.Linear | Conv1D) and (m is not head or through_head)}
    trained = [words] + [head] * (own_head and not through_head)
    config = LoraConfig(
        r=how.rank,
        lora_alpha=how.alpha,
        lora_dropout=how.dropout,
        target_modules=sorted({path.rpartition(".")[2] for path in layers}),
        trainable_token_indices={path: list(marks) for path, m in base.named_modules() if m in trained} if marks else None,
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in layers.values()),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config, adapter_name=name)
    model = model.to(fastest_dtype(model.device.type))
    return model, {n: p for n, p in model.named_parameters() if p.requires_grad}


def go_on_from(model: PeftModel, name: str, folder: Path) -> None:
    """Give the fresh adapter the weights of `folder/name`, to train it further.

    Raises:
        ModelError: there is none of this base and rank.
    """
    try:
        set_peft_model_state_dict(model, load_peft_weights(str(folder / name), device="cpu"), adapter_name=name)
    except (OSError, ValueError, RuntimeError) as error:
        hint = "name a packed model whose adapters have this base and the rank of recipes.toml"
        raise ModelError(f"{folder / name} cannot be trained further: {str(error).splitlines()[0]}", hint=hint) from error


def whole_copy(base: Any) -> dict[str, nn.Parameter]:
    """All weights of the base, to train them instead of an adapter; what the adapters are compared with."""
    return dict(base.requires_grad_(True).named_parameters())


def save_adapter(model: PeftModel, name: str, folder: Path, base: str = "base") -> None:
    """Write `folder/name`; it names its base as the folder beside it or by its last name, not by this machine's path."""
    model.peft_config[name].base_model_name_or_path = Path(base).name if Path(base).exists() else base
    model.save_pretrained(str(folder), selected_adapters=[name], save_embedding_layers=False)
