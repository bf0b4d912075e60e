"""Which names are one entity: linking by spelling, measured on pairs; merging and splitting by hand."""

import pytest

from evals import linking
from memagent import Query, Triple
from memagent.errors import InvalidInput
from memagent.memory.spelling import key, loose

pytestmark = pytest.mark.databases

# The same, written otherwise. Those marked False are missed on purpose: spelling alone cannot tell them from another's name.
SAME = [
    ("Besançon", "Besancon", True),
    ("Marie Skłodowska-Curie", "marie sklodowska curie", True),
    ("The Beatles", "Beatles", True),
    ("U.S.", "US", True),
    ("U.S.A.", "USA", True),
    ("Dr. Ines Okafor", "Ines Okafor", True),
    ("Prof. Dr. Ines Okafor", "ines okafor", True),
    ("Curie, Marie", "Marie Curie", True),
    ("J. R. R. Tolkien", "J.R.R. Tolkien", True),
    ("Acme Inc.", "ACME", True),
    ("Siemens AG", "Siemens", True),
    ("Øresund", "Oresund", True),
    ("Straße", "strasse", True),
    ("New\u00a0York", "new  york", True),
    ("O’Brien", "O'Brien", True),
    ("12 May 1987", "12 may 1987", True),
    ("ﬁne print", "fine print", True),
    ("Москва", "МОСКВА", True),
    ("M. Curie", "Marie Curie", False),
    ("Bob", "Robert", False),
    ("1 May 2020", "May 1, 2020", False),
    ("Curie", "Marie Curie", False),
]
DIFFERENT = [
    ("Anna Meyer", "Anna Maier"),
    ("Anna Meyer", "Hanna Meyer"),
    ("John Smith", "Joan Smith"),
    ("John Smith", "John Smyth"),
    ("Dr. Curie", "Curie"),
    ("Martin Luther King Sr.", "Martin Luther King Jr."),
    ("George Bush", "George W. Bush"),
    ("Apollo 11", "Apollo 1-1"),
    ("Apollo 11", "Apollo 12"),
    ("1 May 2020", "1 May 2021"),
    ("12 May", "May"),
    ("5", "-5"),
    ("1.5", "15"),
    ("1 11", "11 1"),
    ("C", "C++"),
    ("C", "C#"),
    ("Paris", "Paris Hilton"),
    ("New York", "New York City"),
    ("Iran", "Iraq"),
    ("Austria", "Australia"),
    ("Mr. Wong", "Mrs. Wong"),
    ("Lady Gaga", "Gaga"),
    ("Doctor Who", "Who"),
    ("Company", "Limited Company"),
    ("कि", "कु"),
    ("東京", "京都"),
    ("+", "-"),
    ("!!!", "???"),
    ("Henry IV", "Henry V"),
    ("Queen", "Queens"),
]  # fmt: skip


def one_entity(memory, first: str, second: str) -> bool:
    memory.add([Triple(first, "likes", "x0"), Triple(second, "likes", "y0")])
    names = memory.names(first)
    return second in names or first == second


@pytest.mark.parametrize(("first", "second", "found"), SAME)
def test_other_spellings_are_linked(memory, first, second, found):
    assert one_entity(memory, first, second) is found


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_different_names_stay_apart(memory, first, second):
    assert not one_entity(memory, first, second)
    assert not one_entity(memory.in_namespace("turned"), second, first)


@pytest.mark.databases("sqlite")
def test_false_merges_and_missed_links_are_rare(tmp_path):
    """Of nearly a million pairs of different names (`python -m evals.linking`)."""
    results = linking.measure(tmp_path)
    different, same = sum(each.kind.pairs for each in results), sum(len(each.kind.same) for each in results if each.kind.spelling)
    assert different > 900_000
    assert sum(each.merged for each in results) / (2 * different) < 0.005
    assert sum(each.missed for each in results if each.kind.spelling) / (2 * same) < 0.05


def test_a_false_merge_and_a_missed_link_are_counted(memory):
    kind = linking.Kind("wrong", same=(("Bob", "Robert"), ("Besançon", "Besancon")), different=("Acme Inc.", "ACME", "acme ltd", "Bolt"))
    result = linking.linked(memory, kind)
    assert (result.merged, result.missed) == (6, 2)


def test_a_loose_spelling_of_two_entities_is_neither(memory):
    memory.add([Triple("Acme Inc.", "likes", "x"), Triple("Anna", "likes", "y")])
    memory.add_alias("Anna", "Acme Ltd.")
    memory.split("Anna", ["Acme Ltd."])
    memory.add([Triple("Acme GmbH", "likes", "z")])
    assert memory.names("Acme GmbH") == ("Acme GmbH",)


def test_keys_are_never_empty():
    for name in ("!!!", "the", "The", "a", "Dr.", "Inc.", ".", "\u0301", "_", "«»", "Mr. Dr.", ", ,"):
        assert key(name)
        assert loose(name)


def test_merging_gives_one_entity_under_the_first_name(memory):
    memory.add([Triple("Bob", "likes", "tea"), Triple("Robert", "likes", "coffee"), Triple("Ann", "friend", "Robert")])
    assert memory.merge("Bob", "Robert").names == ("Robert",)
    assert memory.names("robert") == ("Bob", "Robert")
    assert {match.answer for match in memory.match(Query("Robert", "likes", None))} == {"tea", "coffee"}
    assert [match.answer for match in memory.match(Query("Ann", "friend", None))] == ["Bob"]
    assert memory.count().entities == 4
    with pytest.raises(InvalidInput, match="one entity already"):
        memory.merge("Robert", "Bob")


def test_the_same_triple_of_two_merged_entities_is_one_match(memory):
    memory.add([Triple("Bob", "likes", "tea"), Triple("Robert", "likes", "tea")])
    memory.merge("Bob", "Robert")
    assert memory.match(Query("Bob", "likes", None))[0].triple == Triple("Bob", "likes", "tea")
    assert len(memory.match(Query("Bob", "likes", None))) == len(memory.triples()) == 1


def test_splitting_takes_the_triples_written_under_the_name(memory):
    memory.add([Triple("Paris", "country", "France"), Triple("PARIS", "mother", "Hecuba")])
    change = memory.split("Paris", ["PARIS"])
    assert (change.kind, change.names) == ("split", ("PARIS",))
    assert [match.answer for match in memory.match(Query("PARIS", "mother", None))] == ["Hecuba"]
    assert memory.match(Query("Paris", "mother", None)) == []
    memory.undo()
    assert [match.answer for match in memory.match(Query("Paris", "mother", None))] == ["Hecuba"]


def test_the_canonical_name_can_be_split_off(memory):
    memory.add([Triple("Paris", "country", "France"), Triple("PARIS", "mother", "Hecuba")])
    memory.split("Paris", ["Paris"])
    assert (memory.names("Paris"), memory.names("PARIS")) == (("Paris",), ("PARIS",))
    assert [match.answer for match in memory.match(Query("Paris", "country", None))] == ["France"]
    memory.undo()
    assert memory.names("PARIS") == ("Paris", "PARIS")


def test_a_split_that_cannot_be_is_refused(memory):
    memory.add([Triple("Anna", "likes", "tea")])
    for names in ([], ["Anna"], ["Bob"]):
        with pytest.raises(InvalidInput):
            memory.split("Anna", names)
    with pytest.raises(InvalidInput, match="nobody"):
        memory.split("nobody", ["x"])


def test_an_alias_names_the_entity_and_no_other(memory):
    memory.add([Triple("Robert", "likes", "tea"), Triple("Ann", "likes", "jazz")])
    memory.add_alias("Robert", "Bobby")
    assert [match.answer for match in memory.match(Query("bobby", "likes", None))] == ["tea"]
    assert [mention.name for mention in memory.mentions("Bobby is here")] == ["Robert"]
    for taken in ("Ann", "Robert"):
        with pytest.raises(InvalidInput, match="already names"):
            memory.add_alias("Robert", taken)
