"""Names across specs: the name in another spec of the tensor that each tensor is initialised from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.weights.rules import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from archdsl.weights.tree import WeightMap


def renaming(weights: WeightMap | None, names: Iterable[str]) -> Callable[[str], str | None]:
    """Return the function from a tensor's name to its name in the base.

    The name is the same unless a rule maps it; it is None if a rule maps another tensor to the same name.

    Args:
        weights: the map between the two specs, if any.
        names: the names of all our tensors.
    """
    if weights is None:
        return lambda name: name
    matcher = Matcher(weights)
    ruled = {n: matcher.theirs(matches[0])[0] for n in names if (matches := matcher.matches(n))}
    claimed = set(ruled.values())
    return lambda name: ruled.get(name) or (None if name in claimed else name)
