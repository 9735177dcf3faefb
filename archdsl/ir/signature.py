"""Signatures of blocks, and the arguments of their calls, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.core.record import record

if TYPE_CHECKING:
    from fractions import Fraction

IN_CHANNELS = "in.channels"  # the variable for the channels that enter a block


@record
class BlockParameter:
    """A parameter of a block."""

    name: str
    default: str | None = None  # as the spec has it; None where every call gives an argument
    number: Fraction | None = None  # the default, where it is a literal number


@dataclass(frozen=True, eq=False)
class BlockSignature:
    """Name, description and parameters of a block. All calls of one definition share the object."""

    name: str
    doc: str | None = None
    parameters: tuple[BlockParameter, ...] = ()


@dataclass
class BlockArguments:
    """The values of a block's parameters in one call.

    `values` has all of them, in the terms of the caller; `defaults` has those that the call leaves out, in the terms of
    the block.
    """

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
