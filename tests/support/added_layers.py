"""Layers of users for tests, and the command line that knows them."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from archdsl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

# A learned factor for each channel, with a class of its own in the generated module.
SCALE = '''
from __future__ import annotations

from typing import Any

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Real
from archdsl.layers.base import GRID, Layer, ShapeError, Use, layer


@layer("channel_scale", category="norm")
class Scale(Layer):
    """γ · x, with a factor γ for each channel (LayerScale, Touvron et al. 2021)."""

    module = True
    layouts = (GRID,)

    begin = Real(1e-4, high=1.0, doc="first value of the factors")

    def infer(self, *inputs: Grid) -> Grid:
        if inputs[0].channels < 2:
            raise ShapeError("there is no scale of one channel", "begin")
        return inputs[0]

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels, 1, 1, 1)}

    def plan(self, use: Use) -> dict[str, Any]:
        return {"channels": use.inputs[0].channels, "begin": self.begin}
'''
SCALE_TEMPLATE = '''
{% macro support() %}
class ChannelScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, channels: int, begin: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), begin))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
{% endmacro %}
{% macro module() %}ChannelScale({{ channels }}, {{ begin }}){% endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
'''
# The same out of torch's own modules: a convolution that sees one channel at a time.
DEPTHWISE = '''
from __future__ import annotations

from math import prod
from typing import Any

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Integer
from archdsl.layers.base import GRID, Layer, ShapeError, Use, layer, slide


@layer("depthwise", category="convolution")
class Depthwise(Layer):
    """A convolution over h and w of each channel alone."""

    module, heavy, torch_class = True, True, "nn.Conv3d"
    layouts = (GRID,)

    kernel = Integer(1, doc="its extent over h and w")

    @property
    def size(self) -> tuple[int, int, int]:
        return 1, self.kernel, self.kernel

    def infer(self, *inputs: Grid) -> Grid:
        if self.kernel % 2 == 0:
            raise ShapeError("an even kernel has no middle", "kernel")
        half = self.kernel // 2
        return Grid(inputs[0].channels, *slide(inputs[0], self.size, (1, 1, 1), (0, half, half)))

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        return {"weight": (inputs[0].channels, 1, *self.size)}

    def macs(self, output: Grid, *inputs: Grid) -> int:
        return output.elements * prod(self.size)

    def plan(self, use: Use) -> dict[str, Any]:
        return {"channels": use.inputs[0].channels, "kernel": self.kernel}

    def inits(self, *inputs: Grid) -> dict[str, Symbol]:
        return {"weight": Symbol("constant", (1,))}
'''
DEPTHWISE_TEMPLATE = """
{% macro module() -%}
nn.Conv3d({{ channels }}, {{ channels }}, (1, {{ kernel }}, {{ kernel }}), padding="same",
groups={{ channels }}, bias=False)
{%- endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
"""
SPEC = """
arch small
input clip: video[3, 4, 16, 16]
block unit(width, k = 3) {
    residual { conv(width, k) -> elu -> channel_scale -> depthwise(k) } shortcut if in.channels != width { conv(width) }
}
stage stem { conv(8, 3) -> bn -> elu(scaled = on) }
stage one { unit(8) * 2 -> unit(12, k = 5) }
stage two { unit(16) -> channel_scale(begin = 0.5) }
head: avgpool -> linear(5)
"""
HEADER = '''
from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import *
from archdsl.layers.base import *


@layer("{kind}", category="{category}")
class New(Layer):
    """A layer."""
'''
EXP = "{% macro apply(x) %}torch.exp({{ x }}){% endmacro %}\n"
LINEAR = """
{% macro module() %}nn.Linear(8, 3){% endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
"""


def archdsl(*arguments: str) -> tuple[int, str]:
    """The exit code of a command and what it prints on both streams."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        code = main(arguments)
    return code, printed.getvalue()


def done(*arguments: str) -> str:
    """Output of a command, which must succeed."""
    code, printed = archdsl(*arguments)
    assert code == 0, printed
    return printed


def add(folder: Path, kind: str, body: str, template: str, category: str = "activation") -> None:
    """Puts a layer into `own`; its body is indented as that of a class."""
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / f"{kind}.py").write_text(HEADER.format(kind=kind, category=category) + body, "utf-8")
    (folder / "own" / f"{kind}.py.j2").write_text(template, "utf-8")


def write_spec(folder: Path, chain: str) -> None:
    """Writes `s.arch`: a stage of one chain, in a block, and a head."""
    lines = ["arch s", "input clip: video[3, 4, 8, 8]", f"block b() {{ {chain} }}", "stage one { b() }"]
    (folder / "s.arch").write_text("\n".join([*lines, "head: avgpool -> linear(2)", ""]), "utf-8")
