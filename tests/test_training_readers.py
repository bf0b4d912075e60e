"""Readers of published formats: what each makes of a tiny file of invented sentences in its format."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from memagent.errors import InvalidInput
from memagent.ontology import default_ontology
from memagent.training import corpus, readers
from memagent.training.prepare import reasons
from memagent.training.readers import AskedRelation, Fact, Report, Statement
from memagent.training.readers.names import find_name
from memagent.training.readers.relations import DBPEDIA, KNOWLEDGENET, LABELS, WIKIDATA
from memagent.training.readers.spelling import detokenise, mended, sentences
from memagent.triples import Triple

FIXTURES = Path(__file__).with_name("data") / "readers"
TEKGEN = "text2kgbench/wikidata_tekgen/train"
ARTICLES = "wikipedia_en_2015/articles_00.jsonl.xz"
PERSONAS = "synthetic_persona_chat/Synthetic-Persona-Chat_test.csv.xz"
PLAIN = "text2kgbench"  # the others are packed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for path in FIXTURES.rglob("*.*"):
        target = tmp_path / path.relative_to(FIXTURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if PLAIN in path.parts:
            shutil.copy(path, target)
        else:
            target.with_name(target.name + ".xz").write_bytes(lzma.compress(path.read_bytes()))
    return tmp_path


@pytest.fixture
def report() -> Report:
    return Report()


def told(statements: Iterable[Statement]) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [(s.context, s.focus, [(t.subject, t.relation, t.object) for t in s.triples]) for s in statements]


def test_tekgen_joins_lines_of_one_sentence_and_is_partial(data: Path, report: Report) -> None:
    statements = list(readers.read_tekgen(data, report))
    assert told(statements) == [
        (
            "",
            "The Salt Ladder is a novel by Ylva Tarn, first printed on March 3rd, 1911.",
            [("The Salt Ladder", "author", "Ylva Tarn"), ("The Salt Ladder", "publication date", "March 3rd, 1911")],
        ),
        ("", "Vask United parted with its coach, Oru Pell.", [("Vask United", "head coach", "Oru Pell")]),
    ]
    assert all(statement.partial for statement in statements)
    assert report == {"unmapped: P110": 1, "name not in the text: occupation": 1}


def test_tekgen_test_has_labels_for_relations(data: Path, report: Report) -> None:
    assert told(readers.read_tekgen_test(data, report)) == [
        (
            "",
            "Moss Country was written by Ylva Tarn in 1920.",
            [("Moss Country", "author", "Ylva Tarn"), ("Moss Country", "publication date", "1920")],
        )
    ]


def test_webnlg_gives_each_sentence_its_triples(data: Path, report: Report) -> None:
    statements = list(readers.read_webnlg(data, report))
    assert told(statements) == [
        ("", "Brannock stew comes from the Orle Isles.", [("Brannock stew", "country", "Orle Isles")]),
        (
            "Brannock stew comes from the Orle Isles.",
            "It is made with barley and smoked eel.",
            [("Brannock stew", "made of", "barley"), ("Brannock stew", "made of", "smoked eel")],
        ),
        ("", "Kord Airport is 31 metres above the sea and is run by Kord Council.", [("Kord Airport", "operator", "Kord Council")]),
    ]
    assert [statement.partial for statement in statements] == [False, False, True]
    assert report == {"unmapped: runwayName": 1}


def test_knowledgenet_swaps_parents_resolves_pronouns_and_keeps_to_its_folds(data: Path, report: Report) -> None:
    statements = list(readers.read_knowledgenet(data, report))
    first = "Pell Orrin is the son of Marta Orrin, who founded Orrin Glass (OG)."
    assert told(statements) == [
        ("", first, [("Marta Orrin", "child", "Pell Orrin"), ("Orrin Glass", "founded by", "Marta Orrin")]),
        (first, "He is a member of the Tallow Choir.", [("Pell Orrin", "member of", "Tallow Choir")]),
        ("", "The mill burnt down in the autumn.", []),
    ]
    assert [statement.covered for statement in statements] == [("child", "founded by"), ("employer", "member of"), ("spouse",)]
    assert report == {"pronoun: spouse": 1}
    assert told(readers.read_knowledgenet(data, report, folds=(4,))) == [
        ("", "Quill Works dates from 1902.", [("Quill Works", "inception", "1902")])
    ]


def test_docred_detokenises_joins_and_places_triples(data: Path, report: Report) -> None:
    statements = list(readers.read_docred(data, report))
    first = "Tarn Hall is a two-storey house in Vask."
    second = 'The house was built in 1902–1904 by Bo Marsh, who called it "my folly".'
    assert told(statements) == [
        ("", first, [("Tarn Hall", "location", "Vask")]),
        (first, second, [("The house", "architect", "Bo Marsh")]),
        (f"{first} {second}", "Rain fell.", []),
    ]
    assert report == {"unmapped: P9999": 1, "not named yet: architect": 1}
    assert readers.titles(data) == {"Tarn Hall"}


def test_fewrel_marks_one_triple_a_sentence(data: Path, report: Report) -> None:
    statements = list(readers.read_fewrel(data, "wiki", report))
    assert told(statements) == [("", "Mira Holt's husband, Jon Dray, can't swim.", [("Mira Holt", "spouse", "Jon Dray")])]
    assert statements[0].partial
    assert report == {"unmapped: P931": 1, "a person without a name: spouse": 1}


def test_facts_are_turned_into_our_direction(data: Path, report: Report) -> None:
    assert list(readers.read_kamel(data, report)) == [
        Fact("Bo Marsh", "member of", ("Tallow Choir", "Guild of Roofs")),
        Fact("Tarn Hall", "owned by", ("Quill Works",)),
    ]
    assert list(readers.read_docred_facts(data, report)) == [
        Fact("Bo Marsh", "date of birth", ("May 2, 1870",)),
        Fact("Tarn Hall", "location", ("Vask", "Orle Isles")),
    ]
    assert report == {"unmapped: P1113": 1}


def test_simple_questions_know_which_side_is_asked(data: Path, report: Report) -> None:
    assert list(readers.read_simple_questions(data, report)) == [
        AskedRelation("who wrote moss country", "author", inverse=False),
        AskedRelation("who was born in vask", "place of birth", inverse=True),
    ]
    assert report == {"unmapped: P931": 1}


def test_talk_states_nothing_and_personas_are_told_once(data: Path, report: Report) -> None:
    assert told(readers.read_task_talk(data, report)) == [("", "Hello.", []), ("Hello.", "Find me a table for two, please.", [])]
    assert report == {"may state a lasting fact": 1}
    assert list(readers.read_personas(data)) == ["I keep two goats.", "I sing in a choir."]


def test_articles_and_conversations_are_read_as_text(data: Path) -> None:
    (path,) = corpus.wikipedia_files(data)
    assert list(corpus.articles(path)) == [
        ("Tarn Hall", "Tarn Hall is a house in Vask.\n\nHistory.\nBo Marsh built it."),
        ("Vask", "Vask is a town."),
    ]
    assert list(corpus.persona_dialogues(data)) == [[("user", "Hi!")]]
    (turns,) = corpus.task_dialogues(data)
    assert turns[:2] == [("user", "Hello. Find me a table for two, please."), ("assistant", "Where?")]


Reader = Callable[[Path, Report], Iterator[object]]


def articles(data: Path, _: Report) -> Iterator[object]:
    return corpus.articles(data / ARTICLES)


def personas(data: Path, _: Report) -> Iterator[object]:
    return readers.read_personas(data)


def persona_talk(data: Path, _: Report) -> Iterator[object]:
    return corpus.persona_dialogues(data)


def fewrel_wiki(data: Path, report: Report) -> Iterator[object]:
    return readers.read_fewrel(data, "wiki", report)


@pytest.mark.parametrize(
    ("reader", "file", "text", "where"),
    [
        (readers.read_tekgen, f"{TEKGEN}/ont_1_book_train.jsonl", '{"sent": "A b."}', "train.jsonl:1: no field 'rel'"),
        (readers.read_webnlg, "text2kgbench/dbpedia_webnlg/train/ont_1_food_train.jsonl", "{", "train.jsonl:1: not JSON"),
        (readers.read_knowledgenet, "knowledgenet/train.jsonl.xz", '{"fold": 1}', "train.jsonl.xz:1: no field 'doc'"),
        (readers.read_docred, "redocred/dev_revised.json.xz", '[{"sents": []}]', "dev_revised.json.xz:1: no field 'vertexSet'"),
        (readers.read_docred, "redocred/dev_revised.json.xz", "[\n\n}", "dev_revised.json.xz:3: not JSON"),
        (fewrel_wiki, "fewrel/val_wiki.json.xz", '{"P26": [{"tokens": ["a"], "h": ["a", "Q", [[3]]]}]}', "val_wiki.json.xz: P26:1: "),
        (readers.read_kamel, "kamel/train.jsonl.xz", '{"property": "P50", "subject": "a", "objects": "b"}', "train.jsonl.xz:1: a fact is"),
        (readers.read_docred_facts, "docred_facts/train_annotated.fact.xz", '[["a", "b"]]', "fact.xz:1: a fact is"),
        (articles, ARTICLES, '{"id": "1", "title": "Vask"}', "articles_00.jsonl.xz:1: no field 'text'"),
        (readers.read_task_talk, "sgd_dialogues.jsonl.xz", "{}\n", "sgd_dialogues.jsonl.xz:1: no field 'turns'"),
        (readers.read_task_talk, "sgd_dialogues.jsonl.xz", '{"split": "train", "turns": ["a"]}', "sgd_dialogues.jsonl.xz:1: a turn is"),
        (
            personas,
            PERSONAS,
            "user 1 personas,user 2 personas\nI sing.\n",
            "Synthetic-Persona-Chat_test.csv.xz:2: no field 'user 2 personas'",
        ),
        (persona_talk, PERSONAS, "user 1 personas\nI sing.\n", "Synthetic-Persona-Chat_test.csv.xz:2: no field 'Best"),
        (readers.read_simple_questions, "simplequestions_wikidata/train.txt.xz", "Q1\tP50\n", "train.txt.xz:1: not subject"),
    ],
)
def test_malformed_input_is_named_by_file_and_line(data: Path, report: Report, reader: Reader, file: str, text: str, where: str) -> None:
    path = data / file
    path.write_bytes(lzma.compress(text.encode()) if path.suffix == ".xz" else text.encode())
    with pytest.raises(InvalidInput) as raised:
        list(reader(data, report))
    assert where in str(raised.value)


def test_what_readers_leave_over_is_told_by_reason() -> None:
    report = Report({"unmapped: P59": 3, "unmapped: P6": 1, "a turn without text": 2})
    assert reasons(report) == "4 unmapped (2 kinds: P59, P6), 2 a turn without text"
    many = Report({f"unmapped: P{n}": 1 for n in range(9)})
    assert reasons(many) == "9 unmapped (9 kinds: P0, P1, P2, P3, P4, ...)"
    assert reasons(Report()) == "nothing left over"


def test_a_document_that_contradicts_itself_is_refused(data: Path, report: Report) -> None:
    path = data / "redocred/dev_revised.json.xz"
    documents = json.loads(lzma.decompress(path.read_bytes()))
    documents[0]["labels"][0]["h"] = 17
    path.write_bytes(lzma.compress(json.dumps(documents).encode()))
    with pytest.raises(InvalidInput, match="dev_revised.json.xz:1: the document contradicts itself"):
        list(readers.read_docred(data, report))


def test_a_statement_names_only_what_is_in_its_text() -> None:
    with pytest.raises(InvalidInput, match="neither in"):
        Statement("", "Rain fell.", (Triple("Bo Marsh", "residence", "Vask"),), "test")


@pytest.mark.parametrize("table", [DBPEDIA, KNOWLEDGENET, LABELS, WIKIDATA])
def test_tables_name_relations_of_the_ontology(table: dict[str, str]) -> None:
    assert {name.removeprefix("~") for name in table.values()} <= set(default_ontology().names)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("He said `` no , '' and left -- at 10 % .", 'He said "no," and left – at 10%.'),
        ("the boys ' goats ( 13 March 1913 - 20 April 2001 )", "the boys' goats (13 March 1913 - 20 April 2001)"),
        ("in 1997 - 8 they called it ' the long year ' .", "in 1997-8 they called it 'the long year'."),
        ("Vask ( ; ) costs $ 30 , does n't it ?", "Vask costs $30, doesn't it?"),
    ],
)
def test_tokens_are_joined_as_people_write(tokens: str, text: str) -> None:
    joined, spans = detokenise(tokens.split())
    assert joined == text
    assert len(spans) == len(tokens.split())


def test_texts_are_mended_and_cut_into_sentences() -> None:
    assert mended("Th\u00c3\u00a9o (Vaskish: ) 's goat , they say") == "Théo's goat, they say"
    text = "He met J. R. Holt at 3 p.m. on Monday. Dr. Dray of Quill Inc. left. Why?"
    assert [text[start:end] for start, end in sentences(text)] == [
        "He met J. R. Holt at 3 p.m. on Monday.",
        "Dr. Dray of Quill Inc. left.",
        "Why?",
    ]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Bo Marsh-Lee", "by Bo Marsh Lee.", "Bo Marsh Lee"),
        ("Émile Dray (painter)", "by Emile Dray.", "Emile Dray"),
        ("1911-03-03", "on 3 March 1911.", "3 March 1911"),
        ("1911-03-03", "in 1911.", "1911"),
        ("Vask, Orle Isles", "in Vask.", "Vask"),
        ("glass blower", "two glass blowers.", "glass blowers"),
        ("Vas", "in Vask.", None),
    ],
)
def test_names_are_found_as_they_are_spelt(name: str, text: str, found: str | None) -> None:
    assert find_name(text, name) == found


def test_people_are_found_by_their_last_name_but_not_their_relatives() -> None:
    assert find_name("Mr. Marsh left.", "Bo Marsh", person=True) == "Marsh"
    assert find_name("Ada Marsh left.", "Bo Marsh", person=True) is None
