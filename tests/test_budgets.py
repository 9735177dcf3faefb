"""Budgets of the code: circles of imports, lines of classes, files and functions, complexity, branches of templates.

`EXCEPTIONS` lists what is over a budget today, with its measure. The list only shrinks: whatever is within its budget
again, or a tenth below its entry, has to leave the list or get a lower number, and nothing is added.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import pytest
from repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXCEPTIONS: dict[str, dict[str, int]] = {
    # modules of a package that import each other in a circle
    "circle": {},
    "class": {},
    "file": {},
    "function": {},
    "complexity": {},
    "branches": {},
    "test file": {},
    "test function": {},
}


def files(*folders: str) -> list[Path]:
    """The Python files below folders of the repository."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


COMPILER = files("archdsl", "docs", "examples")
TESTS = files("tests", "benchmarks")


def file_lines(paths: list[Path]) -> dict[str, int]:
    return {name_of(path): len(path.read_text("utf-8").splitlines()) for path in paths}


def definition_lines(paths: list[Path], *kinds: type[ast.AST]) -> dict[str, int]:
    """Lines of each class or function; of those of one name, of the longest."""
    found: dict[str, int] = {}
    for path in paths:
        for name, node in definitions(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, kinds):
                assert node.end_lineno is not None
                key = f"{name_of(path)}::{name}"
                found[key] = max(found.get(key, 0), node.end_lineno - node.lineno + 1)
    return found


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(node: ast.AST, outer: str = "") -> Iterator[tuple[str, Definition]]:
    """Each class and function with the names of those around it, joined by dots."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield f"{outer}{child.name}", child
            yield from definitions(child, f"{outer}{child.name}.")
        else:
            yield from definitions(child, outer)


def complexities(paths: list[Path]) -> dict[str, int]:
    """Cyclomatic complexity of functions as ruff counts it, where it is more than the budget."""
    most = f"lint.mccabe.max-complexity={BUDGETS['complexity'][0]}"
    options = ["--isolated", "--ignore-noqa", "--select", "C901", "--config", most, "--output-format", "json"]
    command = [sys.executable, "-m", "ruff", "check", *options, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, int] = {}
    for fault in json.loads(done.stdout):
        told = re.fullmatch(r"`(\w+)` is too complex \((\d+) > \d+\)", fault["message"])
        assert told is not None, fault["message"]
        key = f"{name_of(Path(fault['filename']))}::{told[1]}"
        found[key] = max(found.get(key, 0), int(told[2]))
    return found


def branches() -> dict[str, int]:
    """Statements `if`, `elif` and `for` of each template."""
    found = {name_of(path): path.read_text("utf-8") for path in sorted((ROOT / "templates").rglob("*.j2"))}
    statement = re.compile(r"\{%[-+]?\s*(?:if|elif|for)\b")
    return {name: len(statement.findall(text)) for name, text in found.items()}


def circles() -> dict[str, int]:
    """Modules in a circle of imports, by the package that holds all of the circle."""
    modules = {module_of(path): path for path in sorted((ROOT / "archdsl").rglob("*.py"))}
    graph = nx.DiGraph([(one, other) for one, path in modules.items() for other in imported(path, modules)])
    found: dict[str, int] = {}
    for circle in nx.strongly_connected_components(graph):
        if len(circle) > 1:
            parts = zip(*(name.split(".") for name in circle), strict=False)
            package = ".".join(part[0] for part in parts if len(set(part)) == 1)
            found[package] = found.get(package, 0) + len(circle)
    return found


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules of archdsl that a file imports when it is imported, or for type checkers."""
    for node in outside_functions(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in inner]
        else:
            continue
        yield from (name for name in names if name in modules and modules[name] != path)


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from outside_functions(child)


Functions = (ast.FunctionDef, ast.AsyncFunctionDef)
# The most that is allowed, and what is measured.
BUDGETS: dict[str, tuple[int, Callable[[], dict[str, int]]]] = {
    "circle": (1, circles),
    "class": (200, lambda: definition_lines(COMPILER, ast.ClassDef)),
    "file": (400, lambda: file_lines(COMPILER)),
    "function": (60, lambda: definition_lines(COMPILER, *Functions)),
    "complexity": (8, lambda: complexities(COMPILER)),
    "branches": (15, branches),
    "test file": (800, lambda: file_lines(TESTS)),
    "test function": (60, lambda: definition_lines(TESTS, *Functions)),
}


def complaints(measured: dict[str, int], most: int, listed: dict[str, int]) -> list[str]:
    """List what is over a budget and no exception, or more than its exception, and exceptions that are out of date."""
    over = {name: number for name, number in measured.items() if number > most}
    found = [
        f"{name}: {number}, allowed are {max(most, listed.get(name, most))}"
        for name, number in over.items()
        if number > listed.get(name, most)
    ]
    found += [f"{name}: within the budget now, delete its exception" for name in listed if name not in over]
    return found + [
        f"{name}: lower its exception from {number} to {over[name]}"
        for name, number in listed.items()
        if name in over and over[name] < number - number // 10
    ]


@pytest.mark.parametrize("budget", BUDGETS)
def test_budget(budget: str) -> None:
    most, measure = BUDGETS[budget]
    found = complaints(measure(), most, EXCEPTIONS[budget])
    assert not found, f"{budget}, at most {most}:\n" + "\n".join(found)


def test_complaints_name_what_is_over_a_budget_and_exceptions_that_are_out_of_date() -> None:
    listed = {"grown": 20, "as it was": 20, "much smaller": 20, "mended": 20, "gone": 20}
    measured = {"fine": 10, "new": 11, "grown": 21, "as it was": 18, "much smaller": 17, "mended": 10}
    assert complaints(measured, 10, listed) == [
        "new: 11, allowed are 10",
        "grown: 21, allowed are 20",
        "mended: within the budget now, delete its exception",
        "gone: within the budget now, delete its exception",
        "much smaller: lower its exception from 20 to 17",
    ]


def test_what_is_measured_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small repository whose numbers are known, one circle through an import for type checkers."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    package = tmp_path / "archdsl" / "part"
    (tmp_path / "templates").mkdir()
    package.mkdir(parents=True)
    one = "class A:\n    def f(self):\n        def g():\n            return 1\n\n        return g\n"
    lazy = "def late():\n    from archdsl.part import one\n\n    return one\n"
    (package / "one.py").write_text("if TYPE_CHECKING:\n    from archdsl.part.two import x\n" + one)
    (package / "two.py").write_text("from archdsl.part import one\n")
    (package / "three.py").write_text("from archdsl.part import one, two\n" + lazy)
    (package / "complex.py").write_text("def f(x):\n" + "    if x:\n        x -= 1\n" * 8 + "    return x\n")
    (tmp_path / "templates" / "a.j2").write_text("{% if a %}{%- for b in c %}{% elif d %}{{ e if f }}{% endif %}\n")
    paths = files("archdsl")
    assert circles() == {"archdsl.part": 2}
    assert file_lines(paths)["archdsl/part/one.py"] == 8
    assert definition_lines(paths, ast.ClassDef) == {"archdsl/part/one.py::A": 6}
    functions = definition_lines(paths, *Functions)
    assert functions["archdsl/part/one.py::A.f"] == 5
    assert functions["archdsl/part/one.py::A.f.g"] == 2
    assert complexities(paths) == {"archdsl/part/complex.py::f": 9}
    assert branches() == {"templates/a.j2": 3}
