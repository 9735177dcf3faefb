"""Sizes that the code of an attention needs: arguments of its constructor."""

from __future__ import annotations

from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.attention_arguments import GRID
from archdsl.targets.torch.ops.attention_base import BaseAttention
from archdsl.targets.torch.ops.attention_windows import band, windows
from archdsl.targets.torch.ops.base import Op, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.layers.attention_lines import Application


class SizedAttention(BaseAttention):
    """Base class of the op of attention: constructor arguments that follow from shapes."""

    @property
    def of_form(self) -> dict[str, Any]:
        """The constructor arguments that the form needs, by parameter."""
        found: dict[str, Any] = {}
        layer, form = self.layer, self.operations.form
        if layer.form == "windows":
            found["windows"] = windows(self)
        if layer.is_banded:
            found["band"] = band(self)
        for letter, name in (("q", "q_grid"), ("k", "kv_grid")):
            if form.copies(letter):
                found[name if form.strided else "grid"] = layer.lines.size(letter)
        return found

    @cached_property
    def sizes(self) -> list[dict[str, tuple[str, Any]]]:
        """The sizes that the code of each layer and each bias needs.

        Their names in the constructor, where alike ones share a name, and values.
        """
        known = self.of_form
        found: list[dict[str, tuple[str, Any]]] = []
        given = [(a.name.replace(".", "_"), _sizes_of(a, own)) for a, own in self.parts]
        given += [(bias.label, own.shape_arguments()) for bias, own in self.biases]
        for label, sizes in given:
            named: dict[str, tuple[str, Any]] = {}
            for key, value in sizes.items():
                wanted = chain([key, f"{label}_{key}"], (f"{label}_{key}{i}" for i in count(2)))
                name = next(n for n in wanted if known.get(n, value) == value)
                known[name], named[key] = value, (name, value)
            found.append(named)
        return found

    @property
    def places(self) -> dict[tuple[int, ...], str]:
        """The names of the sizes of grids beside which class tokens go by."""
        own = zip(self.parts, self.sizes, strict=False)
        return {sizes[GRID][1]: sizes[GRID][0] for (a, op), sizes in own if is_beside(a, op)}


def _sizes_of(application: Application, op: Op[Any]) -> Mapping[str, Any]:
    """Return the sizes that a layer's code needs, and that of its input, beside which tokens go by."""
    if not is_beside(application, op):
        return op.shape_arguments()
    size = plain(application.shapes[0].size)
    of_frames = any(tokens.scope == FRAME for tokens in application.tokens)
    return {GRID: size[1:] if of_frames else size, **op.shape_arguments()}


def is_beside(application: Application, op: Op[Any]) -> bool:
    """Return True if class tokens go by a layer, whose code does not know of them."""
    return bool(application.tokens) and not op.for_heads
