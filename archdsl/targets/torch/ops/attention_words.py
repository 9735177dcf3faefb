"""Names of the generated classes of attentions, and their docstrings."""

from __future__ import annotations

from archdsl.layers.attention_arguments import CONCATENATION, COSINE, DOT_PRODUCT, SOFTMAX, TOKEN
from archdsl.layers.attention_lines import OUTSIDE, Origin, X
from archdsl.targets.torch.ops.attention_sizes import SizedAttention
from archdsl.targets.torch.ops.axes_text import channels_last_text

WEIGHTS = {
    SOFTMAX: "softmax(q·k/√d)",
    DOT_PRODUCT: "q·k/N",
    CONCATENATION: "relu(w·[q,k])/N",
    COSINE: "softmax(s·cos(q, k))",
}


class DescribedAttention(SizedAttention):
    """Base class of the op of attention: names and docstrings."""

    @property
    def form_word(self) -> str:
        return self._class().removesuffix("Attention")

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
        """Return which values a branch is made of: 0 for what enters, the others from 1; none for learned vectors."""
        lines, found = self.layer.lines, set[int]()
        waiting = [lines.branches[letter]]
        while waiting:
            origin = waiting.pop()
            if origin.application >= 0:
                application = lines.applications[origin.application]
                waiting += [o for part in application.inputs for o in part if not application.layer.ignores_input]
            else:
                found.add(0 if origin == Origin(X) else 1 + lines.externals.index(OUTSIDE - origin.application))
        return found

    def _is_cross(self) -> bool:
        """Return True if keys and values come from other values than queries, which are not learned vectors."""
        q, k, v = (self._roots(letter) for letter in "qkv")
        return bool(q) and not q & (k | v)

    def _doc(self) -> str:
        layer = self.layer
        over = "each row" if self.turns else " and over ".join(layer.told_over).replace("_", " and ")
        wheres = {"windows": " in windows", "parts": ", each with an equal part of the heads"}
        where = " along a band" if layer.is_banded else wheres.get(layer.form, "")
        is_learned = not self._roots("q")
        outside = {
            root for letter in "qkv" for root in self._roots(letter) if root
        }  # values that queries, keys and values are made of
        kind = "Cross-attention" if self._is_cross() else "Attention" if outside or is_learned else "Self-attention"
        q, k, v = (self._names(letter) for letter in "qkv")
        of = " of learned queries" if is_learned else " of pooled queries" if self._pools("q") else ""
        of = f" of {q} to {k if k == v else f'keys of {k} and values of {v}'}" if outside else of
        pooled = ", to pooled keys and values" if self._pools("k") and not outside else ""
        earlier = ", to no later frame" if layer.causal else ""
        weights = WEIGHTS[layer.score] if layer.scale else WEIGHTS[layer.score].replace("/√d", "")
        if layer.cap:
            limit = f"({layer.cap:g}·√d)" if layer.scale else f"{layer.cap:g}"
            weights = f"softmax({layer.cap:g}·tanh(q·k/{limit}))"
        scale = ", s a learned scale for each head" if layer.cosine else ""
        biases = [b.layer.title or f"the bias `{b.layer.kind}`" for b in layer.lines.biases]
        bias = f", b {' plus '.join(biases)}" if biases else ""
        weights = f"{weights.removesuffix(')')} + b){bias}" if bias else weights
        joined = [name for number, name in enumerate(self.others, start=1) if number not in outside]
        result = f"; the projection reads {' and '.join(joined)}, too" if joined else ""
        return f"{kind}{of} over {over}{where}{pooled}{earlier}, weighted by {weights}{scale}{result}."

    def _names(self, letter: str) -> str:
        return " and ".join(("x", *self.others)[i] for i in sorted(self._roots(letter))) or "learned vectors"

    def _io(self) -> str:
        x, output = self.inputs[0], self.output
        if self.turns:
            return "x and the result are (B, rows, positions, C)."
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


def _primed(layout: str) -> str:
    """Return a layout of other sizes."""
    for letter in "THWC":
        layout = layout.replace(letter, f"{letter}'")
    return layout
