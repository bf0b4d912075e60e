"""Namespaces are walls, and a name may be anything: SQL, filters, paths, format strings, control characters, any script."""

import shutil
import string
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memagent import Provenance, Query, Triple
from memagent.errors import InvalidInput, MemagentError, TransferError, UndoRefused
from memagent.memory import CharacterEmbedder, Counts, Memory, View
from memagent.memory.spelling import key

pytestmark = pytest.mark.databases("sqlite", "postgresql", "servers")

NASTY = [
    "'; DROP TABLE triple; --", '" OR 1=1', "%", "_", "\\", "../../etc/passwd", "{0}", "%s %(x)s", ":space", "$where",
    '{"$ne": null}', "({MEM_READ(", ">>",
    ";", "-->", "\x01\x1b[31m", "\u202eevil", "👩‍👩‍👧", "שלום", "العربية", "कि",
    "a\nb\tc", "NULL", "None", "true", "0", "*", "?", "[a-z]", "<script>", "é", "e\u0301",
]  # fmt: skip
TEXT = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
NAMES = st.one_of(
    st.sampled_from(NASTY),
    st.text(TEXT, min_size=1, max_size=40),
    st.text(string.punctuation + " ab1", min_size=1, max_size=12),
    st.text(st.characters(categories=("Cc", "Cf", "Zs", "Mn", "Lm"), exclude_characters="\x00"), min_size=1, max_size=8),
    st.text(st.characters(min_codepoint=0x10000, exclude_categories=("Cs", "Cn")), min_size=1, max_size=6),
    st.text("אבגשלום العربية \u200f\u202e\u2067\u2069 ab1", min_size=1, max_size=12),
    st.tuples(st.sampled_from(NASTY), st.text(TEXT, min_size=1, max_size=10)).map("".join),
).filter(lambda name: bool(name.strip()))
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the cases of a test share one memory


@pytest.mark.databases("sqlite")
@SHARED
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=3), st.sampled_from(["jsonl", "csv"]))
def test_any_name_is_stored_found_carried_and_forgotten(memory, tmp_path, names, form):
    space, other = memory.in_namespace("names"), memory.in_namespace("other")
    told = Provenance(names[0][0], " ".join(names[0]), 0, 1, names[0][2])
    written = space.add([Triple(*three, provenance=(told,)) for three in names])
    for (subject, relation, target), stored in zip(names, written, strict=True):
        assert stored in [match.triple for match in space.match(Query(subject, relation, None), limit=1000)]
        assert stored in [match.triple for match in space.match(Query(None, relation, target), limit=1000)]
        assert stored in space.triples(entity=subject)
        assert space.history(stored)
        space.mentions(f"{subject} and {target}")
        space.askable(target)
    space.match(Query(f"{names[0][0]} {names[0][2]}", names[0][1], None))
    space.passages(names[0][2])
    space.export(tmp_path / f"all.{form}")
    other.import_(tmp_path / f"all.{form}")
    assert sorted(map(repr, other.triples())) == sorted(map(repr, space.triples()))
    for each in (space, other):
        while left := each.triples(limit=1):
            each.forget(left[0].subject)
        assert each.count() == Counts()


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


# Every public method, called with a name that the other namespace knows, a relation that it uses, and a name to go with them.
CALLS = {
    "add": lambda m, name, other, folder: m.add([Triple(name, "likes", other), Triple(other, "is fed up with", name)]),
    "add_alias": lambda m, name, other, folder: m.add_alias(name, other),
    "as_of": lambda m, name, other, folder: [
        (view.match(Query(name, "residence", None)), view.triples(), view.triples(entity=other))
        for view in (m.as_of(valid="2020"), m.as_of(recorded=datetime.now(UTC)))
    ],
    "askable": lambda m, name, other, folder: m.askable(name),
    "backup": lambda m, name, other, folder: m.backup(folder / "backup"),  # of all namespaces
    "close": lambda m, name, other, folder: m.close(),
    "count": lambda m, name, other, folder: m.count(),
    "doctor": lambda m, name, other, folder: m.doctor(),
    "export": lambda m, name, other, folder: [
        (m.export(folder / f"all.{form}"), (folder / f"all.{form}").read_text(encoding="utf-8")) for form in ("jsonl", "csv")
    ],
    "forget": lambda m, name, other, folder: (m.forget(Triple(name, "residence", other)), m.forget(name), m.forget(other)),
    "history": lambda m, name, other, folder: (m.history(), m.history(name), m.history(Triple(name, "residence", other))),
    "home": lambda m, name, other, folder: m.home,
    "import_": lambda m, name, other, folder: (m.export(folder / "all.jsonl"), m.import_(folder / "all.jsonl")),
    "in_namespace": lambda m, name, other, folder: m.in_namespace("mine").triples(),
    "match": lambda m, name, other, folder: [
        m.match(query, limit=100)
        for query in (Query(name, "residence", None), Query(f"{name} x", "lives at", None), Query(None, "is fed up with", other))
    ],
    "mentions": lambda m, name, other, folder: m.mentions(f"{name} and {other} and Zorbie"),
    "merge": lambda m, name, other, folder: m.merge(name, other),
    "short_names": lambda m, name, other, folder: (m.short_names(name), m.short_names(other)),
    "names": lambda m, name, other, folder: (m.names(name), m.names(other)),
    "namespace": lambda m, name, other, folder: m.namespace,
    "note_passage": lambda m, name, other, folder: m.note_passage(Provenance("chat", f"{name} and {other}")),
    "ontology": lambda m, name, other, folder: name in m.ontology,
    "open": lambda m, name, other, folder: reopened(m),
    "passages": lambda m, name, other, folder: m.passages(f"{name} told me of {other}.", k=100),
    "recent_passages": lambda m, name, other, folder: (m.recent_passages(100), m.recent_passages(100, source="diary")),
    "reindex": lambda m, name, other, folder: m.reindex(),
    "relation": lambda m, name, other, folder: m.relation("is fed up withh"),
    "retract": lambda m, name, other, folder: m.retract(Triple(name, "residence", other)),
    "split": lambda m, name, other, folder: m.split(name, ["Zorbie"]),
    "triples": lambda m, name, other, folder: (m.triples(), m.triples(entity=name)),
    "undo": lambda m, name, other, folder: (m.undo(), m.undo(1)),
}
KNOWN = [*NASTY[:6], "Zorblax Quimby", "user"]
GUESS = "cellar"
SECRET = "secret"


def reopened(mine: Memory) -> list[Triple]:
    settings = mine._settings
    with Memory.open(mine.home, namespace="mine", settings=settings, embedder=CharacterEmbedder()) as again:
        return again.triples()


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_every_public_method_is_tried_across_the_wall():
    assert public(Memory) == CALLS.keys()
    assert public(View) == {"match", "triples"}  # tried under "as_of"


@pytest.mark.databases("sqlite")
@settings(SHARED, max_examples=settings.default.max_examples // 3)
@given(st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=5), st.sampled_from(KNOWN), st.sampled_from([GUESS, "Oslo", *KNOWN]))
@example(list(CALLS), "Zorblax Quimby", GUESS)
@example(list(CALLS)[::-1], "Zorblax Quimby", "Oslo")
def test_no_sequence_of_calls_reaches_across_the_wall(theirs, tmp_path, calls, name, other):
    """In "mine", knowing their names: nothing of theirs is told, in no result and no error, and nothing of theirs changes."""
    before = seen(theirs)
    for call in calls:
        shutil.rmtree(tmp_path / "backup", ignore_errors=True)
        try:
            told = repr(CALLS[call](theirs.in_namespace("mine"), name, other, tmp_path))
        except MemagentError as error:
            told = f"{error} {error.hint}"
        assert SECRET not in told
    assert seen(theirs) == before


@pytest.fixture
def theirs(memory) -> Memory:
    """A namespace in which everything but `KNOWN` and `GUESS` is a secret, and says so."""
    found = memory.in_namespace("theirs")
    told = Provenance("secret diary", "The secret of Zorblax Quimby.", 0, 5, "secret speaker")
    found.add([Triple(name, "residence", f"{SECRET} town {number}", provenance=(told,)) for number, name in enumerate(KNOWN)])
    found.add([Triple(name, "residence", GUESS) for name in KNOWN[-2:]])
    found.add([Triple(f"{SECRET} friend", "is fed up with", KNOWN[-1]), Triple(KNOWN[-1], f"{SECRET} relation", "Oslo")])
    found.add_alias("Zorblax Quimby", "Zorbie of secret town")
    found.match(Query(f"{SECRET} frend", "is tired of", None))
    found.passages(SECRET)
    return found


def seen(theirs: Memory) -> tuple[object, ...]:
    """What their owner sees."""
    near = [match.answer for match in theirs.match(Query(f"{SECRET} frend", "is fed up with", None))]
    told = theirs.triples(), theirs.names("Zorblax Quimby"), theirs.recent_passages(9), theirs.passages(SECRET)
    return theirs.history(), *told, theirs.count(), theirs.doctor(), near


def test_the_same_folder_reopened_in_another_namespace_is_empty(memory_home, memory_settings):
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as one:
        one.add([Triple("Anna", "likes", "tea")])
    with Memory.open(memory_home, namespace="two", settings=memory_settings, embedder=CharacterEmbedder()) as two:
        assert two.count() == Counts()
