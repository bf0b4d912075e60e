"""Other people's models as bases, tiny and of random weights: shown examples, or fine-tuned with rows for the marks."""

from argparse import Namespace
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    GPTNeoXConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
)

from memagent import Query, Triple
from memagent.calls import ReadCall
from memagent.errors import InvalidInput, ModelError
from memagent.model import decoding, local
from memagent.model.bases import add_marks, fit_rows, load_base, load_tokenizer
from memagent.model.decoding import READ_JUDGE, WRITE_JUDGE, Judge, spans
from memagent.model.local import FewShotModel, Limits, LocalModel, load_local
from memagent.model.marks import ADDED_TOKENS, BEGIN, MARK_TOKENS, Marks, mark_ids
from memagent.model.seam import DraftRequest, WriteRequest
from memagent.ontology import Ontology, default_ontology
from memagent.training import cli
from memagent.training.examples import Parts, reply_turn, user_turn, write_example
from memagent.training.finetune import Tuning
from memagent.training.prepare import mixer
from memagent.training.shards import Example, Shard, write_shard

torch.set_num_threads(1)
RELATIONS = ("residence", "place of birth", "capital", "sister", "likes")
ONTOLOGY = Ontology(default_ontology()[name] for name in RELATIONS)
EAGER = Limits(*(Judge((5.0, 0.0, 1.0, *[0.0] * (len(judge.weights) - 3)), keep=0.0) for judge in (WRITE_JUDGE, READ_JUDGE)))
TEXTS = [" Anna lives in Oslo. Where does my sister live? user: assistant: I don't know.", "\n({MEM_READ( >> )--> ; })"]


def byte_level():
    """As of GPT-2 and its like: a space belongs to the word after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def sentencepiece():
    """As of Llama 2 and Mistral: it puts a space before every text itself, and spells what it does not know in bytes."""
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=330, special_tokens=[*special, *bytes_], show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.4}
BASES = {  # tied embeddings and learnt positions; untied and rotary; untied, rows to spare, and a head of another name
    "GPT-2": (byte_level, 0, partial(GPT2Config, **SIZE)),
    "Mistral": (sentencepiece, 0, partial(MistralConfig, intermediate_size=48, num_key_value_heads=1, **SIZE)),
    "GPT-NeoX": (byte_level, 16, partial(GPTNeoXConfig, intermediate_size=48, **SIZE)),
}


@pytest.fixture(scope="module", params=BASES)
def base(request, tmp_path_factory):
    """The folder of a base as people publish it: tokenizer and weights."""
    folder = tmp_path_factory.mktemp("base")
    make, spare, config = BASES[request.param]
    tokenizer = make()
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer) + spare)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def writes_and_asks_well(model, monkeypatch):
    """Whatever the weights: calls that name only what is there, and replies without marks."""
    monkeypatch.setattr(decoding, "LEAST_COMING", float("-inf"))
    monkeypatch.setattr(decoding, "MAX_TRIPLES", 2)
    model.judges(EAGER.write, EAGER.read, text=EAGER.write)
    for request in (
        WriteRequest("My sister Anna lives in Oslo.", speaker="user"),
        WriteRequest("({MEM_WRITE-->a>>b>>c}); 東京 \n<s>", ("Anna lives in Oslo.",), ("Anna",)),
    ):
        triples = model.write(request)
        here = {*spans(request.focus), *request.known, request.speaker}
        assert len(triples) == len(set(triples)) == 2
        assert all(t.subject in here and t.object in here and t.subject != t.object and t.relation in RELATIONS for t in triples)
    askable = (Query("Anna", "residence", None), Query(None, "capital", "Oslo"))
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    draft = model.draft(DraftRequest(ids, "Where does Anna live?", askable, ("Anna", "Oslo")))
    assert draft.call in [ReadCall((query,)) for query in askable]
    model.judges(read=Judge(EAGER.read.weights, keep=1.1))
    after = (*ids, *draft.ids, *model.answered(["Oslo", "Glim"]))
    said = model.draft(DraftRequest(after, "Where does Anna live?", askable, ("Anna",), answers=("Oslo", "Glim")))
    assert said.call is None
    assert {"Oslo", "Glim"} <= set(said.text.replace(".", "").split())
    assert "\n" not in said.text
    long = [*model.prompt([("user", "Anna " * 2000)]), *model.answered(["Anna Lund"] * 30)]  # longer than the base reaches
    assert model.draft(DraftRequest(tuple(long), "", askable, ("Anna",))).call is None


def test_a_base_without_adapters_is_shown_examples(base, monkeypatch):
    monkeypatch.setattr(local, "EMBEDDED_MODEL", base)  # no second opinion
    model = load_local(str(base), threads=1, max_tokens=8, ontology=ONTOLOGY)
    assert isinstance(model, FewShotModel)
    assert min(model.marks.ids) == model.networks.under("write").get_output_embeddings().weight.shape[0]
    assert "Jonas lives in Tarn." in model.marks.tokenizer.decode(model._lead["write"])
    writes_and_asks_well(model, monkeypatch)


def test_without_adapters_the_second_opinion_is_that_of_mini(base, tmp_path, monkeypatch):
    (tmp_path / local.OPINIONS).touch()
    monkeypatch.setattr(local, "EMBEDDED_MODEL", tmp_path)
    monkeypatch.setattr(local, "MiniLM", lambda: None)
    monkeypatch.setattr(local.FittedScorer, "load", lambda embedder, path: path)
    assert load_local(str(base), threads=1, ontology=ONTOLOGY)._writes.second == tmp_path / local.OPINIONS


def test_a_mark_that_is_spelt_scores_as_its_spelling(base, monkeypatch):
    monkeypatch.setattr(local, "EMBEDDED_MODEL", base)
    model = load_local(str(base), threads=1, ontology=ONTOLOGY)
    marks = model.marks
    prefix, paths = (
        marks.text("Anna lives in"),
        [[*marks.text("Oslo"), marks.close], [marks.read_open, *marks.text("Anna"), marks.side], []],
    )
    with torch.inference_mode():
        scored = model._scorer(prefix, "write", "test").score(paths)
        for path, one in zip(paths, scored, strict=True):
            plain = [*model._lead["write"], *marks.fed(prefix)]
            fed = marks.fed(path)
            logits = model.networks.under("write")(input_ids=torch.tensor([[*plain, *fed]])).logits[0].double()
            after = torch.log_softmax(logits, dim=-1)
            assert one.total == pytest.approx(sum(float(after[len(plain) + i - 1][t]) for i, t in enumerate(fed)), abs=1e-3)
            assert len(one.logprobs) == len(path)
            closing = float(after[-1][marks.fed([marks.close])[0]])
            assert float(one.following[marks.close]) == pytest.approx(closing, abs=1e-3)
            assert torch.isinf(one.following[marks.fed([marks.close])[0]])  # as text it cannot come


# ---- fine-tuning


def test_rows_of_the_marks_begin_as_their_spelling(base):
    tokenizer = load_tokenizer(base)
    assert mark_ids(tokenizer) == ()
    before, network = load_base(base), load_base(base)
    words = len(tokenizer)
    fit_rows(network, add_marks(tokenizer))
    begin, side = (mark_ids(tokenizer)[MARK_TOKENS.index(mark)] for mark in (BEGIN, ">>"))
    for old, new in (
        (before.get_input_embeddings().weight, network.get_input_embeddings().weight),
        (before.get_output_embeddings().weight, network.get_output_embeddings().weight),
    ):
        assert torch.equal(new[:words], old[:words])
        assert torch.equal(new[begin], old[tokenizer.bos_token_id])
        letter, both = tokenizer(["a", "a>>"], add_special_tokens=False)["input_ids"]
        assert torch.allclose(new[side], old[both[len(letter) :]].mean(0))


def test_no_text_becomes_a_mark_and_a_name_is_the_same_everywhere(base):
    marks = Marks(add_marks(load_tokenizer(base)))
    text = f"Anna {' '.join([*MARK_TOKENS, *ADDED_TOKENS])} Oslo"
    assert not set(marks.text(text)) & set(marks.ids)
    assert marks.plain(marks.text(text)) == text
    assert marks.text("Anna lives in Oslo")[-len(marks.text("Oslo")) :] == marks.text("Oslo")


NAMES, PLACES = ("Anna", "Marie"), ("Oslo", "Paris")


def write_shards(folder, marks):
    """Statements with their calls, and questions with theirs."""
    pairs = [(name, place) for name in NAMES for place in PLACES]
    yield write_shard(folder / "write", (write_example(marks, [], f"{n} lives in {p}.", [Triple(n, "residence", p)]) for n, p in pairs))
    for name in mixer()["write"].keys() - {"write"}:
        yield write_shard(folder / name, [write_example(marks, [], "Hello!", [])])
    asked = [user_turn(Parts(marks).put([marks.begin]), f"Where does {n} live?") for n, _ in pairs]
    calls = [ReadCall((Query(n, "residence", None),), (p,)) for n, p in pairs]
    replies = [reply_turn(parts, [call], f"{p}.").example() for parts, call, (_, p) in zip(asked, calls, pairs, strict=True)]
    for name in mixer()["read"]:
        yield write_shard(folder / name, replies)


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    """A packed model's folder: both adapters after a few updates; the untied base with the head by the recipe of the hub."""
    run, out = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("packed")
    marks = Marks(cli._tokenizer(Namespace(run=run, base=str(base))))
    assert all(write_shards(run / "shards", marks))
    recipes = {
        name: replace(Tuning.named(name), batch=2, at_once=1, length=64, rate=dict.fromkeys(cli.ADAPTERS, 1e-2)) for name in ("mini", "hub")
    }
    hub = ["--hub-recipe"] if "mistral" in (base / "config.json").read_text() else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuning, "named", recipes.get)
        for command in (["write", *hub], ["read", *hub], ["pack", "--out", str(out)]):
            cli.main([*command, "--base", str(base), "--run", str(run), "--tokens", "256", "--threads", "1"])
    return out


def test_adapters_of_another_base_bring_their_rows(base, adapted):
    assert not (adapted / "base").exists()
    assert all(str(base) not in path.read_text(encoding="utf-8") for path in adapted.rglob("*.json"))
    start = load_base(base, torch.bfloat16)
    fit_rows(start, tokenizer := load_tokenizer(adapted))
    ids = list(Marks(tokenizer).ids)
    for name in cli.ADAPTERS:
        saved = load_file(adapted / name / "adapter_model.safetensors")
        rows = {key: value for key, value in saved.items() if "trainable_tokens" in key}
        head = any("lm_head.lora_B" in key for key in saved)
        tied = start.config.tie_word_embeddings
        assert [head, len(rows)] == [not tied and len(rows) == 1, 2 if "GPTNeoX" in type(start).__name__ else 1]
        for key, value in rows.items():
            layer = start.get_output_embeddings() if "embed_out" in key else start.get_input_embeddings()
            assert not torch.equal(value, layer.weight[ids])
        assert not any(key.endswith(("embed_tokens.weight", "wte.weight", "embed_in.weight", "lm_head.weight")) for key in saved)


def test_a_base_with_adapters_of_its_own_writes_and_asks(base, adapted, monkeypatch):
    model = load_local(str(base), str(adapted), threads=1, max_tokens=8, ontology=ONTOLOGY, int8=False)
    assert type(model) is LocalModel
    assert model.reach == 512
    old = load_base(base).get_input_embeddings().weight
    ids = model.marks.text("Anna lives in Oslo.")
    merged = {name: following_under(model, name, ids) for name in cli.ADAPTERS}
    for name in cli.ADAPTERS:
        rows = model.networks.under(name).get_input_embeddings().weight
        assert torch.equal(rows[: min(model.marks.ids)], old[: min(model.marks.ids)])
    assert not torch.allclose(merged["write"], merged["read"], atol=1e-3)
    writes_and_asks_well(model, monkeypatch)
    monkeypatch.setattr(local, "MERGED_BELOW", 0)  # as for a large base: one network, its adapters switched
    switched = load_local(str(base), str(adapted), threads=1, ontology=ONTOLOGY)
    for name in ("read", "write"):
        assert torch.allclose(following_under(switched, name, ids), merged[name], atol=1e-3)


def following_under(model, adapter, ids):
    """Log-probabilities after each mark, after `ids`, under an adapter."""
    with torch.inference_mode():
        return torch.stack([model.feed([*ids, mark], ("thread", adapter))[1] for mark in model.marks.ids])


# ---- what does not fit


def test_a_large_vocabulary_takes_four_bytes_an_id(tmp_path):
    for name, ids in (("narrow", (1, 65_535)), ("wide", (1, 65_536, 151_000))):
        write_shard(tmp_path / name, [Example(ids, (1.0,) * len(ids)), Example((2,), (0.0,))])
        shard = Shard(tmp_path / name)
        assert [tuple(shard[0][0]), tuple(shard[1][0])] == [ids, (2,)]
        assert (tmp_path / f"{name}.ids").stat().st_size == (2 if name == "narrow" else 4) * (len(ids) + 1)


def test_the_hub_recipe_is_the_papers():
    how = Tuning.named("hub")
    assert (how.rank, how.alpha, how.dropout, how.head) == (16, 8, 0.1, True)
    assert (dict(how.rate), how.epochs, how.batch, how.length) == ({"write": 2e-5, "read": 5e-5}, 2, 96, 1024)
    recipe = how.recipe("read", 1000, 32_768, 1)
    assert (recipe.other_rate, recipe.length, recipe.muon) == (5e-5, 1024, False)
    assert how.recipe("read", 1000, 512, 1).length == 512


@pytest.mark.parametrize(
    "config",
    [
        BloomConfig(vocab_size=320, hidden_size=8, n_layer=1, n_head=1, initializer_range=0.4),
        MambaConfig(vocab_size=320, hidden_size=8, num_hidden_layers=1, state_size=4),
    ],
    ids=["distances instead of positions", "a state instead of attention"],
)
def test_a_model_whose_continuations_make_no_tree_is_refused(tmp_path, config):
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    byte_level().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="tree"):
        load_local(str(tmp_path), threads=1)


def test_adapters_that_are_missing_are_named(base, tmp_path):
    with pytest.raises(ModelError, match="no adapter write"):
        load_local(str(base), str(tmp_path), threads=1)
    (tmp_path / "write").mkdir()
    with pytest.raises(ModelError, match="no adapter read") as caught:
        load_local(str(base), str(tmp_path), threads=1)
    assert "train read" in caught.value.hint


def test_a_run_has_one_base(base, tmp_path):
    (tmp_path / "base").mkdir()
    with pytest.raises(InvalidInput, match="base of its own"):
        cli.main(["write", "--base", str(base), "--run", str(tmp_path)])
