"""Whether a written triple states what was wanted: names by any of their forms, relations by the ontology's rules.

A triple may say a fact in other ways: by the inverse relation, the other way round where the relation is symmetric, or
by a narrower relation (`sister` where `sibling` is wanted). All these readings count, and none is told to the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from evals.scoring import Counts, normalise
from memagent import Triple
from memagent.ontology import Ontology


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fact as its annotators gave it: the forms of each name (normalised; none means any name) and the relations that say it.

    A relation after `~` says it from the object to the subject.
    """

    subjects: frozenset[str]
    relations: frozenset[str]
    objects: frozenset[str]

    def fits(self, triple: Triple, ontology: Ontology) -> bool:
        """Whether `triple` states this fact."""
        allowed = {name.removeprefix("~") for name in self.relations}
        return any(self._fits(*reading) for reading in readings(triple, allowed, ontology))

    def _fits(self, subject: str, relation: str, target: str) -> bool:
        forwards = relation in self.relations and _names(self.subjects, subject) and _names(self.objects, target)
        backwards = f"~{relation}" in self.relations and _names(self.subjects, target) and _names(self.objects, subject)
        return forwards or backwards


def wanted(subjects: Iterable[str], relations: Iterable[str], objects: Iterable[str]) -> Wanted:
    """A fact whose names are still as written."""
    return Wanted(frozenset(map(normalise, subjects)), frozenset(relations), frozenset(map(normalise, objects)))


def readings(triple: Triple, allowed: Collection[str], ontology: Ontology) -> Iterator[tuple[str, str, str]]:
    """The triples over the `allowed` relations that `triple` states; none if it is about something else."""
    subject, relation, target = triple.subject, ontology[triple.relation], triple.object
    if relation.name in allowed:
        yield subject, relation.name, target
    if relation.turned in allowed:
        yield target, str(relation.turned), subject
    for name in allowed:
        for steps in ontology[name].compositions:
            if len(steps) == 1 and steps[0].relation == relation.name:
                yield (target, name, subject) if steps[0].backwards else (subject, name, target)


def count(written: Collection[Triple], facts: Collection[Wanted], allowed: Collection[str], ontology: Ontology) -> Counts:
    """Of the triples about `allowed` relations, those that state a fact; of the facts, those that some triple states."""
    judged = [t for t in written if any(True for _ in readings(t, allowed, ontology))]
    return Counts(
        right=sum(any(fact.fits(t, ontology) for fact in facts) for t in judged),
        said=len(judged),
        found=sum(any(fact.fits(t, ontology) for t in judged) for fact in facts),
        wanted=len(facts),
    )


def _names(forms: frozenset[str], name: str) -> bool:
    return not forms or normalise(name) in forms
