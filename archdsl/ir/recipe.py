"""Recipes: the hyperparameters of training and testing a network."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import Symbol, is_list, normal
from archdsl.layers.attributes import Attribute, AttributeFault, Choice, Flag, Integer, Numbers, Real

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archdsl.core.values import Value


class Clash(NamedTuple):
    """Values that contradict each other."""

    names: tuple[str, ...]
    message: str
    hint: str


class Recipe:
    """The hyperparameters of training and testing, with their defaults."""

    fields: ClassVar[Mapping[str, Attribute[Any]]]  # by name, in the order of the documentation

    optimizer = Choice("sgd", "adamw", default="sgd", doc="stochastic gradient descent, or AdamW (Loshchilov 2019)")
    lr = Real(0.1, doc="the learning rate at its highest, for `lr_batch` clips")
    lr_batch = Integer(
        64,
        minimum=0,
        doc="clips that `lr` is for: it grows linearly with the batch (Goyal et al. 2017); 0: it does not",
    )
    momentum = Real(0.9, high=1.0, doc="of SGD")
    nesterov = Flag(True, doc="whether momentum is Nesterov's (Sutskever et al. 2013)")
    betas = Numbers((0.9, 0.999), counts=(2,), high=1.0, doc="decays of AdamW's two moving averages")
    weight_decay = Real(1e-4, doc="of the weights of convolutions, linear layers and tables")
    decay_norms = Flag(False, doc="whether norms, biases, class tokens and positions decay, too")
    schedule = Choice("cosine", "steps", "constant", default="cosine", doc="of the learning rate (Loshchilov 2017)")
    steps = Numbers((), doc="epochs at which the learning rate is multiplied by `gamma`")
    gamma = Real(0.1, high=1.0, doc="factor of the learning rate at each of `steps`")
    epochs = Integer(100, doc="times that all videos are seen")
    warmup = Real(0, doc="epochs in which the learning rate grows linearly (Goyal et al. 2017)")
    warmup_start = Real(0.1, high=1.0, doc="share of the learning rate that the warm-up begins with")
    final_lr = Real(0, high=1.0, doc="share of the learning rate that `cosine` ends with")
    layer_decay = Real(
        1, high=1.0, doc="factor of the learning rate for each block from the head to the input (Bao et al. 2022)"
    )
    backbone_lr = Real(1, doc="factor of the learning rate for all but the head (Liu et al. 2022)")
    clip_gradient = Real(0, doc="greatest norm of the gradient of all weights together; 0: any")
    ema = Real(0, high=1.0, doc="decay of the moving average of the weights; 0: none")
    label_smoothing = Real(0, high=1.0, doc="share of a label that all classes have in common (Szegedy et al. 2016)")
    mixup = Real(0, doc="α of mixup (Zhang et al. 2018); 0: none")
    cutmix = Real(0, doc="α of CutMix (Yun et al. 2019); 0: none")
    erase = Real(0, high=1.0, doc="probability that a box of a clip is erased (Zhong et al. 2020)")
    interval = Integer(1, doc="frames from one of a clip to the next, at `fps`")
    fps = Real(30, low=1.0, doc="frames a second that `interval` counts")
    sampling = Choice(
        "dense", "segments", default="dense",
        doc="frames `interval` apart, or one of each of equal parts of the video (Wang et al. 2016)",
    )  # fmt: skip
    jitter = Numbers(
        (8 / 7, 10 / 7), counts=(2,), low=1.0,
        doc="range of a frame's shorter side in training, in crops: 256 to 320 for a crop of 224",
    )  # fmt: skip
    area = Numbers(
        (), counts=(0, 2), high=1.0,
        doc="range of the share of a frame that a crop has, as `[0.08, 1]` (Szegedy et al. 2015), in place of `jitter`",
    )  # fmt: skip
    flip = Flag(True, doc="whether half of the clips are mirrored, left to right")
    mean = Numbers((0.45,) * 3, counts=(1, 2, 3, 4), doc="of each channel, or one of all, on [0, 1]: it is subtracted")
    std = Numbers((0.225,) * 3, counts=(1, 2, 3, 4), low=1e-6, doc="of each channel, or one of all: it is divided by")
    test_scale = Real(8 / 7, low=1.0, doc="a frame's shorter side in a test, in crops")
    test_clips = Integer(10, doc="moments of a video that a test looks at")
    test_crops = Integer(
        3, among=(1, 3), doc="parts of a frame that a test looks at: 1, the centre, or 3 along the longer side"
    )

    def __init__(self, **values: Any) -> None:
        """Make a recipe of values that have been checked; `replace` checks its values."""
        self.__dict__.update(values)

    def as_dict(self) -> dict[str, Any]:
        """Return all values by name, as JSON data: numbers, bools, words and lists of numbers."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.fields}
        return {n: list(v) if is_list(v) else v for n, v in values.items()}

    def replace(self, **values: Any) -> Recipe:
        """Return the recipe with other values, which are checked as those of a spec.

        Raises:
            ValueError: if a recipe has no such name, a value does not suit, or values do not go together.
        """
        changed = dict(vars(self))
        for name, value in values.items():
            if name not in self.fields:
                hint = did_you_mean(name, self.fields)
                message = f"a recipe has no {name!r}" + (f": {hint}" if hint else "")
                raise ValueError(message)
            try:
                changed[name] = self.fields[name].convert(_value(value))
            except (AttributeFault, ValueError) as error:
                message = f"{name}: {error}"
                raise ValueError(message) from None
        recipe = Recipe(**changed)
        for clash in recipe.clashes():
            message = f"{' and '.join(clash.names)}: {clash.message}; {clash.hint}"
            raise ValueError(message)
        return recipe

    def clashes(self) -> Iterator[Clash]:
        """Yield contradictions among values that are valid by themselves."""
        if bool(self.steps) != (self.schedule == "steps"):
            message = "`steps` are of no use" if self.steps else "the epochs of its `steps` are missing"
            hint = "`schedule = steps` and `steps = [30, 60]` go together; with other schedules `steps = []`"
            yield Clash(("schedule", "steps"), f"with `schedule = {self.schedule}` {message}", hint)
        if list(self.steps) != sorted(set(self.steps)):
            yield Clash(("steps",), "epochs that do not ascend", "each epoch stands once, the first one first")
        for name in ("jitter", "area"):
            limits: tuple[float, ...] = getattr(self, name)
            if limits and limits[0] > limits[1]:
                yield Clash((name,), "the first limit is above the second", "write `[least, greatest]`")
        if len(self.mean) != len(self.std):
            message = f"`mean` and `std` have {len(self.mean)} and {len(self.std)} numbers"
            yield Clash(("mean", "std"), message, "both have one number for each channel, or one for all")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.fields))

    def __repr__(self) -> str:
        """Return the values that differ from the defaults, as a constructor call."""
        changed = {n: v for n, v in self.as_dict().items() if getattr(self, n) != self.fields[n].default}
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


Recipe.fields = {name: value for name, value in vars(Recipe).items() if isinstance(value, Attribute)}


def _value(value: Any) -> Value:
    """Convert a Python value to a value of the language; a string becomes a word.

    Raises:
        ValueError: if it has no counterpart.
    """
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return Symbol(value)
    if isinstance(value, (float, Fraction)) and math.isfinite(value):
        return normal(Fraction(repr(value)) if isinstance(value, float) else value)
    if isinstance(value, (list, tuple)):
        return tuple(map(_value, cast("Sequence[Any]", value)))
    message = f"{value!r} is not a finite number, a bool, a word or a list of them"
    raise ValueError(message)
