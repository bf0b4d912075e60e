"""The page: the chat on one side, the memory on the other, and what passes between them."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import gradio as gr

from memagent import Agent, MemagentError, Triple
from memagent.commands.printing import triple_line
from memagent.memory import Change
from ui.chat import Conversation, conversation, said, turn
from ui.table import Panel, choose, draw, panel

STYLE = Path(__file__).with_name("style.css")
PRIVATE: Final[Literal["private"]] = "private"  # the page's functions are no API for others
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")

Values = tuple[Any, ...]  # new values for components, in the order in which these are named where they are wired
UNCHANGED = (gr.skip(),) * 5  # for `Panel.drawn`


@dataclass(frozen=True, slots=True)
class Actions:
    """What the page does when something is typed or clicked. Each visitor has a conversation of their own, all share the memory."""

    agent: Agent

    def converse(self, text: str, shown: list[Any], wanted: str, request: gr.Request) -> Iterator[Values]:
        """One turn; `shown` are the messages so far, `wanted` is what the table is searched for."""
        if not text.strip():
            yield "", shown, *UNCHANGED
            return
        before = [*shown, said(text)]
        for messages, changed in turn(self.agent, text, thread=f"browser {request.session_hash}"):
            yield "", [*before, *messages], *(self.redraw(wanted) if changed else UNCHANGED)

    def redraw(self, wanted: str) -> Values:
        """The table as it should be now."""
        return draw(self.agent.memory, wanted)

    def forget(self, names: list[str] | None, wanted: str) -> Values:
        """Forget the chosen triple."""
        if names:
            subject, relation, target = names
            _or_say(lambda: self.agent.forget(Triple(subject, relation, target)))
        return self.redraw(wanted)

    def undo(self, wanted: str) -> Values:
        """Undo the last change that can be undone, and say which it was."""
        _or_say(lambda: gr.Info(_undone(self.agent.memory.undo()), duration=6, title="Undone"))
        return self.redraw(wanted)


def build(agent: Agent) -> gr.Blocks:
    """The page of an agent."""
    page: gr.Blocks
    with gr.Blocks(title="memagent", fill_width=True, analytics_enabled=False) as page:
        gr.Markdown("# memagent\nA language model with a memory that you can look into.", elem_id="title")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=380):
                talk = conversation()
            with gr.Column(scale=6, min_width=420, elem_id="memory"):
                memory = panel()
        _wire(page, Actions(agent), talk, memory)
    return page


def launch(page: gr.Blocks, host: str, port: int | None) -> str:
    """Serve the page in the background; its address.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
    """
    theme = gr.themes.Soft(primary_hue="teal", secondary_hue="teal", neutral_hue="stone", font=SYSTEM_FONTS, font_mono=MONO_FONTS)
    theme.set(body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400")
    _, address, _ = page.queue(api_open=False).launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        run_history=False,
        footer_links=[],
        theme=theme,
        css_paths=[STYLE],
        ssr_mode=False,
    )
    return str(address)


def _wire(page: gr.Blocks, do: Actions, talk: Conversation, memory: Panel) -> None:
    def choose_row(event: gr.SelectData) -> Values:
        return choose(event.row_value)

    def take_example(event: gr.SelectData) -> str:
        return str(event.value["text"])

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": PRIVATE}
    given = [talk.typed, talk.messages, memory.search]
    changed = [talk.typed, talk.messages, *memory.drawn]
    talk.typed.submit(do.converse, given, changed, **quiet)
    talk.messages.example_select(take_example, None, talk.typed, **quiet).then(do.converse, given, changed, **quiet)
    memory.search.input(do.redraw, memory.search, memory.drawn, trigger_mode="always_last", **quiet)
    memory.rows.select(choose_row, None, [memory.chosen, memory.forget], **quiet)
    memory.forget.click(do.forget, [memory.chosen, memory.search], memory.drawn, **quiet)
    memory.undo.click(do.undo, memory.search, memory.drawn, **quiet)
    page.load(do.redraw, memory.search, memory.drawn, **quiet)


def _undone(change: Change) -> str:
    lines = [f"no longer: {triple_line(triple)}" for triple in change.ended] + [f"again: {triple_line(triple)}" for triple in change.added]
    return "<br>".join(map(html.escape, lines)) or f"change {change.number}"


def _or_say(act: Callable[[], object]) -> None:
    try:
        act()
    except MemagentError as error:
        gr.Warning(html.escape(str(error) + (f" – {error.hint}" if error.hint else "")))  # it would be shown as HTML
