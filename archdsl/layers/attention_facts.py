"""Facts about the lines of an attention: which of today's settings they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import formula_of
from archdsl.layers.attention import Attention
from archdsl.layers.attention_lines import COSINE, LETTERS, RESULT, SOFTMAX, Application, Lines
from archdsl.layers.attention_rules import DECOMPOSED, EMBEDDED_GAUSSIAN, GAUSSIAN, NONE, TABLE, Pooling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.core.values import Symbol


OF_SETTINGS = ((TABLE, "table"), (DECOMPOSED, "relative"))  # biases with the names of their tensors
TITLES = {"q": "queries", "k": "keys", "v": "values"}


class Unlike(Exception):
    """Lines that no settings amount to; or, behind all ways to print them, that cannot be printed.

    Args:
        message: what it is that cannot be said or printed, as in "a value from outside".
        at: names of arguments and of branches, of which the first that is written is to blame.
        hint: what to do.
    """

    def __init__(self, message: str, *at: str, hint: str = "") -> None:
        super().__init__(message)
        self.at, self.hint = at, hint


@dataclass
class Branch:
    """Layers of a branch, in this order; each may be absent."""

    first: Application | None = None  # a pooling before the projection
    linear: Application | None = None
    pool: Application | None = None
    norm: Application | None = None


def branch_of(lines: Lines, letter: str) -> Branch:
    """Return what happens to a branch. Raise Unlike if that is anything else than projection, pooling, norm."""
    chain = lines.chain(lines.branches[letter])
    if chain is None:
        message = f"{TITLES[letter]} that are joined of several values"
        raise Unlike(message, letter)
    found = Branch()
    for application in chain:
        kind = application.layer.kind
        if kind == "linear" and found.linear is None and found.pool is None and not application.by_head:
            found.linear = application
        elif is_pooling(application) and found.linear is None and found.first is None:
            found.first = application
        elif is_pooling(application) and found.pool is None and found.norm is None:
            found.pool = application
        elif kind == "layernorm" and found.norm is None and found.pool is not None and application.by_head:
            found.norm = application
        else:
            message = f"`{kind}` at this place of {TITLES[letter]}"
            raise Unlike(message, letter)
    return found


def is_pooling(application: Application) -> bool:
    """Return True for a pooling with the padding that settings give it."""
    if application.layer.kind not in ("conv", "maxpool", "avgpool"):
        return False
    layer: Any = application.layer
    x = application.shapes[0]
    if not Pooling("", layer.kernel, layer.stride).is_there:  # it has weights, and settings would leave it out
        return False
    if layer.kind == "conv":
        is_one = layer.groups == x.channels == layer.out and not layer.bias
        return is_one and padding_of(layer) == _pooling(layer).padding
    return layer.kind in ("maxpool", "avgpool") and padding_of(layer) == _pooling(layer).padding


def padding_of(layer: Any) -> Any:
    """Return the padding of a pooling on each side of (t, h, w)."""
    if layer.padding == "valid":
        return 0, 0, 0
    whole = layer.kind == "conv"
    return tuple(k // 2 * (whole or k % 2) for k in layer.kernel)


def _pooling(layer: Any) -> Pooling:
    return Pooling("", layer.kernel, layer.stride)


def _same(items: Sequence[Any], what: str) -> Any:
    """Return what is the same everywhere."""
    if any(i != items[0] for i in items):
        message = f"different {what} of queries, keys and values"
        raise Unlike(message, "k", "v", "q")
    return items[0]


def channels_of(out: int, x: Grid) -> int:
    """Return the number of channels as settings have it: 0 for those of the input."""
    return 0 if formula_of(out) == formula_of(x.channels) else out


def settings(lines: Lines) -> dict[str, Any]:
    """Return the settings that lines amount to.

    Raises:
        Unlike: if there are none.
    """
    between, x, over = lines.between, lines.x, lines.between.over
    _check_arguments(lines)
    found: dict[str, Any] = {
        "heads": between.heads, "over": over[0], "window": between.window, "shift": between.shift,
        "dilation": between.dilation, "band": between.band, "scale": between.scale, "dropout": between.dropout,
        "score": EMBEDDED_GAUSSIAN if between.score == SOFTMAX else between.score,
    }  # fmt: skip
    if len(over) == 2:
        found["half_over"] = over[1]
    q, k, v = (branch_of(lines, letter) for letter in LETTERS)
    linears = [b.linear for b in (q, k, v) if b.linear is not None]
    if v.linear is None or not (len(linears) == 3 or (q.linear is None and k.linear is None)):
        message = "branches of which some have no projection"
        raise Unlike(message, "q", "k", "v")
    if len(linears) == 1:
        found |= {"score": GAUSSIAN, "scale": True}
        if between.score != SOFTMAX or between.scale:
            message = "queries without a projection here"
            raise Unlike(message, "score", "q", hint="`scale = off` and `score = softmax` go with them")
    layers: list[Any] = [a.layer for a in linears]
    found["dim"] = channels_of(_same([a.out for a in layers], "widths"), x)
    found["bias"] = _same([a.bias for a in layers], "biases of projections")
    found["init"] = _same([a.init for a in layers], "initialisers")
    pools = _pools(q, k, v)
    _same([found["init"], pools.get("init", found["init"])], "initialisers")
    found |= pools
    _check_sharing(found, (q, k, v))
    found |= proj_settings(lines, found["init"])
    found |= _tokens(lines, found)
    return found | _bias(lines, found)


def _check_arguments(lines: Lines) -> None:
    """Refuse arguments and values that no settings have."""
    between = lines.between
    new = {"kv_heads": between.kv_heads, "causal": between.causal, "score": between.score == COSINE}
    for name, is_new in new.items():
        if is_new:
            message = f"`{between.score if name == 'score' else name}`"
            raise Unlike(message, name)
    q, k, v = (lines.branches[n] for n in LETTERS)
    if k == v or (q in (k, v) and q.application >= 0):
        message = "branches that are one value"
        raise Unlike(message, "k", "v", "q")
    if len(between.over) > 2:
        message = "more than two parts of the heads"
        raise Unlike(message, "over")
    if len(lines.biases) > 1:
        message = "several biases"
        raise Unlike(message, "bias")
    if lines.externals:
        message = "lines that begin with another value than what enters"
        raise Unlike(message, "k", "q")


def _pools(q: Branch, k: Branch, v: Branch) -> dict[str, Any]:
    """Return the settings of poolings."""
    if q.first is not None:
        message = "queries pooled in front of their projection"
        raise Unlike(message, "q")
    keys, is_first = _key_pools(k, v)
    found: dict[str, Any] = {"kv_pool_first": True} if is_first else {}
    pools: list[Any] = [pool.layer for pool in (q.pool, keys) if pool is not None]
    if not pools:
        return found
    for name, pool in (("q", q.pool), ("kv", keys)):
        if pool is not None:
            layer: Any = pool.layer
            found |= {f"{name}_pool": layer.kernel, f"{name}_stride": layer.stride}
    kinds = {"conv": "conv", "maxpool": "max", "avgpool": "avg"}
    found["pool"] = kinds[_same([p.kind for p in pools], "poolings")]
    if found["pool"] == "conv":
        found["init"] = _same([p.init for p in pools], "initialisers")
    return found | _norms([b.norm for b in (q, k, v) if b.pool is not None or b.first is not None])


def _key_pools(k: Branch, v: Branch) -> tuple[Application | None, bool]:
    """Return the pooling of keys and values, and True if it is in front of their projections."""
    if k.linear is None and k.first is not None and v.first is None:  # keys without a projection
        pools, is_first = (k.first, v.pool), False
    else:
        is_first = k.first is not None or v.first is not None
        pools = (k.first, v.first) if is_first else (k.pool, v.pool)
    one, other = pools
    if (one is None) != (other is None):
        message = "one of keys and values pooled"
        raise Unlike(message, "k", "v")
    if one is not None and other is not None:
        _same([one.layer.values(), other.layer.values()], "poolings of keys and values")
    return one, is_first


def _norms(norms: Sequence[Application | None]) -> dict[str, Any]:
    """Return the settings of normalisations behind poolings."""
    layers: list[Any] = [n.layer for n in norms if n is not None]
    if not layers:
        return {}
    if len(layers) < len(norms):
        message = "a normalisation of some branches"
        raise Unlike(message, "q", "k", "v")
    return {"pool_norm": True, "eps": _same([n.eps for n in layers], "eps")}


def _check_sharing(found: dict[str, Any], branches: Sequence[Branch]) -> None:
    """Check that projections share tensors as those of the settings do."""
    names = {a.letters for b in branches if (a := b.linear) is not None}
    wanted = {"v"} if found["score"] == GAUSSIAN else {"q", "kv"} if found.get("kv_pool_first") else {"qkv"}
    if names != wanted:
        message = f"the projections {' and '.join(f'`{n}`' for n in sorted(names))}"
        hint = "it can print `qkv: linear(…)`, or `v: linear(…)` alone"
        raise Unlike(message, "k", "v", "q", hint=hint)


def proj_settings(lines: Lines, init: Symbol | None) -> dict[str, Any]:
    """Return the settings of the last projection, perhaps of the sum of the result and the queries."""
    origin = lines.branches["proj"]
    last = lines.applications[origin.application] if origin.application >= 0 else None
    if last is None or last.layer.kind != "linear":
        message = "an attention whose last line is not `proj: linear(…)`"
        raise Unlike(message, "proj")
    layer: Any = last.layer
    found: dict[str, Any] = {"out": channels_of(layer.out, lines.x), "proj_bias": layer.bias}
    if init is not None and layer.init != init:
        found["proj_init"] = layer.init
    [before] = last.inputs[0]
    if before.application == RESULT:
        return found
    added = lines.applications[before.application] if before.application >= 0 else None
    if added is None or not is_added_query(lines, added):
        message = "this in front of the last projection"
        raise Unlike(message, "proj")
    return found | {"add_query": True}


def is_added_query(lines: Lines, added: Application) -> bool:
    """Return True for the sum of the result and the queries without their tokens."""
    if added.layer.kind != "add" or len(added.inputs[0]) != 2:
        return False
    result, query = added.inputs[0]
    is_grid = not lines.shapes["q"].token
    if query.application >= 0 and lines.applications[query.application].layer.kind == "select":
        [query] = lines.applications[query.application].inputs[0]
        is_grid = True
    return result.application == RESULT and query == lines.branches["q"] and is_grid


def _tokens(lines: Lines, found: dict[str, Any]) -> dict[str, Any]:
    named = [a for a in lines.applications if a.letters.startswith("token_")]
    if not named:
        return {}
    layers: list[Any] = [a.layer for a in named]
    if {a.letters for a in named} != {"token_q", "token_kv"} or any(a.kind != "linear" for a in layers):
        message = "other lines of the class token than `token_q: linear(…)` and `token_kv: linear(…)`"
        raise Unlike(message, named[0].letters, "token_k", "token_q")
    _same([channels_of(a.out, lines.x) for a in layers] + [found["dim"]], "widths")
    _same([a.init for a in layers] + [found["init"]], "initialisers")
    return {"token_projections": True}


def _bias(lines: Lines, found: dict[str, Any]) -> dict[str, Any]:
    if not lines.biases:
        return {"position": NONE}
    [bias] = lines.biases
    layer: Any = bias.layer
    if (layer.kind, bias.label) not in OF_SETTINGS:
        message = f"the bias `{layer.kind}` with tensors called `{bias.label}`"
        raise Unlike(message, "bias")
    if layer.kind == TABLE:
        return {"position": TABLE, "table_prefix": layer.prefix, "position_init": layer.init}
    settings = Attention(**{k: a.default for k, a in Attention.attributes.items()} | found)
    steps = zip(layer.made_for, settings.queries.step, settings.keys.step, strict=True)
    made_for = tuple(n * min(int(s), int(r)) for n, s, r in steps)
    return {"position": DECOMPOSED, "position_grid": made_for, "position_init": layer.init}
