"""The arguments of an attention, and the names of its lines."""

from __future__ import annotations

from archdsl.core.values import Symbol, Value, is_list
from archdsl.layers.attributes import Attribute, Choice, Flag, Integer, Real, Size, Window
from archdsl.layers.base import Layer
from archdsl.layers.groups import AXES

LETTERS = "qkv"
TOKEN = "token_"  # before the letters of lines of the class token alone
RESULT_LINE, BIAS_LINE = "proj", "bias"
_LETTERS = ("q", "k", "v", "qk", "qv", "kv", "qkv")
LINES = {  # the branches of each line, by its name
    **{name: list(name) for name in _LETTERS},
    **{TOKEN + name: [TOKEN + letter for letter in name] for name in _LETTERS},
    RESULT_LINE: [RESULT_LINE],
}
# Names that no bias can have: those of members of a class, and of the beginnings of other tensors.
TAKEN = frozenset(
    """
    pair logit_scale heads kv_heads dropout grid q_grid kv_grid windows band parts split split_keys join
    """.split()
).union(LINES)
EACH_HEAD, GRID = LINE_BRACES = "each_head", "grid"  # braces that show a part of a value
SOFTMAX, DOT_PRODUCT, CONCATENATION, COSINE = "softmax", "dot_product", "concatenation", "cosine"


class Over(Attribute[tuple[str, ...]]):
    """Axes to look along, or a list of them, of which each has an equal part of the heads."""

    expects = "`space_time`, `space`, `time`, `height`, `width`, or a list of these"
    words = tuple(AXES)
    choices = tuple(AXES)

    def convert(self, value: Value) -> tuple[str, ...]:
        items = value if is_list(value) else (value,)
        names = tuple(v.name for v in items if isinstance(v, Symbol) and v.name in AXES and not v.arguments)
        if not names or len(names) < len(items):
            raise self.wrong(value)
        return names


class Between(Layer):
    """The arguments of an attention: what happens between positions."""

    kind = "attention"

    heads = Integer(1, doc="parts of the channels that attend on their own")
    kv_heads = Integer(0, minimum=0, doc="heads of keys and values, each for several of the queries; 0: as many")
    over = Over(("space_time",), doc="the axes that a position looks along")
    window = Window(0, doc="positions of a group over t, h and w; `all`: the whole axis, if it is looked along")
    shift = Size(0, minimum=0, doc="how far the windows are moved")
    dilation = Size(1, doc="distance between neighbours in a group")
    band = Integer(0, minimum=0, doc="positions that each sees before and behind it, together; 0: all")
    causal = Flag(False, doc="whether a position sees no later frame")
    score = Choice(SOFTMAX, DOT_PRODUCT, CONCATENATION, COSINE, default=SOFTMAX, doc="the pairwise function")
    scale = Flag(True, doc="whether `softmax` divides by √d")
    dropout = Real(0.0, high=1.0, doc="in training, the part of the weights that is 0")
    cap = Real(0.0, doc="limit of the scores c: they become c · tanh(score / c), as in Gemma 2; 0: none")


Between.attributes = {k: v for k, v in vars(Between).items() if isinstance(v, Attribute)}
