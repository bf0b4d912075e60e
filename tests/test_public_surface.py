"""What others may rely on: the public names, the cost of importing them, and which module may import which library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import memagent

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("memagent", "ui", "evals") for path in (ROOT / package).rglob("*.py"))
LAYERS = [  # lower ones first; a module imports nothing from a layer above its own
    {"errors", "triples", "config", "ontology", "calls", "passages"},
    {"memory", "model"},
    {"agent"},
    {"plugin", "training"},
    {"commands"},
    {"cli"},
]
MAY_IMPORT = {
    "torch": ("memagent/model", "memagent/training"),
    "transformers": ("memagent/model", "memagent/training"),
    "peft": ("memagent/model", "memagent/training"),
    "chromadb": ("memagent/memory/names.py", "evals/rivals.py"),
    "langgraph": ("memagent/agent", "memagent/plugin", "evals/rivals.py"),
    "langchain": ("memagent/plugin",),
    "langchain_core": ("memagent/plugin", "memagent/agent"),
    "gradio": ("ui",),
}


def imported(path: Path) -> list[str]:
    """The modules that a file imports when it runs, wherever in it (imports for the type checker alone do not count)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_public_names_are_sorted_and_there():
    assert memagent.__all__ == sorted(memagent.__all__)
    assert all(hasattr(memagent, name) for name in memagent.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = memagent.no_such_name


def test_importing_is_quick_and_loads_no_library_of_weight():
    code = "import sys, time, memagent; print(time.process_time()); "
    code += "print(*{'torch', 'chromadb', 'transformers', 'langgraph', 'gradio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, loaded = done.stdout.split("\n")[:2]  # of the processor: what else the machine does is not counted
    assert float(seconds) < 1.0
    assert loaded == ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_stays_behind_its_seam(path):
    here = path.relative_to(ROOT).as_posix()
    for name in imported(path):
        allowed = MAY_IMPORT.get(name.split(".")[0])
        assert allowed is None or here.startswith(allowed), f"{here} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.is_relative_to(ROOT / "memagent")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_point_downwards(path):
    own = layer(path.relative_to(ROOT / "memagent").parts[0].removesuffix(".py"))
    for name in imported(path):
        top, _, rest = name.partition(".")
        assert top not in ("ui", "evals"), f"{path} imports {name}"
        if top == "memagent" and own is not None:
            other = layer(rest.split(".")[0])
            assert other is None or other <= own, f"{path} imports {name}"


def layer(module: str) -> int | None:
    return next((number for number, modules in enumerate(LAYERS) if module in modules), None)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if not path.is_relative_to(ROOT / "memagent")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_ui_and_evals_use_no_private_name(path):
    for name in imported(path):
        assert not any(part.startswith("_") and part != "__future__" for part in name.split(".")), name
