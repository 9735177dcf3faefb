"""Attention with lines: its class, composed of the code of the lines' layers and of the form."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import fixed
from archdsl.layers.attention_lines import CONCATENATION, COSINE, DOT_PRODUCT, OUTSIDE, SOFTMAX, Origin, X
from archdsl.layers.attention_token_lines import applied, has_token_lines
from archdsl.layers.attention_written import WrittenAttention
from archdsl.layers.groups import spanned
from archdsl.targets.torch.ops.attention_bands import band
from archdsl.targets.torch.ops.attention_code import Composer
from archdsl.targets.torch.ops.attention_forms_memory import KeptOfForms, KeptOfTimes
from archdsl.targets.torch.ops.attention_lines_memory import KeptOfLines
from archdsl.targets.torch.ops.attention_steps import Operations
from archdsl.targets.torch.ops.attention_windows import windows
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from archdsl.layers.attention_lines import Application, BiasLine
    from archdsl.layers.base import Layer
    from archdsl.targets.torch.ops.sites import CallSite, Printer, SavedForBackward, TrainingStep


WEIGHTS = {
    SOFTMAX: "softmax(q·k/√d)",
    DOT_PRODUCT: "q·k/N",
    CONCATENATION: "relu(w·[q,k])/N",
    COSINE: "softmax(s·cos(q, k))",
}


@op("attention_written")
class WrittenAttentionOp(Op[WrittenAttention]):
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

    @property
    def written(self) -> WrittenAttention:
        """The layer that it implements."""
        return self.layer

    @cached_property
    def parts(self) -> list[tuple[Application, Op[Any]]]:
        """The ops of the lines' layers."""
        from archdsl.targets.torch.select import op_of

        return [(a, op_of(a.layer, a.shapes, a.shape)) for a in applied(self.written.lines)]

    @cached_property
    def biases(self) -> list[tuple[BiasLine, Op[Any]]]:
        """The ops of the biases."""
        from archdsl.targets.torch.select import op_of

        return [(b, op_of(b.layer, (), self.output)) for b in self.written.lines.biases]

    @property
    def is_biased(self) -> bool:
        return bool(self.written.lines.biases)

    @property
    def bias_takes_queries(self) -> bool:
        return any(b.layer.takes_queries for b in self.written.lines.biases)

    @cached_property
    def operations(self) -> Operations:
        """The operations of its code."""
        return Operations(self.written, self.inputs, [op for _, op in self.parts])

    def of(self, layer: Layer) -> Self:
        other = super().of(layer)
        for name in ("parts", "biases", "operations"):  # which are those of the layer
            other.__dict__.pop(name, None)
        return other

    def output_layout(self, layout: str) -> str:
        return TOKENS if self.output.tokens else CHANNELS_LAST

    def class_signature(self) -> tuple[Any, ...]:
        layer = self.written
        own = [(op.class_signature(), tuple(map(int, a.shapes[0].size)) if a.tokens else ()) for a, op in self.parts]
        names = [tuple(name for name, _ in arguments.values()) for arguments in self.bias_arguments()]
        biases = [op.class_signature() for _, op in self.biases]
        apart = tuple(d != 1 for d in layer.dilation)
        sides = layer.queries.is_own, layer.keys.is_own
        filled = (layer.lines.entering.size, layer.lines.x.size) if self.operations.form.fills else ()
        form = layer.form, filled, self.inputs[0].tokens, sides, layer.dim == 0, layer.dropout > 0, apart
        return (*form, *layer.structure(), *own, *biases, *names)

    def submodule_classes(self) -> dict[str, str]:
        found = {a.name: op.torch_class for a, op in self.parts if op.torch_class}
        if self.written.score == CONCATENATION:
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
        layer, found = self.written, set[str]()
        if layer.form == "windows" and layer.softmax and layer.is_scaled and not any(layer.lines.tokens):
            found.add("masks")  # lowers scores by 100; without scaling, scores can differ by more
        if layer.form == "windows" and layer.table is not None:
            found.add("tables")
        return frozenset(found)

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        own, kind = has_token_lines(self.written.lines), self.written.form
        if kind in ("band", "parts") or (own and kind == "whole"):
            return KeptOfForms(self, step).total()
        return (KeptOfTimes if own else KeptOfLines)(self, step).total()

    def shape_arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        layer, form = self.written, self.operations.form
        if layer.form == "windows":
            found["windows"] = windows(self)
        if layer.is_banded:
            found["band"] = band(self)
        for letter, name in (("q", "q_grid"), ("k", "kv_grid")):
            if form.copies(letter):
                found[name if form.strided else "grid"] = layer.lines.size(letter)
        for arguments in self.bias_arguments():
            found |= dict(arguments.values())
        return found

    def bias_arguments(self) -> list[dict[str, tuple[str, Any]]]:
        """Return the sizes of each bias: their names in the constructor, where alike ones share a name, and values."""
        known: dict[str, Any] = {}
        found: list[dict[str, tuple[str, Any]]] = []
        for bias, own in self.biases:
            given = own.shape_arguments()
            names = {k: k if known.get(k, v) == v else f"{bias.label}_{k}" for k, v in given.items()}
            known |= {names[k]: v for k, v in given.items()}
            found.append({k: (names[k], v) for k, v in given.items()})
        return found

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, form = self.written, self.operations.form
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
        layer = self.written
        if self._is_cross():
            return "CrossAttention"
        if layer.form in ("windows", "band"):
            return "WindowAttention" if layer.form == "windows" else "BandedAttention"
        return "PoolingAttention" if layer.queries.is_own else "Attention"

    def _roots(self, letter: str) -> set[int]:
        """Return which values a branch is made of: 0 for what enters, the others from 1."""
        lines, found = self.written.lines, set[int]()
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
        layer = self.written
        over = " and over ".join(layer.over).replace("_", " and ")
        wheres = {"windows": " in windows", "parts": ", each with an equal part of the heads"}
        where = " along a band" if layer.is_banded else wheres.get(layer.form, "")
        kind = "Cross-attention" if self._is_cross() else "Attention" if self.others else "Self-attention"
        q, k, v = (self._names(letter) for letter in "qkv")
        of = f" of {q} to {k if k == v else f'keys of {k} and values of {v}'}" if self.others else ""
        pooled = ", to pooled keys and values" if layer.keys.is_own and not self.others else ""
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
        if (output.size, output.tokens) == (x.size, x.tokens) and not self.others:
            return f"x and the result are {layout}."
        result = channels_last_text(output.tokens)
        result = result if output.size == x.size else _primed(result)
        return f"{', '.join(given)} → {result}."


def _primed(layout: str) -> str:
    """Return a layout of other sizes."""
    for letter in "THWC":
        layout = layout.replace(letter, f"{letter}'")
    return layout
