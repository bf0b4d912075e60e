"""Which settings learn most from the same number of tokens: every variant of `trials.toml` trains a fresh base and is measured.

Measured on what no variant was trained on: write examples and conversations of the grammar's held-out split, and plain text. A name or
relation is right if each of its tokens is the likeliest one after the true tokens before it; the speaker does not count as a name.
Vocabularies cut texts into different tokens, so losses are also given per call and per byte.

In the run's folder a finished variant is one line of `trials.jsonl` and is not trained again, an unfinished one goes on from its
checkpoint, and `trials.md` has all of them as a table.
"""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from memagent.errors import InvalidInput
from memagent.model.bases import load_tokenizer
from memagent.model.marks import Marks
from memagent.training.corpus import articles, wikipedia_files
from memagent.training.examples import CALL_WEIGHT, Teacher
from memagent.training.grammar.engine import Grammar
from memagent.training.prepare import mixer, prepare
from memagent.training.pretrain import Recipe, Shape, log_line, new_base, train
from memagent.training.shards import WEIGHT_UNIT, Example, Ids, Shard, write_shard
from memagent.training.tokens import tokenizer_texts, train_tokenizer
from memagent.triples import SPEAKER

VARIANTS = Path(__file__).with_name("trials.toml")
HELD_OUT = ("held-out-write", "held-out-conversation", "held-out-text")
CALLS_OF = {"write": HELD_OUT[0], "read": HELD_OUT[1]}  # where each adapter's calls are
MOST_CHARACTERS = 700  # of a held-out example: within 256 tokens of every vocabulary
GRAMMAR_SEED = 1001  # of the held-out examples


@dataclass(frozen=True, slots=True)
class Variant:
    """What one base is trained with; `invented`: share of names that are (None: the grammar's own)."""

    name: str
    shape: Shape
    recipe: Recipe
    shares: Mapping[str, float]
    call_weight: float = 1.0
    invented: float | None = None

    @property
    def folder(self) -> str:
        """Where its examples are; variants that differ in nothing else share them."""
        names = "" if self.invented is None else f"-invented-{self.invented}"
        return f"examples-{self.shape.vocabulary}-{self.recipe.length}{names}"


@dataclass(frozen=True, slots=True)
class CallScores:
    """How well the calls of held-out examples are foretold; the last two are shares of all names and relations."""

    nats_per_call: float
    nats_per_token: float
    nats_per_name_byte: float
    names_right: float
    relations_right: float


def plan() -> dict[str, dict[str, Any]]:
    """`trials.toml`."""
    return tomllib.loads(VARIANTS.read_text(encoding="utf-8"))


def variants(tokens: int | None = None, only: Sequence[str] = ()) -> list[Variant]:
    """All of them, or those named, in the file's order, for the file's budget or another one.

    Raises:
        InvalidInput: there is no variant of a name.
    """
    planned = plan()
    if unknown := set(only) - set(planned["variants"]):
        raise InvalidInput(f"no variant is called {', '.join(sorted(unknown))}", hint="there are " + ", ".join(planned["variants"]))
    common = planned["common"] | ({"tokens": tokens} if tokens else {})
    return [_variant(name, changes, common) for name, changes in planned["variants"].items() if not only or name in only]


def _variant(name: str, changes: dict[str, Any], common: Mapping[str, Any]) -> Variant:
    recipe = Recipe(**{**common, **changes.pop("recipe", {})})
    shape = Shape(**{"positions": recipe.length, **changes.pop("shape", {})})
    return Variant(name, shape, recipe, mixer()["base"] | changes.pop("shares", {}), **changes)


def run_trials(data: Callable[[], Path], run: Path, chosen: Sequence[Variant], say: Callable[[str], None]) -> None:
    """Train and measure each variant that is not finished; a file called `stop` in the run's folder ends it after the next update."""
    results, stop = run / "trials.jsonl", run / "stop"
    for variant in chosen:
        done = finished(results)
        if any(row["variant"] == variant.name and row["tokens"] == variant.recipe.tokens for row in done):
            continue
        say(f"{variant.name}: {variant.recipe.tokens} tokens")
        make_examples(data, run, variant, say)
        checkpoint = run / f"{variant.name}.ckpt"
        row = trial(variant, run / variant.folder, checkpoint, stop.exists)
        if stop.exists():
            return
        log_line(results, **row)
        checkpoint.unlink()
        (run / "trials.md").write_text(table([*done, row]), encoding="utf-8")
        say(table([row]))


def finished(results: Path) -> list[dict[str, Any]]:
    """What has been measured so far."""
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def make_examples(data: Callable[[], Path], run: Path, variant: Variant, say: Callable[[str], None]) -> None:
    """The variant's tokenizer, shards and held-out shards, where they are missing."""
    tokenizer, folder, planned = run / f"tokenizer-{variant.shape.vocabulary}", run / variant.folder, plan()
    if not tokenizer.is_dir():
        train_tokenizer(tokenizer_texts(data()), variant.shape.vocabulary).save_pretrained(tokenizer)
    missing = [name for name in (*variant.shares, *HELD_OUT) if not (folder / f"{name}.ends").exists()]
    if not missing:
        return
    marks = Marks(load_tokenizer(tokenizer))
    sizes = mixer()["examples"] | planned["examples"] | {"piece": variant.recipe.length}
    sources = [name for name in missing if name not in HELD_OUT]
    if sources:
        prepare(data(), folder, marks, variant.recipe.seed, say, sources, sizes, variant.invented)
    make_held_out(data(), folder, marks)


def make_held_out(data: Path, folder: Path, marks: Marks) -> None:
    """The held-out shards, where they are missing."""
    if all((folder / f"{name}.ends").exists() for name in HELD_OUT):
        return
    for name, examples in zip(HELD_OUT, held_out(data, marks, **plan()["held_out"]), strict=True):
        write_shard(folder / name, examples)


def held_out(data: Path, marks: Marks, *, write: int, conversation: int, articles: int, after: int) -> tuple[Iterator[Example], ...]:
    """Write examples, conversations and pieces of text, the same ones whatever the vocabulary."""
    teacher = Teacher(marks, Grammar(GRAMMAR_SEED, "held out"))
    return (
        islice(_short(teacher.write, marks), write),
        islice(_short(teacher.conversation, marks), conversation),
        islice(_pieces(data, marks, after), articles),
    )


def _short(draw: Callable[[], Example], marks: Marks) -> Iterator[Example]:
    while True:
        example = draw()
        if len(marks.spell(example.ids)) <= MOST_CHARACTERS:
            yield example


def _pieces(data: Path, marks: Marks, after: int) -> Iterator[Example]:
    for _, text in islice(articles(wikipedia_files(data)[-1]), after, None):
        ids = (marks.begin, *marks.text(text[:MOST_CHARACTERS]))
        yield Example(ids, (1.0,) * len(ids))


def trial(variant: Variant, folder: Path, checkpoint: Path, stop: Callable[[], bool]) -> dict[str, Any]:
    """Train one variant on the examples in `folder` and measure it: one line of the results."""
    marks = Marks(load_tokenizer(folder.parent / f"tokenizer-{variant.shape.vocabulary}"))
    model = new_base(replace(variant.shape, vocabulary=len(marks.tokenizer)), variant.recipe.seed)
    shards = {name: weighed(Shard(folder / name), variant.call_weight) for name in variant.shares}
    before = torch.load(checkpoint, weights_only=True)["tokens"] if checkpoint.exists() else 0
    started_s = time.process_time()  # of the processor: other programs wait for it too
    train(model, dict(model.named_parameters()), lambda progress: variant.shares, shards, variant.recipe, checkpoint, stop=stop)
    seconds = time.process_time() - started_s
    write, read, text = (Shard(folder / name) for name in HELD_OUT)
    model.eval()  # type: ignore[no-untyped-call]
    judge = partial(judged, model)
    return {
        "variant": variant.name,
        "tokens": variant.recipe.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_per_s": round((variant.recipe.tokens - before) / seconds),
        **text_scores(text, marks, judge),
        "write": asdict(call_scores(write, marks, judge)),
        "read": asdict(call_scores(read, marks, judge)),
    }


def weighed(shard: Shard, call_weight: float) -> Shard:
    """The shard with the weights of its calls' tokens multiplied."""
    of_calls = shard.weights >= CALL_WEIGHT * WEIGHT_UNIT
    shard.weights = np.where(of_calls, shard.weights * call_weight, shard.weights).astype(np.uint8)
    return shard


Judge = Callable[[Ids], tuple[NDArray[np.float32], NDArray[np.bool_]]]


@torch.inference_mode()
def judged(model: PreTrainedModel, ids: Ids) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Of each token (T,): its loss in nats, and whether it was the likeliest; the first has no loss and is right."""
    tokens = torch.from_numpy(ids.astype(np.int64))
    logits = model(tokens[None, :-1]).logits[0].float()  # (T-1, vocabulary)
    losses = nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
    right = logits.argmax(-1) == tokens[1:]
    return np.append(np.float32(0), losses.numpy()), np.append(True, right.numpy())


def text_scores(shard: Shard, marks: Marks, judge: Judge) -> dict[str, float]:
    """Bits per byte of plain text, and how many bytes a token stands for."""
    pieces = [shard[i][0] for i in range(len(shard))]
    size = sum(len(marks.plain(ids.tolist()).encode()) for ids in pieces)
    nats = sum(float(judge(ids)[0].sum()) for ids in pieces)
    return {"bits_per_byte": nats / math.log(2) / size, "bytes_per_token": size / sum(len(ids) - 1 for ids in pieces)}


def call_scores(shard: Shard, marks: Marks, judge: Judge) -> CallScores:
    """How well the calls of a shard's examples are foretold."""
    total: Counter[str] = Counter()
    nats: Counter[str] = Counter()
    for ids in (shard[i][0] for i in range(len(shard))):
        losses, right = judge(ids)
        for kind, start, stop in stretches(ids.tolist(), marks):
            nats[kind] += losses[start:stop].sum().item()
            total[kind] += 1
            total[f"{kind} tokens"] += stop - start
            total[f"{kind} bytes"] += len(marks.plain(ids[start:stop].tolist()).encode())
            total[f"{kind} right"] += int(right[start:stop].all())
    return CallScores(
        nats_per_call=nats["call"] / total["call"],
        nats_per_token=nats["call"] / total["call tokens"],
        nats_per_name_byte=nats["name"] / total["name bytes"],
        names_right=total["name right"] / total["name"],
        relations_right=total["relation right"] / total["relation"],
    )


def stretches(ids: Sequence[int], marks: Marks) -> Iterator[tuple[str, int, int]]:
    """Where the calls are: (what, first token, one past the last) for each "name", "relation" and "call".

    A call is what the model puts down of it: all after the opening of a write call, all before the answer of a read call. The
    speaker's name is left out.
    """
    speaker = marks.text(SPEAKER)
    inside, call, start, sides = False, 0, 0, 0
    for at, token in enumerate(ids):
        if token in (marks.write_open, marks.read_open):
            inside, call, start, sides = True, at + (token == marks.write_open), at + 1, 0
        elif inside and token in (marks.side, marks.next, marks.read_answer, marks.close):
            if start < at and list(ids[start:at]) != speaker:
                yield ("relation" if sides == 1 else "name"), start, at
            start, sides = at + 1, sides + 1 if token == marks.side else 0
            if token in (marks.read_answer, marks.close):
                yield "call", call, at + 1
                inside = False


def sides_table(sides: Mapping[str, Iterable[tuple[str, PreTrainedModel]]], folder: Path, marks: Marks) -> str:
    """For each adapter's name its models by their labels, measured on the calls that they are for: a Markdown table."""
    lines = [["calls", "model", *CALL_HEADINGS], ["---", "---", *["--:"] * len(CALL_HEADINGS)]]
    for call, models in sides.items():
        shard = Shard(folder / CALLS_OF[call])
        for label, model in models:
            model.eval()  # type: ignore[no-untyped-call]
            scores = asdict(call_scores(shard, marks, partial(judged, model)))
            lines.append([call, label, *(f"{value:.3f}" for value in scores.values())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


HEADINGS = ("variant", "parameters", "tokens/s", "bytes/token", "bits/byte")
CALL_HEADINGS = ("nats/call", "nats/token", "nats/name byte", "names right", "relations right")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Results as a Markdown table."""
    headings = [*HEADINGS, *(f"{call} {heading}" for call in ("write", "read") for heading in CALL_HEADINGS)]
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *map(_cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    measured = [row["bytes_per_token"], row["bits_per_byte"], *row["write"].values(), *row["read"].values()]
    return [row["variant"], f"{row['parameters']:,}", f"{row['tokens_per_s']:,}", *(f"{value:.3f}" for value in measured)]
