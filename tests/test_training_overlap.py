"""What is worded like the evaluation is found and kept out of training."""

from collections import Counter

import pytest

from memagent import Query, Triple
from memagent.calls import ReadCall
from memagent.training.examples import Parts, put_read, reply_turn, user_turn, write_example
from memagent.training.overlap import Overlap, chat_texts, composition_texts, fitting, kept, said, unlike
from memagent.training.readers import Statement

LONG = "In the spring of 1911 the miller Bo Marsh opened a second mill at the mouth of the Vask."
OVERLAP = Overlap([("mills", f"{LONG} It burnt."), ("chat", "Where did Ada Holt go?"), ("chat", "Thank you so.")])


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "in the spring of 1911, the miller Bo Marsh opened a second mill",  # a part of it, spelt otherwise
        LONG.replace("mouth", "bend"),  # a word changed
        f"An old story begins here. {LONG} And it ends there.",
        "As is told in Vask, " + LONG[:-1] + ", which his brother never forgave him.",
        "user: where did ada holt go",
    ],
)
def test_near_duplicates_are_found(text):
    assert OVERLAP.suite(text) == ("chat" if "holt" in text else "mills")


@pytest.mark.parametrize(
    "text",
    [
        "In the autumn of 1911 the miller Bo Marsh sold his second mill at the mouth of the river.",
        "Where did Ada Holt go yesterday?",  # short ones count as a whole only
        "It burnt.",  # too short to be anybody's
        "Thank you so.",
        "",
    ],
)
def test_what_shares_a_few_words_is_not_a_duplicate(text):
    assert OVERLAP.suite(text) is None


def test_every_sentence_is_kept_once_with_its_suite():
    assert OVERLAP.sizes == {"mills": 1, "chat": 1}
    assert Overlap([("one", LONG), ("other", LONG)]).sizes == {"one": 1}


def test_statements_go_with_their_context_and_are_counted():
    other = Statement("", "Bo Marsh was born in Vask.", (), "notes")
    removed = Counter()
    statements = [other, Statement(LONG, "He sold it in 1920.", (), "notes"), Statement("", LONG, (), "news")]
    assert list(unlike(statements, OVERLAP, removed)) == [other]
    assert removed == {"notes like mills": 1, "news like mills": 1}


def test_examples_are_compared_without_their_calls(marks):
    asked = reply_turn(user_turn(Parts(marks).put([marks.begin]), "Where did Ada Holt go?"), [], "To Vask.").example()
    told = write_example(marks, ["It was late."], "user: Ada Holt went to Vask.", [Triple("Ada Holt", "residence", "Vask")])
    begun = Parts(marks).put([marks.begin]).text("In the spring of 1911 the miller")
    running = put_read(begun, ReadCall((Query("Vask", "likes", None),), ("Bo",)))
    around = running.text("Bo Marsh opened a second mill.").example()
    assert list(said(told.ids, marks)) == ["", "It was late.", "user: Ada Holt went to Vask.", ""]
    removed = Counter()
    assert list(kept([told, asked, around], OVERLAP, marks, removed)) == [told]
    assert removed == {"like chat": 1, "like mills": 1}


def test_the_conversations_of_a_suite_are_read_in_its_own_form():
    suite = """
        small_talk = ["It rains."]
        [kind.first]
        relations = ["residence"]
        turns = [{say = "I live in Vask."}, {gap = 1}, {ask = "Where do I live?", expect = ["Vask"]}, {forget = "Vask"}]
    """
    assert chat_texts(suite) == ["It rains.", "I live in Vask.", "Where do I live?"]
    assert len(chat_texts()) > 100


def test_phrasings_that_fit_a_sentence_apart_from_names_are_counted():
    templates = ["{s} went to {o}.", "Where did {s} go?", "{s} left {o} behind.", "{s}: {o}", "He went to sea one day."]
    assert fitting(templates, ["Ada Holt went to Vask!", "so: where did they go", "Where did the miller go? He went to sea one day."]) == [
        "{s} went to {o}.",
        "Where did {s} go?",
    ]


def test_the_second_opinion_is_not_taught_sentences_of_the_suite(monkeypatch):
    from memagent.training.opinions import Lessons, Reading

    lessons = Lessons(1, "train", overlap=Overlap([("chat suite", "Where do I live now?")]))
    drawn = iter([Reading("where do I live now", ()), Reading("Where is my home?", ())])
    for kind in ("told", "several", "denied", "changed", "replied", "asked", "steps", "answered", "spoken"):
        monkeypatch.setattr(lessons, kind, lambda: next(drawn))
    assert lessons.draw().text == "Where is my home?"


def test_questions_of_the_composition_suite_have_no_name_to_differ_in():
    texts = composition_texts()
    assert len(texts) >= 20
    assert not any("{" in text for text in texts)
