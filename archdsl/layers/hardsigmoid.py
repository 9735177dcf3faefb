from __future__ import annotations

from archdsl.layers.attributes import Real
from archdsl.layers.base import Layer, layer

SLOPE = 1 / 6


@layer("hardsigmoid", category="activation")
class HardSigmoid(Layer):
    """The logistic function by three straight lines: min(max(slope · x + ½, 0), 1) (Howard et al. 2019, section 5.2).

    TensorFlow's gates have a slope of 0.2, as have those of MoViNets that stream.
    """

    elementwise = True

    slope = Real(SLOPE, low=1e-6, doc="slope at 0")
