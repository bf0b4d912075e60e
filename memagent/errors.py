"""What can go wrong.

MemagentError
├── InvalidInput        what the caller gave cannot be used (empty text, a name that is too long, ...)
├── MalformedCall       a call that does not follow the grammar of `calls.py`
├── OntologyError       an ontology file that contradicts itself, or an unknown relation in a closed ontology
├── MemoryFault         the store cannot do its work
│   ├── MemoryLocked    another process has the memory folder open
│   ├── ForeignFolder   the folder is not a memory, or one of another schema version
│   └── StorageFull     the disk is full or read-only; nothing was half written
├── UndoRefused         the change cannot be undone (it was erased, or something newer depends on it)
├── TransferError       an import file that cannot be read; names the line
└── ModelError          the model cannot be loaded or does not fit its adapters

Every error carries one clear line, and where there is something to do about it a `hint`. Errors of the libraries
below (SQLAlchemy, Chroma, transformers) are translated where they are called and never cross this border.
"""

from __future__ import annotations


class MemagentError(Exception):
    """Anything that memagent itself reports; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidInput(MemagentError, ValueError):
    """What the caller gave cannot be used."""


class MalformedCall(MemagentError, ValueError):
    """A call that does not follow the grammar; `text` is what was read, `position` where it broke."""

    def __init__(self, message: str, *, text: str, position: int) -> None:
        super().__init__(f"{message} at position {position} of {text[:80]!r}")
        self.text = text
        self.position = position


class OntologyError(MemagentError):
    """An ontology that contradicts itself, or a relation that a closed ontology does not have."""


class MemoryFault(MemagentError):
    """The store cannot do its work."""


class MemoryLocked(MemoryFault):
    """Another process has this memory folder open."""


class ForeignFolder(MemoryFault):
    """The folder is not a memory, or one of another schema version."""


class StorageFull(MemoryFault):
    """The disk is full or read-only; nothing was half written."""


class UndoRefused(MemagentError):
    """The change cannot be undone."""


class TransferError(MemagentError):
    """An import file that cannot be read; the message names the line."""


class ModelError(MemagentError):
    """The model cannot be loaded or does not fit its adapters."""
