from archdsl.layers.attributes import Integer
from archdsl.layers.base import CHANNELS_LAST, FLOAT, TOKENS, Layer, SavedForBackward, layer


@layer("selective_scan", category="attention")
class SelectiveScan(Layer):
    """Selective state space over the sequence of all positions, forwards and backwards (Mamba: Gu and Dao 2023).

    Class tokens come first, then the positions, frame by frame. Each direction has weights of its own: a causal
    convolution and SiLU give u; linear maps of u give the steps Δ, through `rank` channels, and the vectors B and C of
    `state` numbers. With h = exp(Δ A) h + Δ B u, a state for each channel, the output is C · h + D u, summed over the
    directions (VideoMamba: Li et al. 2024, section 3.1). Mamba's gate is a product beside it.
    """

    layouts = (TOKENS, CHANNELS_LAST)
    imports = (
        "import math",
        "from collections.abc import Callable",
        "from functools import cache",
        "from torch.utils import checkpoint",
    )

    rank = Integer(doc="channels through which Δ is computed; Mamba has 1/16 of the width")
    state = Integer(16, doc="numbers in the state of a channel")
    kernel = Integer(4, doc="positions that the convolution sees, itself included")
    directions = Integer(2, among=(1, 2), doc="2: forwards and backwards; 1: forwards alone")

    def weights(self, x):
        channels = self.directions * x.channels
        return {
            "A_log": (channels, self.state),
            "D": (channels,),
            "conv.weight": (channels, 1, self.kernel),
            "conv.bias": (channels,),
            "x_proj.weight": (self.directions * (self.rank + 2 * self.state), x.channels, 1),
            "dt_proj.weight": (channels, self.rank, 1),
            "dt_proj.bias": (channels,),
        }

    def saved_for_backward(self, use):
        x = use.inputs[0]
        return SavedForBackward(inputs=True, recomputed=self.directions * x.elements * (4 * self.state + 12) * FLOAT)

    def macs(self, output, x):
        per_channel = self.kernel + 2 * self.rank + 2 * self.state
        return self.directions * x.elements * per_channel
