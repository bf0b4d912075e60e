"""Scoring documents: windows, calls and mixtures against figures worked out by hand or without any cache; and what gold reaches."""

import json
import math
import pickle
from concurrent.futures import Executor
from copy import deepcopy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evals import perplexity
from evals.bench import Bench, fresh_agents
from evals.case import MissingData
from evals.perplexity import Perplexity, bits_per_byte, mean_loss, ratio, size_of, sums_of, tokens_of
from evals.scripted import ScriptedTalker
from evals.ways import BASE, OFF, OWN, RAG, Knowing, Passages, Shelf, write
from memagent import Query, ReadCall, Settings, Triple
from memagent.memory import CharacterEmbedder
from memagent.model.decoding import READ_JUDGE, WRITE_JUDGE, Judge
from memagent.model.local import Limits, LocalModel, Networks
from memagent.model.scoring import STRETCH, Branch, Call, Encoded, Reading, mixed
from memagent.ontology import Ontology, default_ontology
from memagent.training.readers.documents import Target, place, read_documents

RELATIONS = ("residence", "place of birth", "capital", "sister", "spouse")
ONTOLOGY = Ontology(default_ontology()[name] for name in RELATIONS)
EAGER = Limits(*(Judge((5.0, 0.0, 1.0, *[0.0] * (len(judge.weights) - 3)), keep=0.0) for judge in (WRITE_JUDGE, READ_JUDGE)))
TEXT = "Anna lives in Oslo. My sister Anna has a cat called Miso. Marie Curie was born in Warsaw, and she worked in Paris with Pierre. " * 3
BORN, CAPITAL = Query("Marie Curie", "place of birth", None), Query(None, "capital", "Oslo")


def logs(*probabilities: float) -> list[float]:
    return [math.log(p) for p in probabilities]


def probabilities(logprobs) -> list[float]:
    return [math.exp(x) for x in logprobs]


# ---- mixtures


def test_call_and_no_call_are_mixed_and_then_judged_by_what_came():
    found = mixed(logs(0.5, 0.2, 0.4, 0.3), [Branch(1, 0.25, tuple(logs(0.8, 0.9)))])
    both = 0.75 * 0.2 * 0.4 + 0.25 * 0.8 * 0.9  # of the two tokens together
    assert probabilities(found) == pytest.approx([0.5, 0.35, both / 0.35, 0.3])


def test_a_call_made_for_certain_leaves_only_its_branch_until_its_end():
    found = mixed(logs(0.5, 0.2, 0.4, 0.3), [Branch(1, 1.0, tuple(logs(0.8, 0.9)))])
    assert probabilities(found) == pytest.approx([0.5, 0.8, 0.9, 0.3])


def test_a_call_within_the_stretch_of_another_takes_its_share_of_both():
    found = mixed(logs(0.4, 0.2, 0.7), [Branch(0, 0.5, tuple(logs(0.1, 0.9))), Branch(1, 0.5, tuple(logs(0.6)))])
    # after the first token no call has .8, the first .2; before the second half of each goes to the second call
    assert probabilities(found) == pytest.approx([0.25, 0.4 * 0.2 + 0.1 * 0.9 + 0.5 * 0.6, 0.7])


def test_calls_in_one_place_share_it():
    found = mixed(logs(0.2), [Branch(0, 0.3, tuple(logs(0.5))), Branch(0, 0.1, tuple(logs(0.9)))])
    assert probabilities(found) == pytest.approx([0.6 * 0.2 + 0.3 * 0.5 + 0.1 * 0.9])


# ---- reading, against the network without a cache


@pytest.fixture(scope="module")
def model(marks, tiny_tokenizer) -> LocalModel:
    """Of random weights, with a liking for calls."""
    torch.set_num_threads(1)
    torch.manual_seed(6)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(initializer_range=0.4, vocab_size=len(tiny_tokenizer), max_position_embeddings=256, **size)
    network = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        network.lm_head.weight[marks.read_open] *= 3.0
    return LocalModel(Networks(network), marks, EAGER, ONTOLOGY, max_tokens=8)


@pytest.fixture
def narrow(model, monkeypatch):
    """With windows of 47 tokens, 16 for what stands in the text besides."""
    monkeypatch.setattr(model, "reach", 64)
    return model


def after(model: LocalModel, ids) -> torch.Tensor:
    """Log-probabilities after each token (T, vocabulary)."""
    with torch.inference_mode():
        return torch.log_softmax(model.networks.under("")(input_ids=torch.tensor([list(ids)])).logits[0], dim=-1)


def of_text(model: LocalModel, ids, count: int) -> list[float]:
    """Log-probabilities of the last `count` tokens, among the tokens of text."""
    before = after(model, ids)[-count - 1 : -1].exp()
    before[:, list(model.marks.ids)] = 0.0
    before /= before.sum(dim=1, keepdim=True)
    return [math.log(row[token]) for row, token in zip(before, ids[-count:], strict=True)]


def test_every_token_is_predicted_from_the_window_that_it_belongs_to(narrow):
    text = Encoded.of(TEXT, narrow.marks)
    ids, begin = list(text.ids), narrow.marks.begin
    reading = Reading(narrow, text)
    assert len(ids) == len(reading.plain) > 80
    assert reading.plain[:47] == pytest.approx(of_text(narrow, [begin, *ids[:47]], 47), abs=1e-4)
    for first in (47, 58):  # a quarter of a window at a time
        expected = of_text(narrow, [begin, *ids[first + 11 - 47 : first + 11]], 11)
        assert reading.plain[first : first + 11] == pytest.approx(expected, abs=1e-4)


def test_what_is_put_before_a_window_is_seen_and_fits(narrow):
    text = Encoded.of(TEXT, narrow.marks)
    put = narrow.marks.text("Paris with Pierre. " * 9)
    reading = Reading(narrow, text, before=lambda i: put if i else ())
    begin, ids = narrow.marks.begin, list(text.ids)
    assert reading.plain[:11] == pytest.approx(of_text(narrow, [begin, *ids[:11]], 11), abs=1e-4)
    assert reading.plain[11:22] == pytest.approx(of_text(narrow, [begin, *put[:16], *ids[:22]], 11), abs=1e-4)


def test_the_opening_of_a_call_is_weighed_against_all_text(model):
    text = Encoded.of(TEXT, model.marks)
    reading = Reading(model, text)
    before = after(model, [model.marks.begin, *text.ids])[:-1].exp()
    opening = before[:, model.marks.read_open].clone()
    before[:, list(model.marks.ids)] = 0.0
    assert reading.opening == pytest.approx((opening / (opening + before.sum(1))).tolist(), abs=1e-5)
    assert reading.opens == (opening > before.amax(1)).tolist()
    assert reading.places == [i for i, p in enumerate(reading.opening) if p >= 0.01]


def test_the_stretch_after_a_call_is_predicted_from_the_text_before_and_the_call(model):
    marks, text = model.marks, Encoded.of(TEXT, model.marks)
    calls = [Call(40, BORN, ("Warsaw", "Paris")), Call(7, CAPITAL, ()), Call(40, CAPITAL, ("Miso",))]
    spelt = [
        [*marks.text("Marie Curie"), marks.side, *marks.text("place of birth"), marks.side, marks.read_answer]
        + [*marks.text("Warsaw"), marks.next, *marks.text("Paris")],
        [marks.side, *marks.text("capital"), marks.side, *marks.text("Oslo"), marks.read_answer],
        [marks.side, *marks.text("capital"), marks.side, *marks.text("Oslo"), marks.read_answer, *marks.text("Miso")],
    ]
    for call, inner, found in zip(calls, spelt, Reading(model, text).after(calls), strict=True):
        tail = text.ids[call.at : call.at + STRETCH]
        ids = [marks.begin, *text.ids[: call.at], marks.read_open, *inner, marks.close, *tail]
        assert found == pytest.approx(of_text(model, ids, len(tail)), abs=1e-4)


def test_answers_without_room_are_left_out(narrow):
    reading = Reading(narrow, Encoded.of(TEXT, narrow.marks))
    few, many = (reading.after([Call(9, CAPITAL, ("Anna", "Oslo")[:n] * n)]) for n in (1, 2))
    assert few == many


def test_queries_are_chosen_by_the_whole_of_them(model):
    marks, text = model.marks, Encoded.of(TEXT, model.marks)
    queries = [Query(name, relation, None) for name in ("Anna", "Marie Curie") for relation in RELATIONS] + [CAPITAL]

    def total(query: Query) -> float:
        names = [marks.text(name) if name else [] for name in (query.subject, query.relation, query.object)]
        tail = [marks.read_open, *names[0], marks.side, *names[1], marks.side, *names[2], marks.read_answer]
        ids = [marks.begin, *text.ids[:30], *tail]
        rows = after(model, ids)[-len(tail) - 1 : -1]
        return float(sum(row[token] for row, token in zip(rows, tail, strict=True)))

    best = sorted(queries, key=total, reverse=True)[:4]
    chosen = Reading(model, text).chosen({30: queries, 50: [BORN], 60: []})
    assert [query for query, _ in chosen[30]] == best
    weights = [math.exp(total(query)) for query in best]
    assert [share for _, share in chosen[30]] == pytest.approx([w / sum(weights) for w in weights], rel=1e-3)
    assert chosen[50] == [(BORN, 1.0)]
    assert 60 not in chosen


@pytest.mark.parametrize(("sides", "query"), [(2, BORN), (1, None)])
def test_a_query_that_is_written_freely_is_read_or_malformed(model, monkeypatch, sides, query):
    marks = model.marks
    spelt = [marks.read_open, *marks.text("Marie Curie"), marks.side, *marks.text("place of birth"), marks.read_answer]
    if sides == 2:
        spelt.insert(-1, marks.side)
    reading = Reading(model, Encoded.of("Anna lives in Oslo.", marks))
    steps = iter(spelt[1:])
    monkeypatch.setattr(reading, "_along", lambda going, take: [next(steps) for _ in going])
    assert reading.written([2]) == {2: query}


# ---- documents and measures


RECORD = {
    "title": "Curie",
    "sents": [
        ["Marie", "Curie", "was", "born", "in", "Warsaw", "."],
        ["In", "Paris", "Marie", "worked", "with", "Pierre", ",", "in", "Warsaw", "not", "."],
    ],
    "vertexSet": [
        [{"name": "Marie Curie", "pos": [0, 2], "sent_id": 0}, {"name": "Marie", "pos": [2, 3], "sent_id": 1}],
        [{"name": "Warsaw", "pos": [8, 9], "sent_id": 1}, {"name": "Warsaw", "pos": [5, 6], "sent_id": 0}],
        [{"name": "Paris", "pos": [1, 2], "sent_id": 1}],
        [{"name": "Pierre", "pos": [5, 6], "sent_id": 1}],
    ],
    "labels": [
        {"h": 0, "t": 1, "r": "P19", "evidence": [0]},
        {"h": 3, "t": 0, "r": "P26", "evidence": [1]},
        {"h": 3, "t": 2, "r": "P551", "evidence": [1]},
        {"h": 2, "t": 2, "r": "P36", "evidence": []},
        {"h": 2, "t": 0, "r": "P99999", "evidence": []},
    ],
}


def test_targets_are_first_mentions_that_a_triple_connects_to_one_before():
    (document,) = read_documents([RECORD], default_ontology())
    text = document.text
    assert text == "Marie Curie was born in Warsaw. In Paris Marie worked with Pierre, in Warsaw not."
    assert [text[slice(*span)] for span in document.gold.mentions] == ["Marie Curie", "Warsaw", "Paris", "Marie", "Pierre", "Warsaw"]
    at_paris = ReadCall((Query(None, "residence", "Paris"),), ("Pierre",))
    assert document.gold.targets == (
        Target((24, 30), "Warsaw", (ReadCall((BORN,), ("Warsaw",)),)),
        Target((59, 65), "Pierre", (ReadCall((Query(None, "spouse", "Marie"),), ("Pierre",)), at_paris)),  # Marie stands nearer
    )
    assert [target.query for target in document.gold.targets] == [BORN, Query(None, "spouse", "Marie")]
    assert document.gold.names == (("Marie Curie", "Marie"), ("Warsaw",), ("Paris",), ("Pierre",))
    assert Triple("Pierre", "residence", "Paris") in document.gold.triples


def test_queries_with_too_many_answers_supply_nothing():
    crowd = [deepcopy(RECORD) for _ in range(31)]
    for n, record in enumerate(crowd):
        record["vertexSet"][1][0]["name"] = f"Warsaw {n}"
    documents = read_documents([RECORD, *crowd], default_ontology())
    assert [target.name for target in documents[0].gold.targets] == ["Pierre"]


def test_losses_of_mentions_by_hand():
    text = "Zoë saw Oslo"
    tokens = Encoded((1, 2, 3, 4, 5), ((0, 2), (2, 3), (3, 7), (7, 10), (10, 12)))
    logprobs = logs(0.5, 0.25, 0.1, 0.2, 0.8)
    zoe, oslo = (tokens_of(tokens, span) for span in ((0, 3), (8, 12)))
    assert (zoe, oslo) == ((0, 2), (3, 5))
    assert mean_loss(logprobs, zoe) == pytest.approx(-math.log(0.5 * 0.25) / 2)
    assert [size_of(text, tokens, spot) for spot in (zoe, oslo, (0, 5))] == [4, 5, 13]
    means = math.log(8) / 2 + math.log(6.25) / 2
    assert sums_of(text, tokens, logprobs, [zoe, oslo]) == pytest.approx((means, 2, math.log(8) + math.log(6.25), 9))
    table = torch.tensor([means, 2, math.log(50), 9], dtype=torch.float64).numpy()
    assert perplexity.perplexity(table) == pytest.approx(50**0.25)
    assert bits_per_byte(table) == pytest.approx(math.log2(50) / 9)
    assert ratio(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).numpy()) == pytest.approx(math.exp(-1))


def test_a_call_for_a_number_stands_before_the_space():
    tokens = Encoded((1, 2, 3, 4), ((0, 2), (2, 3), (3, 4), (4, 5)))
    assert place("in 19", tokens.spans, Target((3, 5), "19", (ReadCall((BORN,)),))) == 1


def test_passages_are_the_nearest_of_other_documents():
    other = deepcopy(RECORD) | {"title": "Other"}
    other["sents"][1][4:] = ["for", "Anna", "and", "for", "Bob", "."]
    documents = read_documents([RECORD, other], default_ontology())
    found = Passages(CharacterEmbedder(), documents).near("In Paris Marie worked with Pierre", "Curie")
    assert found == ["In Paris Marie worked for Anna and for Bob.", "Marie Curie was born in Warsaw."]


# ---- the suite


OWN_WAYS = [OWN + how + branching for how in ("", ", not grounded") for branching in ("", ", no branching")]
NOT_ORACLE = (BASE, OFF, RAG, *OWN_WAYS)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The suite over documents like `RECORD` with a model."""
    monkeypatch.setattr(perplexity, "MiniLM", CharacterEmbedder)
    settings = Settings(_env_file=None, threads=1)
    path = tmp_path / "redocred" / "test_revised.json"
    path.parent.mkdir()

    def run(model, *records, **others):
        path.write_text(json.dumps(records), encoding="utf-8")
        return Perplexity().run(Bench(fresh_agents(settings, model), data=tmp_path, **others))

    return run


def figures(outcome, column: str) -> dict[str, float]:
    return {row.label: row.scores[column].value for row in outcome.rows}


@pytest.fixture
def ignorant(model):
    """A model to which all tokens are alike."""
    network = deepcopy(model.networks.under(""))
    torch.nn.init.zeros_(network.lm_head.weight)
    return LocalModel(Networks(network), model.marks, Limits(), ONTOLOGY)


def test_a_model_that_knows_nothing_is_as_perplexed_as_it_has_tokens(model, ignorant, run):
    outcome = run(ignorant, RECORD)
    size = len(model.marks.tokenizer) - len(model.marks.ids)
    for column in perplexity.KINDS:
        assert {round(value, 2) for value in figures(outcome, column).values()} == {size}
    ids = model.marks.text("Marie Curie was born in Warsaw. In Paris Marie worked with Pierre, in Warsaw not.")
    assert figures(outcome, "overall bits/byte")[OFF] == pytest.approx(math.log2(size) * len(ids) / 81, rel=1e-5)
    assert set(figures(outcome, "target ratio").values()) == {1.0}
    assert "calls considered in 0 places" in outcome.notes[1]


class Parcels(Executor):
    """What other processes get and give back, without them."""

    def map(self, function, cases):
        return (pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(case))))) for case in cases)


def test_documents_that_are_shared_out_come_back_in_their_order(ignorant, run):
    records = [{**RECORD, "title": title} for title in ("one", "two", "three")]
    outcome = run(ignorant, *records, jobs=2, crew=Parcels())
    assert [case.name for case in outcome.cases] == ["one", "two", "three"]
    assert outcome.notes[0].startswith("3 documents")


def test_gold_reaches_no_row_but_the_oracles(model, run):
    shuffled = deepcopy(RECORD)
    for record_entity, pos in zip(shuffled["vertexSet"], ([0, 1], [2, 3], [3, 4], [4, 5]), strict=True):
        del record_entity[1:]
        record_entity[0].update(pos=pos, sent_id=0)
    for label in shuffled["labels"]:
        label["h"], label["t"] = label["t"], label["h"]
    outcomes = [run(model, record) for record in (RECORD, shuffled)]
    first, again = (figures(outcome, "overall") for outcome in outcomes)
    assert len({first[OFF], first[OWN], first[f"{OWN}, no branching"]}) == 3
    assert {way: again[way] for way in NOT_ORACLE} == {way: first[way] for way in NOT_ORACLE}
    oracles = first.keys() - set(NOT_ORACLE)
    assert all("oracle" in way for way in oracles)
    assert all(again[f"oracle: {what}"] != first[f"oracle: {what}"] for what in ("queries", "answers"))


def test_what_stands_later_changes_nothing_before(model, memory):
    memory.add([Triple("Marie Curie", "place of birth", "Warsaw"), Triple("Pierre", "residence", "Paris")])
    later = deepcopy(RECORD)
    later["sents"][1][4:] = ["in", "Oslo", "for", "Anna", "and", "Bob", "."]
    documents = read_documents([RECORD, later], default_ontology())
    shelf = Shelf(Knowing(memory), Knowing(memory), Passages(CharacterEmbedder(), documents))
    first, second = (write(document, model, shelf) for document in documents)
    same = next(i for i, (one, other) in enumerate(zip(first.tokens.ids, second.tokens.ids, strict=False)) if one != other)
    assert 10 < same < len(first.tokens.ids)
    assert any(i < same - 1 and first.ways[OWN][i] != first.ways[OFF][i] for i in first.places)
    for way in NOT_ORACLE:
        assert first.ways[way][:same] == pytest.approx(second.ways[way][:same], abs=1e-4), way


def test_without_probabilities_the_suite_is_left_out(tmp_path):
    (tmp_path / "redocred").mkdir()
    (tmp_path / "redocred" / "test_revised.json").write_text("[]", encoding="utf-8")
    with pytest.raises(MissingData, match="probabilities"):
        Perplexity().run(Bench(ScriptedTalker().fresh, data=tmp_path))
