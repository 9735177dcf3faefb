"""Choice of activations that may work in place, which saves the memory of one feature map each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from archdsl.targets.torch.select import OpNetwork


def choose_inplace(network: OpNetwork) -> int:
    """Mark activations that may work in place: those that alone read their input, a new tensor; return their number."""
    trains = not network.folded
    uses = Counter(i for node in network.all_nodes() for i in node.inputs)
    for region in network.regions:
        uses[region.exit] += isinstance(region, Featured)  # returned as a feature
    for node in network.all_nodes():
        if node.op.overwrites and len(node.inputs) == 1:
            source = network.node(node.inputs[0])
            is_free = uses[source.id] == 1 and source.op.output_is_free(trains=trains)
            node.inplace = is_free and source.region is node.region
    return sum(node.inplace for node in network.all_nodes())
