"""A layer is added by one Python file and one template, and everything that there is knows it then.

The layers stand in a folder of their own, named by ARCHDSL_LAYERS, and each command runs in a process of its own: what
knows layers here must not know these.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from error_documents import fences

ROOT = Path(__file__).parent.parent

# A learned factor for each channel, with a class of its own in the generated module.
SCALE = '''
from __future__ import annotations

from typing import Any

from archdsl.core.grid import Grid
from archdsl.layers.attributes import Real
from archdsl.layers.base import GRID, Layer, ShapeError, Use, layer


@layer("scale", category="norm")
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
from archdsl.layers.base import GRID, Layer, Use, layer, slide


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
    residual { conv(width, k) -> silu -> scale -> depthwise(k) } shortcut if in.channels != width { conv(width) }
}
stage stem { conv(8, 3) -> bn -> silu(hard = on) }
stage one { unit(8) * 2 -> unit(12, k = 5) }
stage two { unit(16) -> scale(begin = 0.5) }
head: avgpool -> linear(5)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and, in `own`, three layers: `silu` word for word as README has it."""
    path = tmp_path_factory.mktemp("new_layer")
    own = path / "own"
    own.mkdir()
    found = fences((ROOT / "README.md").read_text("utf-8"))
    readme = [f for f in found if f.options.get("file", "").startswith("silu.")]
    assert [f.options["file"] for f in readme] == ["silu.py", "silu.py.j2"]
    for fence in readme:
        (own / fence.options["file"]).write_text(fence.text, "utf-8")
    texts = {
        "scale.py": SCALE,
        "scale.py.j2": SCALE_TEMPLATE,
        "depthwise.py": DEPTHWISE,
        "depthwise.py.j2": DEPTHWISE_TEMPLATE,
    }
    for name, text in texts.items():
        (own / name).write_text(text.lstrip(), "utf-8")
    (path / "small.arch").write_text(SPEC.lstrip(), "utf-8")
    return path


def run(folder: Path, *command: str, layers: bool = True) -> subprocess.CompletedProcess[str]:
    """A Python process in a folder, which knows the layers in `own` or does not."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONUTF8": "1"}
    environment.pop("ARCHDSL_LAYERS", None)
    if layers:
        environment["ARCHDSL_LAYERS"] = str(folder / "own")
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def archdsl(folder: Path, *arguments: str) -> str:
    """What a command prints, which must succeed."""
    done = run(folder, "-m", "archdsl", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_the_folder_it_is_unknown(folder: Path) -> None:
    done = run(folder, "-m", "archdsl", "check", "small.arch", layers=False)
    assert done.returncode == 1
    for name in ("silu", "scale", "depthwise"):
        assert f"no layer or block is called `{name}`" in done.stderr + done.stdout


def test_check(folder: Path) -> None:
    archdsl(folder, "check", "small.arch")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("silu(hard", "silu(har"), "did you mean `hard`"),
        (("-> silu ->", "-> silo ->"), "did you mean `silu`"),
        (("begin = 0.5", "begin = 2"), "E0305"),
        (("unit(16) -> scale", "unit(1) -> scale"), "there is no scale of one channel"),
    ],
)
def test_faults_of_it_are_shown(folder: Path, edit: tuple[str, str], message: str) -> None:
    assert edit[0] in SPEC
    (folder / "faulty.arch").write_text(SPEC.lstrip().replace(*edit), "utf-8")
    done = run(folder, "-m", "archdsl", "check", "faulty.arch")
    assert done.returncode == 1
    assert message in done.stdout + done.stderr


def test_compile(folder: Path) -> None:
    archdsl(folder, "compile", "small.arch", "-o", "small.py")
    code = (folder / "small.py").read_text("utf-8")
    assert code.count("class ChannelScale(nn.Module):") == 1
    assert "ChannelScale(16, 0.5)" in code
    assert not re.search(r"\bown\b", code)
    for command in (["format", "--check"], ["check"]):
        done = run(folder, "-m", "ruff", *command, "--isolated", "small.py", layers=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_module_needs_neither_archdsl_nor_the_folder(folder: Path) -> None:
    archdsl(folder, "compile", "small.arch", "-o", "alone.py")
    code = """
        import sys; sys.modules["archdsl"] = None
        import torch, alone
        model = alone.small()
        clip = torch.randn(2, 3, 4, 16, 16)
        model(clip).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        state = model.state_dict()
        assert state["one.0.scale.weight"].unique().tolist() == [torch.tensor(1e-4).item()]
        assert set(state["one.2.depthwise.weight"].unique().tolist()) == {1.0}
        print(*model(clip).shape)
    """
    done = run(folder, "-c", dedent(code), layers=False)
    assert done.stdout == "2 5\n", done.stderr


def test_cost(folder: Path) -> None:
    cost = json.loads(archdsl(folder, "cost", "small.arch", "--json", "--by", "layer"))
    rows = {row["name"]: row for row in cost["layers"]}
    scales = {name: row for name, row in rows.items() if name.endswith("scale")}
    assert sorted(row["params"] for row in scales.values()) == [8, 8, 12, 16, 16]
    assert not any(row["macs"] for row in scales.values())
    [five] = [row for name, row in rows.items() if name.endswith("depthwise") and row["params"] == 12 * 25]
    assert five["macs"] == 12 * 4 * 16 * 16 * 25


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_draw(folder: Path, level: str) -> None:
    archdsl(folder, "draw", "small.arch", "-o", f"{level}.dot", "--level", level)
    drawn = (folder / f"{level}.dot").read_text("utf-8")
    assert level != "layer" or all(name in drawn for name in ("silu", "scale", "depthwise"))


def test_module_is_as_predicted(folder: Path) -> None:
    code = "import archdsl, meta; meta.assert_as_predicted(archdsl.load('small.arch'))"
    done = run(folder, "-c", code)
    assert done.returncode == 0, done.stderr


def test_a_template_may_name_its_input_twice(tmp_path: Path) -> None:
    """What it is applied to is then computed once, in a line of its own."""
    layer = """
        from archdsl.layers.base import Layer, layer


        @layer("swish", category="activation")
        class Swish(Layer):
            \"\"\"x · σ(x).\"\"\"
        """
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "swish.py").write_text(dedent(layer), "utf-8")
    template = "{% macro apply(x) %}{{ x }} * torch.sigmoid({{ x }}){% endmacro %}\n"
    (tmp_path / "own" / "swish.py.j2").write_text(template, "utf-8")
    double = layer.replace("swish", "double").replace("Swish", "Double")
    (tmp_path / "own" / "double.py").write_text(dedent(double), "utf-8")
    (tmp_path / "own" / "double.py.j2").write_text("{% macro apply(x) %}2 * {{ x }}{% endmacro %}\n", "utf-8")
    chain = "conv(4, 3) -> swish -> residual { relu } -> double"
    spec = f"arch s\ninput clip: video[3, 4, 8, 8]\nstage one {{ {chain} }}\nhead: avgpool -> linear(2)\n"
    (tmp_path / "s.arch").write_text(spec, "utf-8")
    archdsl(tmp_path, "compile", "s.arch")
    code = (tmp_path / "s.py").read_text("utf-8")
    assert code.count("self.conv(") == 1
    assert "2 * (F.relu(x) + x)" in code  # a sum is kept together
