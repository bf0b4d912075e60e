"""What is in a shard, counted on its tokens: sizes, repeats, empty calls, and which relations its calls name.

Every triple and query has exactly two side marks, so the relation is what stands between them, in pairs. A call is empty
where a write call has no triple, or where the memory has answered a read call with nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from memagent.model.marks import Marks
from memagent.training.grammar.phrasings import Phrasings
from memagent.training.shards import WEIGHT_UNIT, Ids, Shard

STATING = ("statements", "spoken", "first", "notes", "changes", "first_changes")
ASKING = ("questions", "first_questions", "inverse_questions", "yes_no")
GRAMMAR = ("write", "conversation", "running")  # the shards that need no data
SOURCE = "{:14} {:>9} {:>11} {:>11} {:>8} {:>9} {:>10} {:>12} {:>11}"
SOURCE_HEAD = SOURCE.format("source", "examples", "tokens", "mean length", "distinct", "new", "supervised", "empty writes", "empty reads")
RELATION = "{:52} {:>7} {:>6} {:>9} {:>8} {:>8} {:>11} {:>11}"
RELATION_HEAD = RELATION.format("relation", "stating", "asking", "examples", "written", "asked", "mean length", "empty reads")


@dataclass(slots=True)
class Uses:
    """How calls name one relation; `length` is the sum over the examples."""

    examples: int = 0
    written: int = 0
    asked: int = 0
    unanswered: int = 0
    length: int = 0

    def add(self, other: Uses) -> None:
        """Count those of another source too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Source:
    """One shard, counted; `new` are the examples that repeat no sentence of an earlier one, of whatever shard."""

    examples: int
    tokens: int
    distinct: int
    new: int
    supervised: float
    writes: int
    empty_writes: int
    reads: int
    empty_reads: int
    relations: Mapping[str, Uses] = field(default_factory=dict)

    def row(self, name: str) -> str:
        """A line under `SOURCE_HEAD`."""
        empty = (_share(self.empty_writes, self.writes), _share(self.empty_reads, self.reads))
        length = f"{self.tokens / max(1, self.examples):.1f}"
        distinct, supervised = self.distinct / max(1, self.examples), self.supervised / max(1, self.tokens)
        return SOURCE.format(name, self.examples, self.tokens, length, f"{distinct:.3f}", self.new, f"{supervised:.3f}", *empty)


def count_source(shard: Shard, marks: Marks, seen: set[bytes] | None = None) -> Source:
    """Count a whole shard; `seen` are the sentences of those counted before, to which its own are added."""
    ids = shard.ids
    following = np.append(ids[1:], marks.begin)
    writes, reads = ids == marks.write_open, ids == marks.read_answer
    return Source(
        examples=len(shard),
        tokens=len(ids),
        distinct=len({shard[i][0].tobytes() for i in range(len(shard))}),
        new=_new(shard, marks, set() if seen is None else seen),
        supervised=float(shard.weights.sum()) / WEIGHT_UNIT,
        writes=int(writes.sum()),
        empty_writes=int((writes & (following == marks.close)).sum()),
        reads=int(reads.sum()),
        empty_reads=int((reads & (following == marks.close)).sum()),
        relations=_relations(shard, ids, marks),
    )


def _new(shard: Shard, marks: Marks, seen: set[bytes]) -> int:
    """How many examples have no sentence that is in `seen`, to which all are added."""
    count = 0
    for i in range(len(shard)):
        sentences = list(_sentences(shard[i][0], marks))
        count += seen.isdisjoint(sentences)
        seen.update(sentences)
    return count


def _sentences(ids: Ids, marks: Marks) -> Iterator[bytes]:
    """What an example is about, as tokens: the focus sentence, or what the user says in each turn, or all of it."""
    opened = np.flatnonzero((ids == marks.focus_open) | (ids == marks.focus_close))
    ended = np.flatnonzero(ids == marks.end)
    if len(opened):
        yield ids[opened[0] : opened[1]].tobytes()
    elif len(ended):
        yield from (ids[start + 1 : end].tobytes() for start, end in zip((0, *ended[1::2]), ended[::2], strict=False))
    else:
        yield ids.tobytes()


def summary(sources: Mapping[str, Source], phrasings: Mapping[str, Mapping[str, Collection[str]]]) -> str:
    """What the grammar has, of training and held out together, and how many examples were made of it alone."""
    stating, asking = (
        sum(len({*chain(*(lists.get(n, ()) for n in names))}) for lists in phrasings.values()) for names in (STATING, ASKING)
    )
    made = sum(sources[name].new for name in GRAMMAR if name in sources)
    return f"grammar: {len(phrasings)} relations, {stating} statements, {asking} questions; {made} examples that repeat no sentence"


def _relations(shard: Shard, ids: Ids, marks: Marks) -> dict[str, Uses]:
    sides = np.flatnonzero(ids == marks.side).reshape(-1, 2)  # (calls' triples and queries, 2)
    ends_of_calls = np.flatnonzero((ids == marks.read_answer) | (ids == marks.close))
    call_ends = ends_of_calls[np.searchsorted(ends_of_calls, sides[:, 1])]
    owners = np.searchsorted(shard.ends, sides[:, 0], side="right")
    lengths = np.diff(shard.ends, prepend=0)
    names: dict[bytes, str] = {}
    uses: dict[str, Uses] = {}
    last: dict[str, int] = {}
    for (start, stop), call_end, owner in zip(sides, call_ends, owners, strict=True):
        tokens = ids[start + 1 : stop]
        name = names.get(tokens.tobytes())
        if name is None:
            name = names[tokens.tobytes()] = marks.plain(tokens.tolist())
        use = uses.setdefault(name, Uses())
        asked = ids[call_end] == marks.read_answer
        use.asked += int(asked)
        use.written += int(not asked)
        use.unanswered += int(asked and ids[call_end + 1] == marks.close)
        if last.get(name) != owner:
            last[name] = int(owner)
            use.examples += 1
            use.length += int(lengths[owner])
    return uses


def relation_rows(sources: Iterable[Source], phrasings: Mapping[str, Phrasings]) -> list[str]:
    """Lines under `RELATION_HEAD`, the most frequent relation first; the phrasings are those of the grammar."""
    total: dict[str, Uses] = {relation: Uses() for relation in phrasings}
    for source in sources:
        for relation, uses in source.relations.items():
            total.setdefault(relation, Uses()).add(uses)
    return [_row(relation, uses, phrasings.get(relation, Phrasings())) for relation, uses in sorted(total.items(), key=_by_examples)]


def _by_examples(entry: tuple[str, Uses]) -> tuple[int, str]:
    return -entry[1].examples, entry[0]


def _row(relation: str, uses: Uses, lists: Phrasings) -> str:
    stating, asking = (len({text for name in names for text in getattr(lists, name)}) for names in (STATING, ASKING))
    length = f"{uses.length / max(1, uses.examples):.1f}"
    empty = _share(uses.unanswered, uses.asked)
    return RELATION.format(relation, stating, asking, uses.examples, uses.written, uses.asked, length, empty)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"
