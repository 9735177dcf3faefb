"""What an op is told of the place where it stands, and what it answers: records without rules of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.targets.torch.ops.layouts import GRID

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

FLOAT = 4  # bytes of an element in float32
HALF = 2  # bytes of an element in bfloat16 or float16


class Precision(NamedTuple):
    """The dtypes and the kernels of training: what decides how much is kept."""

    half: bool = False  # whether torch.autocast is on, with bfloat16 or float16
    cuda: bool = False  # on a GPU; else on a CPU

    @property
    def product(self) -> int:
        """Element size in bytes of convolutions, linear layers and attention."""
        return HALF if self.half else FLOAT


PLAIN = Precision()


class CallSite(NamedTuple):
    """The call of a layer in generated code, for all uses of its class.

    The numbers in the shapes are formulas of the parameters of the class where the uses differ.
    """

    inputs: tuple[Grid, ...]
    output: Grid
    layout: str = GRID  # of the inputs
    inplace: bool = False  # whether the input's memory may be overwritten


class TrainingStep(NamedTuple):
    """The forward pass of an op in training, where autograd decides what it keeps."""

    layout: str = GRID  # of the inputs
    channels_last: bool = True  # whether the first input has its channels last in memory, whatever its layout
    batch: int = 2  # clips
    precision: Precision = PLAIN
    element_size: int = FLOAT  # bytes of an element, as the op computes
    casts: bool = False  # whether the first input has elements of another size, so that autocast makes a copy


class SavedForBackward(NamedTuple):
    """The tensors that autograd keeps of an op until its backward pass, besides weights and buffers."""

    inputs: bool = False  # as they are, in memory that another op may keep, too
    output: bool = False
    own: int = 0  # bytes of tensors of its own, for each clip
    once: int = 0  # bytes of tensors of its own, however many clips there are


@dataclass(frozen=True)
class SharedModule:
    """A module that several layers use, such as the windows of a stage: the model makes it once, and hands it on.

    `template` prints its class with `options`; the class `name` is that of `base` or one derived from it.
    """

    name: str
    base: str
    template: str
    options: tuple[tuple[str, Any], ...]
    arguments: tuple[Any, ...]  # of the constructor
