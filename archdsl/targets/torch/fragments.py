"""Fixed text of generated modules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from archdsl.targets.python.definitions import refitted
from archdsl.targets.python.tree import Verbatim

if TYPE_CHECKING:
    from jinja2 import Environment


class Fragments:
    """The macros of the template `model.py.j2`."""

    def __init__(self, environment: Environment) -> None:
        self._macros: Any = environment.get_template("model.py.j2").module
        loader: Any = environment.loader
        text, _, _ = loader.get_source(environment, "model.py.j2")
        self.names = frozenset(
            re.findall(r"^(?:def|class) (\w+)[(:](?!self)", text, re.MULTILINE)
        )  # that its macros define

    def __call__(self, name: str, **values: object) -> Verbatim:
        """Return the text of a macro as statements."""
        return Verbatim(str(getattr(self._macros, name)(**values)).strip())

    def fitted(self, name: str, **values: object) -> Verbatim:
        """Return the text of a macro whose values may make lines too long."""
        return Verbatim(refitted("\n".join(self(name, **values).lines)))
