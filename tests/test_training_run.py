"""Training runs on a tiny model: the loss falls, a stopped run goes on as if it had not been stopped, adapters load."""

import json
import re
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from memagent import Triple
from memagent.calls import ReadCall
from memagent.errors import InvalidInput, ModelError
from memagent.model import local
from memagent.model.decoding import READ_JUDGE, WRITE_JUDGE, Judge
from memagent.model.int8 import Int8Linear
from memagent.model.local import Limits, load_local
from memagent.model.seam import DraftRequest, WriteRequest
from memagent.ontology import Ontology, default_ontology
from memagent.training import cli
from memagent.training.examples import Parts, reply_turn, user_turn, write_example
from memagent.training.finetune import Tuning, save_adapter, with_adapter
from memagent.training.prepare import mixer
from memagent.training.pretrain import Recipe, Shape, new_base, tensors, train, weighted_loss
from memagent.training.shards import Mixer, Shard, Window, write_shard
from memagent.training.trials import HELD_OUT
from memagent.triples import Query

torch.set_num_threads(1)
LENGTH, BATCH = 32, 2
NAMES = ("Anna", "Marie", "Pierre", "Miso")
PLACES = ("Oslo", "Paris", "Warsaw", "Glim")


def write_shards(folder, marks):
    """Statements with their calls, and questions with theirs."""
    pairs = [(name, place) for name in NAMES for place in PLACES]
    writes = [write_example(marks, [], f"{name} lives in {place}.", [Triple(name, "residence", place)]) for name, place in pairs]
    reads = []
    for name, place in pairs:
        parts = user_turn(Parts(marks).put([marks.begin]), f"Where does {name} live?")
        reads.append(reply_turn(parts, [ReadCall((Query(name, "residence", None),), (place,))], f"{place}.").example())
    write_shard(folder / "write", writes)
    write_shard(folder / "read", reads)
    return {name: Shard(folder / name) for name in ("write", "read")}


@pytest.fixture(scope="module")
def shards(tmp_path_factory, marks):
    return write_shards(tmp_path_factory.mktemp("shards"), marks)


@pytest.fixture
def shape(tiny_tokenizer):
    return Shape(vocabulary=len(tiny_tokenizer), width=32, layers=2, heads=2, hidden=48, positions=128)


def recipe(steps: int, **changes) -> Recipe:
    return Recipe(tokens=steps * LENGTH * BATCH, length=LENGTH, batch=BATCH, warmup_steps=4, seed=3, **changes)


def run(model, shards, given, checkpoint, steps=None):
    """Train, stopped after so many updates (None: to the end)."""
    left = iter(range(steps)) if steps is not None else None
    train(
        model, dict(model.named_parameters()), lambda progress: {"write": 0.5, "read": 0.5}, shards, given, checkpoint,
        stop=(lambda: next(left, None) is None) if left else (lambda: False),
    )  # fmt: skip


def loss_of(model, shards) -> float:
    with torch.no_grad():
        return weighted_loss(model, Mixer(shards, {"write": 0.5, "read": 0.5}, LENGTH, 99).batch(8))[0].item()


def test_a_run_learns_and_a_stopped_one_goes_on_as_if_it_had_not_been(tmp_path, shards, shape):
    given = recipe(42)
    whole = new_base(shape, 1)
    before = loss_of(whole, shards)
    run(whole, shards, given, tmp_path / "whole.ckpt")
    assert loss_of(whole, shards) < 0.6 * before

    run(new_base(shape, 1), shards, given, tmp_path / "parts.ckpt", steps=25)
    saved = torch.load(tmp_path / "parts.ckpt", weights_only=True)
    assert (saved["step"], saved["tokens"], saved["recipe"]) == (25, 25 * LENGTH * BATCH, asdict(given))
    again = new_base(shape, 2)  # other weights: all of them come from the checkpoint
    run(again, shards, given, tmp_path / "parts.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.allclose(value.float(), again.state_dict()[name].float(), atol=1e-3), name
    lines = [json.loads(line) for line in (tmp_path / "parts.log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40]
    assert not list(tmp_path.glob("*.partial"))

    run(again, shards, given, tmp_path / "parts.ckpt")  # nothing is left to do
    assert torch.load(tmp_path / "parts.ckpt", weights_only=True)["step"] == 42


def test_an_examples_loss_does_not_depend_on_its_neighbours(shards, shape):
    model = new_base(shape, 4).float()
    window = Mixer(shards, {"write": 0.5, "read": 0.5}, 64, 5).window()
    assert window.documents.max() >= 3
    parts = []
    for document in range(1, window.documents.max() + 1):
        here = window.documents == document
        parts.append(Window(window.ids[here], window.weights[here], window.documents[here], window.positions[here]))
    with torch.no_grad():
        packed, weight = weighted_loss(model, [window])
        alone = [weighted_loss(model, [part]) for part in parts]
    assert weight == pytest.approx(sum(w for _, w in alone))
    assert packed.item() == pytest.approx(sum(loss.item() * w for loss, w in alone) / weight, rel=1e-4)
    mask = tensors([window])[3][0, 0]
    same = torch.from_numpy(window.documents)
    assert torch.equal(mask, (same[:, None] == same[None, :]).tril())


def test_rates_rise_then_stay_then_fall_to_nothing():
    given = recipe(100)
    rates = [given.rate(step * LENGTH * BATCH, step) for step in range(101)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert set(rates[4:51]) == {1.0}
    assert all(a > b for a, b in zip(rates[50:], rates[51:], strict=False))
    assert rates[100] == 0.0


def test_a_batch_without_anything_to_learn_does_no_harm(shape, marks):
    window = Mixer({"x": FixedShard([marks.begin, marks.end])}, {"x": 1.0}, 8, 1).window()
    model = new_base(shape, 1)
    loss, weight = weighted_loss(model, [window])
    loss.backward()
    assert (loss.item(), weight) == (0.0, 0.0)


class FixedShard(Shard):
    """One example without weights, in memory."""

    def __init__(self, ids):
        import numpy as np

        self.ids = np.asarray(ids, dtype=np.uint16)
        self.weights = np.zeros(len(ids), dtype=np.uint8)
        self.ends = np.asarray([len(ids)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_tokenizer, marks):
    """A run's folder: tokenizer, shards, base, and both adapters after a few updates."""
    folder = tmp_path_factory.mktemp("run")
    shards = write_shards(folder / "shards", marks)
    tiny_tokenizer.save_pretrained(folder / "tokenizer")
    new_base(Shape(len(tiny_tokenizer), 32, 2, 2, 48, 128), 1).save_pretrained(folder / "base")
    for name in cli.ADAPTERS:
        base = LlamaForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
        kept = {key: value.clone() for key, value in base.state_dict().items()}
        how = replace(Tuning.named("mini"), batch=BATCH)
        model, parameters = with_adapter(base, name, 1, how)
        given = how.recipe(name, 12 * LENGTH * BATCH, LENGTH, 1)
        train(model.get_base_model(), parameters, lambda progress, name=name: {name: 1.0}, shards, given, folder / f"{name}.ckpt")
        now = {key.replace(".base_layer", ""): value for key, value in model.get_base_model().state_dict().items()}
        assert all(torch.equal(now[key], value) for key, value in kept.items())  # the base stays as it is
        save_adapter(model, name, folder)
    return folder


def test_adapters_load_beside_their_base_and_differ(trained, tmp_path, monkeypatch):
    cli.main(["pack", "--run", str(trained), "--out", str(tmp_path / "packed"), "--threads", "1"])
    packed = load_file(tmp_path / "packed" / "write" / "adapter_model.safetensors")
    assert {value.dtype for value in packed.values()} == {torch.bfloat16}  # whatever they were trained in
    limits = Limits(*(Judge((0.0,) * len(judge.weights), keep=0.0) for judge in (WRITE_JUDGE, READ_JUDGE)))
    (tmp_path / "packed" / "calibration.json").write_text(json.dumps(asdict(limits)))
    assert Limits.load(tmp_path / "packed" / "calibration.json") == limits
    assert Limits.load(tmp_path / "calibration.json") == Limits()
    (tmp_path / "old.json").write_text(json.dumps(asdict(replace(limits, write=Judge((0.0, 1.0))))))
    with pytest.raises(ModelError, match="fitted by another version"):
        Limits.load(tmp_path / "old.json")
    for path in (tmp_path / "packed").rglob("*.json"):
        assert str(trained.parent) not in path.read_text(encoding="utf-8"), path

    model = load_local(
        str(tmp_path / "packed"), threads=1, ontology=Ontology(default_ontology()[name] for name in ("residence", "likes")), int8=False
    )
    assert not any(model.networks.under(name).training for name in cli.ADAPTERS)
    (triple, *_) = model.write(WriteRequest("Anna lives in Oslo."))
    assert triple.relation in ("residence", "likes")
    query = Query("Anna", "residence", None)
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    draft = model.draft(DraftRequest(ids, "Where does Anna live?", (query,), ("Anna",)))
    assert draft.call == ReadCall((query,))
    ids = model.marks.text("Anna lives in Oslo. ({MEM_READ(")
    assert not set(ids) & set(model.marks.ids)  # the tokenizer as it was saved
    merged = following_under(model, ids)
    assert not any(torch.allclose(merged[one], merged[other], atol=1e-3) for one, other in (("write", "read"), ("read", local.BARE)))
    monkeypatch.setattr(local, "MERGED_BELOW", 0)  # as for a large base: one network, its adapters switched
    switched = following_under(load_local(str(tmp_path / "packed"), threads=1), ids)
    assert all(torch.allclose(merged[name], switched[name], atol=1e-4) for name in merged)


def test_a_packed_adapter_is_trained_further_beside_a_whole_copy_and_all_are_measured(trained, tmp_path, capsys):
    cli.main(["pack", "--run", str(trained), "--out", str(tmp_path / "packed"), "--threads", "1"])
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "held-out").mkdir()
    sources = [(f"shards/{name}", call) for call in cli.ADAPTERS for name in mixer()[call]]
    sources += [(f"held-out/{name}", "write" if "write" in name else "read") for name in HELD_OUT]
    for path, call in sources:
        for file in (trained / "shards").glob(f"{call}.*"):
            shutil.copy(file, (run / path).with_suffix(file.suffix))
    (run / "write.ckpt").unlink()

    before = load_file(tmp_path / "packed" / "write" / "adapter_model.safetensors")
    train_write = ["write", "--run", str(run), "--threads", "1", "--seed", "1"]
    cli.main([*train_write, "--tokens", "1", "--begin-from", str(tmp_path / "packed")])
    after = load_file(run / "write" / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    near = max((before[key].float() - after[key].float()).abs().max() for key in before)
    assert 0 < near < 5e-3  # one update further, not from nothing

    cli.main([*train_write, "--tokens", "1", "--whole"])
    kept, moved = (LlamaForCausalLM.from_pretrained(run / folder).state_dict() for folder in ("base", "write-whole"))
    assert any(not torch.equal(kept[key], value) for key, value in moved.items())
    cli.main(["sides", "--run", str(run), "--data", str(tmp_path), "--threads", "1"])
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines() if line.startswith(("| write", "| read"))]
    assert [tuple(map(str.strip, row)) for row in rows] == [
        ("write", "base"), ("write", "adapter"), ("write", "whole copy"), ("read", "base"), ("read", "adapter"),
    ]  # fmt: skip

    with pytest.raises(ModelError, match="cannot be trained further"):
        cli.main([*train_write, "--tokens", "1", "--begin-from", str(tmp_path / "nowhere")])


def test_integers_of_8_bits_give_nearly_the_same(trained, tmp_path):
    cli.main(["pack", "--run", str(trained), "--out", str(tmp_path), "--threads", "1"])
    exact, rounded = (load_local(str(tmp_path), threads=1, int8=int8) for int8 in (False, True))
    ids = exact.marks.text("Anna lives in Oslo.")
    for name in (*cli.ADAPTERS, local.BARE):
        network = rounded.networks.under(name)
        assert not any(isinstance(module, torch.nn.Linear) for module in network.modules())
        near = following_under(exact, ids)[name] - following_under(rounded, ids)[name]
        assert 0 < near.abs().max() < 0.05


def test_what_a_token_gives_in_8_bits_does_not_depend_on_others():
    torch.manual_seed(1)
    layer = torch.nn.Linear(48, 20)
    rounded = Int8Linear(layer)
    tokens = torch.randn(1, 5, 48) * torch.tensor([1.0, 100.0, 0.01, 1.0, 0.0])[:, None]
    together = rounded(tokens)
    assert torch.equal(together, torch.stack([rounded(tokens[:, i]) for i in range(5)], dim=1))
    spread = (layer(tokens) - layer.bias).abs().amax(-1, keepdim=True)
    assert ((together - layer(tokens)).abs() <= 0.03 * spread).all()


def following_under(model, ids) -> dict[str, torch.Tensor]:
    """Log-probabilities after `ids` under each adapter and under none."""
    with torch.inference_mode():
        return {name: model.feed(ids, ("thread", name))[1] for name in (*cli.ADAPTERS, local.BARE)}


def test_examples_and_shards_can_be_looked_at(trained, capsys):
    cli.main(["stats", "--run", str(trained), "--threads", "1"])
    sources, relations = capsys.readouterr().out.split("\n\n")
    *rows, summary = sources.splitlines()[1:]
    assert [line.split()[:2] for line in rows] == [["write", "16"], ["read", "16"]]
    relations_, statements, questions, made = map(int, re.findall(r"\d+", summary))
    assert (relations_ >= 150, statements >= 3000, questions >= 2000, made) == (True, True, True, 16)
    assert len(relations.splitlines()) >= 150
    cli.main(["show", "--run", str(trained), "--count", "2", "--threads", "1"])
    shown = capsys.readouterr().out
    assert "\033[32m({MEM_READ(\033[0m" in shown
    assert "\033[90m({MEM_WRITE-->\033[0m" in shown
    cli.main(["show", "--run", str(trained), "--only", "read", "--count", "3", "--threads", "1"])
    shown = capsys.readouterr().out
    assert shown.count("\033[32m({MEM_READ(\033[0m") == 3
    assert "MEM_WRITE" not in shown


@pytest.mark.parametrize(
    ("command", "error", "hint"),
    [
        (["tokenizer"], InvalidInput, "folder of data sets"),
        (["prepare", "--data", "nowhere"], InvalidInput, "folder of data sets"),
        (["base"], ModelError, "train tokenizer"),
        (["write"], ModelError, "train base"),
        (["pack"], InvalidInput, "model's folder"),
        (["calibrate"], InvalidInput, "packed model's folder"),
        (["opinions"], InvalidInput, "folder of data sets"),
        (["stats"], ModelError, "train tokenizer"),
    ],
)
def test_a_step_says_which_one_it_needs_first(tmp_path, command, error, hint):
    with pytest.raises(error) as caught:
        cli.main([*command, "--run", str(tmp_path / "run"), "--threads", "1"])
    assert hint in caught.value.hint


@pytest.mark.parametrize("content", [None, {}, {"config.json": "{}"}, {"config.json": "not json"}])
def test_what_is_no_model_is_a_clear_error(tmp_path, content):
    folder = tmp_path / "model"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_local(str(folder), threads=1)
    assert "MEMAGENT_MODEL" in caught.value.hint
