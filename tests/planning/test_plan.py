"""`archdsl plan`: memory and time of training, against torch where it can measure them, else computed by hand."""

from __future__ import annotations

import json
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from cuda_autocast import CudaAutocast
from repository import ROOT
from saved_memory import LAYERS, TINY, measured
from small import full, inputs, small

import archdsl
from archdsl.cli import main
from archdsl.planning.gpus import GPUS, Gpu
from archdsl.planning.memory import CHECKPOINTINGS, STRATEGIES, Optimizer, Sizes, Way, gradients_at
from archdsl.planning.plan import Choice, Limits, Plan, Setup, largest_batch, plan_training
from archdsl.planning.time import BUCKET, Machine, layer_time, optimizer_bytes, passes, step_time
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import memory_of
from archdsl.targets.torch.ops.sites import Precision

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("two_threads")
SPECS = ROOT / "specs"
FAMILIES = "i3d_r50_nl5 mvit_b_16x4 mvitv2_s_16x4 slowfast_r50 swin3d_t timesformer_s vivit_b_fe vtn_r50".split()
NAMES = [*FAMILIES, "swin3d_t_pooled_keys", "timesformer_ts_banded", "vivit_b_fdp"]
BATCH = 3
GIB = 2**30
PLAIN, HALF_GPU = Precision(), Precision(half=True, cuda=True)


def sizes(arch: archdsl.Architecture, precision: Precision = PLAIN) -> Sizes:
    return Sizes(lower(arch._analysis.network), precision)


@cache
def model_of(name: str) -> Any:
    """The small module of a spec, which tests share: they change nothing that decides about memory."""
    return small(SPECS / f"{name}.arch").build()


def tiny(path: Path, layers: str = "conv(8)") -> archdsl.Architecture:
    path.joinpath("tiny.arch").write_text(TINY.replace("LAYERS", layers), "utf-8")
    return archdsl.load(path / "tiny.arch")


class Seen:
    """Bytes that autograd keeps of a forward pass: activations, and 16-bit copies of weights."""

    def __init__(self, model: torch.nn.Module, clips: tuple[torch.Tensor, ...], context: Any) -> None:
        own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
        found: dict[bool, dict[int, torch.UntypedStorage]] = {True: {}, False: {}}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                found[is_copy_of_weight(tensor)][storage.data_ptr()] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context:
            model.train()(*clips)
        self.weights = sum(s.nbytes() for s in found[True].values())
        self.activations = sum(s.nbytes() for s in found[False].values())


def is_copy_of_weight(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is a parameter in another dtype: made of it alone, and of its size."""
    function: Any = tensor.grad_fn
    if function is None or function.name() not in ("ToCopyBackward0", "TBackward0"):
        return False
    while not function.name().endswith("AccumulateGrad"):
        before = [f for f, _ in function.next_functions if f is not None]
        if len(before) != 1:
            return False
        function = before[0]
    return bool(function.variable.numel() == tensor.numel())


# --- activations ---


@pytest.mark.parametrize("checkpointing", CHECKPOINTINGS)
@pytest.mark.parametrize("name", FAMILIES)
def test_activations_are_those_that_autograd_keeps(name: str, checkpointing: str) -> None:
    arch, model = small(SPECS / f"{name}.arch"), model_of(name)
    model.checkpointing = checkpointing
    kept = measured(model, inputs(arch, BATCH))
    model.checkpointing = "none"
    assert sizes(arch).activations(BATCH, checkpointing).kept == pytest.approx(kept, rel=0.05)


@pytest.mark.parametrize("name", ["mvit_b_16x4", "slowfast_4x16_r50_ttoc", "swin3d_t"])
def test_activations_of_one_clip(name: str) -> None:
    """Views take the place of copies."""
    arch = small(SPECS / f"{name}.arch")
    kept = measured(model_of(name), inputs(arch, 1))
    assert sizes(arch).activations(1, "none").kept == pytest.approx(kept, rel=0.02)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_activations_on_a_gpu(name: str, half: bool) -> None:
    """As its autocast and its kernels keep them, which are acted out."""
    arch = small(SPECS / f"{name}.arch")
    seen = Seen(model_of(name), inputs(arch, BATCH), CudaAutocast(half=half))
    predicted = sizes(arch, Precision(half, cuda=True))
    assert predicted.activations(BATCH, "none").kept == pytest.approx(seen.activations, rel=0.03)
    copies = predicted.states(Optimizer(), Way()).casts
    assert seen.weights <= copies
    assert copies == pytest.approx(seen.weights, rel=0.12)  # biases are copied, and not kept


@pytest.mark.parametrize("layers", LAYERS)
def test_layers_on_a_gpu(layers: str, tmp_path: Path) -> None:
    arch = tiny(tmp_path, layers)
    seen = Seen(arch.build(), inputs(arch, BATCH), CudaAutocast(half=True))
    assert sizes(arch, HALF_GPU).memory(BATCH).total == pytest.approx(seen.activations, rel=0.02)


MASKED = """
arch net
input clip: video[3, 4, 32, 32]
input hidden: mask[2, 4, 4]
stage embed { conv(16, [2, 8, 8], stride = [2, 8, 8], padding = valid) -> linear(32) }
stage encode { keep(hidden, 20) -> linear(16) -> gelu -> residual { layernorm -> attention(2) } -> linear(48) }
stage decode { restore(hidden) -> linear(16) -> gelu -> linear(32) }
head dense: keep(hidden, 12, hidden) -> linear(24) -> gelu -> linear(6)
"""


@pytest.mark.parametrize("half", [True, False])
def test_layers_that_read_a_mask_on_a_gpu(half: bool) -> None:
    arch = archdsl.loads(MASKED)
    seen = Seen(arch.build(), inputs(arch, BATCH), CudaAutocast(half=half))
    assert sizes(arch, Precision(half, cuda=True)).memory(BATCH).total == seen.activations


@pytest.mark.parametrize("name", [n for n in NAMES if n != "i3d_r50_nl5"])
def test_activations_under_autocast_on_a_cpu(name: str) -> None:
    """Torch's own, whose lists differ: layer norms follow their input, poolings in attention do not."""
    arch = small(SPECS / f"{name}.arch")
    seen = Seen(model_of(name), inputs(arch, BATCH), torch.autocast("cpu", dtype=torch.bfloat16))
    kept = sizes(arch, Precision(half=True)).activations(BATCH, "none").kept
    assert kept == pytest.approx(seen.activations, rel=0.04)


def test_gradients_of_activations(tmp_path: Path) -> None:
    """By hand: a map of 8 channels has 8 · 4 · 16 · 16 numbers, and the clip gets no gradient."""
    memory = sizes(tiny(tmp_path, "conv(16) -> relu")).memory(1)
    found = {memory.network.node(n).name: size for n, size in gradients_at(memory).items()}
    one = 4 * 4 * 16 * 16
    assert found["one.conv"] == 8 * one
    assert found["one.relu"] == 2 * 8 * one
    assert found["two.conv"] == (8 + 16) * one
    assert found["two.relu"] == 2 * 16 * one
    assert found["head.linear"] == 4 * (16 + 2)


def test_the_gradient_of_a_shortcut_waits_for_its_block(tmp_path: Path) -> None:
    text = "arch tiny\ninput clip: video[3, 4, 16, 16]\nstage one { conv(8) }\n"
    text += "stage two { residual { conv(8) -> conv(8) } }\nhead: avgpool -> linear(2)\n"
    (tmp_path / "tiny.arch").write_text(text, "utf-8")
    memory = sizes(archdsl.load(tmp_path / "tiny.arch")).memory(1)
    convs = [n for n in memory.kept if memory.network.node(n).layer.kind == "conv"][1:]
    found = gradients_at(memory)
    one = 8 * 4 * 4 * 16 * 16
    # The sum's gradient, which both branches have as it is, and what the second convolution gives; its gradient is
    # done with when the first adds its own to the other's.
    assert [found[n] for n in convs] == [2 * one, 2 * one]


def test_the_gradient_of_a_repeated_value_is_a_sum(tmp_path: Path) -> None:
    memory = sizes(tiny(tmp_path, "add { conv(8), avgpool -> linear(8) }")).memory(1)
    found = {memory.network.node(n).name: size for n, size in gradients_at(memory).items()}
    # The sum's gradient, which the convolution has as it is; one for each channel of what is repeated; the mean's.
    assert found["two.linear"] == 4 * (8 * 4 * 16 * 16 + 8 + 8)


# --- what stays ---


@pytest.mark.parametrize("name", ["i3d_r50_nl5", "swin3d_t"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_states_are_those_of_torch(name: str, optimizer: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    model: Any = arch.build()
    kind = {"sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "adamw": torch.optim.AdamW}[optimizer]
    torch_optimizer: Any = kind(model.parameters())
    model(*inputs(arch, 2)).sum().backward()
    torch_optimizer.step()
    state = [v for s in torch_optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor) and v.ndim]
    states = sizes(arch).states(Optimizer(optimizer), Way())
    assert states.parameters == sum(p.nbytes for p in model.parameters())
    assert states.gradients == sum(p.grad.nbytes for p in model.parameters())
    assert states.optimizer == sum(v.nbytes for v in state)
    assert states.buffers == sum(
        v.nbytes for k, v in model.state_dict().items() if k not in dict(model.named_parameters())
    )
    assert (states.ema, states.casts, states.gathered) == (0, 0, 0)


def test_frozen_weights_have_no_gradient(tmp_path: Path) -> None:
    path = tmp_path / "tiny.arch"
    path.write_text(TINY.replace("LAYERS", "conv(16)").replace("stage one", "stage one frozen"), "utf-8")
    arch = archdsl.load(path)
    states = sizes(arch).states(Optimizer("adamw", ema=True), Way())
    frozen = 3 * 8 * 27 + 2 * 8
    assert states.parameters == states.ema == 4 * arch.params
    assert states.gradients == states.optimizer / 2 == 4 * (arch.params - frozen)


def test_frozen_lines_of_an_attention_take_less(tmp_path: Path) -> None:
    """No gradients and states of the optimizer, and no backward products with the frozen weights."""
    plain = "attention(2) { qkv: linear(8)\n proj: linear(8) }"
    archs = [tiny(tmp_path, plain.replace("linear(8)", "frozen { linear(8) }") if held else plain) for held in (1, 0)]
    one, other = (sizes(arch) for arch in archs)
    held = 8 * 24 + 24 + 8 * 8 + 8
    assert other.trained - one.trained == held
    assert (one.states(Optimizer(), Way()).gradients, one.weights) == (4 * (archs[0].params - held), other.weights)
    nodes = [next(n for n in s.network.all_nodes() if n.layer.kind == "attention") for s in (one, other)]
    products = 4 * 16 * 16 * (8 * 24 + 8 * 8) / archs[0].graph.nodes["two.attention"]["macs"]
    passed = [passes(s.memory(2), node) for s, node in zip((one, other), nodes, strict=True)]
    assert passed == [pytest.approx(2 - products), 2]


def test_sgd_without_momentum_has_no_state(tmp_path: Path) -> None:
    assert sizes(tiny(tmp_path)).states(Optimizer(momentum=0.0), Way()).optimizer == 0


def test_fsdp_shares_out_what_ddp_repeats() -> None:
    arch = small(SPECS / "swin3d_t.arch")
    found = sizes(arch)
    whole, shard = (found.states(Optimizer("adamw"), Way(s), 8) for s in STRATEGIES)
    for part in ("parameters", "gradients", "optimizer"):
        assert getattr(shard, part) == ceil(getattr(whole, part) / 8)
    assert shard.buffers == whole.buffers
    blocks = {f"{b.name}.": 0 for b in found.blocks}
    outside = 0
    for name, shape in arch.tensors.items():
        block = next((b for b in blocks if name.startswith(b)), None)
        if block is None:
            outside += torch.Size(shape).numel()
        else:
            blocks[block] += torch.Size(shape).numel()
    first, second = sorted(blocks.values())[:-3:-1]
    assert shard.gathered == 4 * (2 * first + second + outside)


# --- the largest batch ---


@pytest.mark.parametrize("checkpointing", CHECKPOINTINGS)
def test_the_largest_batch_fits_and_the_next_does_not(checkpointing: str) -> None:
    found = sizes(small(SPECS / "mvit_b_16x4.arch"), HALF_GPU)
    room = found.activations(7, checkpointing).total
    assert largest_batch(found, checkpointing, room) == 7
    assert largest_batch(found, checkpointing, room - 1) == 6
    assert largest_batch(found, checkpointing, found.activations(1, checkpointing).total - 1) == 0


def plan(name: str = "slowfast_r50", memory: int = 80 * GIB, batch: int | None = None, **machine: Any) -> Plan:
    setup = Setup(Machine(GPUS["a100"], **machine), Optimizer(), HALF_GPU, Limits(memory, 2 * GIB), batch)
    return plan_training(lower(full(SPECS / f"{name}.arch")._analysis.network), setup)


def by_way(found: Plan) -> dict[Way, Choice]:
    return {choice.way: choice for choice in found.choices}


def test_more_memory_and_more_sharing_never_fit_less() -> None:
    less, more = (by_way(plan(memory=m * GIB, gpus=16)) for m in (16, 32))
    for way, choice in less.items():
        assert 0 < choice.largest <= more[way].largest
        assert choice.fits
        assert choice.memory <= 14 * GIB
    for checkpointing in CHECKPOINTINGS:
        ddp, fsdp = (less[Way(s, checkpointing)] for s in STRATEGIES)
        assert ddp.largest <= fsdp.largest
        assert less[Way("ddp", "none")].largest <= ddp.largest


def test_the_best_is_the_simplest_that_fits() -> None:
    found = plan("mvitv2_s_16x4", gpus=8, batch=8)
    assert found.best is not None
    assert found.best.way == Way("ddp", "none")
    need = found.best.memory + 2 * GIB
    tighter = plan("mvitv2_s_16x4", memory=need - 1, gpus=8, batch=8).best
    assert tighter is not None
    assert tighter.way == Way("fsdp", "none")
    assert plan("mvitv2_s_16x4", memory=3 * GIB, gpus=8, batch=8).best is None


# --- time ---

ROUND = Gpu("a round one", 10**14, 10**13, 10**12, 10 * GIB, 10**12, 10**11, 10**10, "made up")


def test_a_layer_by_hand(tmp_path: Path) -> None:
    """A convolution of 8 to 16 channels by 3×3×3 on 4×16×16."""
    arch = tiny(tmp_path, "conv(16, 3)")
    macs = 16 * 8 * 27 * 4 * 16 * 16
    inputs_, outputs, weights = 8 * 4 * 16 * 16, 16 * 4 * 16 * 16, 16 * 8 * 27
    for half, peak in ((True, 10**14), (False, 10**13)):  # in float32, a convolution takes TensorFloat-32
        memory = memory_of(lower(arch._analysis.network), 5, Precision(half, cuda=True))
        node = next(n for n in memory.network.all_nodes() if n.name == "two.conv")
        moved = (2 if half else 4) * (5 * (inputs_ + outputs) + weights)
        slow = layer_time(memory, node, Machine(ROUND, efficiency=0.001))
        assert slow == pytest.approx(2 * 5 * macs / (peak * 0.001))
        assert layer_time(memory, node, Machine(ROUND, efficiency=1.0)) == pytest.approx(
            max(2 * 5 * macs / peak, moved / 10**12)
        )
    linear = next(n for n in memory.network.all_nodes() if n.name == "head.linear")
    assert layer_time(memory, linear, Machine(ROUND, efficiency=1e-6)) == pytest.approx(2 * 5 * 16 * 2 / 10**6)


def test_a_step_by_hand(tmp_path: Path) -> None:
    """Convolutions alone take time here: the first needs no gradient of its input."""
    found = sizes(tiny(tmp_path, "conv(16, 3)"))
    machine = Machine(ROUND, efficiency=1e-9)
    first, second = (2 * 5 * n * 27 * 4 * 16 * 16 / 10**4 for n in (3 * 8, 8 * 16))
    time = step_time(found, 5, machine, Optimizer(), Way())
    assert time.forward == pytest.approx(first + second, rel=0.01)
    assert time.backward == pytest.approx(first + 2 * second, rel=0.01)
    assert (time.again, time.waiting) == (0, 0)
    again = step_time(found, 5, machine, Optimizer(), Way("ddp", "stage"))
    assert again.again == pytest.approx(first + second, rel=0.01)
    assert again.total == pytest.approx(3 * first + 4 * second, rel=0.01)


def test_updates_read_and_write() -> None:
    assert optimizer_bytes(10, 10, Optimizer("sgd", 0.9)) == 4 * 5 * 10
    assert optimizer_bytes(10, 10, Optimizer("sgd", 0.0)) == 4 * 3 * 10
    assert optimizer_bytes(10, 12, Optimizer("adamw", ema=True)) == 4 * (7 * 10 + 3 * 12)


@pytest.mark.parametrize(
    ("gpus", "per_node", "link"),
    [(2, 8, 10**11), (8, 8, 10**11), (16, 8, 8 * 10**10), (16, 16, 10**11), (32, 16, 10**11), (4, 1, 10**10)],
)
def test_the_slowest_link_of_the_ring(gpus: int, per_node: int, link: int) -> None:
    assert Machine(ROUND, gpus, per_node).link == link


def test_what_has_to_be_waited_for(tmp_path: Path) -> None:
    found = sizes(tiny(tmp_path, "conv(16, 3)"))
    size = 4 * found.trained
    assert size < BUCKET  # so that all of it is the last bucket
    machine = Machine(ROUND, gpus=4, per_node=1)
    ddp, fsdp = (step_time(found, 1, machine, Optimizer(), Way(s)) for s in STRATEGIES)
    assert ddp.communication == ddp.waiting == pytest.approx(2 * 3 / 4 * size / 10**10)
    assert fsdp.communication == pytest.approx(3 * 3 / 4 * size / 10**10)
    slow = step_time(found, 1, Machine(ROUND, 4, 1, efficiency=1e-9), Optimizer(), Way("fsdp"))
    assert slow.communication == fsdp.communication
    assert slow.waiting == pytest.approx(3 / 4 * 4 * found.blocks_weights[-1] / 10**10)
    assert step_time(found, 1, Machine(ROUND), Optimizer(), Way()).waiting == 0


# --- the command ---


SLOW = ["--efficiency", "0.000001"]  # so that computing hides all communication of a network this small


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path, "conv(16, 3)")
    return "tiny.arch"


def test_the_table(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", spec, "--gpus", "16", "--batch", "4", "--memory", "16GB", *SLOW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("16 × A100 SXM 80GB on 2 nodes, 14.9 GiB each; bf16")
    assert [line.split()[:2] for line in lines[5:11]] == [[s, c] for s in STRATEGIES for c in CHECKPOINTINGS]
    assert lines[-2] == f"advice: archdsl train {spec} --precision bf16 --batch 64 --strategy ddp --devices 8 --nodes 2"


def test_no_command_that_would_be_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`archdsl train` reads videos alone; a masked autoencoder of one head is trained by it."""
    assert main(["plan", "avslowfast_r50", "--batch", "4"]) == 0
    number, why = capsys.readouterr().out.splitlines()[-2:]
    assert number.startswith("advice: 4 clips a step")
    assert "'sound' is not in the data that `archdsl train` reads" in why
    assert main(["plan", "videomae_b_pretrain", "--batch", "4"]) == 0
    assert "advice: archdsl train videomae_b_pretrain " in capsys.readouterr().out


def test_the_table_of_one_gpu(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", spec, "--batch", "4", "--precision", "fp32", "--gpu", "v100", "--set", "x=1"]) == 1
    assert main(["plan", spec, "--batch", "4", "--precision", "fp32", "--gpu", "v100"]) == 0
    out = capsys.readouterr().out
    assert "strategy" not in out
    assert f"archdsl train {spec} --precision fp32 --batch 4\n" in out


def test_json_is_the_plan(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--gpus", "8", "--batch", "4", "--json", "--videos", "3201", "--epochs", "10", *SLOW]
    assert main(["plan", spec, "--optimizer", "adamw", *options]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["best"] == {"strategy": "ddp", "checkpointing": "none"}
    assert data["optimizer"]["name"] == "adamw"
    for choice in data["choices"]:
        memory = dict(choice["memory"])
        assert memory.pop("total") == sum(memory.pop("activations").values()) + sum(memory.values())
        step = choice["seconds"]["step"]
        assert choice["clips_per_second"] == pytest.approx(8 * 4 / step)
        assert choice["hours"] == pytest.approx(10 * 101 * step / 3600)  # 3201 clips are 100 whole steps, and one more


def test_a_setup_that_does_not_fit_suggests_one_that_does(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    tight = ["--memory", "30MiB", "--reserve", "28MiB"]
    assert main(["plan", spec, *tight, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    most = max(c["largest_batch"] for c in found["choices"])
    assert main(["plan", spec, *tight, "--batch", str(most + 1)]) == 1
    out, err = capsys.readouterr()
    assert out.count(" !") == 3
    assert f"{most + 1} clips on a GPU of 30 MiB do not fit in any way" in err
    assert f"--batch {most}, and accumulate gradients" in err
    assert main(["plan", spec, "--memory", "30MiB", "--reserve", "29.9MiB"]) == 1
    assert "1 clip on a GPU of 30 MiB does not fit in any way" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpu", "v100"], "the V100 SXM2 32GB does not support bfloat16; use fp16 or fp32"),
        (["--gpus", "12"], "no whole number of nodes with 8 GPUs each"),
        (["--memory", "1GiB"], "must be below the GPU's memory, 1 GiB"),
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], message: str, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", spec, *options]) == 2
    assert message in capsys.readouterr().err


def test_every_gpu_can_be_named(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    for gpu in GPUS:
        assert main(["plan", spec, "--gpu", gpu, "--precision", "fp16", "--batch", "2"]) == 0
    with pytest.raises(SystemExit):
        main(["plan", spec, "--gpu", "abacus"])
    said = capsys.readouterr().err
    assert all(name in said for name in GPUS)
