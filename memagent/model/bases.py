"""Any causal language model of Hugging Face as a base: its tokenizer gets the marks as tokens, its embeddings a row for each.

A row begins as the mean of the rows of what the mark is spelt like, so that it is the same in training and at every loading
and means something from the start; the adapters bring what training made of it. Our own base was trained with the marks and needs
none of this.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from memagent.errors import ModelError
from memagent.model.marks import BEGIN, END, MARK_TOKENS

NAMED = "a folder, or the name of a Hugging Face causal language model"


def load_tokenizer(source: str | Path) -> Any:
    """The tokenizer of a folder or of a model by name.

    Raises:
        ModelError: there is none.
    """
    try:
        return AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(source, error) from error


def load_base(source: str | Path, dtype: torch.dtype | str = "auto") -> Any:
    """The network of a folder or of a model by name, in `dtype` ("auto": as it was saved), ready for grounded decoding.

    Raises:
        ModelError: there is none, or it is of a kind whose continuations cannot be scored in a tree.
    """
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype, attn_implementation="sdpa")
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(source, error) from error
    if "position_ids" not in inspect.signature(network.forward).parameters:
        hint = "take one whose attention is told its positions, such as those of the Llama, Mistral, Qwen, GPT-NeoX and GPT-2 families"
        raise ModelError(f"{type(network).__name__} does not fit: it cannot be told the positions of its tokens", hint=hint)
    _hold_positions(network)
    return network.eval()


def _unreadable(source: str | Path, error: Exception) -> ModelError:
    return ModelError(f"the model {source} cannot be loaded: {str(error).splitlines()[0]}", hint=f"MEMAGENT_MODEL is {NAMED}")


def _hold_positions(network: nn.Module) -> None:
    """Where positions are learnt, those past the last one are read as the last: a call at the end of a long text must not fail."""
    words = network.get_input_embeddings()  # type: ignore[operator]
    for module in network.modules():
        if type(module) is nn.Embedding and module is not words:
            module.register_forward_pre_hook(_clamped)


def _clamped(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    last = int(module.num_embeddings) - 1  # type: ignore[arg-type]
    return (given[0].clamp(max=last), *given[1:])


# ---- marks


def has_marks(tokenizer: Any) -> bool:
    """Whether each mark is a token of its own."""
    ids = set(tokenizer.convert_tokens_to_ids(list(MARK_TOKENS)))
    return len(ids) == len(MARK_TOKENS) and not ids & {None, tokenizer.unk_token_id}


def add_marks(tokenizer: Any) -> Any:
    """The tokenizer with each mark as a token that text cannot contain."""
    tokenizer.add_special_tokens({"extra_special_tokens": list(MARK_TOKENS)}, replace_extra_special_tokens=False)
    return tokenizer


def spelt(tokenizer: Any, marks: Mapping[str, str]) -> dict[str, list[int]]:
    """The tokens of each mark's spelling in the middle of a text."""
    return {mark: _inside(tokenizer, text) for mark, text in marks.items()}


def _inside(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text that stands after another: some tokenizers put a space before whatever comes first."""
    before, both = (_plain_ids(tokenizer, t) for t in ("a", "a" + text))
    return both[len(before) :] if both[: len(before)] == before else _plain_ids(tokenizer, text)


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def fit_rows(network: Any, tokenizer: Any) -> None:
    """Give the embeddings a row for each mark, tied or not."""
    if len(tokenizer) > network.get_input_embeddings().weight.shape[0]:
        network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    rows = spelt(tokenizer, {mark: mark for mark in MARK_TOKENS})
    rows |= {mark: [special] for mark, special in ((BEGIN, begin if begin is not None else end), (END, end)) if special is not None}
    places = dict(zip(MARK_TOKENS, tokenizer.convert_tokens_to_ids(list(MARK_TOKENS)), strict=True))
    for values in _by_token(network):
        for mark, ids in rows.items():
            values[places[mark]] = values[ids].float().mean(0).to(values.dtype)


def _by_token(network: Any) -> Iterable[Tensor]:
    """What a network holds for each token: its embeddings and, where they are not the same, the head with its bias."""
    words, head = network.get_input_embeddings().weight, network.get_output_embeddings()
    biases: Sequence[Tensor] = [] if head.bias is None else [head.bias]
    return (t.detach() for t in (words, *([] if tied(network) else [head.weight]), *biases))


def tied(network: Any) -> bool:
    """Whether the head is the embeddings."""
    same: bool = network.get_output_embeddings().weight is network.get_input_embeddings().weight
    return same
