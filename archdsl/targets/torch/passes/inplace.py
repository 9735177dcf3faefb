"""Which activations may overwrite their input: it saves the memory of one map for each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from archdsl.targets.torch.select import OpNetwork


def choose_inplace(network: OpNetwork) -> int:
    """Marks an activation in place if it alone uses its input and that is a tensor made just for it; how many."""
    trains = not network.folded
    uses = Counter(i for node in network.all_nodes() for i in node.inputs)
    for region in network.regions:
        uses[region.exit] += isinstance(region, Featured)  # a feature that the module gives out
    for node in network.all_nodes():
        if node.op.overwrites and len(node.inputs) == 1:
            source = network.node(node.inputs[0])
            is_free = uses[source.id] == 1 and source.op.output_is_free(trains=trains)
            node.inplace = is_free and source.region is node.region
    return sum(node.inplace for node in network.all_nodes())
