"""The chat column: one turn of the agent, event by event, as messages; each read and write is a step that folds.

Knows nothing about the page: `turn` turns events into messages, `Conversation` says where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import gradio as gr

from memagent import Agent, MemagentError, ReadCall
from memagent.agent.events import Event, Finished, MemoryAnswered, MemoryAsked, PassagesFound, TextAdded, TriplesWritten, WriteRejected
from memagent.commands.printing import counted
from ui.text import escape, in_words, sentence, shortened

INVITATION = """
### Tell me something, then ask me about it

What you state goes into the memory beside, triple by triple, each with the sentence it came from.
Open a step to see what was written or asked.
"""
EXAMPLES = ("My sister Anna lives in Oslo.", "Where does my sister live?", "Zorblax Quimby is the mayor of Fenwick Hollow.")
SHOWN = 2000  # characters of one message; the agent gets all of it
PLACEHOLDER = "State something, or ask …"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The components of the column."""

    messages: gr.Chatbot
    typed: gr.Textbox


def conversation() -> Conversation:
    """Lay the column out, inside the Blocks that are open."""
    messages = gr.Chatbot(
        show_label=False,
        elem_id="conversation",
        height="calc(100dvh - 12.5rem)",
        placeholder=INVITATION,
        examples=[{"text": example} for example in EXAMPLES],
        buttons=[],
        latex_delimiters=[],
        layout="bubble",
    )
    typed = gr.Textbox(show_label=False, placeholder=PLACEHOLDER, submit_btn=True, autofocus=True, max_lines=8, elem_id="typed")
    return Conversation(messages, typed)


def said(text: str) -> gr.ChatMessage:
    """What the person typed, or how it begins."""
    return gr.ChatMessage(role="user", content=escape(shortened(text.strip(), SHOWN)))


def turn(agent: Agent, text: str, thread: str) -> Iterator[tuple[list[gr.ChatMessage], bool]]:
    """The agent's messages so far, after each event, and whether that event changed the memory."""
    so_far = _Turn()
    yield so_far.messages, False
    try:
        for event in agent.stream(text, thread=thread):
            so_far.see(event)
            yield so_far.messages, isinstance(event, TriplesWritten)
    except MemagentError as error:
        so_far.fail(error)
        yield so_far.messages, True


@dataclass(slots=True)
class _Turn:
    """The messages of one turn: steps, and at the end the words."""

    steps: list[gr.ChatMessage] = field(default_factory=list)
    words: str = ""
    waiting: str = "Reading"  # what is going on now; empty when nothing is

    @property
    def messages(self) -> list[gr.ChatMessage]:
        shown = list(self.steps)
        if self.waiting:
            shown.append(_step(self.waiting, status="pending"))
        if self.words:
            shown.append(gr.ChatMessage(content=self.words))
        return shown

    def see(self, event: Event) -> None:
        self.waiting = ""
        match event:
            case TriplesWritten(triples=triples) if triples:
                self.steps.append(_step(f"Remembered {counted(len(triples), 'triple')}", _written(event)))
            case WriteRejected(text=text, reason=reason):
                self.steps.append(_step("Did not remember a part", f"{escape(text)}\n\n{escape(reason)}"))
            case MemoryAsked(call=call):
                self.waiting = f"Asking the memory: {_asked(call)}"
            case MemoryAnswered(call=call):
                self.steps.append(_step(_outcome(call), _answered(event)))
            case PassagesFound(passages=passages):
                said = "\n".join(f"- “{escape(near.text)}” ({escape(near.source)})" for near in passages)
                self.steps.append(_step("What was said nearest to it", said))
            case TextAdded(text=text):
                self.words += escape(text)
            case Finished(reply=reply):
                self.words = escape(reply.text)

    def fail(self, error: MemagentError) -> None:
        self.waiting = ""
        self.words = f"⚠️ {escape(str(error))}" + (f" – {escape(error.hint)}" if error.hint else "")


def _step(title: str, content: str = "", status: str = "done") -> gr.ChatMessage:
    return gr.ChatMessage(content=content, metadata={"title": title, "status": "pending" if status == "pending" else "done"})


def _written(event: TriplesWritten) -> str:
    triples = "\n".join(f"- {in_words(triple)} ({triple.confidence:.0%} sure)" for triple in event.triples)
    return f"{triples}\n\nfrom “{escape(event.focus.strip())}”"


def _asked(call: ReadCall) -> str:
    return escape("; ".join(" › ".join((query.subject or "?", query.relation, query.object or "?")) for query in call.queries))


def _outcome(call: ReadCall) -> str:
    return f"Asked the memory: {_asked(call)}" + ("" if call.answers else " – it does not know")


def _answered(event: MemoryAnswered) -> str:
    if not event.matches:
        return "Nothing that is remembered answers this."
    lines = []
    for match in event.matches:
        lines.append(f"- {in_words(match.triple)}" + ("" if match.score >= 1.0 else f" ({match.score:.0%} alike)"))
        lines += [f"    - because {in_words(step)}" for step in match.derivation]
        if source := sentence(match.provenance):
            lines.append(f"    - “{escape(source)}”")
    return "\n".join(lines)
