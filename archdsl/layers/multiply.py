from __future__ import annotations

from archdsl.layers.add import Add
from archdsl.layers.base import layer


@layer("multiply", category="merge")
class Multiply(Add):
    """Elementwise product of several values of one shape, as of a value and its gate; axes of 1 are repeated.

    A squeeze-and-excitation has one factor for each channel (Hu et al. 2018, section 3):
    `multiply { in, avgpool -> linear(r) -> relu -> linear(in.channels) -> sigmoid }`. A grid without tokens multiplies
    the positions of a value that has some; the tokens are unchanged.
    """

    hands_on_gradient = False
    drawn_as = "×"
    joined = "multiplied"
