"""`python -m ui [--host H] [--port P] [--home DIR]`: serve the chat until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from memagent import Agent, MemagentError
from memagent.commands.given import given_settings
from memagent.commands.printing import complain
from memagent.errors import InvalidInput
from ui.app import build, launch

LOCAL = ("127.0.0.1", "localhost", "::1")


def main(argv: Sequence[str] | None = None) -> int:
    """Open the memory, serve the page; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ui", description="The chat in the browser, with the memory beside it.", allow_abbrev=False
    )
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="the address to serve at (127.0.0.1: only this machine)")
    parser.add_argument("--port", metavar="P", type=_port, help="the port (else the first free one from 7860)")
    parser.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help="the memory's folder (MEMAGENT_HOME, else ~/.memagent)")
    args = parser.parse_args(argv)
    try:
        settings = given_settings(**{"home": args.home} if hasattr(args, "home") else {})
        with Agent.open(settings=settings) as agent:
            serve(agent, args.host, args.port)
    except MemagentError as error:
        complain(error)
        return 1
    return 0


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


def serve(agent: Agent, host: str, port: int | None) -> None:
    """Serve until Ctrl-C, and say where.

    Raises:
        InvalidInput: the address cannot be served at.
    """
    page = build(agent)
    try:
        address = launch(page, host, port)
    except OSError as error:
        raise InvalidInput(f"cannot serve at {host}, port {port or 'any'}: {error}", hint="name another one: --port 7900") from error
    print(f"memagent is at {address}  (memory in {agent.settings.home}; Ctrl-C ends)", flush=True)
    if host not in LOCAL:
        print("Whoever reaches this address reads and changes the memory: there is no password.", file=sys.stderr, flush=True)
    page.block_thread()


if __name__ == "__main__":
    sys.exit(main())
