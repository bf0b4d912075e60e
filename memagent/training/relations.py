"""Fits the relation head (`model/relations.py`) on the grammar's training phrasings and on real sentences, names masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from memagent.memory.embedding import Embedder
from memagent.model.relations import NOTHING, OBJECT_MASK, SCALE, SUBJECT_MASK, masked
from memagent.training.grammar.phrasings import Split, lists, phrasings
from memagent.training.overlap import Overlap, chat_texts, evaluation_texts, unlike
from memagent.training.readers import Report, Statement, read_docred, read_fewrel, read_knowledgenet, read_tekgen, read_webnlg

Labelled = tuple[str, str]  # masked text, class ("~relation": the subject is asked for)
HIDDEN = 512
EPOCHS = 50
NOISE = 0.02  # added to the vectors, so that neighbouring wordings count too
_SLOT = re.compile(r"\{(?:(?:an|a|on) )?(s|o|old)\}")


def _fill(template: str, subject: str = SUBJECT_MASK, target: str = OBJECT_MASK) -> str:
    return _SLOT.sub(lambda found: {"s": subject, "o": target, "old": "Z"}[found.group(1)], template)


def stated_phrasings(split: Split = "train") -> list[Labelled]:
    """Statements of the grammar with their relation; what must not be written, small talk and questions with none."""
    rows: list[Labelled] = []
    for relation, lists_ in phrasings(split).items():
        told = (*lists_.statements, *lists_.spoken, *lists_.first, *lists_.notes, *lists_.changes, *lists_.first_changes)
        rows += [(_fill(t), relation) for t in told]
        rows += [(_fill(t), NOTHING) for t in (*lists_.never, *lists_.yes_no, *lists_.questions[::2], *lists_.inverse_questions[::3])]
    if split == "train":
        rows += [(message, NOTHING) for message, _ in lists("talk.toml")["small_talk"]]
        rows += [(re.sub(r"\{\w+\}", "X", text), NOTHING) for text in lists("talk.toml")["nothing"]]
    return rows


def asked_phrasings(split: Split = "train") -> list[Labelled]:
    """Questions of the grammar with their relation and direction."""
    rows: list[Labelled] = []
    for relation, lists_ in phrasings(split).items():
        rows += [(_fill(t), relation) for t in (*lists_.questions, *lists_.first_questions, *lists_.yes_no)]
        rows += [(_fill(t), f"~{relation}") for t in lists_.inverse_questions]
    if split == "train":
        rows += [(message, NOTHING) for message, _ in lists("talk.toml")["small_talk"]]
    return rows


def stated_sentences(data: Path, most: int) -> list[Labelled]:
    """Real sentences, once for each triple, with its two names masked; at most `most` of one relation, none of the evaluation's."""
    overlap = Overlap(evaluation_texts(data))
    report = Report()
    sources: Iterable[Iterable[Statement]] = (
        read_tekgen(data, report),
        read_webnlg(data, report),
        read_knowledgenet(data, report),
        read_docred(data, report),
        read_fewrel(data, "wiki", report),
    )
    counts: dict[str, int] = {}
    rows: list[Labelled] = []
    for source in sources:
        for statement in unlike(source, overlap, Counter()):
            for triple in statement.triples:
                here = triple.subject in statement.focus and triple.object in statement.focus
                if here and counts.get(triple.relation, 0) < most:
                    counts[triple.relation] = counts.get(triple.relation, 0) + 1
                    rows.append((masked(statement.focus, {triple.subject: SUBJECT_MASK, triple.object: OBJECT_MASK}), triple.relation))
    return rows


def fresh(rows: Iterable[Labelled]) -> list[Labelled]:
    """The rows that are no sentence of the chat suite: some questions have no name in them that could differ."""
    overlap = Overlap(("chat suite", text) for text in chat_texts())
    return [row for row in rows if overlap.suite(row[0]) is None]


def fit(embedder: Embedder, stated: list[Labelled], asked: list[Labelled], path: Path, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Fit both halves and write them to `path`."""
    weights: dict[str, NDArray[np.float32]] = {}
    names: dict[str, str] = {}
    for kind, rows in (("stated", stated), ("asked", asked)):
        classes = sorted({label for _, label in rows})
        vectors = np.concatenate([embedder.embed([text for text, _ in rows[i : i + 256]]) for i in range(0, len(rows), 256)])
        network = _fit_one(torch.from_numpy(vectors), torch.tensor([classes.index(label) for _, label in rows]), len(classes), seed)
        names[kind] = "\n".join(classes)
        for part, layer in network.items():
            weights[f"{kind}.{part}.weight"] = layer.weight.detach().half().numpy()
            weights[f"{kind}.{part}.bias"] = layer.bias.detach().half().numpy()
    save_file(weights, path, metadata=names)
    return weights


def _fit_one(vectors: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> dict[str, nn.Linear]:
    torch.manual_seed(seed)
    inner, outer = nn.Linear(vectors.shape[1], HIDDEN), nn.Linear(HIDDEN, classes)
    network = nn.Sequential(inner, nn.GELU(approximate="tanh"), nn.Dropout(0.4), outer)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    scaled = SCALE * vectors
    steps = EPOCHS * batches(len(scaled), 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(scaled)), 256):
            noisy = scaled[batch] + SCALE * NOISE * torch.randn(len(batch), scaled.shape[1])
            loss = nn.functional.cross_entropy(network(noisy), labels[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return {"in": inner, "out": outer}


def batches(count: int, size: int) -> int:
    """Batches of `size` in `count`."""
    return -(-count // size)
