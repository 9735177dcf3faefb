from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("input", category="input")
class Input(Layer):
    """A clip that the module is given."""

    internal = True


@layer("index", category="input")
class Index(Layer):
    """The numbers of the clip's frames in a longer video, which the module can be given."""

    internal = True
    holds_indices = True
