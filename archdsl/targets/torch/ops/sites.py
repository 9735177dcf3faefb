"""Arguments and results of an op's methods, as plain records: its call site, a training step, saved tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from archdsl.targets.torch.ops.layouts import GRID

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from archdsl.core.grid import Grid
    from archdsl.targets.python.tree import Expr

T = TypeVar("T")
FLOAT = 4  # bytes of an element in float32
HALF = 2  # bytes of an element in bfloat16 or float16


class Precision(NamedTuple):
    """The precision and the device of training, which determine dtypes and kernels."""

    half: bool = False  # torch.autocast is on, with bfloat16 or float16
    cuda: bool = False  # on a GPU, otherwise on a CPU

    @property
    def product(self) -> int:
        """Element size in bytes of the outputs of convolutions, linear layers and attention."""
        return HALF if self.half else FLOAT


PLAIN = Precision()


class CallSite(NamedTuple):
    """The call of a layer in generated code, for all calls that share its class.

    Sizes in the shapes are formulas of the class's parameters where the calls differ.
    """

    inputs: tuple[Grid, ...]
    output: Grid
    layout: str = GRID  # of the inputs
    inplace: bool = False  # the input may be overwritten


class TrainingStep(NamedTuple):
    """The forward pass of an op in training, in which autograd saves tensors."""

    layout: str = GRID  # of the inputs
    channels_last: bool = True  # the first input's channels are last in memory, whatever its layout
    by_frames: bool = False  # the first input's frames come before its channels in memory
    batch: int = 2  # clips
    precision: Precision = PLAIN
    element_size: int = FLOAT  # of the op's computation, in bytes
    casts: bool = False  # autocast copies the first input to another dtype
    sliced: bool = False  # the first input is several positions of each clip or frame, between others in memory
    trains: bool = True  # its weights take gradients, and it is in training mode; else only its input does
    gradients: tuple[bool, ...] = ()  # for each input, whether it takes a gradient; of each if it is empty

    def takes(self, number: int) -> bool:
        """Return True if an input takes a gradient."""
        return not self.gradients or self.gradients[number]


class SavedForBackward(NamedTuple):
    """The tensors that autograd saves for the backward pass of an op, without weights and buffers."""

    inputs: bool | tuple[bool, ...] = False  # without a copy, all or some; several ops may share them
    output: bool = False
    own: int = 0  # bytes of internal tensors, per clip
    once: int = 0  # bytes of internal tensors, independent of the batch size
    recomputed: int = 0  # bytes of internal tensors, per clip, that the backward pass of the op alone computes again

    def among(self, inputs: Sequence[T]) -> list[T]:
        """Return those of the inputs that are saved."""
        each = self.inputs if isinstance(self.inputs, tuple) else (self.inputs,) * len(inputs)
        return [x for x, is_saved in zip(inputs, each, strict=True) if is_saved]


class Printed(Protocol):
    """The code of a layer: its constructor call, and its application."""

    @property
    def module(self) -> Expr | None:
        """The constructor call."""
        ...

    @property
    def renamed(self) -> Mapping[str, str]:
        """The classes of its template that are called otherwise here, with their names."""
        ...

    def apply(self, operands: Sequence[Expr]) -> tuple[Expr, bool]:
        """Return the application to operands, and whether it names one of them more than once."""
        ...


class Printer(Protocol):
    """The printer of layers, as ops see it that are made of layers themselves."""

    def printed(self, op: Any, plan: dict[str, Any], label: str) -> Printed:
        """Return the code of a layer for the variables of its template."""
        ...

    def varying(self, op: Any) -> Collection[str]:
        """Return the numbers in the code of an op, by name, that differ between the places of the network."""
        ...

    def class_of(self, shared: SharedModule) -> str:
        """Return the name of the class of a module that a template prints; its text is kept."""
        ...

    def macros(self, template: str, variables: dict[str, Any]) -> Any:
        """Return the macros of a template as functions."""
        ...


@dataclass(frozen=True)
class SharedModule:
    """A module that several layers share, such as the windows of a stage; the model constructs it once.

    `template` prints its class with `options`; the class `name` is that of `base` or one derived from it.
    """

    name: str
    base: str
    template: str
    options: tuple[tuple[str, Any], ...]
    arguments: tuple[Any, ...]  # of the constructor
    parameters: tuple[str, ...] = ()  # their names
