"""The vocabulary of layers: one file per layer, in this folder and in folders of the user."""

from __future__ import annotations

import importlib
import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.layers.base import DECLARED, Layer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

VARIABLE = "ARCHDSL_LAYERS"
_NOT_LAYERS = set(
    """
    __init__ added added_faults attributes axes base bias contract groups guards padding targets
    """.split()
)


def vocabulary() -> Mapping[str, type[Layer]]:
    """Return every layer by its name in the language.

    The folders of added layers come from the environment variable ARCHDSL_LAYERS. The Python code in them is executed,
    so a spec cannot name such a folder.

    Raises:
        LayerError: if an added layer or its folder cannot be used.
    """
    return _chosen[-1] if _chosen else _vocabulary(os.environ.get(VARIABLE, ""), os.getcwd())


def added_layers_of(file: Path) -> Mapping[str, type[Layer]]:
    """Return the layers that a file declares; ARCHDSL_LAYERS is ignored.

    Raises:
        LayerError: if a layer of the file cannot be used.
    """
    from archdsl.layers.added import layers_of_file  # imported here, since most runs have no added layers

    return layers_of_file(file, _bundled())


@contextmanager
def only(added: Mapping[str, type[Layer]]) -> Generator[None]:
    """Use the layers of archdsl and some added layers as the vocabulary; ARCHDSL_LAYERS is ignored."""
    _chosen.append({**_bundled(), **added})
    try:
        yield
    finally:
        _chosen.pop()


_chosen: list[Mapping[str, type[Layer]]] = []  # stack of vocabularies that override ARCHDSL_LAYERS


@cache
def _vocabulary(setting: str, _current_folder: str) -> Mapping[str, type[Layer]]:
    if not setting:
        return _bundled()
    from archdsl.layers.added import layers_of_folders

    return {**_bundled(), **layers_of_folders(VARIABLE, setting, _bundled())}


@cache
def _bundled() -> Mapping[str, type[Layer]]:
    for name in sorted(p.stem for p in Path(__file__).parent.glob("*.py")):
        if name not in _NOT_LAYERS and not name.startswith("attention_"):  # parts of `attention`
            importlib.import_module(f"archdsl.layers.{name}")
    return {cls.kind: cls for cls in DECLARED if cls.__module__.startswith("archdsl.layers.")}
