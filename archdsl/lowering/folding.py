"""Makes batch norms part of the convolution before them: with fixed statistics both are one linear map."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.rewrite import take_out

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def fold_norms(network: Network) -> int:
    """Takes out each batch norm that alone uses a convolution, which gets a bias in its place; how many.

    Both are in one stage: what a convolution at the end of a stage gives is a feature, and stays what it is.
    `network.folded` then has the convolution's name for each norm's.
    """
    uses = Counter(i for node in network.all_nodes() for i in node.inputs)
    uses[network.output] += 1
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
    take_out(network, folded)
    return len(folded)
