"""Whether a confidence means what it says: of the triples written with 70 %, 70 % should be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.case import CaseResult, Row
from evals.scoring import interval

BINS = 10  # of equal width between 0 and 1
LABEL = "confidence"


@dataclass(frozen=True, slots=True)
class Judged:
    """A triple that could be judged."""

    confidence: float
    right: bool


def calibration(texts: Sequence[Sequence[Judged]], seed: int = 0) -> tuple[Row, CaseResult]:
    """The expected calibration error over what was written in each text, and the bins behind it."""
    table = np.array([_sums(judged) for judged in texts]).reshape(len(texts), -1)
    error = interval(table, calibration_error, int(table.reshape(-1, BINS, 3)[..., 0].sum()), seed=seed)
    bins = [
        {"from": i / BINS, "n": int(n), "mean confidence": round(confidence / n, 4), "right": round(right / n, 4)}
        for i, (n, confidence, right) in enumerate(table.sum(axis=0).reshape(BINS, 3).tolist())
        if n
    ]
    return Row(LABEL, {"calibration error": error}), CaseResult(LABEL, LABEL, {"bins": bins})


def _sums(judged: Sequence[Judged]) -> NDArray[np.float64]:
    """(`BINS`, 3): in each bin the number of triples, the sum of their confidences, and how many are right."""
    sums = np.zeros((BINS, 3))
    for each in judged:
        sums[min(int(each.confidence * BINS), BINS - 1)] += (1, each.confidence, each.right)
    return sums


def calibration_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean distance between confidence and share, over triples; `sums` (..., `BINS` * 3) as in `_sums`."""
    by_bin = sums.reshape(*sums.shape[:-1], BINS, 3)
    n = by_bin[..., 0].sum(axis=-1)
    distance = np.abs(by_bin[..., 1] - by_bin[..., 2]).sum(axis=-1)
    shares: NDArray[np.float64] = np.divide(distance, n, out=np.full_like(distance, np.nan), where=n > 0)
    return shares
