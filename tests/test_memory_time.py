"""When a triple holds, when we believed it, and by which one rule a newer one ends an older."""

import random
from datetime import UTC, datetime

import pytest

from memagent import Provenance, Query, Triple
from memagent.errors import InvalidInput
from memagent.memory import AsOf
from memagent.memory.moments import after_moment, first_moment

pytestmark = pytest.mark.databases


def capital(memory, **as_of):
    view = memory.as_of(**as_of) if as_of else memory
    return [match.answer for match in view.match(Query("Germany", "capital", None))]


def test_a_newer_value_of_a_one_valued_relation_supersedes_and_keeps_the_older(memory):
    memory.add([Triple("Germany", "capital", "Bonn")])
    before = datetime.now(UTC)
    memory.add([Triple("Germany", "capital", "Berlin")])
    assert capital(memory) == ["Berlin"]
    assert capital(memory, recorded=before) == ["Bonn"]
    assert capital(memory, valid="1980") == ["Bonn"]
    (ended,) = memory.history(Triple("Germany", "capital", "Bonn"))[-1].ended
    assert ended.object == "Bonn"


def test_given_dates_decide(memory):
    memory.add([Triple("Germany", "capital", "Bonn", valid_from="1949")])
    memory.add([Triple("Germany", "capital", "Berlin", valid_from="3 October 1990")])
    assert capital(memory) == ["Berlin"]
    assert capital(memory, valid="1948") == []
    assert capital(memory, valid="1970-05") == ["Bonn"]
    assert capital(memory, valid="2 October 1990") == ["Bonn"]
    assert capital(memory, valid="1990-10-03") == ["Berlin"]
    (bonn,) = [triple for triple in memory.as_of(valid="1980").triples() if triple.object == "Bonn"]
    assert (bonn.valid_from, bonn.valid_to) == ("1949", "3 October 1990")


def test_what_is_told_late_goes_before_what_is_known(memory):
    memory.add([Triple("Germany", "capital", "Berlin", valid_from="1990")])
    memory.add([Triple("Germany", "capital", "Bonn", valid_from="1949")])
    memory.add([Triple("Germany", "capital", "Weimar", valid_to="1919")])
    assert capital(memory) == ["Berlin"]
    assert capital(memory, valid="1960") == ["Bonn"]
    assert capital(memory, valid="1918") == ["Weimar"]


def test_what_begins_later_does_not_hold_yet(memory):
    memory.add([Triple("Germany", "capital", "Berlin")])
    memory.add([Triple("Germany", "capital", "Moonbase", valid_from="2999")])
    assert capital(memory) == ["Berlin"]
    assert capital(memory, valid="3000") == ["Moonbase"]


def test_only_what_has_not_ended_is_counted(memory):
    told = (("Oslo", None), ("Rome", "1999"), ("Paris", "2999"))
    memory.add([Triple("Anna", "visited", place, valid_to=end) for place, end in told])
    assert memory.count().triples == len(memory.triples()) == 2
    memory.add([Triple("Anna", "visited", "Oslo", valid_to="2001"), Triple("Bob", "visited", "Oslo")])
    assert memory.count().triples == len(memory.triples()) == 2
    memory.retract(Triple("Bob", "visited", "Oslo"))
    assert memory.count().triples == len(memory.triples()) == 1
    memory.undo()
    assert memory.count().triples == len(memory.triples()) == 2
    memory.retract(Triple("Anna", "visited", "Paris"))
    assert memory.count().triples == len(memory.triples()) == 1
    assert memory.doctor().ok


def test_an_end_that_is_learnt_closes_the_triple(memory):
    memory.add([Triple("Anna", "residence", "Oslo")])
    memory.add([Triple("Anna", "residence", "Oslo", valid_to="2014")])
    assert memory.match(Query("Anna", "residence", None)) == []
    assert [m.answer for m in memory.as_of(valid="2014-06").match(Query("Anna", "residence", None))] == ["Oslo"]
    memory.add([Triple("Anna", "hobby", "chess", valid_to="the summer of love")])
    assert memory.match(Query("Anna", "hobby", None)) == []


def test_triples_of_one_call_and_one_passage_never_end_each_other(memory):
    told = Provenance("chat", "Ann is married to Bob and to Tom.")
    memory.add([Triple("Ann", "spouse", "Bob", provenance=(told,)), Triple("Ann", "spouse", "Tom", provenance=(told,))])
    memory.add([Triple("Eve", "spouse", "Bob"), Triple("Eve", "spouse", "Tom")])
    assert {triple.object for triple in memory.triples(entity="Ann")} == {"Bob", "Tom"}
    assert {triple.object for triple in memory.triples(entity="Eve")} == {"Bob", "Tom"}


def test_triples_of_one_call_and_two_passages_do(memory):
    first, second = Provenance("chat", "Ann lives in Oslo."), Provenance("chat", "Ann has moved to Rome.")
    memory.add([Triple("Ann", "residence", "Oslo", provenance=(first,)), Triple("Ann", "residence", "Rome", provenance=(second,))])
    (home,) = memory.match(Query("Ann", "residence", None))
    assert (home.answer, home.provenance) == ("Rome", (second,))


def test_an_inverse_one_valued_relation_supersedes_by_its_object(memory):
    memory.add([Triple("Berlin", "capital of", "Germany")])
    memory.add([Triple("Bonn", "capital of", "Germany")])
    assert [m.answer for m in memory.match(Query(None, "capital of", "Germany"))] == ["Bonn"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (("Lagos", "capital of", "Nigeria"), ("Nigeria", "capital", "Abuja")),
        (("Nigeria", "capital", "Lagos"), ("Abuja", "capital of", "Nigeria")),
        (("Acme", "subsidiary", "Bolt"), ("Bolt", "parent organization", "Crane")),
        (("Bolt", "parent organization", "Acme"), ("Crane", "subsidiary", "Bolt")),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_a_one_valued_relation_supersedes_from_whichever_side_it_is_told(memory, older, newer, together):
    told = [Triple(*names, provenance=(Provenance("chat", f"passage {n}"),)) for n, names in enumerate((older, newer))]
    for some in [told] if together else [told[:1], told[1:]]:
        memory.add(some)
    assert [(t.subject, t.relation, t.object) for t in memory.triples()] == [newer]
    assert memory.doctor().ok


@pytest.mark.parametrize(
    ("known", "again"),
    [
        (("Lagos", "capital of", "Nigeria"), ("Nigeria", "capital", "Lagos")),
        (("Ann", "spouse", "Bob"), ("Bob", "spouse", "Ann")),
        (("Ann", "spouse", "Bob"), ("Eve", "spouse", "Bob")),
        (("Acme", "subsidiary", "Bolt"), ("Acme", "subsidiary", "Crane")),
        (("Ann", "brother", "Bob"), ("Carl", "sister", "Ann")),
    ],
)
def test_the_same_from_the_other_side_and_what_has_many_values_end_nothing(memory, known, again):
    memory.add([Triple(*known)])
    memory.add([Triple(*again)])
    assert {(t.subject, t.relation, t.object) for t in memory.triples()} == {known, again}


@pytest.mark.parametrize("relation", ["likes", "friend", "owes money to", "child"])
def test_many_valued_relations_never_end_anything(memory, relation):
    for name in ("Bob", "Tom", "Eve"):
        memory.add([Triple("Ann", relation, name)])
    assert len(memory.triples()) == 3


@pytest.mark.databases("sqlite")
def test_ten_thousand_random_adds_retire_only_what_the_rule_retires(memory):
    """The rule once more, as plainly as it can be said: of a one-valued relation the last object of a subject stands, and of an
    inverse one-valued one also the last subject of an object."""
    draw = random.Random(4)
    one, both, many = ("residence", "employer", "favourite food"), ("capital of",), ("likes", "friend", "knows", "visited")
    standing: set[tuple[str, ...]] = set()
    last: dict[tuple[str, ...], tuple[str, ...]] = {}  # what stands for a subject, or for an object
    retired = 0
    calls = [
        [
            Triple(
                f"person {draw.randrange(60)}",
                draw.choice(one + both + many),
                f"value {draw.randrange(40)}",
                provenance=(Provenance("p", f"{n} {k}"),),
            )
            for k in range(250)
        ]
        for n in range(40)
    ]
    for call in calls:
        memory.add(call)
        for triple in call:
            names = subject, relation, target = triple.subject, triple.relation, triple.object
            keys = [("subject", subject, relation)] if relation in one + both else []
            keys += [("object", target, relation)] if relation in both else []
            ended = ({last[key] for key in keys if key in last} & standing) - {names}
            standing -= ended
            standing.add(names)
            last |= dict.fromkeys(keys, names)
            retired += len(ended)
    assert {(t.subject, t.relation, t.object) for t in memory.triples()} == standing
    assert retired > 1000
    assert memory.doctor().ok


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2014", "2014-01-01", "2015-01-01"),
        ("2014-02", "2014-02-01", "2014-03-01"),
        ("December 2020", "2020-12-01", "2021-01-01"),
        ("Sept. 2020", "2020-09-01", "2020-10-01"),
        ("12 May 1987", "1987-05-12", "1987-05-13"),
        ("the 3rd of June 2001", None, None),
        ("3rd of June 2001", "2001-06-03", "2001-06-04"),
        ("May 5, 2020", "2020-05-05", "2020-05-06"),
        ("2020-05-01T10:00:00+00:00", "2020-05-01T10:00:00.000000", "2020-05-01T10:00:00.000001"),
        ("31 February 2020", None, None),
        ("soon", None, None),
        ("9999", None, None),
    ],
)
def test_dates_are_read(text, first, after):
    begin, end = first_moment(text), after_moment(text)
    assert (begin and begin.rstrip("T"), end and end.rstrip("T")) == (first, after)


@pytest.mark.parametrize("date", ["20\x0014", "\ud800", "1" * 1001])
def test_a_date_that_is_no_text_is_refused(memory, date):
    for dates in ({"valid_from": date}, {"valid_to": date}):
        with pytest.raises(InvalidInput, match="date"):
            memory.add([Triple("Germany", "capital", "Bonn", **dates)])
    assert memory.history() == []


def test_a_moment_that_is_no_date_is_refused(memory):
    with pytest.raises(InvalidInput, match="not a date"):
        memory.as_of(valid="soon")
    with pytest.raises(InvalidInput):
        memory.match(Query("Germany", "capital", None), as_of=AsOf(valid="soon"))
