"""What is forgotten is found nowhere: no table, no collection, no file of the folder."""

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, inspect, text

from memagent import Provenance, Query, Triple
from memagent.memory import CharacterEmbedder, ForgetReport, Memory

pytestmark = pytest.mark.databases("sqlite", "postgresql", "servers")

TOLD = Provenance("chat", "Zorblax Quimby lives in Oslo, and Bob likes jazz.", 0, 28, "user")
ONLY = Provenance("letter", "I met Zorblax Quimby, the mayor.", 0, 31)


@pytest.fixture
def traces(memory_home, database_url) -> Callable[[str], list[str]]:
    """What holds a name, whatever the case: files of the folder, and tables of the server."""

    def search(name: str) -> list[str]:
        wanted = name.casefold().encode()
        files = [path.name for path in memory_home.rglob("*") if path.is_file() and wanted in path.read_bytes().lower()]
        return files + (tables(database_url, name) if database_url else [])

    return search


def tables(url: str, name: str) -> list[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        held = [table for table in inspect(connection).get_table_names() if connection.scalar(text(_COUNT.format(table)), {"name": name})]
    engine.dispose()
    return held


_COUNT = "SELECT count(*) FROM {0} AS row WHERE strpos(lower(CAST(row AS text)), lower(:name)) > 0"


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


def test_forgetting_an_entity_leaves_no_trace(told, traces):
    assert traces("zorblax")
    told.forget(Triple("Bob", "owns", "Zorblax Quimby's hat"))
    report = told.forget("Zorbie")
    assert report == ForgetReport(triples=4, entities=("Zorblax Quimby", "Oslo", "mayor", "Rome"), passages=2, redacted=1)
    for name in ("zorblax", "zorbie", "quimby", "mayor", "sold a cow to"):
        assert traces(name) == []
    assert told.triples() == [Triple("Bob", "likes", "jazz")]
    assert told.recent_passages(9) == ["██████████████ lives in ████, and Bob likes jazz."]
    assert told.triples()[0].provenance[0].passage[34:37] == "Bob"
    assert told.mentions("Zorblax Quimby and Zorbie") == []
    assert told.history("Zorblax Quimby") == []
    assert told.match(Query("Zorblax Quimbly", "residence", None)) == []
    assert told.doctor().ok


@pytest.mark.databases("sqlite")
def test_a_new_index_file_holds_nothing_that_lay_in_the_heap(memory_home, memory_settings):
    """Chroma makes the files anew in each process, at the first use, until it first has a thousand vectors to write."""
    heap = [bytearray(b"Zorblax Quimby" * 12_000) for _ in range(200)]
    del heap
    uses = (
        lambda memory: (memory.add([Triple("Ada", "residence", "Oslo")]), memory.match(Query("Adda", "residence", None))),
        lambda memory: memory.match(Query("Adda", "residence", None)),
        lambda memory: memory.forget("Ada"),
    )
    for use in uses:
        with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as memory:
            use(memory)
            files = list(memory_home.rglob("data_level0.bin"))
            assert files
            assert all(set(path.read_bytes()) == {0} for path in files)


def test_an_export_after_forgetting_holds_nothing_of_it(told, tmp_path):
    told.forget(Triple("Bob", "owns", "Zorblax Quimby's hat"))
    told.forget("Zorblax Quimby")
    told.export(tmp_path / "all.jsonl")
    assert "zorb" not in (tmp_path / "all.jsonl").read_text(encoding="utf-8").casefold()


def test_the_report_names_entities_that_keep_the_name(told):
    assert told.forget("Zorblax Quimby").also_named == ("Zorblax Quimby's hat",)


def test_a_name_that_was_only_said_besides_is_blacked_out(memory, traces):
    """As the speaker, in a date that is none, in the name of a source; a relation that is named after it is reported."""
    told = Provenance("Zorblax Quimby's diary", "I like jazz.", 0, 12, "zorblax quimby")
    memory.add([Triple("Zorblax Quimby", "likes", "jazz"), Triple("Bob", "likes", "jazz", provenance=(told,))])
    memory.add([Triple("Bob", "residence", "Oslo", valid_from="since the days of Zorblax Quimby", valid_to="Zorblax Quimby's birthday")])
    memory.add([Triple("Bob", "is the Zorblax Quimby of", "jazz")])
    assert memory.forget("Zorblax Quimby").also_named == ("is the Zorblax Quimby of",)
    (likes,) = memory.match(Query("Bob", "likes", None))
    assert likes.provenance == (Provenance("██████████████'s diary", "I like jazz.", 0, 12, "██████████████"),)
    memory.forget(Triple("Bob", "is the Zorblax Quimby of", "jazz"))
    assert traces("zorblax") == []


def test_the_report_knows_the_case_of_every_letter(memory):
    memory.add([Triple("Élodie", "likes", "tea"), Triple("Bob", "owns", "ÉLODIE's hat"), Triple("Bob", "owns", "100% of Ann_Lee")])
    memory.add([Triple("Ann_Lee", "likes", "tea")])
    assert memory.forget("Élodie").also_named == ("ÉLODIE's hat",)
    assert memory.forget("Ann_Lee").also_named == ("100% of Ann_Lee",)


def test_forgetting_a_triple_takes_only_what_it_needed(told, traces):
    report = told.forget(Triple("Zorblax Quimby", "position held", "mayor"))
    assert report == ForgetReport(triples=1, entities=("mayor",), passages=1)
    assert traces("mayor") == []
    assert [match.answer for match in told.match(Query("Zorblax Quimby", "residence", None))] == ["Rome"]


def test_forgetting_takes_ended_and_retracted_versions_too(told, traces):
    told.retract(Triple("Zorblax Quimby", "position held", "mayor"))
    assert told.forget(Triple("Zorblax Quimby", "position held", "mayor")).triples == 1
    assert traces("mayor") == []


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


def test_the_report_names_who_is_still_meant_by_the_name(memory):
    memory.add([Triple("Anna Lund", "residence", "Oslo"), Triple("Anna", "pet", "Rex")])
    assert memory.short_names("Anna Lund") == ("Anna", "Lund")
    assert memory.forget("Lund").also_named == ("Anna Lund", "Anna")  # nothing has just that name
    assert memory.forget("Anna Lund").also_named == ("Anna",)
    assert memory.forget("Lund") == ForgetReport()
