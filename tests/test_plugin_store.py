"""The LangGraph store: the same as `InMemoryStore` in what it reads and writes, and besides history, undo and erasure."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from memagent.errors import InvalidInput
from memagent.plugin import TripleBackedStore

ACME = ("tenant", "acme")


@pytest.fixture
def store(memory):
    return TripleBackedStore(memory)


@pytest.fixture
def both(store):
    return store, InMemoryStore()


def plain(result):
    """A result without its times."""
    if isinstance(result, list):
        return [plain(part) for part in result]
    return (result.namespace, result.key, result.value) if hasattr(result, "value") else result


def same(both, ops) -> list:
    """Both stores do the operations; what they give must be equal."""
    ours, theirs = ([plain(result) for result in store.batch(ops)] for store in both)
    assert ours == theirs
    return ours


PUTS = [
    PutOp(ACME, "a", {"n": 1, "tags": ["x", "y"], "who": {"name": "Zoë", "age": 3}}),
    PutOp(("tenant", "acme-corp"), "a", {"n": 2}),
    PutOp(("tenant", "acme", "eu"), "b", {"n": 3, "who": {"name": "bob"}}),
    PutOp(("tenant", "ACME"), "A", {"n": 4, "text": "100% – ünïcödé 東京"}),
    PutOp(("other", "acme"), "a'; DROP TABLE triple; --", {"$.n": 5, "n": "5"}),
]


def test_reading_sees_what_was_there_before_its_batch_and_results_keep_their_order(both):
    results = same(both, [GetOp(ACME, "a"), PUTS[0], SearchOp(ACME), PUTS[1], GetOp(ACME, "a"), ListNamespacesOp()][:5])
    assert results == [None, None, [], None, None]
    assert same(both, [GetOp(ACME, "a"), PutOp(ACME, "a", None), GetOp(ACME, "a")])[2] is not None
    assert same(both, [GetOp(ACME, "a")]) == [None]


def test_of_several_puts_in_a_batch_the_last_one_counts(both):
    same(both, [PutOp(ACME, "a", {"n": 1}), PutOp(ACME, "a", {"n": 2}), PutOp(ACME, "b", {"n": 3}), PutOp(ACME, "b", None)])
    assert same(both, [SearchOp(())]) == [[(ACME, "a", {"n": 2})]]


@pytest.mark.parametrize(
    "prefix",
    [(), ("tenant",), ACME, ("tenant", "acme-corp"), ("tenant", "acm"), ("tenant", "%"), ("tenant", "*"), ("_enant",), ("tenant", "ACME")],
)
def test_a_prefix_ends_where_a_label_does_and_knows_no_wildcards(both, prefix):
    same(both, PUTS)
    same(both, [SearchOp(prefix)])


@pytest.mark.parametrize(
    "wanted",
    [
        {"n": 1},
        {"n": "1"},
        {"n": {"$gt": 1, "$lte": 3}},
        {"n": {"$ne": 3}},
        {"n": {"$eq": "5"}},
        {"who": {"name": "Zoë"}},
        {"who": {"age": {"$eq": 3}, "name": "Zoë"}},
        {"tags": ["x", "y"]},
        {"tags": ["x"]},
        {"who": None},
        {"$.n": 5},
        {"n' OR 1=1 --": 1},
        {"n": "1' OR '1'='1"},
        {"text": "100% – ünïcödé 東京"},
        {"text": "%"},
    ],
)
def test_a_filter_fits_what_it_fits_there(both, wanted):
    same(both, [op for op in PUTS if not ("who" in wanted and op.key == "A")])
    same(both, [SearchOp((), filter=wanted)])


def test_what_is_no_number_is_neither_more_nor_less(store):
    store.batch(PUTS)
    assert store.search((), filter={"missing": {"$gt": 0}}) == []
    with pytest.raises(InvalidInput, match="regex"):
        store.search((), filter={"n": {"$regex": ".*"}})


@pytest.mark.parametrize(
    "op",
    [
        ListNamespacesOp(),
        ListNamespacesOp(max_depth=1),
        ListNamespacesOp(max_depth=2, limit=2, offset=1),
        ListNamespacesOp((MatchCondition("prefix", ("tenant", "*")),)),
        ListNamespacesOp((MatchCondition("suffix", ("acme",)),)),
        ListNamespacesOp((MatchCondition("prefix", ("tenant",)), MatchCondition("suffix", ("*", "eu")))),
        ListNamespacesOp((MatchCondition("prefix", ("ten%",)),)),
    ],
)
def test_namespaces_are_listed_as_there(both, op):
    same(both, PUTS)
    same(both, [op])


def test_paging_goes_through_items_in_the_order_of_their_first_put(both):
    same(both, [PutOp(ACME, f"key {number}", {"n": number}) for number in range(7)])
    same(both, [PutOp(ACME, "key 1", {"n": 10})])
    assert [plain(item)[1] for offset in range(0, 9, 3) for item in both[0].search(ACME, limit=3, offset=offset)] == [
        f"key {n}" for n in range(7)
    ]
    same(both, [SearchOp(ACME, limit=3, offset=2), SearchOp(ACME, limit=0), SearchOp(ACME, offset=9)])


LABELS = st.sampled_from(["a", "A", "á", "a b", "a-b", "ab", "%", "東京", "The A", "\ud800", "Dr A", "x" * 300])
VALUES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda v: st.lists(v, max_size=2), max_leaves=4),
    max_size=2,
)
PUT = st.builds(PutOp, st.lists(LABELS, min_size=1, max_size=2).map(tuple), LABELS, st.none() | VALUES)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(PUT, max_size=4), max_size=3))
def test_any_keys_and_values_are_kept_as_there(memory, batches):
    ours, theirs = TripleBackedStore(memory), InMemoryStore()
    for item in ours.search((), limit=1000):
        ours.batch([PutOp(item.namespace, item.key, None)])
    for ops in batches:
        ours.batch(ops)
        theirs.batch(ops)
    kept = [sorted(map(repr, map(plain, store.search((), limit=1000)))) for store in (ours, theirs)]
    assert kept[0] == kept[1]
    assert ours.memory.count().triples == len(kept[0])


def test_times_tell_of_the_first_and_the_last_put(store):
    store.put(ACME, "a", {"n": 1})
    first = store.get(ACME, "a")
    store.put(ACME, "a", {"n": 2})
    second = store.get(ACME, "a")
    assert first.created_at == first.updated_at == second.created_at < second.updated_at
    assert second.created_at.utcoffset().total_seconds() == 0


def test_a_search_by_words_gives_the_nearest_first_and_the_rest_without_a_score(store):
    store.put(ACME, "garden", {"text": "the garden party begins at noon"})
    store.put(ACME, "tax", {"text": "income tax is due in March"})
    store.put(ACME, "hidden", {"text": "the garden party begins at nine"}, index=False)
    store.put(("other",), "garden", {"text": "the garden party begins at ten"})
    found = store.search(ACME, query="when does the garden party begin")
    assert [item.key for item in found[:1]] == ["garden"]
    assert {item.key: item.score for item in found}["hidden"] is None
    assert len(found) == 3
    store.put(ACME, "garden", {"text": "zzz"})
    assert {item.key: item.score for item in store.search(ACME, query="when does the garden party begin")}["garden"] is None


def test_a_put_can_be_undone_and_a_deleted_item_is_gone_for_good(store, memory_home):
    store.put(ACME, "a", {"secret": "xyzzy one"})
    store.put(ACME, "a", {"secret": "xyzzy two"})
    assert len(store.memory.history()) == 3
    store.memory.undo()
    store.memory.undo()
    assert store.get(ACME, "a").value == {"secret": "xyzzy one"}
    store.delete(ACME, "a")
    assert store.get(ACME, "a") is None
    assert store.memory.passages("xyzzy one") == []
    assert not any(b"xyzzy" in path.read_bytes() for path in memory_home.rglob("*") if path.is_file())


def test_items_are_beside_the_memory_not_in_it(store, memory):
    store.put(ACME, "a", {"text": "Warsaw"})
    assert memory.triples() == [] and memory.mentions("Warsaw") == [] and memory.passages("Warsaw") == []
    assert TripleBackedStore(memory.in_namespace("somebody else")).search(()) == []
    assert plain(TripleBackedStore(memory).get(ACME, "a")) == (ACME, "a", {"text": "Warsaw"})


def test_a_value_that_is_not_json_is_refused_and_nothing_of_its_batch_is_kept(store):
    with pytest.raises(InvalidInput, match="'b' is not JSON"):
        store.batch([PutOp(ACME, "a", {"n": 1}), PutOp(ACME, "b", {"n": object()})])
    assert store.search(()) == []


def test_async_is_the_same(store):
    async def use():
        await store.aput(ACME, "a", {"n": 1})
        return await store.aget(ACME, "a"), await store.asearch(("tenant",))

    one, found = asyncio.run(use())
    assert json.dumps(one.value) == '{"n": 1}'
    assert [item.key for item in found] == ["a"]
