"""A reply says what the memory answered, or the answer stands alone."""

import math

import pytest

from memagent import Query
from memagent.model.opinions import NOTHING
from memagent.model.replies import bare, says
from memagent.ontology import default_ontology

ONTOLOGY = default_ontology()
AGE, SISTER = Query("Emil", "age", None), Query("my friend", "sister", None)


class Believing:
    """A second opinion to which every sentence states one fact, with one probability."""

    def __init__(self, fact: tuple[str, str, str], probability: float) -> None:
        self.fact, self.probability = fact, probability

    def stated(self, focus, names, far, speaker):
        assert all(name.lower() in focus.lower() for name in names)
        return self

    def likeliest(self, count):
        return []

    def relations(self, subject, target):
        held = self.probability if (subject, target) == (self.fact[0], self.fact[2]) else 1e-6
        return {NOTHING: math.log(1.0 - held), "age": -20.0, "capital": -20.0} | {self.fact[1]: math.log(held)}

    def asked(self, question, entities, speaker, own=(), found=None):
        return {}


def test_a_reply_that_misspells_or_leaves_out_an_answer_is_none():
    assert not says("Emil is eleven.", AGE, ("seven",), "user", ONTOLOGY, None)
    assert says("Emil is seven.", AGE, ("seven",), "user", ONTOLOGY, None)
    assert not says("Emil is seven.", AGE, ("seven", "8"), "user", ONTOLOGY, None)
    assert not says("Emil is seventeen.", AGE, ("seven",), "user", ONTOLOGY, None)


@pytest.mark.parametrize(("reply", "right"), [
    ("Emil is seven.", True), ("Emil has seven children.", False), ("Peil is seven.", False), ("Seven.", True), ("No, seven.", False),
])  # fmt: skip
def test_a_reply_about_another_or_of_another_fact_is_none(reply, right):
    second = Believing(("Emil", "number of children" if "children" in reply else "age", "seven"), 0.97)
    assert says(reply, AGE, ("seven",), "user", ONTOLOGY, second) == right


def test_the_second_opinion_must_be_sure():
    reply = "Emil is seven."
    assert [says(reply, AGE, ("seven",), "user", ONTOLOGY, Believing(("Emil", "age", "seven"), p)) for p in (0.5, 0.95)] == [False, True]


def test_a_fact_may_be_said_from_its_other_side():
    query, second = Query(None, "capital", "Oslo"), Believing(("Oslo", "capital of", "Norway"), 0.97)
    assert says("Oslo is the capital of Norway.", query, ("Norway",), "user", ONTOLOGY, second)


def test_mine_is_yours_in_a_reply_and_of_the_speaker_nothing_is_asked():
    second = Believing(("your friend", "sister", "Zoe"), 0.97)
    assert says("Your friend's sister is Zoe.", SISTER, ("Zoe",), "user", ONTOLOGY, second)
    assert says("Your friend's sister is Zoe.", Query("My friend", "sister", None), ("Zoe",), "user", ONTOLOGY, second)
    assert says("You live in Oslo.", Query("user", "residence", None), ("Oslo",), "user", ONTOLOGY, second)


def test_what_the_second_opinion_has_not_learnt_it_does_not_refuse():
    second = Believing(("Emil", "age", "seven"), 0.5)
    assert says("Emil's shirt is seven.", Query("Emil", "shirt number", None), ("seven",), "user", ONTOLOGY, second)


def test_answers_alone():
    assert bare(["Acme Ltd."], "user") == "Acme Ltd."
    assert (bare(["Oslo"], "user"), bare(["Oslo", "Rome", "Glim"], "user")) == ("Oslo.", "Oslo, Rome and Glim.")
    assert [bare(names, "user") for names in (["user"], ["user", "Anna"], ["Anna", "user"])] == ["You.", "You and Anna.", "Anna and you."]


def test_the_speaker_is_you_in_a_reply():
    query = Query(None, "mother", "Rosalba")
    assert says("You have a mother, Rosalba.", query, ("user",), "user", ONTOLOGY, None)
    assert not says("user.", query, ("user",), "user", ONTOLOGY, None)
