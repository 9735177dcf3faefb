"""Attention with lines: its class, composed of the code of the lines' layers and of the form."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid
from archdsl.layers.attention_lines import OUTSIDE, Origin, X
from archdsl.layers.attention_rules import EMBEDDED_GAUSSIAN
from archdsl.targets.torch.ops.attention import WEIGHTS, AttentionOp
from archdsl.targets.torch.ops.attention_code import Composer
from archdsl.targets.torch.ops.attention_lines_memory import saved_by_lines
from archdsl.targets.torch.ops.attention_steps import Operations
from archdsl.targets.torch.ops.axes_text import channels_last_text
from archdsl.targets.torch.ops.base import op, plain
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from archdsl.layers.attention_lines import Application, BiasLine
    from archdsl.layers.attention_written import WrittenAttention
    from archdsl.layers.base import Layer
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.ops.sites import CallSite, Printer, SavedForBackward, TrainingStep


@op("attention_written")
class WrittenAttentionOp(AttentionOp):
    """Attention with lines."""

    imports = (*AttentionOp.imports, "import math")

    @property
    def written(self) -> WrittenAttention:
        """The layer that it implements."""
        layer: Any = self.layer
        return layer

    @cached_property
    def parts(self) -> list[tuple[Application, Op[Any]]]:
        """The ops of the lines' layers."""
        from archdsl.targets.torch.select import op_of

        return [(a, op_of(a.layer, a.shapes, a.shape)) for a in self.written.lines.applications]

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
        own = [(op.class_signature(), tuple(map(int, a.shapes[0].size)) if a.tokens else ()) for a, op in self.parts]
        names = [tuple(name for name, _ in arguments.values()) for arguments in self.bias_arguments()]
        biases = [op.class_signature() for _, op in self.biases]
        return (*super().class_signature(), *self.written.structure(), *own, *biases, *names)

    def submodule_classes(self) -> dict[str, str]:
        found = {a.name: op.torch_class for a, op in self.parts if op.torch_class}
        found |= {k: v for k, v in super().submodule_classes().items() if not k}
        for bias, own in self.biases:
            found |= bias.named(own.submodule_classes())
        return found

    def cast_weights(self) -> int:
        return sum(op.cast_weights() * a.stack for a, op in self.parts) + sum(
            op.cast_weights() for _, op in self.biases
        )

    def other_forms(self) -> frozenset[str]:
        return super().other_forms() - {"distances"}

    def saved_for_backward(self, step: TrainingStep) -> SavedForBackward:
        return saved_by_lines(self, step)

    def shape_arguments(self) -> dict[str, Any]:
        found, layer, x = super().shape_arguments(), self.written, self.inputs[0]
        if "grid" in found and layer.pooled:
            one = Grid(1, *found.pop("grid"))
            found["q_grid"], found["kv_grid"] = plain(layer.queries.of(one)), plain(layer.keys.of(one))
        if layer.arrangement(x) == "windows" and x.token and layer.pooled:
            found.pop("grid", None)
        found.pop("rows", None)
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
            "rest": " * ".join(a for a in "thw" if a not in layer.axes) or "1",
            "token": form.token,
            "noun": self.inputs[0].tokens.noun,
            "copies_token": form.is_split,
            "strided": form.strided,
            "score": layer.score,
            "softmax": layer.score == EMBEDDED_GAUSSIAN,
            "scaled": layer.scale,
            "causal": layer.causal,
            "dropout": layer.dropout or None,
        }

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
        if layer.arrangement(self.inputs[0]) == "windows":
            return "WindowAttention"
        return "PoolingAttention" if layer.queries.is_there else "Attention"

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
        over = layer.over.replace("_", " and ")
        where = " in windows" if layer.arrangement(self.inputs[0]) == "windows" else ""
        kind = "Cross-attention" if self._is_cross() else "Attention" if self.others else "Self-attention"
        q, k, v = (self._names(letter) for letter in "qkv")
        of = f" of {q} to {k if k == v else f'keys of {k} and values of {v}'}" if self.others else ""
        pooled = ", to pooled keys and values" if layer.keys.is_there and not self.others else ""
        earlier = ", to no later frame" if layer.causal else ""
        weights = WEIGHTS[layer.score] if layer.scale else WEIGHTS[layer.score].replace("/√d", "")
        scale = ", s a learned scale for each head" if layer.cosine else ""
        weights = "softmax(s·cos(q, k))" if layer.cosine else weights
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
        if output.size == x.size and not self.others:
            return f"x and the result are {layout}."
        result = layout if output.size == x.size else _primed(layout)
        return f"{', '.join(given)} → {result}."


def _primed(layout: str) -> str:
    """Return a layout of other sizes."""
    for letter in "THWC":
        layout = layout.replace(letter, f"{letter}'")
    return layout
