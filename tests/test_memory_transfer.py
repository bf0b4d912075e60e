"""Export and import: nothing lost by JSON Lines, all or nothing, a bad line named by its number."""

import json
from datetime import UTC, datetime

import pytest

from memagent import Provenance, Query, Triple
from memagent.errors import TransferError
from memagent.memory import Counts, Imported

pytestmark = pytest.mark.databases("sqlite", "postgresql", "servers")

TOLD = Provenance("chat", "Ann lives in Oslo; she likes “tea”.", 0, 17, "user", datetime(2026, 5, 1, 12, tzinfo=UTC))


@pytest.fixture
def full(memory):
    memory.add([Triple("Ann", "residence", "Oslo", 0.8, "2014", provenance=(TOLD,)), Triple("Ann", "likes", "tea", provenance=(TOLD,))])
    memory.add([Triple("Ann", "residence", "Rome", valid_from="May 2020"), Triple("ANN", "owes money to", "Bob; >> \\ \n x")])
    memory.add_alias("Ann", "Annie")
    memory.retract(Triple("Ann", "likes", "tea"))
    memory.undo()
    memory.merge("Rome", "tea")
    memory.note_passage(Provenance("chat", "Nothing stated."))
    return memory


def test_json_lines_lose_nothing(full, tmp_path):
    count = full.export(tmp_path / "one.jsonl")
    other = full.in_namespace("other")
    imported = other.import_(tmp_path / "one.jsonl")
    assert imported == Imported(triples=count, entities=full.count().entities, passages=2)
    other.export(tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert other.triples() == full.triples()
    assert [t.provenance for t in other.triples()] == [t.provenance for t in full.triples()]
    assert [(c.number, c.kind, c.at, c.undone_by) for c in other.history()] == [
        (c.number, c.kind, c.at, c.undone_by) for c in full.history()
    ]
    assert other.names("Annie") == full.names("Annie")
    assert [t.object for t in other.as_of(valid="2015").triples(entity="Ann")] == [
        t.object for t in full.as_of(valid="2015").triples(entity="Ann")
    ]
    assert other.undo().number == full.undo().number
    assert other.triples() == full.triples()
    assert other.doctor().ok


def test_importing_twice_doubles_nothing(full, tmp_path):
    full.export(tmp_path / "all.jsonl")
    before = (full.count(), full.history())
    full.import_(tmp_path / "all.jsonl")
    assert (full.count(), full.history()) == before


def test_importing_into_a_memory_that_holds_something_joins_the_two(full, tmp_path):
    full.export(tmp_path / "all.jsonl")
    other = full.in_namespace("other")
    other.add([Triple("ann", "hobby", "chess")])
    other.import_(tmp_path / "all.jsonl")
    assert other.names("Ann")[0] == "ann"
    assert {match.answer for match in other.match(Query("Annie", "hobby", None))} == {"chess"}
    assert other.doctor().ok


@pytest.mark.parametrize("suffix", ["csv", "graphml", "nt", "ttl"])
def test_other_formats_carry_what_holds_now(full, tmp_path, suffix):
    pytest.importorskip({"graphml": "networkx", "nt": "rdflib", "ttl": "rdflib"}.get(suffix, "csv"))
    path = tmp_path / f"all.{suffix}"
    full.export(path)
    other = full.in_namespace("other")
    other.import_(path)
    assert set(other.triples()) == set(full.triples())
    if suffix == "csv":
        assert {t: t.provenance for t in other.triples()} == {t: t.provenance for t in full.triples()}


def test_plain_triples_come_in(memory, tmp_path):
    path = tmp_path / "plain.jsonl"
    lines = [{"subject": "Ann", "relation": "likes", "object": "tea", "confidence": 0.5, "source": "notes", "passage": "Ann likes tea."}]
    path.write_text("\ufeff" + "\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert memory.import_(path) == Imported(triples=1, entities=2, passages=1)
    assert memory.triples()[0].provenance == (Provenance("notes", "Ann likes tea."),)


def test_the_mcp_reference_memory_comes_in(memory, tmp_path):
    path = tmp_path / "memory.json"
    lines = [
        {"type": "entity", "name": "John_Smith", "entityType": "person", "observations": ["Speaks fluent Spanish"]},
        {"type": "entity", "name": "Anthropic", "entityType": "organization", "observations": []},
        {"type": "relation", "from": "John_Smith", "to": "Anthropic", "relationType": "works_at"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert memory.import_(path).triples == 4
    assert [match.answer for match in memory.match(Query("John Smith", "employer", None))] == ["Anthropic"]
    assert [match.answer for match in memory.match(Query("John Smith", "observation", None))] == ["Speaks fluent Spanish"]


GOOD = '{"subject": "Ann", "relation": "likes", "object": "tea"}'


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("x.jsonl", f"{GOOD}\nnonsense", 2),
        ("x.jsonl", f"{GOOD}\n\n[1]", 3),
        ("x.jsonl", f'{GOOD}\n{{"subject": "Ann", "relation": "likes"}}', 2),
        ("x.jsonl", f'{GOOD}\n{{"subject": "Ann", "relation": "likes", "object": ""}}', 2),
        ("x.jsonl", f'{GOOD}\n{{"subject": 7, "relation": "likes", "object": "tea"}}', 2),
        ("x.jsonl", GOOD[:-1] + ', "confidence": 7}', 1),
        ("x.jsonl", GOOD[:-1] + ', "colour": 7}', 1),
        ("x.jsonl", '{"memagent": 1}\n{"kind": "name", "text": "Ann"}', 2),
        (
            "x.jsonl",
            '{"memagent": 1}\n{"kind": "name", "text": "Ann", "entity": "Ann"}\n'
            '{"kind": "move", "change": 3, "name": "Ann", "after": "Ann"}',
            3,
        ),
        ("x.jsonl", '{"memagent": 99}', 1),
        ("x.jsonl", '{"type": "entity", "name": "Ann", "entityType": "person"}\n{"type": "what"}', 2),
        ("x.csv", "subject,relation\nAnn,likes", 1),
        ("x.csv", "subject,relation,object\nAnn,likes,tea\nAnn,likes,", 3),
        ("x.csv", "subject,relation,object\nAnn,likes,tea\nAnn,likes,tea,1,2,3,4", 3),
        ("x.csv", "subject,relation,object,confidence\nAnn,likes,tea,much", 2),
    ],
)
def test_a_malformed_line_is_named_and_nothing_comes_in(memory, tmp_path, name, text, line):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(TransferError, match=f"line {line}"):
        memory.import_(tmp_path / name)
    assert memory.count() == Counts()
    assert memory.history() == []


def test_files_that_cannot_be_read_are_named(memory, tmp_path):
    (tmp_path / "bytes.jsonl").write_bytes(b'{"subject": "\xff\xfe"}')
    (tmp_path / "bytes.csv").write_bytes(b"subject,relation,object\n\xff,\xfe,x")
    (tmp_path / "bad.nt").write_text("<a> <b> what?", encoding="utf-8")
    (tmp_path / "bad.graphml").write_text("<graphml", encoding="utf-8")
    for name in ("bytes.jsonl", "bytes.csv", "bad.nt", "bad.graphml", "missing.jsonl", "what.xyz"):
        with pytest.raises(TransferError):
            memory.import_(tmp_path / name)
    with pytest.raises(TransferError):
        memory.export(tmp_path / "what.xyz")
    assert memory.count() == Counts()


def test_an_export_that_fails_leaves_the_old_file(memory, tmp_path):
    pytest.importorskip("networkx")
    path = tmp_path / "all.graphml"
    path.write_text("old", encoding="utf-8")
    memory.add([Triple("Ann", "likes", "a\x01b")])
    with pytest.raises(TransferError, match="control"):
        memory.export(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_rdf_from_elsewhere_comes_in_by_its_labels(memory, tmp_path):
    pytest.importorskip("rdflib")
    path = tmp_path / "other.ttl"
    path.write_text(
        "@prefix x: <http://example.org/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        'x:Q1 rdfs:label "Marie Curie" . x:Q1 x:likes x:green_tea . x:Q1 x:age "66" . x:Q1 x:likes [ x:a x:b ] .',
        encoding="utf-8",
    )
    imported = memory.import_(path)
    assert {(t.subject, t.object) for t in memory.triples()} == {("Marie Curie", "green tea"), ("Marie Curie", "66")}
    assert len(imported.skipped) == 2
