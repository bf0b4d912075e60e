"""Trials of recipes: what the variants change, what is measured, and that what is finished is not trained again."""

import json

import numpy as np
import pytest
import torch

from memagent import Triple
from memagent.calls import ReadCall
from memagent.errors import InvalidInput
from memagent.model.marks import Marks
from memagent.training import trials
from memagent.training.cli import main
from memagent.training.examples import Parts, reply_turn, user_turn, write_example
from memagent.training.prepare import mixer
from memagent.training.pretrain import new_base
from memagent.training.shards import Example, Shard, write_shard
from memagent.training.tokens import train_tokenizer
from memagent.triples import SPEAKER, Query

torch.set_num_threads(1)
TINY = """
[common]
batch = 2
at_once = 2
length = 32
warmup_steps = 2
[variants]
default = { shape = { vocabulary = 1000, width = 32, layers = 1, heads = 2, hidden = 48 } }
adamw = { shape = { vocabulary = 1000, width = 32, layers = 1, heads = 2, hidden = 48 }, recipe = { muon = false } }
"""


def written(marks) -> Example:
    return write_example(
        marks, ["Anna has a cat."], "She lives in Oslo.", [Triple("Anna", "residence", "Oslo"), Triple(SPEAKER, "likes", "Oslo")]
    )


def asked(marks) -> Example:
    parts = user_turn(Parts(marks).put([marks.begin]), "Where does Anna live?")
    return reply_turn(parts, [ReadCall((Query("Anna", "residence", None),), ("Oslo",))], "Anna lives in Oslo.").example()


@pytest.fixture
def examples(tmp_path, marks, monkeypatch):
    """A run's folder with a tiny plan's examples."""
    (tmp_path / "plan.toml").write_text(TINY)
    monkeypatch.setattr(trials, "VARIANTS", tmp_path / "plan.toml")
    run = tmp_path / "run"
    marks.tokenizer.save_pretrained(run / "tokenizer-1000")
    folder = run / trials.variants(1)[0].folder
    text = marks.text("Marie Curie was born in Warsaw. She worked in Paris with Pierre.")
    kinds = {"held-out-conversation": asked(marks), "conversation": asked(marks), "held-out-text": Example(tuple(text), (1.0,) * len(text))}
    for name in (*mixer()["base"], *trials.HELD_OUT):
        write_shard(folder / name, [kinds.get(name, written(marks))])
    return run


def test_the_variants_spend_alike():
    chosen = trials.variants(100_000)
    assert chosen[0].name == "default"
    default = chosen[0]
    assert len({variant.folder for variant in chosen}) == 6  # two lengths, two vocabularies, names
    with torch.device("meta"):
        sizes = {
            v.name: sum(p.numel() for p in new_base(v.shape, 1).parameters()) for v in chosen if v.shape != default.shape or v is default
        }
    for name in ("wide-3-layers", "deep-12-layers"):
        assert sizes[name] == pytest.approx(sizes["default"], rel=0.02)
    for variant in chosen:
        assert variant.recipe.tokens == 100_000
        assert variant.recipe.batch * variant.recipe.length == 2048 * (3 if variant.name == "batch-24" else 1), variant.name
        assert set(variant.shares) == set(mixer()["base"])
        same = (variant.shape, variant.recipe, variant.shares, variant.call_weight, variant.invented)
        assert variant is default or same != (default.shape, default.recipe, default.shares, 1.0, None), variant.name


def test_stretches_are_what_the_model_itself_puts_down(marks):
    for example, names, call in (
        (written(marks), ["Anna", "residence", "Oslo", "likes", "Oslo"], "Anna>>residence>>Oslo; user>>likes>>Oslo})"),
        (asked(marks), ["Anna", "residence"], "({MEM_READ( Anna>>residence>>)-->"),
    ):
        found = list(trials.stretches(example.ids, marks))
        assert [marks.plain(example.ids[start:stop]) for kind, start, stop in found if kind != "call"] == names
        assert [kind for kind, *_ in found][:3] == (["name", "relation", "name"] if len(names) > 2 else ["name", "relation", "call"])
        (span,) = [range(start, stop) for kind, start, stop in found if kind == "call"]
        assert marks.spell(example.ids[span.start : span.stop]).replace(" ", "") == call.replace(" ", "")
        assert [i for i, weight in enumerate(example.weights) if weight == 1.0] == list(span)


def test_what_is_foretold_is_counted(tmp_path, marks):
    write_shard(tmp_path / "one", [written(marks)])
    relation = marks.text("likes")

    def judge(ids):
        return np.full(len(ids), 0.5, dtype=np.float32), ~np.isin(ids, relation)

    scores = trials.call_scores(Shard(tmp_path / "one"), marks, judge)
    tokens = sum(weight == 1.0 for weight in written(marks).weights)
    assert (scores.names_right, scores.relations_right) == (1.0, 0.5)
    assert (scores.nats_per_call, scores.nats_per_token) == (0.5 * tokens, 0.5)
    assert scores.nats_per_name_byte == pytest.approx(0.5 * 3 * len(marks.text("Anna")) / len("AnnaOsloOslo"))
    assert trials.text_scores(Shard(tmp_path / "one"), marks, judge)["bits_per_byte"] > 0


def test_a_judgement_is_the_models(marks, examples):
    variant = trials.variants(1)[0]
    model = new_base(variant.shape, 1).float()
    ids = np.asarray(asked(marks).ids, dtype=np.uint16)
    losses, right = trials.judged(model, ids)
    tokens = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        assert losses[1:].mean() == pytest.approx(model(tokens, labels=tokens).loss.item(), rel=1e-4)
    assert (losses[0], right[0], losses.shape, right.shape) == (0.0, True, ids.shape, ids.shape)
    assert right[1:].mean() < 0.3


def test_calls_weigh_what_the_variant_says(tmp_path, marks):
    write_shard(tmp_path / "one", [asked(marks)])
    before, after = Shard(tmp_path / "one").weights, trials.weighed(Shard(tmp_path / "one"), 3.0).weights
    assert set(zip(before.tolist(), after.tolist(), strict=True)) == {(0, 0), (8, 8), (16, 48)}


def test_what_is_finished_is_kept_and_what_is_not_goes_on(examples):
    arguments = ["trials", "--run", str(examples), "--tokens", "256", "--threads", "1"]
    main([*arguments, "--only", "default"])
    (first,) = trials.finished(examples / "trials.jsonl")
    assert first["variant"] == "default"
    assert 0 <= first["write"]["names_right"] <= 1 < first["read"]["nats_per_call"]

    (examples / "stop").touch()
    main(arguments)
    assert (examples / "adamw.ckpt").exists()
    (examples / "stop").unlink()
    main(arguments)
    rows = trials.finished(examples / "trials.jsonl")
    assert [row["variant"] for row in rows] == ["default", "adamw"]
    assert rows[0] == first
    assert not list(examples.glob("*.ckpt"))
    assert [line.split(" | ")[0] for line in (examples / "trials.md").read_text().splitlines()[2:]] == ["| default", "| adamw"]
    main([*arguments[:4], "300", *arguments[5:], "--only", "default"])  # another budget, another trial
    assert [json.loads(line)["tokens"] for line in (examples / "trials.jsonl").read_text().splitlines()] == [256, 256, 300]


def test_a_variant_that_nobody_planned_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="nonsense") as caught:
        main(["trials", "--run", str(tmp_path), "--only", "nonsense"])
    assert "adamw" in caught.value.hint


def test_missing_examples_need_the_data(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        main(["trials", "--run", str(tmp_path), "--only", "default"])
    assert "folder of data sets" in caught.value.hint


def test_held_out_texts_do_not_depend_on_the_vocabulary(tmp_path, marks):
    folder = tmp_path / "wikipedia_en_2015"
    folder.mkdir()
    lines = [json.dumps({"title": str(i), "text": f"Article {i} is about Oslo. " * 50}) for i in range(5)]
    (folder / "articles_00.jsonl").write_text("\n".join(lines))
    other = Marks(train_tokenizer([" Where does a cat live in Oslo?"], 300))
    spelt = []
    for one in (marks, other):
        kinds = trials.held_out(tmp_path, one, write=4, conversation=4, articles=2, after=3)
        spelt.append([[one.spell(example.ids) for example in examples] for examples in kinds])
    assert spelt[0] == spelt[1]
    assert [text[:11] for text in spelt[0][2]] == [" Article 3 ", " Article 4 "]
    assert max(len(text) for examples in spelt[0] for text in examples) <= trials.MOST_CHARACTERS + 1
