"""Support of targets for added layers.

Layers are independent of targets, so targets are discovered in their folder: a target that supports added layers has a
module `authors`, which is imported only if there are added layers.
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

    NAMES: Mapping[str, Any]  # names that files of added layers can import from `archdsl.layers.base`

    def adopt(self, cls: type[Layer], file: str, namespace: Mapping[str, Any]) -> None:
        """Check a class and the other names in its file against the target's contract.

        Raises:
            LayerError: if it breaks the contract.
        """


@cache
def authors() -> tuple[Authors, ...]:
    """Return the module `authors` of each target that has one."""
    names = sorted(file.parent.name for file in _FOLDER.glob("*/authors.py"))
    return tuple(cast("Authors", importlib.import_module(f"archdsl.targets.{name}.authors")) for name in names)


@cache
def author_names() -> Mapping[str, Any]:
    """Return the names of targets that files of added layers can import from `archdsl.layers.base`."""
    return {name: value for module in authors() for name, value in module.NAMES.items()}
