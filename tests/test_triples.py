"""The values: equal by their names, stripped, and never illegal."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memagent import Match, Provenance, Query, Triple
from memagent.errors import InvalidInput
from memagent.triples import MAX_NAME, check_name

BAD_NAMES = ["", " \t\n", "x" * (MAX_NAME + 1), "a\0b", "half \ud83d"]


def test_triples_are_equal_when_their_names_are():
    source = Provenance("chat", "Anna lives in Oslo.", 0, 19)
    sure = Triple("Anna", "residence", "Oslo", 0.9, valid_from="2014", provenance=(source,))
    assert sure == Triple(" Anna ", "residence", "Oslo\n")
    assert len({sure, Triple("Anna", "residence", "Oslo", 0.1)}) == 1
    assert sure != Triple("Oslo", "residence", "Anna")
    assert Triple("Anna", "residence", "Oslo").with_provenance(source).provenance == (source,)


@pytest.mark.parametrize("bad", [*BAD_NAMES, None, 7])
@pytest.mark.parametrize("place", ["subject", "relation", "object"])
def test_an_illegal_name_cannot_stand_in_a_triple(place, bad):
    with pytest.raises(InvalidInput, match=place):
        Triple(**{"subject": "a", "relation": "b", "object": "c", place: bad})


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan")])
def test_confidence_is_a_probability(confidence):
    with pytest.raises(InvalidInput, match="confidence"):
        Triple("a", "b", "c", confidence)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_a_name_is_kept_but_for_outer_white_space(name):
    if not name.strip():
        with pytest.raises(InvalidInput, match="empty"):
            check_name(name, "name")
    else:
        assert check_name(name, "name") == name.strip()
        assert check_name(check_name(name, "name"), "name") == name.strip()


def test_the_longest_name_is_a_name():
    assert Triple("x" * MAX_NAME, "r", " y " * 1).subject == "x" * MAX_NAME


def test_a_query_has_exactly_one_unknown_side():
    assert Query("Anna", "residence", None).known == "Anna"
    assert Query(None, "residence", " Oslo ").known == "Oslo"
    for sides in (("Anna", "Oslo"), (None, None)):
        with pytest.raises(InvalidInput, match="exactly one unknown"):
            Query(sides[0], "residence", sides[1])
    for bad in BAD_NAMES:
        with pytest.raises(InvalidInput):
            Query(bad, "residence", None)
        with pytest.raises(InvalidInput):
            Query("Anna", bad, None)


def test_values_do_not_change():
    triple = Triple("a", "b", "c")
    with pytest.raises(FrozenInstanceError):
        triple.subject = "d"  # type: ignore[misc]
    with pytest.raises(InvalidInput):
        replace(triple, object=" ")


def test_a_derived_match_has_the_sources_of_its_steps():
    one, two = Provenance("a"), Provenance("b")
    steps = (Triple("Anna", "mother", "Berit", provenance=(one,)), Triple("Berit", "mother", "Cleo", provenance=(two,)))
    assert Match(Triple("Anna", "grandmother", "Cleo"), 1.0, "Cleo", steps).provenance == (one, two)
    assert Match(steps[0], 1.0, "Berit").provenance == (one,)
    assert Match(Triple("a", "b", "c"), 1.0, "c").provenance == ()
