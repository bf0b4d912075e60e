"""Answers along relations: stored ones, forwards, inverse and symmetric, and those that follow by the ontology's rules.

`grandparent = mother / mother` is walked one set of entities at a time, one statement a step. A rule may use relations that
have rules themselves, to a depth of three; a repeated step (`located in+`) ends when it meets no new entity, so cycles end.
Nothing that is derived is stored: each answer carries the chain of stored rows from which it follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from memagent.memory.rows import Moment, Row, select_rows
from memagent.memory.space import Space
from memagent.ontology import Ontology, Step

DEPTH = 3
REPEATS = 16  # steps of one `+`; administrative units nest six deep, trees of species about thirty
WIDTH = 1000  # entities that one step goes on from; a question with more answers than that is no question

Links = dict[int, dict[int, tuple[Row, ...]]]  # start -> end -> the chain from start to end

_FORWARD = "r.namespace = :space AND r.name IN :names AND s.entity IN :entities"
_BACKWARD = "r.namespace = :space AND r.name IN :names AND o.entity IN :entities"


@dataclass(frozen=True, slots=True)
class Ways:
    """The stored relations that answer for one relation, in each direction."""

    forward: tuple[str, ...]
    backward: tuple[str, ...]


def ways(ontology: Ontology, relation: str, *, backwards: bool = False) -> Ways:
    """Forwards: the relation itself, and the other way round its inverse, or itself if it is symmetric."""
    rule = ontology[relation]
    there = (relation,)
    back = (rule.turned,) if rule.turned else ()
    return Ways(back, there) if backwards else Ways(there, back)


class Walk:
    """One reader's walk through the stored triples at one moment."""

    def __init__(self, space: Space, connection: Connection, moment: Moment) -> None:
        self.space = space
        self.connection = connection
        self.moment = moment

    def stored(self, entities: Collection[int], relation: str, *, backwards: bool = False) -> list[tuple[int, int, Row]]:
        """(start, end, row) of every stored answer, newest first."""
        found = []
        for names, here, where in self._directions(ways(self.space.ontology, relation, backwards=backwards)):
            rows = select_rows(self.connection, where, self.moment, space=self.space.number, names=list(names), entities=list(entities))
            found += [
                (row.subject_entity, row.object_entity, row) if here else (row.object_entity, row.subject_entity, row) for row in rows
            ]
        return found

    @staticmethod
    def _directions(ways: Ways) -> Iterable[tuple[tuple[str, ...], bool, str]]:
        if ways.forward:
            yield ways.forward, True, _FORWARD
        if ways.backward:
            yield ways.backward, False, _BACKWARD

    def composed(self, entities: Collection[int], relation: str, *, backwards: bool = False, depth: int = DEPTH) -> Links:
        """Everything that follows by the rules of the relation and of its inverse."""
        links: Links = {}
        if not depth or not entities:
            return links
        rule = self.space.ontology[relation]
        for turned in (False, True) if rule.symmetric else (backwards,):
            for composition in rule.compositions:
                _join(links, self._chain(entities, _turned(composition) if turned else composition, depth - 1))
        if rule.inverse:
            for composition in self.space.ontology[rule.inverse].compositions:
                _join(links, self._chain(entities, composition if backwards else _turned(composition), depth - 1))
        return {start: {end: chain for end, chain in ends.items() if end != start} for start, ends in links.items()}

    def _chain(self, entities: Collection[int], steps: tuple[Step, ...], depth: int) -> Links:
        links: Links = {entity: {entity: ()} for entity in entities}
        for step in steps:
            reached = {end for ends in links.values() for end in ends}
            if not reached or len(reached) > WIDTH:
                return {}
            onward = self._repeat(reached, step, depth) if step.repeated else self._step(reached, step, depth)
            links = _then(links, onward)
        return links

    def _step(self, entities: Collection[int], step: Step, depth: int) -> Links:
        links = self.composed(entities, step.relation, backwards=step.backwards, depth=depth)
        for start, end, row in self.stored(entities, step.relation, backwards=step.backwards):
            links.setdefault(start, {})[end] = (row,)
        return links

    def _repeat(self, entities: Collection[int], step: Step, depth: int) -> Links:
        """One or more steps: the nearest chain to each entity that can be reached."""
        reached: Links = {}
        frontier: Links = {entity: {entity: ()} for entity in entities}
        for _ in range(REPEATS):
            ends = {end for ends in frontier.values() for end in ends}
            if not ends or len(ends) > WIDTH:
                break
            onward = _then(frontier, self._step(ends, step, depth))
            frontier = {
                start: {end: chain for end, chain in ends.items() if end not in reached.get(start, {}) and end != start}
                for start, ends in onward.items()
            }
            _join(reached, frontier)
        return reached


def _turned(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same chain, walked from its end."""
    return tuple(Step(step.relation, not step.backwards, step.repeated) for step in reversed(steps))


def _then(first: Links, second: Links) -> Links:
    joined: Links = {}
    for start, ends in first.items():
        for middle, chain in ends.items():
            for end, onward in second.get(middle, {}).items():
                joined.setdefault(start, {}).setdefault(end, chain + onward)
    return joined


def _join(links: Links, more: Links) -> None:
    for start, ends in more.items():
        for end, chain in ends.items():
            links.setdefault(start, {}).setdefault(end, chain)
