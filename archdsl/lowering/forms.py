"""Chooses among the forms that a layer's code can have: all compute the same, one is faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.ir.network import Network


def choose_form(name: str) -> Callable[[Network], int]:
    """A pass that chooses a form wherever layers have it; it gives their number.

    A place of the spec with uses that lack the form stays as it is: they share a class.
    """

    def run(network: Network) -> int:
        nodes = [n for n in network.all_nodes() if n.inputs]
        lacking = {n.span for n in nodes if name not in n.layer.other_forms(*n.input_shapes)}
        chosen = [n for n in nodes if n.span not in lacking]
        for node in chosen:
            node.layer = node.layer.changed(forms=node.forms | {name})
        return len(chosen)

    return run
