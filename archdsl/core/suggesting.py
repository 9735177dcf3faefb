"""Objects of the Python interface that suggest the nearest name for an attribute that they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Names of other libraries for what an architecture has.
_HABITS = {"flops": "macs", "num_params": "params", "num_parameters": "params", "summary": "cost", "draw": "diagram"}


class Suggesting:
    """An object that suggests the nearest of its public names for one that it lacks."""

    if not TYPE_CHECKING:  # to a type checker there is no attribute that is not declared

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError with the nearest name."""
            from archdsl.core.diagnostics import closest

            known = [word for word in dir(type(self)) if not word.startswith("_")]
            close = _HABITS.get(name) or next(iter(closest(name, known)), "") if not name.startswith("_") else ""
            hint = f"; did you mean {close!r}?" if close else ""
            message = f"{type(self).__name__} has no attribute {name!r}{hint}"
            raise AttributeError(message)
