"""The targets' side of added layers.

No layer knows a target, so the targets are found by looking in their folder: each that has layers written by others has
a module `authors`, which is imported only where there is such a layer.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.layers.base import Layer

_FOLDER = Path(__file__).parent.parent / "targets"


class Authors(Protocol):
    """The module `authors` of a target."""

    NAMES: Mapping[str, Any]  # that files of added layers import from `archdsl.layers.base`

    def adopt(self, cls: type[Layer], file: str, namespace: Mapping[str, Any]) -> None:
        """Hold a class, and what its file has beside it, against the target's contract. Raises LayerError."""


@cache
def authors() -> tuple[Authors, ...]:
    """Return what each target asks of the authors of layers."""
    found = sorted(file.parent.name for file in _FOLDER.glob("*/authors.py"))
    return tuple(cast("Authors", importlib.import_module(f"archdsl.targets.{name}.authors")) for name in found)


@cache
def author_names() -> Mapping[str, Any]:
    """Return the names that files of added layers can import from `archdsl.layers.base`, besides its own."""
    return {name: value for module in authors() for name, value in module.NAMES.items()}
