"""How often the memory takes two names for one thing, and how often it misses that they are: python -m evals.linking.

Names of each kind (`evals/data/names.toml`) are written into a namespace of their own, in both orders, and the entities are counted. A
false merge is a pair of different things under one entity; a missed link is a name that did not get to the entity it is another
spelling of. Knows no model: writing links by spelling alone (`memagent/memory/linking.py` says why).
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path

from evals.report import align, number
from memagent import Memory, Settings, Triple
from memagent.memory import CharacterEmbedder

BULK = 5000


@dataclass(frozen=True, slots=True)
class Kind:
    """Names of one kind: pairs that are the same, and names that are all different; `spelling`: whether a rule could know."""

    name: str
    same: tuple[tuple[str, str], ...] = ()
    different: tuple[str, ...] = ()
    spelling: bool = True

    @property
    def pairs(self) -> int:
        """How many pairs are different."""
        return len(self.different) * (len(self.different) - 1) // 2


@dataclass(frozen=True, slots=True)
class Linked:
    """What became of a kind: pairs that were merged or missed wrongly, in both orders together."""

    kind: Kind
    merged: int
    missed: int


def kinds() -> Iterator[Kind]:
    """Those of the file."""
    for given in tomllib.loads(files("evals").joinpath("data/names.toml").read_text(encoding="utf-8"))["kind"]:
        different = [*given.get("different", ()), *(" ".join(pair) for pair in product(given.get("first", ()), given.get("last", ())))]
        same = tuple((first, second) for first, second in given.get("same", ()))
        yield Kind(given["name"], same, tuple(different), given.get("spelling", True))


def linked(memory: Memory, kind: Kind) -> Linked:
    """Write the names into empty namespaces of `memory`, and look which of them became one entity."""
    merged = missed = 0
    for order, turned in enumerate((False, True)):
        space = memory.in_namespace(f"{kind.name} {order}")
        names = list(kind.different[::-1] if turned else kind.different)
        for first in range(0, len(names), BULK):
            space.add([Triple(name, "instance of", "name of this kind") for name in names[first : first + BULK]])
        shared = Counter(space.names(name)[0] for name in names)
        merged += sum(count * (count - 1) // 2 for count in shared.values())
        for place, pair in enumerate(kind.same):
            one, other = pair[::-1] if turned else pair
            apart = memory.in_namespace(f"{kind.name} {order} {place}")
            apart.add([Triple(one, "likes", "x0")])
            apart.add([Triple(other, "likes", "y0")])
            missed += apart.names(one) != apart.names(other)
    return Linked(kind, merged, missed)


def table(results: Sequence[Linked]) -> Iterator[str]:
    """A line a kind, and what they come to; shares in per cent of the pairs, each in both orders."""
    lines = [["", "same", "missed", "%", "different", "merged", "%"]]
    lines += [[each.kind.name, *_cells([each])] for each in results]
    lines.append(["all that spelling can know", *_cells([each for each in results if each.kind.spelling])])
    lines.append(["all", *_cells(results)])
    yield from align(lines)


def _cells(results: Sequence[Linked]) -> Iterator[str]:
    for wrong, pairs in (
        (sum(each.missed for each in results), 2 * sum(len(each.kind.same) for each in results)),
        (sum(each.merged for each in results), 2 * sum(each.kind.pairs for each in results)),
    ):
        yield from (f"{pairs:,}", f"{wrong:,}", number(wrong / pairs)) if pairs else ("", "", "")


def measure(folder: Path) -> list[Linked]:
    """All kinds, in a memory in `folder`."""
    settings = Settings(database_url=None, chroma_url=None, ontology_file=None, ontology="open", namespace="default")
    with Memory.open(folder, settings=settings, embedder=CharacterEmbedder()) as memory:
        return [linked(memory, kind) for kind in kinds()]


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="memagent-evals-") as folder:
        print("\n".join(table(measure(Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
