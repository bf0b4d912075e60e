"""Which triples the model writes from documents, against those that people found there.

Documents in DocRED form (Re-DocRED test): the agent reads a document sentence by sentence, in an empty memory.
  sentences   the triples written at a sentence, against those whose evidence it is and whose two entities have been named
              by then; a triple annotated without evidence counts at the sentences that name both its entities
  documents   all triples written, against all that are annotated
KnowledgeNet, fold 4: passages, against the properties that were annotated for each.
TekGen, test: sentences, against the triples that were aligned with each (`SENTENCES` are drawn unless --limit says another number).

Confidence: every triple that could be judged is in one of ten bins by its confidence. The expected calibration error is the mean
distance, over triples, between the mean confidence of their bin and the share in it that is right. No triple is written below the
model's threshold, so the lowest bins are empty.

What counts as the same name is said in `texts.py`, as the same relation in `facts.py`. Triples about relations that the
annotators did not look for are neither right nor wrong; the notes count them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from evals.bench import Bench, Talker
from evals.calibration import Judged, calibration
from evals.case import CaseResult, DataFile, MissingData, Outcome, Row
from evals.facts import count, readings
from evals.scoring import Counts, f1, precision, recall, sample, score
from evals.texts import KNOWLEDGENET, REDOCRED, TEKGEN, Relations, Text, read_docred, read_knowledgenet, read_tekgen
from memagent import MemagentError, Triple
from memagent.ontology import Ontology

SENTENCES = 500
SETS = {"document": "Re-DocRED", "passage": "KnowledgeNet", "sentence": "TekGen"}  # by the kind of text that each has


@dataclass(frozen=True, slots=True)
class Extraction:
    """The suite."""

    name: str = "extraction"
    needs: tuple[DataFile, ...] = (REDOCRED, KNOWLEDGENET, *TEKGEN)

    def run(self, bench: Bench) -> Outcome:
        """Read the texts of every data set that is there."""
        missing = [each for each in self.needs if not bench.has(each)]
        if len(missing) == len(self.needs):
            raise MissingData.of(missing[0])
        results = bench.each(_read, [*_documents(bench), *_passages(bench), *_sentences(bench)], self.name)
        rows = [row for kind in SETS for row in _rows(kind, [r for r in results if r.text.kind == kind], bench.seed)]
        calibrated, bins = calibration([r.judged for r in results], bench.seed)
        outside = sum(r.outside for r in results)
        notes = [f"{outside} triples about relations that were not annotated: neither right nor wrong"]
        return Outcome([*rows, calibrated], [*(r.case() for r in results), bins], [*notes, *_left_out(missing)])


def _left_out(missing: Sequence[DataFile]) -> list[str]:
    """One line a data set, whatever the number of its files."""
    return list({each.what: str(MissingData.of(each)) for each in missing}.values())


@dataclass(frozen=True, slots=True)
class Read:
    """A text after the agent has read it: what it wrote at each part, counted."""

    text: Text
    written: tuple[tuple[Triple, ...], ...]
    part_counts: tuple[Counts, ...]
    counts: Counts
    of_relation: dict[str, Counts]
    judged: tuple[Judged, ...]
    error: str = ""

    @property
    def outside(self) -> int:
        """Triples about relations that the annotators did not look for."""
        return sum(map(len, self.written)) - sum(counts.said for counts in self.part_counts)

    def case(self) -> CaseResult:
        """For the record: what was written, and what was wanted of the whole text."""
        parts = [
            {"text": part, "written": [[t.subject, t.relation, t.object] for t in triples]}
            for part, triples in zip(self.text.parts, self.written, strict=True)
        ]
        c = self.counts
        line = self.error or f"{c.right} of {c.said} triples right, {c.found} of {c.wanted} facts found"
        return CaseResult(self.text.name, self.text.kind, {"parts": parts, "error": self.error}, () if c.found == c.wanted else (line,))


def _documents(bench: Bench) -> list[Text]:
    if not bench.has(REDOCRED):
        return []
    return sample(read_docred(json.loads(bench.read(REDOCRED)), bench.ontology), bench.limit, bench.seed)


def _passages(bench: Bench) -> list[Text]:
    if not bench.has(KNOWLEDGENET):
        return []
    return sample(read_knowledgenet(bench.read_lines(KNOWLEDGENET)), bench.limit, bench.seed)


def _sentences(bench: Bench) -> list[Text]:
    if not all(map(bench.has, TEKGEN)):
        return []
    themes = [(bench.read_lines(rows), json.loads(bench.read(ontology))) for rows, ontology in zip(TEKGEN[::2], TEKGEN[1::2], strict=True)]
    return sample(read_tekgen(themes), bench.limit or SENTENCES, bench.seed)


def _read(text: Text, bench: Bench) -> Read:
    with bench.agent() as agent:
        return read(agent, text, bench.ontology)


def read(agent: Talker, text: Text, ontology: Ontology) -> Read:
    """Let the agent read the text and count what it wrote."""
    written: list[tuple[Triple, ...]] = []
    error = ""
    for part in text.parts:
        try:
            written.append(tuple(agent.remember(part, speaker="", source=text.name)))
        except MemagentError as failure:
            written.append(())
            error = f"{type(failure).__name__}: {failure}"
    all_written = list(dict.fromkeys(triple for triples in written for triple in triples))
    return Read(
        text,
        tuple(written),
        tuple(count(t, facts, text.allowed, ontology) for t, facts in zip(written, text.facts_of_part, strict=True)),
        count(all_written, text.facts, text.allowed, ontology),
        {" or ".join(sorted(names)): _about(names, all_written, text, ontology) for names in text.looked_for},
        tuple(
            Judged(t.confidence, any(fact.fits(t, ontology) for fact in text.facts))
            for t in all_written
            if any(True for _ in readings(t, text.allowed, ontology))
        ),
        error,
    )


def _about(names: Relations, written: Collection[Triple], text: Text, ontology: Ontology) -> Counts:
    """The counts of one relation: its facts, and the triples that carry its name (right if they state any fact)."""
    facts = [fact for fact in text.facts if fact.relations == names]
    carried = [triple for triple in written if triple.relation in names or f"~{triple.relation}" in names]
    if not facts and not carried:
        return Counts()
    counts = count(carried, text.facts, text.allowed, ontology)
    return replace(counts, found=count(written, facts, text.allowed, ontology).found, wanted=len(facts))


def _rows(kind: str, results: Sequence[Read], seed: int) -> list[Row]:
    if not results:
        return []
    row = partial(_row, results=results, seed=seed)
    whole = [row(f"{SETS[kind]}, {kind}s", counts=[r.counts for r in results])]
    if kind == "document":
        whole.insert(0, row(f"{SETS[kind]}, sentences", counts=[_sum(r.part_counts) for r in results]))
    names = sorted({name for r in results for name in r.of_relation})
    rows = [replace(row(f"{SETS[kind]}: {n}", counts=[r.of_relation.get(n, Counts()) for r in results]), detail=True) for n in names]
    rows = [row for row in rows if row.scores["recall"].n or row.scores["precision"].n]
    return whole + sorted(rows, key=lambda row: -row.scores["recall"].n)


def _row(label: str, counts: Sequence[Counts], results: Sequence[Read], seed: int) -> Row:
    names = [r.text.name for r in results]
    return Row(label, {each.__name__: score(counts, each, names=names, seed=seed) for each in (precision, recall, f1)})


def _sum(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for each in counts:
        total = Counts(total.right + each.right, total.said + each.said, total.found + each.found, total.wanted + each.wanted)
    return total
