"""LayerSteps between positions in an attention with lines: biases, masks, and the attention itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import CONCATENATION, DOT_PRODUCT
from archdsl.targets.torch.ops.attention_layouts import HEADS, Layout

if TYPE_CHECKING:
    from archdsl.layers.attention import Attention
    from archdsl.targets.torch.ops.attention_layers import LayerSteps

WITHOUT_SOFTMAX = (DOT_PRODUCT, CONCATENATION)  # scores whose weights are divided by the number of keys


def widths_of(layer: Attention) -> tuple[int, int]:
    """Return the channels of a head of queries and of values; of values twice where they need not be alike."""
    d, e = layer.widths
    return (e, e) if layer.score in WITHOUT_SOFTMAX or layer.cap else (d, e)


def masks_frames(layer: Attention, axes: str) -> bool:
    """Return True if a mask hides later frames; along time alone, without biases or tokens, the kernel itself does."""
    more = (
        layer.lines.biases
        or any(layer.lines.tokens)
        or layer.score in WITHOUT_SOFTMAX
        or layer.form == "windows"
        or layer.cap
    )
    return layer.causal and "t" in axes and (axes != "t" or bool(more))


class Attending:
    """The operations from queries, keys and values of each group to the result.

    Args:
        steps: operations so far.
        axes: looked along.
    """

    way = "whole"  # how the code attends: to all keys, or as a shared module does
    name = "y"  # of the result

    def __init__(self, steps: LayerSteps, axes: str = "") -> None:
        self.steps, self.layer = steps, steps.layer
        self.axes = axes or self.layer.axes
        self.sees_token = True  # whether queries of a class token are among these
        self.scale = ""  # which of the learned scales of cosines are those of these heads
        self.key_heads = self.layer.kv_heads if self.way == "whole" else 0  # if several heads of queries share them
        self.widths = widths_of(self.layer)

    def run(self, q: int, k: int, v: int) -> int:
        """Return the result, in the layout `HEADS`."""
        if self.steps.widens:
            return self._widened(q, k, v)
        if self.layer.cap:
            return self._capped(q, k, v)
        bias = self.bias(q)
        if self.layer.score in WITHOUT_SOFTMAX:
            return self._average(q, k, v)
        return self.finish(self.attend([*self.prepare(q, k, v), *bias]), v)

    def prepare(self, q: int, k: int, v: int) -> list[int]:
        """Return queries, keys and values as the kernel takes them."""
        q, k = self._unit(q, k)
        if self.way != "whole":
            k, v = self.repeat(k, v)
        return self._pad(q, k, v)

    def _unit(self, q: int, k: int) -> tuple[int, int]:
        """Return queries and keys of unit length, the queries times the learned scale, where scores are cosines."""
        if not self.layer.cosine:
            return q, k
        heads = Layout(HEADS)
        [q] = self.steps.add("scaled_cosine", [q], heads, names=("q",), copies=True, scale=self.scale)
        return q, self.steps.add("normalised", [k], heads, names=("k",), copies=True)[0]

    def _widened(self, q: int, k: int, v: int) -> int:
        """Return the result of attention whose bias is that of further channels, so that no mask is stored."""
        heads, add = Layout(HEADS), self.steps.add
        [logits] = add("bias", [q], heads, names=("logits",), number=0)
        q, k = self._unit(q, k)
        [places] = add("places", [k], heads, names=("places",), label=self.layer.lines.biases[0].label)
        [wide_k] = add("widened", [k, places], heads, names=("k",), copies=True)
        [wide_v] = add("padded", [v, wide_k], heads, names=("v",), copies=True, widths=self.widths)
        [wide_q] = add("widened", [q, logits], heads, copies=True)
        [y] = add(
            "attended", [wide_q, wide_k, wide_v, q], heads, names=("y",), copies=True, ends=(q, k, v), way="widened",
            is_causal=False, along=self.axes, key_heads=self.key_heads, widths=self.widths,
        )  # fmt: skip
        d, e = self.widths
        return add("narrowed", [y, v if d > e else q], heads, widths=self.widths)[0]

    def attend(self, inputs: list[int]) -> int:
        """Return the result for prepared queries, keys and values and perhaps a bias."""
        if self.way == "whole" and masks_frames(self.layer, self.axes):
            inputs = inputs[:3] + self._mask(inputs)
        is_causal = self.layer.causal and self.axes == "t" and len(inputs) == 3
        return self.steps.add(
            "attended", inputs, Layout(HEADS), names=(self.name,), copies=True, way=self.way, is_causal=is_causal,
            along=self.axes, key_heads=self.key_heads, widths=self.widths,
        )[0]  # fmt: skip

    def finish(self, y: int, v: int) -> int:
        """Return the result without channels that only the kernel needs."""
        d, e = self.widths
        return self.steps.add("narrowed", [y, v], Layout(HEADS), widths=self.widths)[0] if d > e else y

    def repeat(self, k: int, v: int) -> tuple[int, int]:
        """Return keys and values for each head, where several heads share them."""
        if not self.layer.kv_heads or (self.way == "whole" and not self.key_heads):
            return k, v
        heads = Layout(HEADS)
        [repeated] = self.steps.add("repeated", [k], heads, names=("k",), copies=True)
        if v == k:
            return repeated, repeated
        return repeated, self.steps.add("repeated", [v], heads, names=("v",), copies=True)[0]

    def bias(self, q: int) -> list[int]:
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
        queries = queries if self.sees_token else 0
        return self.steps.add("beside_token", values, heads, names=("bias",), queries=queries, keys=keys)

    def _average(self, q: int, k: int, v: int) -> int:
        """Return the sum of values times scores, divided by the number of keys."""
        k, v = self.repeat(k, v)
        given = [q, k]
        if self.layer.score == CONCATENATION:
            given += self.steps.add("pair_parts", [], Layout(""), Layout(""), names=("first", "second"))
        inputs = [q, k, v]
        if self.layer.causal and "t" in self.axes:
            seen = self._seen(q, k)
            [score] = self.steps.add("scores", given, Layout(HEADS), copies=True)
            inputs += [*self.steps.add("visible", [score, seen], Layout(HEADS), names=("score",), copies=True), seen]
        elif self.layer.score == CONCATENATION:
            inputs += self.steps.add("scores", given, Layout(HEADS), names=("score",), copies=True)
        return self.steps.add("attended", inputs, Layout(HEADS), names=("y",), copies=True, way="averaged")[0]

    def _capped(self, q: int, k: int, v: int) -> int:
        """Return the result of attention whose scores are limited, which no fused kernel computes."""
        k, v = self.repeat(k, v)
        [score] = self.steps.add("capped", [q, k], Layout(HEADS), names=("score",), copies=True)
        if masks_frames(self.layer, self.axes):
            seen = self._seen(q, k)
            [score] = self.steps.add("hidden", [score, seen], Layout(HEADS), names=("score",), copies=True)
        inputs = [q, k, v, score]
        return self.steps.add("attended", inputs, Layout(HEADS), names=("y",), copies=True, way="capped")[0]

    def _pad(self, q: int, k: int, v: int) -> list[int]:
        """Return queries, keys and values of one width, which fused kernels need; products have any."""
        heads = Layout(HEADS)
        d, e = self.widths
        if d > e:
            return [q, k, *self.steps.add("padded", [v, q], heads, names=("v",), copies=True, widths=self.widths)]
        if d < e:  # queries grow, too, as the kernel divides by √e
            [q] = self.steps.add("padded_queries", [q, v], heads, names=("q",), copies=True, widths=self.widths)
            return [q, *self.steps.add("padded", [k, v], heads, names=("k",), copies=True, widths=self.widths), v]
        return [q, k, v]

    def _mask(self, inputs: list[int]) -> list[int]:
        """Return the mask that hides later frames, in place of the bias if there is one."""
        seen = self._seen(*inputs[:2])
        if len(inputs) == 3:
            return [seen]
        return self.steps.add("hidden", [inputs[3], seen], Layout(HEADS), names=("bias",))

    def _seen(self, q: int, k: int) -> int:
        """Return which keys are of no later frame than a query."""
        frames, numbers = self.steps.measured[0], [tokens.number for tokens in self.steps.form.tokens]
        ends = zip((q, k), ("q_frames", "k_frames"), numbers, strict=True)
        rows = [self.steps.add("frames_of", [x, frames], Layout(""), names=(name,), token=n)[0] for x, name, n in ends]
        return self.steps.add("not_later", rows, Layout(HEADS), names=("seen",))[0]


class InWindows(Attending):
    """Attention in windows, by a shared module that hides positions from the other side of the border."""

    way = "windows"
