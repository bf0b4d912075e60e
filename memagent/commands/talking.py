"""The commands that need the model: remember, ask, chat, ingest."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator

from memagent.agent import Agent
from memagent.agent.events import Event, Finished, MemoryAnswered, TriplesWritten, WriteRejected
from memagent.commands.given import file_text, given_text
from memagent.commands.outcome import Outcome
from memagent.commands.printing import (
    Document,
    call_document,
    complain,
    counted,
    match_document,
    source_line,
    triple_document,
    triple_line,
    visible,
)
from memagent.config import Settings
from memagent.errors import InvalidInput, MemagentError
from memagent.memory import PassageMatch
from memagent.triples import Triple


def remember(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Write the triples that a text states."""
    text = given_text(" ".join(args.text))
    with Agent.open(settings=settings) as agent:
        return _written(agent.remember_events(text))


def ask(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Answer a question from the memory, writing nothing."""
    question = given_text(" ".join(args.question))
    with Agent.open(settings=settings) as agent:
        reply = agent.ask(question)
    document: Document = {
        "answer": reply.text,
        "known": reply.known,
        "calls": [call_document(call) for call in reply.calls],
        "matches": [match_document(match) for match in reply.matches],
    }
    sources = (f"  {line}" for m in reply.matches if (line := source_line(m.provenance)))
    if reply.passages:
        document["passages"] = [{"text": near.text, "source": near.source, "score": near.score} for near in reply.passages]
    return Outcome(document, [visible(reply.text), *sources, *map(_near_line, reply.passages)])


def chat(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Talk: what you state is remembered, what you ask is answered. Reads lines until the end of the input."""
    say: Callable[[str], None] = (lambda line: None) if args.json else (lambda line: print(line, flush=True))
    turns: list[Document] = []
    with Agent.open(settings=settings) as agent:
        say(f"{counted(agent.memory.count().triples, 'triple')} in {settings.home}. State something, ask about it; Ctrl-D leaves.")
        for text in _lines_typed(prompt="" if args.json else "> "):
            try:
                turns.append(_turn(agent.stream(given_text(text), thread="command line"), say))
            except MemagentError as error:
                turns.append({"error": str(error), "hint": error.hint})
                complain(error)
    return Outcome({"turns": turns})


def ingest(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Write the triples that text files state; a file that cannot be read stops it before anything is written."""
    texts = {name: file_text(name) for name in args.file}
    files: list[Document] = []
    with Agent.open(settings=settings) as agent:
        for name, text in texts.items():
            print(f"reading {visible(name)}", file=sys.stderr)
            events = agent.remember_events(text, speaker="", source=name)  # running text: the "I" in it is not who ingests it
            files.append({"file": name, **_written(events).document})
    lines = [f"{visible(f['file'])}: {counted(len(f['triples']), 'triple')}, {len(f['rejected'])} rejected" for f in files]
    return Outcome({"files": files}, lines)


def _lines_typed(prompt: str) -> Iterator[str]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing, where Python has it)
    while True:
        try:
            text = input(prompt if sys.stdin.isatty() else "")
        except EOFError:
            return
        except UnicodeDecodeError as error:
            raise InvalidInput("the input is not UTF-8 text") from error
        if text.strip():
            yield text


def _written(events: Iterator[Event]) -> Outcome:
    triples: list[Triple] = []
    rejected: list[WriteRejected] = []
    for event in events:
        if isinstance(event, TriplesWritten):
            triples.extend(event.triples)
        elif isinstance(event, WriteRejected):
            rejected.append(event)
    document: Document = {
        "triples": [triple_document(triple) for triple in triples],
        "rejected": [{"text": event.text, "reason": event.reason} for event in rejected],
    }
    lines = [*map(triple_line, triples), *map(_rejected_line, rejected)]
    return Outcome(document, lines or ["Nothing to remember in that."])


def _turn(events: Iterator[Event], say: Callable[[str], None]) -> Document:
    """Show one turn of a chat while it happens; what happened as a document.

    Pieces of text are left out: `Finished` has the whole, and a piece can end within a character that has to be escaped.
    """
    turn: Document = {"triples": [], "rejected": []}
    for event in events:
        match event:
            case TriplesWritten(triples=triples):
                turn["triples"] += map(triple_document, triples)
                for triple in triples:
                    say(f"  + {triple_line(triple)}")
            case WriteRejected(text=text, reason=reason):
                turn["rejected"].append({"text": text, "reason": reason})
                say(f"  {_rejected_line(event)}")
            case MemoryAnswered(call=call):
                asked, answers = call_document(call).values()
                say(visible(f"  ? {asked}  {', '.join(answers) or 'nothing'}"))
            case Finished(reply=reply):
                turn |= {"answer": reply.text, "known": reply.known, "calls": [call_document(call) for call in reply.calls]}
                for line in (visible(reply.text), *map(_near_line, reply.passages)):
                    say(line)
    return turn


def _near_line(near: PassageMatch) -> str:
    """A passage that stands in, marked as one."""
    return visible(f"  said nearest to it: “{near.text}” ({near.source})")


def _rejected_line(event: WriteRejected) -> str:
    return visible(f"not remembered: {event.text} ({event.reason})")
