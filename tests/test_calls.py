"""Calls as text: what is rendered is parsed back, whatever the names hold; what is malformed says where it broke."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memagent import Query, Triple, calls
from memagent.calls import ReadCall, WriteCall, parse_query, parse_read, parse_write, render_query
from memagent.errors import InvalidInput, MalformedCall

MARKS = ("({MEM_WRITE-->", "({MEM_READ(", ")-->", "})", ">>", ";", "({USER_ST})", "({USER_END})")
# Names made of what could be mistaken for a mark, and of everything else.
_tricky = st.sampled_from([*MARKS, *"({})->;\\", "\\>", "\n"])
_characters = st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), _tricky)
names = st.lists(_characters, min_size=1, max_size=12).map("".join).filter(str.strip)
triples = st.builds(Triple, names, names, names)
queries = st.one_of(st.builds(Query, names, names, st.none()), st.builds(Query, st.none(), names, names))


@given(st.lists(triples, max_size=4))
def test_a_write_call_is_parsed_back(written):
    call = WriteCall(tuple(written))
    assert parse_write(call.render()) == call


@given(st.lists(queries, min_size=1, max_size=3), st.none() | st.lists(names, max_size=4))
def test_a_read_call_is_parsed_back(asked, answers):
    call = ReadCall(tuple(asked), None if answers is None else tuple(answers))
    assert parse_read(call.render()) == call


@given(queries)
def test_a_query_is_parsed_back(query):
    assert parse_query(render_query(query)) == query


@given(names)
def test_escaping_is_undone_and_leaves_no_mark(name):
    written = calls.escape(name)
    assert calls.unescape(written) == name
    without_escapes = re.sub(r"\\.", "", written, flags=re.DOTALL)
    assert not any(mark in re.sub(r"\\.", "·", written, flags=re.DOTALL) for mark in MARKS)
    assert "\\" not in without_escapes


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Marie Curie", "Marie Curie"),
        ("a;b", r"a\;b"),
        ("x>>y", r"x\>>y"),
        ("x > y -> z", "x > y -> z"),
        ("({MEM_READ(", r"\({MEM_READ("),
        ("say --> it", r"say \--> it"),
        ("f(x) {y})", r"f(x) {y\})"),
        ("C:\\temp", "C:\\\\temp"),
        ("ends in >", r"ends in \>"),
        ("ends in }", r"ends in \}"),
        ("ends in --", r"ends in \--"),
    ],
)
def test_only_what_would_be_a_mark_is_escaped(name, written):
    assert calls.escape(name) == written


def test_the_calls_look_as_in_the_grammar():
    """The docstring of the module prints the grammar; these are its five rules, filled."""
    for rule in ("write  =", "triple =", "read   =", "query  =", "focus  ="):
        assert rule in (calls.__doc__ or "")
    write = WriteCall((Triple("Marie Curie", "place of birth", "Warsaw"), Triple("Marie Curie", "spouse", "Pierre")))
    assert write.render() == "({MEM_WRITE-->Marie Curie>>place of birth>>Warsaw;Marie Curie>>spouse>>Pierre})"
    assert WriteCall().render() == "({MEM_WRITE-->})"
    asked = (Query("Anna", "residence", None), Query(None, "capital of", "France"))
    assert ReadCall(asked).render() == "({MEM_READ(Anna>>residence>>;>>capital of>>France)-->"
    assert ReadCall(asked, ("Oslo", "Paris")).render() == "({MEM_READ(Anna>>residence>>;>>capital of>>France)-->Oslo;Paris})"
    assert ReadCall(asked[:1], ()).render() == "({MEM_READ(Anna>>residence>>)-->})"
    assert (calls.FOCUS_OPEN, calls.FOCUS_CLOSE) == ("({USER_ST})", "({USER_END})")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("MEM_WRITE-->a>>b>>c})", 0),
        ("({MEM_WRITE-->a>>b>>c", 21),
        ("({MEM_WRITE-->a>>b})", 18),
        ("({MEM_WRITE-->a})", 15),
        ("({MEM_WRITE-->a>>>>c})", 17),
        ("({MEM_WRITE-->>>b>>c})", 14),
        ("({MEM_WRITE-->a>>b>>c;})", 22),
        ("({MEM_WRITE-->a>>b>>c>>d})", 21),
        ("({MEM_WRITE-->a>>b>>c}) and more", 23),
        ("({MEM_WRITE-->a>>b>>({MEM_READ(})", 20),
        ("({MEM_WRITE-->a>>b>>\\", 20),
        ("({MEM_WRITE-->a>>b>>c;a>>b>>x\0y})", 22),
        (f"({{MEM_WRITE-->a>>b>>{'c' * 1001}}})", 14),
    ],
)
def test_a_malformed_write_call_says_where(text, position):
    with pytest.raises(MalformedCall) as caught:
        parse_write(text)
    assert (caught.value.text, caught.value.position) == (text, position)
    assert f"position {position}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("({MEM_READ()-->", 11),
        ("({MEM_READ(a>>b>>", 17),
        ("({MEM_READ(a>>b)-->", 15),
        ("({MEM_READ(a>>b>>c)-->", 11),
        ("({MEM_READ(>>b>>)-->", 11),
        ("({MEM_READ(a>>b>>;)-->", 18),
        ("({MEM_READ(a>>b>>)-->x", 22),
        ("({MEM_READ(a>>b>>)-->x;})", 23),
        ("({MEM_READ(a>>b>>)-->x})y", 24),
        ("({MEM_READ(a>>b>>)-->x\0})", 21),
        ("({MEM_READ(a>>r>>;b>>r>>;c>>r>>;d>>r>>)-->", 42),
    ],
)
def test_a_malformed_read_call_says_where(text, position):
    with pytest.raises(MalformedCall) as caught:
        parse_read(text)
    assert (caught.value.text, caught.value.position) == (text, position)


@pytest.mark.parametrize("text", ["Anna", "Anna>>residence", "Anna>>residence>>Oslo", ">>residence>>", "a>>b>>;c>>d>>", "  >>b>>"])
def test_a_malformed_query_is_refused(text):
    with pytest.raises(MalformedCall):
        parse_query(text)


@given(st.text(max_size=60) | st.lists(st.sampled_from([*MARKS, "a", " ", "\\", "})"]), max_size=12).map("".join))
def test_any_text_is_a_call_or_malformed(text):
    """Nothing but MalformedCall comes out of reading, and what was read is rendered as a call that says the same."""
    for parse in (parse_write, parse_read, lambda t: parse_write("({MEM_WRITE-->" + t + "})")):
        try:
            call = parse(text)
        except MalformedCall as error:
            assert 0 <= error.position <= len(error.text)
        else:
            assert (parse_write if isinstance(call, WriteCall) else parse_read)(call.render()) == call


def test_a_read_call_has_one_to_three_queries_and_answers_that_are_names():
    query = Query("a", "b", None)
    for asked in ((), (query,) * 4):
        with pytest.raises(InvalidInput, match="one to 3 queries"):
            ReadCall(asked)
    for answer in ("", "  ", "x\0"):
        with pytest.raises(InvalidInput, match="answer"):
            ReadCall((query,), ("Oslo", answer))
