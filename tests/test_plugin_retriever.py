"""The retriever: what answers comes first, then what bears on the question; passages only where they are asked for."""

import pytest

from memagent import Agent, Provenance, Query, Triple
from memagent.model.seam import ScriptedModel
from memagent.plugin import TripleRetriever

BORN = Provenance("book", "Marie Curie was born in Warsaw.", 0, 31, "")
WON = Provenance("book", "Marie Curie won the Nobel Prize in Physics.", 0, 43, "")
TRIPLES = [
    Triple("Marie Curie", "place of birth", "Warsaw", provenance=(BORN,)),
    Triple("Marie Curie", "award received", "Nobel Prize in Physics", provenance=(WON,)),
    Triple("Marie Curie", "child", "Irène"),
    Triple("Bob", "residence", "Rome"),
]


def test_triples_of_what_the_question_names_those_of_the_nearest_passage_first(memory):
    memory.add(TRIPLES)
    found = TripleRetriever(memory).invoke("Was Marie Curie born in Warsaw?")
    assert found[0].page_content == "Marie Curie – place of birth – Warsaw"
    assert found[0].metadata["source"]["passage"] == BORN.passage
    assert all(document.metadata["kind"] == "triple" for document in found)
    assert "Bob – residence – Rome" not in [document.page_content for document in found]
    assert len(TripleRetriever(memory).invoke("Marie Curie", k=2)) == 2


def test_with_an_agent_the_answer_comes_first_even_a_composed_one(memory, memory_settings):
    memory.add([Triple("Ann", "mother", "Eve"), Triple("Eve", "father", "Tom")])
    question = "Who is a grandparent of Ann?"
    model = ScriptedModel(queries={question: [Query("Ann", "grandparent", None)]})
    with Agent.open(settings=memory_settings, memory=memory, model=model) as agent:
        first, second, *_ = TripleRetriever(agent).invoke(question)
    assert first.page_content == "Ann – grandparent – Tom, because Ann – mother – Eve; Eve – father – Tom"
    assert (first.metadata["answer"], len(first.metadata["derivation"])) == ("Tom", 2)
    assert second.metadata["derivation"] == []


def test_passages_stand_in_only_on_request_and_are_marked(memory):
    memory.note_passage(Provenance("talk", "The garden party begins at noon."))
    question = "When does the garden party begin?"
    assert TripleRetriever(memory).invoke(question) == []
    (document,) = TripleRetriever(memory, passages=True).invoke(question)
    assert (document.page_content, document.metadata["kind"]) == ("The garden party begins at noon.", "passage")


def test_nothing_for_nothing(memory):
    assert TripleRetriever(memory).invoke(" ") == []
    assert TripleRetriever(memory).invoke("anything?") == []
    with pytest.raises(ValueError, match="at least one"):
        TripleRetriever(memory).invoke("anything?", k=0)
    with pytest.raises(TypeError):
        TripleRetriever("a folder")
