"""The layers of examples/layers, which are added as a user adds layers: by a file and a template in a folder."""

from __future__ import annotations

import json
import sys
import types
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from added_layers import archdsl
from cuda_autocast import CudaAutocast
from parity_filled import filled
from parity_weights import inputs_of, weights_of
from repository import ROOT
from saved_memory import measured
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archdsl import convert_weights, load, revert_weights, transfer_weights
from archdsl.layer_checks.cases import cases
from archdsl.layer_checks.checks import ALONE
from archdsl.layers import vocabulary
from archdsl.planning.memory import Sizes
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.ops.sites import PLAIN, Precision

if TYPE_CHECKING:
    from archdsl import Architecture

FOLDER = ROOT / "examples" / "layers"
SCAN = {"clip": (3, 2, 32, 32), "dim": 32, "depth": 2, "classes": 5, "drop_rate": 0}
EXPERTS = {"clip": (3, 4, 32, 32), "dim": 16, "heads": 2, "depth": 2, "classes": 5, "experts": 4}
SMALL: dict[str, dict[str, Any]] = {"videomamba_t": SCAN, "vivit_experts": EXPERTS}


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_LAYERS", str(FOLDER))


def small(name: str, **changes: Any) -> Architecture:
    return load(FOLDER / f"{name}.arch", **SMALL[name] | changes)


def layer(arch: Architecture, kind: str) -> Any:
    """The module of the first layer of a class."""
    torch.manual_seed(0)
    return next(m for m in arch.build().modules() if type(m).__name__ == kind)


@pytest.mark.parametrize("check", ALONE)
@pytest.mark.parametrize("kind", ["selective_scan", "experts"])
def test_layers_are_as_they_declare(kind: str, check: str) -> None:
    """The checks of `archdsl layers check` on the layer alone; docs/layers.md runs all of them."""
    if (kind, check) != ("selective_scan", "layouts"):  # which has one
        assert ALONE[check](cases(vocabulary()[kind], {}, 0)[:3])


# --- VideoMamba's scan ------------------------------------------------------------------------------------------------


@cache
def record(name: str = "vmamba_t_small") -> dict[str, Any]:
    return json.loads((ROOT / "tests" / "parity" / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("spec", "name", "params"),
    [
        ("videomamba_t", "vmamba_t_small", {}),
        ("videomamba_t_image", "vmamba_image_small", {"dim": 48, "depth": 4}),
    ],
)
def test_videomamba_is_its_authors(spec: str, name: str, params: dict[str, Any]) -> None:
    """With weights by the map in `weights/`, which a user can write as well, and back without a change."""
    known = record(name)
    arch = load(FOLDER / f"{spec}.arch", clip=tuple(known["clip"][1:]), like="videomamba", **params)
    theirs = weights_of(known)
    converted = convert_weights(arch, theirs, "videomamba")
    with torch.no_grad():
        logits = filled(arch, converted)(*inputs_of(known))
    expected = torch.tensor(known["output"])
    assert (logits - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert arch.params == known["params"]
    back = revert_weights(arch, converted, "videomamba")
    assert back.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in back.items())


@pytest.mark.parametrize("crop", [64, 96])
def test_videomamba_begins_as_its_network_of_images(crop: int) -> None:
    """In the authors' names as in their code, which resizes positions and adds vectors of frames, of zeros."""
    known, small = record("vmamba_image_small"), {"dim": 48, "depth": 4}
    base = load(FOLDER / "videomamba_t_image.arch", clip=tuple(known["clip"][1:]), **small)
    arch = load(FOLDER / "videomamba_t.arch", clip=(3, 4, crop, crop), **small)
    theirs = weights_of(known)
    made = revert_weights(arch, transfer_weights(base, theirs, arch, source="videomamba"), "videomamba")
    places = theirs["pos_embed"][:, 1:].view(1, 4, 4, 48).permute(0, 3, 1, 2)
    larger = F.interpolate(places, (crop // 16, crop // 16), mode="bicubic", align_corners=False)
    expected = theirs | {
        "temporal_pos_embedding": torch.zeros(1, 4, 48),
        "patch_embed.proj.weight": theirs["patch_embed.proj.weight"].unsqueeze(2),
        "pos_embed": torch.cat([theirs["pos_embed"][:, :1], larger.flatten(2).transpose(1, 2)], dim=1),
    }
    assert made.keys() == expected.keys()
    for name in made.keys() - {"head.weight", "head.bias"}:
        torch.testing.assert_close(made[name], expected[name], rtol=0, atol=1e-6 if name == "pos_embed" else 0)


def test_multiply_adds_of_videomamba_are_those_of_its_authors_code() -> None:
    """But for what it does for the record alone: a projection by the unit matrix, and the overhang of padding."""
    arch = load(FOLDER / "videomamba_t.arch", clip=tuple(record()["clip"][1:]))
    length, inner, depth, directions = 1 + 8 * 4 * 4, 2 * 192, 24, 2
    identity, overhang, read = (
        inner * inner * length,
        inner * 4 * 3,
        inner * 16 * length,
    )  # `read`: C · h, no product here
    others = depth * directions * (identity + overhang + read)
    assert arch.macs + others == record()["flops_torch_counter"] // 2


def by_definition(scan: Any, x: torch.Tensor) -> torch.Tensor:
    """The scan of positions (L, C), step by step, as in Mamba's equations 2 and 3 and VideoMamba's figure 3."""
    n = scan.directions
    total = torch.zeros_like(x)
    for direction in range(n):
        sequence = x.flip(0) if direction else x
        weight, bias, a, d, into, dt, dt_bias = (
            t.chunk(n)[direction]
            for t in (
                scan.conv.weight, scan.conv.bias, -scan.A_log.exp(), scan.D,
                scan.x_proj.weight[..., 0], scan.dt_proj.weight[..., 0], scan.dt_proj.bias,
            )
        )  # fmt: skip
        h, outputs, kernel = torch.zeros_like(a), [], weight.shape[2]
        for step in range(len(sequence)):
            seen = [sequence[s] if s >= 0 else torch.zeros_like(x[0]) for s in range(step - kernel + 1, step + 1)]
            u = F.silu(sum(s * weight[:, 0, i] for i, s in enumerate(seen)) + bias)
            rank = dt.shape[1]
            steps, b, c = (into @ u).split([rank, a.shape[1], a.shape[1]])
            delta = F.softplus(dt @ steps + dt_bias)
            h = (delta[:, None] * a).exp() * h + (delta * u)[:, None] * b
            outputs.append(h @ c + d * u)
        y = torch.stack(outputs)
        total = total + (y.flip(0) if direction else y)
    return total


def scan_of(directions: int = 2, kernel: int = 4) -> Any:
    """The scan of the small network; `directions` and `kernel` are not what the spec has."""
    cls = type(layer(small("videomamba_t"), "SelectiveScan"))
    torch.manual_seed(0)
    return cls(6, 2, state=3, kernel=kernel, directions=directions).double()


@pytest.mark.parametrize(("directions", "kernel", "length"), [(2, 4, 11), (1, 1, 9), (1, 4, 1), (2, 2, 2), (2, 3, 17)])
def test_a_scan_is_that_of_its_definition(directions: int, kernel: int, length: int) -> None:
    scan = scan_of(directions, kernel)
    with torch.no_grad():
        scan.dt_proj.bias += 3 * torch.randn(scan.dt_proj.bias.shape)  # states that forget at once, and never
    x = torch.randn(2, length, 6, dtype=torch.float64)
    for clip, found in zip(x, scan(x), strict=True):
        torch.testing.assert_close(found, by_definition(scan, clip))


def test_large_steps_do_not_overflow() -> None:
    """Only factors of at most 1 are computed, whatever the steps."""
    scan = scan_of().float()
    with torch.no_grad():
        scan.dt_proj.bias.fill_(300.0)
    x = torch.randn(1, 50, 6, requires_grad=True)
    y = scan(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_scan_takes_the_kernel_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `selective_scan_fn` of mamba_ssm 1 and 2 takes its arguments; it is acted out for tensors on a CPU."""
    called: list[int] = []

    def selective_scan_fn(u: Any, delta: Any, a: Any, b: Any, c: Any) -> torch.Tensor:
        """Reads u and Δ (B, D, L), A (D, N), and B and C (B, G, N, L), of which each group is for D / G channels."""
        called.append(b.shape[1])
        b, c = (t.repeat_interleave(len(a) // t.shape[1], 1) for t in (b, c))
        h, outputs = torch.zeros(len(u), *a.shape, dtype=u.dtype), []
        for step in range(u.shape[2]):
            d = delta[:, :, step, None]
            h = (d * a).exp() * h + d * b[..., step] * u[:, :, step, None]
            outputs.append((h * c[..., step]).sum(2))
        return torch.stack(outputs, 2)

    scan = scan_of()
    names = (
        vars(sys.modules[type(scan).__module__]) if type(scan).__module__ in sys.modules else scan.forward.__globals__
    )
    interface = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    expected = scan(x)
    assert not called  # on a CPU
    names["scan_kernel"].cache_clear()
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    torch.testing.assert_close(scan.scan(x), expected)
    assert called == [2]
    names["scan_kernel"].cache_clear()


def test_a_scan_in_one_direction_sees_no_later_position() -> None:
    scan, x = scan_of(directions=1), torch.randn(1, 9, 6, dtype=torch.float64, requires_grad=True)
    scan(x)[0, 4].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(1) > 0
    assert seen.tolist() == [True] * 5 + [False] * 4


def test_what_the_backward_pass_computes_again() -> None:
    """`recomputed` of the layer, which the peak of a step counts on top of what is kept."""
    arch = small("videomamba_t", clip=(3, 8, 64, 64), depth=1)
    sizes = Sizes(lower(arch._analysis.network), PLAIN)
    (number,) = filter(None, sizes.memory(1).recomputed.values())

    scan = layer(arch, "SelectiveScan")
    scan.forward = scan.scan
    x = torch.randn(1, 1 + 8 * 4 * 4, 64, requires_grad=True)
    assert number == pytest.approx(measured(scan, (1 * x,)), rel=0.05)
    peak = sizes.activations(1, "none")
    assert peak.total > peak.kept + 0.9 * number


# --- the mixture of experts -------------------------------------------------------------------------------------------


def test_experts_are_those_of_their_definition() -> None:
    experts = layer(small("vivit_experts"), "Experts").double()
    with torch.no_grad():
        experts.router.weight.normal_()
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    output = experts(x)
    for position, found in zip(x.flatten(0, 1), output.flatten(0, 1), strict=True):
        scores = torch.softmax(experts.router.weight @ position, 0).tolist()
        best = sorted(range(4), key=scores.__getitem__)[-2:]
        torch.testing.assert_close(found, sum(scores[i] * experts.experts[i](position) for i in best))


def test_more_chosen_experts_than_there_are() -> None:
    code, printed = archdsl("check", str(FOLDER / "vivit_experts.arch"), "--set", "chosen=9")
    assert code == 1
    assert "9 of 8 experts cannot be chosen" in printed
    assert "`k` is at most 8" in printed


def test_the_loss_of_the_page_evens_out_the_load() -> None:
    """Of a router that began with all positions at the first two experts."""
    experts = layer(small("vivit_experts"), "Experts")
    x = torch.randn(256, 16)
    with torch.no_grad():
        x[:, 0] = 3.0
        experts.router.weight[:, 0] = torch.tensor([2.0, 1.0, 0.0, 0.0])
    optimizer = torch.optim.SGD(experts.parameters(), 0.5)
    losses: list[float] = []
    for _ in range(200):
        scores = experts.router(x).softmax(-1)
        load = F.one_hot(scores.topk(2).indices, 4).sum(1).div(2).mean(0)
        loss = 4 * (load * scores.mean(0)).sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] > 1.8
    assert losses[-1] == pytest.approx(1, abs=0.05)


# --- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_costs_and_memory_are_those_of_torch(name: str) -> None:
    arch = small(name)
    model, clips = arch.build(), (torch.randn(3, *SMALL[name]["clip"]),)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.eval()(*clips)
    assert counter.get_total_flops() == 2 * 3 * arch.macs
    assert measured(model, clips) == arch.memory(3)
    half = Sizes(lower(arch._analysis.network), Precision(half=True, cuda=True))
    with CudaAutocast(half=True):
        assert measured(model, clips) - half.casts(n.id for n in half.network.all_nodes()) == pytest.approx(
            half.memory(3).total, rel=0.02
        )


@pytest.mark.parametrize("name", SMALL)
def test_a_step_with_each_checkpointing_is_the_same(name: str) -> None:
    """The module's own checkpoints go around those of the layer."""
    x = torch.randn(2, *SMALL[name]["clip"])
    gradients = []
    for checkpointing in ("none", "block", "stage"):
        torch.manual_seed(0)
        model = small(name).build(checkpointing=checkpointing).train()
        F.cross_entropy(model(x), torch.tensor([0, 1])).backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, other in pairwise(gradients):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", SMALL)
def test_compiled_modules_compute_the_same(name: str) -> None:
    model, x = small(name, depth=1 + (name == "vivit_experts")).build().eval(), torch.randn(2, *SMALL[name]["clip"])
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(x), model(x))
