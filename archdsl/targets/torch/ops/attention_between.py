"""Operations between positions in an attention with lines: biases, masks, and the attention itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_lines import DOT_PRODUCT
from archdsl.targets.torch.ops.attention_layouts import HEADS, Layout

if TYPE_CHECKING:
    from archdsl.layers.attention_written import WrittenAttention
    from archdsl.targets.torch.ops.attention_steps import Operations


def widths_of(layer: WrittenAttention) -> tuple[int, int]:
    """Return the channels of a head of queries and of values; of values twice where they need not be alike."""
    d, e = layer.widths
    return (d, e) if layer.score != DOT_PRODUCT else (e, e)


def masks_frames(layer: WrittenAttention) -> bool:
    """Return True if a mask hides later frames; along time alone, without biases or tokens, the kernel itself does."""
    is_time = layer.axes == "t" and layer.form != "windows"
    return layer.causal and not (is_time and not layer.lines.biases and not any(layer.lines.tokens))


class Attending:
    """The operations from queries, keys and values of each group to the result."""

    def __init__(self, steps: Operations) -> None:
        self.steps, self.layer = steps, steps.layer

    def run(self, q: int, k: int, v: int) -> int:
        """Return the result, in the layout `HEADS`."""
        layer, heads = self.layer, Layout(HEADS)
        bias = self._bias(q)
        if layer.cosine:
            [q] = self.steps.add("scaled_cosine", [q], heads, names=("q",), copies=True)
            [k] = self.steps.add("normalised", [k], heads, names=("k",), copies=True)
        if layer.kv_heads and (self.steps.form.kind == "windows" or not layer.softmax):
            [k] = self.steps.add("repeated", [k], heads, names=("k",), copies=True)
            [v] = self.steps.add("repeated", [v], heads, names=("v",), copies=True)
        inputs = self._pad(q, k, v)
        inputs += bias
        if masks_frames(self.layer) and self.layer.form != "windows":
            inputs += self._mask(inputs)
        [y] = self.steps.add("attended", inputs, heads, names=("y",), copies=True)
        d, e = widths_of(self.layer)
        return self.steps.add("narrowed", [y, v], heads)[0] if d > e else y

    def _bias(self, q: int) -> list[int]:
        """Return the sum of the biases, with zeros for tokens."""
        biases, heads = self.layer.lines.biases, Layout(HEADS)
        queries, keys = (tokens.number for tokens in self.steps.form.tokens)
        token = queries + keys
        if not biases:
            return []
        if queries and any(b.layer.takes_queries for b in biases):
            [q] = self.steps.add("without_token", [q], heads, token=queries)
        values: list[int] = []
        for number, bias in enumerate(biases):
            given = [q] if bias.layer.takes_queries else []
            names = ("bias",) if len(biases) == 1 and not token else ()
            values += self.steps.add("bias", given, heads, names=names, number=number)
        if len(values) > 1:
            values = self.steps.add("summed", values, heads, names=() if token else ("bias",))
        if not token:
            return values
        return self.steps.add("beside_token", values, heads, names=("bias",), queries=queries, keys=keys)

    def _pad(self, q: int, k: int, v: int) -> list[int]:
        """Return queries, keys and values of one width, which fused kernels need; products have any."""
        heads = Layout(HEADS)
        d, e = widths_of(self.layer)
        if d > e:
            return [q, k, *self.steps.add("padded", [v, q], heads, names=("v",), copies=True)]
        if d < e:  # queries grow, too, as the kernel divides by √e
            [q] = self.steps.add("padded_queries", [q, v], heads, names=("q",), copies=True)
            return [q, *self.steps.add("padded", [k, v], heads, names=("k",), copies=True), v]
        return [q, k, v]

    def _mask(self, inputs: list[int]) -> list[int]:
        """Return the mask that hides later frames, in place of the bias if there is one."""
        frames, numbers = self.steps.measured[0], [tokens.number for tokens in self.steps.form.tokens]
        ends = zip(inputs[:2], ("q_frames", "k_frames"), numbers, strict=True)
        rows = [self.steps.add("frames_of", [x, frames], Layout(""), names=(name,), token=n)[0] for x, name, n in ends]
        [seen] = self.steps.add("not_later", rows, Layout(HEADS), names=("seen",))
        if len(inputs) == 3:
            return [seen]
        bias = inputs.pop()
        return self.steps.add("hidden", [bias, seen], Layout(HEADS), names=("bias",))
