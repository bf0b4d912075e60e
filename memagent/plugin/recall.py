"""What a memory knows about a text, without a model: triples of the entities that the text names, and from passages like it.

A triple's score is the similarity of the passage it comes from, but at least `NAMED` if the text names one of its ends and
`SPEAKERS` if it is about the speaker: "where do I live?" names nobody, and its answer is a triple of the speaker's.
"""

from __future__ import annotations

from collections.abc import Iterator

from memagent.errors import InvalidInput
from memagent.memory import Memory
from memagent.triples import Match, Triple

NAMED = 0.5  # a passage that says the same in other words scores 0.5 to 0.8 (MiniLM)
SPEAKERS = 0.2  # below the least score of a passage that `Memory.passages` gives
EACH = 100  # triples of one entity that are looked at, newest first
MAX_TEXT = 20_000  # characters


def recall(memory: Memory, text: str, k: int, *, speaker: str) -> list[Match]:
    """Up to `k` triples that may matter to the text, best first; `answer` is the object."""
    if k < 1:
        raise InvalidInput(f"at least one must be asked for, not {k}")
    text = text[:MAX_TEXT]
    near = {passage.text: passage.score for passage in memory.passages(text, k)}
    best: dict[Triple, Match] = {}
    for triple, least in _candidates(memory, text, near, speaker):
        score = max([least, *(near[source.passage] for source in triple.provenance if source.passage in near)])
        if score and (triple not in best or best[triple].score < score):
            best[triple] = Match(triple, score, triple.object)
    return sorted(best.values(), key=lambda match: -match.score)[:k]


def _candidates(memory: Memory, text: str, near: dict[str, float], speaker: str) -> Iterator[tuple[Triple, float]]:
    """Triples with the least score that each has; those that are only of an entity of a near passage have none."""
    seen: set[str] = set()
    for said, least in ((text, NAMED), *((passage, 0.0) for passage in near)):
        for name in [mention.name for mention in memory.mentions(said)]:
            if name not in seen:
                seen.add(name)
                yield from ((triple, least) for triple in memory.triples(entity=name, limit=EACH))
    yield from ((triple, SPEAKERS) for triple in memory.triples(entity=speaker, limit=EACH))
