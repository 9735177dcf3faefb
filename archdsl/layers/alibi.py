from __future__ import annotations

from archdsl.layers.base import layer
from archdsl.layers.bias import BIAS, Bias


@layer("alibi", category=BIAS)
class Alibi(Bias):
    """A bias of scores that falls with the distance: −2^(−8i/n) · |distance| for head i = 1 … n (Press et al. 2022).

    It has no weights. Over several axes the distance is the sum of those along each, in positions of the grid that
    enters the attention, whatever the strides of queries and keys.
    """

    title = "the distance times a negative slope of each head (ALiBi)"
