"""What an earlier model believes of text that is only half annotated: the second filter of distant supervision (paper, section 5).

Asked is its second opinion (`model/opinions.py`). Of a sentence: is it likelier that it states this relation between these two names
than that it states nothing of them? The language model's own likelihood of the triple is a worse filter: what it finds unlikely is
mostly a choice between two relations that are both right (docs/LOG.md). Of a question whose relation is known: about which of its spans?
Of text that states nothing, what it believes is the wrong answer most worth teaching.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from memagent.model.decoding import spans
from memagent.model.opinions import NOTHING, RelationScorer
from memagent.training.readers import AskedRelation, Report, Statement
from memagent.triples import SPEAKER

LEAST = 0.0  # log-odds of the relation against nothing
TEMPTING = 8  # pairs of a text that states nothing: the likeliest to be taken for a fact
LEAST_ASKED = math.log(0.02)  # of the relation that a question is known to ask, about the likeliest of its spans


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


def placed(questions: Iterable[AskedRelation], second: RelationScorer, report: Report) -> Iterator[tuple[AskedRelation, str]]:
    """The questions with the name in them that they ask about; those about none of their spans are counted by relation."""
    for question in questions:
        tables = second.asked(question.question, spans(question.question), SPEAKER)
        likely = {name: table.get((question.relation, question.inverse), -math.inf) for name, table in tables.items()}
        name = max(likely, key=lambda name: likely[name], default="")
        if name and likely[name] >= LEAST_ASKED:
            yield question, name
        else:
            report[f"asks about no span: {question.relation}"] += 1


def tempting(text: str, second: RelationScorer) -> tuple[float, list[str]]:
    """How sure the second opinion is that a text which states nothing does state something (0 to 1), and the names that it sees related."""
    stated = second.stated(text, [*spans(text), SPEAKER], [], SPEAKER)
    pairs = stated.likeliest(TEMPTING)
    sure = 1.0 - math.exp(stated.relations(*pairs[0])[NOTHING]) if pairs else 0.0
    return sure, [name for name in dict.fromkeys(name for pair in pairs for name in reversed(pair)) if name != SPEAKER]
