"""Plain text from the data folder: encyclopaedia articles and conversations.

Each reader yields texts and refuses malformed input with file and line. Licences: see the folder's own README; the
sources named here are those whose text may train weights that are shipped.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from memagent.errors import InvalidInput

Turns = list[tuple[str, str]]  # (speaker, text)


def open_text(path: Path) -> io.TextIOBase:
    """A text file, packed with xz or not.

    Raises:
        InvalidInput: there is no such file; names it.
    """
    if not path.exists():
        raise InvalidInput(f"{path} is missing", hint="--data names the folder of data sets; its README lists the files")
    if path.suffix == ".xz":
        return cast(io.TextIOBase, lzma.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, value) of each line.

    Raises:
        InvalidInput: a line is not JSON; names file and line.
    """
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidInput(f"{path}:{number}: not JSON: {error.msg}") from error


def read_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its last line, values by column) of each record; a column that it lacks is not in it."""
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        for record in reader:
            yield reader.line_num, {column: value for column, value in record.items() if column and value is not None}


def field(record: Any, key: str, path: Path, number: int) -> Any:
    """`record[key]`, or an InvalidInput that names file and line."""
    if not isinstance(record, dict) or key not in record:
        raise InvalidInput(f"{path}:{number}: no field {key!r}")
    return record[key]


def wikipedia_files(data: Path) -> list[Path]:
    """The article files, in order."""
    files = sorted((data / "wikipedia_en_2015").glob("articles_*.jsonl*"))
    if not files:
        raise InvalidInput(f"{data / 'wikipedia_en_2015'} has no articles_*.jsonl.xz", hint="--data names the folder of data sets")
    return files


def articles(path: Path) -> Iterator[tuple[str, str]]:
    """(title, text) of each article of one file."""
    for number, record in read_jsonl(path):
        yield field(record, "title", path, number), field(record, "text", path, number)


def task_dialogues(data: Path) -> Iterator[Turns]:
    """Schema-Guided Dialogue without its test split, from which `evals` takes talk that must not be written."""
    path = data / "sgd_dialogues.jsonl.xz"
    for number, record in read_jsonl(path):
        turns = field(record, "turns", path, number)
        if not all(isinstance(turn, list) and len(turn) == 2 for turn in turns):
            raise InvalidInput(f"{path}:{number}: a turn is a speaker and a text")
        if field(record, "split", path, number) == "test":
            continue
        yield [("user" if speaker == "USER" else "assistant", text) for speaker, text in turns]


def persona_dialogues(data: Path) -> Iterator[Turns]:
    """Conversations between two people; the second speaks as the assistant."""
    for path in sorted((data / "synthetic_persona_chat").glob("*.csv*")):
        for number, record in read_csv(path):
            yield _persona_turns(field(record, "Best Generated Conversation", path, number))


def _persona_turns(conversation: str) -> Turns:
    turns: Turns = []
    for line in conversation.splitlines():
        speaker, _, text = line.partition(": ")
        if text:
            turns.append(("user" if speaker.endswith("1") else "assistant", text))
    return turns
