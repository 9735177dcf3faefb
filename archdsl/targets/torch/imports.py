"""Import statements of generated modules, collected with one name a line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHECKPOINT = "from torch.utils import checkpoint"
FOLDING = ("from collections.abc import Mapping", "from typing import Any")
# What modules may import for code that is no layer's.
OWN = (
    "import torch",
    "from torch import Tensor",
    "from torch import nn",
    "from torch.nn import functional as F",
    CHECKPOINT,
    *FOLDING,
    "from typing import Literal",
    "from typing import get_args",
    "from contextlib import nullcontext",
)


def bound(line: str) -> str:
    """Return the name that an import of one name makes known."""
    words = line.split()
    return words[1].partition(".")[0] if words[0] == "import" and len(words) == 2 else words[-1]


def clash(line: str, others: Iterable[str]) -> str:
    """Return the import among others that gives the name of `line` to something else; empty if there is none."""
    own = _origin(line)
    return next((other for other in others if bound(other) == bound(line) and _origin(other) != own), "")


def _origin(line: str) -> str:
    """Return what an import of one name binds, as a dotted name; `import torch.fft` binds torch."""
    words = line.split()
    if words[0] == "from":
        return f"{words[1]}.{words[3]}"
    return words[1] if "as" in words else bound(line)


def import_blocks(imports: Iterable[str]) -> list[list[str]]:
    """Return the lines in the order of ruff, those of Python's own library apart; each is of one module."""
    names: dict[str, set[str]] = {}
    whole: set[str] = set()
    for line in imports:
        start, _, name = line.rpartition("import ")
        if start:
            names.setdefault(start, set()).update(name.split(", "))
        else:
            whole.add(line)
    lines = [*sorted(whole), *(f"{start}import {', '.join(sorted(names[start]))}" for start in sorted(names))]
    standard = [line for line in lines if package(line) in sys.stdlib_module_names]
    return [block for block in (standard, [line for line in lines if line not in standard]) if block]


def package(line: str) -> str:
    """Return the package of an import."""
    return line.split()[1].partition(".")[0]


def packages(blocks: Sequence[Sequence[str]]) -> list[str]:
    """Return the packages that are to be installed, torch first."""
    found = {package(line) for block in blocks for line in block} - sys.stdlib_module_names
    return ["torch", *sorted(found - {"torch"})]
