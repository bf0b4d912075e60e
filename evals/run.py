"""python -m evals.run [--suite NAME ...] [--data DIR] [--model NAME] [--out DIR] ...

Without arguments: the suites that need no data from outside the repository (chat). With --data: all whose files are there; a
missing file is named, and the other suites go on. `memory` measures time and so runs only where it is named. Exit status 1 if a
suite that was asked for could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals import report
from evals.bench import Bench, FreshAgent, Suite, fresh_agents
from evals.case import MissingData, Outcome
from evals.chat import Chat
from evals.circumstances import circumstances
from evals.editing import Editing
from evals.extraction import Extraction
from evals.junk import Junk
from evals.memory import MemorySuite
from evals.perplexity import Perplexity
from memagent import MemagentError, Settings
from memagent.ontology import load_ontology

SUITES: dict[str, Suite] = {suite.name: suite for suite in (Chat(), Extraction(), Editing(), Junk(), Perplexity(), MemorySuite())}

ALONE = ("memory",)


def main(arguments: Sequence[str] | None = None, *, agents: FreshAgent | None = None) -> int:
    """Run the command and give its exit status; `agents` stands in for the model (tests)."""
    options = parser().parse_args(arguments)
    try:
        if options.compare:
            print(report.compare(*map(report.read, options.compare)))
            return 0
        settings = _settings(options)
        if agents is not None:
            return run(options, settings, agents)
        with fresh_agents(settings) as opened:
            return run(options, settings, opened)
    except (MemagentError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        if hint := getattr(error, "hint", ""):
            print(f"hint: {hint}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    options = argparse.ArgumentParser(prog="python -m evals.run", description="Say how good a model with this memory is.")
    options.add_argument(
        "--suite", action="append", choices=list(SUITES), metavar="NAME", help=f"one of {', '.join(SUITES)}; may be repeated"
    )
    options.add_argument("--data", type=Path, metavar="DIR", help="folder with the public data sets")
    options.add_argument("--model", metavar="NAME", help="model instead of MEMAGENT_MODEL or the embedded one")
    options.add_argument("--adapters", metavar="DIR", help="its adapters")
    options.add_argument("--out", type=Path, metavar="DIR", help="write <suite>.json there")
    options.add_argument("--limit", type=_positive, metavar="N", help="at most N cases a suite")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="for drawing cases and for the intervals (0)")
    options.add_argument("--verbose", action="store_true", help="show every case that failed, with the reason, and all rows")
    options.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"), help="compare two results instead of running")
    return options


def run(options: argparse.Namespace, settings: Settings, agents: FreshAgent) -> int:
    """Run the suites one after the other and print each table as it is done."""
    bench = Bench(agents, load_ontology(settings.ontology_file), options.data, options.limit, options.seed)
    status = 0
    for suite in _chosen(options):
        started = time.monotonic()
        try:
            outcome = suite.run(bench)
        except MissingData as missing:
            print(f"{suite.name} left out: {missing}\n", file=sys.stderr)
            status = 1 if options.suite else status
            continue
        seconds = round(time.monotonic() - started, 1)
        _show(suite, outcome, seconds, options.verbose)
        if options.out is not None:
            result = report.document(suite.name, outcome, {**circumstances(suite, bench, settings), "seconds": seconds})
            print(f"  written to {report.write(options.out, result)}\n")
    return status


def _chosen(options: argparse.Namespace) -> list[Suite]:
    if options.suite:
        return [SUITES[name] for name in dict.fromkeys(options.suite)]
    return [suite for suite in SUITES.values() if suite.name not in ALONE and (options.data is not None or not suite.needs)]


def _show(suite: Suite, outcome: Outcome, seconds: float, verbose: bool) -> None:
    if verbose and (failed := report.failures(outcome.cases)):
        print(failed + "\n")
    more = [f"{sum(row.detail for row in outcome.rows)} rows more with --verbose"] if any(row.detail for row in outcome.rows) else []
    print(report.table(suite.name, outcome.rows, [*outcome.notes, *more, f"{seconds} s"], details=verbose) + "\n", flush=True)


def _settings(options: argparse.Namespace) -> Settings:
    given: dict[str, Any] = {"model": options.model, "adapters": options.adapters}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
