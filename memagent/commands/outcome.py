"""What a command gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memagent.commands.printing import Document


@dataclass(frozen=True, slots=True)
class Outcome:
    """A document for `--json` and lines for people."""

    document: Document
    lines: Sequence[str] = field(default=())
    status: int = 0
