"""What is written is found: exactly, by other spellings, by near names; and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memagent import Match, Provenance, Query, Settings, Triple
from memagent.errors import InvalidInput, OntologyError
from memagent.memory import Askable, CharacterEmbedder, Counts, Memory
from memagent.memory.spelling import edits, slips

pytestmark = pytest.mark.databases("sqlite", "postgresql", "servers")

SENTENCE = Provenance("chat", "Marie Curie was born in Warsaw.", 0, 31, "user")


def answers(memory: Memory, subject: str | None, relation: str, target: str | None) -> list[str]:
    return [match.answer for match in memory.match(Query(subject, relation, target))]


def test_a_triple_is_found_from_both_sides_with_its_sentence(memory):
    stored = memory.add([Triple("Marie Curie", "place of birth", "Warsaw", 0.9, provenance=(SENTENCE,))])
    assert stored == [Triple("Marie Curie", "place of birth", "Warsaw")]
    expected = Match(stored[0], 1.0, "Warsaw")
    assert memory.match(Query("Marie Curie", "place of birth", None)) == [expected]
    (match,) = memory.match(Query(None, "place of birth", "Warsaw"))
    assert (match.answer, match.provenance, match.triple.confidence) == ("Marie Curie", (SENTENCE,), 0.9)


def test_triples_come_back_under_canonical_names(memory):
    memory.add([Triple("Besançon", "country", "France")])
    (stored,) = memory.add([Triple("besancon", "located in", "the Doubs")])
    assert (stored.subject, stored.relation, stored.object) == ("Besançon", "located in the administrative territorial entity", "the Doubs")
    assert memory.count() == Counts(triples=2, entities=3, relations=2, passages=0)


def test_writing_again_adds_sources_not_duplicates(memory):
    again = Provenance("book", "Curie, a native of Warsaw", 0, 5)
    memory.add([Triple("Marie Curie", "born in", "Warsaw", 0.5, provenance=(SENTENCE,))])
    memory.add([Triple("marie curie", "birthplace", "Warsaw", 0.8, provenance=(again, SENTENCE))])
    (triple,) = memory.triples()
    assert triple.provenance == (SENTENCE, again)
    assert triple.confidence == 0.8
    assert memory.count().passages == 2


def test_a_known_name_is_taken_at_its_word(memory):
    memory.add([Triple("Anna Meyer", "residence", "Oslo"), Triple("Anna Maier", "friend", "Bob")])
    assert answers(memory, "Anna Maier", "residence", None) == []
    assert answers(memory, "Anna Meyer", "place of birth", None) == []


def test_a_name_never_written_is_replaced_by_near_ones(memory):
    memory.add([Triple("Zorblax Quimby", "position held", "mayor"), Triple("Fenwick Hollow", "country", "Elbonia")])
    (match,) = memory.match(Query("Zorblax Quimbly", "position held", None))
    assert match.answer == "mayor"
    assert 0.7 < match.score < 1.0
    assert answers(memory, "Bob", "position held", None) == []


def test_a_slip_means_the_name_that_is_nearest_in_spelling(memory):
    """Not its like, which is as near by its vector."""
    for name in ("Eve Quimby Cube", "Eve Quimbly Cube", "Eve Quimby Cubes"):
        memory.add([Triple(name, "likes", f"the tea of {name}")])
    assert answers(memory, "Eve Quimby Cuube", "likes", None) == ["the tea of Eve Quimby Cube"]
    assert len(answers(memory, "Eve Quimby Cubex", "likes", None)) == 2  # as near to either
    assert set(answers(memory, "Eve Quimby Cube Eve Quimby", "likes", None)) >= {"the tea of Eve Quimby Cube"}


@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edits_are_counted_as_in_the_usual_table(one, other):
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row = row, [place]
        for before, meant in enumerate(other):
            row.append(min(above[before] + (letter != meant), above[before + 1] + 1, row[before] + 1))
    assert edits(one, other) == row[-1]
    for most in range(4):
        assert slips(one, other, most) == (row[-1] if row[-1] <= most else None)


def test_a_name_with_another_number_is_not_near(memory):
    memory.add([Triple("flight number 1011 to Reykjavik", "departure time", "9 am")])
    assert answers(memory, "flight number 1011 to Reykjavík!!", "departure time", None) == ["9 am"]
    assert answers(memory, "flight number 1012 to Reykjavik", "departure time", None) == []


def test_an_unknown_relation_is_replaced_by_near_ones(memory):
    memory.add([Triple("Anna", "place of birth", "Oslo"), Triple("Anna", "hobby", "chess")])
    assert answers(memory, "Anna", "the place of birth", None) == ["Oslo"]
    assert answers(memory, "Anna", "zzz qqq xxx", None) == []


def test_no_more_than_the_limit_and_newest_first(memory):
    memory.add([Triple("Anna", "likes", f"thing {number}") for number in range(40)])
    assert answers(memory, "Anna", "likes", None) == [f"thing {number}" for number in range(39, 9, -1)]
    assert len(memory.match(Query("Anna", "likes", None), limit=3)) == 3
    with pytest.raises(InvalidInput):
        memory.match(Query("Anna", "likes", None), limit=0)


def test_listing_pages_through_what_holds_now(memory):
    memory.add([Triple("Anna", "likes", f"thing {number}") for number in range(5)])
    memory.add([Triple("Bob", "likes", "Anna")])
    assert [triple.object for triple in memory.triples(limit=2, offset=1)] == ["thing 4", "thing 3"]
    assert [triple.object for triple in memory.triples(limit=1, newest_first=False)] == ["thing 0"]
    assert [triple.subject for triple in memory.triples(entity="thing 3")] == ["Anna"]
    assert len(memory.triples(entity="anna")) == 6
    assert memory.triples(entity="nobody") == []


def test_mentions_are_the_longest_known_names_whatever_the_case(memory):
    memory.add([Triple("New York", "part of", "New York State"), Triple("Zoë", "likes", "C++"), Triple("東京", "country", "Japan")])
    text = "Does zoe write c++ in new york state, or in NEW  YORK? 東京都"
    assert [(m.name, text[m.start : m.end]) for m in memory.mentions(text)] == [
        ("Zoë", "zoe"),
        ("C++", "c++"),
        ("New York State", "new york state"),
        ("New York", "NEW  YORK"),
        ("東京", "東京"),
    ]
    assert memory.mentions("") == []


def test_askable_is_what_match_answers(memory):
    memory.add(
        [
            Triple("Lyon", "capital of", "Gaul"),
            Triple("Ann", "spouse", "Bob"),
            Triple("Ann", "mother", "Eve"),
            Triple("Eve", "father", "Tom"),
        ]
    )
    assert memory.askable("Gaul") == [Askable("capital"), Askable("capital of", inverse=True), Askable("country", inverse=True)]
    assert set(memory.askable("Bob")) == {Askable("spouse")}
    assert Askable("grandparent") in memory.askable("Ann")
    assert Askable("grandparent", inverse=True) in memory.askable("Tom")
    assert memory.askable("nobody") == []
    for entity in ("Gaul", "Lyon", "Ann", "Bob", "Eve", "Tom"):
        for asked in memory.askable(entity):
            assert memory.match(asked.query(entity)), (entity, asked)


def test_new_relations_are_kept_or_refused(memory, memory_settings, tmp_path):
    (kept,) = memory.add([Triple("Anna", "owes money to", "Bob")])
    assert kept.relation == "owes money to"
    assert memory.relation("Owes  Money To") == "owes money to"
    assert memory.relation("place of births") == "place of birth"  # said otherwise; by its vector
    closed = memory_settings.model_copy(update={"ontology": "closed"})
    with Memory.open(tmp_path / "closed", namespace="closed", settings=closed, embedder=CharacterEmbedder()) as other:
        with pytest.raises(OntologyError, match="owes money to"):
            other.add([Triple("Anna", "likes", "tea"), Triple("Anna", "owes money to", "Bob")])
        assert other.count() == Counts()


def test_new_relations_spelt_alike_are_one(memory, tmp_path):
    """In one call, or in a file; otherwise only the last would be found by its name."""
    memory.add([Triple("Anna", "owes money to", "Bob"), Triple("Anna", "Owes  Money To", "Tom")])
    assert answers(memory, "Anna", "owes MONEY to", None) == ["Tom", "Bob"]
    memory.export(tmp_path / "all.jsonl")
    other = memory.in_namespace("other")
    other.add([Triple("Eve", "OWES money to", "Bob")])
    other.import_(tmp_path / "all.jsonl")
    assert {match.triple.subject for match in other.match(Query(None, "owes money to", "Bob"))} == {"Anna", "Eve"}
    assert memory.count().relations == other.count().relations == 1


def test_passages_are_kept_once_and_found_by_likeness(memory):
    memory.add([Triple("Marie Curie", "born in", "Warsaw", provenance=(SENTENCE,))])
    memory.note_passage(Provenance("chat", "How are you today?"))
    memory.note_passage(Provenance("other", "Something else entirely."))
    assert memory.recent_passages(5, source="chat") == [SENTENCE.passage, "How are you today?"]
    assert memory.recent_passages(1) == ["Something else entirely."]
    memory.note_passage(Provenance("chat", SENTENCE.passage))
    assert memory.recent_passages(1) == [SENTENCE.passage]
    assert memory.count().passages == 3
    best = memory.passages("Where was Marie Curie born?", k=1)
    assert [(match.text, match.source) for match in best] == [(SENTENCE.passage, "chat")]
    assert memory.passages("  ") == []


def test_adding_nothing_changes_nothing(memory):
    assert memory.add([]) == []
    memory.add([Triple("Anna", "likes", "tea")])
    before = memory.history()
    memory.add([Triple("Anna", "likes", "tea")])
    assert memory.history() == before


def test_a_passage_that_is_no_text_is_refused(memory):
    for passage in ("\x00", "\ud800", "x" * 100_001):
        with pytest.raises(InvalidInput):
            memory.add([Triple("Anna", "likes", "tea", provenance=(Provenance("chat", passage),))])
    assert memory.count() == Counts()


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEMAGENT_NAMESPACE", "anna")
    with Memory.open(settings=Settings(_env_file=None)) as opened:
        assert (opened.home, opened.namespace) == (tmp_path / "home", "anna")


def test_a_person_is_found_by_a_part_of_the_name(memory):
    memory.add([Triple("Anna Lund", "residence", "Oslo"), Triple("user", "sister", "Dr. Marie Skłodowska-Curie")])
    memory.add([Triple("Dr. Marie Skłodowska-Curie", "age", "34")])
    assert answers(memory, "Anna", "residence", None) == answers(memory, "lund", "residence", None) == ["Oslo"]
    assert answers(memory, "Curie", "age", None) == answers(memory, "Marie", "age", None) == ["34"]
    assert answers(memory, None, "sister", "Marie") == ["user"]
    assert Askable("residence") in memory.askable("Anna")
    assert answers(memory, "Skłodowska", "age", None) == answers(memory, "Dr", "age", None) == []


def test_a_part_of_two_names_is_nobodys(memory):
    memory.add([Triple("Anna Lund", "residence", "Oslo"), Triple("Anna Berg", "residence", "Bergen")])
    assert answers(memory, "Anna", "residence", None) == memory.askable("Anna") == []
    assert answers(memory, "Berg", "residence", None) == ["Bergen"]
    assert memory.mentions("Where does Anna live?") == []


def test_only_people_and_groups_are_named_by_a_part(memory):
    memory.add([Triple("University of Oslo", "inception", "1811"), Triple("Anna Lund Bakery", "country", "Norway")])
    assert answers(memory, "Oslo", "inception", None) == answers(memory, "Anna", "country", None) == []
    memory.add([Triple("Anna Lund", "residence", "Bergen")])  # the bakery does not make "Anna" anybody else's
    assert answers(memory, "Anna", "residence", None) == ["Bergen"]


def test_a_group_by_a_part_of_its_name(memory):
    memory.add([Triple("Harrow Otters", "home venue", "Dunmore Park"), Triple("University of Oslo", "headquarters location", "Blindern")])
    assert answers(memory, "the Otters", "home venue", None) == answers(memory, "Harrow", "home venue", None) == ["Dunmore Park"]
    assert answers(memory, "Oslo", "headquarters location", None) == []
    assert [m.name for m in memory.mentions("Where do the Otters play?")] == ["Harrow Otters"]
    assert memory.mentions("where do otters live?") == []
    memory.add([Triple("Otters Lane", "length", "2 km")])  # now nobody knows which is meant
    assert answers(memory, "Otters", "home venue", None) == []
    memory.add([Triple("Harrow", "head coach", "Bellini")])
    assert answers(memory, "Harrow Otters", "head coach", None) == ["Bellini"]


def test_a_short_name_of_its_own_and_the_whole_one_answer_for_each_other(memory):
    memory.add([Triple("Anna Lund", "residence", "Oslo"), Triple("Anna", "pet", "Rex"), Triple("Anna", "residence", "Bergen")])
    assert answers(memory, "Anna Lund", "pet", None) == ["Rex"]
    assert (answers(memory, "Anna", "residence", None), answers(memory, "Anna Lund", "residence", None)) == (["Bergen"], ["Oslo"])
    memory.add([Triple("Anna Berg", "residence", "Moss")])  # now nobody knows which Anna has the dog
    assert answers(memory, "Anna Lund", "pet", None) == []


def test_mentions_by_a_part_of_the_name(memory):
    memory.add([Triple("Anna Lund", "residence", "Oslo"), Triple("Will Page", "residence", "York"), Triple("Oslo", "country", "Norway")])

    def named(text: str) -> list[tuple[str, str]]:
        return [(text[m.start : m.end], m.name) for m in memory.mentions(text)]

    assert named("Anna left Oslo with Lund's page.") == [("Anna", "Anna Lund"), ("Oslo", "Oslo"), ("Lund", "Anna Lund")]
    assert named("will anna come") == [("will", "Will Page"), ("anna", "Anna Lund")]
    assert named("Anna Lund will come") == [("Anna Lund", "Anna Lund")]


def test_mentions_without_title_or_company_form(memory):
    memory.add([Triple("Dr. Petra Holm", "employer", "Acme Ltd."), Triple("The Lantern", "owned by", "Mr. Wu")])
    said = "Does Petra Holm still work at Acme? Who is Wu?"
    assert [(said[m.start : m.end], m.name) for m in memory.mentions(said)] == [
        ("Petra Holm", "Dr. Petra Holm"),
        ("Acme", "Acme Ltd."),
        ("Wu", "Mr. Wu"),
    ]


def test_what_is_no_proper_name_has_no_parts(memory):
    memory.add([Triple("my sister", "residence", "Oslo"), Triple("Anna's Mum", "residence", "Rome"), Triple("Rex Harrison", "age", "60")])
    memory.add([Triple("user", "pet", "Rex"), Triple("Sammy Davis Jr.", "residence", "Reno")])
    assert answers(memory, "My", "residence", None) == answers(memory, "sister", "residence", None) == []
    assert answers(memory, "Anna", "residence", None) == answers(memory, "jr", "residence", None) == []
    assert answers(memory, "Rex", "age", None) == []  # he is a dog, and known
    assert answers(memory, "Davis", "residence", None) == ["Reno"]
    assert memory.mentions("where does my brother live?") == []


def test_words_run_together_are_no_mention(memory):
    memory.add([Triple("Iran", "capital", "Tehran"), Triple("Togo", "capital", "Lomé")])
    assert memory.mentions("I ran five miles. To go there took an hour.") == []
    memory.add([Triple("Marie Curie", "residence", "Paris")])
    assert [m.name for m in memory.mentions("The Curie family")] == ["Marie Curie"]


def test_a_new_relation_makes_nobody_less_of_a_person(memory_home, memory_settings):
    settings = memory_settings.model_copy(update={"ontology": "open"})
    with Memory.open(memory_home, settings=settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna Lund", "age", "34"), Triple("Anna Lund", "zodiac sign", "Leo")])
        assert answers(memory, "Anna", "age", None) == ["34"]


def test_parts_of_names_stay_in_their_namespace(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna Lund", "residence", "Oslo")])
    with Memory.open(memory_home, namespace="other", settings=memory_settings, embedder=CharacterEmbedder()) as memory:
        memory.add([Triple("Anna Berg", "residence", "Moss")])
        assert answers(memory, "Anna", "residence", None) == ["Moss"]
        assert answers(memory, "Lund", "residence", None) == []


def test_a_word_of_very_many_names_is_nobodys(memory):
    memory.add([Triple(f"Anna Lund{letter}", "country", "Norway") for letter in "abcdefghijklmnopqrstuvwxyz"])
    memory.add([Triple("Anna Berg", "residence", "Moss")])
    assert answers(memory, "Anna", "residence", None) == []
    assert answers(memory, "Berg", "residence", None) == ["Moss"]


def test_a_form_of_address_before_a_part_of_the_name(memory):
    memory.add([Triple("Captain Rurik Holm", "residence", "Moss"), Triple("Old Mr Tjandra", "residence", "Oslo")])
    said = "Where do Captain Holm and Mr Tjandra live, Madame Holm?"
    assert [said[m.start : m.end] for m in memory.mentions(said)] == ["Captain Holm", "Mr Tjandra", "Madame Holm"]
    assert answers(memory, "Captain Holm", "residence", None) == answers(memory, "Mayor Holm", "residence", None) == ["Moss"]
    assert answers(memory, "Petra Holm", "residence", None) == []
