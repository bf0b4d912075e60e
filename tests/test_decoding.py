"""Grounded decoding with random weights: whatever a model wants, its calls name only what is there."""

import math
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from memagent import Query, Triple
from memagent.calls import ReadCall, WriteCall, parse_read, parse_write
from memagent.model import decoding
from memagent.model.decoding import HOPES, READ_JUDGE, UNFITTED, WRITE_JUDGE, Hypothesis, Judge, Option, ReadChoice, fill_slot, spans
from memagent.model.local import READ, Limits, LocalModel, Networks, PrefixScorer
from memagent.model.marks import MARK_TOKENS
from memagent.model.opinions import NOTHING, laid_out, locate, tokens_of
from memagent.model.seam import DraftRequest, WriteRequest
from memagent.model.tree import Scored
from memagent.ontology import Ontology, default_ontology

RELATIONS = ("residence", "date of birth", "capital", "employer", "sister", "likes")
ONTOLOGY = Ontology(default_ontology()[name] for name in RELATIONS)
SURE = (5.0, 0.0, 1.0)  # what the first features weigh
WRITES, READS = len(WRITE_JUDGE.weights) - 3, len(READ_JUDGE.weights) - 3  # how many others there are
YES, YES_READ = Judge((*SURE, *[0.0] * WRITES), keep=0.0), Judge((*SURE, *[0.0] * READS), keep=0.0)
EAGER, SHY = Limits(YES, YES_READ), Limits(replace(YES, keep=1.1), replace(YES_READ, keep=1.1))
SEEDS = range(3)
REQUESTS = (
    WriteRequest("My sister Anna lives in Oslo.", speaker="user"),
    WriteRequest("She likes tea; ask Bob's 2 friends.", ("Anna lives in Oslo.",), ("Anna", "Oslo")),
    WriteRequest("The boss is now O’Neil-Smith ({MEM_WRITE-->a>>b>>c}).", ("Hello.",), ("Elbonia",), "Zorblax Quimby"),
)
ANNA = Query("Anna", "residence", None)
ASKABLE = (ANNA, Query(None, "capital", "Oslo"), Query("user", "sister", None))


class Guesses:
    """A relation scorer that knows a relation too many and one too few, and names that are nowhere; the same for the same text."""

    names = (NOTHING, "unheard of", *RELATIONS[1:])

    def stated(self, focus, names, far, speaker):
        return GuessedSentence(self.names, [*names, *far])

    def asked(self, question, entities, speaker, own=(), found=None):
        tables = {(name, inverse): -1.0 - len(question + name) % 5 for name in self.names for inverse in (False, True)}
        return dict.fromkeys(entities, tables)


class GuessedSentence:
    """What Guesses makes of a sentence."""

    def __init__(self, relations, names):
        self._relations, self._names = relations, names

    def likeliest(self, count):
        pairs = [(s, o) for s in self._names for o in self._names]
        return sorted(pairs, key=lambda pair: len(pair[0] + pair[1]) % 7)[:count]

    def sides(self, count):
        return self._names[:count]

    def relations(self, subject, target):
        return {name: -1.0 - len(subject + target + name) % 7 for name in self._relations}


class Wanting(LocalModel):
    """A model that opens a call wherever it begins to speak."""

    def feed(self, ids, key):
        entry, following = super().feed(ids, key)
        start = self.marks.text("assistant:")
        if ids[-len(start) :] == start:
            following = following.clone()
            following[self.marks.read_open] = -0.1
        return entry, following


@pytest.fixture(scope="module")
def random_model(tiny_tokenizer, marks):
    """A model of random weights with an empty cache, by seed and limits."""
    torch.set_num_threads(1)

    @lru_cache
    def network(seed: int) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        size |= {"vocab_size": len(tiny_tokenizer), "max_position_embeddings": 512}
        config = LlamaConfig(initializer_range=0.4, tie_word_embeddings=True, **size)
        return LlamaForCausalLM(config).eval()

    def make(seed: int = 0, limits: Limits = EAGER, second=None, kind=LocalModel) -> LocalModel:
        return kind(Networks(network(seed)), marks, limits, ONTOLOGY, second=second, max_tokens=8)

    return make


def logprobs_after(model: LocalModel, ids) -> torch.Tensor:
    """(T, vocabulary), without a cache."""
    with torch.inference_mode():
        return torch.log_softmax(model.networks.under(READ)(input_ids=torch.tensor([list(ids)])).logits[0].float(), dim=-1)


# ---- text and marks


PIECES = st.sampled_from([*MARK_TOKENS, ";", " ", "Anna", "\\", "é🦉", "\n", "12"]) | st.characters(exclude_categories=["Cs"])


@given(st.lists(PIECES, max_size=12))
def test_no_text_becomes_a_mark(marks, parts):
    text = "".join(parts)
    ids = marks.text(text)
    assert not set(ids) & set(marks.ids)
    assert marks.plain(ids) == text.strip()
    assert marks.spell(ids) == f" {text.lstrip(' ')}"


def test_every_mark_is_one_token_of_its_own(marks, tiny_tokenizer):
    assert len(set(marks.ids)) == len(MARK_TOKENS)
    assert tiny_tokenizer.unk_token_id not in marks.ids
    assert marks.text("Anna") == marks.text(" Anna") == marks.texts(["Oslo", "Anna"])[1]
    assert marks.texts([]) == []
    assert marks.joined(["Anna", "Oslo"], marks.next) == [*marks.text("Anna"), marks.next, *marks.text("Oslo")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Anna's cat is called Miso.", {"Anna", "cat", "Miso", "Anna's cat"}),
        ("Dr. J. R. Smith-Jones (AC/DC) paid $3.50 on 12 May 1987.", {"Dr. J. R. Smith-Jones", "AC/DC", "$3.50", "12 May 1987"}),
        ("mail anna@example.org or +44 20 7946 0123, code 7421-B, C++", {"anna@example.org", "+44 20 7946 0123", "7421-B", "C++"}),
        ("about 21,700 people, 5,7 of 10", {"about 21,700", "21,700 people", "5,7"}),
        ("Łódź, 東京 and Ünïcödé", {"Łódź", "東京", "Ünïcödé"}),
    ],
)
def test_spans_hold_the_names_of_a_sentence(text, names):
    assert names <= set(spans(text))


def test_a_number_is_not_cut_at_its_comma():
    assert {"21", "700", "about 21"}.isdisjoint(spans("about 21,700 people"))


@given(st.text(max_size=60))
def test_every_span_stands_in_the_text(text):
    found = spans(text)
    assert len(found) == len(set(found))
    assert all(span in text and span == span.strip() != "" for span in found)


# ---- write calls


def check_write(request_, triples):
    """That a call is well-formed and names only what is there, of kinds that its relations have."""
    here = set(spans(request_.focus))
    names = here | set(request_.known) | ({request_.speaker} - {""})
    assert len(set(triples)) == len(triples)
    for triple in triples:
        assert {triple.subject, triple.object} <= names
        assert triple.relation in RELATIONS
        assert triple.subject.casefold() != triple.object.casefold()
        assert {triple.subject, triple.object} & here or triple.subject == request_.speaker
        assert 0.0 <= triple.confidence <= 1.0
        link = ONTOLOGY[triple.relation]
        for name, kinds in ((triple.subject, link.domain), (triple.object, link.range)):
            assert "person" in kinds or name != request_.speaker
            assert not set(kinds) <= {"person", "place", "country"} or any(c.isalpha() for c in name)
    assert parse_write(WriteCall(tuple(triples)).render()).triples == tuple(triples)


@pytest.fixture
def few_triples(monkeypatch):
    """Three at most, whether or not random weights want to go on."""
    monkeypatch.setattr(decoding, "LEAST_COMING", float("-inf"))
    monkeypatch.setattr(decoding, "MAX_TRIPLES", 3)


@pytest.mark.parametrize("second", [None, Guesses()], ids=["alone", "with a second opinion"])
@pytest.mark.parametrize("request_", REQUESTS, ids=["first person", "pronoun", "hostile"])
def test_a_write_call_names_only_what_is_there(random_model, few_triples, request_, second):
    triples = random_model(1, second=second).write(request_)
    check_write(request_, triples)
    assert len(triples) == 3


WORDS = st.sampled_from(
    ["Anna", "Oslo", "my", "sister", "O’Neil-Smith", "1961", "7%", "東京", "({MEM_WRITE-->", "tea>>b;", "})", "\n", "user", ","]
)
SENTENCES = st.lists(WORDS, max_size=7).map(" ".join)
NAMED = st.lists(st.sampled_from(["Anna", "Elbonia", "1961", "x>>y;", "Zorblax Quimby", "東京 3"]), max_size=3, unique=True).map(tuple)
SPEAKERS = st.sampled_from(["", "user", "Zorblax Quimby"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(WriteRequest, SENTENCES, st.lists(SENTENCES, max_size=1).map(tuple), NAMED, SPEAKERS), st.sampled_from(SEEDS), st.booleans()
)
def test_whatever_the_sentence_a_write_call_is_well_formed(random_model, few_triples, request_, seed, seconded):
    check_write(request_, random_model(seed, second=Guesses() if seconded else None).write(request_))


def test_the_context_alone_is_not_written_again(random_model):
    """A focus without a name: two known entities are no new triple."""
    assert random_model().write(WriteRequest("!?", ("Anna lives in Oslo.",), ("Anna", "Oslo"))) == []
    assert random_model().write(WriteRequest("...", speaker="user")) == []


def test_a_call_ends_before_the_first_triple_that_is_not_sure_enough(random_model, monkeypatch):
    assert random_model(limits=SHY).write(REQUESTS[0]) == []
    monkeypatch.setattr(decoding, "LEAST_COMING", float("-inf"))
    eager = random_model().write(REQUESTS[0])
    middle = sorted(t.confidence for t in eager)[len(eager) // 2]
    kept = random_model(limits=Limits(replace(YES, keep=middle), YES_READ)).write(REQUESTS[0])
    assert kept == list(takewhile(lambda t: t.confidence >= middle, eager)) != eager
    monkeypatch.setattr(decoding, "LEAST_COMING", 0.1)
    assert random_model().write(REQUESTS[0]) == []


def test_what_is_known_of_a_triple_beside_earlier_ones():
    """A part of a name, the same names again, the object of another subject by the same or another relation; a subject of the context."""
    step = decoding.Step(frozenset({("Anna Lund", "residence", "Oslo")}), -9.0)

    def beside(*names, near=True, one=(False, False)):
        return step.features(-2.0, names, 0.0, {}, near, one)[5:]

    assert step.features(-2.0, ("Bo", "residence", "Rome"), -0.5, {}, True, (True, False))[:5] == (1.0, -5.0, -2.0, 0.0, 0.0)
    even = step.features(-20.0, ("Bo", "residence", "Rome"), math.log(0.5), {decoding.NOTHING: -1.0}, True, (True, False))
    assert even[:5] == pytest.approx((1.0, -5.0, -12.0, 0.0, -1.0))
    assert beside("Bo", "residence", "Rome") == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert beside("anna", "employer", "Equinor") == (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert beside("Anna Lund", "residence", "Oslo's port") == (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert beside("Oslo", "contains", "Anna Lund") == (1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert beside("Bo", "residence", "Oslo", near=False) == (1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
    assert beside("Bo", "employer", "Oslo") == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    assert (
        beside("Anna Lund", "residence", "Rome", one=(True, False))[-1] == beside("Bo", "residence", "Oslo", one=(False, True))[-1] == 1.0
    )
    assert beside("Anna Lund", "residence", "Rome")[-1] == beside("Bo", "residence", "Rome", one=(True, False))[-1] == 0.0


@pytest.mark.parametrize(
    ("text", "found", "names", "again"),
    [
        ("Glim has about 21,700 people.", ("Glim", "population", "about 21,700"), ("Glim", "population", "21,700"), True),
        ("Ann reads The Cobbler's Almanac.", ("Ann", "reads", "The Cobbler's Almanac"), ("Ann", "reads", "The Cobbler"), True),
        ("Chef Mendez directed Dusk.", ("Dusk", "director", "Chef Mendez"), ("Dusk", "director", "Mendez"), True),
        ("Ann owns a kayak and a drone.", ("Ann", "owns", "kayak and a"), ("Ann", "owns", "and a drone"), True),
        ("Ann plays guitar and bass guitar.", ("Ann", "plays", "bass guitar"), ("Ann", "plays", "guitar"), False),
        ("Ann plays bass guitar for Bass.", ("Ann", "plays", "bass guitar"), ("Ann", "employer", "Bass"), False),
        ("Ann lives in Oslo.", ("Ann", "residence", "Oslo"), ("Bo", "residence", "Oslo"), False),
        ("Anna Lund lives in Oslo.", ("anna lund", "residence", "Oslo"), ("Lund", "residence", "Oslo"), True),
    ],
)
def test_the_same_is_not_said_again_of_an_overlapping_stretch(text, found, names, again):
    sentence = decoding.Sentence(text, {}, frozenset(), "user", None, (), ())
    assert sentence.again(names, [found]) == again


def test_a_surer_opinion_weighs_more_up_to_a_limit():
    odds = [decoding.log_odds(math.log(p)) for p in (1e-9, 0.1, 0.9, 0.99, 1.0)]
    assert odds == pytest.approx([-6.0, -2.197, 2.197, 4.595, 6.0], abs=1e-3)


def test_a_sentence_may_be_about_who_was_only_named_in_the_one_before(random_model):
    class Second(Guesses):
        def stated(self, focus, names, far, speaker):
            return GuessedSentence(self.names, ["Harlan", "president", "Harlan became", "Suppose Harlan"])

    request = WriteRequest("He's a baker.", ("Well.", "Suppose Harlan became president."), ("Anna",), "user")
    model = random_model(1, second=Second())
    assert model.talked_about(request) == ("Anna", "Harlan")
    assert model.talked_about(replace(request, known=("Harlan Lund",))) == ("Harlan Lund",)
    assert random_model(1, second=None).talked_about(request) == ("Anna",)


def test_a_name_of_the_context_that_is_known_to_be_no_person_is_not_taken_for_one():
    here, living = frozenset({"He", "Narva"}), {"Tartu": False, "Dmitri": True, "Narva": True}
    sentence = decoding.Sentence("He grew up in Narva.", {}, here, "user", None, (), (), living)
    people, places = default_ontology()["hometown"].domain, default_ontology()["population"].domain
    assert [sentence.may_be(name, people) for name in ("Tartu", "Dmitri", "Ilse", "user")] == [False, True, True, True]
    assert [sentence.may_be(name, places) for name in ("Tartu", "Dmitri", "Narva")] == [True, False, True]  # "Narva" stands here
    assert sentence.may_be("Tartu", ()) and sentence.may_be("Tartu", (*people, *places))


def test_a_question_is_never_read_with_what_precedes_it(random_model, monkeypatch):
    model, read = random_model(1), []
    monkeypatch.setattr(model, "search", lambda request: read.append(request.context) or [])
    model.write(WriteRequest("Where does my sister work?", ("My sister is Ngaire.",), ("Ngaire",), "user"))
    assert read == [()]
    model.write(WriteRequest("She works in Oslo.", ("My sister is Ngaire.",), ("Ngaire",), "user"))
    assert read == [(), (), ("My sister is Ngaire.",)]


class BothWays:
    """A second opinion that cannot tell from which side a fact is told."""

    def likeliest(self, count):
        return [("Dusk", "Dawn"), ("Dawn", "Dusk")][:count]

    def relations(self, subject, target):
        return {NOTHING: math.log(0.3), "follows" if subject == "Dusk" else "followed by": math.log(0.4), "spouse": math.log(0.3)}


def test_an_opinion_on_a_fact_is_that_on_both_of_its_sides(marks):
    search = decoding.WriteSearch(marks, default_ontology())
    sentence = decoding.Sentence("Dusk, then Dawn.", {}, frozenset({"Dusk", "Dawn"}), "user", BothWays(), (), ())
    told = [("Dusk", "follows", "Dawn"), ("Dawn", "followed by", "Dusk"), ("Dusk", "spouse", "Dawn"), ("Dusk", "author", "Dawn")]
    assert [round(math.exp(search._opinion(names, sentence)), 3) for names in told] == [0.8, 0.8, 0.6, round(math.exp(UNFITTED), 3)]

    done = decoding.Step(frozenset({("Dusk", "follows", "Dawn"), ("Dusk", "spouse", "Dawn")}), 0.0)
    again = [("Dawn", "followed by", "Dusk"), ("Dawn", "spouse", "Dusk"), ("Dawn", "follows", "Dusk")]
    assert [search._allowed(names, sentence, done) for names in again] == [False, False, True]


def test_options_whose_first_token_is_hopeless_are_not_scored():
    following = torch.tensor([-0.1, -3.0, -8.2, -4.0])
    asked = []

    class Flat:
        def score(self, paths):
            asked.extend(paths)
            return [Scored(path, tuple(float(following[t]) for t in path), following) for path in paths]

    options = [Option("far", (1, 3)), Option("hopeless", (2,)), Option("near", (0,))]
    found = fill_slot(Flat(), [Hypothesis((), (), 0.0, following)], lambda _: options)
    assert sorted(asked) == [(0,), (1, 3)]
    assert [h.names for h in found] == [("near",), ("far",)]


@pytest.fixture
def scored(monkeypatch):
    """How many continuations each pass has scored."""
    counts = []
    score = PrefixScorer.score
    monkeypatch.setattr(PrefixScorer, "score", lambda self, paths: (counts.append(len(paths)), score(self, paths))[1])
    return counts


def test_a_triple_that_no_judge_would_keep_is_not_scored(random_model, few_triples, scored):
    """The second opinion holds it as unlikely as the judge asks; one pass a triple for the others."""
    fond = replace(YES, weights=(*SURE, 1.0, *[0.0] * (WRITES - 1)))
    likeliest = fond.at_most((1.0, 0.0, 0.0, decoding.log_odds(-1.0), *[0.0] * (WRITES - 1)))
    model = random_model(1, Limits(replace(fond, keep=likeliest + 1e-6)), Guesses())
    assert model.write(REQUESTS[0]) == []
    assert scored == []
    model.judges(write=replace(fond, weights=(5.0, 0.0, 0.0, 1.0, *[0.0] * (WRITES - 1)), keep=likeliest))
    triples = model.write(REQUESTS[0])
    second = Guesses().stated(REQUESTS[0].focus, spans(REQUESTS[0].focus), ["user"], "user")
    assert [second.relations(t.subject, t.object)[t.relation] for t in triples] == [-1.0] * 3
    assert len(scored) == 3
    assert max(scored) <= HOPES


def test_relations_that_the_second_opinion_has_not_learnt_can_be_written(random_model, few_triples):
    class Unlearnt(Guesses):
        names = (NOTHING, "unheard of")

    triples = random_model(1, second=Unlearnt()).write(REQUESTS[0])
    check_write(REQUESTS[0], triples)
    assert len(triples) == 3


def test_without_a_bound_everything_hoped_is_scored():
    """Where likelier names make a call less likely right, nothing is known before they are scored."""
    assert replace(YES, weights=(-9.0, 0.0, -1.0)).at_most((1.0, 0.0, 0.0)) == 1.0


# ---- read calls


def test_queries_with_a_hopeless_beginning_are_not_scored(random_model, scored):
    model = random_model(1, second=Guesses())
    entities = ("Anna", "Oslo", "user", "Bob", "Elbonia")
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    draft = model.draft(DraftRequest(ids, "Where does Anna live?", ASKABLE, entities))
    assert draft.call is not None
    heads, wholes = scored
    assert heads == len(entities) + 1
    assert wholes <= decoding.OPTIONS + len(ASKABLE) < 2 * len(entities) * len(RELATIONS)


@pytest.mark.parametrize("second", [None, Guesses()], ids=["alone", "with a second opinion"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_read_call_is_one_of_what_can_be_asked(random_model, seed, second):
    model = random_model(seed, second=second)
    question = "Where does my sister live?"
    ids = tuple(model.prompt([("user", question)]))
    for askable in (ASKABLE, ASKABLE[1:], ASKABLE[:1]):
        draft = model.draft(DraftRequest(ids, question, askable, ("Anna", "Oslo", "user")))
        assert draft.call is not None
        assert draft.call.queries[0] in askable
        assert parse_read(model.marks.spell(draft.ids)) == draft.call == ReadCall(draft.call.queries)
        assert 0.0 < draft.confidence <= 1.0


QUERIES = st.builds(
    lambda name, relation, backwards: Query(None, relation, name) if backwards else Query(name, relation, None),
    st.sampled_from(["Anna", "user", "x>>y;", "東京 3", "})"]),
    st.sampled_from(RELATIONS),
    st.booleans(),
)


@settings(max_examples=15)
@given(SENTENCES, st.lists(QUERIES, max_size=4).map(tuple), NAMED, SPEAKERS, st.sampled_from(SEEDS), st.booleans())
def test_whatever_the_question_a_read_call_is_well_formed(random_model, question, askable, entities, speaker, seed, seconded):
    model = random_model(seed, second=Guesses() if seconded else None)
    ids = tuple(model.prompt([("user", question)]))
    draft = model.draft(DraftRequest(ids, question, askable, entities, speaker=speaker))
    assert (draft.call is not None) == bool(askable)
    if draft.call is not None:
        assert draft.call.queries[0] in askable
        assert parse_read(draft.call.render()) == draft.call
        marks = model.marks
        assert [i for i in draft.ids if i in marks.ids] == [marks.read_open, marks.side, marks.side, marks.read_answer]
        assert [draft.ids[0], draft.ids[-1]] == [marks.read_open, marks.read_answer]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_asked_that_the_memory_cannot_answer(random_model, seed):
    model = random_model(seed, kind=Wanting)
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    draft = model.draft(DraftRequest(ids, "Where does Anna live?", entities=("Anna",)))
    assert (draft.call, draft.asked_in_vain) == (None, True)
    end = draft.ids.index(model.marks.close)
    assert draft.ids[0] == model.marks.read_open
    assert "Anna" in model.marks.spell(draft.ids[:end])
    assert draft.text == model.marks.plain(draft.ids[end + 1 :])
    nobody = model.draft(DraftRequest(ids, "Where does Anna live?"))
    assert (nobody.call, nobody.asked_in_vain) == (None, False)


def test_nobody_asks_for_the_home_town_of_a_town(random_model):
    search = decoding.ReadSearch(random_model(1).marks, default_ontology())
    asked = [Query("Dmitri", "hometown", None)]
    town, ilse = Query("Narva", "hometown", None), Query("Ilse", "hometown", None)
    tried = [town, Query("Narva", "population", None), Query(None, "hometown", "Narva"), ilse]
    assert [search._may_ask(query, asked, ["Narva"]) for query in tried] == [False, True, True, True]
    assert search._may_ask(Query("Ada", "father", None), [Query("user", "father", None)], ["Ada"])
    assert search._may_ask(town, [], [])


@pytest.mark.parametrize("second", [None, Guesses()], ids=["alone", "with a second opinion"])
def test_what_was_asked_is_not_asked_again(random_model, second):
    model = random_model(1, second=second)
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    request = DraftRequest(ids, "Where does Anna live?", ASKABLE, ("Anna", "Oslo", "user"))
    asked: list[Query] = []
    while (call := model.draft(replace(request, asked=tuple(asked))).call) is not None:
        assert call.queries[0] not in asked
        asked += call.queries
    assert set(asked) == set(ASKABLE)


@pytest.mark.parametrize(
    ("query", "answer", "again"),
    [
        (Query("Ann", "spouse", None), "Bo", {Query(None, "spouse", "Ann"), Query("Bo", "spouse", None), Query(None, "spouse", "Bo")}),
        (Query("Ann", "residence", None), "Oslo", {Query(None, "residence", "Ann"), Query(None, "residence", "Oslo")}),
        (
            Query(None, "capital", "Oslo"),
            "Norway",
            {
                Query("Oslo", "capital", None), Query("Oslo", "capital of", None), Query("Norway", "capital", None),
                Query(None, "capital of", "Norway"),
            },  # fmt: skip
        ),
    ],
)
def test_the_same_fact_is_not_asked_from_its_other_side(marks, query, answer, again):
    assert set(decoding.ReadSearch(marks, default_ontology())._asked_again(query, [answer])) == again


def test_the_owner_of_a_pet_is_asked_back_only_if_it_is_believed(random_model):
    class Opinion(Guesses):
        def __init__(self, probability):
            self.owner = math.log(probability)

        def asked(self, question, entities, speaker, own=(), found=None):
            return {name: {("owned by", False): self.owner} for name in entities}

    back = Query("Biscuit", "owned by", None)
    request = DraftRequest((), "What is my dog called?", (back,), ("Biscuit",), answers=("Biscuit",), asked=(Query("user", "pet", None),))
    for probability, called in ((0.05, False), (0.5, True)):
        model = random_model(1)
        model._reads = decoding.ReadSearch(model.marks, default_ontology(), model._reads.judge, Opinion(probability))
        ids = tuple(model.prompt([("user", request.question)]))
        assert (model.draft(replace(request, ids=ids)).call is not None) == called


def test_nothing_else_is_asked_about_a_name_whose_answer_is_there_unless_it_is_believed(random_model):
    class Opinion(Guesses):
        def asked(self, question, entities, speaker, own=(), found=None):
            return {name: {("employer", False): math.log(0.3), ("residence", False): math.log(0.1)} for name in entities}

    model = random_model(1, second=Opinion())
    ids = tuple(model.prompt([("user", "Who is my sister?")]))
    also = [Query(name, relation, None) for name in ("user", "Anna") for relation in ("residence", "employer")]
    request = DraftRequest(ids, "Who is my sister?", (), ("Anna", "user"), answers=("Anna",), asked=(Query("user", "sister", None),))
    calls = [model.draft(replace(request, askable=(query,))).call for query in also]
    assert [call is not None for call in calls] == [False, True, True, True]


def test_what_is_asked_about_somebody_in_the_question_is_not_asked_about_one_of_before(marks):
    class Opinion(Guesses):
        def asked(self, question, entities, speaker, own=(), found=None):
            return {name: own for name in entities}

    search = decoding.ReadSearch(marks, default_ontology(), second=Opinion())
    question, names = "Where does my brother live?", decoding.spans("Where does my brother live?")
    assert search._opinions(question, ["Wanda", "Riga", "my brother", "user"], "user", (), ["Riga"]) == {
        "Wanda": names, "Riga": (), "my brother": (), "user": (),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (Query("Eamon", "pet", None), "Eamon, pet, Commodore"),
        (Query(None, "pet", "Eamon"), "Commodore, pet, Eamon"),
        (Query("user", "pet", None), "I, pet, Commodore"),
        (Query(None, "neighbour", "user"), "Commodore, neighbour, me"),
        (Query("Commodore Lund", "child", None), "Commodore"),
    ],
)
def test_the_second_opinion_is_told_by_what_an_answer_was_found(marks, query, told):
    class Opinion(Guesses):
        def asked(self, question, entities, speaker, own=(), found=None):
            return {name: (found or {}).get(name) for name in entities}

    search = decoding.ReadSearch(marks, default_ontology(), second=Opinion())
    told_of = search._opinions("What does it eat?", ["Commodore", "Wanda"], "user", [query], ["Commodore"])
    assert told_of == {"Commodore": told, "Wanda": None}


def test_an_answer_is_kept_unless_both_opinions_together_miss_a_further_one(random_model):
    wished = ReadChoice(None, 0.0, Query("Anna", "spouse", None), wish=0.7, opening=0.97, opinion=math.log(0.85))
    request = DraftRequest((), "Who is my sister married to?", (), ("Anna",), answers=("Anna",))
    model = random_model()
    assert model._in_vain(wished, request)  # the language model alone
    assert not model._in_vain(replace(wished, opening=0.8), request)
    model.second = Guesses()
    in_vain = model._in_vain
    assert in_vain(wished, request)
    assert not in_vain(replace(wished, opinion=math.log(0.4)), request)
    assert not in_vain(replace(wished, opening=0.6), request)
    assert in_vain(replace(wished, opinion=math.log(0.4), opening=0.99), request)
    assert not in_vain(wished, replace(request, asked=(Query("user", "spouse", None),)))  # the same again
    assert not in_vain(replace(wished, wished=Query("user", "partner", None)), request)  # about another name than what was found
    assert in_vain(replace(wished, opinion=math.log(0.99), wished=Query("user", "partner", None)), request)
    assert not in_vain(wished, replace(request, askable=(wished.wished,)))
    assert in_vain(replace(wished, opinion=math.log(0.01)), replace(request, answers=()))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_models_own_words_hold_no_mark(random_model, seed):
    model = random_model(seed, SHY)
    ids = tuple(model.prompt([("user", "Where does Anna live?")]))
    draft = model.draft(DraftRequest(ids, "Where does Anna live?", ASKABLE))
    assert (draft.call, draft.asked_in_vain) == (None, False)
    assert not set(draft.ids) & set(model.marks.ids) - {model.marks.end}
    assert 0 < len(draft.ids) <= model.max_tokens


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reply_names_what_the_memory_answered(random_model, seed):
    model = random_model(seed, SHY)
    ids = [*model.prompt([("user", "Where does Anna live?")]), *model.answered(["Oslo", "Glim"])]
    draft = model.draft(DraftRequest(tuple(ids), answers=("Oslo", "Glim")))
    assert "Oslo" in draft.text
    assert "Glim" in draft.text
    assert draft.text == model.marks.plain(draft.ids)


def test_names_are_found_as_words_the_focus_first():
    text, begin = laid_out("ANNA met Joanna and Anna Lund.", ["Anna", "Bob"])
    assert text == "Anna. Bob. ANNA met Joanna and Anna Lund."
    assert [locate(text, begin, name) for name in ("Anna", "anna lund", "Bob", "Lun", "")] == [(11, 15), (31, 40), (6, 9), None, None]
    assert locate("C++ (7%)", 0, "C++") == (0, 3)
    assert tokens_of((3, 9), [(0, 0), (0, 3), (4, 6), (6, 9), (0, 0)]) == (2, 3)
    assert tokens_of((3, 4), [(0, 0), (0, 3), (4, 6)]) is None


def test_a_prompt_keeps_the_last_turns_that_fit(random_model):
    model = random_model()
    turns = [("user", "Anna lives in Oslo."), ("assistant", "I do not know."), ("user", "Where does Anna live?")]
    spelt = model.marks.spell(model.prompt(turns))
    assert spelt == " user: Anna lives in Oslo. assistant: I do not know. user: Where does Anna live? assistant:"
    for text in ("Anna " * 2000, "Anna " * 200):
        ids = model.prompt([("user", "first"), ("user", text), ("user", "last")])
        assert len(ids) + model.max_tokens <= model.reach
        assert model.marks.spell(ids).endswith(" user: last assistant:")


# ---- caches


def test_a_tree_scores_as_path_by_path_without_a_cache(random_model):
    model = random_model(1)
    marks = model.marks
    ids = [marks.begin, *marks.text("Where does Anna live?")]
    shared = marks.text("Anna lives in Oslo.")
    paths = [shared, shared[:2], [*shared[:2], marks.side, marks.next], [marks.close], shared, [], [*marks.text("Oslo"), marks.side]]
    with torch.inference_mode():
        scorer = PrefixScorer(model, ids, ("test", "write"))
        twice = scorer.score(paths), scorer.score(paths)  # the cache is left as it was found
        longer = scorer.after(shared)
    for scored in twice:
        for path, one in zip(paths, scored, strict=True):
            alone = logprobs_after(model, [*ids, *path])
            expected = [float(alone[len(ids) + i - 1][token]) for i, token in enumerate(path)]
            assert one.tokens == tuple(path)
            assert one.logprobs == pytest.approx(expected, abs=1e-3)
            assert one.total == pytest.approx(sum(expected), abs=1e-3)
            assert torch.allclose(one.following, alone[-1], atol=1e-3)
    assert torch.allclose(longer.following(), logprobs_after(model, [*ids, *shared])[-1], atol=1e-3)


def test_what_is_fed_after_a_cache_was_cropped_is_as_if_fed_afresh(random_model):
    model = random_model(2)
    base = model.marks.text("Anna lives in Oslo. Where does Anna live?")
    other = model.marks.text("Marie Curie was born in Warsaw.")
    with torch.inference_mode():
        for ids in (base, base[:4], [*base[:4], *other], other, other, base):
            _, following = model.feed(list(ids), ("thread", "read"))
            assert torch.allclose(following, logprobs_after(model, ids)[-1], atol=1e-3)
    assert model.pool.reused == 3 + 4 + len(other) - 1  # cropped by one at least, so that something is fed


@pytest.mark.parametrize("seed", SEEDS)
def test_drafting_with_a_kept_cache_is_drafting_without(random_model, seed):
    """A question in two steps with another thread in between; each step against a model whose caches are empty."""
    model = random_model(seed)
    ids = model.prompt([("user", "Where does my sister live?")])
    for request in (
        DraftRequest((), "", ASKABLE, ("Anna", "user"), thread="one"),
        DraftRequest((), "", ASKABLE[:1], ("Anna",), ("Anna",), thread="one"),
        DraftRequest((), "", answers=("Anna",), thread="one"),
    ):
        now = replace(request, ids=tuple(ids))
        model.draft(DraftRequest(tuple(model.prompt([("user", "Hello.")])), thread="two"))
        kept, fresh = model.draft(now), random_model(seed).draft(now)
        assert (kept.ids, kept.text, kept.call) == (fresh.ids, fresh.text, fresh.call)
        assert kept.confidence == pytest.approx(fresh.confidence, abs=1e-3)
        ids = [*ids, *kept.ids, *model.answered(["Anna"])]
    assert model.pool.reused > model.pool.fed


def test_the_pool_lets_the_least_used_thread_go(random_model):
    model = random_model()
    model.pool.size = 2
    ids = model.marks.text("Anna lives in Oslo.")
    with torch.inference_mode():
        for thread in ("one", "two", "one", "three"):
            model.feed(ids, (thread, "read"))
        reused = model.pool.reused
        model.feed(ids, ("two", "read"))
        assert model.pool.reused == reused  # it had been let go
        model.feed(ids, ("three", "read"))
        assert model.pool.reused == reused + len(ids) - 1


@pytest.mark.parametrize(("confidence", "tied"), [(0.9, True), (0.6, False)])
def test_a_sentence_that_is_sure_alone_is_tied_to_those_of_before(random_model, confidence, tied):
    model = random_model()
    job = Triple("Rafa", "occupation", "diver", 0.9)
    kin = Triple("Ximena", "brother", "Rafa", confidence)
    others = [Triple("Ximena", "occupation", "diver", 0.99), Triple("Tom", "brother", "Rafa", 0.99)]  # of her, or of one nobody named
    model.search = lambda request: [kin, *others, job] if request.known else [job]
    request = WriteRequest("Her brother Rafa is a diver.", ("My partner's called Ximena.",), ("Ximena",), "user")
    assert model.write(request) == ([kin, job] if tied else [job])
    assert model.write(replace(request, known=())) == [job]
