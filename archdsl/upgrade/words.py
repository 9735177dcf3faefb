"""The words of `attention` in version 0.1; a module that costs a check of a spec next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.frontend import ast

if TYPE_CHECKING:
    from archdsl.upgrade.scopes import Call

WORD = "attention"
# In the order of arguments without names.
ORDER = """
    heads dim out over half_over window shift dilation band score scale pool q_pool q_stride kv_pool kv_stride
    kv_pool_first pool_norm eps add_query position position_grid table_prefix token_projections dropout bias proj_bias
    init proj_init position_init
""".split()  # fmt: skip
KEPT = {"heads", "over", "window", "shift", "dilation", "band", "scale", "dropout"}
OLD_SCORES = {"embedded_gaussian", "gaussian"}
CHOICES = {
    "over": ("space_time", "space", "time", "height", "width"),
    "half_over": ("same", "space_time", "space", "time", "height", "width"),
    "score": ("embedded_gaussian", "gaussian", "dot_product", "concatenation"),
    "pool": ("max", "avg", "conv"),
    "position": ("none", "table", "decomposed"),
}


def first_to_ask(call: Call) -> ast.Argument | None:
    """Return the first argument that can be a setting of version 0.1, as far as its name and its place say."""
    for position, argument in enumerate(call.arguments or ()):
        is_word = isinstance(argument.value, ast.Name) and argument.value.id in CHOICES["over"]
        is_by_place = argument.name is None and position > 0 and isinstance(call, ast.Layer) and not is_word
        if is_by_place or (argument.name is not None and argument.name.id in ORDER and argument.name.id not in KEPT):
            return argument
    return None
