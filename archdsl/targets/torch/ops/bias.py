"""The PyTorch implementation of biases of scores, in the class of an attention with lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from archdsl.layers.bias import Bias
from archdsl.targets.torch.ops.base import Op, plain
from archdsl.targets.torch.ops.template import template_of

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite

B_co = TypeVar("B_co", bound=Bias, covariant=True)
SIZES = (
    "window",
    "largest",
    "queries",
    "keys",
    "q_step",
    "k_step",
)  # of the geometry, which are variables of templates


class BiasOp(Op[B_co]):
    """A bias of scores.

    Variables of its template are, as far as it names them, its attributes; sizes of the geometry, which become
    parameters of the attention's constructor; `heads` and `width`; `axes` and `strided`.
    """

    saves_inputs = False

    def variables(self, site: CallSite) -> dict[str, Any]:
        return bias_variables(self.layer)

    def shape_arguments(self) -> dict[str, Any]:
        return bias_arguments(self.layer)

    def class_signature(self) -> tuple[Any, ...]:
        return bias_signature(self.layer)


def bias_variables(bias: Bias) -> dict[str, Any]:
    """Return the attributes of a bias that its template names, and flags of the geometry."""
    words, found = template_of(bias).words, bias.geometry
    own = {name: value for name, value in bias.values().items() if name in words}
    return {**own, "axes": found.axes, "strided": found.strided, "banded": found.banded}


def bias_arguments(bias: Bias) -> dict[str, Any]:
    """Return the sizes of the geometry that the template of a bias names."""
    words, found = template_of(bias).words, bias.geometry
    steps = ("q_step", "k_step")
    return {n: plain(getattr(found, n)) for n in SIZES if n in words and (found.strided or n not in steps)}


def bias_signature(bias: Bias) -> tuple[Any, ...]:
    """Return what determines the form of the code of a bias."""
    return bias.geometry.axes, bias.geometry.strided, bias.geometry.banded
