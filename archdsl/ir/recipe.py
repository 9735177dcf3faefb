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
    """Values that contradict each other, or a list whose elements do; `code` is that of the diagnostic."""

    names: tuple[str, ...]
    message: str
    hint: str
    code: str = "E0510"


class Recipe:
    """The hyperparameters of training and testing, with their defaults."""

    fields: ClassVar[Mapping[str, Attribute[Any]]]  # by name, in the order of the documentation

    optimizer = Choice("sgd", "adamw", default="sgd", doc="stochastic gradient descent, or AdamW (Loshchilov 2019)")
    lr = Real(0.1, doc="peak learning rate, for a batch of `lr_batch` clips")
    lr_batch = Integer(
        64,
        minimum=0,
        doc="batch size of `lr`, which is scaled linearly with the batch (Goyal et al. 2017); 0: no scaling",
    )
    momentum = Real(0.9, high=1.0, doc="momentum of SGD")
    nesterov = Flag(True, doc="Nesterov momentum (Sutskever et al. 2013)")
    betas = Numbers((0.9, 0.999), counts=(2,), high=1.0, doc="decay rates of AdamW's two moments")
    weight_decay = Real(1e-4, doc="weight decay of the weights of convolutions and linear layers")
    decay_norms = Flag(False, doc="weight decay of norms, biases, class tokens and position embeddings, too")
    decay_positions = Flag(False, doc="weight decay of class tokens, position embeddings and tables of biases, too")
    schedule = Choice("cosine", "steps", "constant", default="cosine", doc="learning rate schedule (Loshchilov 2017)")
    steps = Numbers((), doc="epochs at which the learning rate is multiplied by `gamma`")
    gamma = Real(0.1, high=1.0, doc="factor of the learning rate at each of `steps`")
    epochs = Integer(100, doc="number of training epochs")
    warmup = Real(0, doc="epochs of linear warm-up of the learning rate (Goyal et al. 2017)")
    warmup_start = Real(0.1, high=1.0, doc="initial learning rate of the warm-up, as a fraction of the peak")
    cosine_after_warmup = Flag(False, doc="`cosine` begins at the end of the warm-up, not at the first epoch")
    final_lr = Real(0, high=1.0, doc="final learning rate of `cosine`, as a fraction of the peak")
    layer_decay = Real(
        1, high=1.0, doc="layer-wise decay of the learning rate, per block from the head to the input (Bao et al. 2022)"
    )
    backbone_lr = Real(1, doc="factor of the learning rate for all parameters but the head's (Liu et al. 2022)")
    clip_gradient = Real(0, doc="gradient clipping: maximum norm of the gradient of all weights; 0: none")
    ema = Real(0, high=1.0, doc="decay of the exponential moving average of the weights; 0: none")
    label_smoothing = Real(0, high=1.0, doc="label smoothing (Szegedy et al. 2016)")
    balance = Choice(
        "none", "loss", "sampling", default="none",
        doc="classes of unequal size: `loss` weights a clip by the inverse of its class's share of the videos (with "
        "several classes per video, the positives of a class by negatives / positives), `sampling` draws the classes "
        "equally often, with repetition",
    )  # fmt: skip
    class_weights = Numbers(
        (), doc="factors of the loss of each class, in the order of the classes; scaled to 1 on average over the videos"
    )
    regression_loss = Choice(
        "mse", "smooth_l1", "l1", default="mse",
        doc="loss of `--task regression`, for targets with mean 0 and standard deviation 1: squared error, smooth L1 "
        "(Girshick 2015) or absolute error",
    )  # fmt: skip
    mixup = Real(0, doc="α of mixup (Zhang et al. 2018); 0: none")
    cutmix = Real(0, doc="α of CutMix (Yun et al. 2019); 0: none")
    erase = Real(0, high=1.0, doc="probability of random erasing of a box in a clip (Zhong et al. 2020)")
    randaugment = Numbers(
        (), counts=(0, 2), high=10.0,
        doc="RandAugment (Cubuk et al. 2020), the same for all frames of a clip: number of operations, and their "
        "magnitude from 0 to 10; `[4, 7]` in MViT",
    )  # fmt: skip
    repeats = Integer(
        1, doc="clips of each video per epoch, side by side in a batch (repeated augmentation, Hoffer et al. 2020)"
    )
    precise_bn = Integer(
        0, minimum=0,
        doc="precise batch norm (Wu and Johnson 2021): batches of training clips from which the statistics of batch "
        "norms are computed before each validation; 0: off",
    )  # fmt: skip
    interval = Integer(1, doc="temporal stride between the frames of a clip, in frames at `fps`")
    fps = Real(30, low=1.0, doc="frame rate for `interval`, in frames per second")
    sampling = Choice(
        "dense", "segments", default="dense",
        doc="frames `interval` apart, or one frame from each of equal segments of the video (Wang et al. 2016)",
    )  # fmt: skip
    short = Choice(
        "skip", "loop", "hold", default="skip",
        doc="videos shorter than a clip: `skip` those with fewer frames and stretch the others, `loop` them from the "
        "start, or `hold` the last frame",
    )  # fmt: skip
    jitter = Numbers(
        (8 / 7, 10 / 7), counts=(2,), low=1.0,
        doc="scale jitter in training: range of a frame's shorter side, in multiples of the crop (256 to 320 for 224)",
    )  # fmt: skip
    area = Numbers(
        (), counts=(0, 2), high=1.0,
        doc="random resized crop in place of `jitter`: range of its share of the frame, as `[0.08, 1]` "
        "(Szegedy et al. 2015)",
    )  # fmt: skip
    flip = Flag(True, doc="horizontal flip of half of the clips")
    mean = Numbers(
        (0.45,) * 3, counts=(1, 2, 3, 4), doc="subtracted mean, per channel or for all, for values in [0, 1]"
    )
    std = Numbers((0.225,) * 3, counts=(1, 2, 3, 4), low=1e-6, doc="standard deviation to divide by, in the same form")
    test_scale = Real(8 / 7, low=1.0, doc="a frame's shorter side in testing, in multiples of the crop")
    test_clips = Integer(10, doc="number of clips per video in testing")
    test_crops = Integer(
        3, among=(1, 3), doc="number of crops per clip in testing: 1, the centre, or 3 along the longer side"
    )

    def __init__(self, **values: Any) -> None:
        """Make a recipe of checked values; `replace` checks values."""
        self.__dict__.update(values)

    def as_dict(self) -> dict[str, Any]:
        """Return all values by name, as JSON data: numbers, bools, words and lists of numbers."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.fields}
        return {n: list(v) if is_list(v) else v for n, v in values.items()}

    def replace(self, **values: Any) -> Recipe:
        """Return the recipe with other values, checked like the values in a spec.

        Raises:
            ValueError: if a name is unknown, a value is invalid, or values contradict each other.
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
            message = "`steps` have no effect" if self.steps else "`steps` must list epochs"
            hint = "set both, `schedule = steps` and `steps = [30, 60]`; other schedules need `steps = []`"
            yield Clash(("schedule", "steps"), f"with `schedule = {self.schedule}` {message}", hint)
        if list(self.steps) != sorted(set(self.steps)):
            yield Clash(("steps",), "epochs that do not ascend", "list each epoch once, in ascending order", "E0305")
        for name in ("jitter", "area"):
            limits: tuple[float, ...] = getattr(self, name)
            if limits and limits[0] > limits[1]:
                yield Clash((name,), "the first limit is above the second", "write `[lowest, highest]`", "E0305")
        if self.randaugment and int(self.randaugment[0]) != self.randaugment[0]:
            message = f"{self.randaugment[0]:g} operations: not a whole number"
            yield Clash(("randaugment",), message, "write `[operations, magnitude]` as in `[4, 7]`, or `[]`", "E0302")
        yield from self._exclusive()
        if len(self.mean) != len(self.std):
            message = f"`mean` and `std` have {len(self.mean)} and {len(self.std)} numbers"
            yield Clash(("mean", "std"), message, "write one number per channel in both, or one for all channels")

    def _exclusive(self) -> Iterator[Clash]:
        """Yield pairs of values of which one has to be off."""
        if self.class_weights and self.balance == "loss":
            message = "both weight the loss of classes"
            yield Clash(("class_weights", "balance"), message, "set `class_weights = []` or `balance = none`")
        if self.precise_bn and self.ema:
            message = "the moving average has statistics of its own"
            yield Clash(("precise_bn", "ema"), message, "set one of them to 0")

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
        ValueError: if it has no counterpart in the language.
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
