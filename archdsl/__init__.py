"""archdsl: a small language for video-recognition architectures, compiled to self-contained PyTorch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Architecture",
    "SpecError",
    "__version__",
    "convert_weights",
    "diff",
    "load",
    "revert_weights",
    "transfer_weights",
]

if TYPE_CHECKING:
    from archdsl.architecture import (
        Architecture,
        convert_weights,
        diff,
        load,
        revert_weights,
        transfer_weights,
    )
    from archdsl.core.diagnostics import SpecError

_HOMES = {
    "Architecture": "archdsl.architecture",
    "convert_weights": "archdsl.architecture",
    "diff": "archdsl.architecture",
    "load": "archdsl.architecture",
    "revert_weights": "archdsl.architecture",
    "transfer_weights": "archdsl.architecture",
    "SpecError": "archdsl.core.diagnostics",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the command line imports only what it needs."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
