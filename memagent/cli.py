"""The command line: `python -m memagent COMMAND ...` (`--help` lists the commands).

Knows the arguments and how an outcome or an error is shown; what a command does is in `commands/`, imported when it is
called, so that a look-up waits for no model. `--json` prints one document and nothing else. What goes wrong is one line on
standard error, with a hint below it where there is one, and exit status 1; wrong usage is status 2.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from memagent.commands.given import given_settings
from memagent.commands.outcome import Outcome
from memagent.commands.printing import complain
from memagent.config import Settings
from memagent.errors import InvalidInput, MemagentError

# Command: the module and function that does it, and what it does.
COMMANDS = {
    "remember": ("talking.remember", "write the triples that a text states"),
    "ask": ("talking.ask", "answer a question from the memory, writing nothing"),
    "chat": ("talking.chat", "talk: what you state is remembered, what you ask is answered"),
    "query": ("keeping.query", 'look up "S>>R>>" or ">>R>>O"'),
    "add": ("keeping.add", "add one triple"),
    "forget": ("keeping.forget", "erase an entity or a triple, with all that only it needs"),
    "history": ("keeping.history", "show every change, or those to an entity or a triple"),
    "undo": ("keeping.undo", "undo the last change, or the one of that number"),
    "ingest": ("talking.ingest", "write the triples that text files state"),
    "export": ("keeping.export", "write the memory to a file"),
    "import": ("keeping.import_", "add what `export` wrote"),
    "backup": ("keeping.backup", "copy the whole memory, every namespace, into a new folder"),
    "reindex": ("keeping.reindex", "make the name index anew from the triples"),
    "doctor": ("keeping.doctor", "compare the store with its index, and say what is off"),
    "train": ("", "train a model of your own (train --help)"),
}
CREATING = frozenset({"remember", "chat", "add", "ingest", "import"})  # the others need a memory to be there


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments; the options may stand before or after the command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help="the memory's folder (MEMAGENT_HOME, else ~/.memagent)")
    common.add_argument(
        "--namespace", metavar="NS", default=argparse.SUPPRESS, help="whose memory it is (MEMAGENT_NAMESPACE, else default)"
    )
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document and nothing else")
    whole = argparse.ArgumentParser(
        prog="python -m memagent",
        description="A memory of triples that a local model writes and reads.",
        parents=[common],
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"memagent {_version()}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {
        name: commands.add_parser(name, help=does, description=does.capitalize() + ".", parents=[common], allow_abbrev=False)
        for name, (_, does) in COMMANDS.items()
        if name != "train"
    }
    commands.add_parser("train", add_help=False, allow_abbrev=False, help=COMMANDS["train"][1])  # has a parser of its own
    made["remember"].add_argument("text", metavar="TEXT", nargs="+", help='what to read; "-" for standard input')
    made["ask"].add_argument("question", metavar="QUESTION", nargs="+", help='"-" for standard input')
    made["query"].add_argument("query", metavar="QUERY", help='"S>>R>>" or ">>R>>O"')
    for name in ("subject", "relation", "object"):
        made["add"].add_argument(name, metavar=name[0].upper(), help=f"its {name}")
    for command, number in (("forget", "+"), ("history", "*")):
        made[command].add_argument("what", metavar="NAME", nargs=number, help="one name, or the subject, relation and object of a triple")
    made["forget"].add_argument("--with-conversations", action="store_true", help="erase kept conversations too in which it was said")
    made["undo"].add_argument("change", metavar="NUMBER", nargs="?", type=int, help="the change, as `history` numbers it")
    made["ingest"].add_argument("file", metavar="FILE", nargs="+", help="text files, UTF-8")
    made["export"].add_argument(
        "file", metavar="FILE", help="where to: .jsonl has everything; .csv, .graphml, .nt and .ttl have what holds now"
    )
    made["import"].add_argument(
        "file", metavar="FILE", help="what `export` wrote, or triples of your own: .jsonl or .csv with subject, relation, object"
    )
    made["backup"].add_argument("folder", metavar="FOLDER", help="a new or empty folder; it is then a memory like this one")
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must not fail on a terminal that cannot show it
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except MemagentError as error:
        complain(error)
    except BrokenPipeError:
        sys.stdout = None  # the reader has gone; nothing is left to say, at exit neither
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return 1


def _run(argv: Sequence[str]) -> int:
    whole = parser()
    args, rest = whole.parse_known_args(argv)
    if args.command == "train":
        return int(import_module("memagent.training.cli").main(rest))
    if rest:
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.command in ("forget", "history") and len(args.what) not in (0, 1, 3):
        whole.error(f'{args.command} takes one name or three; put a name with spaces in quotes: {args.command} "{" ".join(args.what)}"')
    args.json = getattr(args, "json", False)
    module, _, function = COMMANDS[args.command][0].partition(".")
    settings = _settings(args)
    outcome: Outcome = getattr(import_module(f"memagent.commands.{module}"), function)(args, settings)
    if args.json:
        ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
        print(json.dumps(outcome.document, ensure_ascii=ascii_only, indent=2), flush=True)
    else:
        print("\n".join(outcome.lines), end="\n" if outcome.lines else "", flush=True)
    return outcome.status


def _settings(args: argparse.Namespace) -> Settings:
    """The settings of this call; a folder that is named to be read from has to be there."""
    settings = given_settings(**{name: getattr(args, name) for name in ("home", "namespace") if hasattr(args, name)})
    named = "home" in settings.model_fields_set and settings.database_url is None
    if named and args.command not in CREATING and not settings.home.exists():
        raise InvalidInput(f"there is no memory at {settings.home}", hint="remember or add something there first")
    return settings


def _version() -> str:
    try:
        return version("memagent")
    except PackageNotFoundError:
        return "from a checkout"
