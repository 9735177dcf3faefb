"""Settings of attention: drawn for a grid that is known, or such as fit nearly any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from programs.draw import written

if TYPE_CHECKING:
    from programs.draw import Draw

AXES = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}
SCORES = ["embedded_gaussian", "gaussian", "dot_product", "concatenation"]
FITTING = [
    "window = [2, 3, 3], position = table",
    "window = [2, 4, 3], shift = [1, 2, 1]",
    "window = [8, 7, 7], shift = [4, 3, 3], position = table, table_prefix = on",
    "over = space, window = [all, 3, 3], shift = [0, 1, 1], position = decomposed",
    "window = [2, 2, 2], dilation = [1, 2, 2], position = table",
    "pool = conv, kv_pool = [1, 3, 3], kv_stride = [1, 2, 2], pool_norm = on, position = decomposed",
    "pool = conv, q_pool = 3, q_stride = 1, kv_pool = [1, 3, 3], kv_stride = [1, 2, 2], add_query = on",
    "over = time, dropout = 0.1, position = decomposed",
    "scale = off, proj_bias = off, dim = 12",
    "window = [2, 3, 2], shift = [1, 1, 1], scale = off",
    "over = space, window = [all, 3, 2], shift = [0, 2, 1], scale = off, position = table",
    "half_over = time, over = space",
    "band = 2, over = time",
    "band = 4, over = width, position = table",
    "pool = avg, kv_pool = 1, kv_stride = [1, 2, 2]",
    "kv_pool = [1, 1, 1], bias = off",
    "out = 5, dropout = 1/10",
    "init = xavier, proj_init = zeros",
    "position = table, position_init = normal(0.1)",
]


def attention(d: Draw, grid: tuple[int, int, int] | None, token: str) -> str:
    """An attention behind `linear(8)`; mostly one that fits."""
    heads = d.pick([1, 2, 2, 4])
    if d.chance(0.45):
        texts = [
            t for t in FITTING if not token or not ("band" in t or "half" in t or ("kv_stride" in t and grid is None))
        ]
        if token == "frame":
            return (
                f"attention({heads}, over = space{d.pick(['', ', position = decomposed', ', window = [all, 2, 3]'])})"
            )
        chosen = d.pick(texts)
        return f"attention({d.pick([2, 4]) if 'half' in chosen else heads}, {chosen})"
    over = d.pick(["space", "height", "width"] if token == "frame" else list(AXES))
    settings: dict[str, object] = {"over": over}
    if grid is not None and d.chance(0.6):
        settings |= d.pick([_windows, _pooled, _plain])(d, over, grid, token)
    else:
        settings |= _plain(d, over, grid, token)
    if d.chance(0.2):
        settings |= {"dim": heads * d.pick([2, 3])}
    settings |= {name: False for name in ("bias", "proj_bias") if d.chance(0.15)}
    settings |= {"scale": False} if "score" not in settings and d.chance(0.2) else {}
    return f"attention({heads}, {', '.join(f'{k} = {written(v)}' for k, v in settings.items())})"


def _plain(d: Draw, over: str, grid: object, token: str) -> dict[str, object]:
    del over, grid
    found: dict[str, object] = {}
    if not token and d.chance(0.5):
        found["score"] = d.pick(SCORES)
    if found.get("score", SCORES[0]) == SCORES[0] and d.chance(0.6):
        found["position"] = d.pick(["table", "decomposed"])
        if d.chance(0.3):
            found["dropout"] = d.pick([0, 0.1, 0.3])
    if "dot_product" in found.values() and d.chance(0.2):
        found["scale"] = False
    return found


def _windows(d: Draw, over: str, grid: tuple[int, int, int], token: str) -> dict[str, object]:
    del token
    window = [d.pick([1, 2, 2, 3, 4, "all", n]) if a in AXES[over] else "all" for a, n in zip("thw", grid, strict=True)]
    found: dict[str, object] = {"window": window}
    way = d.pick(["", "shift", "dilation"])
    if way == "shift":
        found["shift"] = [d.whole(0, k - 1) if isinstance(k, int) else 0 for k in window]
    elif way == "dilation":
        found["dilation"] = [d.pick([1, 2]) if a in AXES[over] else 1 for a in "thw"]
    if d.chance(0.5):
        found["position"] = d.pick(["table", "decomposed"])
    return found


def _pooled(d: Draw, over: str, grid: tuple[int, int, int], token: str) -> dict[str, object]:
    sides = list(zip("thw", grid, strict=True))
    step = [
        d.pick([1, 2]) if a in AXES[over] and n > 1 and not (token == "frame" and a == "t") else 1 for a, n in sides
    ]
    found: dict[str, object] = {"pool": d.pick(["max", "avg", "conv"]), "kv_stride": step}
    found["kv_pool"] = [
        s if d.chance(0.6) else 3 if s == 2 and n >= 3 else 1 for s, (_, n) in zip(step, sides, strict=True)
    ]
    if d.chance(0.4):
        found["pool_norm"] = True
    elif found["pool"] != "conv" and not token and d.chance(0.4):
        found["kv_pool_first"] = True
    if d.chance(0.4):
        found["position"] = d.pick(["table", "decomposed"])
    return found


def moves(text: str) -> bool:
    """Tell whether an attention makes the grid smaller."""
    return "q_stride = [" in text


def out(text: str) -> str | None:
    """The channels that an attention gives, if not those of its input."""
    found = re.search(r"\bout = (\d+)", text)
    return found[1] if found else None
