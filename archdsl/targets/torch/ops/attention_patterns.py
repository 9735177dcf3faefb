"""einops patterns that divide a grid into the groups of an attention."""

from __future__ import annotations

_MEMBER = {"t": "i", "h": "j", "w": "k"}
_APART = {"t": "p", "h": "q", "w": "r"}


def patterns(over: str, *, windows: bool = False, apart: str = "") -> tuple[str, str, str]:
    """Return the einops patterns of a grid divided into groups: the grid, the batch axes, and the axes of a group.

    With `windows` the axes in `over` are divided into windows, which are dilated on the axes in `apart`.
    """
    whole: list[str] = []
    batch: list[str] = []
    group: list[str] = []
    for axis in "thw":
        if axis not in over:
            whole.append(axis)
            batch.append(axis)
        elif not windows:
            whole.append(axis)
            group.append(axis)
        else:
            parts = [axis, _MEMBER[axis], *([_APART[axis]] if axis in apart else [])]
            whole.append(f"({' '.join(parts)})")
            batch += [p for p in parts if p != _MEMBER[axis]]
            group.append(_MEMBER[axis])
    return " ".join(whole), _joined(["b", *batch]), _joined(group)


def _joined(names: list[str]) -> str:
    return f"({' '.join(names)})" if len(names) > 1 else names[0]
