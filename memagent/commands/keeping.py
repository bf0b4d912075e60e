"""The commands that need the memory alone: no model is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path

from memagent.calls import parse_query, render_query
from memagent.commands.outcome import Outcome
from memagent.commands.printing import Document, counted, match_document, match_line, triple_document, triple_line, visible
from memagent.config import Settings
from memagent.memory import Change, ForgetReport, Memory
from memagent.memory.home import CONVERSATIONS
from memagent.triples import Triple


def add(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Add one triple; no model involved."""
    with Memory.open(settings=settings) as memory:
        stored = memory.add([Triple(args.subject, args.relation, args.object)])
    return Outcome({"triples": [triple_document(triple) for triple in stored]}, [triple_line(triple) for triple in stored])


def query(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Look up "S>>R>>" or ">>R>>O"."""
    asked = parse_query(args.query)
    with Memory.open(settings=settings) as memory:
        matches = memory.match(asked)
    document: Document = {
        "query": render_query(asked),
        "answers": [match.answer for match in matches],
        "matches": [{**match_document(match), "derivation": [triple_document(step) for step in match.derivation]} for match in matches],
    }
    return Outcome(document, [match_line(match) for match in matches] or ["Nothing matches."])


def forget(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Erase an entity (one name) or one triple (three), with all that only it needs."""
    what = _entity_or_triple(args.what)
    report = _forget(what, settings, with_conversations=args.with_conversations)
    document: Document = {
        "triples": report.triples,
        "entities": list(report.entities),
        "passages": report.passages,
        "redacted": report.redacted,
        "also_named": list(report.also_named),
        "conversations": list(report.conversations),
    }
    lines = [f"Erased {_held(report.triples, len(report.entities), report.passages)}."]
    if report.also_named:
        lines.append(visible(f"Still there, with that name in theirs or meant by it: {', '.join(report.also_named)}"))
    if report.conversations:
        done = "Erased with it" if args.with_conversations else "Said in (--with-conversations erases these too)"
        lines.append(visible(f"{done}: {', '.join(report.conversations)}"))
    return Outcome(document, lines)


def _forget(what: str | Triple, settings: Settings, *, with_conversations: bool) -> ForgetReport:
    if not (settings.home.expanduser() / CONVERSATIONS).exists():
        with Memory.open(settings=settings) as memory:
            return memory.forget(what)
    from memagent.agent import Agent  # takes a second to import, and is needed only to read conversations

    with Agent.open(settings=settings) as agent:
        return agent.forget(what, with_conversations=with_conversations)


def history(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Every change, or those to an entity (one name) or a triple (three), oldest first."""
    what = _entity_or_triple(args.what) if args.what else None
    with Memory.open(settings=settings) as memory:
        changes = memory.history(what)
    lines = [line for change in changes for line in _change_lines(change)]
    return Outcome({"changes": [_change_document(change) for change in changes]}, lines or ["No changes."])


def undo(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Undo the last change, or the one of that number (`history` shows them)."""
    with Memory.open(settings=settings) as memory:
        change = memory.undo(args.change)
    return Outcome({"change": _change_document(change)}, _change_lines(change))


def export(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Write the memory of the namespace to a file, as `import` reads it."""
    with Memory.open(settings=settings) as memory:
        count = memory.export(Path(args.file))
    return Outcome({"file": args.file, "triples": count}, [f"{counted(count, 'triple')} to {visible(args.file)}"])


def import_(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Add what `export` wrote."""
    with Memory.open(settings=settings) as memory:
        done = memory.import_(Path(args.file))
    document: Document = {"triples": done.triples, "entities": done.entities, "passages": done.passages, "skipped": list(done.skipped)}
    return Outcome(document, [_held(done.triples, done.entities, done.passages), *map(visible, done.skipped)])


def backup(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Copy the whole memory, every namespace, into a new folder."""
    with Memory.open(settings=settings) as memory:
        folder = memory.backup(Path(args.folder))
    return Outcome({"folder": str(folder)}, [f"copied to {visible(str(folder))}"])


def reindex(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Make the name index anew from the triples."""
    with Memory.open(settings=settings) as memory:
        count = memory.reindex()
    return Outcome({"vectors": count}, [counted(count, "vector")])


def doctor(args: argparse.Namespace, settings: Settings) -> Outcome:
    """Compare the store with its index, and say what is off (exit status 1)."""
    with Memory.open(settings=settings) as memory:
        report = memory.doctor()
    counts = report.counts
    document: Document = {
        "ok": report.ok,
        "problems": list(report.problems),
        "counts": {what: getattr(counts, what) for what in ("triples", "entities", "relations", "passages")},
        "pending": report.pending,
        "vectors": report.vectors,
    }
    held = f"{_held(counts.triples, counts.entities, counts.passages)}, {counted(counts.relations, 'relation')}"
    found = list(map(visible, report.problems)) or ["Nothing is off."]
    return Outcome(document, [f"{held}, {counted(report.vectors, 'vector')}", *found], status=0 if report.ok else 1)


def _held(triples: int, entities: int, passages: int) -> str:
    return ", ".join((counted(triples, "triple"), counted(entities, "entity", "entities"), counted(passages, "passage")))


def _entity_or_triple(names: list[str]) -> str | Triple:
    if len(names) == 1:
        return names[0]
    subject, relation, target = names
    return Triple(subject, relation, target)


def _change_document(change: Change) -> Document:
    return {
        "number": change.number,
        "kind": change.kind,
        "at": change.at.isoformat(),
        "added": [triple_document(triple) for triple in change.added],
        "ended": [triple_document(triple) for triple in change.ended],
        "names": list(change.names),
        "undone_by": change.undone_by,
    }


def _change_lines(change: Change) -> list[str]:
    undone = f", undone by {change.undone_by}" if change.undone_by else ""
    head = f"{change.number}  {change.at.astimezone():%Y-%m-%d %H:%M}  {change.kind}{undone}  {visible(', '.join(change.names))}"
    return [head.rstrip(), *(f"   + {triple_line(t)}" for t in change.added), *(f"   - {triple_line(t)}" for t in change.ended)]
