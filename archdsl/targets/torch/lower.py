"""Network to network of ops: all that is decided before code is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.lowering.clone import clone
from archdsl.lowering.folding import fold_norms
from archdsl.lowering.identities import drop_frozen, drop_identities, drop_regularisation
from archdsl.targets.torch.passes.forms import choose_form
from archdsl.targets.torch.passes.inplace import choose_inplace
from archdsl.targets.torch.passes.layouts import assign_layouts
from archdsl.targets.torch.passes.memory_format import put_channels_last
from archdsl.targets.torch.select import select

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from archdsl.ir.network import Network
    from archdsl.targets.torch.select import OpNetwork

TRAIN, INFER = "train", "infer"
TARGETS = (TRAIN, INFER)  # what the code is for


class LayerPass(NamedTuple):
    """A step that knows no target. It edits a copy of the network in place, and returns how often it did something."""

    name: str
    run: Callable[[Network], int]
    doc: str
    targets: tuple[str, ...] = TARGETS
    needed: bool = False  # whether code cannot be printed without it


class OpPass(NamedTuple):
    """A step on the network of ops, otherwise like the ones before it."""

    name: str
    run: Callable[[OpNetwork], int]
    doc: str
    targets: tuple[str, ...] = TARGETS
    needed: bool = False


# In this order.
LAYER_PASSES = (
    LayerPass("regularisation", drop_regularisation, "layers that do something in training only", (INFER,)),
    LayerPass("frozen", drop_frozen, "layers of training in frozen chains", (TRAIN,), needed=True),
    LayerPass("identities", drop_identities, "layers without effect that are taken out"),
    LayerPass("folding", fold_norms, "batch norms that become part of a convolution", (INFER,)),
)
OP_PASSES = (
    OpPass("frames", choose_form("frames"), "convolutions of single frames, in two dimensions"),
    OpPass("taps", choose_form("taps"), "poolings by filters, in two dimensions for each frame", (TRAIN,)),
    OpPass("distances", choose_form("distances"), "decomposed distances that become channels of queries and keys"),
    OpPass("masks", choose_form("masks"), "masks of shifted windows that become channels of queries and keys"),
    OpPass("tables", choose_form("tables"), "tables of distances in the form that fused attention takes", (INFER,)),
    OpPass("layouts", assign_layouts, "conversions between layouts in memory", needed=True),
    OpPass("channels_last", put_channels_last, "clips whose channels are put last in memory"),
    OpPass("inplace", choose_inplace, "activations that overwrite their input"),
)
PASSES: tuple[LayerPass | OpPass, ...] = (*LAYER_PASSES, *OP_PASSES)


def check_options(without: Collection[str], target: str) -> None:
    """Raise ValueError for an unknown target, and for what is none of its passes or one that code needs."""
    if target not in TARGETS:
        raise ValueError(f"there is no target {target!r}; the targets are {', '.join(TARGETS)}")
    known = switchable(target)
    unknown = next((name for name in without if name not in known), None)
    if unknown is not None:
        message = f"there is no pass {unknown!r} to leave out; the passes that can be left out are {', '.join(known)}"
        others = [other for other in TARGETS if unknown in switchable(other)]
        raise ValueError(message + (f"; {unknown} is one of target {others[0]}" if others else ""))


def switchable(target: str = TRAIN) -> list[str]:
    """Return the passes of a target that can be left out."""
    return [p.name for p in PASSES if not p.needed and target in p.targets]


def lower(network: Network, without: Collection[str] = (), target: str = TRAIN) -> OpNetwork:
    """Return a network of ops that is ready to be printed: no layer without effect, forms and layouts chosen.

    `without` names passes that are left out, so that what they gain can be measured.
    """
    return lowered_with_counts(network, without, target)[0]


def lowered_with_counts(
    network: Network,
    without: Collection[str] = (),
    target: str = TRAIN,
    verify: Callable[[Network], None] = lambda _: None,
) -> tuple[OpNetwork, dict[str, int | None]]:
    """Return the same, and how often each pass of the target did something; None where it was left out.

    `verify` is called with the network behind every step.
    """
    copy = clone(network)
    counts: dict[str, int | None] = {}
    for step in (p for p in LAYER_PASSES if target in p.targets):
        counts[step.name] = None if step.name in without else step.run(copy)
        verify(copy)
    lowered = select(copy)
    verify(lowered)
    for step in (p for p in OP_PASSES if target in p.targets):
        counts[step.name] = None if step.name in without else step.run(lowered)
        verify(lowered)
    return lowered, counts
