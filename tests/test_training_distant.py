"""Distant supervision: which sentences are taken to state a known fact, and which are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from memagent.model.opinions import NOTHING
from memagent.ontology import default_ontology
from memagent.training.distant import BETWEEN, Facts, cues, matched, named_in, passages
from memagent.training.filtering import believed, placed
from memagent.training.readers import AskedRelation, Fact, Report, Statement
from memagent.triples import Triple

FACTS = Facts(
    [
        Fact("Moss Country", "author", ("Ylva Tarn",)),
        Fact("Ylva Tarn", "place of birth", ("Vask",)),
        Fact("Ylva Tarn", "date of birth", ("3 May 1880",)),
        Fact("Quill Works", "founded by", ("Bo Marsh",)),
        Fact("Bo Marsh", "spouse", ("Ada Holt",)),
    ]
)


def found(title: str, text: str, *, limit: int = 10) -> list[Statement]:
    return matched(passages(title, text), FACTS, Report(), limit)


def triples(title: str, text: str) -> list[Triple]:
    return [triple for statement in found(title, text) for triple in statement.triples]


def test_two_names_and_a_cue_make_a_partial_statement() -> None:
    (statement,) = found("Moss Country", "Moss Country is a long and salty novel. It was written by Ylva Tarn, a miller.")
    assert statement.triples == (Triple("Moss Country", "author", "Ylva Tarn"),)
    assert statement.context == "Moss Country is a long and salty novel."
    assert statement.partial


@pytest.mark.parametrize(
    "text",
    [
        "Moss Country stood on the shelf beside a portrait of the late Ylva Tarn and her cat.",  # no cue
        "Moss Country, a long novel, was not written by Ylva Tarn, whatever the label says about it.",  # denied
        "Moss Country, a long novel, was written by Ylva Tarn Holt, a miller from the north of Vask.",  # a longer name
    ],
)
def test_what_is_not_sure_is_left_out(text: str) -> None:
    assert triples("Moss Country", text) == []


def test_life_dates_and_places_of_birth() -> None:
    text = "Ylva Tarn (3 May 1880 – 1 June 1950) was a miller and a writer. She was born in Vask and went to sea at twelve."
    assert triples("Ylva Tarn", text) == [Triple("Ylva Tarn", "date of birth", "3 May 1880"), Triple("Ylva Tarn", "place of birth", "Vask")]


def test_no_more_than_the_limit_of_one_relation() -> None:
    text = "Quill Works was founded by Bo Marsh. Quill Works, founded by Bo Marsh, makes pens. Bo Marsh married Ada Holt."
    report = Report()
    statements = matched(passages("Quill Works", text), FACTS, report, limit=1)
    assert [triple.relation for statement in statements for triple in statement.triples] == ["founded by", "spouse"]
    assert report["kept: founded by"] == report["over the limit: founded by"] == 1


def test_headings_part_the_passages() -> None:
    lead = "Vask is a town on the salt coast, known for its mills and its bells."
    body = "The mills were built by people who came over the sea in open boats."
    assert [(p.text, p.first) for p in passages("Vask", f"{lead}\n{lead}\nHistory.\n{body}")] == [(f"{lead} {lead}", True), (body, False)]


def test_the_longest_name_at_a_place_is_found() -> None:
    assert [name for name, _ in named_in("Old Vask and Vask", {"Old Vask", "Vask", "Old"})] == ["Old Vask", "Vask"]


def test_cues_come_from_the_grammar() -> None:
    assert "wrote" in cues()["author"]
    assert "married" in cues()["spouse"]
    assert not cues()["author"] & {"the", "and", "was"}
    assert set(BETWEEN) <= set(default_ontology().names)


@pytest.mark.parametrize(
    ("sentence", "stated"),
    [
        ("The fair is held every year in Vask, Northmark, on the hill above the harbour of the old town.", True),
        ("In those days Vask was the largest town in Northmark, and its harbour froze over in every winter.", True),
        ("The people of Vask speak Northmarkian, which they call by another name when no guest is there.", False),
        ("After the great fire of Vask, Lower Quill was the largest of the many towns in Northmark by far.", False),
        ("The fleet sailed from Vask on behalf of Northmark with nothing but salt and apples in its holds.", False),
    ],
)
def test_a_place_lies_where_the_text_between_says_so(sentence: str, stated: bool) -> None:
    facts = Facts([Fact("Vask", "country", ("Northmark", "Northmarkian"))])
    statements = matched(passages("The Fair", sentence), facts, Report(), 10)
    assert [t.object for s in statements for t in s.triples] == (["Northmark"] if stated else [])


class Opinions:
    """A second opinion of which one triple is likely, one is not, and of one name nothing is known."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], list[str]]] = []

    def stated(self, focus: str, names: Sequence[str], far: Sequence[str], speaker: str) -> Opinions:
        self.asked.append((focus, [*names], [*far]))
        return self

    def likeliest(self, count: int) -> list[tuple[str, str]]:
        raise AssertionError

    def relations(self, subject: str, target: str) -> dict[str, float]:
        return {} if target == "Vask" else {NOTHING: -1.0, "author": -0.5, "spouse": -2.0}


def test_what_is_likelier_to_be_nothing_is_not_believed() -> None:
    told = [
        Triple("Moss Country", "author", "Ylva Tarn"),
        Triple("Ylva Tarn", "spouse", "Moss Country"),
        Triple("Ylva Tarn", "author", "Vask"),
    ]
    statement = Statement("Ylva Tarn came from Vask.", "Moss Country was hers.", tuple(told), "notes", partial=True)
    nothing = Statement("", "Ylva Tarn left Moss Country.", (Triple("Ylva Tarn", "residence", "Moss Country"),), "notes", partial=True)
    report, opinions = Report(), Opinions()
    (kept,) = believed([statement, nothing], opinions, report)
    assert kept == Statement(statement.context, statement.focus, (told[0],), "notes", partial=True)
    assert opinions.asked[0] == (statement.focus, ["Moss Country"], ["Ylva Tarn", "Vask"])
    assert report == {"not believed: spouse": 1, "not believed: author": 1, "not believed: residence": 1}


class Asked:
    """A second opinion that holds one span of each question likely."""

    def asked(self, question, entities, speaker, own=(), found=None):
        assert speaker == "user"
        return {name: {("author", False): -0.1 if name == "the salt road" else -9.0} for name in entities}


def test_a_question_is_placed_at_the_span_that_it_asks_about() -> None:
    right, other = AskedRelation("who wrote the salt road", "author", False), AskedRelation("who wrote moss country", "author", False)
    unknown, report = AskedRelation("who is in the salt road", "characters", False), Report()
    assert list(placed([right, other, unknown], Asked(), report)) == [(right, "the salt road")]
    assert report == {"asks about no span: author": 1, "asks about no span: characters": 1}
