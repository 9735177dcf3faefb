"""Tensor names across specs: for each tensor, the name of its origin in another spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.weights.rules import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from archdsl.weights.tree import WeightMap


def renaming(weights: WeightMap | None, names: Iterable[str]) -> Callable[[str], str | None]:
    """Return a function that maps the name of a tensor to the name of its origin in the base.

    Without a rule for a tensor the name is unchanged, or None if a rule maps another tensor to it.

    Args:
        weights: the weight map between the two specs, if any.
        names: the names of all tensors of the variant.
    """
    if weights is None:
        return lambda name: name
    matcher = Matcher(weights)
    ruled = {n: matcher.theirs(matches[0])[0] for n in names if (matches := matcher.matches(n))}
    claimed = set(ruled.values())
    return lambda name: ruled.get(name) or (None if name in claimed else name)
