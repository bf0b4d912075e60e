"""The write and the read adapter: LoRA on all linear layers of a base (paper: r 16; rates are those of our small base)."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import LlamaForCausalLM

from memagent.training.pretrain import Recipe

RANK = 16


def adapter_recipe(tokens: int, seed: int) -> Recipe:
    """AdamW alone, a shorter warm-up, falling from the beginning."""
    return Recipe(tokens=tokens, other_rate=1e-3, decay_from=0.1, warmup_steps=20, seed=seed, muon=False)


def with_adapter(base: LlamaForCausalLM, name: str, seed: int) -> tuple[PeftModel, dict[str, nn.Parameter]]:
    """The base with a fresh adapter, and the adapter's parameters."""
    torch.manual_seed(seed)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config, adapter_name=name)
    model = model.to(torch.bfloat16)
    return model, {n: p for n, p in model.named_parameters() if p.requires_grad}


def save_adapter(model: PeftModel, name: str, folder: Path) -> None:
    """Write `folder/name`; it names its base as the folder beside it, not as this machine's path."""
    model.peft_config[name].base_model_name_or_path = "base"
    model.save_pretrained(str(folder), selected_adapters=[name], save_embedding_layers=False)
