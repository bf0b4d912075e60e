"""The suites on public data, each on a few lines of the same form made here, and the command around them."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from evals import page, report
from evals.bench import Bench
from evals.case import MissingData, Score
from evals.editing import Edit, Editing, exact, latest, nearest, stage, steps
from evals.extraction import Extraction
from evals.junk import Junk, kind_of
from evals.run import main
from evals.scripted import ScriptedTalker
from evals.texts import detokenise, read_docred, read_knowledgenet, read_tekgen
from memagent import Match, Query, Reply, Triple
from memagent.model.seam import Draft, ScriptedModel
from memagent.ontology import default_ontology

ONTOLOGY = default_ontology()
DOCUMENT = {
    "title": "Tarn",
    "sents": [["Ada", "Tarn", "was", "born", "in", "Oxley", "."], ["She", "married", "Cy", "Moss", "(", "1950", ")", "."]],
    "vertexSet": [
        [{"name": "Ada Tarn", "sent_id": 0}],
        [{"name": "Oxley", "sent_id": 0}],
        [{"name": "Cy Moss", "sent_id": 1}],
    ],
    "labels": [
        {"h": 0, "t": 1, "r": "P19", "evidence": [0]},
        {"h": 0, "t": 2, "r": "P26", "evidence": [0, 1]},
        {"h": 2, "t": 0, "r": "P26", "evidence": []},
        {"h": 0, "t": 1, "r": "P99999", "evidence": [0]},
    ],
}
ROW = {"fold": 4, "doc": "9", "pass_start": 5, "passage": "Ada Tarn runs Moss Ltd.", "subject_uri": None, "object_uri": None}
PASSAGES = [
    {**ROW, "property": "CEO", "subject": "Moss Ltd", "object": "Ada Tarn"},
    {**ROW, "property": "CEO", "subject": "Moss Ltd", "object": "She"},
    {**ROW, "property": "SPOUSE", "subject": None, "object": None},
    {**ROW, "fold": 1, "doc": "8", "property": "CEO", "subject": "A", "object": "B"},
]
BORN, MARRIED = Triple("Ada Tarn", "place of birth", "Oxley"), Triple("Cy Moss", "spouse", "Ada Tarn")
READER = ScriptedTalker(
    {
        "Ada Tarn was born in Oxley.": [BORN, Triple("Ada Tarn", "age", "7")],
        "She married Cy Moss (1950).": [MARRIED, Triple("Ada Tarn", "place of birth", "Moss")],
        "Ada Tarn runs Moss Ltd.": [Triple("Moss Ltd", "chief executive officer", "Ada Tarn")],
    }
)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode()))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "redocred").mkdir(parents=True)
    (folder / "redocred" / "test_revised.json").write_text(json.dumps([DOCUMENT]), encoding="utf-8")
    write_lines(folder / "knowledgenet" / "train.jsonl.xz", PASSAGES)
    return folder


def test_docred_sentences_get_what_is_evidenced_and_named_by_then() -> None:
    (text,) = read_docred([DOCUMENT], ONTOLOGY)
    assert text.parts == ("Ada Tarn was born in Oxley.", "She married Cy Moss (1950).")
    assert [len(facts) for facts in text.facts_of_part] == [1, 1]
    assert len(text.facts) == 3
    assert text.allowed == {"place of birth", "spouse"}


def test_detokenise_writes_as_a_person_would() -> None:
    assert detokenise(["Vice", "-", "King", "1919", "-", "20", "-", "May", " "]) == "Vice-King 1919-20 - May"
    assert detokenise(["He", "said", '"', "Yes", '"', ",", "at", "Ann", "'s", "(", "no", ")", "."]) == 'He said "Yes", at Ann\'s (no).'


def test_knowledgenet_merges_a_pronoun_with_the_name_it_stands_for() -> None:
    (text,) = read_knowledgenet(PASSAGES)
    assert len(text.facts) == 1
    assert text.allowed == {"chief executive officer", "spouse"}


def test_extraction_counts_sentences_documents_passages_and_relations(data: Path) -> None:
    outcome = Extraction().run(Bench(READER.fresh, data=data))
    rows = {row.label: row.scores for row in outcome.rows}
    assert rows["Re-DocRED, sentences"]["precision"].value == pytest.approx(2 / 3, abs=1e-5)
    assert rows["Re-DocRED, sentences"]["recall"].value == 1.0
    assert rows["Re-DocRED, documents"]["recall"].n == 3
    assert rows["Re-DocRED: place of birth"]["precision"].value == 0.5
    assert rows["Re-DocRED: spouse"]["recall"].value == 1.0
    assert rows["KnowledgeNet, passages"]["f1"].value == 1.0
    assert rows["confidence"]["calibration error"].value == pytest.approx(1 / 4)
    assert outcome.notes[0].startswith("1 triples about relations")


def test_extraction_goes_on_with_the_data_set_that_is_there(data: Path) -> None:
    (data / "knowledgenet" / "train.jsonl.xz").unlink()
    outcome = Extraction().run(Bench(READER.fresh, data=data))
    assert [note.split(":")[0] for note in outcome.notes[1:]] == [
        "needs knowledgenet/train.jsonl[.xz] under --data",
        "needs text2kgbench/wikidata_tekgen/ontologies/9_nature_ontology.json[.xz] under --data",
    ]
    (data / "redocred" / "test_revised.json").unlink()
    with pytest.raises(MissingData, match=r"redocred/test_revised\.json.*MIT"):
        Extraction().run(Bench(READER.fresh, data=data))


def test_shuffled_gold_labels_change_the_score_but_nothing_that_is_written(data: Path) -> None:
    cases = Extraction().run(Bench(READER.fresh, data=data)).cases
    shuffled = {**DOCUMENT, "labels": [{"h": 1, "t": 2, "r": "P19", "evidence": [1]}]}
    (data / "redocred" / "test_revised.json").write_text(json.dumps([shuffled]), encoding="utf-8")
    again = Extraction().run(Bench(READER.fresh, data=data))
    assert [case.details for case in again.cases[:-1]] == [case.details for case in cases[:-1]]
    assert {row.label: row.scores["recall"].value for row in again.rows[:-1]}["Re-DocRED, documents"] == 0.0


EDITS = [
    {"src": "Who leads Moss?", "alt": "Ada", "rephrase": "Moss is led by whom?", "loc": "nq question: why", "loc_ans": "because"},
    {"src": "Who leads Tarn?", "alt": "Cy", "rephrase": "Tarn is led by whom?", "loc": "nq question: how", "loc_ans": "so"},
]


def test_edits_are_scored_after_the_last_and_split_by_where_they_failed(tmp_path: Path) -> None:
    (tmp_path / "zsre_700.json").write_text(json.dumps(EDITS), encoding="utf-8")
    editor = ScriptedTalker(
        {"Who leads Moss? Ada.": [Triple("Moss", "head of government", "Ada")]},
        {"Who leads Moss?": Query("Moss", "head of government", None), "why": Query("Ada", "head of government", None)},
    )
    outcome = Editing().run(Bench(editor.fresh, data=tmp_path))
    rows = {row.label: {name: score.value for name, score in row.scores.items()} for row in outcome.rows}
    assert list(rows) == ["T = 1", "T = 2", "T = 2, no memory", "T = 2, in the prompt", "T = 2, RAG", "immediate, T = 2"]
    own = {"reliability": 0.5, "generalisation": 0.0, "locality": 0.5, "reliability (contained)": 0.5, "generalisation (contained)": 0.0}
    assert rows["T = 2"] == own
    assert rows["immediate, T = 2"] == {name: own[name] for name in ("locality", "reliability (contained)", "generalisation (contained)")}
    assert rows["T = 2, RAG"]["reliability"] == 0.0
    assert outcome.notes[0] == "of 2 edits, after the last: 1 not written, 0 not found, 0 not used"
    assert "in the prompt: the latest 2 of 2 edits" in outcome.notes
    assert [case.kind for case in outcome.cases] == ["reliable", "not written"]


class Hearing(ScriptedModel):
    """Says all that it was told; at most five words of it."""

    def prompt(self, turns: Any) -> list[int]:
        return [ord(c) for c in " ".join(" ".join(text for _, text in turns).split()[-5:])]

    def draft(self, request: Any) -> Draft:
        return Draft((), "".join(map(chr, request.ids)))


def test_without_a_memory_the_model_is_told_what_fits_or_what_is_near() -> None:
    edits = [Edit("capital of Peru?", "Lima", "", ""), Edit("who leads Moss?", "Ada", "", ""), Edit("who leads Tarn?", "Cy", "", "")]
    told, note = latest(edits, Hearing())
    assert told("any") == [edit.text for edit in edits[-2:]] and "latest 2 of 3" in note
    near, _ = nearest(edits, Hearing())
    assert near("What is Peru's capital?")[-1] == edits[0].text


def test_tekgens_names_are_right_as_annotated_and_as_said() -> None:
    rows = [
        {
            "id": "1",
            "sent": "Moss (2010) was shot by A. Tarn.",
            "triples": [
                {"sub": "Moss", "rel": "publication date", "obj": "01 January 2010"},
                {"sub": "Moss", "rel": "director", "obj": "Somebody Else"},
                {"sub": "Moss", "rel": "distributed by", "obj": "Moss"},
            ],
        },
        {"id": "2", "sent": "Nothing is said.", "triples": []},
    ]
    (text,) = read_tekgen([(rows, {"relations": [{"label": "publication date"}, {"label": "director"}, {"label": "distributed by"}]})])
    assert [fact.objects for fact in text.facts] == [{"2010", "01 january 2010"}]
    assert text.allowed == {"publication date", "director"}


def test_edit_text_and_steps() -> None:
    assert Edit("Who leads Moss? ", "Ada Jr.", "", "").text == "Who leads Moss? Ada Jr."
    assert [steps(n) for n in (0, 5, 10, 300, 700)] == [[], [5], [10], [10, 100, 300], [10, 100, 700]]


def test_exact_allows_a_sentence_around_the_one_answer_of_the_memory() -> None:
    match = Match(Triple("Moss", "head of government", "Ada"), 1.0, "Ada")
    sentence = Reply("Moss is led by Ada.", True, matches=(match,))
    assert exact(sentence, "ada") and exact(Reply("Ada."), "Ada")
    assert not exact(Reply("Moss is led by Ada."), "Ada")
    assert stage(Reply("No.", True, matches=(match,)), "Ada", True) == "not used"
    assert stage(Reply("No."), "Ada", True) == "not found"
    assert stage(sentence, "Ada", True) == ""


def test_junk_counts_triples_by_kind_of_turn_and_skips_what_lasts(tmp_path: Path) -> None:
    turns = [["USER", "My birthday is in May."], ["SYSTEM", "Nice."], ["USER", "Is it open?"], ["USER", "Thanks."], ["USER", "Thanks."]]
    write_lines(
        tmp_path / "sgd_dialogues.jsonl.xz", [{"id": "1", "split": "test", "turns": turns}, {"id": "2", "split": "train", "turns": turns}]
    )
    outcome = Junk().run(Bench(ScriptedTalker({"Is it open?": [BORN, MARRIED]}).fresh, data=tmp_path))
    values = {row.label: row.scores["triples"].value for row in outcome.rows}
    assert values == {"questions": 2.0, "short turns": 0.0, "requests": None, "all turns": pytest.approx(2 / 3, abs=1e-5)}
    assert kind_of("Please book me a table for the evening.") == "requests"


def test_the_command_prints_writes_and_compares(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "can_draw", lambda: False)  # that is tried where the page is
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ["--suite", "extraction", "--data", str(data)]
    assert main([*arguments, "--out", str(first), "--verbose"], agents=READER.fresh) == 0
    assert "100.0 [100.0, 100.0] 1" in capsys.readouterr().out
    assert main([*arguments, "--out", str(second)], agents=ScriptedTalker().fresh) == 0
    assert (first / "report.html").is_file()
    result = report.read(first / "extraction.json")
    assert set(result["data"]) == {"redocred/test_revised.json", "knowledgenet/train.jsonl"}
    assert {"model", "settings", "seed", "limit", "versions", "commit", "seconds"} <= set(result)
    assert str(tmp_path) not in json.dumps(result)
    capsys.readouterr()
    assert main(["--compare", str(first / "extraction.json"), str(second / "extraction.json")]) == 0
    printed = capsys.readouterr().out
    assert "-100.0" in printed and "*" in printed


def test_the_command_names_the_missing_file_and_goes_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", "junk", "--suite", "extraction", "--data", str(data)], agents=READER.fresh) == 1
    out, err = capsys.readouterr()
    assert "sgd_dialogues.jsonl" in err and "CC BY-SA 4.0" in err and "google-research-datasets" in err
    assert "Re-DocRED, documents" in out


def test_without_arguments_only_the_suites_with_cases_of_their_own_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--limit", "5"], agents=ScriptedTalker().fresh) == 0
    out = capsys.readouterr().out
    assert "overall" in out and "invented: " in out and "all sentences" in out and "Re-DocRED" not in out


def test_a_file_that_is_no_result_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.json"
    path.write_text("[]", encoding="utf-8")
    assert main(["--compare", str(path), str(path)]) == 1
    assert "is not a result" in capsys.readouterr().err


def test_numbers_look_the_same_everywhere() -> None:
    assert report.cell(Score(0.8316, 0.781, 0.88, 247)) == "83.2 [78.1, 88.0] 247"
    assert report.cell(Score(None, None, None, 0)) == report.cell(None) == "–"
