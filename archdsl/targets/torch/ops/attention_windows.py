"""Windows and bands of an attention: their module, which the layers of a stage share, and what its templates print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.targets.torch.ops.attention_patterns import patterns
from archdsl.targets.torch.ops.base import plain
from archdsl.targets.torch.ops.sites import SharedModule

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_base import BaseAttention

TEMPLATE = "attention_windows.j2"
_MEMBERS = (("t", "i", "p"), ("h", "j", "q"), ("w", "k", "r"))  # axes, positions of a window, windows beside each other


def windows(op: BaseAttention) -> SharedModule:
    """Return the windows that an attention cuts its grid into."""
    layer = op.layer
    queries, keys = layer.lines.tokens
    most = max(queries, keys, key=lambda tokens: tokens.number)
    found, table = layer.geometry.groups, layer.table
    sides = (layer.queries, layer.keys) if layer.strided else (layer.queries,)
    is_padded = found.is_padded and op.operations.form.cut_first  # otherwise values are, before they are divided
    values: dict[str, Any] = {"grid": found.grid if is_padded else found.padded, "window": found.window}
    if layer.strided:
        counts = tuple(n // k for n, k in zip(found.padded, found.window, strict=True))
        values = {"counts": counts, "q_window": layer.geometry.queries, "kv_window": layer.geometry.keys}
    apart = "".join(a for a, d in zip("thw", found.dilation, strict=True) if d != 1)
    if apart:
        values["apart"] = found.dilation
    if table is not None:
        if layer.strided:
            values |= {"q_stride": plain(layer.queries.step), "kv_stride": plain(layer.keys.step)}
        values["table"] = plain(table.geometry.largest)
    given = tuple(values)
    if found.is_shifted:
        moved = (found.of_size(found.shift, plain(side.size)) for side in sides)
        values |= dict(zip(("shift", "kv_shift"), moved, strict=False))
    options: dict[str, Any] = {
        "token": most.number,
        "q_tokens": queries.number,
        "kv_tokens": keys.number,
        "noun": most.noun,
        "table": table is not None,
        "causal": layer.causal,
        "drops": layer.dropout > 0,
        "scaled": layer.is_scaled,
        "biased": op.is_biased,
        "of_groups": op.bias_takes_queries,
        "sided": "masks" in op.forms,
        "fused": "tables" in op.forms,
        "prefix": table is not None and table.takes_first_rows,
        "strided": layer.strided,
        "attends": layer.softmax,
        "parameters": given,
        "shifted_parameters": tuple(values),
    }
    options |= _texts(layer.axes, apart) | _arguments(options)
    name = f"{'Padded' if is_padded else ''}{'Shifted' if found.is_shifted else ''}Windows"
    return SharedModule(name, "Windows", TEMPLATE, tuple(options.items()), tuple(values.values()), tuple(values))


def _texts(axes: str, apart: str) -> dict[str, Any]:
    """Return the einops patterns of windows, and the names of the sizes in them."""
    grid, batch, group = patterns(axes, windows=True, apart=apart)
    members = [(name if axis in axes else "_", side if axis in apart else "_") for axis, name, side in _MEMBERS]
    sizes = [name for pair in members for name in pair if name != "_"]
    return {
        "grid": grid,
        "batch": batch,
        "group": group,
        "apart": apart,
        "members": ", ".join(name for name, _ in members),
        "members_apart": ", ".join(side for _, side in members),
        "sizes": ", ".join(f"{name}={name}" for name in sizes),
        "joined": ", ".join(f"{name}={name}" for name in sorted(sizes)),
    }


def _arguments(options: dict[str, Any]) -> dict[str, str]:
    """Return parameters and arguments of the attention between the positions of a window."""
    biased, drops = options["biased"], options["drops"]
    mask = "bias" if biased else ""
    if options["causal"]:
        mask = "bias.masked_fill(self.later, -torch.inf)" if biased else "~self.later"
    return {
        "taken": f"{', bias: Tensor' if biased else ''}{', dropout: float' if drops else ''}",
        "mask": f", attn_mask={mask}" if mask else "",
        "dropped": ", dropout_p=dropout" if drops else "",
        "scale": "" if options["scaled"] else ", scale=1.0",
    }


def band(op: BaseAttention) -> SharedModule:
    """Return the module of a band, which the layers of a stage share."""
    layer, tokens = op.layer, op.inputs[0].tokens
    options: dict[str, Any] = {
        "token": tokens.number,
        "noun": tokens.noun,
        "table": layer.table is not None,
        "drops": layer.dropout > 0,
        "scaled": layer.is_scaled,
        "causal": layer.causal,
    }
    parameters = "length", "reach", "chunk"
    return SharedModule("Band", "Band", "attention_band.j2", tuple(options.items()), layer.chunks, parameters)
