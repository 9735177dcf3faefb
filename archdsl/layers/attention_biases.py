"""Biases of scores: a number for each head, query and key, from the geometry of an attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from archdsl.core.values import Symbol
from archdsl.layers.attributes import Attribute, Flag, Initialiser, Size
from archdsl.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping


class Bias(Layer):
    """A bias of scores; `label` is the name of its tensors."""

    label: ClassVar[str] = ""


class Table(Bias):
    """A learned number for each head and each distance in a window (Liu et al. 2022)."""

    kind = label = "table"

    prefix = Flag(False, doc="whether a window that became smaller reads the first rows of the larger one's index")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how it begins")


class Decomposed(Bias):
    """The products of the query with a vector for the distance on each axis (MViTv2, equation 6)."""

    kind, label = "decomposed", "relative"

    made_for = Size(0, minimum=0, doc="the positions that the tables were made for, if others; 0: these")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how they begin")


BIASES: Mapping[str, type[Bias]] = {cls.kind: cls for cls in (Table, Decomposed)}
for _cls in BIASES.values():
    _cls.attributes = {k: v for k, v in vars(_cls).items() if isinstance(v, Attribute)}
