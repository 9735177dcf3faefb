"""Batch-norm folding into the preceding convolution: in inference both together are one affine map."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.regions import Block, around
from archdsl.ir.rewrite import remove

if TYPE_CHECKING:
    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Region


def fold_norms(network: Network) -> int:
    """Fold each batch norm into the preceding convolution if nothing else reads it; return the number of folded norms.

    Both must be in one stage: the output of a convolution at the end of a stage is a feature, and must not change.
    Neither may have weights that another layer uses, unless both are in one block that is used again.
    `network.folded` maps the name of each folded norm to the name of the convolution.
    """
    again = _used_again(network)
    uses = Counter(i for node in network.all_nodes() for i in node.inputs)
    uses.update(network.outputs.values())
    folded: dict[int, int] = {}
    for node in network.all_nodes():
        if not node.layer.is_affine_in_inference:
            continue
        before = network.node(node.inputs[0])
        combined = before.layer.with_affine()
        is_alone = uses[before.id] == 1 and before.region.top is node.region.top
        if combined is not None and is_alone and _are_used_alike(before, node, again):
            before.layer = combined
            network.folded[node.name] = before.name
            folded[node.id] = before.id
    remove(network, folded)
    return len(folded)


def _used_again(network: Network) -> set[str]:
    """Return the labels of layers and blocks that others take their weights from."""
    blocks = {r for node in network.all_nodes() for r in around(node.region) if isinstance(r, Block)}
    return {found.shares for found in (*network.all_nodes(), *blocks) if found.shares}


def _are_used_alike(conv: Node, norm: Node, again: set[str]) -> bool:
    """Return True if the weights of two layers are used by the two alone, or in the same blocks that are used again."""

    def blocks(region: Region) -> list[Region]:
        return [r for r in around(region) if isinstance(r, Block) and (r.shares or r.label in again)]

    is_own = any(node.shares or node.label in again for node in (conv, norm))
    return not is_own and blocks(conv.region) == blocks(norm.region)
