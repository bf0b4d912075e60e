"""`python -m memagent train ...`: tokenizer, prepare, base, write, read, opinions, mean, pack, calibrate; show, stats; trials, sides.

A run is a folder (`runs/mini` unless `--run` says otherwise): tokenizer, shards, checkpoints with their recipes and logs. Every
step goes on where it was interrupted; a file called `stop` in the folder ends it after the next update.

With `--base` the adapters are those of another causal language model, a folder or a name of the Hugging Face hub, with its own
tokenizer (prepare, write, read, pack, calibrate; the run is then `runs/NAME`). `--hub-recipe` trains them as MemLLM trained Mistral-7B.

`trials` compares recipes for the base (`trials.toml`), each on `--tokens`, in a run of its own with its own small shards. `sides`
measures base, adapters and fully fine-tuned copies (`write --whole`, `read --whole`) on the same held-out calls.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaForCausalLM

from memagent.errors import InvalidInput, ModelError
from memagent.model.bases import add_marks, fit_rows, load_base, load_tokenizer
from memagent.model.local import OPINIONS, load_local
from memagent.model.marks import Marks
from memagent.training.calibrate import calibrate
from memagent.training.examples import Teacher
from memagent.training.finetune import Tuning, go_on_from, save_adapter, whole_copy, with_adapter
from memagent.training.grammar.engine import Grammar
from memagent.training.grammar.phrasings import all_phrasings, phrasings
from memagent.training.lessons import Lessons, Reading
from memagent.training.opinions import FURTHER_RATE, RATE, begin_from, by_length, endless, mean_of, new_encoder, save, teach
from memagent.training.prepare import calibration_statements, mixer, prepare
from memagent.training.pretrain import Recipe, Shape, fastest_dtype, new_base, train
from memagent.training.readers import Report
from memagent.training.shards import Shard
from memagent.training.stats import GRAMMAR, RELATION_HEAD, SOURCE_HEAD, count_source, relation_rows, summary
from memagent.training.team import Team
from memagent.training.tokens import tokenizer_texts, train_tokenizer
from memagent.training.trials import make_held_out, run_trials, sides_table, variants

ADAPTERS = ("write", "read")
WHOLE = "-whole"  # after an adapter's name: the base trained as a whole on the same examples


def main(argv: Sequence[str]) -> int:
    """Run one training command; returns the exit status."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    args.run = args.run or Path("runs") / (Path(args.base).name if args.base else "mini")
    if args.base and (args.run / "base").is_dir():
        raise InvalidInput(f"{args.run} has a base of its own", hint="another base needs another --run")
    args.run.mkdir(parents=True, exist_ok=True)
    COMMANDS[args.command](args)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memagent train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--data", type=Path, help="the folder of data sets")
    parser.add_argument("--run", type=Path, help="the run's folder")
    parser.add_argument("--base", help="another model as the base: a folder or a name")
    parser.add_argument("--hub-recipe", action="store_true", help="write, read: the settings for a model of billions of parameters")
    parser.add_argument("--out", type=Path, help="pack, calibrate: the model's folder")
    parser.add_argument("--tokens", type=int, help="how long to train")
    parser.add_argument("--steps", type=int, default=2400, help="opinions: how long to train, in batches of 128")
    parser.add_argument("--begin-from", type=Path, help="write, read, opinions: a packed model, of which that part is taught further")
    parser.add_argument("--of", type=Path, nargs="*", default=(), help="mean: the runs or packed models that are averaged")
    parser.add_argument("--whole", action="store_true", help="write, read: train a copy of the whole base instead of an adapter")
    parser.add_argument("--vocabulary", type=int, default=Shape().vocabulary, help="tokenizer: its size")
    parser.add_argument("--only", nargs="*", default=(), help="prepare, show: only these shards; trials: only these variants")
    parser.add_argument("--count", type=int, default=10, help="show, calibrate: how many examples of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser


def _data(args: argparse.Namespace) -> Path:
    if args.data is None or not args.data.is_dir():
        raise InvalidInput("this needs --data DIR", hint="the folder of data sets; README.md lists what is in it")
    data: Path = args.data
    return data


def _tokenizer(args: argparse.Namespace) -> Any:
    folder = args.run / "tokenizer"
    if args.base and not folder.is_dir():
        add_marks(load_tokenizer(args.base)).save_pretrained(folder)
    if not folder.is_dir():
        raise ModelError(f"{args.run} has no tokenizer", hint="make it with: python -m memagent train tokenizer --data DIR")
    return load_tokenizer(folder)


def train_tokens(args: argparse.Namespace) -> None:
    """Learn the tokenizer."""
    train_tokenizer(tokenizer_texts(_data(args)), args.vocabulary).save_pretrained(args.run / "tokenizer")


def prepare_shards(args: argparse.Namespace) -> None:
    """Write the shards."""
    prepare(_data(args), args.run / "shards", Marks(_tokenizer(args)), args.seed, print, args.only)


def _shards(args: argparse.Namespace, shares: Mapping[str, float]) -> dict[str, Shard]:
    """The shards that have a share; those that are missing are made first where `--data` is given."""
    missing = [name for name in shares if not (args.run / "shards" / f"{name}.ends").exists()]
    if missing and args.data is not None:
        prepare(_data(args), args.run / "shards", Marks(_tokenizer(args)), args.seed, print, missing)
    return {name: Shard(args.run / "shards" / name) for name in shares}


def train_base(args: argparse.Namespace) -> None:
    """Train the base from nothing."""
    model = new_base(Shape(vocabulary=len(_tokenizer(args))), args.seed)
    recipe = Recipe(tokens=args.tokens or Recipe().tokens, seed=args.seed)
    _train(args, model, dict(model.named_parameters()), mixer()["base"], "base", recipe)
    model.save_pretrained(args.run / "base")


def _train(
    args: argparse.Namespace, model: Any, parameters: Mapping[str, nn.Parameter], shares: Mapping[str, float], name: str, recipe: Recipe
) -> None:
    stop = args.run / "stop"
    train(model, parameters, lambda progress: shares, _shards(args, shares), recipe, args.run / f"{name}.ckpt", stop=stop.exists)


def train_adapter(args: argparse.Namespace) -> None:
    """Train one adapter on the run's base, or on another."""
    name, how = args.command, Tuning.named("hub" if args.hub_recipe else "mini")
    base, marks = _base(args)
    shares = mixer()[name]
    tokens = args.tokens or how.long(_shards(args, shares).values())
    positions = getattr(base.config, "max_position_embeddings", how.length)
    recipe = how.recipe(name, tokens, positions, args.seed, whole=args.whole)
    if args.whole:
        _train(args, base, whole_copy(base), shares, f"{name}{WHOLE}", recipe)
        base.save_pretrained(args.run / f"{name}{WHOLE}")
        return
    model, parameters = with_adapter(base, name, args.seed, how, marks)
    if args.begin_from:
        go_on_from(model, name, args.begin_from)
    _train(args, model.get_base_model(), parameters, shares, name, recipe)
    save_adapter(model, name, args.run, args.base or "base")


def _base(args: argparse.Namespace) -> tuple[Any, Sequence[int]]:
    """The base, where it computes fastest, and the marks that it does not know yet."""
    if not args.base and not (args.run / "base").is_dir():
        raise ModelError(f"{args.run} has no base", hint="train it first: python -m memagent train base, or name another with --base")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = load_base(args.base or args.run / "base", fastest_dtype(device))
    marks: Sequence[int] = ()
    if args.base:
        tokenizer = _tokenizer(args)
        fit_rows(base, tokenizer)
        marks = Marks(tokenizer).ids
    return base.to(device), marks


def train_opinions(args: argparse.Namespace) -> None:
    """Train the second opinion."""
    encoder, tokenizer = new_encoder(args.seed)
    if args.begin_from:
        begin_from(encoder, args.begin_from / OPINIONS)
    data, team = _data(args), Team.join()

    def lessons(step: int) -> Iterator[Reading]:
        return by_length(endless(Lessons.of(data, args.seed + team.size * step + team.rank)))

    rate = FURTHER_RATE if args.begin_from else RATE
    teach(encoder, tokenizer, lessons, args.steps, rate=rate, checkpoint=args.run / "opinions.ckpt")
    if team.leads:
        save(encoder, args.run / OPINIONS)


def mean_opinion(args: argparse.Namespace) -> None:
    """The mean of several runs' second opinions (`--of`) as that of this run."""
    if not args.of:
        raise InvalidInput("mean needs --of DIR DIR ...", hint="runs or packed models whose second opinions began from the same one")
    missing = [folder for folder in args.of if not (folder / OPINIONS).is_file()]
    if missing:
        raise ModelError(f"{missing[0]} has no {OPINIONS}", hint="train it first: python -m memagent train opinions --run DIR")
    mean_of([folder / OPINIONS for folder in args.of], args.run / OPINIONS)


def fit_judges(args: argparse.Namespace) -> None:
    """Fit the judges of a packed model (`--out`)."""
    if args.out is None:
        raise InvalidInput("calibrate needs --out DIR", hint="a packed model's folder")
    model = load_local(args.base or str(args.out), str(args.out), threads=args.threads)
    texts = list(calibration_statements(_data(args), Report()))
    print(calibrate(model, args.out / "calibration.json", args.count, args.seed, texts))


def pack(args: argparse.Namespace) -> None:
    """Copy tokenizer, base (if it is the run's own) and adapters into one model folder, in bf16."""
    if args.out is None:
        raise InvalidInput("pack needs --out DIR", hint="the model's folder, for example memagent/model/mini")
    args.out.mkdir(parents=True, exist_ok=True)
    for file in (args.run / "tokenizer").iterdir():
        shutil.copy(file, args.out / file.name)
    if not args.base:
        LlamaForCausalLM.from_pretrained(args.run / "base", dtype=torch.bfloat16).save_pretrained(args.out / "base")
    for name in ADAPTERS:
        shutil.copytree(args.run / name, args.out / name, dirs_exist_ok=True)
        (args.out / name / "README.md").unlink(missing_ok=True)
        weights = args.out / name / "adapter_model.safetensors"  # in fp32 where that was the fastest
        save_file({key: value.to(torch.bfloat16) for key, value in load_file(weights).items()}, weights, metadata={"format": "pt"})
    if (args.run / OPINIONS).exists():
        shutil.copy(args.run / OPINIONS, args.out / OPINIONS)


def compare(args: argparse.Namespace) -> None:
    """Train and measure the variants of the recipe."""
    run_trials(lambda: _data(args), args.run, variants(args.tokens, args.only), print)


def measure_sides(args: argparse.Namespace) -> None:
    """Print how well base, adapters and (where they were trained) whole copies foretell held-out calls."""
    marks, folder = Marks(_tokenizer(args)), args.run / "held-out"
    make_held_out(_data(args), folder, marks)

    def loaded(folder: Path) -> Any:
        return load_base(folder, fastest_dtype())

    def sides(name: str) -> Iterator[tuple[str, Any]]:
        yield "base", loaded(args.run / "base")
        yield "adapter", PeftModel.from_pretrained(loaded(args.run / "base"), args.run / name)
        if (args.run / f"{name}{WHOLE}").is_dir():
            yield "whole copy", loaded(args.run / f"{name}{WHOLE}")

    print(sides_table({name: sides(name) for name in ADAPTERS}, folder, marks))


def show(args: argparse.Namespace) -> None:
    """Print examples, drawn from the grammar or (`--only`) from shards; what is supervised stands out."""
    teacher = _teacher(args)
    for name in args.only:
        for example in Shard(args.run / "shards" / name).sample(args.count, args.seed):
            print(coloured(teacher.marks, example), end="\n\n")
    if args.only:
        return
    for draw in (teacher.write, teacher.conversation, teacher.running_text):
        for _ in range(args.count):
            print(coloured(teacher.marks, draw()))
        print()


def _teacher(args: argparse.Namespace) -> Teacher:
    return Teacher(Marks(_tokenizer(args)), Grammar(args.seed))


def coloured(marks: Marks, example: Any) -> str:
    """The example's text; unsupervised tokens grey, calls green, the model's own words bold."""
    text = []
    for token, weight in zip(example.ids, example.weights, strict=True):
        colour = "90" if weight == 0 else "32" if weight >= 1 else "1"
        text.append(f"\033[{colour}m{marks.spell([token])}\033[0m")
    return "".join(text)


def stats(args: argparse.Namespace) -> None:
    """What is in the shards, by source and by relation."""
    marks = Marks(_tokenizer(args))
    made = {file.stem for file in (args.run / "shards").glob("*.ends")}
    names, seen = [*(name for name in GRAMMAR if name in made), *sorted(made.difference(GRAMMAR))], set[bytes]()
    sources = {name: count_source(Shard(args.run / "shards" / name), marks, seen) for name in names}
    print(SOURCE_HEAD, *(source.row(name) for name, source in sources.items()), sep="\n")
    print(summary(sources, all_phrasings()))
    print("", RELATION_HEAD, *relation_rows(sources.values(), phrasings()), sep="\n")


COMMANDS = {
    "tokenizer": train_tokens,
    "prepare": prepare_shards,
    "base": train_base,
    "write": train_adapter,
    "read": train_adapter,
    "opinions": train_opinions,
    "mean": mean_opinion,
    "pack": pack,
    "calibrate": fit_judges,
    "show": show,
    "stats": stats,
    "trials": compare,
    "sides": measure_sides,
}
