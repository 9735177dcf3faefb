"""Added layers: Python files of the user, loaded from folders and checked against the contract of `Layer`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, LayerError
from archdsl.core.source import Source, Span
from archdsl.layers import base
from archdsl.layers.added_faults import error_text, layer_error, line_of
from archdsl.layers.base import DECLARED, Layer
from archdsl.layers.contract import adopt
from archdsl.layers.targets import author_names, authors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Vocabulary = dict[str, type[Layer]]


def layers_of_folders(variable: str, setting: str, bundled: Mapping[str, type[Layer]]) -> Vocabulary:
    """Return the layers of all Python files in some folders.

    Args:
        variable: the environment variable that names the folders, for messages.
        setting: its value: paths, separated as in PATH.
        bundled: the layers of archdsl, which added layers cannot replace.

    Raises:
        LayerError: if a folder cannot be read, or one of the layers cannot be used.
    """
    added: Vocabulary = {}
    for folder in _folders(variable, setting):
        for file in sorted(folder.glob("*.py")):
            added |= layers_of_file(file, {**bundled, **added})
    return added


def layers_of_file(file: Path, known: Mapping[str, type[Layer]]) -> Vocabulary:
    """Execute a Python file and return the layers that it declares; a file of functions may declare none.

    Raises:
        LayerError: if the file fails, or a layer in it breaks the contract or has the name of another layer.
    """
    before = len(DECLARED)
    try:
        namespace = _run(file)
        declared = [cls for cls in DECLARED[before:] if cls.__module__ == namespace["__name__"]]
    finally:
        del DECLARED[before:]
    added: Vocabulary = {}
    for cls in declared:
        _check_new(cls, str(file), {**known, **added})
        adopt(cls, str(file))
        for target in authors():
            target.adopt(cls, str(file), namespace)
        added[cls.kind] = cls
    if not declared:
        _check_undeclared(file, namespace)
    return added


def _folders(variable: str, setting: str) -> Iterator[Path]:
    start = 0
    for text in setting.split(os.pathsep):
        if text:
            folder = Path(text).expanduser()
            if not folder.is_dir():
                label = f"{folder} is not a folder" if folder.exists() else f"the folder {folder} does not exist"
                span = Span(Source(variable, setting), start, start + len(text))
                hint = f"set {variable} to the folder with the layer's .py file and its template"
                raise LayerError([Diagnostic("E0901", TITLES["E0901"], span, label, help=hint)])
            yield folder
        start += len(text) + len(os.pathsep)


def _run(file: Path) -> dict[str, Any]:
    name = f"archdsl_added_layers.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise layer_error("E0902", str(file), "not a Python file", hint="expected the .py file of a layer")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    base.__dict__.update(author_names())  # for `from archdsl.layers.base import *`
    try:
        spec.loader.exec_module(module)
    except LayerError:
        raise
    except (Exception, SystemExit) as error:
        line = line_of(error, str(file))
        raise layer_error("E0902", str(file), error_text(error), line=line, hint=_hint(error)) from error
    return vars(module)


def _hint(error: BaseException) -> str:
    """Return a hint for the most common errors of beginners."""
    if isinstance(error, ModuleNotFoundError):
        return "install it, or move the import to the template: this file computes shapes, not tensors"
    if isinstance(error, ImportError) and "archdsl" in str(error):
        return "docs/layers.md lists the names that a layer can import from archdsl"
    return ""


def _check_new(cls: type[Layer], file: str, known: Mapping[str, type[Layer]]) -> None:
    other = known.get(cls.kind)
    if other is not None:
        where = f"in {other.added_by}" if other.added_by else "among the layers of archdsl"
        label = f"a layer `{cls.kind}` exists already, {where}"
        hint = "choose another name: bundled weights, costs and published figures depend on archdsl's layer"
        hint = "" if other.added_by else hint
        raise layer_error("E0903", file, label, line=_line_of_class(cls), hint=hint)


def _check_undeclared(file: Path, namespace: Mapping[str, Any]) -> None:
    """Report a subclass of `Layer` without `@layer`."""
    for value in namespace.values():
        if isinstance(value, type) and issubclass(value, Layer) and value.__module__ == namespace["__name__"]:
            label = f"the class `{value.__name__}` has no name in the language"
            hint = f'put `@layer("{value.__name__.lower()}", category="…")` above it'
            raise layer_error("E0902", str(file), label, line=_line_of_class(value), hint=hint)


def _line_of_class(cls: type) -> int:
    import inspect

    try:
        return inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return 0
