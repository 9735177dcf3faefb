"""Passes of the lowering: each changes how a network is computed, never its result."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import torch
from repository import ROOT
from small import inputs, small

import archdsl
from archdsl.cli import main
from archdsl.targets.torch.lower import PASSES, TARGETS, lowered_with_counts, switchable

SPECS = ROOT / "specs"
NAMES = """
    i3d_inception_rgb i3d_r50_nl5 mvit_b_16x4 mvitv2_s_16x4 mvitv2_s_shifted r2plus1d_18 slowfast_4x16_r50_ttoc
    slowfast_r50 swin3d_t_factorized timesformer_ts vivit_b_fe vtn_r50
""".split()
TINY = """arch tiny
input clip: video[3, 4, 8, 8]
stage one { conv(4) -> bn -> relu -> dropout(0) }
head: avgpool -> linear(2)
"""
APART = """arch apart
input clip: video[3, 4, 8, 8]
stage one { conv(4) }
stage two { bn -> conv(4) -> bn -> relu }
head: avgpool -> linear(2)
"""
FROZEN = """arch held
input clip: video[3, 4, 8, 8]
stage one { conv(4) -> frozen { conv(4) -> dropout(0.5) } }
head: avgpool -> linear(2)
"""
VARIANTS = [(target, left_out) for target in TARGETS for left_out in ("", *switchable(target))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("target", "left_out"), VARIANTS)
def test_in_every_form_the_same_is_computed(name: str, target: str, left_out: str) -> None:
    if left_out and not counts(name, target)[left_out]:
        return  # the pass has nothing to do here: this is the module with all passes
    arch, plain = small(SPECS / f"{name}.arch"), straightforward(name)
    other = arch.build([left_out] if left_out else [], target).double().eval()
    other.load_state_dict(plain.state_dict(), strict=True)
    clips = inputs(arch, 2, torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(other(*clips), plain(*clips), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_the_same_with_all_passes_and_with_none(name: str) -> None:
    arch, plain = small(SPECS / f"{name}.arch"), straightforward(name)
    other = arch.build().double()
    other.load_state_dict(plain.state_dict())
    clips = inputs(arch, 2, torch.float64)
    gradients: list[dict[str, torch.Tensor]] = []
    for module in (plain, other):
        module.eval().zero_grad()  # statistics stay
        module(*clips).square().sum().backward()
        gradients.append({n: p.grad for n, p in module.named_parameters() if p.grad is not None})
    assert gradients[0]
    assert gradients[1].keys() == gradients[0].keys()
    for key, expected in gradients[0].items():
        most = expected.abs().max().item()  # weights drawn as here can make gradients grow without bound
        torch.testing.assert_close(gradients[1][key], expected, rtol=1e-6, atol=1e-9 * max(1.0, 10 * most), msg=key)


@cache
def counts(name: str, target: str) -> dict[str, int | None]:
    return lowered_with_counts(small(SPECS / f"{name}.arch")._analysis.network, target=target)[1]


@cache
def straightforward(name: str) -> torch.nn.Module:
    """A small network without any pass, its weights and statistics moved away from their start."""
    module = small(SPECS / f"{name}.arch").build(switchable()).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if key.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return module


def test_features_stay_what_they_are(tmp_path: Path) -> None:
    """A convolution that ends a stage keeps its values: the batch norm of the next stage is not folded into it."""
    spec = tmp_path / "apart.arch"
    spec.write_text(APART, "utf-8")
    arch = archdsl.load(spec)
    assert lowered_with_counts(arch._analysis.network, target="infer")[1]["folding"] == 1
    trained = arch.build().double().eval()
    with torch.no_grad():
        for norm in (m for m in trained.modules() if isinstance(m, torch.nn.BatchNorm3d)):
            assert norm.running_mean is not None
            norm.running_mean.fill_(0.3)
    runs = arch.build(target="infer").double()
    runs.load_state_dict(trained.state_dict())
    clips = inputs(arch, 2, torch.float64)
    with torch.no_grad():
        found, expected = runs.forward_features(*clips), trained.forward_features(*clips)
    assert list(found) == list(expected) == ["one", "two"]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("target", TARGETS)
def test_every_pass_does_something_somewhere(target: str) -> None:
    network = archdsl.loads(FROZEN)._analysis.network
    found = [*(counts(name, target) for name in NAMES), lowered_with_counts(network, target=target)[1]]
    assert all(any(passes[p.name] for passes in found) for p in PASSES if target in p.targets)


@pytest.mark.parametrize("name", NAMES)
def test_lowering_leaves_the_network_alone(name: str) -> None:
    network = small(SPECS / f"{name}.arch")._analysis.network

    def state() -> list[object]:
        nodes = [(n.id, n.layer, n.inputs) for n in network.all_nodes()]
        parts = [
            (type(p), *(getattr(p, f.name) for f in fields(p) if f.name != "items"), list(p.nodes()))
            for p in network.regions
        ]
        return [*nodes, *parts]

    before = state()
    for target in TARGETS:
        lowered_with_counts(network, target=target)
    assert state() == before
    assert not network.folded


def test_passes_are_listed_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    assert main(["compile", "tiny.arch", "--print", "lowered", "--no-pass", "inplace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# frozen: layers of training in frozen chains: 0",
        "# identities: layers without effect that are taken out: 1",
        "# frames: convolutions of single frames, in two dimensions: 1",
        "# taps: poolings by filters, in two dimensions for each frame: 0",
        "# distances: decomposed distances that become channels of queries and keys: 0",
        "# masks: masks of shifted windows that become channels of queries and keys: 0",
        "# layouts: conversions between layouts in memory: 0",
        "# channels_last: clips whose channels are put last in memory: 0",
        "# inplace: left out",
    ]
    assert main(["compile", "tiny.arch", "--no-pass", "inplace"]) == 0
    text = Path("tiny.py").read_text("utf-8")
    assert "inplace=True" not in text
    assert "archdsl compile tiny.arch --no-pass inplace" in text
    assert main(["compile", "tiny.arch", "--no-pass", "layouts"]) == 2
    assert "the passes that can be left out are identities, frames," in capsys.readouterr().err
    assert main(["compile", "tiny.arch", "--no-pass", "tables"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("channels_last, inplace; tables is one of target infer")


@pytest.mark.parametrize("name", ["slowfast_r50", "swin3d_t_factorized"])
def test_a_module_for_inference_is_ready(name: str) -> None:
    module = small(SPECS / f"{name}.arch").build(target="infer")
    assert not any(m.training for m in module.modules())
    assert not any(p.requires_grad for p in module.parameters())


def test_norms_of_convolutions_that_are_used_again_stay() -> None:
    """A norm behind one use would change the weights of the other."""
    for chain in (
        "conv(3) as w -> bn -> share w",
        "conv(3) as w -> relu -> share w -> bn",
        "bn as n -> conv(3) -> share n",
    ):
        arch = archdsl.loads(
            f"arch net\ninput clip: video[3, 4, 8, 8]\nstage s {{ {chain} }}\nhead: avgpool -> linear(2)\n"
        )
        train, infer = arch.build().eval(), arch.build(target="infer").eval()
        torch.nn.init.normal_(next(m for m in train.modules() if isinstance(m, torch.nn.BatchNorm3d)).running_mean)
        infer.load_state_dict(train.state_dict())
        x = torch.randn(2, 3, 4, 8, 8)
        torch.testing.assert_close(infer(x), train(x))
