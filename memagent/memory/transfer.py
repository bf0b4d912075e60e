"""Export and import, all or nothing: a file that cannot be read to its end changes nothing.

jsonl   everything, ended beliefs, provenance and journal too (`lossless.py`); on import also plain triples, one object
a line ({"subject", "relation", "object", ...}), and the file of the MCP reference memory
csv     the triples that hold now, a row for each source
graphml the triples that hold now, for networkx and graph viewers (needs networkx)
nt ttl  the same as RDF (needs rdflib); only the three names
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from memagent.errors import InvalidInput, StorageFull, TransferError
from memagent.memory import browsing, graphs, lossless, relations, writing
from memagent.memory.space import Space
from memagent.memory.values import Imported
from memagent.triples import Provenance, Triple

Format = Literal["jsonl", "csv", "graphml", "nt", "ttl"]
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".json": "jsonl", ".csv": "csv", ".graphml": "graphml", ".nt": "nt", ".ttl": "ttl"}
COLUMNS = ("subject", "relation", "object", "confidence", "valid_from", "valid_to", "source", "passage", "start", "end", "speaker", "time")
OBSERVATION = "observation"  # the relation under which the MCP reference memory's observations come in
KIND = "instance of"  # and its entity types


def export(space: Space, path: Path, format: Format | None) -> int:
    """Write the namespace to `path`; returns the number of triples.

    Raises:
        TransferError: the format is unknown or cannot hold a name.
        StorageFull: the file cannot be written.
    """
    chosen = _format(path, format)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            count = _export(space, file, chosen)
        os.replace(partial, path)
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}", hint="is the disk full, or the folder missing?") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _export(space: Space, file: TextIO, format: Format) -> int:
    if format == "jsonl":
        return lossless.write(space, file)
    triples = browsing.triples(space, None, None, None, 0, False)
    if format == "csv":
        _write_csv(triples, file)
    elif format == "graphml":
        graphs.write_graphml(triples, file)
    else:
        graphs.write_rdf(triples, file, format)
    return len(triples)


def import_(space: Space, path: Path, format: Format | None) -> Imported:
    """Read `path` into the namespace.

    Raises:
        TransferError: naming the line that cannot be read.
    """
    chosen = _format(path, format)
    skipped: tuple[str, ...] = ()
    try:
        if chosen == "jsonl":
            return _read_jsonl(space, path)
        if chosen == "csv":
            triples = list(_read_csv(path))
        elif chosen == "graphml":
            triples = graphs.read_graphml(path)
        else:
            triples, skipped = graphs.read_rdf(path, chosen)
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TransferError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    return _add(space, triples, skipped)


def _add(space: Space, triples: list[Triple], skipped: tuple[str, ...] = (), notes: Iterable[Provenance] = ()) -> Imported:
    before = browsing.count(space)
    writing.add(space, relations.all_canonical(space, triples))
    for note in notes:
        writing.note_passage(space, note)
    after = browsing.count(space)
    return Imported(len(triples), after.entities - before.entities, after.passages - before.passages, skipped)


def _format(path: Path, format: str | None) -> Format:
    found = FORMATS.get(path.suffix.lower()) if format is None else FORMATS.get(f".{format}")
    if found is None:
        raise TransferError(
            f"unknown format {format or path.suffix or path.name!r}", hint=f"one of {', '.join(dict.fromkeys(FORMATS.values()))}"
        )
    return found


# JSON Lines


def _read_jsonl(space: Space, path: Path) -> Imported:
    lines = list(read_lines(path))
    if lines and lossless.is_header(lines[0][1]):
        return lossless.read(space, path, lines)
    read: Callable[[dict[str, Any]], Iterable[Triple]] = _mcp if lines and "type" in lines[0][1] else _plain
    triples: list[Triple] = []
    for number, line in lines:
        with lossless.at_line(path, number):
            triples.extend(read(line))
    return _add(space, triples)


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file with their line numbers; empty lines are passed over.

    Raises:
        TransferError: a line is no JSON object.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            text = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if not text:
                continue
            with lossless.at_line(path, number):
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise TransferError(f"{path}, line {number}: not an object")
            yield number, line


def _plain(line: dict[str, Any]) -> Iterator[Triple]:
    unknown = sorted(line.keys() - set(COLUMNS))
    if unknown:
        raise InvalidInput(f"unknown field {unknown[0]!r}")
    yield _triple({key: value for key, value in line.items() if value is not None})


def _mcp(line: dict[str, Any]) -> Iterator[Triple]:
    """A line of the MCP reference memory: an entity with its type and observations, or a relation."""
    if line["type"] == "relation":
        yield Triple(line["from"], line["relationType"], line["to"])
    elif line["type"] == "entity":
        if line.get("entityType"):
            yield Triple(line["name"], KIND, line["entityType"])
        for observation in line.get("observations", ()):
            yield Triple(line["name"], OBSERVATION, observation)
    else:
        raise InvalidInput(f"unknown type {line['type']!r}")


def _triple(given: dict[str, Any]) -> Triple:
    sources: tuple[Provenance, ...] = ()
    if given.get("source") or given.get("passage"):
        time = datetime.fromisoformat(given["time"]) if given.get("time") else None
        place = int(given.get("start") or 0), int(given.get("end") or 0)
        sources = (
            Provenance(
                str(given.get("source") or "import"), str(given.get("passage") or ""), *place, str(given.get("speaker") or ""), time
            ),
        )
    confidence = float(given.get("confidence") or 1.0)
    return Triple(given["subject"], given["relation"], given["object"], confidence, given.get("valid_from"), given.get("valid_to"), sources)


# CSV


def _write_csv(triples: Iterable[Triple], file: TextIO) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for triple in triples:
        own = (triple.subject, triple.relation, triple.object, triple.confidence, triple.valid_from or "", triple.valid_to or "")
        for source in triple.provenance:
            time = source.time.isoformat() if source.time else ""
            writer.writerow((*own, source.source, source.passage, source.start, source.end, source.speaker, time))
        if not triple.provenance:
            writer.writerow(own)


def _read_csv(path: Path) -> Iterator[Triple]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS[:3] if column not in (reader.fieldnames or ())]
        if missing:
            raise TransferError(f"{path}, line 1: there is no column {missing[0]!r}", hint=f"the columns are {', '.join(COLUMNS)}")
        while True:
            with lossless.at_line(path, reader.line_num + 1):
                row = next(reader, None)
            if row is None:
                return
            with lossless.at_line(path, reader.line_num):
                if None in row:
                    raise InvalidInput("more cells than columns")
                yield _triple({key: value for key, value in row.items() if value})
