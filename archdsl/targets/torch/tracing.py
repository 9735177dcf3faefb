"""Functions that `torch.fx` calls as they are, instead of tracing what is inside of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.targets.python.tree import Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.targets.python.tree import Stmt

_COMMENT = "# Leaves for torch.fx, which cannot trace code that depends on sizes."
_TAKES_TENSORS = re.compile(r"^def (\w+)\([^)]*: Tensor", re.MULTILINE)


def untraced(definitions: Iterable[Stmt], imports: Iterable[str]) -> list[str]:
    """Return the lines that tell `torch.fx` the functions of a module that take tensors, and those of einops.

    `definitions` are the functions and classes of the module, of which those that keep features do without.
    """
    found = [name for stmt in definitions if isinstance(stmt, Verbatim) for name in _functions(stmt)]
    for line in imports:
        if line.startswith("from einops import "):
            found += line.removeprefix("from einops import ").split(", ")
    return [_COMMENT, *(f'torch.fx.wrap("{name}")' for name in sorted(found))]


def _functions(stmt: Verbatim) -> list[str]:
    return [n for n in _TAKES_TENSORS.findall("\n".join(stmt.lines)) if not n.startswith("_keep") and n not in _NEVER]


_NEVER = {
    "fold",
    "folded",
    "checkpointed",
    "interpolated",
    "waves",
}  # which no forward pass calls, or whose modules are traced
