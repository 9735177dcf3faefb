"""Generated modules as Python modules: with source lines in tracebacks, and with models that can be pickled whole.

A model of a generated module is pickled with the text of its module, as `torch.fx.GraphModule` does it: the class of a
model cannot be imported by name in another process, because its module has no file. Whoever loads such a file needs
torch and archdsl, and neither the spec nor the version of archdsl that compiled it.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

PREFIX = "archdsl.modules."


class _Loader(InspectLoader):
    """Runs the text of one generated module, and gives it to those who show source lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, fullname: str) -> str:
        """Return the text; there is one module that the loader is for."""
        del fullname
        return self.text

    def exec_module(self, module: ModuleType) -> None:
        """Run the text in a module, whose models are pickled with it from then on."""
        exec(compile(self.text, str(module.__file__), "exec"), module.__dict__)  # text made by archdsl
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "load_state_dict"):
                value.__reduce_ex__ = _reduce  # pyright: ignore[reportAttributeAccessIssue]


def load_module(name: str, text: str) -> ModuleType:
    """Return the module that a text makes; the same one for the same text.

    Args:
        name: the network's; the name of the module has a digest of the text behind it.
        text: as `Architecture.source` gives it.
    """
    full = f"{PREFIX}{name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    known = sys.modules.get(full)
    if known is not None:
        return known
    loader, file = _Loader(text), f"<{full}>"
    spec = ModuleSpec(full, loader, origin=file)
    spec.has_location = True
    module = module_from_spec(spec)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[full] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def restored(name: str, text: str, qualname: str) -> Any:
    """Return an empty object of a class of a generated module, for `pickle` to fill."""
    found: Any = load_module(name, text)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found.__new__(found)


def _reduce(self: object, protocol: Any) -> Any:
    """Reduce a model to the text of its module, the name of its class, and its state."""
    cls = type(self)
    module = sys.modules.get(cls.__module__)
    loader = getattr(module, "__loader__", None)
    if not isinstance(loader, _Loader):  # a subclass that somebody has written
        return object.__reduce_ex__(self, protocol)
    name = cls.__module__.removeprefix(PREFIX).rsplit("_", 1)[0]
    return restored, (name, loader.text, cls.__qualname__), self.__getstate__()
