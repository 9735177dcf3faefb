"""Checks of a clip's size in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.analysis.clip_limits import Limits, input_limits
from archdsl.layers.input import ARGUMENT_AXES, MASK
from archdsl.targets.torch.text import in_string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.ir.network import Network
    from archdsl.targets.python.tree import Stmt
    from archdsl.targets.torch.fragments import Fragments


def clip_checks(network: Network, spec: str, fragments: Fragments) -> list[Stmt]:
    """Return a function for each input that raises ValueError for a size that the model cannot take.

    Messages of one name it if there are several, and all others must have as many clips as the first.
    """
    limits = input_limits(network)
    first, *others = network.arguments
    made: list[Stmt] = []
    for name, shape in network.arguments.items():
        told: dict[str, Any] = {"named": bool(others), "batch": name != first}
        if network.node(network.inputs[name]).layer.kind == MASK:
            made.append(fragments.fitted("check_mask", mask=name, grid=shape, **told))
            continue
        told |= {"clip": name, "spec": in_string(spec) if name in network.clips else ""}
        if all(limit.exact for limit in limits[name].values()):
            made.append(fragments.fitted("check_size", size=shape, **told))
            continue
        axes = list(_axes(network, name, limits[name]))
        made.append(fragments.fitted("check_clip", shape=_wanted(network, name), axes=axes, **told))
    return made


def _wanted(network: Network, name: str) -> list[tuple[str, int | None]]:
    """Return the axes of an argument behind the batch, with their sizes where these are fixed."""
    axes = network.node(network.inputs[name]).layer.argument_axes
    sizes = zip(axes, network.arguments[name], strict=True)
    return [(axis, None if ARGUMENT_AXES[axis].noun else size) for axis, size in sizes]


def _axes(network: Network, name: str, limits: dict[str, Limits]) -> Iterator[tuple[str, int, str, str, bool]]:
    """Yield for each axis with a condition: the axis, its place, the condition that fails, what is wanted.

    And whether the module takes one size alone, so that another clip needs another module.
    """
    axes = network.node(network.inputs[name]).layer.argument_axes
    free = [place for place, axis in enumerate(axes, start=1) if ARGUMENT_AXES[axis].noun]
    for place, (axis, limit) in zip(free, limits.items(), strict=True):
        tests = _tests(axis, limit, ARGUMENT_AXES[axes[place - 1]].noun)
        if tests:
            yield axis, place, " or ".join(tests), " and ".join(tests.values()), limit.exact


def _tests(axis: str, limit: Limits, what: str) -> dict[str, str]:
    """Return the conditions that fail, and what is wanted by each."""
    if limit.exact:
        noun = {"boxes": "box"}.get(what, what.removesuffix("s")) if limit.declared == 1 else what
        return {f"{axis} != {limit.declared}": f"{limit.declared} {noun}"}
    found: dict[str, str] = {}
    if limit.multiple > 1:
        found[f"{axis} % {limit.multiple}"] = f"a multiple of {limit.multiple} {what}"
    if limit.minimum > max(limit.multiple, 1):
        found[f"{axis} < {limit.minimum}"] = f"at least {limit.minimum} {what}"
    return found
