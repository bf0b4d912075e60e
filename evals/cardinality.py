"""python -m evals.cardinality --data DIR: which relations have one object a subject, by KAMEL's facts, beside the ontology.

A candidate is one-valued where at most `MANY` of its subjects have several objects. That is a hint and no decision: the facts are
Wikidata's, all times together, so that what people have one after the other (residence, head of government) looks
many-valued there, while a relation of which Wikidata mostly knows one (friend) looks one-valued. `*` marks where the two differ.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.bench import Bench
from evals.case import DataFile, MissingData
from evals.report import align, number
from memagent.ontology import Ontology, default_ontology

MANY = 0.1  # share of subjects with several objects above which a relation is no candidate
KAMEL = tuple(
    DataFile(
        f"kamel/{split}.jsonl",
        "KAMEL's facts, one a line (property, subject, objects)",
        "https://github.com/JanKalo/KAMEL",
        "facts of Wikidata, CC0",
    )
    for split in ("train", "dev", "test")
)


@dataclass(frozen=True, slots=True)
class Cardinality:
    """How many of the subjects of a property have several objects."""

    subjects: int
    several: int
    objects: int

    @property
    def share(self) -> float:
        """Of the subjects, those with several objects."""
        return self.several / self.subjects

    @property
    def one(self) -> bool:
        """Whether it is a candidate."""
        return self.share <= MANY


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit status 1 if the data is not there."""
    options = argparse.ArgumentParser(prog="python -m evals.cardinality", description="Candidates for one-valued relations.")
    options.add_argument("--data", type=Path, metavar="DIR", required=True, help="folder with the public data sets")
    bench = Bench(_no_agent, data=options.parse_args(arguments).data)
    try:
        rows = [row for each in KAMEL for row in bench.read_lines(each)]
    except MissingData as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    print("\n".join(align(list(table(counted(rows), default_ontology())))))
    return 0


def counted(rows: Iterable[dict[str, Any]]) -> dict[str, Cardinality]:
    """By property; a subject that stands on several lines counts once."""
    held: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        held[row["property"]][row["subject"]].update(row["objects"])
    return {
        name: Cardinality(len(subjects), sum(len(some) > 1 for some in subjects.values()), sum(map(len, subjects.values())))
        for name, subjects in held.items()
    }


def table(found: dict[str, Cardinality], ontology: Ontology) -> Iterable[list[str]]:
    """The ontology's relations that the facts have, the least many-valued first."""
    yield ["relation", "property", "subjects", "with several, %", "objects each", "candidate", "ontology", ""]
    known = [(relation, found[relation.wikidata]) for relation in ontology if relation.wikidata in found]
    for relation, has in sorted(known, key=lambda pair: pair[1].share):
        words = [("one" if one else "many") for one in (has.one, relation.one)]
        each = f"{has.objects / has.subjects:.2f}"
        differ = "" if has.one == relation.one else "*"
        yield [relation.name, str(relation.wikidata), str(has.subjects), number(has.share), each, *words, differ]


def _no_agent(**_: Any) -> Any:
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(main())
