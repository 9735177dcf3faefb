"""Graph to graph: what has to be decided before a network can be printed as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.lowering.clone import clone
from archdsl.lowering.folding import fold_norms
from archdsl.lowering.forms import choose_form
from archdsl.lowering.identities import drop_identities, drop_regularisation
from archdsl.lowering.inplace import choose_inplace
from archdsl.lowering.layouts import assign_layouts
from archdsl.lowering.memory_format import put_channels_last

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from archdsl.ir.network import Network

TRAIN, INFER = "train", "infer"
TARGETS = (TRAIN, INFER)  # what the code is for


class Pass(NamedTuple):
    """A step of lowering. It edits the copy that `lower` makes, nothing else, and says how often it did something."""

    name: str
    run: Callable[[Network], int]
    doc: str
    needed: bool = False  # whether code cannot be printed without it
    targets: tuple[str, ...] = TARGETS


# In this order.
PASSES = (
    Pass("regularisation", drop_regularisation, "layers that do something in training only", targets=(INFER,)),
    Pass("identities", drop_identities, "layers without effect that are taken out"),
    Pass("folding", fold_norms, "batch norms that become part of a convolution", targets=(INFER,)),
    Pass("frames", choose_form("frames"), "convolutions of single frames, in two dimensions"),
    Pass("taps", choose_form("taps"), "poolings by filters, in two dimensions for each frame", targets=(TRAIN,)),
    Pass("distances", choose_form("distances"), "decomposed distances that become channels of queries and keys"),
    Pass("masks", choose_form("masks"), "masks of shifted windows that become channels of queries and keys"),
    Pass(
        "tables", choose_form("tables"), "tables of distances in the form that fused attention takes", targets=(INFER,)
    ),
    Pass("layouts", assign_layouts, "conversions between layouts in memory", needed=True),
    Pass("channels_last", put_channels_last, "clips whose channels are put last in memory"),
    Pass("inplace", choose_inplace, "activations that overwrite their input"),
)


def check_options(without: Collection[str], target: str) -> None:
    """Raises ValueError for what is no target, and what is none of its passes or one that code needs."""
    if target not in TARGETS:
        raise ValueError(f"there is no target {target!r}; the targets are {', '.join(TARGETS)}")
    known = switchable(target)
    unknown = next((name for name in without if name not in known), None)
    if unknown is not None:
        message = f"--no-pass {unknown}: the passes that can be left out are {', '.join(known)}"
        others = [other for other in TARGETS if unknown in switchable(other)]
        raise ValueError(message + (f"; {unknown} is one of target {others[0]}" if others else ""))


def switchable(target: str = TRAIN) -> list[str]:
    """The passes of a target that can be left out."""
    return [p.name for p in PASSES if not p.needed and target in p.targets]


def without_identities(network: Network) -> Network:
    """A copy of the network without the layers that change nothing, as people draw it."""
    simplified = clone(network)
    drop_identities(simplified)
    return simplified


def lower(network: Network, without: Collection[str] = (), target: str = TRAIN) -> Network:
    """A copy of the network, ready to be printed: no layer without effect, the forms of code and layouts chosen.

    `without` names passes that are left out, so that what they gain can be measured.
    """
    return lowered_with_counts(network, without, target)[0]


def lowered_with_counts(
    network: Network, without: Collection[str] = (), target: str = TRAIN
) -> tuple[Network, dict[str, int | None]]:
    """The same, and how often each pass of the target did something; None where it was left out."""
    lowered = clone(network)
    passes = [p for p in PASSES if target in p.targets]
    return lowered, {p.name: None if p.name in without else p.run(lowered) for p in passes}
