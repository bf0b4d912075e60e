"""Any causal language model of Hugging Face as a base: its tokenizer gets the marks as tokens, its embeddings a row for each.

A row begins as the mean of the rows of what the mark is spelt like, so that it is the same in training and at every loading
and means something from the start; the adapters bring what training made of it. Our own base was trained with the marks and needs
none of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from memagent.errors import ModelError
from memagent.model.marks import ADDED_TOKENS, BEGIN, END, MARK_TOKENS, mark_ids
from memagent.model.tree import score_paths

NAMED = "a folder, or the name of a Hugging Face causal language model"
NEAR = 0.3  # nats by which a tree may differ from path by path: as much as 16-bit numbers of another order of adding


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
    """The network of a folder or of a model by name, in `dtype` ("auto": as it was saved).

    Raises:
        ModelError: there is none.
    """
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(source, error) from error
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


@torch.inference_mode()
def check_trees(network: Any) -> None:
    """Try whether continuations can be scored in a tree, on which all grounded decoding rests.

    Raises:
        ModelError: they cannot: the network keeps a state, or attends to what is near in the order in which it is fed.
    """
    ids, paths = [1, 2, 3], [[4, 5], [4, 6], [7]]
    cache = DynamicCache()
    try:
        before = network(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]
        scored = score_paths(network, cache, len(ids), before.float().log_softmax(-1), paths)
        alone = [network(input_ids=torch.tensor([ids + path])).logits[0, -1].float().log_softmax(-1) for path in paths]
        fits = all((s.following - a).abs().max() < NEAR for s, a in zip(scored, alone, strict=True))
    except (TypeError, ValueError, AttributeError, RuntimeError):
        fits = False
    if not fits:
        hint = "take a transformer with plain attention, for example of the Llama, Mistral, Qwen, GPT-NeoX or GPT-2 family"
        raise ModelError(f"{type(network).__name__} does not fit: its continuations cannot be scored in a tree", hint=hint)


# ---- marks


def add_marks(tokenizer: Any) -> Any:
    """The tokenizer with each mark as a token that text cannot contain."""
    tokenizer.add_special_tokens({"extra_special_tokens": list(ADDED_TOKENS)}, replace_extra_special_tokens=False)
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
    places = dict(zip(MARK_TOKENS, mark_ids(tokenizer), strict=True))
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
