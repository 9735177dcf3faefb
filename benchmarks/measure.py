"""How a model is timed, how much memory its step of training takes, and whether it agrees with its peer."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from tool_speed import machine
from torch.profiler import ProfilerActivity, profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20


class Setting(NamedTuple):
    """What is measured, and how."""

    device: str
    mode: str
    dtype: str
    batch: int
    compiled: bool


class Runner(NamedTuple):
    """A model ready to be timed; a step of training is `gradients` and `update`."""

    name: str
    run: Callable[[], None]
    gradients: Callable[[], None]
    update: Callable[[], None]
    resident: Callable[[], int]  # bytes that a step finds there: clip, weights, buffers, momenta


def synchronize(device: str) -> None:
    """Waits until a GPU has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def where(device: str) -> str:
    """Return the device and the version of torch that figures depend on."""
    known = machine()
    name = torch.cuda.get_device_name() if device == "cuda" else f"{known['processor']}, {known['cores']} cores"
    return f"{name}, torch {torch.__version__}"


@contextmanager
def full_precision() -> Iterator[None]:
    """Within it, products and convolutions in float32 are not rounded to TF32, and cuDNN tries no algorithms out."""
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


def autocast(device: str, dtype: str) -> Any:
    """Return the context of a forward pass in `f32` or `bf16`."""
    return torch.autocast(device, torch.bfloat16) if dtype == "bf16" else nullcontext()


def tensors(value: Any) -> list[torch.Tensor]:
    """The tensors of an input."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def logits(model: Callable[[Any], Any], given: Any) -> torch.Tensor:
    """What a model gives, whatever it calls it."""
    found = model(list(given) if isinstance(given, list) else given)  # SlowFast of pytorchvideo writes to its list
    return found if isinstance(found, torch.Tensor) else found.logits


def contiguous(value: Any) -> Any:
    """An input as it lies in memory by default."""
    return [v.contiguous() for v in value] if isinstance(value, list) else value.contiguous()


def channels_last(value: Any) -> Any:
    """A tensor, or the weights of a model, with the channels last in memory."""
    if isinstance(value, torch.nn.Module):
        for weight in value.parameters():
            weight.data = channels_last(weight.data)
        return value
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return value.contiguous(memory_format=formats.get(value.dim(), torch.contiguous_format))


def runner(name: str, model: torch.nn.Module, clip: Any, setting: Setting, backend: str = "inductor") -> Runner:
    """A step of training (forward, backward, SGD with momentum), or inference; `backend` is that of torch.compile."""
    model.train(setting.mode == "train")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    target = torch.zeros(setting.batch, dtype=torch.long, device=setting.device)
    call = torch.compile(model, dynamic=False, backend=backend) if setting.compiled else model

    def cast() -> Any:
        return autocast(setting.device, setting.dtype)

    def gradients() -> None:
        optimizer.zero_grad(set_to_none=True)
        with cast():
            loss = torch.nn.functional.cross_entropy(logits(call, clip).float(), target)
        loss.backward()

    def train() -> None:
        gradients()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode(), cast():
            logits(call, clip)

    def resident() -> int:
        optimizer.zero_grad(set_to_none=True)
        momenta = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
        held = [*model.parameters(), *model.buffers(), *momenta, *tensors(clip)]
        return sum(t.untyped_storage().nbytes() for t in {t.data_ptr(): t for t in held}.values())

    training = setting.mode == "train"
    return Runner(
        name, train if training else infer, gradients if training else infer,
        optimizer.step if training else lambda: None, resident,
    )  # fmt: skip


def seconds(run: Callable[[], None], device: str) -> float:
    """Return the seconds of one run, on a GPU between two events of its stream."""
    synchronize(device)
    if device != "cuda":
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1000


def measured(candidates: list[Runner], runs: int, device: str, *, warm: bool) -> dict[str, list[float]]:
    """Seconds of each run, all candidates in turn, every other round backwards; one more round if they are not warm."""
    found: dict[str, list[float]] = {c.name: [] for c in candidates}
    for number in range(warm, runs + 1):
        for candidate in candidates if number % 2 else reversed(candidates):
            taken = seconds(candidate.run, device)
            if number:
                found[candidate.name].append(taken)
    return found


def cpu_peak(run: Callable[[], None]) -> int:
    """The most bytes that a run holds at a time in tensors that it makes.

    They are counted by the allocator of torch, as `torch.cuda.max_memory_allocated` does on a GPU. So the figure is the
    same from run to run, and neither Python nor the libraries count, nor what oneDNN and MKL take for a moment past the
    allocator.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        found.export_chrome_trace(str(path))
        events = json.loads(path.read_text("utf-8"))["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def compared(ours: torch.nn.Module, theirs: torch.nn.Module, clip: torch.Tensor, prepared: Any) -> float:
    """How far the outputs of two models are from each other, of the largest."""
    ours.eval()
    theirs.eval()
    with torch.inference_mode(), full_precision():
        expected = logits(theirs, prepared)
        return ((logits(ours, clip) - expected).abs().max() / expected.abs().max()).item()


def peak_mib(step: Runner, device: str) -> float:
    """The peak memory of a step of training, after one that made the momenta: what it finds there and what it makes."""
    step.run()
    resident = step.resident()
    if device == "cpu":
        return (resident + cpu_peak(step.run)) / MIB
    synchronize(device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step.run()
    synchronize(device)
    return (resident + torch.cuda.max_memory_allocated() - before) / MIB


class Update(NamedTuple):
    """The optimiser of a recipe, as far as its memory depends on it."""

    name: str  # sgd or adamw
    momentum: float

    def of(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Return it for the weights of a model."""
        if self.name == "adamw":
            return torch.optim.AdamW(model.parameters(), lr=1e-4)
        return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=self.momentum)


def release(device: str) -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def step_bytes(
    make: Callable[[], torch.nn.Module], shapes: list[tuple[int, ...]], update: Update, dtype: str, device: str
) -> tuple[int, int]:
    """Return the peak bytes of tensors in a training step, weights and momenta included, and the process's beyond them.

    Args:
        make: returns the module.
        shapes: of its inputs, the batch included.
        update: the optimiser.
        dtype: `f32` or `bf16`.
        device: `cuda` or `cpu`; on a CPU nothing is known of the process beyond tensors, so 0.
    """
    release(device)
    before = torch.cuda.memory_allocated() if device == "cuda" else 0
    model = make().to(device).train()
    optimizer = update.of(model)
    clips = [torch.randn(shape, device=device) for shape in shapes]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, dtype):
            loss = model(*clips).float().square().mean()
        loss.backward()
        optimizer.step()

    step()  # makes the optimiser's state
    if device != "cuda":
        optimizer.zero_grad(set_to_none=True)
        held = [*model.parameters(), *model.buffers(), *clips]
        held += [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
        return sum(t.nbytes for t in held) + cpu_peak(step), 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    free, total = torch.cuda.mem_get_info()
    return peak, total - free - peak - before
