from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, fixed
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Flag, Integer, PositionInitialiser, Reference, Size
from archdsl.layers.axes import OUT, Axis, Frames, Places
from archdsl.layers.base import Layer, ShapeError, layer
from archdsl.layers.input import INDEX

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

SPACE_TIME, SPACE, TIME = "space_time", "space", "time"
LEARNED, SINUSOID, AXIAL = "learned", "sinusoid", "axial_sinusoid"
OTHERS = 2  # rows of a `table` that belong to no frame: one for the class token, and one for padding


@layer("position", category="position")
class Position(Layer):
    """Position embedding, added to the input: learned, or fixed sinusoids (Vaswani et al. 2017, section 3.5).

    Over `space`, all frames share the vectors of their positions; over `time`, all positions of a frame share a vector.
    With `apart`, space, time and the class token have separate tensors, which are added (MViT, section 3.2). With
    `frames`, another input provides the indices of the clip's frames in a longer video: frame i reads row i % n of a
    table of n rows. With a class token, the last two rows of the table are for the token and for padding (VTN).

    A `sinusoid` is of the number of a position, or of its frame: over space and time they are counted through all
    frames, row by row (VideoMAE, Tong et al. 2022). An `axial_sinusoid` has parts of the channels for t, w and h, of
    the shares 2/8, 3/8 and 3/8, or half for w and half for h, in each of them sines before cosines (MAE and
    InternVideo2). They are no tensors of the state dict. With `made_for`, they are those of another height and width,
    interpolated bicubically: the positions of the crops that a network was trained with, for other crops. Learned
    vectors can begin as axial sinusoids, by `init`.
    """

    takes_tokens = True

    over = Choice(SPACE_TIME, SPACE, TIME, default=SPACE_TIME, doc="the axes along which the vectors differ")
    vectors = Choice(
        LEARNED, SINUSOID, AXIAL, default=LEARNED, doc="learned vectors, or fixed sinusoids of numbers or of each axis"
    )
    made_for = Size(0, minimum=0, doc="the grid of the sinusoids, if of another height and width; 0: this one")
    token = Flag(True, doc="an embedding of its own for the class token, if the input has one")
    apart = Flag(False, doc="separate tensors for space and time, which are added")
    frames = Reference(INDEX, "", doc="the input with the indices of the frames")
    table = Integer(0, minimum=0, doc="rows of the table that `frames` indexes")
    init = PositionInitialiser(
        Symbol("trunc_normal", (0.02,)),
        doc="initialiser of learned vectors; `axial_sinusoid`: as these sinusoids, and 0 for tokens",
    )

    def reads_places(self) -> bool:
        return True

    def infer(self, *inputs: Grid) -> Grid:
        x = inputs[0]
        fixed(x)
        if len(inputs) > 1 and inputs[1].t != x.t:
            message = f"indices of {int(inputs[1].t)} frames for a grid of {int(x.t)} frames"
            raise ShapeError(message, "frames", "E0502", f"declare the input with {int(x.t)} frames")
        if x.token == FRAME and (self.over == SPACE_TIME or self.frames or (self.over == TIME and not self.token)):
            hint = "use `position(space)` or `position(time)`, or insert a class token of the clip after the embedding"
            message = f"`position({self.over})` does not support one class token per frame"
            raise ShapeError(message, "over", "E0511", hint)
        if self.apart and (self.over != SPACE_TIME or x.token == FRAME or self.is_fixed):
            message = "`apart` needs learned vectors over `space_time`, and no class token per frame"
            hint = "`vectors = axial_sinusoid` has sinusoids of each axis" if self.is_fixed else "omit `apart`"
            raise ShapeError(message, "apart", "E0510", hint)
        self._check_channels(x)
        self._check_made_for(x)
        self._check_table(x)
        return x

    @property
    def is_axial(self) -> bool:
        """True if its vectors are sinusoids of the axes, or begin as such."""
        return self.vectors == AXIAL or (self.vectors == LEARNED and self.init.name == AXIAL)

    @property
    def is_fixed(self) -> bool:
        """True if its vectors are not learned."""
        return self.vectors != LEARNED

    @property
    def axes(self) -> tuple[tuple[str, int], ...]:
        """The axes that have parts of the channels of an axial sinusoid, in order, with their shares of 8."""
        return {SPACE_TIME: (("t", 2), ("w", 3), ("h", 3)), SPACE: (("w", 4), ("h", 4)), TIME: (("t", 8),)}[self.over]

    def _check_channels(self, x: Grid) -> None:
        of_axes = {SPACE_TIME: 16, SPACE: 4, TIME: 2}[self.over]
        divisor = of_axes if self.is_axial else {LEARNED: 1, SINUSOID: 2}[self.vectors]
        place = "vectors" if self.is_fixed else "init"
        if x.channels % divisor:
            parts = " and ".join(axis for axis, _ in self.axes) if self.is_axial else "positions"
            message = f"sinusoids of {parts} need a multiple of {divisor} channels, found {int(x.channels)}"
            if divisor == 2:
                message = f"sinusoids need an even number of channels, found {int(x.channels)}"
            raise ShapeError(message, place, "E0510", "half of the channels are sines, the other half cosines")
        if self.is_axial and (self.frames or self.apart):
            what = "a table of frames has" if self.frames else "separate tensors for space and time have"
            hint = "use `vectors = sinusoid`" if self.is_fixed else "omit one of them"
            raise ShapeError(f"{what} no sinusoids of axes", place, "E0510", hint)

    def _check_made_for(self, x: Grid) -> None:
        if not any(self.made_for):
            return
        if not self.is_fixed or self.over == TIME:
            hint = "omit it; learned vectors are interpolated when weights are transferred to other sizes"
            if self.over == TIME:
                hint = "omit it; vectors of frames have no height and width"
            raise ShapeError("`made_for` needs sinusoids over space", "made_for", "E0510", hint)
        if self.made_for[0] not in (0, x.t):
            hint = f"`made_for = [0, {int(self.made_for[1])}, {int(self.made_for[2])}]`"
            message = f"height and width are interpolated, not {int(self.made_for[0])} frames to {int(x.t)}"
            raise ShapeError(message, "made_for", "E0502", hint)

    def interpolated_from(self, x: Grid) -> tuple[int, int] | None:
        """Return the height and the width of the sinusoids, if they are others than those of the grid."""
        found = int(self.made_for[1] or x.h), int(self.made_for[2] or x.w)
        return None if found == (x.h, x.w) else found

    def _check_table(self, x: Grid) -> None:
        if bool(self.frames) != bool(self.table):
            hint = "set both, as in `position(time, table = 288, frames = frame_index)`"
            place = "table" if self.table else "frames"
            raise ShapeError("`table` and `frames` need each other", place, "E0510", hint)
        if self.frames and self.over != TIME:
            hint = "use `position(time, …)`"
            raise ShapeError("`frames` needs vectors over `time`", "frames", "E0510", hint)
        if self.frames and self.table <= OTHERS:
            hint = "declare a row for each frame of the longest video, and two more"
            raise ShapeError(f"a table of {int(self.table)} rows has none for frames", "table", "E0305", hint)
        if self.frames and self.token_vectors(x) > 1:
            message = f"a table has one row for a token, and there are {x.tokens}"
            raise ShapeError(message, "table", "E0511", "insert further tokens after the embedding, or `token = off`")

    def token_vectors(self, x: Grid) -> int:
        """Return the number of embeddings of tokens: one for each, or none; over time, each has that of its frame."""
        if x.token == FRAME and self.over == TIME:
            return 0
        return x.tokens.number if self.token and not self.is_fixed else 0

    def _rows(self, x: Grid) -> int:
        return {SPACE_TIME: x.positions, SPACE: x.h * x.w, TIME: x.t}[self.over]

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        x = inputs[0]
        if self.is_fixed:
            return {}
        if self.table:
            return {"weight": (self.table, x.channels)}
        if self.apart:
            n = self.token_vectors(x)
            separate = {"space": (x.h * x.w, x.channels), "time": (x.t, x.channels)}
            return separate | ({"token": (n, x.channels)} if n else {})
        return {"weight": (self._rows(x) + self.token_vectors(x), x.channels)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        t, h, w = map(int, inputs[0].size)
        if self.table:
            return {"weight": (Frames(OTHERS), OUT)}
        if self.apart:
            return {"space": (Places((1, h, w)), OUT), "time": (Places((t, 1, 1)), OUT), "token": (Axis(), OUT)}
        grid = {SPACE_TIME: (t, h, w), SPACE: (1, h, w), TIME: (t, 1, 1)}[self.over]
        return {"weight": (Places(grid, self.token_vectors(inputs[0])), OUT)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        if self.is_fixed or self.init.name in {"zeros", AXIAL}:
            return {}
        return dict.fromkeys(self.weights(*inputs), self.init)
