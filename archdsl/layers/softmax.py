from __future__ import annotations

from typing import Any

from archdsl.layers.attributes import Choice
from archdsl.layers.base import Layer, layer

CHANNELS, TIME, SPACE, SPACE_TIME = "channels", "time", "space", "space_time"


@layer("softmax", category="activation")
class Softmax(Layer):
    """exp(x) divided by its sum over the channels, over the frames, or over the positions of a frame or of the clip.

    Scores over positions are weights of a mean, as in a global context (Cao et al. 2019, section 3.2). The end of a
    spec is the logits: training and `archdsl predict` apply their softmax.
    """

    over = Choice(CHANNELS, TIME, SPACE, SPACE_TIME, doc="axes over which the sum is 1; behind logits leave it out")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.takes_tokens = self.treats_positions_alone = self.over == CHANNELS
