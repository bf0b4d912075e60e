"""The second filter of distant supervision: what the model itself believes that a sentence states (paper, section 5).

Asked is the second opinion of an earlier model (`model/opinions.py`): is it likelier that the sentence states this relation between
these two names than that it states nothing of them? The language model's own likelihood of the triple is a worse filter: what it finds
unlikely is mostly a choice between two relations that are both right (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from memagent.model.opinions import NOTHING, RelationScorer
from memagent.training.readers import Report, Statement

LEAST = 0.0  # log-odds of the relation against nothing


def believed(statements: Iterable[Statement], second: RelationScorer, report: Report) -> Iterator[Statement]:
    """The statements with those of their triples that the second opinion holds to be stated; the others are counted by relation."""
    for statement in statements:
        names = dict.fromkeys(name for triple in statement.triples for name in (triple.subject, triple.object))
        far = [name for name in names if name not in statement.focus]
        stated = second.stated(statement.focus, [name for name in names if name not in far], far, "")
        kept = []
        for triple in statement.triples:
            table = stated.relations(triple.subject, triple.object)
            if table and table.get(triple.relation, float("-inf")) - table[NOTHING] >= LEAST:
                kept.append(triple)
            else:
                report[f"not believed: {triple.relation}"] += 1
        if kept:
            yield replace(statement, triples=tuple(kept))
