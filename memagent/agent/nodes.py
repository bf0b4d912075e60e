"""The nodes of the graph: propose -> store -> draft -> (recall -> draft)* -> end.

The state is plain JSON: what was said, token ids, and the calls of the turn as text. Memory and model come in by the context.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from memagent.agent.descriptions import name_described, restated
from memagent.agent.events import MemoryAnswered, MemoryAsked, PassagesFound, TextAdded, TriplesWritten, WriteRejected
from memagent.agent.reader import answer, scope
from memagent.agent.writer import propose
from memagent.calls import ReadCall, WriteCall, parse_query, parse_read, parse_write, render_query
from memagent.config import Settings
from memagent.errors import InvalidInput
from memagent.memory import Memory
from memagent.model.opinions import locate
from memagent.model.seam import Draft, DraftRequest, LanguageModel
from memagent.triples import Provenance, Triple

REMEMBERED_TURNS = 2  # exchanges before the present message that the model sees


@dataclass(frozen=True, slots=True)
class Context:
    """What the nodes work with; never part of the state."""

    memory: Memory
    model: LanguageModel
    settings: Settings
    thread: str
    source: str


class State(TypedDict, total=False):
    """One conversation; everything but `turns` and `topics` is of the present turn."""

    turns: list[list[str]]  # [speaker, text] each
    topics: list[str]  # names that the calls of the turn before were about, or found: "What breed is Bramble?" "And how old?"
    message: str
    question: str  # the message in words by which the memory knows those of whom it speaks
    speaker: str
    writes: bool
    proposals: list[dict[str, Any]]
    ids: list[int]
    asked: list[str]
    found: list[str]  # answers so far, the entities of a further call
    last: list[str]  # answers of the last call
    call: str


def propose_node(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Write calls for the sentences of the message."""
    context = runtime.context
    said = [text for who, text in state.get("turns", []) if who == state["speaker"]]
    proposals = propose(context.model, context.memory, state["message"], speaker=state["speaker"], source=context.source, before=said)
    return {"proposals": [_to_json(p.focus.text, p.triples) for p in proposals]}


def store_node(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Put the proposals into the memory; with `approve_writes` only those that a person lets pass."""
    context = runtime.context
    proposals = [_from_json(p) for p in state["proposals"] if p["confidence"]]
    accepted = [True] * len(proposals)
    if context.settings.approve_writes and proposals:
        accepted = interrupt([WriteCall(triples).render() for _, triples in proposals])
    for (focus, triples), keep in zip(proposals, accepted, strict=True):
        refused = WriteRejected(WriteCall(triples).render(), "not approved")
        for event in store(context.model, context.memory, context.settings, focus, triples) if keep else [refused]:
            runtime.stream_writer(event)
    return {"proposals": []}


def store(
    model: LanguageModel, memory: Memory, settings: Settings, focus: str, triples: tuple[Triple, ...]
) -> list[TriplesWritten | WriteRejected]:
    """Store what is sure enough, and let it name whom the speaker described so far; say what was not stored, and why."""
    floor = settings.min_confidence or 0.0
    events: list[TriplesWritten | WriteRejected] = []
    kept = []
    for triple in triples:
        if triple.confidence >= floor:
            kept.append(triple)
        else:
            events.append(WriteRejected(WriteCall((triple,)).render(), f"confidence {triple.confidence:.2f} is below {floor:.2f}"))
    if kept:
        try:
            stored = tuple(memory.add(kept))
        except InvalidInput as error:
            return [*events, WriteRejected(focus, str(error))]
        events.append(TriplesWritten(focus, WriteCall(tuple(kept)).render(), stored))
        for triple in kept:
            name_described(model, memory, focus, triple)
    return events


def draft_node(state: State, runtime: Runtime[Context]) -> Command[Literal["recall", "__end__"]]:
    """Let the model go on: a read call, or the rest of its turn."""
    context = runtime.context
    model, settings = context.model, context.settings
    earlier = state.get("turns", [])
    began = bool(state.get("ids"))
    message = state["question"] if began else restated(context.memory, state["message"], state["speaker"])
    turns = [(who, text) for who, text in [*earlier[-2 * REMEMBERED_TURNS :], [state["speaker"], message]]]
    ids = state.get("ids") or model.prompt(turns)
    asked = [parse_query(text) for text in state.get("asked", [])]
    room = len(asked) < settings.max_reads
    said = [text for who, text in turns if who == state["speaker"]]
    now = scope(context.memory, said, [*state.get("found", []), state["speaker"]], asked, state.get("topics", []))
    askable, entities = (now.askable, now.entities) if room else ((), ())
    request = DraftRequest(
        tuple(ids),
        question=message,
        askable=askable,
        entities=entities,
        answers=tuple(state.get("last", [])),
        speaker=state["speaker"],
        thread=context.thread,
        asked=tuple(asked),
    )
    draft = _drafted(model, context.memory, request, state["message"])
    if draft.call is not None:
        runtime.stream_writer(MemoryAsked(draft.call))
        return Command(goto="recall", update={"ids": [*ids, *draft.ids], "call": draft.call.render(), "question": message})
    runtime.stream_writer(TextAdded(draft.text, unknown=draft.asked_in_vain))
    in_vain = draft.asked_in_vain or (asked and not state.get("last"))
    if in_vain and settings.passages_stand_in and (near := context.memory.passages(state["message"])):
        runtime.stream_writer(PassagesFound(tuple(near)))
    exchange = [[state["speaker"], state["message"]], ["assistant", draft.text]]
    topics = dict.fromkeys([*state.get("found", []), *(query.known for query in asked)])
    return Command(goto="__end__", update={"turns": [*earlier, *exchange], "topics": list(topics), "ids": []})


def _drafted(model: LanguageModel, memory: Memory, request: DraftRequest, message: str) -> Draft:
    """The model's draft, without a call for what the message itself says: "my mum is a nurse" does not ask what she is."""
    draft = model.draft(request)
    if draft.call is None or "?" in message:
        return draft
    said = [provenance.passage for match in answer(memory, draft.call) for provenance in match.provenance]
    told = bool(said) and all(passage in message for passage in said)
    return model.draft(replace(request, askable=(), entities=())) if told else draft


def recall_node(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Answer the read call from the memory."""
    context = runtime.context
    call = parse_read(state["call"])
    matches = answer(context.memory, call)
    answers = [m.answer for m in matches]
    meant = [name for name in answers if locate(state["question"], 0, name)] or answers  # "my brother Tom" is not the other one
    runtime.stream_writer(MemoryAnswered(ReadCall(call.queries, tuple(answers)), tuple(matches)))
    return {
        "ids": [*state["ids"], *context.model.answered(answers)],
        "asked": [*state.get("asked", []), *map(render_query, call.queries)],
        "found": [*state.get("found", []), *meant],
        "last": answers,
    }


def _to_json(focus: str, triples: tuple[Triple, ...]) -> dict[str, Any]:
    """A proposal as plain JSON: the call's text, and what its names do not say."""
    provenance = triples[0].provenance[0] if triples else None
    return {
        "focus": focus,
        "call": WriteCall(triples).render(),
        "confidence": [t.confidence for t in triples],
        "source": [provenance.source, provenance.passage, provenance.start, provenance.end, provenance.speaker] if provenance else [],
    }


def _from_json(proposal: dict[str, Any]) -> tuple[str, tuple[Triple, ...]]:
    """The inverse of `_to_json`; the time is that of storing."""
    source, passage, start, end, speaker = proposal["source"]
    provenance = (Provenance(source, passage, start, end, speaker, datetime.now(UTC)),)
    pairs = zip(parse_write(proposal["call"]).triples, proposal["confidence"], strict=True)
    return proposal["focus"], tuple(Triple(t.subject, t.relation, t.object, c, provenance=provenance) for t, c in pairs)
