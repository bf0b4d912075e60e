"""How well the model predicts whole documents, without a memory and with several; suite `perplexity`.

Re-DocRED test. OVERALL: all tokens. ENTITY: all mentions of entities. TARGET: the mentions that a read call could supply
(`documents.Target`). OVERALL is the exponentiated mean loss of a token; ENTITY and TARGET are means over mentions of each mention's mean
token loss, exponentiated. Bits per byte beside them do not depend on the tokenizer: all loss over all bytes of the same tokens.
Intervals are over documents. How a text is scored, in windows and with calls, is said in `memagent/model/scoring.py`.

Rows, all over the same tokens of text:
  base            no adapter
  memory off      the read adapter, no calls; `target ratio` is a row's TARGET perplexity over this one's
  RAG             the read adapter; before each quarter of a window the sentences of all other documents that are nearest to the text
                  just before it, as many of the three best as there is room for
  own memory      what the model itself wrote when it read the documents of the run, each by itself, the present one too, as in the paper
  oracle: ...     what people marked in these documents: their triples in the memory; the places of the calls besides (made for
                  certain); the queries besides; and nothing but the right name as the answer
A call is considered wherever the model gives its opening 0.01 or more, which does not depend on what follows. Call and no call are
mixed with the weight that the model gives them; with `no branching` one call is made where it is likelier than any token of text, and
none elsewhere. Its query is grounded: among those that the memory can answer about the names in the text so far the likeliest four are
mixed too. With `not grounded` it is what the model writes greedily, whatever the memory holds; a malformed one is not asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evals.bench import Bench, Talker, progress
from evals.case import CaseResult, DataFile, MissingData, Outcome, Row, Score
from evals.scoring import interval, sample
from evals.texts import REDOCRED
from memagent import Agent, Memory, Triple
from memagent.calls import render_query
from memagent.errors import InvalidInput
from memagent.memory import MiniLM
from memagent.training.readers.documents import Document, Gold, read_documents
from memagent.training.readers.spelling import Span

if TYPE_CHECKING:
    from evals.ways import Written
    from memagent.model.local import LocalModel
    from memagent.model.scoring import Encoded

DOCUMENTS = 50  # drawn with the seed, unless --limit says another number
OFF = "memory off"  # the way that the others are compared with
KINDS = ("overall", "target", "entity")
Sums = tuple[float, int, float, int]  # of tokens: their losses, how many, their losses again, their bytes; of mentions: see `sums_of`


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The suite."""

    name: str = "perplexity"
    needs: tuple[DataFile, ...] = (REDOCRED,)

    def run(self, bench: Bench) -> Outcome:
        """Read all documents, fill the memories of each process with all that was written and marked, then score the documents."""
        documents = sample(read_documents(json.loads(bench.read(REDOCRED)), bench.ontology), bench.limit or DOCUMENTS, bench.seed)
        own = [triple for triples in bench.each(read, documents, "perplexity: reading") for triple in triples]
        parts = [Part(documents[i :: bench.jobs], documents, own) for i in range(bench.jobs)]
        came = bench.each(write_part, parts, self.name)
        written = [came[i % bench.jobs][0][i // bench.jobs] for i in range(len(documents))]
        scored = [measured(document, each) for document, each in zip(documents, written, strict=True)]
        return Outcome(_rows(scored, bench.seed), [each.case() for each in scored], [came[0][1], _considered(written)])


@dataclass(frozen=True, slots=True)
class Part:
    """The documents that one process scores, those of the whole run, and what the model wrote when it read these."""

    documents: Sequence[Document]
    run: Sequence[Document]
    own: Sequence[Triple]


def read(document: Document, bench: Bench) -> list[Triple]:
    """What the agent writes when it reads the document, in an empty memory."""
    with bench.agent() as talker:
        agent, _ = _local(talker)
        return agent.remember(document.text, speaker="", source=document.title)


def write_part(part: Part, bench: Bench) -> tuple[list[Written], str]:
    """The documents of the part in every way, and how much is in the memories."""
    from evals.ways import Knowing, Passages, Shelf, write  # here, so that torch is not loaded where no model is

    everything = read_documents(json.loads(bench.read(REDOCRED)), bench.ontology)
    with bench.agent() as talker:
        agent, model = _local(talker)
        agent.memory.add(part.own)
        gold = agent.memory.in_namespace("gold")
        fill(gold, [document.gold for document in part.run])
        shelf = Shelf(Knowing(agent.memory), Knowing(gold), Passages(MiniLM(), everything))
        written = [write(document, model, shelf) for document in progress(part.documents, "perplexity: scoring")]
        wrote, marked = agent.memory.count().triples, gold.count().triples
    return written, f"{len(part.run)} documents; the model wrote {wrote} triples, people {marked}"


def _local(talker: Talker) -> tuple[Agent, LocalModel]:
    """The agent and its model.

    Raises:
        MissingData: the model gives no probabilities, or has not learnt the calls.
    """
    from memagent.model.local import FewShotModel, LocalModel

    model = talker.model
    if not isinstance(talker, Agent) or not isinstance(model, LocalModel) or isinstance(model, FewShotModel):
        raise MissingData("needs a model on this machine that has learnt the calls, for its probabilities")
    return talker, model


def fill(memory: Memory, marked: Iterable[Gold]) -> None:
    """Store what people marked, each entity under all its names as far as no other has them."""
    for gold in marked:
        memory.add(gold.triples)
        for first, *others in gold.names:
            for other in others if memory.names(first) else ():
                try:
                    memory.add_alias(first, other)
                except InvalidInput:
                    continue


# ---- measuring


@dataclass(frozen=True, slots=True)
class Scored:
    """A document: its sums by way and kind, and the mean loss of each target by way."""

    title: str
    sums: dict[str, dict[str, Sums]]
    targets: list[dict[str, Any]]

    def case(self) -> CaseResult:
        """For the record."""
        figures = {way: {kind: round(sums[0] / sums[1], 4) for kind, sums in kinds.items() if sums[1]} for way, kinds in self.sums.items()}
        return CaseResult(self.title, "document", {"mean_loss": figures, "targets": self.targets})


def measured(document: Document, written: Written) -> Scored:
    """Count the losses of a document's tokens under each way."""
    text, tokens, gold = document.text, written.tokens, document.gold
    places = [(target, tokens_of(tokens, target.span)) for target in gold.targets]
    mentions = {"target": [place for _, place in places], "entity": [tokens_of(tokens, span) for span in gold.mentions]}
    whole = (0, len(tokens.ids))
    sums = {}
    for way, logprobs in written.ways.items():
        nats, size = -sum(logprobs), size_of(text, tokens, whole)
        sums[way] = {"overall": (nats, whole[1], nats, size)}
        sums[way] |= {kind: sums_of(text, tokens, logprobs, spans) for kind, spans in mentions.items()}
    targets = [
        {
            "name": target.name,
            "query": render_query(target.query),
            "mean_loss": {way: round(mean_loss(logprobs, place), 3) for way, logprobs in written.ways.items()},
        }
        for target, place in places
    ]
    return Scored(document.title, sums, targets)


def tokens_of(tokens: Encoded, span: Span) -> Span:
    """First and end of the tokens that touch a stretch of characters."""
    touching = [i for i, (start, end) in enumerate(tokens.spans) if start < span[1] and end > span[0]]
    return touching[0], touching[-1] + 1


def size_of(text: str, tokens: Encoded, place: Span) -> int:
    """Bytes of the text of these tokens."""
    return len(text[tokens.spans[place[0]][0] : tokens.spans[place[1] - 1][1]].encode())


def mean_loss(logprobs: Sequence[float], place: Span) -> float:
    """Of the tokens of one mention."""
    return -sum(logprobs[slice(*place)]) / (place[1] - place[0])


def sums_of(text: str, tokens: Encoded, logprobs: Sequence[float], places: Sequence[Span]) -> Sums:
    """Of mentions: the sum of their mean losses, how many they are, the losses of all their tokens, and their bytes."""
    means = sum(mean_loss(logprobs, place) for place in places)
    nats = -sum(sum(logprobs[slice(*place)]) for place in places)
    return means, len(places), nats, sum(size_of(text, tokens, place) for place in places)


def perplexity(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponentiated mean loss; `sums` as in `Sums`."""
    return np.exp(_divide(sums[..., 0], sums[..., 1]))


def bits_per_byte(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """All loss in bits over all bytes."""
    return _divide(sums[..., 2], sums[..., 3]) / math.log(2)


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """One perplexity over another of the same mentions; losses of the one, how many, losses of the other."""
    return np.exp(_divide(sums[..., 0] - sums[..., 2], sums[..., 1]))


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=np.asarray(whole) > 0)


# ---- rows


def _rows(scored: Sequence[Scored], seed: int) -> list[Row]:
    return [Row(way, dict(_scores(way, scored, seed))) for way in scored[0].sums] if scored else []


def _scores(way: str, scored: Sequence[Scored], seed: int) -> Iterator[tuple[str, Score]]:
    tables = {kind: np.array([document.sums[way][kind] for document in scored], dtype=np.float64) for kind in KINDS}
    counts = {kind: int(table[:, 1].sum()) for kind, table in tables.items()}
    for kind, table in tables.items():
        yield kind, interval(table, perplexity, counts[kind], unit="", seed=seed)
        if kind == "target":
            off = np.array([document.sums[OFF][kind][0] for document in scored])
            yield "target ratio", interval(np.column_stack([table[:, :2], off]), ratio, counts[kind], unit="", seed=seed)
    for kind, table in tables.items():
        yield f"{kind} bits/byte", interval(table, bits_per_byte, counts[kind], unit="", seed=seed)


def _considered(written: Sequence[Written]) -> str:
    """In how many places a call was considered, and how many of the targets are among them."""
    places, targets = sum(len(each.places) for each in written), sum(len(each.targets) for each in written)
    met, malformed = sum(len({*each.places} & {*each.targets}) for each in written), sum(each.malformed for each in written)
    return f"calls considered in {places} places, {met} of {targets} targets among them; {malformed} queries malformed where not grounded"
