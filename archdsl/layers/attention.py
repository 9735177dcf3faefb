from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import Grid, fixed
from archdsl.core.sym import formula_of
from archdsl.layers.attention_arguments import CONCATENATION, RESULT_LINE, Between
from archdsl.layers.attention_costs import macs
from archdsl.layers.attention_facts import AttentionFacts
from archdsl.layers.attention_interior import interior_of
from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.layers.attention_tensors import line_axes, line_inits, pair_init
from archdsl.layers.attributes import Integer
from archdsl.layers.axes import Axis, Heads, Inner
from archdsl.layers.base import layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.values import Symbol
    from archdsl.layers.attention_lines import Application, BiasLine, Lines
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer
    from archdsl.layers.interior import Interior

DIM = Integer(0, minimum=0, doc="channels of queries, all heads together; 0: those of the input")
LOGIT_SCALE = "logit_scale"  # of cosines, a number for each head
PAIR = "pair.weight"  # of the score `concatenation`: a number for each channel of a query, then of a key


@layer("attention", category="attention")
class Attention(AttentionFacts):
    """Attention: each position gathers values from others, weighted by how its query meets their keys.

    y[i] = proj(Σ f(q[i], k[j]) · v[j]), over the positions j that `over`, `window` and the like select. The weights f
    are, for N positions (Wang et al. 2018, section 3.2; Vaswani et al. 2017): `softmax`: softmax(q·k / √d + b) with d
    channels a head and the biases b; `cosine`: the same of τ · cos(q, k) with a learned τ for each head (Liu et al.
    2022); `dot_product`: q·k / N; `concatenation`: relu(w · [q, k]) / N with learned w. With a `cap` of c, scores of
    `softmax` are c · tanh(q·k / (c · √d)), between -c and c (Gemma Team 2024, section 2).

    Positions are looked at in groups: all along the axes of `over`, or in a `window`, which becomes as small as the
    axis that it covers. Windows that do not divide the grid are filled with zeros, which are looked at as the rest (Liu
    et al. 2022); `shift` moves all windows towards the end, round the border, where positions from its two sides do not
    see each other: their scores are 100 lower, as in the authors' code, or −∞ beside a class token and without `scale`.
    With a `dilation` of d a group holds every d-th position. A `band` of n lets each position see n/2 before and behind
    it, and costs as much as the axis is long.

    Lines in braces say how queries, keys and values are made; without braces each is a linear layer of what enters.
    Where lines change the grid of queries or keys, windows are cut out of theirs.

    A class token is one more position of each group: where there are several it is copied, and its results are
    averaged. In a band it sees all positions, and all see it (Beltagy et al. 2020). It has no distance.
    """

    heavy = True
    takes_tokens = True
    takes_lines = True

    def __init__(self, lines: Lines) -> None:
        super().__init__(**lines.between.values(), dim=_channels(lines.shapes["q"].channels, lines.x))
        self.lines = lines
        attributes: dict[str, Attribute[Any]] = {**Between.attributes, "dim": DIM}
        for name, inner in layers_inside(lines):
            attributes |= {f"{name}.{k}": a for k, a in inner.attributes.items()}
        self.__dict__["attributes"] = attributes

    def values(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.attributes if "." not in name}
        for name, inner in layers_inside(self.lines):
            found |= {f"{name}.{k}": v for k, v in inner.values().items()}
        return found

    def changed(self, **values: Any) -> Attention:
        other = copy(self)
        other.__dict__.update({k: v for k, v in values.items() if "." not in k})
        lines = other.lines = copy(self.lines)
        lines.applications, lines.biases = [copy(a) for a in lines.applications], [copy(b) for b in lines.biases]
        for name, line in lines_inside(lines):
            own = {k.removeprefix(f"{name}."): v for k, v in values.items() if k.startswith(f"{name}.")}
            layer: Any = line.layer.changed(**own)
            line.layer = layer
        return other

    def has_code_of(self, other: Layer) -> bool:
        own, theirs = self.values(), other.values()
        if isinstance(other, Attention) and self.is_of_frames and other.is_of_frames:
            own["over"] = theirs["over"]
        return own == theirs

    def for_inference(self) -> Attention:
        other = self.changed(dropout=0.0)
        for _, line in lines_inside(other.lines):
            line.frozen = False
        other.trains = False
        return other

    def layers_inside(self) -> Sequence[Layer]:
        return [layer for _, layer in layers_inside(self.lines)]

    def reads_places(self) -> bool:
        grouped = self.over != ("space_time",) or any(self.window) or self.causal
        return grouped or any(layer.reads_places() for layer in self.layers_inside())

    # --- facts ---

    # --- rules ---

    def infer(self, *inputs: Grid) -> Grid:
        if self.is_sized(inputs[0]):
            for x in inputs:
                fixed(x)
        found = self._grid([self.lines.filled(x) for x in inputs])
        return Grid(found.channels, *inputs[0].size, found.tokens) if self.lines.is_filled else found

    def _grid(self, inputs: Sequence[Grid]) -> Grid:
        """Return the shape of what leaves, all heads together, for inputs of these shapes."""
        branches, found = self.lines.branches, dict[Origin, Grid]()

        def of(origin: Origin) -> Grid:
            if origin.application == RESULT:
                q, v = (of(branches[n]) for n in "qv")
                channels = v.channels // self.kv_heads * self.heads if self.kv_heads else v.channels
                return Grid(channels, *q.size, q.tokens)
            if origin.application < 0:
                outside = self.lines.externals
                return inputs[0 if origin.application == X else 1 + outside.index(OUTSIDE - origin.application)]
            return found[origin]

        for origin in self._origins(branches[RESULT_LINE]):
            found[origin] = self._made(origin, [of(o) for o in self.lines.read_by(origin)])
        return of(branches[RESULT_LINE])

    def _origins(self, end: Origin) -> list[Origin]:
        """Return the values of applications that a value is computed from, itself too, in their order."""
        waiting, seen = [end], set[Origin]()
        while waiting:
            origin = waiting.pop()
            if origin in seen:
                continue
            seen.add(origin)
            if origin.application == RESULT:
                waiting += [self.lines.branches[n] for n in "qv"]
            elif origin.application >= 0:
                waiting += self.lines.read_by(origin)
        return sorted(origin for origin in seen if origin.application >= 0)

    def _made(self, origin: Origin, given: Sequence[Grid]) -> Grid:
        """Return the shape of a value that an application makes of others."""
        application = self.lines.applications[origin.application]
        heads = application.heads
        seen = zip(given, application.shapes, strict=True)
        shape = application.layer.infer(*(Grid(x.channels // heads, *x.size, s.tokens) for x, s in seen))
        part = min(origin.part, len(application.tokens) - 1)
        tokens = application.tokens[part] if application.tokens else shape.tokens
        return Grid(shape.channels * heads, *shape.size, tokens)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        own: dict[str, tuple[int, ...]] = {PAIR: (1, 2 * self.widths[0])} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            own |= bias.named(bias.layer.weights())
        scale = {LOGIT_SCALE: (int(self.heads), 1, 1)} if self.cosine else {}
        return self.lines.weights() | own | scale

    def frozen_weights(self) -> list[str]:
        found = [name for a in self.lines.applications if a.frozen for name in a.weights()]
        return found + [name for b in self.lines.biases if b.frozen for name in b.named(b.layer.weights())]

    def frozen_members(self) -> list[str]:
        held: dict[str, dict[str, bool]] = {}  # by the outermost member
        for a in self.lines.applications:
            has_mode = a.layer.training_only and not self.is_idle(a)
            if a.owner is None and (a.weights() or has_mode):
                members = held.setdefault(a.name.partition(".")[0], {})
                members[a.name] = a.frozen and members.get(a.name, True)
        held |= {b.label: {b.label: b.frozen} for b in self.lines.biases if b.layer.weights()}
        whole = {outer: [outer] if all(members.values()) else members for outer, members in held.items()}
        return [name for outer, members in whole.items() for name in members if held[outer].get(name, True)]

    def buffers(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for a in self.lines.applications:
            found |= {f"{a.name}.{k}": shape for k, shape in a.layer.buffers(*a.shapes).items()}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.buffers())
        return found

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        found: dict[str, tuple[Axis, ...]] = {PAIR: (Axis(), Inner(2))} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.tensor_axes())
        scale: dict[str, tuple[Axis, ...]] = {LOGIT_SCALE: (Heads(), Axis(), Axis())} if self.cosine else {}
        return found | line_axes(self.lines) | scale

    def owner(self, tensor: str) -> tuple[Layer, str]:
        for application in self.lines.applications:
            if tensor.startswith(f"{application.name}."):
                return application.layer, tensor.removeprefix(f"{application.name}.")
        return self, tensor

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        found = {PAIR: pair_init(self.lines)} if self.score == CONCATENATION else {}
        for bias in self.lines.biases:
            found |= bias.named(bias.layer.inits())
        return found | line_inits(self.lines)

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return macs(self)

    def weighted_macs(self, *, frozen: bool) -> int:
        return sum(a.macs() for a in self.lines.applications if a.frozen or not frozen)

    def interior(self, *inputs: Grid) -> Interior | None:
        return interior_of(self.lines, self.params(*inputs), self.macs(self.infer(*inputs), *inputs))

    def connections(self) -> tuple[object, ...]:
        return tuple((a.name, a.inputs) for a in self.lines.applications)


def lines_inside(lines: Lines) -> list[tuple[str, Application | BiasLine]]:
    """Return the layers of lines and biases, each with the name before those of its attributes."""
    layers = [(str(number), application) for number, application in enumerate(lines.applications)]
    return [*layers, *((f"bias.{bias.label}", bias) for bias in lines.biases)]


def layers_inside(lines: Lines) -> list[tuple[str, Layer]]:
    """Return the layers alone."""
    return [(name, line.layer) for name, line in lines_inside(lines)]


def _channels(out: int, x: Grid) -> int:
    """Return a number of channels; 0 for those of the input."""
    return 0 if formula_of(out) == formula_of(x.channels) else out
