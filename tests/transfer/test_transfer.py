"""Transfer of weights from one network to another: copied tensors stay exact, and every tensor is accounted for."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from repository import ROOT
from safetensors.torch import load_file
from small import SPECS, full, inputs, small

import archdsl
from archdsl.cli import main
from archdsl.files import read_source
from archdsl.layers import axes
from archdsl.transfer.apply import transfer
from archdsl.transfer.names import renaming
from archdsl.weights.parse import parse_map

ALL = [*SPECS, *sorted((ROOT / "specs" / "images").glob("*.arch"))]
TRANSFERS = sorted((ROOT / "specs" / "weights").glob("transfer_*.weights"))


@cache
def module(arch: archdsl.Architecture) -> torch.nn.Module:
    """A module of random weights, statistics of normalisations included, so that no two numbers are the same."""
    torch.manual_seed(0)
    model = arch.build().eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
            if name.endswith("running_var"):
                tensor.abs_().add_(1)
    return model


def drawn(arch: archdsl.Architecture) -> dict[str, torch.Tensor]:
    """Random tensors of a module's names, shapes and types, without what it takes to initialise one."""
    with torch.device("meta"):
        tensors = arch.build().state_dict()
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(t.shape, generator=generator) if t.is_floating_point() else torch.zeros_like(t, device="cpu")
        for name, t in tensors.items()
    }


def moved(base: archdsl.Architecture, arch: archdsl.Architecture, **rules: Any) -> torch.nn.Module:
    """A module of the second network with the weights of the first."""
    model = arch.build().eval()
    state = archdsl.transfer_weights(base, module(base).state_dict(), arch, **rules)
    model.load_state_dict(state, strict=True)
    return model


def loaded(name: str, clip: tuple[int, int, int, int] | None = None, **params: Any) -> archdsl.Architecture:
    folder = ROOT / "specs"
    path = folder / f"{name}.arch"
    return archdsl.load(path if path.exists() else folder / "images" / path.name, clip=clip, **params)


def output(model: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(clip)


def still(frames: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image as a clip of one frame, and repeated."""
    image = torch.randn(2, 3, 1, size, size, generator=torch.Generator().manual_seed(3))
    return image, image.expand(-1, -1, frames, -1, -1).contiguous()


# --- what tensors are ------------------------------------------------------------------------------------------------


def size_of(axis: axes.Axis, node: Any) -> list[int]:
    """Sizes that an axis can have, by its meaning."""
    values = node.layer.values()
    match axis:
        case axes.Out():
            return [node.shape.channels]
        case axes.In():
            return [node.input_shapes[0].channels]
        case axes.Places(grid=grid, tokens=tokens):
            return [prod(grid) + tokens]
        case axes.Distances(window=window):
            return [prod(2 * n - 1 for n in window)]
        case axes.Extent(axis=along):
            kernels = [v for k, v in values.items() if k == "kernel"]
            return [kernel["thw".index(along)] for kernel in kernels]
        case axes.Heads():
            return [values["heads"]]
        case axes.Inner(parts=parts, heads=heads):
            dim = values["dim"] or node.input_shapes[0].channels
            return [parts * dim if heads == values["heads"] else parts * (dim // values["heads"])]
        case _:
            return []


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_every_axis_is_declared(path: Path) -> None:
    for node in full(path)._analysis.network.all_nodes():
        if not node.inputs:
            continue
        known = node.layer.tensor_axes(*node.input_shapes)
        for name, shape in node.layer.weights(*node.input_shapes).items():
            assert name in known, f"{node.layer.kind}.{name}"
            for axis, size in zip(known[name], shape, strict=True):
                expected = size_of(axis, node)
                assert not expected or size in expected, f"{node.name}.{name}: {axis}"


# --- to itself, and between variants ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_to_itself_is_the_identity(path: Path) -> None:
    arch = full(path)
    plan = arch.plan_transfer(arch)
    assert plan.counts == {"copied": len(arch.tensors)}
    assert plan.is_complete
    assert [(e.name, e.base, e.shape) for e in plan.entries] == [(n, n, s) for n, s in arch.tensors.items()]


def root_of(path: Path) -> str:
    """The spec that a spec extends in the end."""
    base = re.search(r"^arch \w+(?: as \w+)? extends (\w+)", path.read_text("utf-8"), re.MULTILINE)
    return root_of(path.with_stem(base[1])) if base else path.stem


def families() -> list[Any]:
    """The specs that extend one another, by the spec that they all extend."""
    found: dict[str, list[Path]] = {}
    for path in SPECS:
        found.setdefault(root_of(path), []).append(path)
    return [pytest.param(paths, id=root) for root, paths in found.items() if len(paths) > 1]


@pytest.mark.parametrize("family", families())
def test_between_variants_of_a_family(family: list[Path]) -> None:
    """Between neighbours and between each and the first, both ways: of ten networks all pairs would be a hundred.

    Of specs whose small networks are the same there is one. A module takes what has its names and shapes.
    """
    paths = list({small(path).source().split("class ", 1)[1]: path for path in reversed(family)}.values())[::-1]
    if len(paths) == 1:
        pytest.skip("in small they are all the same")
    networks = [(small(path), drawn(small(path))) for path in paths]
    for i, j in itertools.permutations(range(len(networks)), 2):
        if abs(i - j) > 1 and 0 not in (i, j):
            continue
        (base, state), (arch, fresh) = networks[i], networks[j]
        plan = arch.plan_transfer(base)
        made = transfer(plan, state, fresh)
        assert {name: t.shape for name, t in made.items()} == {name: t.shape for name, t in fresh.items()}
        used = {e.base for e in plan.entries if e.base}
        assert used | plan.unused.keys() == base.tensors.keys()
        assert not used & plan.unused.keys()
        for entry in plan.entries:
            if entry.how == "copied":
                assert torch.equal(made[entry.name], state[entry.base])
            assert (entry.how == "new") == (not entry.base)


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["c2d_r50", "i3d_r50", "slow_r50"])
def test_a_centred_inflation_keeps_the_logits(name: str) -> None:
    """Only the middle frame of each filter counts, so borders, where zeros stand around the clip, do not either."""
    base = loaded("c2d_r50", (3, 1, 64, 64), width=8, pool2=False)
    arch = loaded(name, (3, 8, 64, 64), width=8)
    image, clip = still(8, 64)
    torch.testing.assert_close(
        output(moved(base, arch, inflate="centre"), clip), output(module(base), image), rtol=1e-4, atol=1e-5
    )


def test_an_averaged_inflation_keeps_the_features_away_from_the_borders() -> None:
    """The stem sees 2 frames to each side, each of the three blocks of res2 one more: 5 frames are near a border."""
    base = loaded("c2d_r50", (3, 1, 64, 64), width=8, pool2=False)
    arch = loaded("i3d_r50", (3, 16, 64, 64), width=8)
    image, clip = still(16, 64)
    with torch.no_grad():
        wanted = module(base).forward_features(image)["res2"]
        found = moved(base, arch).forward_features(clip)["res2"]
    torch.testing.assert_close(found[:, :, 5:-5], wanted.expand(-1, -1, 6, -1, -1), rtol=1e-4, atol=1e-5)
    for frame in (0, 1, -2, -1):
        assert (found[:, :, frame] - wanted[:, :, 0]).abs().max() > 1e-3


SWIN = {"width": 8, "depths": [2, 2, 2, 2], "heads": [1, 2, 2, 4]}
VIT = {"dim": 16, "depth": 2, "heads": 2}


def test_swin_of_a_still_clip_is_swin_of_the_image() -> None:
    """All frames hold the same keys, and the table is the same for all distances in time."""
    base = loaded("swin3d_t", (3, 1, 64, 64), patch=[1, 4, 4], window=[1, 7, 7], **SWIN)
    arch = loaded("swin3d_t", (3, 8, 64, 64), window=[4, 7, 7], **SWIN)
    plan = arch.plan_transfer(base)
    assert set(plan.counts) == {"copied", "inflated", "interpolated"}
    image, clip = still(8, 64)
    torch.testing.assert_close(output(moved(base, arch), clip), output(module(base), image), rtol=1e-4, atol=1e-5)


def test_convnext_of_a_still_clip_is_that_of_the_image() -> None:
    """Tubelets of two equal frames, and depthwise filters of which the middle frame counts."""
    small = {"width": 8, "depths": [1, 1, 2, 1], "layer_scale": 1}
    base = loaded("convnext3d_t", (3, 1, 64, 64), patch=[1, 4, 4], t=1, **small)
    arch = loaded("convnext3d_t", (3, 8, 64, 64), **small)
    image, clip = still(8, 64)
    torch.testing.assert_close(
        output(moved(base, arch, inflate="centre"), clip), output(module(base), image), rtol=1e-4, atol=1e-5
    )


def test_timesformer_of_a_still_clip_is_the_image_transformer() -> None:
    """The linear layer behind attention over time, and the vectors of the frames, begin at zero."""
    base = loaded("vivit_b_joint", (3, 1, 48, 48), tubelet=[1, 16, 16], tanh=False, **VIT)
    arch = loaded("timesformer_ts", (3, 8, 48, 48), **VIT)
    plan = arch.plan_transfer(base)
    assert {e.name.rsplit(".", 1)[0] for e in plan.entries if e.how == "new"} == {
        "embed.position2", "blocks.0.along.linear", "blocks.1.along.linear",
    }  # fmt: skip
    image, clip = still(8, 48)
    torch.testing.assert_close(output(moved(base, arch), clip), output(module(base), image), rtol=1e-4, atol=1e-5)


def test_vivit_of_two_encoders_begins_as_the_image_transformer_of_each_index() -> None:
    base = loaded("vivit_b_joint", (3, 1, 48, 48), tubelet=[1, 16, 16], **VIT)
    arch = loaded("vivit_b_fe", (3, 8, 48, 48), temporal_depth=1, **VIT)
    image, clip = still(8, 48)
    with torch.no_grad():
        found = moved(base, arch).forward_features(clip)["indices"]
    tokens = found.reshape(2, 16, 4).transpose(1, 2)
    torch.testing.assert_close(tokens, normalised(base, image)[:, None].expand(-1, 4, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inflate", ["average", "centre"])
def test_tubelets_of_a_still_clip_are_the_patches_of_the_image(inflate: str) -> None:
    base = loaded("vivit_b_joint", (3, 1, 48, 48), tubelet=[1, 16, 16], **VIT)
    arch = loaded("vivit_b_joint", (3, 8, 48, 48), **VIT)
    image, clip = still(8, 48)
    with torch.no_grad():
        wanted = module(base).forward_features(image)
        found = moved(base, arch, inflate=inflate).forward_features(clip)
    assert found["embed"].shape == (2, 16, 4, 3, 3)
    torch.testing.assert_close(found["embed.token"], wanted["embed.token"])
    tubelets = wanted["embed"].expand(-1, -1, 4, -1, -1)
    torch.testing.assert_close(found["embed"], tubelets, rtol=1e-4, atol=1e-5)


LONGFORMER = {"temporal_heads": 2, "inner": 32, "window": 4, "layers": 1}


def test_vtn_begins_as_the_image_network_of_each_frame() -> None:
    image, clip = still(6, 64)
    base, arch = (
        loaded("c2d_r50", (3, 1, 64, 64), width=8, pool2=False),
        loaded("vtn_r50", (3, 6, 64, 64), width=8, **LONGFORMER),
    )
    with torch.no_grad():
        found, wanted = moved(base, arch).forward_features(clip)["res5"], module(base).forward_features(image)["res5"]
    torch.testing.assert_close(found, wanted.expand(-1, -1, 6, -1, -1), rtol=1e-4, atol=1e-5)
    base = loaded("vivit_b_joint", (3, 1, 64, 64), tubelet=[1, 16, 16], tanh=False, **VIT)
    arch = loaded("vtn_vit_b", (3, 6, 64, 64), **VIT, **LONGFORMER)
    with torch.no_grad():
        found = moved(base, arch).forward_features(clip)["frames"]
    per_frame = found.reshape(2, 16, 6).transpose(1, 2)
    torch.testing.assert_close(per_frame, normalised(base, image)[:, None].expand(-1, 6, -1), rtol=1e-4, atol=1e-5)


def normalised(base: archdsl.Architecture, image: torch.Tensor) -> torch.Tensor:
    """The class token behind the last normalisation of an image transformer, (B, C)."""
    met: list[torch.Tensor] = []
    handle = module(base).head.layernorm.register_forward_hook(lambda *given: met.append(given[2]))
    output(module(base), image)
    handle.remove()
    return met[0] if met[0].dim() == 2 else met[0][:, 0]


# By the image network: the video networks that begin from it, and the stages that are new in them.
FROM_IMAGES = {
    "resnet50": {"c2d_r50": "", "i3d_r50": "", "i3d_r50_nl5": "non_local", "slow_r50": "", "vtn_r50": "temporal"}
    | {"tsm_r50": "", "tsm_r50_nl": "non_local", "tanet_r50": "temporal_adaptive"},
    "resnet101": {"c2d_r101": "", "tsm_r101": "", "i3d_r101": "", "vtn_r101": "temporal"},
    "vit_b16": {"timesformer_ts": "along.linear|position2", "timesformer_s": "", "timesformer_st": "position2"}
    | {"vivit_b_joint": "", "vivit_b_fe": "temporal", "vivit_b_fsa": "attention2|layernorm2", "vivit_b_fdp": ""}
    | {"vtn_vit_b": "temporal"},
    "deit_b": {"vtn_deit_b": "temporal", "timesformer_ts": "along.linear|position2"},
    "mobilenet_v2": {"tsm_mobilenetv2": ""},
    "convnext_t": {"convnext3d_t": ""},
    "uniformer_s_image": {"uniformer_s": ""},
    "hiera_b_image": {"hiera_b": "position.time"},
    "swin_t": {"swin3d_t": ""},
    "swin_s": {"swin3d_s": ""},
    "swin_b": {"swin3d_b": "", "swin3d_b_ssv2": ""},
    "swin_l": {"swin3d_l": ""},
} | {f"focalnet_{size}": {f"videofocalnet_{size}": "in_time"} for size in "tsb"}


@pytest.mark.parametrize(
    ("image", "video", "new"), [(i, v, new) for i, found in FROM_IMAGES.items() for v, new in found.items()]
)
def test_video_networks_begin_from_those_of_images(image: str, video: str, new: str) -> None:
    """All of the image network is used but its classifier, and, where there is none, the class token."""
    base, arch = loaded(f"images/{image}"), loaded(video)
    plan = arch.plan_transfer(base)
    allowed = re.compile(rf".*(?:{new}|^head).*" if new else r"head\..*")
    assert [e.name for e in plan.entries if e.how in ("new", "extended") and not allowed.match(e.name)] == []
    assert all(n.startswith(("head.linear.", "head.layernorm.", "embed.class_token.")) for n in plan.unused)
    assert "head.layernorm.weight" not in plan.unused
    assert ("embed.class_token.weight" in plan.unused) == (video in ("vivit_b_fsa", "vivit_b_fdp"))


@pytest.mark.parametrize("name", ["slow_r50", "slowfast_r50", "vtn_r50"])
def test_a_residual_network_begins_as_that_of_images(name: str) -> None:
    base = loaded("c2d_r50", (3, 1, 64, 64), width=8, pool2=False)
    arch = loaded(name, (3, 32, 64, 64), width=8, **(LONGFORMER if name == "vtn_r50" else {}))
    unused = arch.plan_transfer(base).unused
    assert set(unused) <= {"head.linear.weight", "head.linear.bias"}
    prefix = "" if name == "vtn_r50" else "slow."
    assert {f"{prefix}{n}" for n in base.tensors if not n.startswith("head")} <= arch.tensors.keys()
    made = archdsl.transfer_weights(base, module(base).state_dict(), arch)
    for block in ("res2.1", "res5.2"):
        key = f"{block}.conv2.weight"
        assert torch.equal(made[f"{prefix}{key}"], module(base).state_dict()[key])


@pytest.mark.parametrize("file", TRANSFERS, ids=lambda p: p.stem)
def test_every_rule_between_specs_is_used(file: Path) -> None:
    weights = parse_map(read_source(file))
    assert weights.doc
    base = loaded(weights.source.text).tensors
    for spec in weights.specs:
        heirs = [loaded(spec.text).tensors, *(loaded(name).tensors for name in HEIRS.get(spec.text, ()))]
        rename = renaming(weights, heirs[0])
        assert {other for n in heirs[0] if (other := rename(n)) not in (None, n)} <= base.keys()
        for rule in weights.rules:
            alone = replace(weights, rules=(rule,))
            assert any(renaming(alone, names)(n) not in (None, n) for names in heirs for n in names), rule.span.text


HEIRS = {"timesformer_ts": ["timesformer_twh"]}  # they have names that the spec itself has not


@pytest.mark.parametrize("decoder_dim", [16, 32])
def test_a_classifier_begins_as_the_encoder_of_its_pre_training(decoder_dim: int) -> None:
    """Of the head nothing stays, also where its vectors are as long as those of the decoder."""
    tiny = {"dim": 32, "depth": 1, "heads": 2}
    base = loaded(
        "videomae_b_pretrain", (3, 4, 32, 32), decoder_dim=decoder_dim, decoder_depth=1, decoder_heads=2, **tiny
    )
    arch = loaded("videomae_b", (3, 8, 32, 48), classes=1536, **tiny)
    plan = arch.plan_transfer(base)
    new = {entry.name for entry in plan.entries if entry.how == "new"}
    assert new == {name for name in arch.tensors if name.startswith("head")}
    assert plan.counts == {"copied": len(arch.tensors) - len(new), "new": len(new)}  # sinusoids are no tensors


# --- layers that do not name their axes ------------------------------------------------------------------------------

GATE = """
from typing import Any
from archdsl.core.grid import Grid
from archdsl.layers.axes import OUT, Axis
from archdsl.layers.base import GRID, Layer, Use, layer

@layer("gate", category="norm")
class Gate(Layer):
    \"\"\"Squeeze and excitation by vectors.\"\"\"

    module, layouts = True, (GRID,)

    def weights(self, *inputs: Grid) -> dict[str, tuple[int, ...]]:
        c = inputs[0].channels
        named = {"wrong": (5,), "wrong_too": (c - 1,)}
        return {"fixed": (3,), "half": (c // 2,), "double": (2 * c,), "each": (c,), **named}

    def tensor_axes(self, *inputs: Grid) -> dict[str, tuple[Axis, ...]]:
        return {"wrong": (OUT,), "wrong_too": (OUT,)}

    def plan(self, use: Use) -> dict[str, Any]:
        return {}
"""


def test_vectors_without_a_meaning_are_copied_where_they_are_as_long(tmp_path: Path) -> None:
    """They are not cut or repeated to the number of channels, or beyond their ends."""
    (tmp_path / "gate.py").write_text(GATE, "utf-8")
    (tmp_path / "gate.py.j2").write_text(
        "{% macro module() %}G(){% endmacro %}{% macro apply(x) %}{{ x }}{% endmacro %}"
    )
    (tmp_path / "net.arch").write_text(
        "arch net\nparam width = 8\ninput clip: video[3, 4, 8, 8]\n"
        "stage stem { conv(width) -> gate }\nhead: avgpool -> linear(2)\n"
    )
    found: list[dict[str, str]] = []
    for width in ("8", "12"):
        command = [sys.executable, "-m", "archdsl", "weights", "plan", tmp_path / "net.arch", "--json"]
        environment = {**os.environ, "ARCHDSL_LAYERS": str(tmp_path)}
        done = subprocess.run(
            [*command, "--set", f"width={width}"], capture_output=True, text=True, env=environment, check=True
        )
        rows = {t["name"]: t["how"] for t in json.loads(done.stdout)["tensors"]}
        found.append({n.removeprefix("stem.gate."): how for n, how in rows.items() if "gate" in n})
    assert set(found[0].values()) == {"copied"}
    assert found[1] == {
        "fixed": "copied", "half": "new", "double": "new", "each": "repeated", "wrong": "copied", "wrong_too": "new",
    }  # fmt: skip


# --- longer, wider, deeper -------------------------------------------------------------------------------------------


def test_longer_and_back_is_nearly_the_same() -> None:
    """Half-pixel linear interpolation n → 2n → n gives ¾ x[i] + ⅛ (x[i - 1] + x[i + 1]), ends repeated."""
    short, long = (loaded("timesformer_ts", (3, n, 48, 48), **VIT) for n in (8, 16))
    state = module(short).state_dict()
    back = archdsl.transfer_weights(long, archdsl.transfer_weights(short, state, long), short)
    table = state["embed.position2.weight"]
    around = torch.cat([table[:1], table, table[-1:]])
    torch.testing.assert_close(back["embed.position2.weight"], 0.75 * table + (around[:-2] + around[2:]) / 8)
    assert all(torch.equal(back[n], t) for n, t in state.items() if n != "embed.position2.weight")
    line = torch.linspace(0, 1, 8)[:, None].expand(-1, 16)
    longer = archdsl.transfer_weights(short, {**state, "embed.position2.weight": line}, long)
    steps = [(b - a).mean().item() for a, b in pairwise(longer["embed.position2.weight"][1:-1])]
    assert steps == pytest.approx([1 / 14] * 13, rel=1e-4)


def test_a_larger_crop_resamples_over_space_alone() -> None:
    low, high = (loaded("timesformer_ts", (3, 8, n, n), **VIT) for n in (48, 64))
    state = module(low).state_dict()
    made = archdsl.transfer_weights(low, state, high)["embed.position1.weight"]
    assert torch.equal(made[0], state["embed.position1.weight"][0])  # the class token's
    grid = state["embed.position1.weight"][1:].T.reshape(1, 16, 3, 3)
    expected = torch.nn.functional.interpolate(grid, (4, 4), mode="bicubic")
    torch.testing.assert_close(made[1:].T.reshape(1, 16, 4, 4), expected)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("c2d_r50", {"width": 8}, {"width": 16}),
        ("slowfast_r50", {"width": 16, "beta": "1/8"}, {"width": 16, "beta": "1/4"}),
        ("slowfast_r50", {"width": 8, "beta": "1/4"}, {"width": 16, "beta": "1/4"}),
        ("swin3d_t", SWIN, {**SWIN, "width": 16, "heads": [2, 4, 4, 8]}),
        ("timesformer_ts", VIT, {**VIT, "dim": 32, "heads": 4}),
    ],
)
def test_a_network_of_repeated_channels_computes_the_same(
    name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """As in Net2Net (Chen et al. 2016): copies share what was one weight between them."""
    clip = (3, 32, 64, 64) if "slow" in name else (3, 8, 64, 64)
    base, arch = loaded(name, clip, **before), loaded(name, clip, **after)
    given = inputs(base, 2)
    plan = arch.plan_transfer(base)
    assert plan.counts["repeated"]
    assert not {"new", "extended"} & plan.counts.keys()
    torch.testing.assert_close(output(moved(base, arch), *given), output(module(base), *given), rtol=1e-3, atol=1e-4)


def test_new_channels_are_those_of_a_fresh_module() -> None:
    base, arch = (loaded("c2d_r50", (3, 2, 32, 32), width=n) for n in (8, 12))
    state = module(base).state_dict()
    torch.manual_seed(7)
    fresh = arch.build().state_dict()
    torch.manual_seed(7)
    made = archdsl.transfer_weights(base, state, arch, width="new")
    key = "res2.1.conv2.weight"
    assert torch.equal(made[key][:8, :8], state[key])
    assert torch.equal(made[key][8:], fresh[key][8:])
    assert torch.equal(made[key][:, 8:], fresh[key][:, 8:])
    assert arch.plan_transfer(base, width="new").counts["extended"] > 0


def test_a_thinner_network_takes_the_first_channels() -> None:
    base, arch = (loaded("c2d_r50", (3, 2, 32, 32), width=n) for n in (16, 8))
    made = archdsl.transfer_weights(base, module(base).state_dict(), arch)
    assert torch.equal(made["res3.0.conv2.weight"], module(base).state_dict()["res3.0.conv2.weight"][:16, :16])


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_clips_of_other_numbers_of_channels(channels: int) -> None:
    """Fewer take the first ones; of more, those that share a weight have equal parts of it."""
    base, arch = (loaded("c2d_r50", (c, 2, 32, 32), width=8) for c in (3, channels))
    old, new = (state["conv1.conv.weight"] for state in (module(base).state_dict(), moved(base, arch).state_dict()))
    for c in range(channels):
        shares = len(range(c % 3, channels, 3))
        torch.testing.assert_close(new[:, c], old[:, c % 3] / shares)


def test_inputs_behind_each_other_are_distinguished() -> None:
    """The slow path of a wider fast one keeps its own channels, and the lateral ones follow theirs."""
    base = loaded("slowfast_r50", (3, 32, 32, 32), width=16, beta="1/8")
    arch = loaded("slowfast_r50", (3, 32, 32, 32), width=16, beta="1/4")
    old = module(base).state_dict()["slow.res2.0.conv1.weight"]
    new = archdsl.transfer_weights(base, module(base).state_dict(), arch)["slow.res2.0.conv1.weight"]
    assert (old.shape[1], new.shape[1]) == (16 + 4, 16 + 8)
    assert torch.equal(new[:, :16], old[:, :16])
    torch.testing.assert_close(new[:, 16:20], old[:, 16:] / 2)
    torch.testing.assert_close(new[:, 20:], old[:, 16:] / 2)


def test_a_deeper_stage_repeats_a_block_that_is_alike() -> None:
    """Every other block of Swin shifts its windows; the last one of a stage of MViT widens it."""
    base, arch = (loaded("swin3d_t", (3, 8, 64, 64), **{**SWIN, "depths": [2, 2, n, 2]}) for n in (6, 8))
    found = {e.name: e.base for e in arch.plan_transfer(base).entries}
    assert found["stage3.6.mlp.linear1.weight"] == "stage3.4.mlp.linear1.weight"
    assert found["stage3.7.mlp.linear1.weight"] == "stage3.5.mlp.linear1.weight"
    mvit, deeper = loaded("mvit_b_16x4"), loaded("mvit_b_16x4", depths=[1, 2, 14, 2])
    found = {e.name: e.base for e in deeper.plan_transfer(mvit).entries}
    assert found["stage3.13.wider_mlp.linear2.weight"] == "stage3.10.wider_mlp.linear2.weight"
    assert found["stage3.12.mlp.linear2.weight"] == "stage3.9.mlp.linear2.weight"
    assert not deeper.plan_transfer(mvit).unused


def test_a_deeper_stage_can_have_new_blocks() -> None:
    base, arch = (loaded("c2d_r50", depths=[3, 4, n, 3]) for n in (6, 23))
    plan = arch.plan_transfer(base, depth="new")
    new = {e.name.split(".")[1] for e in plan.entries if e.how == "new"}
    assert new == {str(i) for i in range(6, 23)}
    assert {e.why for e in plan.entries if e.how == "new"} == {"the base has only 6 blocks in `res4`"}
    assert arch.plan_transfer(base).counts.keys() == {"copied", "repeated"}


def test_a_new_block_does_not_hide_where_channels_come_from() -> None:
    """Behind it, the residual sum still holds the channels of the stage's first block."""
    depths = {"depths": [2, 2, 2, 2], "fast_depths": [2, 2, 2, 2]}
    base = loaded("slowfast_r50", (3, 32, 32, 32), width=16, **depths)
    arch = loaded("slowfast_r50", (3, 32, 32, 32), width=16, **{**depths, "depths": [2, 3, 2, 2]})
    plan = arch.plan_transfer(base, depth="new")
    assert {".".join(e.name.split(".")[:3]) for e in plan.entries if e.how != "copied"} == {"slow.res3.2"}


def test_a_name_that_a_rule_gives_away_is_not_taken_twice() -> None:
    base = loaded("images/vit_b16")
    for name, taken, given in (
        ("vtn_vit_b", "head.layernorm.weight", "frames.layernorm.weight"),
        ("vivit_b_fe", "head.layernorm.weight", "indices.layernorm.weight"),
        ("vivit_b_fsa", "blocks.3.layernorm2.weight", "blocks.3.layernorm3.weight"),
    ):
        entries = {e.name: e for e in loaded(name).plan_transfer(base).entries}
        assert (entries[taken].how, entries[taken].why) == (
            "new",
            "vit_b16's tensor of this name initialises another one",
        )
        assert (entries[given].how, entries[given].base) == ("copied", taken)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("inflate", ["average", "centre"])
def test_a_filter_that_gets_larger_in_space_does_what_it_did(inflate: str) -> None:
    """Only frames are what an image has none of, and what filters are inflated over."""
    text = (
        "arch {0}\ninput clip: video[3, 4, 9, 9]\nstage stem {{ conv(4, [1, {1}, {1}]) }}\nhead: avgpool -> linear(2)\n"
    )
    for kernel in (1, 3):
        Path(f"net{kernel}.arch").write_text(text.format(f"net{kernel}", kernel), "utf-8")
    base, arch = archdsl.load("net1.arch"), archdsl.load("net3.arch")
    assert arch.plan_transfer(base, inflate=inflate).counts == {"padded": 1, "copied": 2}
    clip = inputs(base, 2)[0]
    torch.testing.assert_close(output(moved(base, arch, inflate=inflate), clip), output(module(base), clip))


def test_patches_of_another_size_keep_their_sum() -> None:
    base, arch = (loaded("timesformer_ts", (3, 2, 64, 64), patch=n, **VIT) for n in (16, 8))
    state = module(base).state_dict()
    constant = torch.arange(48.0).view(16, 3, 1, 1, 1).expand(16, 3, 1, 16, 16)
    made = archdsl.transfer_weights(base, {**state, "embed.conv.weight": constant}, arch)["embed.conv.weight"]
    torch.testing.assert_close(made, 4 * constant[..., :8, :8])
    slope = torch.linspace(-1, 1, 16).expand(16, 3, 1, 16, 16)
    made = archdsl.transfer_weights(base, {**state, "embed.conv.weight": slope}, arch)["embed.conv.weight"]
    torch.testing.assert_close(made, 4 * slope.unflatten(-1, (8, 2)).mean(-1)[..., :8, :])  # halved, a mean of pairs


def test_decomposed_distances_are_interpolated_linearly() -> None:
    low, high = (loaded("mvitv2_s_16x4", (3, 4, n, n), dim=8, depths=[1, 2, 2, 1]) for n in (64, 128))
    state = module(low).state_dict()
    made = archdsl.transfer_weights(low, state, high)
    key = "stage1.0.attend.attention.relative.h"
    rows = 2 * 128 // 4 - 1
    assert made[key].shape == (rows, 8)
    expected = torch.nn.functional.interpolate(state[key].T[None], rows, mode="linear")[0].T
    torch.testing.assert_close(made[key], expected)


def test_other_classes_are_new() -> None:
    base, arch = loaded("mvitv2_s_16x4"), loaded("mvitv2_s_16x4", classes=174)
    plan = arch.plan_transfer(base)
    assert {e.name for e in plan.entries if e.how == "new"} == {"head.linear.weight", "head.linear.bias"}
    assert set(plan.unused) == {"head.linear.weight", "head.linear.bias"}
    assert not plan.is_complete


def test_classes_keep_their_rows() -> None:
    """Also where their number is the same: an order of other classes is another head."""
    base = loaded("slow_r50", width=8, classes=3)
    state = module(base).state_dict()
    for classes in ((2, -1, 0, 1), (1, 0, 2), (0, 1, 2)):
        arch = loaded("slow_r50", width=8, classes=len(classes))
        made = archdsl.transfer_weights(base, state, arch, classes=classes)
        for name in ("head.linear.weight", "head.linear.bias"):
            assert made[name].shape[0] == len(classes)
            assert all(torch.equal(made[name][i], state[name][j]) for i, j in enumerate(classes) if j >= 0)
    plan = loaded("slow_r50", width=8, classes=2).plan_transfer(base, classes=(-1, -1))
    assert {e.name: e.why for e in plan.entries if e.how == "new"} == dict.fromkeys(
        ("head.linear.weight", "head.linear.bias"), "no class of the base is one here"
    )


def test_what_is_asked_for_is_new() -> None:
    arch = loaded("r3d_18")
    plan = arch.plan_transfer(arch, new=("head.*", "res5.1.*"))
    assert {e.name for e in plan.entries if e.how == "new"} == {
        n for n in arch.tensors if n.startswith(("head.", "res5.1."))
    }
    assert set(plan.unused) == {e.name for e in plan.entries if e.how == "new"}


def test_types_stay() -> None:
    base, arch = loaded("c2d_r50", (3, 2, 32, 32), width=8), loaded("i3d_r50", (3, 4, 32, 32), width=8, classes=5)
    half = {n: t.half() if t.is_floating_point() else t for n, t in module(base).state_dict().items()}
    made = archdsl.transfer_weights(base, half, arch)
    assert {n: t.dtype for n, t in made.items() if t.dtype != torch.float16} == {
        n: torch.int64 for n in arch.tensors if n.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("rules", [{"inflate": "mean"}, {"width": "zero"}, {"depth": "skip"}])
def test_other_rules_are_refused(rules: dict[str, str]) -> None:
    arch = loaded("r3d_18")
    with pytest.raises(ValueError, match=f"{next(iter(rules))} = '.*': expected '.*' or 'new'|'average' or 'centre'"):
        arch.plan_transfer(arch, **rules)
    with pytest.raises(ValueError, match="no tensor of r3d_18 matches the pattern 'hed"):
        arch.plan_transfer(arch, new=("hed.*",))
    with pytest.raises(TypeError, match="a tuple of patterns"):
        arch.plan_transfer(arch, new="head.*")


# --- the commands ----------------------------------------------------------------------------------------------------


NET = """arch net
param classes = 5, width = 4, kernel = 1
input clip: video[3, 4, 16, 16]
stage stem { conv(width, [kernel, 3, 3]) -> bn -> relu }
head: avgpool -> linear(classes)
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec, and a checkpoint of it."""
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(NET, "utf-8")
    torch.save(archdsl.load("net.arch").build().state_dict(), "net.pt")
    return tmp_path


@pytest.mark.usefixtures("files")
def test_plan_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "plan", "net.arch", "--set", "kernel=3", "--set", "width=6", "--set", "classes=7"]) == 0
    assert capsys.readouterr().out == (
        "net → net: 8 tensors: 1 copied, 4 repeated, 1 inflated, 2 new; 2 of net not used\n\n"
        "new\n"
        "  head.linear.weight  7×6  5 classes, here 7\n"
        "  head.linear.bias    7    5 classes, here 7\n\n"
        "inflated\n"
        "  stem.conv.weight  4×3×1×3×3 → 6×3×3×3×3  output channels repeated 1 to 2 times; 1 → 3 frames, averaged\n\n"
        "repeated\n"
        "  stem.bn.{weight,bias,running_mean,running_var}  4 → 6  output channels repeated 1 to 2 times\n\n"
        "copied\n"
        "  stem.bn.num_batches_tracked\n\n"
        "not used of net\n"
        "  head.linear.weight  5×4  5 classes, here 7\n"
        "  head.linear.bias    5    5 classes, here 7\n"
    )


@pytest.mark.usefixtures("files")
def test_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "plan", "net.arch", "--set", "classes=7", "--json", "--strict"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["counts"] == {"copied": 6, "new": 2}
    assert data["tensors"][0] == {
        "name": "stem.conv.weight", "shape": [4, 3, 1, 3, 3], "how": "copied", "from": "stem.conv.weight",
        "from_shape": [4, 3, 1, 3, 3], "why": None,
    }  # fmt: skip
    assert data["tensors"][-1]["from"] is None
    assert data["unused"] == [
        {"name": "head.linear.weight", "shape": [5, 4], "why": "5 classes, here 7"},
        {"name": "head.linear.bias", "shape": [5], "why": "5 classes, here 7"},
    ]
    assert main(["weights", "plan", "net.arch", "--strict"]) == 0


@pytest.mark.usefixtures("files")
def test_transfer_writes_what_the_module_takes(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["weights", "transfer", "net.arch", "net.pt", "--set", "kernel=3", "-o", "out.safetensors"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "1 inflated" in out
    assert "archdsl compile net.arch --set kernel=3" in out
    made = load_file("out.safetensors")
    archdsl.load("net.arch", kernel=3).build().load_state_dict(made, strict=True)
    torch.testing.assert_close(made["stem.conv.weight"].sum(2), torch.load("net.pt")["stem.conv.weight"][:, :, 0])


@pytest.mark.usefixtures("files")
def test_new_weights_follow_the_seed() -> None:
    made = []
    for seed in ("1", "1", "2"):
        command = ["weights", "transfer", "net.arch", "net.pt", "--set", "classes=7", "-o", "out.safetensors"]
        assert main([*command, "--seed", seed]) == 0
        made.append(load_file("out.safetensors")["head.linear.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-o", "out.pt"], 2, "such as out.safetensors"),
        (["-o", "out.safetensors", "--base-set", "classes=6"], 1, "`--base-set classes=5` makes the network"),
        (["-o", "out.safetensors", "--set", "classes=6", "--strict"], 1, "not written, as --strict asks"),
        (["-o", "out.safetensors", "--from", "torchvision"], 1, "E0801"),
        (["-o", "out.safetensors", "--new", "hed.*"], 2, "--new: no tensor of net matches the pattern 'hed.*'"),
        (["-o", "out.safetensors", "--set", "clases=6"], 1, "did you mean `classes`?"),
        (["-o", "out.safetensors", "--base-clip", "3x4x1x1", "--set", "kernel=0"], 1, "E0305"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str) -> None:
    assert main(["weights", "transfer", "net.arch", "net.pt", *options]) == code
    assert message in capsys.readouterr().err
    assert not Path("out.safetensors").exists()


@pytest.mark.usefixtures("files")
def test_the_checkpoint_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "transfer", "net.arch", "net.pt", "-o", "net.safetensors"]) == 0
    assert main(["weights", "transfer", "net.arch", "net.safetensors", "-o", "net.safetensors"]) == 2
    assert "is the checkpoint to read" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "line", ["param classes = 3", "drop x.{a*}", "a.{x|y} = a.z", "a.w = b.w : o i -> i o", "also a.w = b.w"]
)
def test_a_map_between_specs_has_rules_and_words_alone(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("weights").mkdir()
    Path("weights/x.weights").write_text(
        f'transfer other for net\n"A map."\nstem.{{a*}} = trunk.{{a*}}\n{line}\n', "utf-8"
    )
    assert main(["weights", "plan", "net.arch"]) == 1
    assert "between two specs can have `words` and rules" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_a_map_beside_the_spec_renames(capsys: pytest.CaptureFixture[str]) -> None:
    Path("weights").mkdir()
    Path("weights/x.weights").write_text('transfer net for heir\n"A map."\ntrunk.{a*} = stem.{a*}\n', "utf-8")
    Path("heir.arch").write_text(NET.replace("arch net", "arch heir").replace("stage stem", "stage trunk"), "utf-8")
    assert main(["weights", "plan", "net.arch", "heir.arch", "--strict"]) == 0
    rows = [line.split("  from ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["copied"],
        ["trunk.{conv,bn}.weight", "`stem`"],
        ["trunk.bn.{bias,running_mean,running_var,num_batches_tracked}", "`stem`"],
        ["head.linear.{weight,bias}"],
    ]
    assert main(["weights", "plan", "heir.arch", "net.arch", "--strict"]) == 1
