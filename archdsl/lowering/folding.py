"""Batch-norm folding into the preceding convolution: in inference both together are one affine map."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.rewrite import remove

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def fold_norms(network: Network) -> int:
    """Fold each batch norm into the preceding convolution if nothing else reads it; return the number of folded norms.

    Both must be in one stage: the output of a convolution at the end of a stage is a feature, and must not change.
    `network.folded` maps the name of each folded norm to the name of the convolution.
    """
    uses = Counter(i for node in network.all_nodes() for i in node.inputs)
    uses.update(network.outputs.values())
    folded: dict[int, int] = {}
    for node in network.all_nodes():
        if not node.layer.is_affine_in_inference:
            continue
        before = network.node(node.inputs[0])
        combined = before.layer.with_affine()
        if combined is not None and uses[before.id] == 1 and before.region.top is node.region.top:
            before.layer = combined
            network.folded[node.name] = before.name
            folded[node.id] = before.id
    remove(network, folded)
    return len(folded)
