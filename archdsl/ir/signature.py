"""Signatures of blocks, and the arguments of their calls, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.core.record import record

if TYPE_CHECKING:
    from fractions import Fraction

IN_CHANNELS = "in.channels"  # the variable for the number of input channels of a block


def channels_of(value: str) -> str:
    """Return the variable for the channels of a value that is a parameter of a block."""
    return f"{value}_channels"


@record
class BlockParameter:
    """A parameter of a block."""

    name: str
    default: str | None = None  # its text in the spec; None if the parameter is required
    number: Fraction | None = None  # the default, if it is a literal number


@dataclass(frozen=True, eq=False)
class BlockSignature:
    """Name, description and parameters of a block. All calls of a definition share this object."""

    name: str
    doc: str | None = None
    parameters: tuple[BlockParameter, ...] = ()


@dataclass
class BlockArguments:
    """The values of a block's parameters in one call.

    `values` has the values of all parameters, as formulas over the caller's parameters; `defaults` has those of omitted
    arguments, as formulas over the block's parameters.
    """

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
