"""Rules by which a module for inference finds batch norms, now part of its convolutions, in the weights of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.tensors import own_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.ir.network import Network

Rule = tuple[str, str, float]  # how the names of a norm and of its convolution end, and the norm's ε


def folding_rules(network: Network, folded: Mapping[str, str]) -> list[Rule]:
    """Return the fewest rules that give each norm its convolution, and none to the other norms of a network.

    `folded` has the convolution's name for each norm's. A rule holds where there is such a convolution.
    """
    eps = {n.name: float(n.layer.values()["eps"]) for n in network.all_nodes() if n.layer.is_affine_in_inference}
    convolutions = {
        n.name for n in network.all_nodes() if "weight" in own_tensors(n) and n.layer.with_affine() is not None
    }
    rules = sorted({(*_differing(norm, conv), eps[norm]) for norm, conv in folded.items()}, key=_precedence)
    wanted = {norm: (conv, eps[norm]) for norm, conv in folded.items()}
    if all(_found(norm, rules, convolutions) == wanted.get(norm) for norm in eps):
        return rules
    return sorted(((norm, conv, eps[norm]) for norm, conv in folded.items()), key=_precedence)


def _differing(norm: str, conv: str) -> tuple[str, str]:
    """Return two names without the parts that they begin with alike."""
    one, other = norm.split("."), conv.split(".")
    while one[0] == other[0]:
        one, other = one[1:], other[1:]
    return ".".join(one), ".".join(other)


def _precedence(rule: Rule) -> tuple[int, int, Rule]:
    """Sort the longest names first: they are the most particular."""
    return -rule[0].count("."), -rule[1].count("."), rule


def _found(norm: str, rules: Iterable[Rule], convolutions: set[str]) -> tuple[str, float] | None:
    """Return the convolution of a norm, and the ε that it is folded with, as the generated code looks them up."""
    fitting = (rule for rule in rules if f".{norm}".endswith(f".{rule[0]}"))
    candidates = ((norm.removesuffix(end) + other, eps) for end, other, eps in fitting)
    return next((c for c in candidates if c[0] in convolutions), None)
