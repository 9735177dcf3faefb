"""Names between specs: what the tensors that a network begins from are called in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.weights.rules import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from archdsl.weights.tree import WeightMap


def renaming(weights: WeightMap | None, names: Iterable[str]) -> Callable[[str], str | None]:
    """The name that each of our tensors has there.

    It is the same one where no rule says else; none where that is what another tensor of ours begins from by a rule.

    Args:
        weights: the map between the two specs, if there is one.
        names: of all our tensors.
    """
    if weights is None:
        return lambda name: name
    matcher = Matcher(weights)
    ruled = {n: matcher.theirs(matches[0])[0] for n in names if (matches := matcher.matches(n))}
    claimed = set(ruled.values())
    return lambda name: ruled.get(name) or (None if name in claimed else name)
