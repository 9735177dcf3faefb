"""archdsl: a small language for video-recognition architectures, compiled to self-contained PyTorch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = [
    "Architecture",
    "SpecError",
    "UsageError",
    "__version__",
    "convert_weights",
    "diff",
    "load",
    "loads",
    "revert_weights",
    "transfer_weights",
]

if TYPE_CHECKING:
    from archdsl.architecture import Architecture, diff, load, loads
    from archdsl.core.diagnostics import SpecError
    from archdsl.files import UsageError
    from archdsl.state_dicts import convert_weights, revert_weights, transfer_weights

_HOMES = {
    "Architecture": "archdsl.architecture",
    "convert_weights": "archdsl.state_dicts",
    "diff": "archdsl.architecture",
    "load": "archdsl.architecture",
    "loads": "archdsl.architecture",
    "revert_weights": "archdsl.state_dicts",
    "transfer_weights": "archdsl.state_dicts",
    "SpecError": "archdsl.core.diagnostics",
    "UsageError": "archdsl.files",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the command line imports only what it needs."""
    if name not in _HOMES:
        from archdsl.core.diagnostics import closest

        close = closest(name, __all__)
        message = f"module {__name__!r} has no attribute {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, imported or not, without the submodules."""
    return sorted(__all__)
