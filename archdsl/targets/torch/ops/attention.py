"""Attention with lines: its class, composed of the code of the lines' layers and of the form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import fixed
from archdsl.layers.attention_arguments import CONCATENATION
from archdsl.layers.attention_token_lines import has_token_lines
from archdsl.layers.groups import spanned
from archdsl.targets.torch.ops.attention_code import Composer
from archdsl.targets.torch.ops.attention_forms_memory import KeptOfForms, KeptOfTimes
from archdsl.targets.torch.ops.attention_memory import KeptOfLines
from archdsl.targets.torch.ops.attention_words import DescribedAttention
from archdsl.targets.torch.ops.base import op, plain
from archdsl.targets.torch.ops.decomposed import DISTANCES
from archdsl.targets.torch.ops.head_conv import TAPS
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import CallSite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.targets.torch.ops.sites import Printer, SavedForBackward, TrainingStep


@op("attention")
class AttentionOp(DescribedAttention):
    """Attention with lines."""

    imports = (
        "from einops import rearrange",
        "from einops import repeat",
        "import math",
    )
    layouts = (CHANNELS_LAST, TOKENS)

    @property
    def turns(self) -> bool:
        return self.layer.lines.crosses_frames

    @property
    def role(self) -> str:
        return "rows" if self.turns else "_".join(self.layer.told_over)

    @property
    def spanned_role(self) -> str:
        if self.turns:
            return self.role
        names = (spanned(name, fixed(self.inputs[0])) for name in self.layer.told_over)
        return "_".join(dict.fromkeys(names))

    def output_layout(self, layout: str) -> str:
        return TOKENS if self.output.tokens else CHANNELS_LAST

    def class_values(self) -> Mapping[str, Any]:
        return {k: v for k, v in self.layer.values().items() if k != "over"}  # which stands in the structure

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
        parts = [(a, op) for a, op in self.parts if a.owner is None or a.frozen]  # a copy with gradients is kept
        own = sum(op.cast_weights() * (1 if op.for_heads else a.stack) for a, op in parts)
        return own + sum(op.cast_weights() for _, op in self.biases)

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
        if not step.trains and self.layer.dropout:
            return self.of(self.layer.changed(dropout=0.0)).saved_for_backward(step)
        own, kind = has_token_lines(self.layer.lines), self.layer.form
        if kind in ("band", "parts") or (own and kind == "whole"):
            return KeptOfForms(self, step).total()
        return (KeptOfTimes if own else KeptOfLines)(self, step).total()

    def shape_arguments(self) -> dict[str, Any]:
        found = self.of_form
        for arguments in self.sizes:
            found |= dict(arguments.values())
        return found

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
            "scaled": layer.is_scaled,
            "rest": " * ".join(a for a in "thw" if a not in layer.axes) or "1",
            "token": form.of("q").number,
            "noun": form.of("q").noun,
            "splits": self._splits(),
            "joins": form.copies("q"),
            "divided": form.divided,
            "score": layer.score,
            "dropout": layer.dropout or None,
            "cap": layer.cap or None,
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

    def inside(
        self, printer: Printer, site: CallSite, variables: dict[str, Any], write: Callable[[Any], Any]
    ) -> dict[str, Any]:
        if variables["dim"] == variables["channels"]:  # written alike, wherever the class is called
            variables = {**variables, "dim": None}
        return Composer(self, printer, site, variables).compose(write)
