"""Layers of users: one Python file and one template, known to every command then.

The layers stand in a folder of their own, which ARCHDSL_LAYERS names for the time of one test.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import torch
from added_layers import (
    DEPTHWISE,
    DEPTHWISE_TEMPLATE,
    EXP,
    LINEAR,
    SCALE,
    SCALE_TEMPLATE,
    SPEC,
    add,
    archdsl,
    done,
    write_spec,
)
from error_documents import fences
from meta import assert_as_predicted
from repository import ROOT

from archdsl import SpecError, load
from archdsl.cli import main
from archdsl.layer_checks.checks import ALONE
from archdsl.layer_checks.networks import NETWORKS
from archdsl.layers import vocabulary
from archdsl.layers.bias import Bias
from archdsl.targets.torch.select import op_class

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and, in `own`, three layers: `elu` word for word as docs/layers.md has it."""
    path = tmp_path_factory.mktemp("new_layer")
    own = path / "own"
    own.mkdir()
    found = fences((ROOT / "docs" / "layers.md").read_text("utf-8"))
    written = [f for f in found if f.options.get("file", "").startswith("my_layers/")]
    assert [f.options["file"] for f in written] == ["my_layers/elu.py", "my_layers/elu.py.j2"]
    for fence in written:
        (own / fence.options["file"].removeprefix("my_layers/")).write_text(fence.text, "utf-8")
    texts = {
        "channel_scale.py": SCALE,
        "channel_scale.py.j2": SCALE_TEMPLATE,
        "depthwise.py": DEPTHWISE,
        "depthwise.py.j2": DEPTHWISE_TEMPLATE,
    }
    for name, text in texts.items():
        (own / name).write_text(text.lstrip(), "utf-8")
    (path / "small.arch").write_text(SPEC.lstrip(), "utf-8")
    return path


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the current one, with its layers known."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ARCHDSL_LAYERS", "own")
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python process in a folder, which does not know the layers in `own`."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    environment.pop("ARCHDSL_LAYERS", None)
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.usefixtures("here")
def test_without_the_folder_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    done("check", "small.arch")
    monkeypatch.delenv("ARCHDSL_LAYERS")
    code, printed = archdsl("check", "small.arch")
    assert code == 1
    for name in ("elu", "channel_scale", "depthwise"):
        assert f"no layer or block is called `{name}`" in printed


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("elu(scaled", "elu(scale"), "did you mean `scaled = on`"),
        (("-> elu ->", "-> elus ->"), "did you mean `elu`"),
        (("begin = 0.5", "begin = 2"), "E0305"),
        (("unit(16) -> channel_scale", "unit(1) -> channel_scale"), "there is no scale of one channel"),
    ],
)
def test_faults_of_it_are_shown(here: Path, edit: tuple[str, str], message: str) -> None:
    assert edit[0] in SPEC
    (here / "faulty.arch").write_text(SPEC.lstrip().replace(*edit), "utf-8")
    code, printed = archdsl("check", "faulty.arch")
    assert code == 1
    assert message in printed


def test_compile(here: Path) -> None:
    done("compile", "small.arch", "-o", "small.py")
    code = (here / "small.py").read_text("utf-8")
    assert code.count("class ChannelScale(nn.Module):") == 1
    assert "ChannelScale(16, 0.5)" in code
    assert not re.search(r"\bown\b", code)
    for command in (["format", "--check"], ["check"]):
        ruff = run(here, "-m", "ruff", *command, "--isolated", "small.py")
        assert ruff.returncode == 0, ruff.stdout + ruff.stderr


def test_the_module_needs_neither_archdsl_nor_the_folder(here: Path) -> None:
    done("compile", "small.arch", "-o", "alone.py")
    code = """
        import sys; sys.modules["archdsl"] = None
        import torch, alone
        model = alone.small()
        clip = torch.randn(2, 3, 4, 16, 16)
        model(clip).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        state = model.state_dict()
        assert state["one.0.channel_scale.weight"].unique().tolist() == [torch.tensor(1e-4).item()]
        assert set(state["one.2.depthwise.weight"].unique().tolist()) == {1.0}
        print(*model(clip).shape)
    """
    printed = run(here, "-c", dedent(code))
    assert printed.stdout == "2 5\n", printed.stderr


@pytest.mark.usefixtures("here")
def test_cost() -> None:
    cost = json.loads(done("cost", "small.arch", "--json", "--by", "layer"))
    rows = {row["name"]: row for row in cost["layers"]}
    scales = {name: row for name, row in rows.items() if name.endswith("channel_scale")}
    assert sorted(row["params"] for row in scales.values()) == [8, 8, 12, 16, 16]
    assert not any(row["macs"] for row in scales.values())
    [five] = [row for name, row in rows.items() if name.endswith("depthwise") and row["params"] == 12 * 25]
    assert five["macs"] == 12 * 4 * 16 * 16 * 25


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_draw(here: Path, level: str) -> None:
    done("draw", "small.arch", "-o", f"{level}.dot", "--level", level)
    drawn = (here / f"{level}.dot").read_text("utf-8")
    assert level != "layer" or all(name in drawn for name in ("elu", "channel_scale", "depthwise"))


@pytest.mark.usefixtures("here")
def test_module_is_as_predicted() -> None:
    assert_as_predicted(load("small.arch"))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder whose folder `own` holds what a test puts there, and `s.arch`, a spec with the layer `new`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHDSL_LAYERS", "own")
    (tmp_path / "own").mkdir()
    write_spec(tmp_path, "conv(8, 3) -> bn -> new")
    return tmp_path


def test_a_template_may_name_its_input_twice(empty: Path) -> None:
    """Its input is then computed once, in a line of its own."""
    template = "{% macro apply(x) %}{{ x }} * torch.sigmoid({{ x }}){% endmacro %}\n"
    add(empty, "new", "    layouts = ANY_LAYOUT", template)
    add(empty, "double", "    layouts = ANY_LAYOUT", "{% macro apply(x) %}2 * {{ x }}{% endmacro %}\n")
    write_spec(empty, "conv(4, 3) -> new -> residual { relu } -> double")
    done("compile", "s.arch")
    code = (empty / "s.py").read_text("utf-8")
    assert code.count("self.conv(") == 1
    assert "2 * (F.relu(x) + x)" in code  # a sum is kept together


# --- layouts ---------------------------------------------------------------------------------------------------------

CUMSUM = "{% macro apply(x) %}{{ x }}.cumsum(2){% endmacro %}\n"


@pytest.mark.parametrize("before", ["layernorm", "bn", "linear(4)", "layernorm -> relu"])
def test_a_layer_that_names_no_layouts_works_on_b_c_t_h_w(empty: Path, before: str) -> None:
    """Axis 2 is that of the frames, whatever layout the layer before it leaves."""
    add(empty, "new", "", CUMSUM)
    write_spec(empty, f"conv(4, 3) -> {before} -> new")
    twin_spec = (empty / "s.arch").read_text("utf-8").replace(" -> new", "")
    (empty / "twin.arch").write_text(twin_spec, "utf-8")
    torch.manual_seed(0)
    model, twin = load("s.arch").build().double().eval(), load("twin.arch").build().double().eval()
    twin.load_state_dict(model.state_dict())
    clip = torch.randn(2, 3, 4, 8, 8, dtype=torch.float64)
    expected = twin.forward_features(clip)["one"].cumsum(2)
    torch.testing.assert_close(model.forward_features(clip)["one"], expected)


def test_beside_a_class_token_it_must_name_tokens(empty: Path) -> None:
    add(empty, "new", "", EXP)
    write_spec(empty, "conv(4, 3) -> class_token -> new -> select(token)")
    code, printed = archdsl("check", "s.arch")
    assert code == 1
    assert "error[E0511]" in printed


def test_elementwise_layers_declare_any_layout_and_are_not_converted(empty: Path) -> None:
    add(empty, "new", "    layouts = ANY_LAYOUT", EXP)
    write_spec(empty, "conv(4, 3) -> layernorm -> new -> linear(4)")
    done("compile", "s.arch")
    code = (empty / "s.py").read_text("utf-8")
    assert code.count("movedim") == 2  # in front of `layernorm`, and behind `linear`
    assert "torch.exp(self.layernorm(" in code


def test_every_bundled_layer_names_its_layouts() -> None:
    links = {k: c for k, c in vocabulary().items() if not issubclass(c, Bias)}
    others = {k for k, c in links.items() if not (c.internal or op_class(c).layouts or c.elementwise)}
    assert others == {  # which take (B, C, T, H, W)
        "avgpool", "bn", "conv", "conv_transpose", "every", "roi_align", "time_to_channel", "upsample",
    }  # fmt: skip


# --- wrong layers ----------------------------------------------------------------------------------------------------

WRONG = {
    # the file
    "syntax": ("def infer(self, *inputs)", EXP, "E0902", "own/new.py:11:5", "expected ':'"),
    "an import": ("import no_such_package", EXP, "E0902", "own/new.py:11:5", "No module named"),
    "exit": ("exit(3)", EXP, "E0902", "own/new.py:11:5", "SystemExit"),
    # what the class declares
    "layouts without a comma": ("layouts = (GRID)", EXP, "E0902", "own/new.py:11:5", "not a tuple of layouts"),
    "a layout of torch": ('layouts = ("NCHW",)', EXP, "E0902", "own/new.py:11:5", "`channels_last`"),
    "imports without a comma": ('imports = ("import math")', EXP, "E0902", "own/new.py:11:5", "with the comma"),
    "imports of archdsl": ('imports = ("from archdsl import x",)', EXP, "E0902", "own/new.py:11:5", "stands alone"),
    "an attribute's class": ("k = Integer", EXP, "E0902", "own/new.py:11:5", "`k = Integer(…)`"),
    "an attribute that hides": ("weights = Integer(3)", EXP, "E0902", "own/new.py:11:5", "overrides"),
    "a default of a list": ("k = Size([1, 3, 3])", EXP, "E0902", "own/new.py:11:5", "as a tuple"),
    "no method": ("macs = 0", EXP, "E0902", "own/new.py:11:5", "`macs` is not a method"),
    "module as a text": ('module = "nn.Linear"', EXP, "E0902", "own/new.py:11:5", "True or False"),
    # methods that fail
    "infer": ("def infer(self, x): return x.chanels", EXP, "E0904", "own/new.py:11:5", "applied to 8×4×8×8"),
    "ValueError": ("def infer(self, x): raise ValueError('odd')", EXP, "E0904", "own/new.py:11:5", "odd"),
    "an unknown code": ("def infer(self, x): raise ShapeError('a', code='E9999')", EXP, "E0904", "own/new.py:11:5", ""),
    "macs": ("def macs(self, *g): return 1 // 0", EXP, "E0904", "own/new.py:11:5", "ZeroDivisionError"),
    "weights without inputs": ("def weights(self): return {}", EXP, "E0904", "own/new.py:11:5", "TypeError"),
    "ShapeError of weights": ("def weights(self, x): raise ShapeError('a')", EXP, "E0904", "own/new.py:11:5", "infer"),
    "exit in a method": ("def plan(self, use): exit(3)", EXP, "E0904", "own/new.py:11:5", "SystemExit"),
    "recursion": ("def params(self, *g): return self.params(*g)", EXP, "E0904", "own/new.py:11:5", "RecursionError"),
    "a constructor": ("def __init__(self, k): pass", EXP, "E0904", "own/new.py", "super().__init__(**values)"),
    # what they return
    "nothing": ("def infer(self, x): x", EXP, "E0905", "own/new.py:11:5", "returned None"),
    "half a frame": ("def infer(self, x): return x._replace(t=x.t / 8)", EXP, "E0905", "own/new.py:11:5", "is 0.5"),
    "no frame": ("def infer(self, x): return x._replace(t=x.t // 8)", EXP, "E0905", "own/new.py:11:5", "`t` is 0"),
    "a tuple": ("def infer(self, x): return 8, 4, 8, 8", EXP, "E0905", "own/new.py:11:5", "expected a Grid"),
    "a shape as list": ("def weights(self, x): return {'w': [8]}", EXP, "E0905", "own/new.py:11:5", "[8] as the shape"),
    "macs of a float": ("def macs(self, *g): return 0.5", EXP, "E0905", "own/new.py:11:5", "0.5, of type float"),
    "macs below 0": ("def macs(self, *g): return -1", EXP, "E0905", "own/new.py:11:5", "0 or more"),
    "no plan": ("def plan(self, use): {}", EXP, "E0905", "own/new.py:11:5", "returned None"),
    "a list to print": ("def plan(self, use): return {'k': [1]}", EXP, "E0905", "own/new.py:11:5", "of type list"),
    "not a number": ("def plan(self, use): return {'k': float('nan')}", EXP, "E0905", "own/new.py:11:5", "nan"),
    "the submodule's name": ("def plan(self, use): return {'layer': 1}", EXP, "E0905", "own/new.py:11:5", "`layer`"),
    "a form as list": ("def form(self, *g): return [1]", EXP, "E0905", "own/new.py:11:5", "of type list"),
    # the template
    "no Jinja": ("pass", "{% macro apply(x) %}{{ x }\n", "E0906", "own/new.py.j2:1:1", "TemplateSyntaxError"),
    "a variable": ("pass", EXP.replace("exp", "{{ k }}"), "E0906", "own/new.py.j2:1:1", "'k' is undefined"),
    "no macro": ("pass", "torch.exp(x)\n", "E0906", "own/new.py.j2", "no macro `apply(x)`"),
    "no input": ("pass", EXP.replace("{{ x }}", "x"), "E0906", "own/new.py.j2:1:1", "without its input"),
    "a statement": ("pass", EXP.replace("torch", "y = torch"), "E0906", "own/new.py.j2:1:1", "no Python"),
    "empty": ("pass", "{% macro apply(x) %}{% endmacro %}", "E0906", "own/new.py.j2:1:1", "prints nothing"),
    "no module": ("module = True", EXP, "E0906", "own/new.py.j2", "there is no macro `module()`"),
    "a constant": (
        "pass", EXP + "{% macro support() %}EPS = 1{% endmacro %}", "E0906", "own/new.py.j2:2:1", "no class or function"
    ),
    "a class": ("pass", EXP + "{% macro support() %}class A{% endmacro %}", "E0906", "own/new.py.j2:2:1", "no Python"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_layer_is_refused_at_its_line(empty: Path, case: str) -> None:
    """With exit code 1, by every command that comes upon it, and never as a fault of archdsl."""
    body, template, fault, place, message = WRONG[case]
    add(empty, "new", f"    {body}", template)
    commands = [("check",), ("compile", "-o", "o.py"), ("cost", "--batch", "2"), ("plan",), ("draw", "-o", "o.dot")]
    results = {command[0]: archdsl(command[0], "s.arch", *command[1:]) for command in commands}
    assert {code for code, _ in results.values()} <= {0, 1}
    code, printed = results["compile"]
    assert code == 1
    assert f"error[{fault}]" in printed
    assert f"--> {place}" in printed
    assert message in printed


def test_a_missing_template_is_named_with_its_path(empty: Path) -> None:
    add(empty, "new", "", EXP)
    (empty / "own" / "new.py.j2").unlink()
    code, printed = archdsl("compile", "s.arch")
    assert code == 1
    assert "the layer `new` has no template: expected own/new.py.j2" in printed


def test_the_template_is_the_one_beside_the_layer(empty: Path) -> None:
    """`model.py.j2` of archdsl prints the module, and no layer's file of that name stands for it, or the reverse."""
    add(empty, "model", "    layouts = ANY_LAYOUT", EXP)
    write_spec(empty, "conv(8, 3) -> model")
    done("compile", "s.arch")
    assert "torch.exp(self.conv(x))" in (empty / "s.py").read_text("utf-8")


@pytest.mark.parametrize("kind", ["conv", "convert", "input"])
def test_no_layer_of_archdsl_is_replaced(empty: Path, kind: str) -> None:
    add(empty, kind, "", EXP)
    code, printed = archdsl("check", "s.arch")
    assert code == 1
    assert "error[E0903]" in printed
    assert f"own/{kind}.py" in printed


def test_two_files_cannot_declare_one_layer(empty: Path) -> None:
    add(empty, "new", "", EXP)
    (empty / "own" / "newer.py").write_text((empty / "own" / "new.py").read_text("utf-8"), "utf-8")
    code, printed = archdsl("check", "s.arch")
    assert code == 1
    assert "a layer `new` exists already, in own/new.py" in printed


@pytest.mark.parametrize("setting", ["nowhere", f"own{os.pathsep}nowhere", "s.arch"])
def test_a_folder_that_is_not_there_is_refused(empty: Path, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add(empty, "new", "", EXP)
    monkeypatch.setenv("ARCHDSL_LAYERS", setting)
    code, printed = archdsl("check", "s.arch")
    assert code == 1
    assert "error[E0901]" in printed


def test_a_class_without_its_decorator_is_refused(empty: Path) -> None:
    add(empty, "new", "", EXP)
    file = empty / "own" / "new.py"
    file.write_text(file.read_text("utf-8").replace('@layer("new", category="activation")', ""), "utf-8")
    code, printed = archdsl("check", "s.arch")
    assert code == 1
    assert "the class `New` has no name in the language" in printed


def test_python_raises_the_same_as_a_spec_error(empty: Path) -> None:
    add(empty, "new", "    def infer(self, x): return None", EXP)
    with pytest.raises(SpecError) as caught:
        load("s.arch")
    assert [d.code for d in caught.value.diagnostics] == ["E0905"]


def test_several_names_on_one_import_line_are_all_imported(empty: Path) -> None:
    template = "{% macro apply(x) %}rearrange({{ x }}, 'b c t h w -> b c t h w'){% endmacro %}"
    add(empty, "new", '    imports = ("from einops import rearrange, repeat",)', template)
    done("compile", "s.arch")
    assert "from einops import rearrange\n" in (empty / "s.py").read_text("utf-8")


# --- how modules begin -----------------------------------------------------------------------------------------------

GATE = """
    module = True

    def weights(self, x):
        c = x.channels
        return {"down.weight": (c, c), "down.bias": (c,), "norm.weight": (c,), "norm.bias": (c,)} | {
            "mix.weight": (c, c, 1, 1, 1)
        }

    def plan(self, use):
        return {"channels": use.inputs[0].channels}
"""
GATE_TEMPLATE = """
{% macro support() %}
class Gate(nn.Module):
    \"\"\"A gate for each channel.\"\"\"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels)
        self.norm = nn.BatchNorm3d(channels)
        self.mix = nn.Conv3d(channels, channels, 1, bias=False)
        self.drop = nn.Dropout(0.25)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.125)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.norm(x)) * self.drop(self.down(x.mean((2, 3, 4))))[:, :, None, None, None]
{% endmacro %}
{% macro module() %}Gate({{ channels }}){% endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
"""
BUFFERS = """
    def buffers(self, x):
        return {"norm.running_mean": (x.channels,), "norm.running_var": (x.channels,), "norm.num_batches_tracked": ()}
"""
GATED = """
arch s
input clip: video[3, 4, 8, 8]
block b() { conv(8, 3) -> bn(gamma = 0) -> new }
stage one { b() -> new as last }
stage two { b() * 2 }
head: avgpool -> dropout(0.5) -> linear(2)
"""


def test_what_a_layer_makes_inside_itself_begins_as_it_says(empty: Path) -> None:
    """Rules for linear layers, convolutions, norms and dropout are for those that the spec names."""
    add(empty, "new", GATE + BUFFERS, GATE_TEMPLATE)
    (empty / "s.arch").write_text(GATED.lstrip(), "utf-8")
    model = load("s.arch").build()
    gates = [m for m in model.modules() if type(m).__name__ == "Gate"]
    assert len(gates) == 4
    for gate in gates:
        assert {p.unique().item() for p in gate.parameters()} == {0.125}
        assert gate.drop.p == 0.25
    assert model.head.dropout.p == 0.5
    assert model.one.b.bn.weight.unique().item() == 0.0
    assert 0.005 < model.head.linear.weight.std() < 0.02


def test_what_a_layer_declares_inside_itself_begins_as_declared(empty: Path) -> None:
    declared = """
    def parts(self):
        return {"down": "nn.Linear"}

    def inits(self, x):
        return {"down.weight": Symbol("zeros"), "down.bias": Symbol("zeros")}
"""
    add(empty, "new", GATE + BUFFERS + declared, GATE_TEMPLATE)
    (empty / "s.arch").write_text(GATED.lstrip(), "utf-8")
    model = load("s.arch").build()
    for gate in (m for m in model.modules() if type(m).__name__ == "Gate"):
        assert not gate.down.weight.any()
        assert not gate.down.bias.any()
        assert {p.unique().item() for p in gate.mix.parameters()} == {0.125}
    assert 0.005 < model.head.linear.weight.std() < 0.02


# --- the module against the graph -------------------------------------------------------------------------------------

DIFFERS = {
    "an import": ("pass", EXP.replace("torch.exp", "math.exp"), "NameError: name 'math' is not defined"),
    "a shape": ("def infer(self, x): return x._replace(t=2)", EXP, "8×2×8×8 on 8×4×8×8"),
    "an axis": ("pass", "{% macro apply(x) %}{{ x }}.transpose(1, 2){% endmacro %}", "the code gives 2×4×8×8×8"),
    "a tuple": ("pass", "{% macro apply(x) %}torch.max({{ x }}, 2){% endmacro %}", "the code gives a max"),
    "an operation": ("pass", "{% macro apply(x) %}{{ x }} + torch.ones(3){% endmacro %}", "RuntimeError"),
    "values": ("pass", "{% macro apply(x) %}{{ x }}[:, : int({{ x }}.sum() * 0) + 1]{% endmacro %}", "gives 2×1×4×8×8"),
    "a parameter too many": (
        "module = True",
        "{% macro module() %}nn.Conv3d(8, 8, 1){% endmacro %}{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}",
        "the parameter `weight` is 8×8×1×1×1 in the module and is not in `weights`",
    ),
    "a buffer too few": (
        "module = True\n    def buffers(self, x): return {'mean': (8,)}",
        "{% macro module() %}nn.Identity(){% endmacro %}{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}",
        "the buffer `mean` is not in the module and is 8 in `buffers`",
    ),
    "a module that does not exist": (
        "module = True",
        "{% macro module() %}nn.Linaer(8, 8){% endmacro %}{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}",
        "has no attribute 'Linaer'",
    ),
    "a part": (
        "module = True\n    def parts(self): return {'proj': 'nn.Linear'}",
        "{% macro module() %}nn.Identity(){% endmacro %}{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}",
        "`parts` says nn.Linear for 'proj'; it is nothing",
    ),
}


@pytest.mark.parametrize("case", DIFFERS)
@pytest.mark.parametrize("target", ["train", "infer"])
def test_compile_holds_an_added_layer_against_what_it_declares(empty: Path, case: str, target: str) -> None:
    body, template, message = DIFFERS[case]
    add(empty, "new", f"    {body}", template)
    code, printed = archdsl("compile", "s.arch", "-o", "o.py", "--target", target)
    assert code == 1
    assert "error[E0908]" in printed
    assert message in printed
    assert not (empty / "o.py").exists()


WINDOW = """
    module = True
    kernel = Integer(3, doc="frames")

    def plan(self, use):
        k = self.kernel
        return PLAN
"""
WINDOW_TEMPLATE = """
{% macro module() %}nn.AvgPool3d({{ kernel }}, stride=1, padding={{ padding }}){% endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
"""
SHARED = """
arch s
input clip: video[3, 8, 8, 8]
block b(k) { new(k) -> conv(4) }
stage one { b(3) -> b(5) }
head: avgpool -> linear(2)
"""


@pytest.mark.parametrize(
    "plan",
    [
        '{"kernel": (int(k), 1, 1), "padding": (int(k) // 2, 0, 0)}',
        '{"kernel": (k, 1, 1), "padding": (1 if k < 5 else 2, 0, 0)}',
        '{"kernel": f"({k}, 1, 1)", "padding": (k // 2, 0, 0)}',
        '{"kernel": (max(4, k), 1, 1), "padding": (k // 2, 0, 0)}',
    ],
)
def test_a_plan_that_decides_by_numbers_of_a_block_is_refused(empty: Path, plan: str) -> None:
    """One class would have the kernel of the first use in all."""
    add(empty, "new", WINDOW.replace("PLAN", plan), WINDOW_TEMPLATE)
    (empty / "s.arch").write_text(SHARED.lstrip(), "utf-8")
    code, printed = archdsl("compile", "s.arch")
    assert code == 1
    assert "error[E0907]" in printed


def test_form_keeps_uses_apart_whose_plan_differs(empty: Path) -> None:
    plan = '{"kernel": (int(k), 1, 1), "padding": (int(k) // 2, 0, 0)}'
    form = "    def form(self, *inputs): return (int(self.kernel),)\n"
    add(empty, "new", WINDOW.replace("PLAN", plan) + form, WINDOW_TEMPLATE)
    (empty / "s.arch").write_text(SHARED.lstrip(), "utf-8")
    assert _kernels(load("s.arch").build()) == [3, 5]


def test_a_plan_that_computes_with_numbers_of_a_block_is_right_in_all_uses(empty: Path) -> None:
    add(empty, "new", WINDOW.replace("PLAN", '{"kernel": (k, 1, 1), "padding": (k // 2, 0, 0)}'), WINDOW_TEMPLATE)
    (empty / "s.arch").write_text(SHARED.lstrip(), "utf-8")
    arch = load("s.arch")
    assert arch.source().count("nn.AvgPool3d(") == 1
    assert _kernels(arch.build()) == [3, 5]


def _kernels(model: torch.nn.Module) -> list[int]:
    return [m.kernel_size[0] for m in model.modules() if isinstance(m, torch.nn.AvgPool3d)]


# --- archdsl layers check --------------------------------------------------------------------------------------------


def checked(
    folder: Path, body: str, template: str, *checks: str, category: str = "activation"
) -> dict[str, tuple[str, str]]:
    """The status and message of some checks of a layer."""
    add(folder, "new", body, template, category)
    with pytest.MonkeyPatch.context() as patch:
        for table in (ALONE, NETWORKS):
            for name in [n for n in table if n not in checks]:
                patch.delitem(table, name)
        printed = io.StringIO()
        with redirect_stdout(printed):
            code = main(["layers", "check", "own/new.py", "--json"])
    lines = json.loads(printed.getvalue())["checks"]
    assert code == any(line["status"] == "wrong" for line in lines)
    return {line["check"]: (line["status"], f"{line['message']} {line['help']}") for line in lines}


@pytest.mark.usefixtures("here")
def test_the_layer_of_the_readme_passes_every_check() -> None:
    printed = done("layers", "check", "own/elu.py")
    for name in ("tensors", "shapes", "gradients", "memory", "targets", "sizes", "torch.export", "onnx"):
        assert re.search(rf"^elu  {re.escape(name)} +ok ", printed, re.MULTILINE), printed
    assert re.search(r"^elu  layouts +ok +channels_last, tokens, vector equal grid$", printed, re.MULTILINE)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("kind", "fine"), [("channel_scale", "memory"), ("depthwise", "cost"), ("depthwise", "classes")]
)
def test_layers_that_are_right_pass(kind: str, fine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for exported in ("torch.export", "onnx"):
        monkeypatch.delitem(NETWORKS, exported)
    printed = done("layers", "check", f"own/{kind}.py", "--seed", "3")
    assert re.search(rf"^{kind}  {fine} +ok +[1-9e]", printed, re.MULTILINE)


HALF_DETACHED = "{% macro apply(x) %}{{ x }} + 0.5 * {{ x }}.detach(){% endmacro %}"
UNUSED = """
{% macro support() %}
class Unused(nn.Module):
    \"\"\"Has a parameter that it does not use.\"\"\"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x
{% endmacro %}
{% macro module() %}Unused(){% endmacro %}
{% macro apply(x) %}{{ layer }}({{ x }}){% endmacro %}
"""
CONV = LINEAR.replace("nn.Linear(8, 3)", "nn.Conv3d({{ c }}, {{ c }}, 1)")
FRAMES = "{% macro apply(x) %}{{ x }} + torch.arange({{ t }}, device={{ x }}.device)[:, None, None]{% endmacro %}"
CENTRED = "{% macro apply(x) %}{{ x }} - {{ x }}.mean(1, keepdim=True){% endmacro %}"
DECIDES = "{% macro apply(x) %}{{ x }} * (1 if float({{ x }}.sum()) > 0 else 2){% endmacro %}"
WEIGHT = "    module = True\n    def weights(self, x): return {'weight': (3,)}"
CONV_BODY = """
    module = True
    def weights(self, x): return {"weight": (x.channels, x.channels, 1, 1, 1), "bias": (x.channels,)}
    def plan(self, use): return {"c": use.inputs[0].channels}
"""
MEAN = "{% macro apply(x) %}{{ x }} - {{ x }}.mean({{ 2 if train else 3 }}, keepdim=True){% endmacro %}"
INFERRED = """
    train = Flag(True, doc="a wrong `for_inference` changes it")
    def for_inference(self): return self.changed(train=False)
    def plan(self, use): return {"train": self.train}
"""
CHECKS = {
    "cumsum in any layout": ("layouts", "    layouts = ANY_LAYOUT", CUMSUM, "in channels_last and in grid differ"),
    "tokens": (
        "layouts", "    layouts = (GRID, TOKENS)", CENTRED, "with class tokens"
    ),
    "a shape": ("shapes", "    def infer(self, x): return x._replace(t=1)", EXP, "from `infer`"),
    "a gradient": ("gradients", "    pass", HALF_DETACHED, "(finite differences)"),
    "no gradient": ("gradients", "    pass", EXP.replace("x }})", "x }}.detach())"), "the output has no gradient"),
    "a parameter": (
        "gradients", WEIGHT, UNUSED, "`weight` has no gradient"
    ),
    "tensors": ("tensors", "    module = True", UNUSED, "`weight` is 3 in the module and is not in `weights`"),
    "axes": (
        "tensors", WEIGHT + "\n    def tensor_axes(self, x): return {'weight': (1,)}", UNUSED, "E0905"
    ),
    "cost": ("cost", CONV_BODY, CONV, "`macs` returns 0"),
    "memory": ("memory", "    pass", "{% macro apply(x) %}{{ x }}.sin().cos(){% endmacro %}", "Saved(inputs"),
    "targets": ("targets", INFERRED, MEAN, "the targets `infer` and `train`"),
    "sizes": ("sizes", "    def plan(self, use): return {'t': int(use.inputs[0].t)}", FRAMES,
              "a clip of another size"),
    "classes": ("classes", WINDOW.replace("PLAN", '{"kernel": (int(k), 1, 1), "padding": 0}')
                + "    def infer(self, x): return Grid(x.channels, *slide(x, (self.kernel, 1, 1), (1,) * 3, (0,) * 3))",
                WINDOW_TEMPLATE, "E0907"),
    "export": (
        "torch.export", "    pass", DECIDES, "torch.export cannot export"
    ),
    "names": ("names", "    def wieghts(self, x): return {}", EXP, "did you mean `weights`?"),
    "the file": ("file", "    layouts = GRID", EXP, "E0902"),
    "no uses": ("uses", "    def infer(self, x): raise ShapeError('never')", EXP, "--set NAME=VALUE"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKS)
def test_layers_check_finds_what_is_wrong(empty: Path, case: str) -> None:
    check, body, template, message = CHECKS[case]
    status, text = checked(empty, body, template, check)[check]
    assert status == "wrong"
    assert message in text


def test_layers_check_names_skipped_checks(empty: Path) -> None:
    add(empty, "new", "", EXP)
    found = checked(empty, "", EXP, "layouts")
    assert found["layouts"] == ("skipped", "the only layout of a grid without tokens is grid ")


@pytest.mark.parametrize("file", ["own/none.py", "own"])
def test_layers_check_of_no_file_is_wrong_use(empty: Path, file: str) -> None:
    assert archdsl("layers", "check", str(empty / file))[0] == 2


def test_layers_check_knows_the_layers_of_its_files_alone(empty: Path) -> None:
    """Other files of the folder may be wrong, and ARCHDSL_LAYERS may be unset."""
    add(empty, "other", "    layouts = GRID", EXP)
    assert checked(empty, "    layouts = ANY_LAYOUT", EXP, "targets")["targets"][0] == "ok"


@pytest.mark.parametrize(
    ("category", "status", "message"),
    [("regularization", "wrong", "did you mean `regularisation`?"), ("wavelet", "ok", "`wavelet` is new")],
)
def test_a_category_that_no_layer_has(empty: Path, category: str, status: str, message: str) -> None:
    found = checked(empty, "", EXP, category=category)["names"]
    assert found[0] == status
    assert message in found[1]


def test_a_fault_that_fails_every_check_is_told_once(here: Path) -> None:
    lines = checked(here, "elementwise = True", EXP.replace("exp", "{{ k }}"), "tensors", "shapes")
    found = {status: message.strip() for status, message in lines.values()}  # `checked` may change the order of checks
    assert found.keys() == {"wrong", "skipped"}
    assert found["skipped"] == "fails for the same reason as above"
