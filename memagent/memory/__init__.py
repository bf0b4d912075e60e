"""The triple memory: SQL is the truth, Chroma an index of names. Needs no model; importing it loads no chromadb."""

from memagent.memory.embedding import CharacterEmbedder, Embedder, MiniLM
from memagent.memory.store import Memory, View
from memagent.memory.values import Askable, AsOf, Change, Counts, DoctorReport, ForgetReport, Imported, Mention, PassageMatch

__all__ = [
    "AsOf",
    "Askable",
    "Change",
    "CharacterEmbedder",
    "Counts",
    "DoctorReport",
    "Embedder",
    "ForgetReport",
    "Imported",
    "Memory",
    "Mention",
    "MiniLM",
    "PassageMatch",
    "View",
]
