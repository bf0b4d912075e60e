"""The ontology: the default is whole and consistent, a user's file extends it, and a wrong file says what is wrong."""

from pathlib import Path

import pytest

from memagent.errors import OntologyError
from memagent.ontology import Ontology, Relation, Step, default_ontology, load_ontology, parse_composition, read_relations


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "relations.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_default_has_docreds_relations_and_the_personal_ones():
    ontology = default_ontology()
    assert sum(1 for relation in ontology if relation.wikidata) >= 96
    assert len(ontology) >= 150
    assert len(ontology) == len(ontology.names) == len(set(ontology.names))
    assert {"place of birth", "residence", "sister", "pet", "capital"} <= set(ontology.names)


def test_the_default_refers_only_to_relations_it_has():
    ontology = default_ontology()
    named = [(r.name, r.inverse) for r in ontology if r.inverse]
    named += [(r.name, step.relation) for r in ontology for chain in r.compositions for step in chain]
    assert [pair for pair in named if pair[1] not in ontology] == []
    assert [r.name for r in ontology if r.inverse and ontology[r.inverse].inverse != r.name] == []


def test_no_other_name_of_the_default_means_two_relations():
    meant: dict[str, set[str]] = {}
    for relation in default_ontology():
        for name in relation.other_names:
            meant.setdefault(name.casefold(), set()).add(relation.name)
    assert {name: found for name, found in meant.items() if len(found) > 1} == {}


def test_every_relation_says_what_it_means_and_between_what():
    assert [r.name for r in default_ontology() if not r.description] == []
    assert [r.name for r in default_ontology() if not (r.domain and r.range)] == []


@pytest.mark.parametrize("name", ["place of birth", "Place  of Birth", "place_of_birth", "birthplace", "BORN IN"])
def test_a_relation_goes_by_any_of_its_names(name):
    found = default_ontology().find(name)
    assert found is not None
    assert found.name == "place of birth"


def test_an_unknown_relation_has_no_rules():
    ontology = default_ontology()
    assert ontology.find("is frenemy of") is None
    assert "is frenemy of" not in ontology
    assert ontology["is frenemy of"] == Relation("is frenemy of")


def test_own_names_win_over_other_names():
    ontology = Ontology([Relation("lives in", other_names=("home",)), Relation("home")])
    found = ontology.find("home")
    assert found is not None
    assert found.name == "home"


def test_a_users_file_adds_and_replaces(written):
    path = written(
        """
        ["frenemy"]
        description = "friend and enemy"
        other_names = ["rival friend"]
        symmetric = true
        domain = ["person"]
        range = ["person"]
        compositions = ["friend / ~enemy+"]
        ["residence"]
        one = true
        """
    )
    ontology = load_ontology(path)
    assert len(ontology) == len(default_ontology()) + 1
    assert ontology["frenemy"].compositions == ((Step("friend"), Step("enemy", backwards=True, repeated=True)),)
    assert ontology.find("Rival Friend") == ontology["frenemy"]
    assert ontology["residence"] == Relation("residence", one=True)
    assert load_ontology(None) is default_ontology()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml", "relations.toml"),
        ("answer = 42", "'answer' must be a table"),
        ("[home]\none = 'yes'", "ill-typed field 'one'"),
        ("[home]\nother_names = 'house'", "ill-typed field 'other_names'"),
        ("[home]\ncolour = 'red'", "unknown or ill-typed field 'colour'"),
        ("[home]\ncompositions = ['a / / b']", "is empty"),
        ("[home]\ncompositions = ['~']", "is empty"),
        ("['']\none = true", "relation is empty"),
        ("[home]\nother_names = ['']", "other name is empty"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(written, text, message):
    path = written(text)
    with pytest.raises(OntologyError, match=message) as caught:
        read_relations(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(OntologyError, match=r"nothing\.toml"):
        load_ontology(tmp_path / "nothing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OntologyError, match=r"binary\.toml"):
        load_ontology(tmp_path / "binary.toml")


def test_rules_that_contradict_each_other_are_refused():
    with pytest.raises(OntologyError, match="not the other way round"):
        Ontology([Relation("parent", inverse="child"), Relation("child")])
    with pytest.raises(OntologyError, match="symmetric and has an inverse"):
        Ontology([Relation("friend", inverse="friend", symmetric=True)])


def test_a_composition_reads_back_as_its_steps():
    assert parse_composition("located in+ / ~capital") == (Step("located in", repeated=True), Step("capital", backwards=True))


def test_a_word_that_stands_in_for_a_name_is_found_in_its_own_spelling_or_small():
    ontology = default_ontology()
    found = [ontology.stood_in(word) for word in ("Mum", "mum", "MUM", "Pa", "PA", "Granny", "sister")]
    assert [relation and relation.name for relation in found] == ["mother", "mother", None, "father", None, "grandparent", None]
