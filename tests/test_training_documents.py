"""Read examples from documents: where a call stands, what it asks, what the memory answers, what is supervised, what is invented."""

import json
import lzma
import random
from collections import Counter
from copy import deepcopy

import pytest

from memagent import Query, ReadCall
from memagent.calls import MAX_ANSWERS
from memagent.errors import InvalidInput
from memagent.ontology import default_ontology
from memagent.training import documents
from memagent.training.documents import InventedWords, call_for, document_examples, examples, renamed
from memagent.training.grammar.names import Names
from memagent.training.overlap import Overlap
from memagent.training.readers import Report
from memagent.training.readers.documents import Answers, Target, read_document

ONTOLOGY = default_ontology()
RECORD = {
    "title": "Curie",
    "sents": [["Marie", "Curie", "was", "born", "in", "Warsaw", "."], ["In", "Oslo", "lives", "Pierre", "."]],
    "vertexSet": [
        [{"name": "Marie Curie", "pos": [0, 2], "sent_id": 0, "type": "PER"}],
        [{"name": "Warsaw", "pos": [5, 6], "sent_id": 0, "type": "LOC"}],
        [{"name": "Pierre", "pos": [3, 4], "sent_id": 1, "type": "PER"}],
        [{"name": "Oslo", "pos": [1, 2], "sent_id": 1, "type": "LOC"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P19", "evidence": []}, {"h": 2, "t": 3, "r": "P551", "evidence": []}],
}


@pytest.fixture
def rng():
    return random.Random(3)


def rows(marks, example):
    """(token, weight) of each token."""
    return [(marks.tokenizer.decode([token]), weight) for token, weight in zip(example.ids, example.weights, strict=True)]


def read(record, *others):
    """The document, with the labels of others in the memory too."""
    return read_document(record, ONTOLOGY, Answers.filled([record, *others], ONTOLOGY))


def test_a_document_token_by_token(marks, rng):
    (example,) = examples(read(RECORD), marks, rng)
    words = [(token, 0.5) for token in (" Marie", " Curie", " was", " born", " in")]
    born = [(token, 1.0) for token in ("({MEM_READ(", " Marie", " Curie", ">>", " place", " of", " birth", ">>", ")-->")]
    lives = [(token, 1.0) for token in ("({MEM_READ(", ">>", " residence", ">>", " Oslo", ")-->")]
    assert rows(marks, example) == [
        ("<|begin|>", 0.0),
        *words,
        *born,
        *[(" Warsaw", 0.0), ("})", 0.0)],
        *[(token, 0.5) for token in (" Warsaw", ".", " In", " Oslo", " lives")],
        *lives,
        *[(" Pierre", 0.0), ("})", 0.0)],
        *[(token, 0.5) for token in (" Pierre", ".")],
    ]


def test_a_long_document_is_taught_once_behind_what_stands_before(marks, rng):
    long = deepcopy(RECORD)
    long["sents"] = [sentence for _ in range(40) for sentence in RECORD["sents"]]
    pieces = list(examples(read(long), marks, rng))
    taught, seen = [], 0
    for piece in pieces:
        inside, before = False, []
        for token, weight in zip(piece.ids[1:], piece.weights[1:], strict=True):
            inside = inside or token == marks.read_open
            if not inside:
                (taught if weight else before).append(token)
            inside = inside and token != marks.close
        assert before == taught[seen - len(before) : seen]  # the text right before, without the calls in it
        assert len(before) == min(seen, documents.MAX_TOKENS - len(piece.ids) + len(before))
        seen = len(taught)
    assert taught == marks.text(read(long).text)
    assert len(pieces) > 3
    assert max(len(piece.ids) for piece in pieces) == documents.MAX_TOKENS
    assert sum(piece.ids.count(marks.read_open) for piece in pieces) == 2


def test_a_name_that_is_asked_for_is_not_cut(marks, rng, monkeypatch):
    record = deepcopy(RECORD)
    record["sents"][0][5:6] = ["Warsaw", "Oslo", "Warsaw"]
    record["vertexSet"][1][0]["pos"] = [5, 8]
    monkeypatch.setattr(documents, "STRETCH", 6)
    first, second = examples(read(record), marks, rng)
    assert marks.spell(first.ids).endswith("-->" + " Warsaw Oslo Warsaw})" + " Warsaw Oslo Warsaw")
    assert [weight for _, weight in rows(marks, second)].count(0.0) == 1 + 8 + 2


# ---- calls


def test_the_memory_answers_from_all_documents_and_the_right_one_is_among_it(marks, rng):
    others = []
    for other in ("Paris", "Glim"):
        others.append(deepcopy(RECORD))
        others[-1]["vertexSet"][1][0]["name"] = other
    born, _ = read(RECORD, *others).gold.targets
    assert born.calls == (ReadCall((Query("Marie Curie", "place of birth", None),), ("Warsaw", "Paris", "Glim")),)
    drawn = {call_for(born, marks, rng).answers for _ in range(40)}
    assert len(drawn) == 6  # in any order


def test_a_call_asks_one_to_three_of_the_queries_and_the_nearest_always(marks, rng):
    queries = [Query(name, "likes", None) for name in ("Anna", "Marie", "Tom", "Eve")]
    target = Target((0, 4), "Oslo", tuple(ReadCall((query,), ("Oslo", f"Glim {query.subject}")) for query in queries))
    counts = Counter()
    for _ in range(200):
        call = call_for(target, marks, rng)
        assert call.queries == tuple(queries[: len(call.queries)])
        assert sorted(call.answers) == sorted(["Oslo", *(f"Glim {query.subject}" for query in call.queries)])
        counts[len(call.queries)] += 1
    assert counts[1] > counts[2] > counts[3] > 0
    assert set(counts) == {1, 2, 3}


def test_a_second_query_that_makes_too_many_answers_is_not_asked(marks, rng):
    crowd = [[f"{letter}{n}" for n in range(MAX_ANSWERS - 1)] + ["Oslo"] for letter in "ab"]
    calls = tuple(ReadCall((Query(name, "likes", None),), tuple(names)) for name, names in zip(("Anna", "Tom"), crowd, strict=True))
    for _ in range(40):
        call = call_for(Target((0, 4), "Oslo", calls), marks, rng)
        assert call.queries == calls[0].queries
        assert "Oslo" in call.answers
        assert set(call.answers) <= set(crowd[0])
        assert len(marks.joined(call.answers, marks.next)) <= documents.ANSWERS


def test_what_has_too_many_answers_mostly_is_never_asked():
    answers = Answers()
    for n in range(MAX_ANSWERS + 1):
        answers.add(f"person {n}", "place of birth", "Warsaw")
        answers.add(f"person {n}", "residence", "Oslo")
        answers.add(f"person {n}", "residence", f"town {n}")
    answers.add("Anna", "place of birth", "Glim")
    assert not answers.useful("Warsaw", "place of birth", True)
    assert answers.useful("glim", "place of birth", True)
    answers.leave_out_crowded(0.6)
    assert answers.crowded == {("place of birth", True)}
    assert not answers.useful("Glim", "place of birth", True)
    assert answers.useful("Anna", "place of birth", False)
    assert answers.useful("town 1", "residence", True)


# ---- invented names


def test_invented_names_are_the_same_wherever_a_word_stands(rng):
    long = deepcopy(RECORD)
    long["sents"].append(["The", "Curie", "Hall", "in", "Warsaw", "has", "10", "cats", ",", "said", "Marie", "."])
    long["vertexSet"][0].append({"name": "Marie", "pos": [10, 11], "sent_id": 2, "type": "PER"})
    long["vertexSet"] += [
        [{"name": "The Curie Hall", "pos": [0, 3], "sent_id": 2, "type": "LOC"}],
        [{"name": "10", "pos": [6, 7], "sent_id": 2, "type": "NUM"}],
    ]
    words = InventedWords(Names(rng), rng)
    words._known = {"Pierre": "Pierre"}  # not all words are invented
    for word, invented in (("Marie", "Blix"), ("Curie", "Vond"), ("Warsaw", "Tarsk"), ("Oslo", "Ru"), ("Hall", "Ohm")):
        words._known[word] = invented
    told = renamed(long, words)
    assert [" ".join(sentence) for sentence in told["sents"]] == [
        "Blix Vond was born in Tarsk .",
        "In Ru lives Pierre .",
        "The Vond Ohm in Warsaw has 10 cats , said Blix .",
    ]
    assert long["sents"][0][0] == "Marie"


def test_invented_answers_are_those_of_the_memory(rng):
    words = InventedWords(Names(rng), rng)
    answers = Answers.filled([RECORD], ONTOLOGY)
    answers.add("Marie Curie", "place of birth", "Paris")
    words._known = {"Warsaw": "Tarsk", "Paris": "Glonk", "Marie": "Blix", "Curie": "Vond"}
    born, _ = read_document(renamed(RECORD, words), ONTOLOGY, documents.InventedAnswers(answers, words)).gold.targets
    assert born.name == "Tarsk"
    assert born.calls == (ReadCall((Query("Blix Vond", "place of birth", None),), ("Tarsk", "Glonk")),)


# ---- a file of documents


@pytest.fixture
def data(tmp_path):
    """A data folder with two documents and one fact."""
    other = deepcopy(RECORD)
    other["sents"][1] = ["My", "sister", "Anna", "has", "a", "cat", "called", "Miso", "."]
    other["vertexSet"] = other["vertexSet"][:2]
    other["labels"] = other["labels"][:1]
    put(tmp_path / documents.DEV, [RECORD, other])
    put(tmp_path / "docred_facts" / "train_annotated.fact.xz", [["Marie Curie", "Glim", "P19"]])
    return tmp_path


def put(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress(json.dumps(value).encode()))


def test_documents_are_told_twice_but_for_those_like_the_evaluation(data, marks):
    removed = Counter()
    pets = Overlap([("pets", "My sister Anna has a cat called Miso.")])
    told = [marks.spell(example.ids) for example in document_examples(data, marks, 1, pets, removed, Report())]
    assert removed == {"documents like pets": 1}
    assert len(told) == 2
    assert told[0].startswith(" Marie Curie was born in({MEM_READ( Marie Curie>> place of birth>>)-->")
    assert "Glim" in told[0]
    assert "Marie Curie was born" not in told[1]
    again = [marks.spell(example.ids) for example in document_examples(data, marks, 1, Overlap([]), removed, Report())]
    assert len(again) == 4


@pytest.mark.parametrize("broke", [{"labels": [{"h": 17, "t": 1, "r": "P19"}]}, {"sents": [["Marie"]]}])
def test_a_document_that_contradicts_itself_is_named(data, marks, broke):
    broken = deepcopy(RECORD)
    broken.update(broke)
    put(data / documents.DEV, [RECORD, broken])
    with pytest.raises(InvalidInput, match="dev_revised.json.xz:2: the document contradicts itself"):
        list(document_examples(data, marks, 1, Overlap([]), Counter(), Report()))
