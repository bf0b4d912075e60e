"""Whether a reply says what the memory answered. A small model's own words often say something else: then the answer stands alone.

A reply holds every answer, spelt as the memory has it. One that has the name which was asked about is read by the second opinion like any
other sentence: it must state the fact. "Emil has seven children." is no reply to how old he is, though it holds "seven".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memagent.model.opinions import RelationScorer, Stated, locate
from memagent.ontology import Ontology
from memagent.triples import Query

STATED = 0.9  # the least probability, by the second opinion, that the reply states what was found


YOU = "you"


def bare(answers: Sequence[str], speaker: str) -> str:
    """The answers and nothing else; the speaker is "you"."""
    *others, last = (YOU if answer == speaker else answer for answer in answers)
    stop = "" if last.endswith(".") else "."
    said = f"{', '.join(others)} and {last}{stop}" if others else f"{last}{stop}"
    return said[0].upper() + said[1:] if answers[0] == speaker else said


def says(reply: str, query: Query | None, answers: Sequence[str], speaker: str, ontology: Ontology, second: RelationScorer | None) -> bool:
    """Whether `reply` says that `answers` are what `query` asked for, as far as that can be told.

    Of the speaker, who is "you" in a reply, only the spelling of the answers can.
    """
    if not all(locate(reply, 0, YOU if answer == speaker else answer) for answer in answers):
        return False
    if reply.casefold() == bare(answers, speaker).casefold() or second is None or query is None or speaker in (query.known, *answers):
        return True
    known = _addressed(query.known, reply)
    if locate(reply, 0, known) is None:
        return False
    stated = second.stated(reply, [known, *answers], (), speaker)
    return all(_probability(stated, query, known, answer, ontology) >= STATED for answer in answers)


def _addressed(name: str, reply: str) -> str:
    """As "my sister" is "your sister" in a reply."""
    yours = f"your {name[3:]}"
    return yours if name.casefold().startswith("my ") and locate(reply, 0, yours) else name


def _probability(stated: Stated, query: Query, known: str, answer: str, ontology: Ontology) -> float:
    """That the fact is stated, from either side; what the second opinion cannot tell counts as stated."""
    subject, target = (known, answer) if query.object is None else (answer, known)
    table, turned = stated.relations(subject, target), ontology[query.relation].turned
    if query.relation not in table:
        return 1.0
    other = stated.relations(target, subject).get(turned, -math.inf) if turned else -math.inf
    return math.exp(table[query.relation]) + math.exp(other)
