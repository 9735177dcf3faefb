"""Attention with lines: its class, composed of the code of the lines' layers and of the form."""

from __future__ import annotations

from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, FRAME, Grid, fixed
from archdsl.layers.attention import Attention
from archdsl.layers.attention_lines import (
    CONCATENATION,
    COSINE,
    DOT_PRODUCT,
    GRID,
    OUTSIDE,
    SOFTMAX,
    TOKEN,
    Origin,
    X,
)
from archdsl.layers.attention_token_lines import applied, has_token_lines
from archdsl.layers.groups import spanned
from archdsl.targets.torch.ops.attention_bands import band
from archdsl.targets.torch.ops.attention_code import Composer
from archdsl.targets.torch.ops.attention_forms_memory import KeptOfForms, KeptOfTimes
from archdsl.targets.torch.ops.attention_memory import KeptOfLines
from archdsl.targets.torch.ops.attention_steps import Operations
from archdsl.targets.torch.ops.attention_windows import windows
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op, plain
from archdsl.targets.torch.ops.decomposed import DISTANCES
from archdsl.targets.torch.ops.head_conv import TAPS
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import CallSite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from archdsl.layers.attention_lines import Application, BiasLine
    from archdsl.layers.base import Layer
    from archdsl.targets.torch.ops.sites import Printer, SavedForBackward, TrainingStep


WEIGHTS = {
    SOFTMAX: "softmax(q·k/√d)",
    DOT_PRODUCT: "q·k/N",
    CONCATENATION: "relu(w·[q,k])/N",
    COSINE: "softmax(s·cos(q, k))",
}


@op("attention")
class AttentionOp(Op[Attention]):
    """Attention with lines."""

    imports = (
        "from einops import rearrange",
        "from einops import repeat",
        "from torch.nn import functional as F",
        "import math",
    )
    layouts = (CHANNELS_LAST, TOKENS)

    @property
    def role(self) -> str:
        return "_".join(self.layer.over)

    @property
    def spanned_role(self) -> str:
        names = (spanned(name, fixed(self.inputs[0])) for name in self.layer.over)
        return "_".join(dict.fromkeys(names))

    @cached_property
    def parts(self) -> list[tuple[Application, Op[Any]]]:
        """The ops of the lines' layers; a layer that heads share can be one for all heads."""
        found = [(a, _op_of(a)) for a in applied(self.layer.lines)]
        return [(a, op.with_form(TAPS) if TAPS in self.forms & op.other_forms() else op) for a, op in found]

    @cached_property
    def biases(self) -> list[tuple[BiasLine, Op[Any]]]:
        """The ops of the biases."""
        from archdsl.targets.torch.select import op_of

        found = [(b, op_of(b.layer, (), self.output)) for b in self.layer.lines.biases]
        return [(b, op.with_form(DISTANCES)) if DISTANCES in self.forms else (b, op) for b, op in found]

    @property
    def is_biased(self) -> bool:
        return bool(self.layer.lines.biases)

    @property
    def bias_takes_queries(self) -> bool:
        return any(b.layer.takes_queries for b in self.layer.lines.biases)

    @cached_property
    def operations(self) -> Operations:
        """The operations of its code."""
        return Operations(self.layer, self.inputs, [op for _, op in self.parts], widens=DISTANCES in self.forms)

    def of(self, layer: Layer) -> Self:
        return super().of(layer)._afresh()

    def with_form(self, name: str) -> Self:
        return super().with_form(name)._afresh()

    def _afresh(self) -> Self:
        for name in ("parts", "biases", "operations", "sizes"):  # which follow from the layer and the forms
            self.__dict__.pop(name, None)
        return self

    def output_layout(self, layout: str) -> str:
        return TOKENS if self.output.tokens else CHANNELS_LAST

    def class_signature(self) -> tuple[Any, ...]:
        layer, code = self.layer, self.operations.form
        done = layer.residual()
        left_out = done.replaced if done is not None else frozenset[int]()
        own = [op.class_signature() for n, (_, op) in enumerate(self.parts) if n not in left_out]
        names = [tuple(name for name, _ in arguments.values()) for arguments in self.sizes]
        biases = [op.class_signature() for _, op in self.biases]
        apart = tuple(d != 1 for d in layer.dilation)
        is_cut = layer.form == "windows" or code.copies("q") or code.copies("k")
        sides = self._pools("q"), self._pools("k"), layer.strided and is_cut
        filled = (layer.lines.entering.size, layer.lines.x.size) if code.fills else ()
        form = layer.form, filled, self.inputs[0].tokens, sides, layer.dim == 0, layer.dropout > 0, apart
        return (*form, *layer.structure(), *own, *biases, *names)

    def numbers(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, (_, own) in enumerate(self.parts):
            plan = own.variables(CallSite(own.inputs, own.output)).items()
            found |= {f"{number}.{k}": plain(v) for k, v in plan if isinstance(v, (int, tuple))}
        return found

    def submodule_classes(self) -> dict[str, str]:
        found = {a.name: op.torch_class for a, op in self.parts if op.torch_class}
        if self.layer.score == CONCATENATION:
            found["pair"] = "nn.Linear"
        if any(b.layer.in_windows for b, _ in self.biases):
            found[""] = self._class()
        for bias, own in self.biases:
            found |= bias.named(own.submodule_classes())
        return found

    def cast_weights(self) -> int:
        return sum(op.cast_weights() * a.stack for a, op in self.parts) + sum(
            op.cast_weights() for _, op in self.biases
        )

    def other_forms(self) -> frozenset[str]:
        layer, found = self.layer, set[str]()
        if layer.form == "windows" and layer.softmax and layer.is_scaled and not any(layer.lines.tokens):
            found.add("masks")  # lowers scores by 100; without scaling, scores can differ by more
        if layer.form == "windows" and layer.table is not None:
            found.add("tables")
        poolings = [op for _, op in self.parts if op.for_heads]
        if poolings and all(TAPS in op.other_forms() for op in poolings):
            found.add(TAPS)
        if self._widens():
            found.add(DISTANCES)
        return frozenset(found)

    def _widens(self) -> bool:
        """Return True if its bias can become further channels of queries and keys, for which no mask is there."""
        layer = self.layer
        d, e = layer.widths
        queries, keys = layer.lines.tokens
        can = len(self.biases) == 1 and DISTANCES in self.biases[0][1].other_forms()
        return (
            can
            and layer.form in ("whole", "axes")
            and not has_token_lines(layer.lines)
            and d >= e
            and not layer.causal
            and queries.number == keys.number
        )

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        own, kind = has_token_lines(self.layer.lines), self.layer.form
        if kind in ("band", "parts") or (own and kind == "whole"):
            return KeptOfForms(self, step).total()
        return (KeptOfTimes if own else KeptOfLines)(self, step).total()

    def shape_arguments(self) -> dict[str, Any]:
        found = self.of_form
        for arguments in self.sizes:
            found |= dict(arguments.values())
        return found

    @property
    def of_form(self) -> dict[str, Any]:
        """The constructor arguments that the form needs, by parameter."""
        found: dict[str, Any] = {}
        layer, form = self.layer, self.operations.form
        if layer.form == "windows":
            found["windows"] = windows(self)
        if layer.is_banded:
            found["band"] = band(self)
        for letter, name in (("q", "q_grid"), ("k", "kv_grid")):
            if form.copies(letter):
                found[name if form.strided else "grid"] = layer.lines.size(letter)
        return found

    @cached_property
    def sizes(self) -> list[dict[str, tuple[str, Any]]]:
        """The sizes that the code of each layer and each bias needs.

        Their names in the constructor, where alike ones share a name, and values.
        """
        known = self.of_form
        found: list[dict[str, tuple[str, Any]]] = []
        given = [(a.name.replace(".", "_"), _sizes_of(a, own)) for a, own in self.parts]
        given += [(bias.label, own.shape_arguments()) for bias, own in self.biases]
        for label, sizes in given:
            named: dict[str, tuple[str, Any]] = {}
            for key, value in sizes.items():
                wanted = chain([key, f"{label}_{key}"], (f"{label}_{key}{i}" for i in count(2)))
                name = next(n for n in wanted if known.get(n, value) == value)
                known[name], named[key] = value, (name, value)
            found.append(named)
        return found

    @property
    def places(self) -> dict[tuple[int, ...], str]:
        """The names of the sizes of grids beside which class tokens go by."""
        own = zip(self.parts, self.sizes, strict=False)
        return {sizes[GRID][1]: sizes[GRID][0] for (a, op), sizes in own if is_beside(a, op)}

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, form = self.layer, self.operations.form
        return {
            "name": self._class(),
            "doc": self._doc(),
            "io": self._io(),
            "channels": site.inputs[0].channels,
            "dim": layer.dim or None,
            "heads": layer.heads,
            "kv_heads": layer.kv_heads or None,
            "others": self.others,
            "kind": form.kind,
            "batch": form.batch,
            "group": form.group,
            "over": layer.axes,
            "softmax": layer.softmax,
            "scaled": layer.is_scaled,
            "rest": " * ".join(a for a in "thw" if a not in layer.axes) or "1",
            "token": form.of("q").number,
            "noun": form.of("q").noun,
            "splits": self._splits(),
            "joins": form.copies("q"),
            "divided": form.divided,
            "score": layer.score,
            "causal": layer.causal,
            "dropout": layer.dropout or None,
        }

    def _splits(self) -> list[tuple[str, str, int, str, str]]:
        """Return the methods that copy tokens into groups, the method of windows and the grid of each."""
        form, found = self.operations.form, list[tuple[str, str, int, str, str]]()
        own = {"q": ("split", "q_grid"), "k": ("split_keys", "kv_grid")}
        for letter in "qk":
            name, tokens = form.way(letter), form.of(letter)
            inner, grid = own[letter] if form.strided else ("split", "grid")
            if form.copies(letter) and name not in (method for method, *_ in found):
                found.append((name, inner, tokens.number, tokens.noun, grid))
        return found

    @property
    def others(self) -> list[str]:
        """The names of the values from outside."""
        return [f"other{i + 1}" if i else "other" for i in range(len(self.inputs) - 1)]

    def inside(
        self, printer: Printer, site: CallSite, variables: dict[str, Any], write: Callable[[Any], Any]
    ) -> dict[str, Any]:
        return Composer(self, printer, site, variables).compose(write)

    # --- words ---

    def _class(self) -> str:
        layer = self.layer
        if self._is_cross():
            return "CrossAttention"
        if layer.form in ("windows", "band"):
            return "WindowAttention" if layer.form == "windows" else "BandedAttention"
        filters = any(op.for_heads for _, op in self.parts)
        return "PoolingAttention" if filters or layer.queries.is_own else "Attention"

    def _pools(self, letter: str) -> bool:
        """Return True if a branch is pooled, be it with a stride of 1."""
        pooling = self.layer.queries if letter == "q" else self.layer.keys
        own = [(a, op) for a, op in self.parts if letter in a.letters.removeprefix(TOKEN)]
        return pooling.is_own or any(op.for_heads or a.layer.pools_channels for a, op in own)

    def _roots(self, letter: str) -> set[int]:
        """Return which values a branch is made of: 0 for what enters, the others from 1."""
        lines, found = self.layer.lines, set[int]()
        waiting = [lines.branches[letter]]
        while waiting:
            origin = waiting.pop()
            if origin.application >= 0:
                waiting += [o for part in lines.applications[origin.application].inputs for o in part]
            else:
                found.add(0 if origin == Origin(X) else 1 + lines.externals.index(OUTSIDE - origin.application))
        return found

    def _is_cross(self) -> bool:
        """Return True if keys and values come from other values than queries."""
        q, k, v = (self._roots(letter) for letter in "qkv")
        return not q & (k | v)

    def _doc(self) -> str:
        layer = self.layer
        over = " and over ".join(layer.over).replace("_", " and ")
        wheres = {"windows": " in windows", "parts": ", each with an equal part of the heads"}
        where = " along a band" if layer.is_banded else wheres.get(layer.form, "")
        kind = "Cross-attention" if self._is_cross() else "Attention" if self.others else "Self-attention"
        q, k, v = (self._names(letter) for letter in "qkv")
        of = f" of {q} to {k if k == v else f'keys of {k} and values of {v}'}" if self.others else ""
        pooled = ", to pooled keys and values" if self._pools("k") and not self.others else ""
        earlier = ", to no later frame" if layer.causal else ""
        weights = WEIGHTS[layer.score] if layer.scale else WEIGHTS[layer.score].replace("/√d", "")
        scale = ", s a learned scale for each head" if layer.cosine else ""
        biases = [b.layer.title or f"the bias `{b.layer.kind}`" for b in layer.lines.biases]
        bias = f", b {' plus '.join(biases)}" if biases else ""
        weights = f"{weights.removesuffix(')')} + b){bias}" if bias else weights
        return f"{kind}{of} over {over}{where}{pooled}{earlier}, weighted by {weights}{scale}."

    def _names(self, letter: str) -> str:
        return " and ".join(("x", *self.others)[i] for i in sorted(self._roots(letter)))

    def _io(self) -> str:
        x, output = self.inputs[0], self.output
        layout = channels_last_text(x.tokens)
        given = [layout] if not self.others else []
        for name, other in zip(("x", *self.others), self.inputs if self.others else (), strict=False):
            other_layout = channels_last_text(other.tokens)
            given.append(f"{name} {layout if other == x else other_layout if name == 'x' else _primed(other_layout)}")
        is_same = output.size == x.size and not self._pools("q")
        if is_same and output.tokens == x.tokens and not self.others:
            return f"x and the result are {layout}."
        result = channels_last_text(output.tokens)
        result = result if is_same else _primed(result)
        return f"{', '.join(given)} → {result}."


def _op_of(application: Application) -> Op[Any]:
    """Return the op of a layer of a line: for all heads and parts at once, where it has such code."""
    from archdsl.targets.torch.select import op_of

    a, parts, tokens = application, len(application.inputs), set(application.tokens)
    layer = a.layer.shared_by_heads(a.heads, parts) if a.by_head and a.layer.filters_channels(*a.shapes) else None
    of_clip = not tokens or (len(tokens) == 1 and a.tokens[0].scope == CLIP)
    if layer is None or a.stack != parts or not of_clip:
        return op_of(a.layer, a.shapes, a.shape)
    [x], y = a.shapes, a.shape
    beside = a.tokens[0] if a.tokens else x.tokens
    given, made = (Grid(g.channels * a.heads * parts, *g.size, beside) for g in (x, y))
    return op_of(layer, (given,), made)


def _sizes_of(application: Application, op: Op[Any]) -> Mapping[str, Any]:
    """Return the sizes that a layer's code needs, and that of its input, beside which tokens go by."""
    if not is_beside(application, op):
        return op.shape_arguments()
    size = plain(application.shapes[0].size)
    of_frames = any(tokens.scope == FRAME for tokens in application.tokens)
    return {GRID: size[1:] if of_frames else size, **op.shape_arguments()}


def is_beside(application: Application, op: Op[Any]) -> bool:
    """Return True if class tokens go by a layer, whose code does not know of them."""
    return bool(application.tokens) and not op.for_heads


def _primed(layout: str) -> str:
    """Return a layout of other sizes."""
    for letter in "THWC":
        layout = layout.replace(letter, f"{letter}'")
    return layout
