"""The memory column: the triples that hold now, a search box, and buttons to forget the chosen one and to undo.

It shows what the memory gives it and keeps nothing but the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from memagent import Memory, Triple
from memagent.commands.printing import counted
from ui.text import sentence, shortened

HEADERS = ["Subject", "Relation", "Object", "Sure", "Source sentence"]
WIDTHS: list[str | int] = ["19%", "17%", "19%", "9%", "36%"]
SHOWN = 200  # rows; more are found by searching
SEARCHED = 5000  # the newest triples whose text a search looks through

EMPTY = """
### Nothing is remembered yet

Each triple that is written appears here, newest first, with the sentence it came from.
"""
NO_MATCH = "### Nothing remembered has this in it"


@dataclass(frozen=True, slots=True)
class Panel:
    """The components of the column."""

    summary: gr.Markdown
    search: gr.Textbox
    rows: gr.Dataframe
    empty: gr.Markdown
    chosen: gr.State  # the names of the chosen triple, or None
    forget: gr.Button
    undo: gr.Button

    @property
    def drawn(self) -> list[gr.blocks.Block]:
        """What `draw` returns values for, in that order."""
        return [self.summary, self.rows, self.empty, self.chosen, self.forget]


def panel() -> Panel:
    """Lay the column out, inside the Blocks that are open."""
    with gr.Row(equal_height=True, elem_id="memory-head"):
        summary = gr.Markdown(elem_id="memory-summary")
        forget = gr.Button("Forget", size="sm", variant="stop", min_width=100, scale=0, visible=False, elem_id="forget")
        undo = gr.Button("Undo the last change", size="sm", min_width=150, scale=0)
    search = gr.Textbox(show_label=False, placeholder="Search the memory …", elem_id="search", max_lines=1, container=False)
    rows = gr.Dataframe(
        headers=HEADERS,
        datatype="str",
        column_widths=WIDTHS,
        type="array",
        interactive=False,
        wrap=True,
        show_label=False,
        max_height=640,
        buttons=[],
        elem_id="memory-rows",
        visible=False,
    )
    empty = gr.Markdown(EMPTY, elem_id="memory-empty")
    return Panel(summary, search, rows, empty, gr.State(), forget, undo)


def draw(memory: Memory, wanted: str) -> tuple[Any, ...]:
    """New values for `Panel.drawn`: the triples that hold now and have `wanted` in them, none of them chosen."""
    counts = memory.count()
    found = _rows(memory, wanted.strip())
    summary = f"**Memory** &nbsp; {counted(counts.triples, 'triple')} · {counted(counts.entities, 'entity', 'entities')}"
    if counts.triples > len(found) == SHOWN:
        summary += f" · the newest {SHOWN} are shown"
    rows = gr.update(value=found, visible=bool(found))
    empty = gr.update(value=NO_MATCH if counts.triples else EMPTY, visible=not found)
    return summary, rows, empty, None, gr.update(visible=False)


def choose(row: list[Any]) -> tuple[Any, ...]:
    """New values for `Panel.chosen` and `Panel.forget`: the row that was clicked."""
    names = [str(cell) for cell in row[:3]]
    return names, gr.update(value=f"Forget for good: {shortened(' – '.join(names), 40)}", visible=True)


def _rows(memory: Memory, wanted: str) -> list[list[str]]:
    if not wanted:
        return [_row(triple) for triple in memory.triples(limit=SHOWN)]
    rows = [_row(triple) for triple in [*memory.triples(entity=wanted, limit=SHOWN), *memory.triples(limit=SEARCHED)]]
    key = wanted.casefold()
    with_it = dict.fromkeys(tuple(row) for row in rows if any(key in cell.casefold() for cell in row))
    return [list(row) for row in with_it][:SHOWN]


def _row(triple: Triple) -> list[str]:
    return [triple.subject, triple.relation, triple.object, f"{triple.confidence:.0%}", sentence(triple.provenance)]
