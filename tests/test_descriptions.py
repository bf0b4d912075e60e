"""Whom "my daughter" means: one known by a name, before or afterwards; nobody where it is not clear who."""

import pytest

from memagent import Query, Triple
from memagent.agent import Agent
from memagent.agent.descriptions import called, restated
from memagent.memory import CharacterEmbedder, Memory
from memagent.model.seam import ScriptedModel

SAID = {
    "My daughter is called Juno.": [("user", "daughter", "Juno")],
    "My daughter Mia plays chess.": [("user", "daughter", "Mia"), ("Mia", "plays sport", "chess")],
    "my daughter's terrified of moths": [("my daughter", "afraid of", "moths")],
    "Tom knows my daughter.": [("Tom", "friend", "my daughter")],
    "Her name's Juno.": [("user", "daughter", "Juno")],
    "My niece likes tea.": [("My niece", "likes", "tea")],
    "My other daughter, Mia, likes tea.": [("user", "daughter", "Mia"), ("Mia", "likes", "tea")],
    "My dentist is Dr Okafor.": [("user", "doctor", "Dr Okafor")],
    "My GP hates cloves.": [("My GP", "dislikes", "cloves")],
    "My doctor hates cloves.": [("My doctor", "dislikes", "cloves")],
    "My dentist hates cloves.": [("My dentist", "dislikes", "cloves")],
    "My mother is Rosalba.": [("user", "mother", "Rosalba")],
    "Our mum takes metformin.": [("Our mum", "medication", "metformin")],
    "Mum plays chess.": [("Mum", "plays sport", "chess"), ("user", "mother", "Mum")],
    "Mom plays chess.": [("Mom", "plays sport", "chess"), ("user", "mother", "Mom")],
    "mum is 60": [("mum", "age", "60"), ("user", "mother", "mum")],
    "I love Mum.": [("user", "likes", "Mum")],
    "My boss hates cloves.": [("My boss", "dislikes", "cloves")],
    "My new boss is Ines.": [("user", "boss", "Ines")],
    "Dad plays chess.": [("Dad", "plays sport", "chess"), ("user", "father", "Dad")],
    "My mother plays chess.": [("My mother", "plays sport", "chess")],
    "My mother-in-law likes tea.": [("My mother-in-law", "likes", "tea")],
}
ASKED = {
    "daughter": "daughter", "niece": "daughter", "GP": "doctor", "doctor": "doctor", "dentist": "doctor", "mum": "mother",
    "mother-in-law": "mother",
    "mother": "mother", "dad": "father",
}  # fmt: skip


class Reader(ScriptedModel):
    """Takes "my niece" for a daughter, as a small model would."""

    def __init__(self):
        said = {text: [Triple(*names, 0.9) for names in triples] for text, triples in SAID.items()}
        owns = [(own, word) for word in ASKED for own in ("my", "our", "My", "Our")]
        super().__init__(said, {f"Who is {own} {word}?": [Query("user", ASKED[word], None)] for own, word in owns})


@pytest.fixture
def agent(memory_home, memory_settings):
    with Agent(Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()), memory_settings, Reader()) as agent:
        yield agent


def held(agent):
    return {(t.subject, t.relation, t.object) for t in agent.memory.triples()}


def test_what_is_said_of_my_daughter_is_written_of_the_one_who_is_known(agent):
    agent.remember("My daughter is called Juno.")
    (triple,) = agent.remember("my daughter's terrified of moths")
    assert (triple.subject, triple.confidence) == ("Juno", 0.9)
    (triple,) = agent.remember("Tom knows my daughter.")
    assert triple.object == "Juno"


def test_she_may_have_been_named_in_the_same_message(agent):
    agent.reply("My daughter is called Juno. Tom knows my daughter.")
    assert ("Tom", "friend", "Juno") in held(agent)


@pytest.mark.parametrize("naming", ["My daughter is called Juno.", "Her name's Juno.", "My daughter Mia plays chess."])
def test_what_was_said_before_she_is_named_is_hers(agent, naming):
    agent.reply("my daughter's terrified of moths")
    assert ("my daughter", "afraid of", "moths") in held(agent)
    agent.reply(naming)
    name = "Mia" if "Mia" in naming else "Juno"
    assert (name, "afraid of", "moths") in held(agent)
    assert agent.memory.names(name) == (name, "my daughter")


def test_naming_can_be_undone(agent):
    agent.reply("my daughter's terrified of moths")
    agent.reply("Her name's Juno.")
    agent.memory.undo()
    assert held(agent) == {("my daughter", "afraid of", "moths"), ("user", "daughter", "Juno")}


def test_one_who_is_merged_by_hand_under_the_description_stays_so(agent):
    agent.remember("my daughter's terrified of moths")
    agent.memory.add_alias("my daughter", "Juno")
    agent.remember("Her name's Juno.")
    assert agent.memory.names("Juno") == ("my daughter", "Juno")


def test_of_two_neither_is_meant(agent):
    agent.remember("My daughter is called Juno.")
    agent.remember("My daughter Mia plays chess.")
    agent.remember("my daughter's terrified of moths")
    assert ("my daughter", "afraid of", "moths") in held(agent)


def test_another_one_is_not_her(agent):
    agent.reply("my daughter's terrified of moths")
    agent.reply("My other daughter, Mia, likes tea.")
    assert ("my daughter", "afraid of", "moths") in held(agent)


def test_nobody_is_taken_for_one_who_was_called_otherwise(agent):
    agent.remember("My daughter is called Juno.")
    agent.remember("My niece likes tea.")
    agent.remember("My dentist is Dr Okafor.")
    agent.remember("My GP hates cloves.")
    agent.remember("My doctor hates cloves.")
    assert {s for s, r, _ in held(agent) if r in ("likes", "dislikes")} == {"My niece", "My GP", "My doctor"}
    agent.remember("My dentist hates cloves.")
    assert ("Dr Okafor", "dislikes", "cloves") in held(agent)


def test_of_whom_there_is_but_one_any_word_for_it_will_do(agent):
    agent.remember("My mother is Rosalba.")
    agent.remember("Our mum takes metformin.")
    agent.remember("My mother-in-law likes tea.")
    assert {("Rosalba", "medication", "metformin"), ("My mother-in-law", "likes", "tea")} <= held(agent)


def test_of_whom_there_is_but_one_who_has_no_name_yet_any_word_will_do_too(agent):
    agent.remember("Our mum takes metformin.")
    assert agent.remember("My mother plays chess.")[0].subject.casefold() == "our mum"
    assert restated(agent.memory, "What does my mother take, and our dad?", "user").casefold() == "what does our mum take, and our dad?"
    assert restated(agent.memory, "Does my sister take it?", "user") == "Does my sister take it?"
    agent.remember("My mother is Rosalba.")


@pytest.mark.parametrize("first", ["Mum plays chess.", "Our mum takes metformin.", "My mother plays chess."])
def test_mum_and_my_mother_are_one_and_get_her_name_whenever_it_is_said(agent, first):
    rest = [text for text in ("Mum plays chess.", "Our mum takes metformin.", "My mother plays chess.") if text != first]
    for text in (first, *rest):
        agent.reply(text)
    assert len({s for s, r, _ in held(agent) if r in ("plays sport", "medication")}) == 1
    for text in ("My niece likes tea.", "Tom knows my daughter.", "My GP hates cloves.", "My mother is Rosalba."):
        agent.reply(text)
    assert {(s, r) for s, r, _ in held(agent) if s not in ("user", "Tom") and r in ("plays sport", "medication")} == {
        ("Rosalba", "plays sport"),
        ("Rosalba", "medication"),
    }


def test_one_who_is_known_by_name_may_be_called_like_a_name(agent):
    agent.remember("My mother is Rosalba.")
    agent.remember("Mum plays chess.")
    assert ("Rosalba", "plays sport", "chess") in held(agent)
    assert restated(agent.memory, "What does Mum play?", "user") == "What does my mum play?"
    assert restated(agent.memory, "What did Mother Teresa play, and Dad?", "user") == "What did Mother Teresa play, and Dad?"


def test_my_dad_is_the_one_who_is_called_dad(agent):
    agent.remember("Dad plays chess.")
    assert restated(agent.memory, "What does my father play?", "user") == "What does Dad play?"
    assert ("user", "father", "Dad") in held(agent)


def test_a_word_that_is_hers_already_is_not_merged_again(agent):
    agent.reply("Mum plays chess.")
    agent.reply("mum is 60")
    assert {s.casefold() for s, r, _ in held(agent) if r in ("plays sport", "age")} == {"mum"}
    agent.memory.add_alias("Mum", "Rosalba")
    agent.reply("My mother is Rosalba.")
    assert set(agent.memory.names("Rosalba")) == {"Mum", "mum", "Rosalba"}


def test_whom_others_told_of_and_what_does_not_live_are_not_the_mother(agent):
    agent.memory.add([Triple("Mother", "director", "Bong Joon-ho")])
    agent.reply("Mum plays chess.", speaker="Ann")
    agent.remember("My mother is Rosalba.")
    assert {("Mother", "director", "Bong Joon-ho"), ("Mum", "plays sport", "chess"), ("user", "mother", "Rosalba")} <= held(agent)
    assert restated(agent.memory, "What does my mother play?", "user") == "What does my mother play?"


def test_a_new_boss_is_not_the_one_of_before(agent):
    agent.reply("My boss hates cloves.")
    for text in ("My niece likes tea.", "Tom knows my daughter.", "My GP hates cloves.", "My new boss is Ines."):
        agent.reply(text)
    assert ("My boss", "dislikes", "cloves") in held(agent)


@pytest.mark.parametrize(
    "text",
    [
        "What does Anna's Dad play?",
        "Who is the Father of physics?",
        "When is Father's Day?",
        "Does Father Brown play?",
        "What does my PA play?",
        "What does my father-in-law play?",
        "What does pa play, Tom?",
    ],
)
def test_other_uses_of_the_word_are_left_alone(agent, text):
    agent.remember("Dad plays chess.")
    assert restated(agent.memory, text, "user") == text


def test_in_small_letters_the_word_is_one_too(agent):
    agent.remember("Dad plays chess.")
    assert restated(agent.memory, "what does papa play?", "user") == "what does Dad play?"
    assert restated(agent.memory, "what does dad play?", "user") == "what does Dad play?"


def test_the_word_is_of_the_named_mother_though_the_model_cannot_read_it(agent):
    agent.remember("My mother is Rosalba.")
    agent.remember("Mom plays chess.")
    assert held(agent) == {("user", "mother", "Rosalba"), ("Rosalba", "plays sport", "chess")}


def test_what_is_said_to_mum_is_of_the_one_who_is_known_as_our_mum(agent):
    agent.remember("Our mum takes metformin.")
    agent.remember("I love Mum.")
    assert {(s, r, o.casefold()) for s, r, o in held(agent) if r == "likes"} == {("user", "likes", "our mum")}


def test_running_text_has_no_speaker_to_mean_anybody(agent):
    agent.remember("My daughter is called Juno.")
    list(agent.remember_events("my daughter's terrified of moths", speaker=""))
    assert ("my daughter", "afraid of", "moths") in held(agent)


@pytest.mark.parametrize(
    ("name", "word"), [("my daughter", "daughter"), ("Our piano teacher", "piano teacher"), ("Myra", ""), ("Dad", ""), ("ours", "")]
)
def test_a_description_is_by_what_it_is_the_speakers(name, word):
    assert called(name) == word
