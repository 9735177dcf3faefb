from __future__ import annotations

from archdsl.layers.base import Layer, layer


@layer("cumulative_mean", category="pool")
class CumulativeMean(Layer):
    """Running mean over time: of each frame and all before it (MoViNet: Kondratyuk et al. 2021, section 3.2).

    It sees no later frames, and its last frame is the mean over all: `avgpool([1, all, all]) -> cumulative_mean` is the
    global average pooling of causal networks.
    """
