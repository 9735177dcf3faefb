"""Imports: packages only along the data flow, and no command a library that it does not need.

Imports for type checkers alone count too: an annotation ties one package to another's data as much as a call does, and
an order that only holds at run time is one that readers cannot rely on.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "archdsl"

# Each part of the compiler, in the order of data flow, and the parts that it may import.
ALLOWED: dict[str, set[str]] = {
    "resources": set(),
    "modules": set(),
    "core": {"resources"},
    "layers": {"core"},
    "frontend": {"core"},
    "upgrade": {"core", "frontend"},
    "ir": {"core", "layers"},
    "elaborate": {"core", "layers", "frontend", "ir", "upgrade"},
    "analysis": {"core", "layers", "ir"},
    "lowering": {"core", "layers", "ir"},
    "targets": {"resources", "core", "layers", "ir", "analysis", "lowering"},
    "planning": {"core", "layers", "ir", "targets"},
    "files": {"resources", "core"},
    "weights": {"core", "frontend", "ir", "elaborate", "files"},
    "transfer": {"core", "layers", "ir", "analysis", "weights"},
    "pipeline": {
        "resources", "core", "layers", "frontend", "ir", "elaborate", "analysis", "lowering", "targets", "weights",
        "transfer",
    },
    "notebook": {"core", "ir", "analysis", "lowering", "targets"},
    "architecture": {
        "modules", "core", "layers", "frontend", "ir", "elaborate", "analysis", "lowering", "targets", "files",
        "weights", "transfer", "pipeline", "notebook",
    },
    "state_dicts": {"core", "weights", "transfer", "architecture"},
    "train": {
        "resources", "modules", "core", "layers", "frontend", "ir", "elaborate", "analysis", "lowering", "targets",
        "files", "weights", "transfer", "pipeline", "architecture", "state_dicts", "planning",
    },
    "layer_checks": {
        "core", "layers", "frontend", "ir", "elaborate", "analysis", "lowering", "targets", "files", "pipeline",
        "architecture", "train",
    },
    "commands": {
        "resources", "core", "layers", "frontend", "ir", "upgrade", "elaborate", "analysis", "lowering", "targets",
        "files", "weights", "transfer", "pipeline", "architecture", "planning", "train", "layer_checks",
    },
    "cli": {"core", "files", "commands"},
    "__init__": {"core", "files", "architecture", "state_dicts"},
    "__main__": {"cli"},
}  # fmt: skip

# What generated code needs, and what only one or two commands need.
NEVER = ("torch", "einops", "numpy", "safetensors", "lightning", "av", "matplotlib")
# What draws plots, returns a module, moves tensors, or holds a module with added layers against the graph.
# `train` and `layer_checks` are for tensors alone, and only commands that train, test, export or check layers import
# them: `layers check` computes with a layer, which is what it is for.
OF_TENSORS = (
    "commands/cost_plot.py",
    "architecture.py",
    "state_dicts.py",
    "targets/torch/verify.py",
    "weights/checkpoint.py",
    "weights/convert.py",
    "weights/reading.py",
    "transfer/apply.py",
)
SPEC = """\
arch tiny
input clip: video[3, 8, 32, 32]
stage conv1 { conv(8, 3, stride = 2) -> bn -> relu }
head: avgpool -> linear(5)
"""


def part_of(file: Path) -> str:
    """The package or module right below archdsl that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(file: Path) -> set[str]:
    """The parts of archdsl that a file imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            module = node.module or ""
            names.update(f"archdsl.{a.name}" for a in node.names) if module == "archdsl" else names.add(module)
    parts = {name.split(".")[1] for name in names if name.startswith("archdsl.")}
    return {p for p in parts if (PACKAGE / p).is_dir() or (PACKAGE / f"{p}.py").is_file()}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_from_before(file: Path) -> None:
    part = part_of(file)
    assert part in ALLOWED, f"say in ALLOWED what `{part}` may import"
    assert imported_parts(file) <= ALLOWED[part] | {part}


def test_the_order_has_no_circle() -> None:
    done: set[str] = set()
    for part, allowed in ALLOWED.items():
        assert allowed <= done, f"`{part}` stands before what it imports"
        done.add(part)


def test_no_file_of_the_compiler_names_torch() -> None:
    for file in PACKAGE.rglob("*.py"):
        if str(file.relative_to(PACKAGE).as_posix()) in OF_TENSORS or part_of(file) in ("train", "layer_checks"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & set(NEVER), file


def run_without(forbidden: tuple[str, ...], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line where importing one of the modules ends the process at once."""
    for name in forbidden:
        poison = folder / "poison" / name
        poison.mkdir(parents=True)
        poison.joinpath("__init__.py").write_text(f"import os\nos.write(2, b'{name} was imported')\nos._exit(77)\n")
    (folder / "tiny.arch").write_text(SPEC)
    path = os.pathsep.join([str(folder / "poison"), str(PACKAGE.parent)])
    return subprocess.run(
        [sys.executable, "-m", "archdsl", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (("check", "tiny.arch"), ("jinja2", "graphviz", "pygraphviz")),
        (("cost", "--json", "tiny.arch"), ("jinja2", "graphviz", "pygraphviz")),
        (("plan", "tiny.arch", "--gpus", "8", "--json"), ("jinja2", "graphviz", "pygraphviz")),
        (("compile", "tiny.arch"), ("graphviz", "pygraphviz")),
        (("weights", "sources", "tiny.arch"), ("jinja2", "graphviz", "pygraphviz")),
        (("weights", "plan", "tiny.arch", "--clip", "3x8x16x16"), ("jinja2", "graphviz", "pygraphviz")),
        (("diff", "tiny.arch", "--clip", "3x8x16x16"), ("jinja2", "graphviz", "pygraphviz")),
        (("draw", "tiny.arch", "-o", "tiny.svg"), ("jinja2",)),
        (("fmt", "tiny.arch"), ("jinja2", "graphviz", "pygraphviz", "networkx")),
        (("explain", "E0501"), ("jinja2", "graphviz", "pygraphviz", "networkx", "lark")),
        (("--version",), ("jinja2", "graphviz", "pygraphviz", "networkx", "lark")),
        (("list",), ("jinja2", "graphviz", "pygraphviz", "networkx", "lark")),
        (("show", "slow_r50"), ("jinja2", "graphviz", "pygraphviz", "networkx", "lark")),
        (("help",), ("jinja2", "graphviz", "pygraphviz", "networkx", "lark")),
        (("completion", "bash"), ("jinja2", "graphviz", "pygraphviz")),
        (("train", "--help"), ("jinja2", "graphviz", "pygraphviz")),
        (("report", "--help"), ("jinja2", "graphviz", "pygraphviz")),
    ],
    ids=lambda v: v[0],
)
def test_command_imports_only_what_it_needs(arguments: tuple[str, ...], more: tuple[str, ...], tmp_path: Path) -> None:
    done = run_without((*NEVER, *more), tmp_path, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["check", "cost", "plan"])
def test_added_layers_bring_no_torch_where_nothing_is_made(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "from archdsl.layers.base import Layer, layer\n\n\n"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "new.py").write_text(f'{header}@layer("new", category="norm")\nclass New(Layer):\n    pass\n')
    (tmp_path / "added.arch").write_text(SPEC.replace("relu", "new"))
    monkeypatch.setenv("ARCHDSL_LAYERS", "own")
    done = run_without(NEVER, tmp_path, command, "added.arch")
    assert done.returncode == 0, done.stderr


def test_the_poison_works(tmp_path: Path) -> None:
    assert run_without(("lark",), tmp_path, "check", "tiny.arch").returncode == 77


def test_converting_without_torch_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "tiny.arch").write_text(SPEC)
    (tmp_path / "no.pth").write_bytes(b"")
    hidden = "import sys, importlib.util as u; f = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name == 'torch' else f(name, *a)\n"
    code = hidden + "from archdsl.cli import main; sys.exit(main(sys.argv[1:]))"
    command = ["weights", "convert", "tiny.arch", "no.pth", "--from", "archdsl", "-o", "o.safetensors"]
    here = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    arguments = [sys.executable, "-c", code, *command]
    done = subprocess.run(arguments, cwd=tmp_path, env=here, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'archdsl[torch]'" in done.stderr
