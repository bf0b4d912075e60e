"""Namespaces are walls, and a name may be anything: SQL, filters, paths, format strings, control characters, any script."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memagent import Provenance, Query, Triple
from memagent.errors import InvalidInput, TransferError, UndoRefused
from memagent.memory import CharacterEmbedder, Counts, Memory
from memagent.memory.spelling import key

pytestmark = pytest.mark.databases

NASTY = [
    "'; DROP TABLE triple; --", '" OR 1=1', "%", "_", "\\", "../../etc/passwd", "{0}", "%s %(x)s", ":space", "$where",
    '{"$ne": null}', "({MEM_READ(", ">>",
    ";", "-->", "\x01\x1b[31m", "\u202eevil", "👩‍👩‍👧", "שלום", "العربية", "कि",
    "a\nb\tc", "NULL", "None", "true", "0", "*", "?", "[a-z]", "<script>", "é", "e\u0301",
]  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(NASTY),
    st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), min_size=1, max_size=40),
    st.text(alphabet=string.punctuation + " ab1", min_size=1, max_size=12),
).filter(lambda name: bool(name.strip()))


@pytest.mark.databases("sqlite")
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_stored_found_and_forgotten(memory, names):
    space = memory.in_namespace("names")
    written = space.add([Triple(*three) for three in names])
    for (subject, relation, target), stored in zip(names, written, strict=True):
        assert stored in [match.triple for match in space.match(Query(subject, relation, None), limit=1000)]
        assert stored in [match.triple for match in space.match(Query(None, relation, target), limit=1000)]
        assert stored in space.triples(entity=subject)
        assert space.history(stored)
        space.mentions(f"{subject} and {target}")
        space.askable(target)
    for subject, _, target in names:
        space.forget(subject)
        space.forget(target)
    assert space.count() == Counts()


def test_nasty_names_are_stored_and_found(memory):
    memory.add([Triple(name, "likes", f"thing {number}") for number, name in enumerate(NASTY)])
    for name in NASTY:
        assert [match.answer for match in memory.match(Query(name, "likes", None))] == [
            f"thing {number}" for number, other in reversed(list(enumerate(NASTY))) if key(other) == key(name)
        ]


def test_namespaces_of_any_name_are_different(memory):
    for number, name in enumerate(dict.fromkeys(map(str.strip, NASTY))):
        memory.in_namespace(name).add([Triple("Anna", "likes", f"thing {number}")])
    for number, name in enumerate(dict.fromkeys(map(str.strip, NASTY))):
        assert [t.object for t in memory.in_namespace(name).triples()] == [f"thing {number}"]


def test_no_method_reaches_into_another_namespace(memory, tmp_path):
    """Every public method, called in "mine" with what only "theirs" knows, sees and changes nothing there."""
    theirs = memory.in_namespace("theirs")
    passage = Provenance("secret source", "Zorblax Quimby lives in Oslo.")
    theirs.add([Triple("Zorblax Quimby", "residence", "Oslo", provenance=(passage,)), Triple("Zorblax Quimby", "owes money to", "Bob")])
    theirs.add_alias("Zorblax Quimby", "Zorbie")
    theirs.match(Query("Zorblax Quimbly", "residence", None))
    theirs.passages("Quimby")
    theirs.relation("owes monney to")
    mine = memory.in_namespace("mine")
    mine.add([Triple("Ann", "likes", "tea", provenance=(Provenance("chat", "Ann likes tea."),))])

    def snapshot():
        return (theirs.triples(), theirs.history(), theirs.count(), theirs.names("Zorbie"), theirs.recent_passages(9), theirs.doctor())

    before = snapshot()
    secret = Triple("Zorblax Quimby", "residence", "Oslo")
    assert mine.match(Query("Zorblax Quimby", "residence", None)) == mine.match(Query("Zorblax Quimbly", "residence", None)) == []
    assert mine.match(Query(None, "owes money to", "Bob")) == []
    assert mine.mentions("Zorblax Quimby and Zorbie in Oslo") == mine.askable("Zorblax Quimby") == mine.triples(entity="Oslo") == []
    assert [match.text for match in mine.passages("Zorblax Quimby lives in Oslo.", k=9)] in ([], ["Ann likes tea."])
    assert mine.recent_passages(9) == ["Ann likes tea."]
    assert mine.recent_passages(9, source="secret source") == []
    assert mine.relation("owes money to") == "owes money to"
    assert mine.names("Zorbie") == ()
    assert mine.history("Zorblax Quimby") == mine.history(secret) == []
    assert [t.subject for t in mine.as_of(valid="2999").triples()] == ["Ann"]
    assert mine.forget("Zorblax Quimby").triples == mine.forget(secret).triples == 0
    for refused in (
        lambda: mine.retract(secret),
        lambda: mine.merge("Ann", "Zorblax Quimby"),
        lambda: mine.split("Zorblax Quimby", ["Zorbie"]),
        lambda: mine.add_alias("Zorblax Quimby", "Z"),
        lambda: mine.undo(2),
    ):
        try:
            refused()
        except (InvalidInput, UndoRefused, TransferError):
            continue
        raise AssertionError("not refused")
    mine.export(tmp_path / "mine.jsonl")
    assert "Zorblax" not in (tmp_path / "mine.jsonl").read_text(encoding="utf-8")
    mine.import_(tmp_path / "mine.jsonl")
    mine.reindex()
    mine.undo()
    mine.add([Triple("Zorblax Quimby", "residence", "Rome")])
    assert mine.doctor().counts.triples == 1
    mine.forget("Zorblax Quimby")
    assert snapshot() == before


def test_the_same_folder_reopened_in_another_namespace_is_empty(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as one:
        one.add([Triple("Anna", "likes", "tea")])
    with Memory.open(memory_home, namespace="two", settings=memory_settings, embedder=CharacterEmbedder()) as two:
        assert two.count() == Counts()
