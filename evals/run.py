"""python -m evals.run [--suite NAME ...] [--data DIR] [--model NAME] [--out DIR] ...

Without arguments: the suites that have cases in the repository (chat and phrasings, of which some are drawn, and composition), in
under 5 minutes on two cores. With --data: all whose files are there, and all their cases; a missing file is named, and the other suites
go on. A suite that is named runs all its cases, too. `memory` and `speed` measure time and so run only where they are named. Exit status
1 if a suite that was asked for could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals import page, report
from evals.bench import Bench, FreshAgent, Suite, available_cores, crew, fresh_agents
from evals.case import MissingData, Outcome
from evals.chat import Chat
from evals.circumstances import OWN, circumstances
from evals.composition import CompositionSuite
from evals.editing import Editing
from evals.extraction import Extraction
from evals.junk import Junk
from evals.memory import MemorySuite
from evals.perplexity import Perplexity
from evals.phrasings import PhrasingsSuite
from evals.speed import Speed
from memagent import MemagentError, Settings
from memagent.ontology import load_ontology

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (Chat(), CompositionSuite(), PhrasingsSuite(), Extraction(), Editing(), Junk(), Perplexity(), MemorySuite(), Speed())
}

ALONE = ("memory", "speed")


def main(arguments: Sequence[str] | None = None, *, agents: FreshAgent | None = None) -> int:
    """Run the command and give its exit status; `agents` stands in for the model (tests)."""
    options = parser().parse_args(arguments)
    try:
        if options.compare:
            print(report.compare(*map(report.read, options.compare)))
            return 0
        if options.page:
            return _write_page(options.page)
        settings = _settings(options)
        jobs = 1 if agents else options.jobs
        with crew(jobs) as helpers:
            return run(options, settings, Bench(agents or fresh_agents(settings), crew=helpers, jobs=jobs))
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
    options.add_argument("--out", type=Path, metavar="DIR", help="write <suite>.json there, plots and report.html")
    options.add_argument("--no-text", action="store_true", help="leave texts out of <suite>.json: numbers only, no sentence of a data set")
    options.add_argument("--limit", type=_positive, metavar="N", help="at most N cases a suite")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="for drawing cases and for the intervals (0)")
    options.add_argument(
        "--jobs", type=_positive, default=min(2, available_cores()), metavar="N", help="processes of one thread (%(default)s)"
    )
    options.add_argument("--verbose", action="store_true", help="show every case that failed, with the reason, and all rows")
    options.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"), help="compare two results instead of running")
    options.add_argument("--page", type=Path, metavar="DIR", help="write plots and report.html of the results in DIR instead of running")
    return options


def run(options: argparse.Namespace, settings: Settings, bench: Bench) -> int:
    """Run the suites one after the other and print each table as it is done."""
    thorough = options.data is not None or bool(options.suite)
    ontology = load_ontology(settings.ontology_file)
    bench = replace(bench, ontology=ontology, data=options.data, limit=options.limit, seed=options.seed, thorough=thorough)
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
            known = {**circumstances(suite, bench, settings), "jobs": options.jobs, "seconds": seconds}
            print(f"  written to {report.write(options.out, report.document(suite.name, outcome, known, texts=not options.no_text))}\n")
    if options.out is not None and any(options.out.glob("*.json")):
        _write_page(options.out)
    return status


def _write_page(folder: Path) -> int:
    print(f"written to {page.write(folder)}")
    if not page.can_draw():
        print(page.NO_PLOTS, file=sys.stderr)
    return 0


def _chosen(options: argparse.Namespace) -> list[Suite]:
    if options.suite:
        return [SUITES[name] for name in dict.fromkeys(options.suite)]
    everywhere = [suite for suite in SUITES.values() if suite.name not in ALONE]
    return [suite for suite in everywhere if options.data is not None or suite.name in OWN]


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
