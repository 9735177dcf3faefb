"""Meanings of a tensor in two networks, and steps between them that follow from these alone."""

from __future__ import annotations

from archdsl.layers.axes import OUT, PLAIN, Axis, Distances, Frames, Inner, Offsets, Places
from archdsl.transfer.places import Place, axes_of
from archdsl.transfer.steps import Lengthen, Resample, Select, Step, conversion
from archdsl.weights.shapes import shape_text


def are_regrouped(inner: Inner, old: Inner) -> bool:
    """Return whether the same queries share other heads of keys and values."""
    return inner.heads != old.heads and inner.heads * inner.queries == old.heads * old.queries


def step_of_rows(axis: int, meanings: tuple[Axis, Axis], sizes: tuple[int, int], method: str) -> Step | str | None:
    """Return the step for a table with one row per position, distance, offset or frame, or the reason for none.

    Positions are interpolated over space by a `method`.
    """
    size, of = sizes
    match meanings:
        case Places(grid=grid, tokens=tokens), Places(grid=old, tokens=old_tokens):
            same = (grid, tokens) == (old, old_tokens)
            return None if same else Resample(axis, grid, old, tokens, old_tokens, method=method)
        case Distances(window=window), Distances(window=old):
            t, h, w = (2 * n - 1 for n in window)
            before = (2 * old[0] - 1, 2 * old[1] - 1, 2 * old[2] - 1)
            return None if window == old else Resample(axis, (t, h, w), before, what="distances")
        case Offsets(), Offsets():
            return None if size == of else Lengthen(axis, size, of)
        case Frames(others=others), Frames():
            common = min(size, of) - others
            sources = [*range(common), *[-1] * (size - others - common), *range(of - others, of)]
            return None if size == of else Select(axis, tuple(sources), of, "frames")
        case _:
            return None if size == of else f"size {of}, here {size}"


def axes_of_both(here: Place, there: Place, *, classifies: bool) -> tuple[tuple[Axis, ...], tuple[Axis, ...]] | None:
    """Return the meanings of the axes of two tensors; None if they are unknown or differ.

    A vector whose axis is not declared is assumed to have one element per output channel if its size is the number of
    output channels in both networks. Tensors of equal shape need no such assumption, except those of a classifier: they
    are copied.
    """
    one, other = axes_of(here), axes_of(there)
    if one is None and other is None and (classifies or here.shape != there.shape):
        return ((OUT,), (OUT,)) if _is_per_channel(here) and _is_per_channel(there) else None
    if one is None or other is None or [type(a) for a in one] != [type(a) for a in other]:
        return None
    return one, other


def _is_per_channel(place: Place) -> bool:
    return place.shape == (int(place.node.shape.channels),)


def mismatch(here: Place, there: Place) -> str:
    """Return the reason why a tensor cannot be initialised from the tensor of its name in the base."""
    kind, other = (place.node.layer.owner(place.name)[0].kind for place in (here, there))
    if kind == other:
        shapes = f"{shape_text(there.shape)}, here {shape_text(here.shape)}"
        return f"{shapes}; `{kind}` does not declare the axes of `{here.name}`"
    return f"`{other}` ({shape_text(there.shape)}), here `{kind}` ({shape_text(here.shape)})"


def step_of_values(here: Place, there: Place) -> Step | str | None:
    """Return the step that converts values, None if they mean the same, or the reason why they cannot be converted."""
    (layer, name), (other, other_name) = (place.node.layer.owner(place.name) for place in (here, there))
    if layer.kind != other.kind:
        return mismatch(here, there)
    return conversion(layer.stored_as().get(name, PLAIN), other.stored_as().get(other_name, PLAIN))
