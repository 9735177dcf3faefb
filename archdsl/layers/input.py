from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("input", category="input")
class Input(Layer):
    """A clip, as an argument of the module."""

    internal = True


@layer("index", category="input")
class Index(Layer):
    """The indices of the clip's frames in a longer video, as an optional argument of the module."""

    internal = True
    holds_indices = True
