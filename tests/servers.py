"""Servers for the tests: a PostgreSQL and a Chroma of our own, in a temporary folder, gone when the tests are done.

PostgreSQL is `MEMAGENT_TEST_DATABASE_URL` where that is set, or with `MEMAGENT_TEST_SERVERS=1` a cluster that is made with the programs
of the Debian package; without either, without psycopg, or when it does not start, the reason is given and the tests are skipped.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, text

WAIT_S = 30
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"  # it holds nothing that is worth keeping


class NoServer(Exception):
    """There is none, and why."""


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server where we may make schemas.

    Raises:
        NoServer: with the reason.
    """
    if find_spec("psycopg") is None:
        raise NoServer("psycopg is not installed (pip install memagent[postgres])")
    if given := os.environ.get("MEMAGENT_TEST_DATABASE_URL"):
        yield given
        return
    if os.environ.get("MEMAGENT_TEST_SERVERS") != "1":
        raise NoServer("MEMAGENT_TEST_SERVERS=1 starts one for the tests (.ci/run does)")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs and not (found := shutil.which("initdb")):
        raise NoServer("no PostgreSQL is installed and MEMAGENT_TEST_DATABASE_URL is not set")
    tools = programs[-1].parent if programs else Path(found).parent
    with tempfile.TemporaryDirectory(prefix="memagent-pg-", ignore_cleanup_errors=True) as folder:
        try:
            yield from _cluster(tools, Path(folder))
        except (OSError, KeyError, subprocess.SubprocessError) as error:
            raise NoServer(f"PostgreSQL does not start: {error}") from error


def _cluster(tools: Path, folder: Path) -> Iterator[str]:
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(tool: str, *arguments: str) -> None:
        command = [str(tools / tool), "-D", str(data), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, timeout=WAIT_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("initdb", "-U", "memagent", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"{FAST} -c listen_addresses='' -k {folder}", "start")
    try:
        yield f"postgresql+psycopg://memagent@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")


@contextlib.contextmanager
def schema(server: str) -> Iterator[str]:
    """The URL of an empty schema, which goes when it is done with."""
    name = f"memagent_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


@contextlib.contextmanager
def chroma(folder: Path) -> Iterator[str]:
    """The URL of a Chroma server that keeps its data in `folder`.

    Raises:
        NoServer: it does not answer within `WAIT_S`.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    try:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise NoServer(f"Chroma does not start: {error}") from error
    try:
        _wait(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(WAIT_S)


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise NoServer("the Chroma server does not answer")
