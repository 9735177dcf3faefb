"""The modules in generated/: up to date with specs/, standing alone, compiled, exported, trained."""

from __future__ import annotations

import ast
import copy
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from meta import assert_as_predicted
from repository import ROOT
from small import ALL, COVERING, EACH, FAMILIES, FEW, KINDS, OTHERS, SPECS, forms, full, imported, inputs, param, small

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

GENERATED = sorted((ROOT / "generated").glob("*.py"))


def built(name: str, frames: int = 8, size: int = 32, **params: Any) -> torch.nn.Module:
    """A module of a spec for small clips."""
    return archdsl.load(ROOT / "specs" / f"{name}.arch", clip=(3, frames, size, size), **params).build()


@pytest.mark.parametrize("spec", SPECS, ids=lambda p: p.stem)
def test_generated_is_up_to_date(spec: Path) -> None:
    assert (ROOT / "generated" / f"{spec.stem}.py").read_text("utf-8") == full(spec).source()


def test_every_generated_module_has_its_spec() -> None:
    assert {p.stem for p in GENERATED} == {p.stem for p in SPECS}


@pytest.mark.parametrize("spec", ALL)
def test_graph_predicts_the_module(spec: Path) -> None:
    """Features of one spec of each form: those of others are computed by the same code."""
    assert_as_predicted(full(spec), with_features=spec.stem in {*FEW, *OTHERS})


def test_constructors_read_their_parameters() -> None:
    for path in GENERATED:
        classes = [c for c in ast.parse(path.read_text("utf-8")).body if isinstance(c, ast.ClassDef)]
        for made in (f for c in classes for f in c.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"):
            read = {n.id for n in ast.walk(made) if isinstance(n, ast.Name)}
            unread = [a.arg for a in made.args.args[1:] if a.arg not in read]
            assert not unread, f"{path.name}:{made.lineno}: {unread}"


def test_modules_stand_alone(tmp_path: Path) -> None:
    """They import torch and einops only, in an interpreter that cannot see archdsl; one of each form is constructed."""
    for path in GENERATED:
        shutil.copy(path, tmp_path)
    code = (
        "import importlib, sys, torch; sys.modules['archdsl'] = None\n"
        "for name in sys.argv[1:]:\n"
        "    module = importlib.import_module(name)\n"
        f"    if name in {sorted({*FEW, *OTHERS, 'slow_4x16_r50'})}:\n"
        "        with torch.device('meta'): print(name, type(getattr(module, name)()).__name__)"
    )
    names = [path.stem for path in GENERATED]
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = dict(line.split() for line in done.stdout.splitlines())
    assert list(made) == [name for name in names if name in {*FEW, *OTHERS, "slow_4x16_r50"}]
    assert made["slowfast_r50"] == "SlowFast" == made["slow_4x16_r50"]


def test_ruff_leaves_the_modules_alone() -> None:
    for command in (["format", "--check"], ["check"], ["format", "--check", "--isolated"], ["check", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *map(str, GENERATED)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_parameter_names_follow_the_spec() -> None:
    names = built("slowfast_r50").state_dict().keys()
    for name in (
        "slow.conv1.conv.weight",
        "slow.res2.0.shortcut.conv.weight",
        "slow.res3.3.conv2.weight",
        "fast.res5.2.bn3.running_var",
        "fast_to_slow.res4.conv.weight",
        "head.linear.bias",
    ):
        assert name in names
    assert not any(name.startswith("slow.res2.1.shortcut") for name in names)


def test_initialisation_is_the_papers() -> None:
    model = built("slowfast_r50")
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith("bn3.weight"):
            assert torch.count_nonzero(value) == 0, name
        elif ".bn" in name and name.endswith(".weight"):
            assert torch.all(value == 1), name
    # He et al. 2015, fan-out: variance 2 / (output channels · kernel). Thousands of samples, so 5 % is wide.
    for name in ("slow.res4.1.conv2.weight", "slow.res5.0.conv1.weight", "fast.res4.0.conv1.weight"):
        out, _, t, h, w = state[name].shape
        assert state[name].std().item() == pytest.approx((2 / (out * t * h * w)) ** 0.5, rel=0.05)
    assert state["head.linear.weight"].std().item() == pytest.approx(0.01, rel=0.05)
    assert torch.count_nonzero(state["head.linear.bias"]) == 0


@pytest.mark.parametrize("path", EACH)
def test_a_step_forward_and_backward(path: Path) -> None:
    step(small(path, 32), torch.float32)


@pytest.mark.parametrize("name", COVERING)
def test_a_step_in_bfloat16(name: str) -> None:
    """For each kind of layer alone, as 16 bits take longer."""
    step(small(ROOT / "specs" / f"{name}.arch", 32), torch.bfloat16)


def step(arch: archdsl.Architecture, dtype: torch.dtype) -> None:
    """Checks a step of training with 32 frames, so that nowhere 2 are left.

    torch 2.13 on CPU gives NaN as the weight gradient of any 3×1×1 convolution of exactly 2 frames in bfloat16, with or
    without this project.
    """
    torch.manual_seed(0)
    model = without_zeros(arch.build())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        logits = model(*inputs(arch, 2))
        logits = logits.movedim(-1, 1) if logits.ndim == 3 else logits  # classes of boxes come last
        scores = logits.float().flatten(2).mean(2) if logits.ndim > 2 else logits.float()
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 2]))
        # A head that reads the class token alone does not ask for what the last block makes of the grid.
        features = list(model.forward_features(*inputs(arch, 2)).values())[-2:]
    (loss + sum(x.float().square().mean() for x in features)).backward()
    given = arch._analysis.parameters
    outputs = 7 if "classes" in given else 3 * 2 * given["patch"] ** 2  # the pixels of a tubelet
    assert logits.shape[:2] == (2, outputs)
    assert logits.dtype is dtype
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
        if parameter.grad is None:  # of a stage that the spec freezes
            continue
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def layer_kinds(path: Path, *, shallow: bool = False) -> frozenset[str]:
    return frozenset(kind for _, kind in small(path, shallow=shallow).graph.nodes(data="kind"))


@pytest.mark.records
def test_the_chosen_specs_have_layers_of_all_kinds() -> None:
    """Each set of kinds that a small network of a spec has, once; a shallow one has them, too."""
    chosen = [layer_kinds(p) for p in SPECS if p.stem in KINDS]
    assert [layer_kinds(p, shallow=True) for p in SPECS if p.stem in KINDS] == chosen
    assert len(set(chosen)) == len(chosen) == len(KINDS)
    assert set(chosen) == {layer_kinds(p) for p in SPECS}


@pytest.mark.records
def test_some_specs_have_every_kind_of_layer() -> None:
    """Those of attention's lines, too."""
    kinds = {path.stem: kinds_inside(path) for path in SPECS}
    assert set().union(*(kinds[name] for name in COVERING)) == set().union(*kinds.values())


def kinds_inside(path: Path) -> frozenset[str]:
    layers = [node.layer for node in small(path)._analysis.network.all_nodes()]
    return frozenset(one.kind for layer in layers for one in (layer, *layer.layers_inside()))


@pytest.mark.records
def test_the_chosen_specs_have_all_forms() -> None:
    assert sorted(path.stem for path in forms()) == sorted([*FEW, *OTHERS])


def without_zeros(model: torch.nn.Module) -> torch.nn.Module:
    """A model in training that nothing holds back: no weight of 0 in front of a gradient, no branch left out."""
    for module in model.modules():
        if type(module).__name__ == "DropPath":
            module.p = 0.0
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return model


def test_it_overfits_eight_clips() -> None:
    torch.manual_seed(0)
    model = built("slowfast_r50", classes=8)
    clips, labels = torch.randn(8, 3, 8, 32, 32), torch.arange(8)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        if loss.item() < 0.05:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


@pytest.mark.records
@pytest.mark.parametrize("path", [p for p in SPECS if p.stem in set(FEW) - set(KINDS)], ids=lambda p: p.stem)
def test_compile_takes_the_whole_graph(path: Path) -> None:
    """Specs of other forms than those whose steps of training are compiled below."""
    arch = small(path, shallow=True)
    model, clips = arch.build().eval(), inputs(arch, 1)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*clips), model(*clips))


# Batch norms of two paths, attention over the whole grid, over halves, and pooled.
STEPPED = ("slowfast_r50", "i3d_r50_nl5", "timesformer_ts", "mvit_b_16x4")


@pytest.mark.parametrize("path", [param(p, STEPPED) for p in SPECS if p.stem in COVERING])
def test_steps_do_not_compile_again(path: Path) -> None:
    """Training goes on with what the first step compiled: the weights move, the draws are others."""
    arch = small(path, 32, shallow=True)
    model, clips = arch.build().train(), inputs(arch, 2)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    torch.manual_seed(0)
    expected = model(*clips)  # einops also notes the library that it works with, once for all
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(*clips), expected)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            compiled(*clips).square().mean().backward()
            optimizer.step()


@pytest.mark.parametrize("path", [param(p, FAMILIES) for p in SPECS if p.stem in COVERING])
def test_export_gives_the_same(path: Path) -> None:
    arch = small(path, shallow=True)
    model, clips = arch.build().eval(), inputs(arch, 2)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, clips, dynamic_shapes=tuple({0: batch} for _ in clips))
    others = inputs(arch, 5)
    torch.testing.assert_close(program.module()(*others), model(*others))


def test_dropout_is_a_choice_of_training() -> None:
    module = imported(ROOT / "generated" / "slow_r50.py")
    with torch.device("meta"):
        rates = [m.p for p in (0.5, 0.2) for m in module.slow_r50(dropout=p).modules() if hasattr(m, "p")]
        assert [m.p for m in module.slow_r50().modules() if hasattr(m, "p")] == [0.5]
    assert rates == [0.5, 0.2]


def test_ordinary_tools_work() -> None:
    model = built("slowfast_r50", depths=[1, 1, 1, 1]).eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict(), strict=True)
    torch.testing.assert_close(twin(clip), model(clip))
    torch.nn.utils.parametrizations.weight_norm(twin.get_submodule("head.linear"))
    torch.testing.assert_close(twin(clip), model(clip))


def test_wrong_clips_are_refused_with_a_remedy() -> None:
    model = built("slowfast_r50", frames=8, depths=[1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"expected \(B, 3, T, H, W\), found \(1, 2, 8, 32, 32\)"):
        model(torch.empty(1, 2, 8, 32, 32))
    with pytest.raises(ValueError, match=r"multiple of 4 frames, found 6$"):
        model(torch.empty(1, 3, 6, 32, 32))
    with pytest.raises(ValueError, match=r"found \(3, 8, 32, 32\)"):
        model(torch.empty(3, 8, 32, 32))


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (torch.arange(3), r"\(3,\) of torch.int64"),
        (torch.zeros(3, 4, dtype=torch.int64), r"\(3, 4\) of torch.int64"),
        (torch.arange(4.0), r"\(4,\) of torch.float32"),
    ],
)
def test_wrong_numbers_of_frames_are_refused(index: torch.Tensor, found: str, tmp_path: Path) -> None:
    path = tmp_path / "longer.arch"
    path.write_text(
        "arch longer\ninput clip: video[3, 4, 2, 3]\ninput frame_index: index[4]\n"
        "stage s { linear(8) -> position(time, table = 7, frames = frame_index) }\nhead: avgpool -> linear(2)\n"
    )
    model = archdsl.load(path).build()
    clip = torch.randn(2, 3, 4, 2, 3)
    for fine in (None, torch.arange(4), torch.zeros(2, 4, dtype=torch.int32)):
        assert model(clip, fine).shape == (2, 2)
    with pytest.raises(
        ValueError, match=rf"expected numbers of frames \(4,\) or \(2, 4\) of torch.int64, found {found}"
    ):
        model(clip, index)


@pytest.mark.parametrize(("t", "h", "w"), [(4, 1, 1), (12, 33, 65), (8, 64, 48)])
def test_other_sizes_pass(t: int, h: int, w: int) -> None:
    model = built("slowfast_r50", frames=8, depths=[1, 1, 1, 1]).eval()
    assert model(torch.randn(1, 3, t, h, w)).shape == (1, 400)


def test_a_size_that_vanishes_is_refused(tmp_path: Path) -> None:
    text = (
        "arch tiny\ninput clip: video[3, 8, 16, 16]\n"
        "stage s { conv(4, 3) -> maxpool(4, stride = 4) }\nhead: avgpool -> linear(2)\n"
    )
    path = tmp_path / "tiny.arch"
    path.write_text(text)
    model = archdsl.load(path).build()
    assert model(torch.randn(1, 3, 4, 4, 4)).shape == (1, 2)
    with pytest.raises(ValueError, match="at least 4 frames, found 3"):
        model(torch.randn(1, 3, 3, 16, 16))


@pytest.mark.parametrize(("frames", "n"), [(8, 4), (32, 4), (32, 8), (64, 4), (30, 3), (16, 1), (7, 7)])
def test_slow_frames_are_those_of_the_released_code(frames: int, n: int) -> None:
    """PySlowFast picks `torch.linspace(0, T - 1, T // alpha).long()`."""
    module = imported(ROOT / "generated" / "slowfast_r50.py")
    clip = torch.arange(frames).reshape(1, 1, frames, 1, 1)
    picks = module.spread_frames(clip, n).flatten()
    assert torch.equal(picks, torch.linspace(0, frames - 1, frames // n).long())


def test_text_does_not_depend_on_the_hash_seed() -> None:
    code = "import archdsl, sys; sys.stdout.write(archdsl.load(sys.argv[1]).source())"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, str(ROOT / "specs" / "slowfast_r50.arch")],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert texts == {(ROOT / "generated" / "slowfast_r50.py").read_bytes()}


def test_cost_json_has_the_agreed_keys() -> None:
    cost = json.loads(json.dumps(archdsl.load(ROOT / "specs" / "slowfast_r50.arch").cost()))
    assert {"arch", "params", "macs", "input", "output", "stages"} <= cost.keys()
    assert cost["input"] == [3, 32, 224, 224]
    assert all({"name", "path", "shape", "params", "macs"} <= row.keys() for row in cost["stages"])
    assert sum(r["params"] for r in cost["stages"]) == cost["params"]
    assert sum(r["macs"] for r in cost["stages"]) == cost["macs"]
