"""Text into passages and sentences: nothing is lost, offsets are right, and a full stop does not always end a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memagent.passages import MAX_FOCUS, focus_sentences, passages, sentences

PIECES = ["Anna ", "lives", " in Oslo", ". ", "? ", "!", "\n", "\n\n", " Dr. ", "J. ", "“No.” ", "etc. ", ", ", "; ", "…", "\r\n"]
PIECES += ["x" * 450, "ok. she "]
texts = st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


def without_space(text: str) -> str:
    return "".join(text.split())


@given(texts)
def test_no_text_is_lost_and_none_is_added(text):
    parts = list(passages(text))
    assert without_space("".join(parts)) == without_space(text)
    for passage in parts:
        assert passage == passage.strip() != ""
        spans = list(sentences(passage))
        assert without_space("".join(passage[start:end] for start, end in spans)) == without_space(passage)
        assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))


@given(texts)
def test_each_focus_is_the_text_at_its_offsets_and_within_reach(text):
    for passage in passages(text):
        found = list(focus_sentences(passage, ("earlier",), reach=2))
        for i, focus in enumerate(found):
            assert focus.text == focus.passage[focus.start : focus.end] == focus.text.strip()
            assert 0 < len(focus.text) <= MAX_FOCUS
            assert focus.context == ("earlier", *(f.text for f in found[:i]))[-2:]


def test_passages_are_paragraphs():
    assert list(passages("One.\nStill one.\n \nTwo.\r\n\r\nThree.\n\n\n")) == ["One.\nStill one.", "Two.", "Three."]
    assert list(passages(" \n\n ")) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "J. R. R. Tolkien was born in Bloemfontein.",
        "George W. Bush met Angela Merkel.",
        "Dr. Ines Okafor and Prof. Lund work with Mr. and Mrs. Hale at St. Mary.",
        "Opened by Gov. Reed, Sen. Diaz, Gen. Park, Capt. Roe, Lt. Yu and Rev. Obi.",
        "He collects stamps, coins etc. in boxes.",
        "Tools, e.g. hammers, i.e. what hits, cf. below.",
        "See No. 7, Vol. 2 and Fig. 3 for approx. 40 cases, ca. 1900.",
        "The shop opens at 9 a.m. on Mondays.",
        "Acme Inc. is based in Oslo.",
        "It costs 3.50 euros at example.com today.",
        "Karl (b. 1850) led the U.S. army.",
        "The film “Who?” won, she said.",
    ],
)
def test_a_full_stop_inside_does_not_end_it(sentence):
    assert split(f"{sentence} Then it rained.") == [sentence, "Then it rained."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna lives in oslo. she works at acme", ["anna lives in oslo.", "she works at acme"]),
        ("really?! yes!!! ok", ["really?!", "yes!!!", "ok"]),
        ("I like tea... and coffee.", ["I like tea...", "and coffee."]),
        ("“I moved.” she said. then she left", ["“I moved.” she said.", "then she left"]),
        ("She said “I moved.” Then she left.", ["She said “I moved.”", "Then she left."]),
        ("(It rained.) We stayed.", ["(It rained.)", "We stayed."]),
        ("Is it red? No. The bicycle is blue.", ["Is it red? No.", "The bicycle is blue."]),
        ("Who made it? The Kestrel Motor Company. When?", ["Who made it? The Kestrel Motor Company.", "When?"]),
        ("Is it red? You know? Red.", ["Is it red?", "You know? Red."]),
        ("Guess what? I moved to Oslo at the weekend.", ["Guess what?", "I moved to Oslo at the weekend."]),
        ("milk\neggs\n- bread", ["milk", "eggs", "- bread"]),
        ("no end", ["no end"]),
        ("!!!", ["!!!"]),
    ],
)
def test_sentences_as_people_type_them(text, expected):
    assert split(text) == expected


def test_a_long_sentence_is_cut_at_a_comma_else_at_a_space_else_anywhere():
    commas = split(", ".join(["some words"] * 60))
    assert len(commas) > 1
    assert all(part.endswith(",") for part in commas[:-1])
    words = split(" ".join(["word"] * 120))
    assert set(" ".join(words).split()) == {"word"}
    assert [len(part) for part in split("x" * 900)] == [MAX_FOCUS, MAX_FOCUS, 100]


def test_offsets_count_characters_of_the_passage():
    passage = "Ünïcödé 🦉 first.\n  Anna lives in Oslo.  "
    assert [(f.text, f.start, f.context) for f in focus_sentences(passage)] == [
        ("Ünïcödé 🦉 first.", 0, ()),
        ("Anna lives in Oslo.", 19, ("Ünïcödé 🦉 first.",)),
    ]
