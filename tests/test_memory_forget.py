"""What is forgotten is found nowhere: no table, no collection, no file of the folder."""

from pathlib import Path

import pytest

from memagent import Provenance, Query, Triple
from memagent.memory import ForgetReport

TOLD = Provenance("chat", "Zorblax Quimby lives in Oslo, and Bob likes jazz.", 0, 28, "user")
ONLY = Provenance("letter", "I met Zorblax Quimby, the mayor.", 0, 31)


def traces(home: Path, name: str) -> list[str]:
    """Files of the folder that hold the name, whatever the case."""
    wanted = name.casefold().encode()
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and wanted in path.read_bytes().lower()]


@pytest.fixture
def told(memory):
    memory.add([Triple("Zorblax Quimby", "residence", "Oslo", provenance=(TOLD,)), Triple("Bob", "likes", "jazz", provenance=(TOLD,))])
    memory.add([Triple("Zorblax Quimby", "position held", "mayor", provenance=(ONLY,))])
    memory.add([Triple("Zorblax Quimby", "residence", "Rome")])
    memory.add([Triple("Bob", "owns", "Zorblax Quimby's hat"), Triple("Bob", "sold a cow to", "Zorblax Quimby")])
    memory.add_alias("Zorblax Quimby", "Zorbie")
    memory.note_passage(Provenance("chat", "Hm, ZORBLAX  Quimby, who was that?"))
    memory.match(Query("Zorblax Quimbly", "residence", None))
    memory.passages("Quimby")
    return memory


def test_forgetting_an_entity_leaves_no_trace(told, memory_home):
    assert traces(memory_home, "zorblax")
    told.forget(Triple("Bob", "owns", "Zorblax Quimby's hat"))
    report = told.forget("Zorbie")
    assert report == ForgetReport(triples=4, entities=("Zorblax Quimby", "Oslo", "mayor", "Rome"), passages=2, redacted=1)
    for name in ("zorblax", "zorbie", "quimby", "mayor", "sold a cow to"):
        assert traces(memory_home, name) == []
    assert told.triples() == [Triple("Bob", "likes", "jazz")]
    assert told.recent_passages(9) == ["██████████████ lives in ████, and Bob likes jazz."]
    assert told.triples()[0].provenance[0].passage[34:37] == "Bob"
    assert told.mentions("Zorblax Quimby and Zorbie") == []
    assert told.history("Zorblax Quimby") == []
    assert told.match(Query("Zorblax Quimbly", "residence", None)) == []
    assert told.doctor().ok


def test_an_export_after_forgetting_holds_nothing_of_it(told, tmp_path):
    told.forget(Triple("Bob", "owns", "Zorblax Quimby's hat"))
    told.forget("Zorblax Quimby")
    told.export(tmp_path / "all.jsonl")
    assert "zorb" not in (tmp_path / "all.jsonl").read_text(encoding="utf-8").casefold()


def test_the_report_names_entities_that_keep_the_name(told):
    assert told.forget("Zorblax Quimby").also_named == ("Zorblax Quimby's hat",)


def test_forgetting_a_triple_takes_only_what_it_needed(told, memory_home):
    report = told.forget(Triple("Zorblax Quimby", "position held", "mayor"))
    assert report == ForgetReport(triples=1, entities=("mayor",), passages=1)
    assert traces(memory_home, "mayor") == []
    assert [match.answer for match in told.match(Query("Zorblax Quimby", "residence", None))] == ["Rome"]


def test_forgetting_takes_ended_and_retracted_versions_too(told, memory_home):
    told.retract(Triple("Zorblax Quimby", "position held", "mayor"))
    assert told.forget(Triple("Zorblax Quimby", "position held", "mayor")).triples == 1
    assert traces(memory_home, "mayor") == []


def test_forgetting_what_is_not_known_does_nothing(memory):
    memory.add([Triple("Anna", "likes", "tea")])
    before = memory.history()
    assert memory.forget("nobody") == ForgetReport()
    assert memory.forget(Triple("Anna", "likes", "coffee")) == ForgetReport()
    assert memory.history() == before


def test_more_than_a_page_is_forgotten(memory):
    memory.add(
        [Triple("Anna", "likes", f"thing {number}", provenance=(Provenance("chat", f"passage {number}"),)) for number in range(6000)]
    )
    report = memory.forget("Anna")
    assert (report.triples, len(report.entities), report.passages) == (6000, 6001, 6000)
    assert memory.count().entities == memory.count().passages == 0
