"""Triples as a graph for other programs: GraphML (networkx) and RDF (rdflib); both are optional and imported when used.

In RDF an entity is `urn:memagent:entity:NAME` and a relation `urn:memagent:relation:NAME`, percent-encoded. RDF from elsewhere
comes in by its `rdfs:label`s, else by the last part of each IRI; blank nodes have no name and are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TextIO
from urllib.parse import quote, unquote

from memagent.errors import MemagentError, TransferError
from memagent.triples import Triple

ENTITY = "urn:memagent:entity:"
RELATION = "urn:memagent:relation:"
_RDF: dict[str, str] = {"nt": "nt", "ttl": "turtle"}


def write_graphml(triples: Sequence[Triple], file: TextIO) -> None:
    """One node an entity, one edge a triple."""
    networkx = _needed("networkx")
    graph = networkx.MultiDiGraph()
    for triple in triples:
        if any(not _is_xml(name) for name in (triple.subject, triple.relation, triple.object)):
            raise TransferError(
                f"GraphML cannot hold the control characters in {triple.subject!r}, {triple.object!r}", hint="export as jsonl"
            )
        dates = {name: value for name, value in (("valid_from", triple.valid_from), ("valid_to", triple.valid_to)) if value}
        graph.add_edge(triple.subject, triple.object, relation=triple.relation, confidence=triple.confidence, **dates)
    file.write("\n".join(networkx.generate_graphml(graph)))


def read_graphml(path: Path) -> list[Triple]:
    """The edges that have a `relation` (or a `label`)."""
    networkx = _needed("networkx")
    try:
        graph = networkx.read_graphml(path, force_multigraph=True)
        return [_edge(subject, target, data) for subject, target, data in graph.edges(data=True)]
    except OSError:
        raise
    except Exception as error:  # networkx raises what its XML parser and the missing keys happen to raise
        raise TransferError(f"{path} is not GraphML with relations: {error}") from error


def _edge(subject: str, target: str, data: dict[str, Any]) -> Triple:
    relation = data.get("relation") or data.get("label")
    if not relation:
        raise ValueError(f"the edge from {subject!r} to {target!r} has no relation")
    return Triple(
        str(subject), str(relation), str(target), float(data.get("confidence", 1.0)), data.get("valid_from"), data.get("valid_to")
    )


def write_rdf(triples: Sequence[Triple], file: TextIO, format: Literal["nt", "ttl"]) -> None:
    """One RDF triple a triple."""
    rdflib = _needed("rdflib")
    graph = rdflib.Graph()
    for triple in triples:
        subject, target = (rdflib.URIRef(ENTITY + quote(name, safe="")) for name in (triple.subject, triple.object))
        graph.add((subject, rdflib.URIRef(RELATION + quote(triple.relation, safe="")), target))
    file.write(graph.serialize(format=_RDF[format]))


def read_rdf(path: Path, format: str) -> tuple[list[Triple], tuple[str, ...]]:
    """The triples between named things, and a line for each that was skipped."""
    rdflib = _needed("rdflib")
    graph = rdflib.Graph()
    try:
        graph.parse(data=path.read_bytes(), format=_RDF[format])
    except OSError:
        raise
    except Exception as error:  # rdflib's parsers raise kinds of their own, all with the line in the message
        raise TransferError(f"{path}: {' '.join(str(error).split())}") from error
    label = rdflib.RDFS.label
    labels = {node: str(text) for node, text in graph.subject_objects(label)}
    triples: list[Triple] = []
    skipped: list[str] = []
    for subject, relation, target in sorted(triple for triple in graph if triple[1] != label):
        try:
            named = [_name(node, labels, rdflib) for node in (subject, relation, target)]
            triples.append(Triple(named[0], named[1], named[2]))
        except MemagentError as error:
            skipped.append(f"{subject} {relation} {target}: {error}")
    return triples, tuple(skipped)


def _name(node: Any, labels: dict[Any, str], rdflib: ModuleType) -> str:
    if isinstance(node, rdflib.BNode):
        return ""
    if node in labels or isinstance(node, rdflib.Literal):
        return labels.get(node, str(node))
    text = str(node)
    for prefix in (ENTITY, RELATION):
        if text.startswith(prefix):
            return unquote(text.removeprefix(prefix))
    return unquote(text.rstrip("/#").replace("#", "/").rsplit("/", 1)[-1]).replace("_", " ")


def _is_xml(name: str) -> bool:
    return all(c in "\t\n\r" or c >= " " for c in name) and "\ufffe" not in name and "\uffff" not in name


def _needed(library: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(library)
    except ImportError as error:
        raise TransferError(f"this format needs {library}", hint=f"pip install {library}, or export as jsonl or csv") from error
