"""The layer that lines of an attention are printed as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME
from archdsl.layers.attention import Attention
from archdsl.layers.attention_facts import Unlike, settings
from archdsl.layers.attention_rules import DECOMPOSED
from archdsl.layers.attention_written import OWN, WrittenAttention, line_inits, written
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines

OF_SETTINGS = ("E0509", "E0510", "E0511", "E0512")  # codes of settings that do not go together


def layer_of(lines: Lines) -> Attention | WrittenAttention:
    """Return the layer of lines.

    Raises:
        Unlike: if their code cannot be printed.
    """
    return written(lines)


def _has_settings(lines: Lines) -> bool:
    """Return True for lines that are printed from settings, if they amount to some."""
    is_pooled = any(a.by_head and a.layer.kind == "conv" for a in lines.applications)
    is_decomposed = any(b.layer.kind == DECOMPOSED for b in lines.biases)
    is_filled = lines.x != lines.entering and bool(lines.x.tokens)
    of_frames = lines.x.token == FRAME and any(a.tokens or a.layer.kind == "select" for a in lines.applications)
    return is_pooled or is_decomposed or is_filled or of_frames


def _of_settings(lines: Lines) -> Attention:
    """Return the layer whose settings say what lines say.

    Raises:
        Unlike: if there are none.
    """
    layer = Attention(**settings(lines))
    layer.written_in = lines
    try:
        layer.infer(lines.entering)
    except ShapeError as error:
        if error.code in OF_SETTINGS:
            message = f"these lines ({error.message})"
            raise Unlike(message, *lines_of(error.attribute)) from error
    _check_names(lines, layer)
    begun = {k: v for k, v in layer.inits(lines.entering).items() if not k.startswith(OWN)}
    if begun != line_inits(lines):
        message = "tensors that begin otherwise"
        raise Unlike(message, "k", "q")
    return layer


def _check_names(lines: Lines, layer: Attention) -> None:
    """Refuse lines whose tensors the layer would call otherwise."""
    names = layer.weights(lines.entering)
    for application in lines.applications:
        if other := next((name for name in application.weights() if name not in names), ""):
            message = f"a tensor called `{other}`"
            hint = (
                "poolings of `conv` stand in a block called `pool`, and normalisations behind them are named `as norm`"
            )
            raise Unlike(message, application.letters, *application.letters, hint=hint)


def lines_of(setting: str) -> tuple[str, ...]:
    """Return the argument and the lines that a setting stands for."""
    lines = {"q_pool": "q", "q_stride": "q", "kv_pool": "k", "kv_stride": "k", "kv_pool_first": "k", "pool": "k"}
    lines |= {"pool_norm": "k", "add_query": "proj", "position": "bias", "position_grid": "bias", "half_over": "over"}
    return setting, lines.get(setting, "bias" if setting == "table_prefix" else "q")
