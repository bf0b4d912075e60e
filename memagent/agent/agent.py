"""The façade: a memory folder, a model, and the graph in which they meet."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from memagent.agent.events import Event, Finished, MemoryAnswered, PassagesFound, Reply, TextAdded, TriplesWritten
from memagent.agent.graph import build_graph
from memagent.agent.nodes import Context, store
from memagent.agent.writer import propose
from memagent.config import Settings
from memagent.errors import InvalidInput
from memagent.memory import ForgetReport, Memory, PassageMatch
from memagent.memory.home import CONVERSATIONS
from memagent.model.seam import LanguageModel
from memagent.triples import Triple

MAX_MESSAGE = 20_000  # characters of one message of a conversation


class Agent:
    """Reads text into a memory and answers from it. Close it, or use it in a `with` block."""

    def __init__(self, memory: Memory, settings: Settings, model: LanguageModel | None = None) -> None:
        self.memory = memory
        self.settings = settings
        self._model = model
        self._connection = sqlite3.connect(memory.home / CONVERSATIONS, check_same_thread=False)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=normal")
        self._connection.execute("pragma secure_delete=on")
        self._saver = SqliteSaver(self._connection)
        self._graph = build_graph(self._saver)
        self._once = build_graph()

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        *,
        namespace: str | None = None,
        settings: Settings | None = None,
        model: LanguageModel | None = None,
        memory: Memory | None = None,
    ) -> Self:
        """Open a memory folder; arguments win over `settings`, these over the environment. The model is loaded when first needed."""
        settings = settings or Settings()
        changes = {"home": Path(home) if home is not None else None, "namespace": namespace}
        settings = settings.model_copy(update={k: v for k, v in changes.items() if v is not None})
        return cls(memory or Memory.open(settings.home, namespace=settings.namespace, settings=settings), settings, model)

    def close(self) -> None:
        """Close the memory and the conversations."""
        self._connection.close()
        self.memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def model(self) -> LanguageModel:
        """The language model, loaded by the first use."""
        if self._model is None:
            from memagent.model.local import load_local

            s, ontology = self.settings, self.memory.ontology
            self._model = load_local(s.model, s.adapters, threads=s.threads, max_tokens=s.max_tokens, ontology=ontology, int8=s.int8)
        return self._model

    # ---- writing

    def remember(self, text: str, *, speaker: str | None = None, source: str = "text") -> list[Triple]:
        """Write the triples that a text states; returns those that were written, with provenance and confidence."""
        events = self.remember_events(text, speaker=speaker, source=source)
        return [t for event in events if isinstance(event, TriplesWritten) for t in event.triples]

    def remember_events(self, text: str, *, speaker: str | None = None, source: str = "text") -> Iterator[Event]:
        """The same sentence by sentence; each sentence is stored before the next one is read. `speaker=""`: running text."""
        check_text(text)
        before = self.memory.recent_passages(2, source=source)
        who = self.settings.speaker if speaker is None else speaker
        for proposal in propose(self.model, self.memory, text, speaker=who, source=source, before=before):
            yield from store(self.model, self.memory, self.settings, proposal.focus.text, proposal.triples)

    # ---- talking

    def reply(self, text: str, *, thread: str = "default", speaker: str | None = None) -> Reply:
        """Remember what the user states, and answer."""
        return _last(self.stream(text, thread=thread, speaker=speaker))

    def ask(self, question: str) -> Reply:
        """Answer a question; nothing is written, no conversation is kept."""
        state = {"message": check_message(question), "speaker": self.settings.speaker, "writes": False}
        return _last(self._events(self._once, state, "ask"))

    def stream(self, text: str, *, thread: str = "default", speaker: str | None = None) -> Iterator[Event]:
        """The events of one turn of a conversation, the reply last."""
        state = {"message": check_message(text), "speaker": speaker or self.settings.speaker, "writes": True}
        return self._events(self._graph, {**state, "ids": [], "asked": [], "found": [], "last": []}, thread)

    def approve(self, accepted: Sequence[bool], *, thread: str = "default") -> Iterator[Event]:
        """Go on with a turn whose writes wait (`Reply.awaiting`): a yes or no for each of them.

        Raises:
            InvalidInput: so many do not wait.
        """
        waiting = self._awaiting(thread)
        if not waiting or len(accepted) != len(waiting):
            raise InvalidInput(f"{len(waiting)} write calls wait in {thread!r}, not {len(accepted)}")
        return self._events(self._graph, Command(resume=list(accepted)), thread)

    def _events(self, graph: Any, given: dict[str, Any] | Command[Any], thread: str) -> Iterator[Event]:
        config = self._thread(thread)
        key = config["configurable"]["thread_id"]
        config["recursion_limit"] = 2 * self.settings.max_reads + 12
        context = Context(self.memory, self.model, self.settings, key, f"conversation {thread}")
        kept = graph is self._graph
        turn = _Turn()
        for event in graph.stream(given, config, context=context, stream_mode="custom", durability="exit" if kept else None):
            turn.take(event)
            yield event
        yield Finished(turn.reply(self._awaiting(thread) if kept and self.settings.approve_writes else ()))

    def _thread(self, thread: str) -> dict[str, Any]:
        return {"configurable": {"thread_id": f"{self.memory.namespace}/{thread}"}}

    def _awaiting(self, thread: str) -> tuple[str, ...]:
        """Write calls of the thread that wait for approval."""
        return tuple(call for stop in self._graph.get_state(self._thread(thread)).interrupts for call in stop.value)

    # ---- forgetting

    def forget(self, what: str | Triple, *, with_conversations: bool = False) -> ForgetReport:
        """Erase from the memory (see `Memory.forget`), and on request the conversations in which it was said.

        A triple was said where both its subject and its object were.
        """
        ends = (what,) if isinstance(what, str) else (what.subject, what.object)
        names = [(name, *self.memory.names(name), *self.memory.short_names(name)) for name in ends]
        said = [set(self.conversations_naming(some)) for some in names]
        report = replace(self.memory.forget(what), conversations=tuple(sorted(set.intersection(*said))))
        if with_conversations:
            for thread in report.conversations:
                self._saver.delete_thread(thread)
            self._connection.execute("vacuum")
            self._connection.execute("pragma wal_checkpoint(truncate)")
        return report

    def conversations_naming(self, names: Iterable[str]) -> list[str]:
        """Kept conversations of this namespace in which one of the names was said, asked about or found."""
        wanted = re.compile("|".join(rf"(?<!\w){re.escape(name.strip())}(?!\w)" for name in names), re.IGNORECASE)
        prefix = f"{self.memory.namespace}/"
        found = []
        for thread in {c.config["configurable"]["thread_id"] for c in self._saver.list(None)}:
            state = self._graph.get_state({"configurable": {"thread_id": thread}}).values
            kept = (state.get(key, []) for key in ("asked", "found", "topics"))
            said = [*(text for _, text in state.get("turns", [])), state.get("message", ""), *chain(*kept)]
            if thread.startswith(prefix) and any(map(wanted.search, said)):
                found.append(thread)
        return sorted(found)


class _Turn:
    """Gathers the events of a turn into its reply."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.unknown = False
        self.answered: list[MemoryAnswered] = []
        self.written: list[Triple] = []
        self.near: tuple[PassageMatch, ...] = ()

    def take(self, event: Event) -> None:
        if isinstance(event, TextAdded):
            self.text.append(event.text)
            self.unknown |= event.unknown
        elif isinstance(event, MemoryAnswered):
            self.answered.append(event)
        elif isinstance(event, PassagesFound):
            self.near = event.passages
        elif isinstance(event, TriplesWritten):
            self.written += event.triples

    def reply(self, awaiting: tuple[str, ...] = ()) -> Reply:
        last = self.answered[-1].matches if self.answered and not self.unknown else ()
        return Reply("".join(self.text), bool(last), tuple(a.call for a in self.answered), last, tuple(self.written), awaiting, self.near)


def _last(events: Iterable[Event]) -> Reply:
    for event in events:
        if isinstance(event, Finished):
            return event.reply
    raise AssertionError("a turn ends with its reply")


def check_text(text: str) -> str:
    """The text, if it is one.

    Raises:
        InvalidInput: it is empty, or holds NUL characters or unpaired surrogates.
    """
    if not text.strip():
        raise InvalidInput("the text is empty", hint="give at least one sentence")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput("this is not text: it holds NUL bytes or broken characters", hint="is it a binary file?")
    return text


def check_message(text: str) -> str:
    """A text that is short enough for one message."""
    if len(check_text(text)) > MAX_MESSAGE:
        raise InvalidInput(f"the message has {len(text):,} characters, at most {MAX_MESSAGE:,} fit", hint="long texts go through `ingest`")
    return text.strip()
