from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME, fixed
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Choice, Flag, Initialiser, Integer, Reference
from archdsl.layers.axes import OUT, Axis, Frames, Places
from archdsl.layers.base import Layer, ShapeError, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid

SPACE_TIME, SPACE, TIME = "space_time", "space", "time"
LEARNED, SINUSOID = "learned", "sinusoid"
OTHERS = 2  # rows of a `table` for no frame: one for the class token, and one for padding


@layer("position", category="position")
class Position(Layer):
    """Position embedding, added to each position: learned, or sines and cosines of its frame (Vaswani et al. 2017).

    Over `space` all frames share the vectors of their positions, over `time` all positions of a frame share one. With
    `apart`, space, time and the class token have separate tensors, which are added (MViT, section 3.2). With `frames`,
    another input has the indices of the clip's frames in a longer video: frame i has row i % n of a table of n rows;
    with a class token the last two rows of the table are for it and for padding (VTN).
    """

    takes_tokens = True

    over = Choice(SPACE_TIME, SPACE, TIME, default=SPACE_TIME, doc="the axes along which the vectors differ")
    vectors = Choice(LEARNED, SINUSOID, default=LEARNED, doc="what the vectors are")
    token = Flag(True, doc="whether a class token has a vector of its own, if there is one")
    apart = Flag(False, doc="whether space and time have tensors of their own")
    frames = Reference("", doc="the input that holds the numbers of the frames")
    table = Integer(0, minimum=0, doc="rows of the table that `frames` refers to")
    init = Initialiser(Symbol("trunc_normal", (0.02,)), doc="how learned vectors begin")

    def infer(self, *inputs: Grid) -> Grid:
        x = inputs[0]
        fixed(x)
        if len(inputs) > 1 and inputs[1].t != x.t:
            message = f"numbers of {int(inputs[1].t)} frames for a grid of {int(x.t)}"
            raise ShapeError(message, "frames", "E0502", "the input declares as many as there are frames here")
        if x.token == FRAME and self.over != SPACE:
            hint = "`position(space)` has a place for it; or put it in behind, as the token of the clip"
            raise ShapeError(f"a class token a frame has no place in `{self.over}`", "over", "E0511", hint)
        if self.apart and (self.over != SPACE_TIME or x.token == FRAME or self.vectors == SINUSOID):
            raise ShapeError(
                "space and time are apart where learned vectors are over both", "apart", "E0510", "leave it out"
            )
        if self.vectors == SINUSOID and self.over != TIME:
            raise ShapeError("sines and cosines are of frames", "vectors", "E0510", "`position(time, …)`")
        if self.vectors == SINUSOID and x.channels % 2:
            message = f"sines and cosines are half of the channels each, and there are {int(x.channels)}"
            raise ShapeError(message, "vectors", "E0510", "an even number of channels")
        self._check_table(x)
        return x

    def _check_table(self, x: Grid) -> None:
        if bool(self.frames) != bool(self.table):
            hint = "`position(time, table = 288, frames = frame_index)` has both"
            place = "table" if self.table else "frames"
            raise ShapeError("a table belongs to the frames that `frames` says", place, "E0510", hint)
        if self.frames and self.over != TIME:
            hint = "`position(time, …)`"
            raise ShapeError("`frames` says which frames, so the vectors are over time", "frames", "E0510", hint)
        if self.frames and self.table <= OTHERS:
            hint = "as many rows as the longest video has frames, and two"
            raise ShapeError(f"a table of {int(self.table)} rows has none for frames", "table", "E0305", hint)

    def has_token_vector(self, x: Grid) -> bool:
        """Return True if the class token has its own vector."""
        return bool(x.token) and self.token and self.vectors == LEARNED

    def _rows(self, x: Grid) -> int:
        return {SPACE_TIME: x.positions, SPACE: x.h * x.w, TIME: x.t}[self.over]

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        x = inputs[0]
        if self.vectors == SINUSOID:
            return {}
        if self.table:
            return {"weight": (self.table, x.channels)}
        if self.apart:
            found = {"space": (x.h * x.w, x.channels), "time": (x.t, x.channels)}
            return found | ({"token": (1, x.channels)} if self.has_token_vector(x) else {})
        return {"weight": (self._rows(x) + self.has_token_vector(x), x.channels)}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        t, h, w = map(int, inputs[0].size)
        if self.table:
            return {"weight": (Frames(OTHERS), OUT)}
        if self.apart:
            return {"space": (Places((1, h, w)), OUT), "time": (Places((t, 1, 1)), OUT), "token": (Axis(), OUT)}
        grid = {SPACE_TIME: (t, h, w), SPACE: (1, h, w), TIME: (t, 1, 1)}[self.over]
        return {"weight": (Places(grid, int(self.has_token_vector(inputs[0]))), OUT)}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        if self.vectors == SINUSOID or self.init.name == "zeros":
            return {}
        return dict.fromkeys(self.weights(*inputs), self.init)
