"""The documents say what the code does: every command, every setting, every file."""

import re
from pathlib import Path

from memagent.cli import COMMANDS
from memagent.config import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGES = ("memagent", "ui", "evals")


def test_every_command_is_in_the_readme():
    missing = [name for name in COMMANDS if f"python -m memagent {name}" not in README]
    assert not missing


def test_every_setting_is_in_the_example_with_its_meaning():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    explained = {}
    for above, line in zip(lines, lines[1:], strict=False):
        if found := re.match(r"(?:# )?(MEMAGENT_[A-Z0-9_]+)=", line):
            explained[found.group(1)] = above
    assert set(explained) == {f"MEMAGENT_{name.upper()}" for name in Settings.model_fields}
    assert all(meaning.startswith("# ") for meaning in explained.values())


def test_the_example_has_the_defaults():
    given = dict(re.findall(r"^MEMAGENT_([A-Z0-9_]+)=(.+)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    for name, value in given.items():
        assert str(Settings.model_fields[name.lower()].default).lower() == value


def test_the_file_tree_is_the_one_on_disk():
    paths, folded = tree()
    assert not [path for path in paths if not (ROOT / path).exists()]
    listed = set(paths)
    sources = [path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert not [path for path in sources if path not in listed and not path.startswith(tuple(folded)) and not path.endswith("__init__.py")]


def test_every_file_of_the_tree_has_a_remark():
    block = README.split("## Files")[1].split("```")[1]
    assert not [line for line in block.strip().splitlines()[1:] if not line.endswith("/") and not re.search(r"\S +\S", line.strip())]


def tree() -> tuple[list[str], list[str]]:
    """Every path in the README's tree, and the folders among them that it does not unfold."""
    block = README.split("## Files")[1].split("```")[1]
    above: list[str] = []
    paths: list[str] = []
    for line in filter(str.strip, block.splitlines()[1:]):
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        above = [*above[:depth], name]
        paths.append("".join(above))
    folded = [path for path in paths if path.endswith("/") and not any(other != path and other.startswith(path) for other in paths)]
    return paths, folded
