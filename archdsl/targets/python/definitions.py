"""Functions and classes that templates print: parsed once, given other names, broken into lines."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from textwrap import wrap
from typing import NamedTuple

from archdsl.targets.python.printer import WIDTH, lines, signature, simple
from archdsl.targets.python.reader import Reader, names_in
from archdsl.targets.python.tree import Assign, Evaluate, For, Function, If, Parameter, Return


class Definition(NamedTuple):
    """A function or a class, and the names that its code reads."""

    name: str
    text: str
    names: frozenset[str]


@lru_cache(maxsize=1024)
def definitions(code: str) -> tuple[Definition, ...]:
    """Return the functions and classes of a text. Comments in front of one belong to it.

    Raises:
        SyntaxError: if it is no Python.
        TypeError: if it has other statements.
    """
    found: list[Definition] = []
    source = code.split("\n")
    begin = 0
    for node in ast.parse(code).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            message = f"no class or function: {ast.unparse(node).splitlines()[0]}"
            raise TypeError(message)
        end = node.end_lineno or node.lineno
        found.append(Definition(node.name, "\n".join(source[begin:end]).strip(), names_in(node)))
        begin = end
    return tuple(found)


def renamed(code: str, names: dict[str, str]) -> str:
    """Return code with other names for functions and classes, wherever it reads or defines them."""
    if not names:
        return code
    source = [line.encode() for line in code.split("\n")]
    places: list[tuple[int, int, str]] = []
    _find(ast.parse(code), set(names), places, source)
    for line, column, name in sorted(places, reverse=True):
        old = source[line - 1]
        source[line - 1] = old[:column] + names[name].encode() + old[column + len(name.encode()) :]
    return b"\n".join(source).decode()


def _find(
    node: ast.AST, names: set[str] | frozenset[str], places: list[tuple[int, int, str]], source: list[bytes]
) -> None:
    """Collect where names stand, but for functions that have a parameter or variable of that name."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
        keyword = "def " if isinstance(node, ast.FunctionDef) else "class "
        places.append((node.lineno, node.col_offset + len(keyword), node.name))
    if isinstance(node, ast.FunctionDef):
        names = names - _own(node)
    if isinstance(node, ast.Name) and node.id in names:
        places.append((node.lineno, node.col_offset, node.id))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring that speaks of one
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            words = re.finditer(rb"\w+", source[number - 1])
            places += [(number, w.start(), w[0].decode()) for w in words if w[0].decode() in names]
    for child in ast.iter_child_nodes(node):
        _find(child, names, places, source)


def _own(function: ast.FunctionDef) -> set[str]:
    """Return the parameters and variables of a function."""
    inside = list(ast.walk(function))
    variables = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return variables | {n.arg for n in inside if isinstance(n, ast.arg)}


@lru_cache(maxsize=1024)
def refitted(code: str) -> str:
    """Return code with its statements broken into lines as they must be, whatever lines a template wrote them on."""
    source = code.split("\n")
    reader = Reader(code)
    result: list[str] = []
    begin = 0
    for first, last, node in _statements(ast.parse(code).body, source):
        result += source[begin : first - 1]
        given = source[first - 1 : last]
        is_fine = first == last and len(given[0]) <= WIDTH
        result += given if is_fine else _broken(node, given, reader)
        begin = last
    return "\n".join(line.rstrip() for line in [*result, *source[begin:]])


def _statements(body: list[ast.stmt], source: list[str]) -> list[tuple[int, int, ast.stmt]]:
    """Return the first and last line of each statement; of one with a body, those of its head."""
    found: list[tuple[int, int, ast.stmt]] = []
    for node in body:
        inner: list[ast.stmt] = getattr(node, "body", [])
        last = node.end_lineno or node.lineno
        if inner:
            last = inner[0].lineno - 1
            while last > node.lineno and source[last - 1].lstrip()[:1] in {"", "#", "@"}:
                last -= 1
        found.append((node.lineno, max(last, node.lineno), node))
        found += _statements([*inner, *getattr(node, "orelse", [])], source)
    return found


def _broken(node: ast.stmt, given: list[str], reader: Reader) -> list[str]:
    """Return the lines of a statement; those that are given where there is no tree for it."""
    at = len(given[0]) - len(given[0].lstrip())
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return _docstring(given, at)
    statement = reader.statement(node)
    if isinstance(statement, (Assign, Return, Evaluate)):
        comment = reader.lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :].decode()
        return simple(statement, at, comment)
    return _head(node, at, reader) or given


def _head(node: ast.stmt, at: int, reader: Reader) -> list[str] | None:
    """Return the lines that begin a statement with a body; None if there is no tree for it."""
    match node:
        case ast.FunctionDef():
            function = _function(node, reader)
            return signature(function, at) if function is not None else None
        case ast.For():
            return list(lines([For(reader.read(node.target), reader.read(node.iter), ())], at))
        case ast.If():
            return _if(node, at, reader)
        case _:
            return None


def _if(node: ast.If, at: int, reader: Reader) -> list[str]:
    made = list(lines([If(reader.read(node.test), ())], at))
    is_elif = reader.lines[node.lineno - 1].lstrip().startswith(b"elif")
    return [made[0].replace("if", "elif", 1), *made[1:]] if is_elif else made


def _function(node: ast.FunctionDef, reader: Reader) -> Function | None:
    """Return the head of a function; None if its parameters are of a kind that templates do not use."""
    given = node.args
    if given.posonlyargs or given.kwonlyargs:
        return None
    defaults = [None] * (len(given.args) - len(given.defaults)) + [reader.read(d) for d in given.defaults]
    pairs = [(a.arg, a, d) for a, d in zip(given.args, defaults, strict=True)]
    pairs += [(f"*{given.vararg.arg}", given.vararg, None)] if given.vararg else []
    pairs += [(f"**{given.kwarg.arg}", given.kwarg, None)] if given.kwarg else []
    parameters = [
        Parameter(name, reader.read(a.annotation) if a.annotation is not None else None, d) for name, a, d in pairs
    ]
    return Function(node.name, parameters, reader.read(node.returns) if node.returns is not None else None, ())


def _docstring(given: list[str], at: int) -> list[str]:
    """Return the lines of a docstring, one that is too long for its line on several."""
    if len(given) > 1:
        return given
    indentation = " " * at
    return wrap(
        given[0].strip(), WIDTH, initial_indent=indentation, subsequent_indent=indentation, break_on_hyphens=False
    )
