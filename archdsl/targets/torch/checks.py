"""Checks of a clip's size in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.analysis.clip_limits import Limits, input_limits
from archdsl.targets.torch.text import in_string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.ir.network import Network
    from archdsl.targets.python.tree import Stmt
    from archdsl.targets.torch.fragments import Fragments

_AXES = {"t": "frames", "h": "rows", "w": "columns"}


def clip_checks(network: Network, spec: str, fragments: Fragments) -> list[Stmt]:
    """Return a function for each clip that raises ValueError for a size that the model cannot take."""
    limits = input_limits(network)
    channels = {name: int(network.node(number).shape.channels) for name, number in network.clips.items()}
    return [
        fragments.fitted("check_clip", clip=n, channels=channels[n], axes=list(_axes(limits[n])), spec=in_string(spec))
        for n in channels
    ]


def _axes(limits: dict[str, Limits]) -> Iterator[tuple[str, int, str, str, bool]]:
    """Yield for each axis with a condition: the axis, its place, the condition that fails, what is wanted.

    And whether the module takes one size alone, so that another clip needs another module.
    """
    for place, (axis, limit) in enumerate(limits.items(), start=2):
        tests = _tests(axis, limit)
        if tests:
            yield axis, place, " or ".join(tests), " and ".join(tests.values()), limit.exact


def _tests(axis: str, limit: Limits) -> dict[str, str]:
    """Return the conditions that fail, and what is wanted by each."""
    what = _AXES[axis]
    if limit.exact:
        noun = what.removesuffix("s") if limit.declared == 1 else what
        return {f"{axis} != {limit.declared}": f"{limit.declared} {noun}"}
    found: dict[str, str] = {}
    if limit.multiple > 1:
        found[f"{axis} % {limit.multiple}"] = f"a multiple of {limit.multiple} {what}"
    if limit.minimum > max(limit.multiple, 1):
        found[f"{axis} < {limit.minimum}"] = f"at least {limit.minimum} {what}"
    return found
