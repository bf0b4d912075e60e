"""The relations a memory knows, with their rules; read from TOML (`ontology.toml` has the default and the file's shape).

Knows nothing about storage or vectors: canonicalising an unknown name by embedding is the store's work.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from memagent.errors import InvalidInput, OntologyError
from memagent.triples import check_name

DEFAULT_FILE = Path(__file__).with_name("ontology.toml")


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a composition: a relation, walked forwards or backwards (`~`), once or more often (`+`)."""

    relation: str
    backwards: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A named, directed kind of link.

    `one`: a subject has one object at a time, a newer one supersedes it; `inverse_one`: an object has one subject.
    `stand_ins` are words that people use like a name for their own ("Mum").
    `domain` and `range` are kinds of entity ("person", "place", ...), for people and for the teacher.
    """

    name: str
    description: str = ""
    other_names: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    inverse: str | None = None
    symmetric: bool = False
    one: bool = False
    inverse_one: bool = False
    domain: tuple[str, ...] = ()
    range: tuple[str, ...] = ()
    compositions: tuple[tuple[Step, ...], ...] = ()
    wikidata: str | None = None

    @property
    def turned(self) -> str | None:
        """The relation that says the same from the object to the subject: the inverse, the relation itself if it is symmetric."""
        return self.name if self.symmetric else self.inverse


class Ontology:
    """Relations by name and by other names; immutable once made."""

    def __init__(self, relations: Iterable[Relation]) -> None:
        self._relations = {relation.name: relation for relation in relations}
        self._by_key = _index(self._relations.values())
        self._by_stand_in = {word: relation for relation in reversed(self._relations.values()) for word in relation.stand_ins}
        self._check()

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._relations.values())

    def __len__(self) -> int:
        return len(self._relations)

    def __contains__(self, name: str) -> bool:
        return name in self._relations

    def __getitem__(self, name: str) -> Relation:
        """The relation of that exact name; an unknown one is many-valued and has no rules."""
        return self._relations.get(name) or Relation(name)

    def find(self, name: str) -> Relation | None:
        """The relation that goes by `name` (its own or another name, whatever the case), or None."""
        return self._by_key.get(_key(name))

    def stood_in(self, word: str) -> Relation | None:
        """The relation in which one stands who is called by `word` like a name, "Mum" or "mum"; "PA" is not "Pa"."""
        return self._by_stand_in.get(word.capitalize() if word.islower() else word)

    def one_valued(self, name: str) -> tuple[bool, bool]:
        """Whether a subject has one object at a time, and whether an object has one subject: said of the relation or of its inverse."""
        relation = self[name]
        inverse = self[relation.inverse or ""]
        return relation.one or inverse.inverse_one, relation.inverse_one or inverse.one

    def from_object(self, name: str) -> frozenset[str]:
        """The relations that hold from the object to the subject wherever this one holds: `owned by` of `pet`."""
        rule = (Step(name, backwards=True),)
        turned = self[name].turned
        return frozenset(relation.name for relation in self if relation.name == turned or rule in relation.compositions)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the file."""
        return tuple(self._relations)

    def extended(self, more: Iterable[Relation]) -> Ontology:
        """A new ontology with `more` added; a relation of the same name is replaced."""
        return Ontology({**self._relations, **{r.name: r for r in more}}.values())

    def _check(self) -> None:
        for relation in self:
            inverse = relation.inverse
            if inverse is not None and inverse in self and self[inverse].inverse != relation.name:
                raise OntologyError(f"{relation.name!r} names {inverse!r} as its inverse, but not the other way round")
            if relation.symmetric and inverse is not None:
                raise OntologyError(f"{relation.name!r} is symmetric and has an inverse; give one of the two")


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def _index(relations: Iterable[Relation]) -> dict[str, Relation]:
    """Own names win over other names, earlier relations over later ones."""
    relations = list(relations)
    keys: dict[str, Relation] = {}
    for relation in relations:
        keys.setdefault(_key(relation.name), relation)
    for relation in relations:
        for name in relation.other_names:
            keys.setdefault(_key(name), relation)
    return keys


def read_relations(path: Path) -> list[Relation]:
    """The relations of one TOML file.

    Raises:
        OntologyError: with the file and what is wrong in it.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OntologyError(f"{path}: {error}", hint="an ontology file is TOML, see memagent/ontology.toml") from error
    relations = []
    for name, table in tables.items():
        try:
            relations.append(_relation(name, table))
        except InvalidInput as error:
            raise OntologyError(f"{path}: {name!r}: {error}") from error
        except OntologyError as error:
            raise OntologyError(f"{path}: {error}", hint=error.hint) from error
    return relations


_LISTS = {"other_names", "stand_ins", "domain", "range"}
_TEXTS = {"description", "inverse", "wikidata"}
_FLAGS = {"symmetric", "one", "inverse_one"}


def _relation(name: str, table: Any) -> Relation:
    if not isinstance(table, Mapping):
        raise OntologyError(f"{name!r} must be a table", hint=f'write ["{name}"] and its fields below')
    fields: dict[str, Any] = {"name": check_name(name, "relation")}
    for key, value in table.items():
        if key in _LISTS and _is_texts(value):
            fields[key] = tuple(check_name(item, key.replace("_", " ").removesuffix("s")) for item in value)
        elif (key in _TEXTS and isinstance(value, str)) or (key in _FLAGS and isinstance(value, bool)):
            fields[key] = value
        elif key == "compositions" and _is_texts(value):
            fields[key] = tuple(map(parse_composition, value))
        else:
            raise OntologyError(f"{name!r} has an unknown or ill-typed field {key!r}")
    return Relation(**fields)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def parse_composition(text: str) -> tuple[Step, ...]:
    """Read `"located in+ / ~capital"` into its steps.

    Raises:
        OntologyError: a step is empty.
    """
    steps = []
    for part in text.split("/"):
        name = part.strip()
        step = Step(name.removeprefix("~").removesuffix("+").strip(), name.startswith("~"), name.endswith("+"))
        if not step.relation:
            raise OntologyError(f"a step of the composition {text!r} is empty")
        steps.append(step)
    return tuple(steps)


@lru_cache(maxsize=1)
def default_ontology() -> Ontology:
    """DocRED's 96 relations and the personal and everyday ones."""
    return Ontology(read_relations(DEFAULT_FILE))


def load_ontology(path: Path | None) -> Ontology:
    """The default, extended by the user's own file if there is one."""
    return default_ontology() if path is None else default_ontology().extended(read_relations(path))
