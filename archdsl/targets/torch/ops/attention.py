from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME, Grid, fixed
from archdsl.layers.attention import Attention
from archdsl.layers.attention_rules import (
    CONCATENATION,
    DECOMPOSED,
    DOT_PRODUCT,
    EMBEDDED_GAUSSIAN,
    GAUSSIAN,
    NONE,
    SAME,
    TABLE,
)
from archdsl.layers.groups import AXES, spanned
from archdsl.targets.torch.ops.attention_memory import saved
from archdsl.targets.torch.ops.attention_patterns import patterns
from archdsl.targets.torch.ops.attention_windows import windows_of_settings
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, compact, op, plain
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import SharedModule

if TYPE_CHECKING:
    from archdsl.layers.attention_rules import Pooling
    from archdsl.targets.torch.ops.sites import CallSite, SavedForBackward, TrainingStep

WEIGHTS = {
    EMBEDDED_GAUSSIAN: "softmax(q·k/√d)",
    GAUSSIAN: "softmax(x·x)",
    DOT_PRODUCT: "q·k/N",
    CONCATENATION: "relu(w·[q,k])/N",
}
BIASES = {
    DECOMPOSED: ", b the decomposed relative position bias",
    TABLE: ", b the relative position bias from a table",
}


@op("attention")
class AttentionOp(Op[Attention]):
    imports = ("from einops import rearrange", "from einops import repeat", "from torch.nn import functional as F")
    layouts = (CHANNELS_LAST, TOKENS)

    @property
    def role(self) -> str:
        return self.layer.over

    @property
    def spanned_role(self) -> str:
        return spanned(self.layer.over, fixed(self.inputs[0]))

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return saved(self, step)

    def cast_weights(self) -> int:
        shapes = self.layer.projections(self.inputs[0]).items()
        return sum(out * (into + self.layer.has_bias(name)) for name, (out, into) in shapes)

    def other_forms(self) -> frozenset[str]:
        layer = self.layer
        x = self.inputs[0]
        kind, found = layer.arrangement(x), set[str]()
        if layer.score == EMBEDDED_GAUSSIAN and layer.position == DECOMPOSED and kind in ("whole", "axes"):
            found.add("distances")
        if layer.score == EMBEDDED_GAUSSIAN and layer.scale and kind == "windows" and not x.token:
            found.add("masks")  # lowers scores by 100; without scaling, scores can differ by more
        if layer.position == TABLE and kind == "windows":
            found.add("tables")
        if layer.pool == "conv" and layer.pool_modules() and all(p.keeps_frames for p in (layer.queries, layer.keys)):
            found.add("taps")
        return frozenset(found)

    def class_signature(self) -> tuple[Any, ...]:
        layer = self.layer
        x = self.inputs[0]
        literal = () if layer.pool_modules(x.token) else (*map(int, layer.kv_pool), *map(int, layer.keys.step))
        pooled = layer.queries.is_there, layer.keys.is_there
        apart = tuple(d != 1 for d in layer.dilation)
        band = tuple(map(int, layer.dilation)) if layer.band else ()
        settings = layer.dim == 0, layer.out == 0, layer.dropout > 0, layer.eps, apart, band
        stretched = layer.position == DECOMPOSED and layer.is_stretched(x)
        return (
            stretched,
            self._is_alone(x),
            layer.arrangement(x),
            (x.token, x.tokens.number, x.tokens.noun),
            layer.is_banded(x),
            *pooled,
            *settings,
            *literal,
        )

    def _is_alone(self, x: Grid) -> bool:
        layer = self.layer
        return layer.heads == 1 and not layer.is_sized(x) and not layer.pool_modules() and not layer.pool_norm

    def submodule_classes(self) -> dict[str, str]:
        layer = self.layer
        found = dict.fromkeys(layer.projection_names(), "nn.Linear")
        found |= {f"{name}.conv": "nn.Conv3d" for name in layer.pool_modules()}
        positions = {DECOMPOSED: {"relative": "RelativePositions"}, TABLE: {"": self._class()}}
        return found | positions.get(layer.position, {})

    def _class(self) -> str:
        layer = self.layer
        if layer.names_windows and not layer.band:
            return "WindowAttention"
        if layer.band:
            return "BandedAttention"
        return "PoolingAttention" if layer.pool_modules() or layer.queries.is_there else "Attention"

    def shape_arguments(self) -> dict[str, Any]:
        layer = self.layer
        x = self.inputs[0]
        found: dict[str, Any] = dict(self._shared(x))
        grouped = layer.arrangement(x) in ("axes", "windows")
        grid = layer.groups(x).grid
        if x.token and (layer.pool_modules(x.token) or grouped):
            found["grid"] = grid
            if layer.pool_modules(x.token) and grouped:
                one = Grid(1, *grid)
                found["q_grid"], found["kv_grid"] = plain(layer.queries.of(one)), plain(layer.keys.of(one))
        if layer.position == DECOMPOSED:
            found["queries"], found["keys"] = layer.extents(x)
            if layer.is_stretched(x):
                found["tables"] = layer.position_rows(x)
        if layer.position == TABLE:
            found["rows"] = int(prod(2 * n - 1 for n in layer.table(x)))
        return found

    @property
    def is_biased(self) -> bool:
        """True if scores have a bias."""
        return self.layer.position != NONE

    @property
    def bias_takes_queries(self) -> bool:
        """True if the bias depends on the queries, so that each group has its own."""
        return self.layer.position == DECOMPOSED

    def _shared(self, x: Grid) -> dict[str, SharedModule]:
        layer = self.layer
        drops = layer.dropout > 0
        options: dict[str, Any] = {
            "token": x.tokens.number,
            "q_tokens": x.tokens.number,
            "kv_tokens": x.tokens.number,
            "noun": x.tokens.noun,
            "table": layer.position == TABLE,
            "causal": False,
            "drops": drops,
            "scaled": layer.scale,
            "biased": self.is_biased,
            "of_groups": self.bias_takes_queries,
            "sided": "masks" in self.forms,
            "fused": "tables" in self.forms,
        }
        if layer.arrangement(x) == "band" and layer.is_banded(x):
            name = ("Band", "Band", "attention_band.j2")
            return {"band": SharedModule(*name, tuple(options.items()), layer.chunks(x))}
        if layer.arrangement(x) != "windows":
            return {}
        return {"windows": windows_of_settings(layer, x, options)}

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        x = self.inputs[0]
        kind, pools = layer.arrangement(x), layer.pool_modules(x.token)
        _, batch, group = patterns(layer.axes)
        halves = [
            patterns(AXES[o])[1:] for o in (layer.over, layer.half_over if layer.half_over != SAME else layer.over)
        ]
        return {
            "name": self._class(),
            "doc": self._doc(),
            "kind": kind,
            "banded": kind == "band" and layer.is_banded(x),
            "channels": site.inputs[0].channels,
            "dim": layer.dim or None,
            "out": layer.out or None,
            "heads": None if self._is_alone(x) else layer.heads,
            "score": layer.score,
            "scaled": layer.scale,
            "token": x.tokens.number,
            "noun": x.tokens.noun,
            "frame": x.token == FRAME,
            "over": layer.axes,
            "batch": batch,
            "group": group,
            "halves": halves,
            "others": " * ".join(a for a in "thw" if a not in layer.axes) or "1",
            "row": list(self._row()) if layer.band else None,
            "io": channels_last_text(x.tokens),
            "keeps_grid": kind in ("axes", "windows") and not layer.pooled,
            "q_pooled": layer.queries.is_there,
            "kv_pooled": layer.keys.is_there,
            "pool": layer.pool,
            "modules": bool(pools),
            "pool_norm": layer.pool_norm,
            "eps": None if layer.eps == 1e-5 else layer.eps,
            "pool_first": layer.kv_pool_first,
            "functional": None if pools or not layer.keys.is_there else _arguments(layer.keys),
            "functional_q": None if pools or not layer.queries.is_there else _arguments(layer.queries),
            "add_query": layer.add_query,
            "position": layer.position,
            "distances": "distances" in self.forms,
            "taps": "taps" in self.forms,
            "own": layer.token_projections,
            "dropout": layer.dropout or None,
            "bias": layer.bias,
            "proj_bias": layer.proj_bias,
            **self._kernels(x),
        }

    def _kernels(self, x: Grid) -> dict[str, Any]:
        """Return the kernels and strides of the poolings that are modules."""
        layer = self.layer
        found: dict[str, Any] = {}
        if "q_pool" in layer.pool_modules(x.token):
            found |= {"q_kernel": layer.q_pool, "q_step": layer.queries.step}
        if "kv_pool" in layer.pool_modules(x.token):
            found |= {"kv_kernel": layer.kv_pool, "kv_step": layer.keys.step}
        return found

    def _row(self) -> tuple[str, str, str, str]:
        """Return both sides of the einops pattern from a grid to sequences, and the sizes for each direction."""
        layer = self.layer
        others = [a for a in "thw" if a not in layer.axes]
        sizes = ", ".join(f"{a}={a}" for a in others)
        dilation = int(layer.dilation["thw".index(layer.axes)])
        if dilation == 1:
            return "t h w", f"(b {' '.join(others)}) {layer.axes}", "", sizes
        grid = " ".join(f"({a} p)" if a == layer.axes else a for a in "thw")
        return grid, f"(b {' '.join(others)} p) {layer.axes}", f", p={dilation}", f"{sizes}, p={dilation}"

    def _doc(self) -> str:
        layer = self.layer
        axes = layer.over.replace("_", " and ")
        where = {"windows": " in windows"}.get(layer.arrangement(self.inputs[0]), "")
        where = " along a band" if layer.is_banded(self.inputs[0]) else where
        pooled = ", to pooled keys and values" if layer.keys.is_there else ""
        weights = WEIGHTS[layer.score] if layer.scale else WEIGHTS[layer.score].replace("/√d", "")
        bias = BIASES.get(layer.position, "")
        if bias:
            weights = f"{weights.removesuffix(')')} + b){bias}" if weights.endswith(")") else f"{weights} + b{bias}"
        return f"Self-attention over {axes}{where}{pooled}, weighted by {weights}."


def _arguments(pooling: Pooling) -> str:
    """Return the arguments of torch's pooling functions."""
    texts = [str(compact(pooling.kernel))]
    if pooling.step != pooling.kernel:
        texts.append(f"stride={compact(pooling.step)}")
    if any(pooling.padding):
        texts.append(f"padding={compact(pooling.padding)}")
    return ", ".join(texts)
