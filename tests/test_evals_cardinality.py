"""Candidates for one-valued relations come from how many objects subjects have."""

import json

from evals.cardinality import Cardinality, counted, main, table
from memagent.ontology import default_ontology


def rows(name: str, *objects: list[str]) -> list[dict]:
    return [{"property": name, "subject": f"S{number}", "objects": some} for number, some in enumerate(objects)]


def test_subjects_with_several_objects_are_counted_once():
    found = counted([*rows("P19", ["A"], ["B"]), *rows("P19", ["A"]), *rows("P26", ["A", "B"], ["C"])])
    assert found == {"P19": Cardinality(2, 0, 2), "P26": Cardinality(2, 1, 3)}


def test_differences_from_the_ontology_are_marked():
    _, *lines = table(counted([*rows("P19", ["A"]), *rows("P26", ["A", "B"])]), default_ontology())
    assert [(line[0], line[5], line[6], line[7]) for line in lines] == [
        ("place of birth", "one", "one", ""),
        ("spouse", "many", "one", "*"),
    ]


def test_the_command_prints_the_table_or_says_what_is_missing(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 1
    assert "kamel/train.jsonl" in capsys.readouterr().err
    (tmp_path / "kamel").mkdir()
    for split in ("train", "dev", "test"):
        (tmp_path / "kamel" / f"{split}.jsonl").write_text(json.dumps(rows("P19", ["A"])[0]) + "\n", encoding="utf-8")
    assert main(["--data", str(tmp_path)]) == 0
    assert "place of birth" in capsys.readouterr().out
