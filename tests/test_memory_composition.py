"""Answers that follow from stored triples: inverse, symmetric, composed; with the chain; cycles end."""

import pytest

from memagent import Query, Triple
from memagent.memory import Askable, CharacterEmbedder, Memory

pytestmark = pytest.mark.databases


def answers(memory, subject, relation, target):
    return {match.answer for match in memory.match(Query(subject, relation, target))}


def test_inverse_relations_answer_for_each_other(memory):
    memory.add([Triple("Lyon", "capital of", "Gaul"), Triple("Wheel", "part of", "Car")])
    assert answers(memory, "Gaul", "capital", None) == {"Lyon"}
    assert answers(memory, None, "capital", "Lyon") == {"Gaul"}
    assert answers(memory, "Car", "has part", None) == {"Wheel"}
    (match,) = memory.match(Query("Car", "has part", None))
    assert (match.triple, match.derivation) == (Triple("Wheel", "part of", "Car"), ())


def test_symmetric_relations_answer_both_ways(memory):
    memory.add([Triple("Ann", "friend", "Bob"), Triple("Tom", "friend", "Ann")])
    assert answers(memory, "Ann", "friend", None) == answers(memory, None, "friend", "Ann") == {"Bob", "Tom"}


def test_a_composed_answer_carries_its_chain(memory):
    memory.add([Triple("Ann", "mother", "Eve", 0.9), Triple("Eve", "father", "Tom", 0.5)])
    (match,) = memory.match(Query("Ann", "grandparent", None))
    assert (match.answer, match.triple) == ("Tom", Triple("Ann", "grandparent", "Tom"))
    assert match.derivation == (Triple("Ann", "mother", "Eve"), Triple("Eve", "father", "Tom"))
    assert match.triple.confidence == pytest.approx(0.45)
    (match,) = memory.match(Query(None, "grandparent", "Tom"))
    assert (match.answer, match.triple) == ("Ann", Triple("Ann", "grandparent", "Tom"))
    assert len(memory.triples()) == 2


def test_a_composed_relation_that_is_symmetric_answers_both_ways(memory):
    memory.add([Triple("Ann", "sister", "Eve"), Triple("Ann", "brother", "Tom")])
    assert answers(memory, "Ann", "sibling", None) == answers(memory, None, "sibling", "Ann") == {"Eve", "Tom"}
    assert answers(memory, "Eve", "sibling", None) == answers(memory, None, "sibling", "Eve") == {"Ann"}
    assert Askable("sibling") in memory.askable("Eve")


def test_children_of_one_parent_are_siblings_and_nobody_is_their_own(memory):
    memory.add([Triple("Ann", "mother", "Eve"), Triple("Eve", "daughter", "Cleo")])
    assert {m.answer for m in memory.match(Query("Ann", "sibling", None))} == {"Cleo"}
    assert {m.answer for m in memory.match(Query(None, "sibling", "Ann"))} == {"Cleo"}
    assert memory.match(Query("Eve", "sibling", None)) == []


def test_rules_use_rules_and_repeated_steps(memory):
    place = "located in the administrative territorial entity"
    memory.add(
        [
            Triple("Mill", place, "Ham"),
            Triple("Ham", place, "Shire"),
            Triple("Shire", "country", "Elbonia"),
            Triple("Elbonia", "continent", "Atlantis"),
        ]
    )
    assert answers(memory, "Mill", "country", None) == {"Elbonia"}
    assert answers(memory, "Mill", "continent", None) == {"Atlantis"}
    assert len(memory.match(Query("Mill", "continent", None))[0].derivation) == 4
    assert "Mill" in answers(memory, None, "country", "Elbonia")


def test_a_stored_answer_of_a_one_valued_relation_is_not_guessed_over(memory):
    place = "located in the administrative territorial entity"
    memory.add([Triple("Mill", place, "Ham"), Triple("Ham", "country", "Elbonia"), Triple("Mill", "country", "Freedonia")])
    assert answers(memory, "Mill", "country", None) == {"Freedonia"}


def test_an_owner_is_found_from_either_side_and_two_may_own_a_kayak(memory):
    memory.add(
        [Triple("Ann", "owns", "kayak"), Triple("Bob", "owns", "kayak"), Triple("Rex", "owned by", "Bob"), Triple("Bob", "vehicle", "Fiat")]
    )
    assert answers(memory, "kayak", "owned by", None) == {"Ann", "Bob"}
    assert answers(memory, "Fiat", "owned by", None) == {"Bob"}
    assert answers(memory, "Bob", "owns", None) == {"kayak", "Rex", "Fiat"}
    memory.add([Triple("Lenda 5", "manufacturer", "Bahia")])
    assert answers(memory, "Bahia", "product or material produced", None) == {"Lenda 5"}


def test_cycles_end(memory):
    place = "located in the administrative territorial entity"
    memory.add([Triple("A1", place, "B1"), Triple("B1", place, "C1"), Triple("C1", place, "A1"), Triple("A1", "capital of", "B1")])
    for name in ("A1", "B1", "C1"):
        memory.match(Query(name, "country", None))
        memory.askable(name)


def test_rules_go_three_deep_and_no_deeper(tmp_path, memory_settings):
    file = tmp_path / "rules.toml"
    file.write_text(
        "".join(f'["r{n}"]\ncompositions = ["r{n - 1} / step", "r{n - 1}"]\n' for n in range(1, 6)) + "[r0]\n[step]\n", encoding="utf-8"
    )
    settings = memory_settings.model_copy(update={"ontology_file": file})
    with Memory.open(tmp_path / "home", settings=settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("n0", "r0", "n1")] + [Triple(f"n{k}", "step", f"n{k + 1}") for k in range(1, 8)])
        assert answers(memory, "n0", "r3", None) == {"n1", "n2", "n3", "n4"}
        assert answers(memory, "n0", "r4", None) == set()
        assert Askable("r3") in memory.askable("n0")


def test_what_has_ended_carries_no_chain(memory):
    memory.add([Triple("Ann", "mother", "Eve"), Triple("Eve", "father", "Tom")])
    memory.retract(Triple("Eve", "father", "Tom"))
    assert answers(memory, "Ann", "grandparent", None) == set()
