"""Axis patterns such as `o i -> o i 1 1 1`, applied to shapes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.weights.tree import Axes

Shape = tuple[int, ...]


class AxesFault(Exception):
    """A shape that does not match an axis pattern."""


@dataclass(frozen=True)
class Change:
    """A change of layout: reshape to `split`, permute by `order`, reshape to `end`."""

    start: Shape
    split: Shape
    order: tuple[int, ...]
    end: Shape

    def back(self) -> Change:
        """Return the inverse."""
        inverse = tuple(self.order.index(i) for i in range(len(self.order)))
        return Change(self.end, tuple(self.split[i] for i in self.order), inverse, self.start)


def change(axes: Axes, shape: Shape) -> Change:
    """Return the change of layout that an axis pattern makes to a shape of ours.

    Raises:
        AxesFault: if the shape does not match the pattern.
    """
    if len(shape) != len(axes.ours):
        message = f"{shape_text(shape)} has {len(shape)} axes, not {len(axes.ours)}"
        raise AxesFault(message)
    sizes: dict[str, int] = {**axes.sizes}
    for size, group in zip(shape, axes.ours, strict=True):
        known = prod(axes.sizes.get(a, 1) for a in group)
        unknown = [a for a in group if a != "1" and a not in axes.sizes]
        if size % known or (not unknown and size != known):
            message = f"an axis of size {size} cannot be `{' '.join(group)}`"
            raise AxesFault(message)
        if unknown:
            sizes[unknown[0]] = size // known
    ours, theirs = ([a for group in side for a in group if a != "1"] for side in (axes.ours, axes.theirs))
    end = tuple(prod(sizes.get(a, 1) for a in group) for group in axes.theirs)
    return Change(shape, tuple(sizes[a] for a in ours), tuple(ours.index(a) for a in theirs), end)


def shape_text(shape: Shape) -> str:
    """Format a shape: `64×3×7×7`; `scalar` without axes."""
    return "×".join(map(str, shape)) or "scalar"


def readable(name: object) -> str:
    """Format a name in a checkpoint for messages: without control characters, and of bounded length."""
    text = (
        name
        if isinstance(name, str)
        else f"{name!r:.200}"
        if isinstance(name, int | float | None)
        else type(name).__name__
    )
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:200])
    return shown + "…" * (len(text) > 200)
