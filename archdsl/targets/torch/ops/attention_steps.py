"""The operations of an attention with lines, one by one: layers, changes of layout, and what happens between positions.

Code and activation memory are both read off this list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.attention_arguments import RESULT_LINE
from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.layers.attention_token_lines import has_token_lines
from archdsl.targets.torch.ops.attention_bands import InBand, TokenApart
from archdsl.targets.torch.ops.attention_between import Attending, InWindows
from archdsl.targets.torch.ops.attention_ends import Ends
from archdsl.targets.torch.ops.attention_layers import LayerSteps
from archdsl.targets.torch.ops.attention_layouts import (
    FRAMES,
    HEADS,
    LAST,
    ROWS,
    Layout,
    order_of,
)  # fmt: skip
from archdsl.targets.torch.ops.attention_parts import Parts
from archdsl.targets.torch.ops.attention_token_lines import OwnLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.attention import Attention
    from archdsl.targets.torch.ops.base import Op


class Operations(LayerSteps):
    """The list of operations of one attention, with the layout of each value.

    Values are numbered: what enters is 0, the values from outside follow.
    """

    def __init__(
        self, layer: Attention, inputs: Sequence[Grid], ops: Sequence[Op[Any]], *, widens: bool = False
    ) -> None:
        super().__init__(layer, inputs, ops)
        self.widens = widens
        self.residual = layer.residual()
        self._enter()
        for number, application in enumerate(self.lines.applications):
            if application.letters != RESULT_LINE and number not in self.later:
                self.apply(number)
        self._leave(self._between())

    def _between(self) -> int:
        """Add the operations between positions; return the result."""
        kind, layer = self.form.kind, self.layer
        if kind == "parts":
            return Parts(self).run()
        way = InBand if layer.is_banded else InWindows if kind == "windows" else Attending
        is_apart = kind == "band" or (kind == "whole" and has_token_lines(self.lines))
        ends = Ends(self).run()
        if is_apart and self.form.of("q"):
            return TokenApart(self, way(self)).run(*ends)
        return self._added(ends[0], way(self).run(*ends))

    # --- before the lines ---

    def _enter(self) -> None:
        lines = self.lines
        origins = [Origin(X), *(Origin(OUTSIDE - n) for n in lines.externals)]
        self.layouts += [Layout(order_of(x)) for x in self.inputs]
        self.values = {origin: i for i, origin in enumerate(origins)}
        if self.form.of_frames and int(lines.x.t) == int(lines.shapes["q"].t):
            self.count_frames(0)
        if self.form.fills:
            for (origin, value), x in zip(list(self.values.items()), self.inputs, strict=True):
                self.values[origin] = self._fill(value, x)
        root = self._root(lines.branches["q"])
        if self.form.kind != "windows" and not self.form.of("q") and root is not None:
            self.measure(self.values[root])
        if self.form.cut_first:
            for origin, value in list(self.values.items()):
                self.values[origin] = self.add("cut", [value], Layout(ROWS), copies=True, way="windows.split")[0]

    def _fill(self, value: int, x: Grid) -> int:
        """Return a value filled up with zeros behind its positions, to whole windows."""
        if not self.lines.fills(x):
            return value
        behind = [int(m) - int(n) for n, m in zip(x.size, self.lines.x.size, strict=True)]
        return self.on_grid("filled", value, x, x.tokens, copies=True, behind=behind)

    def _root(self, origin: Origin) -> Origin | None:
        """Return what enters at the beginning of a branch, if nothing changes its grid on the way."""
        while origin.application >= 0:
            application = self.lines.applications[origin.application]
            if application.shapes[0].size != application.shape.size:
                return None
            origin = self.lines.read_by(origin)[0]
        return origin if self.layouts[self.values[origin]].order == LAST else None

    # --- behind the result ---

    def _added(self, q: int, y: int) -> int:
        """Return the result, in the layout `HEADS`, with the queries, where `proj` begins with their sum.

        The queries come first: no kernel chooses their order in memory, which the sum takes.
        """
        found = self.residual
        if found is None:
            return y
        beside = 0 if found.with_token else self.form.of("q").number
        return self.add("added", [q, y], Layout(HEADS), copies=True, beside=beside)[0]

    def _leave(self, y: int) -> None:
        lines, form = self.lines, self.form
        done = self.residual.replaced if self.residual is not None else frozenset[int]()
        own = [n for n, a in enumerate(lines.applications) if a.letters == RESULT_LINE and n not in done]
        reads_others = self.layer.result_reads_others()
        in_row = form.flat and reads_others  # as the other values are
        if self.layouts[y].order == LAST:  # parts of heads
            pass
        elif form.of("q") or form.kind == "windows" or in_row:
            y = self._rows(y)
        else:
            axes = "".join(a for a in "thw" if form.kind != "band" or a != self.layer.axes)
            sizes = [self.measured["thw".index(a)] for a in axes]
            pattern = f"{form.batch} n {form.group} d -> b {form.grid} (n d)"
            [y] = self.add("gridded", [y, *sizes], Layout(LAST), pattern=pattern, axes=axes)
        cut = form.kind == "windows" and not form.of("q")
        if cut and not form.cut_first and (reads_others or not self.layer.is_by_position(RESULT_LINE)):
            y = self._join_windows(y)
            cut = False
        self.values |= {Origin(n): y for n in (RESULT, *done)}
        self.flat = self.layouts[y].order == ROWS and not form.of("q")
        for number in own:
            self.apply(number)
        order = ROWS if cut or in_row else order_of(lines.shapes[RESULT_LINE])
        y = self.turn(self.values[lines.branches["proj"]], order)
        if cut:
            y = self._join_windows(y)
        if in_row:
            [y] = self.add("spread", [y, *self.measured], Layout(LAST))
        if form.fills:
            x = lines.shapes[RESULT_LINE]
            y = self.on_grid("trimmed", y, x, x.tokens, size=[int(n) for n in lines.entering.size])
        self.result = y

    def _rows(self, y: int) -> int:
        """Return the result of all groups, heads together."""
        form = self.form
        of_frames = form.of("q").scope == FRAME
        if of_frames and not form.copies("q"):
            pattern = "(b t) n m d -> b t m (n d)"
            return self.add("of_frames", [y, self.frames], Layout(FRAMES), pattern=pattern)[0]
        [y] = self.add("rearranged", [y], Layout(ROWS), pattern="b n m d -> b m (n d)", stack=None, n="")
        if form.copies("q"):
            [y] = self.add("joined", [y], Layout(ROWS), copies=True)
            if has_token_lines(self.lines):
                y = OwnLines(self).replace(y)
        return self.add("unmerged", [y, self.frames], Layout(FRAMES))[0] if of_frames else y

    def _join_windows(self, y: int) -> int:
        [y] = self.add("windows_joined", [y], Layout(LAST), copies=True)
        if self.frames >= 0:  # each of which is a clip to the windows
            [y] = self.add("of_frames", [y, self.frames], Layout(LAST), pattern="(b t) 1 h w c -> b t h w c")
        return y
