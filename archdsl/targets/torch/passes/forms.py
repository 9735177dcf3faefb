"""Choice among equivalent forms of a layer's code, one of which is faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.targets.torch.select import OpNetwork


def choose_form(name: str) -> Callable[[OpNetwork], int]:
    """A pass that chooses a form wherever layers have it; it gives their number.

    A place of the spec with uses that lack the form stays as it is: they share a class.
    """

    def run(network: OpNetwork) -> int:
        nodes = [n for n in network.all_nodes() if n.inputs]
        lacking = {n.span for n in nodes if name not in n.op.other_forms()}
        chosen = [n for n in nodes if n.span not in lacking]
        for node in chosen:
            node.op = node.op.with_form(name)
        return len(chosen)

    return run
