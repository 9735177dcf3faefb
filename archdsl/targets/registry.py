"""The ops of a target: what it has for each layer, found by the layer's name in a package of one file each."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Generic, TypeVar

from archdsl.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of a target, by the names of layers; the layers that its default fits have none."""

    def __init__(self, package: str = "") -> None:
        self.package = package  # whose modules are named as the layers; imported where a layer is used
        self.by_kind: dict[str, type[T]] = {}
        self.added: dict[type[Layer], type[T]] = {}  # of layers that users add
        self._found: dict[type[Layer], type[T] | None] = {}

    def declare(self, kind: str) -> Callable[[type[T]], type[T]]:
        """Declare a class as what the target has for the layer `kind`."""

        def register(cls: type[T]) -> type[T]:
            self.by_kind[kind] = cls
            return cls

        return register

    def of(self, cls: type[Layer]) -> type[T] | None:
        """Return what there is for a layer, or for the layer that it is derived from; None if the default fits."""
        if cls not in self._found:
            bases = [base for base in cls.__mro__ if issubclass(base, Layer)]
            candidates = (self.added.get(base) or self._named(base.written_as or base.kind) for base in bases)
            self._found[cls] = next((found for found in candidates if found is not None), None)
        return self._found[cls]

    def _named(self, kind: str) -> type[T] | None:
        module = f"{self.package}.{kind}"
        if self.package and kind and kind not in self.by_kind and find_spec(module) is not None:
            importlib.import_module(module)
        return self.by_kind.get(kind)
