"""From other vocabularies to the relations of our ontology: by Wikidata id, or by tables made by hand.

A table's value is one of our names; `~name` says that subject and object change places. What has no counterpart of
the same meaning is left out on purpose: a near miss would teach two meanings of one word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from memagent.ontology import default_ontology
from memagent.training.readers.statements import Report
from memagent.triples import Triple


class Mapped(NamedTuple):
    """One of our relations; `swapped`: their subject is our object."""

    relation: str
    swapped: bool

    def triple(self, subject: str, other: str) -> Triple:
        """The triple in our direction, from the two names in theirs."""
        return Triple(other, self.relation, subject) if self.swapped else Triple(subject, self.relation, other)


WIKIDATA = {  # beside the ids that the ontology itself has
    "P186": "made of",
    "P366": "used for",
    "P451": "partner",
    "P462": "colour",
    "P738": "~influenced by",
    "P802": "~teacher",
    "P974": "~mouth of the watercourse",
    "P1066": "teacher",
    "P1308": "~position held",
    "P1830": "~owned by",
    "P2044": "height",
    "P2048": "height",
    "P6087": "~head coach",
}

KNOWLEDGENET = {
    "CEO": "chief executive officer",
    "CHILD_OF": "~child",
    "DATE_FOUNDED": "inception",
    "DATE_OF_BIRTH": "date of birth",
    "DATE_OF_DEATH": "date of death",
    "EDUCATED_AT": "educated at",
    "EMPLOYEE_OR_MEMBER_OF": "employer",  # "member of" where the sentence says so, see knowledgenet.py
    "FOUNDED_BY": "founded by",
    "HEADQUARTERS": "headquarters location",
    "NATIONALITY": "country of citizenship",
    "PLACE_OF_BIRTH": "place of birth",
    "PLACE_OF_RESIDENCE": "residence",
    "POLITICAL_AFFILIATION": "member of political party",
    "SPOUSE": "spouse",
    "SUBSIDIARY_OF": "parent organization",
}

DBPEDIA = {
    "address": "address",
    "almaMater": "educated at",
    "architect": "architect",
    "artist": "performer",
    "author": "author",
    "award": "award received",
    "battle": "conflict",
    "birthDate": "date of birth",
    "birthPlace": "place of birth",
    "birthYear": "date of birth",
    "broadcastedBy": "original network",
    "builder": "manufacturer",
    "capital": "capital",
    "chairman": "chairperson",
    "champions": "winner",
    "child": "child",
    "citizenship": "country of citizenship",
    "club": "member of sports team",
    "coach": "head coach",
    "college": "educated at",
    "country": "country",
    "countryOrigin": "country of origin",
    "creator": "creator",
    "currency": "currency",
    "currentclub": "member of sports team",
    "deathCause": "cause of death",
    "deathDate": "date of death",
    "deathPlace": "place of death",
    "deathYear": "date of death",
    "debutTeam": "member of sports team",
    "director": "director",
    "discoverer": "discoverer or inventor",
    "established": "inception",
    "ethnicGroup": "ethnic group",
    "extinctionDate": "dissolved, abolished or demolished",
    "followedBy": "followed by",
    "formerTeam": "member of sports team",
    "foundationPlace": "location of formation",
    "foundedBy": "founded by",
    "founder": "founded by",
    "foundingDate": "inception",
    "foundingYear": "inception",
    "genre": "genre",
    "headquarter": "headquarters location",
    "influencedBy": "influenced by",
    "ingredient": "made of",
    "instrument": "plays instrument",
    "isPartOf": "located in the administrative territorial entity",
    "isPartOfMilitaryConflict": "part of",
    "league": "league",
    "legislature": "legislative body",
    "literaryGenre": "genre",
    "location": "location",
    "mainIngredient": "made of",
    "manager": "head coach",
    "manufacturer": "manufacturer",
    "material": "made of",
    "militaryBranch": "military branch",
    "municipality": "located in the administrative territorial entity",
    "musicComposer": "composer",
    "nationality": "country of citizenship",
    "neighboringMunicipality": "shares border with",
    "nickname": "nickname",
    "notableWork": "notable work",
    "occupation": "occupation",
    "office": "position held",
    "officialLanguage": "official language",
    "operatingOrganisation": "operator",
    "operator": "operator",
    "owner": "owned by",
    "parentCompany": "parent organization",
    "party": "member of political party",
    "populationTotal": "population",
    "precededBy": "follows",
    "predecessor": "replaces",
    "producer": "producer",
    "product": "product or material produced",
    "profession": "occupation",
    "publisher": "publisher",
    "recordLabel": "record label",
    "releaseDate": "publication date",
    "religion": "religion",
    "residence": "residence",
    "spouse": "spouse",
    "starring": "cast member",
    "state": "located in the administrative territorial entity",
    "subsidiary": "subsidiary",
    "successor": "replaced by",
    "youthclub": "member of sports team",
}


@lru_cache(maxsize=1)
def _wikidata_names() -> Mapping[str, str]:
    own = {relation.wikidata: relation.name for relation in default_ontology() if relation.wikidata}
    return {**WIKIDATA, **own}


def by_wikidata(property_id: str, report: Report) -> Mapped | None:
    """Our relation for a Wikidata property id, or None, which is counted."""
    return _looked_up(property_id, _wikidata_names(), report)


def by_table(name: str, table: Mapping[str, str], report: Report) -> Mapped | None:
    """Our relation for a name of one of the tables above, or None, which is counted."""
    return _looked_up(name, table, report)


def by_name(label: str, report: Report) -> Mapped | None:
    """Our relation for an English label of Wikidata, or None, which is counted."""
    relation = default_ontology().find(label)
    if relation is not None:
        return Mapped(relation.name, swapped=False)
    return _looked_up(label, LABELS, report)


LABELS = {"coach of sports team": "~head coach", "tributary": "~mouth of the watercourse", "material used": "made of"}


def _looked_up(key: str, table: Mapping[str, str], report: Report) -> Mapped | None:
    value = table.get(key)
    if value is None:
        report[f"unmapped: {key}"] += 1
        return None
    return Mapped(value.removeprefix("~"), value.startswith("~"))
