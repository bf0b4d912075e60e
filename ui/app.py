"""The page: the chat on one side, the memory on the other, and what passes between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import gradio as gr

from memagent import Agent, MemagentError, Triple
from ui.chat import conversation, said, turn
from ui.table import choose, draw, panel

STYLE = Path(__file__).with_name("style.css")
PRIVATE: Final[Literal["private"]] = "private"  # the page's functions are no API for others
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")


def build(agent: Agent) -> gr.Blocks:
    """The page of an agent; each visitor has a conversation of their own, all share the memory."""

    def converse(text: str, shown: list[Any], wanted: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        if not text.strip():
            yield "", shown, *_unchanged()
            return
        before = [*shown, said(text)]
        for messages, changed in turn(agent, text, thread=f"browser {request.session_hash}"):
            yield "", [*before, *messages], *(draw(agent.memory, wanted) if changed else _unchanged())

    def redraw(wanted: str) -> tuple[Any, ...]:
        return draw(agent.memory, wanted)

    def choose_row(event: gr.SelectData) -> tuple[Any, ...]:
        return choose(event.row_value)

    def forget(names: list[str] | None, wanted: str) -> tuple[Any, ...]:
        if names:
            subject, relation, target = names
            _or_say(lambda: agent.forget(Triple(subject, relation, target)))
        return draw(agent.memory, wanted)

    def undo(wanted: str) -> tuple[Any, ...]:
        _or_say(lambda: gr.Info(f"Undid change {agent.memory.undo().number}", duration=4))
        return draw(agent.memory, wanted)

    def take_example(event: gr.SelectData) -> str:
        return str(event.value["text"])

    page: gr.Blocks
    with gr.Blocks(title="memagent", fill_width=True, analytics_enabled=False) as page:
        gr.Markdown("# memagent\nA language model with a memory that you can look into.", elem_id="title")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=380):
                talk = conversation()
            with gr.Column(scale=6, min_width=420, elem_id="memory"):
                memory = panel()
        turn_inputs = [talk.typed, talk.messages, memory.search]
        turn_outputs = [talk.typed, talk.messages, *memory.drawn]
        talk.typed.submit(converse, turn_inputs, turn_outputs, show_progress="hidden", api_visibility=PRIVATE)
        talk.messages.example_select(take_example, None, talk.typed, show_progress="hidden", api_visibility=PRIVATE).then(
            converse, turn_inputs, turn_outputs, show_progress="hidden", api_visibility=PRIVATE
        )
        memory.search.input(redraw, memory.search, memory.drawn, show_progress="hidden", trigger_mode="always_last", api_visibility=PRIVATE)
        memory.rows.select(choose_row, None, [memory.chosen, memory.forget], show_progress="hidden", api_visibility=PRIVATE)
        memory.forget.click(forget, [memory.chosen, memory.search], memory.drawn, show_progress="hidden", api_visibility=PRIVATE)
        memory.undo.click(undo, memory.search, memory.drawn, show_progress="hidden", api_visibility=PRIVATE)
        page.load(redraw, memory.search, memory.drawn, show_progress="hidden", api_visibility=PRIVATE)
    return page


def launch(page: gr.Blocks, host: str, port: int | None) -> str:
    """Serve the page in the background; its address.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
    """
    theme = gr.themes.Soft(primary_hue="teal", secondary_hue="teal", neutral_hue="stone", font=SYSTEM_FONTS, font_mono=MONO_FONTS)
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


def _unchanged() -> list[Any]:
    return [gr.skip()] * 5


def _or_say(act: Any) -> None:
    try:
        act()
    except MemagentError as error:
        gr.Warning(f"{error}" + (f" – {error.hint}" if error.hint else ""))
