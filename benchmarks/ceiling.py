"""What a device can do at most, how much of it a model reaches, and where the rest of its time goes.

A model's work is twice its multiply-adds, three times that in training. Its traffic is what the operators of an eager
run read and write, each tensor once for each operator.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import table
import torch
from measure import synchronize
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from measure import Runner

# How the operators of each class are called; the first that fits counts.
CLASSES = (
    ("attention", r"scaled_dot_product|flash_attention|efficient_attention|cudnn_attention"),
    ("convolutions", r"conv"),
    ("norms", r"norm"),
    ("softmax", r"softmax"),
    ("matrix products", r"mm_?$|matmul|linear|einsum"),
    ("pooling", r"pool"),
    ("copies", r"copy|clone|contiguous|cat$|stack|index|pad|roll|fill|zero|gather|scatter|embedding|repeat|reorder"),
    ("elementwise", r"add|sub|mul|div|neg|pow|sqrt|exp$|erf|gelu|relu|threshold|sigmoid|dropout|bernoulli|sum|mean"),
)
TABLE = (*(name for name, _ in CLASSES), "optimiser", "other")


def operator_class(name: str) -> str:
    """The class of an operator of torch."""
    short = name.partition("::")[2] or name
    return next((c for c, pattern in CLASSES if re.search(pattern, short)), "other")


def quickest(run: Callable[[], Any], device: str, seconds: float = 1.0) -> float:
    """The least time of a run, of as many as fit."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def matrix_rate(device: str, dtype: str) -> float:
    """The most operations a second of products of matrices, square and as in a transformer, and of a convolution."""
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    size = 8192 if device == "cuda" else 2048
    rates: list[float] = []
    for rows, inner, columns in ((size // 2,) * 3, (size,) * 3, (4 * size, 768, 3072)):
        left, right = (torch.randn(a, b, device=device, dtype=kind) for a, b in ((rows, inner), (inner, columns)))
        rates.append(2 * rows * inner * columns / quickest(lambda a=left, b=right: a @ b, device))
    clip = torch.randn(size // 1024, 128, 8, 28, 28, device=device, dtype=kind)
    weight = torch.randn(128, 128, 3, 3, 3, device=device, dtype=kind)
    for memory in (torch.contiguous_format, torch.channels_last_3d):
        a, b = (t.contiguous(memory_format=memory) for t in (clip, weight))
        seconds = quickest(lambda a=a, b=b: torch.nn.functional.conv3d(a, b, padding=1), device)
        rates.append(2 * clip.numel() * weight[0].numel() / seconds)
    return max(rates)


def bandwidth(device: str) -> float:
    """The most bytes a second that a copy and a triad of large tensors read and write."""
    a, b, c = (torch.ones(2**28 if device == "cuda" else 2**26, device=device) for _ in range(3))
    size = a.numel() * a.element_size()
    copy = quickest(lambda: a.copy_(b), device)
    triad = quickest(lambda: torch.add(b, c, alpha=2.0, out=a), device)
    return max(2 * size / copy, 3 * size / triad)


class Traffic(TorchDispatchMode):
    """Counts the bytes that operators read and write; views do neither."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            for side in ((args, kwargs), found):
                seen = {id(t): t for t in tree_leaves(side) if isinstance(t, torch.Tensor)}
                self.bytes += sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in seen.values())
        return found


def traffic(run: Callable[[], None]) -> int:
    """The bytes that the operators of a run read and write."""
    with Traffic() as counter:
        run()
    return counter.bytes


def times(run: Callable[[], None], device: str) -> dict[str, float]:
    """The seconds that the operators of a run take by themselves."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as found:
        run()
        synchronize(device)
    events = [e for e in found.key_averages() if e.device_type == torch.autograd.DeviceType.CPU]
    spent = [(e.key, e.self_device_time_total if device == "cuda" else e.self_cpu_time_total) for e in events]
    return {name: microseconds / 1e6 for name, microseconds in spent if microseconds}


def shares(step: Runner, device: str) -> dict[str, float]:
    """The share of each class of operators in the time of a step, all operators of the optimiser being one class."""
    found = dict.fromkeys(TABLE, 0.0)
    for name, seconds in times(step.gradients, device).items():
        found[operator_class(name)] += seconds
    found["optimiser"] = sum(times(step.update, device).values())
    whole = sum(found.values())
    return {name: seconds / whole for name, seconds in found.items()}


def summary(lines: Sequence[Mapping[str, object]]) -> str:
    """The share of the device's rate that each model reaches, and what its time goes to, in few columns."""
    libraries = ("convolutions", "matrix products", "attention", "softmax")
    head = ("model", "mode", "batch", "of the matrix rate", "in products", "norms", "copies", "elementwise", "rest")
    cells: list[tuple[str, list[str]]] = []
    for line in lines:
        times = {name: float(str(line[name])) for name in TABLE}
        shares = [sum(times[n] for n in libraries), *(times[n] for n in ("norms", "copies", "elementwise"))]
        shown = [float(str(line["share of rate"])), *shares, 1 - sum(shares)]
        words = [f"`{line['model']}`", table.WORDS[str(line["mode"])], str(line["batch"])]
        machine = f"{line['machine']}, {table.WORDS[str(line['dtype'])]}"
        cells.append((machine, words + [f"{100 * share:.0f} %" for share in shown]))
    return table.by_machine(head, cells)
