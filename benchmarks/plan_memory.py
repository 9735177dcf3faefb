"""The memory of training that `archdsl plan` predicts, and what torch takes.

    python benchmarks/plan_memory.py                         # every spec, at its own size
    python benchmarks/plan_memory.py slowfast_r50 swin3d_t --limit 6GB

On a CPU: the bytes that autograd's hooks see after a forward pass in float32, for each checkpointing, and with `--peak`
the most that the allocator had given out in a forward and backward pass. With a GPU besides: the peak of
`torch.cuda.max_memory_allocated` in a step of the recipe's optimiser, weights and all, in float32 and bf16, and what
the process takes beyond it, which `--reserve` stands for. What is predicted to take more than `--limit` is left out.
With one thread alone torch takes other convolutions on a CPU, so there are two at least.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from activation_memory import measured
from measure import Update, cpu_peak, step_bytes

import archdsl
from archdsl.core.sizes import parse_size, size_text
from archdsl.planning.memory import CHECKPOINTINGS, Optimizer, Sizes, Way
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.ops.sites import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "plan_memory.csv"
COLUMNS = ("spec", "clips", "device", "precision", "checkpointing", "what", "predicted", "measured", "ratio", "torch")


def shapes_of(arch: archdsl.Architecture) -> list[tuple[int, ...]]:
    """Return the shapes of the inputs of one clip, at the spec's own sizes."""
    return [data["shape"] for _, data in arch.graph.nodes(data=True) if data["kind"] == "input"]


def made(arch: archdsl.Architecture, checkpointing: str) -> torch.nn.Module:
    """Return a module that recomputes in the backward pass as told."""
    model: Any = arch.build()
    model.checkpointing = checkpointing
    return model


def on_cpu(arch: archdsl.Architecture, batch: int, limit: int, *, peak: bool) -> Iterator[tuple[Any, ...]]:
    """What autograd keeps, and the peak of a forward and backward pass, in float32."""
    sizes = Sizes(lower(arch._analysis.network), Precision())
    states = sizes.states(Optimizer(), Way())
    if sizes.activations(batch, "none").total + 2 * states.parameters > limit:
        return
    model: Any = arch.build().train()
    clips = [torch.randn(batch, *shape) for shape in shapes_of(arch)]

    def step() -> None:
        model.zero_grad()
        model(*clips).square().mean().backward()

    for mode in CHECKPOINTINGS:
        model.checkpointing = mode
        found = sizes.activations(batch, mode)
        yield "fp32", mode, "kept", found.kept, measured(model, clips)
        if peak:
            model.zero_grad()
            yield "fp32", mode, "peak", found.kept + found.more + states.gradients, cpu_peak(step)


def on_gpu(arch: archdsl.Architecture, batch: int, limit: int) -> Iterator[tuple[Any, ...]]:
    """The peak of a whole step, and what the process takes beyond it."""
    recipe = arch.recipe
    optimizer = Optimizer(recipe.optimizer, float(recipe.momentum))
    update = Update(optimizer.name, optimizer.momentum)
    for precision in ("fp32", "bf16"):
        sizes = Sizes(lower(arch._analysis.network), Precision(half=precision == "bf16", cuda=True))
        for mode in CHECKPOINTINGS:
            predicted = sizes.states(optimizer, Way("ddp", mode)).total + sizes.activations(batch, mode).total
            if predicted > limit:
                continue
            sizes_of = [(batch, *shape) for shape in shapes_of(arch)]
            dtype = "bf16" if precision == "bf16" else "f32"
            peak, beyond = step_bytes(lambda m=mode: made(arch, m), sizes_of, update, dtype, "cuda")
            yield precision, mode, "step", predicted, peak
            yield precision, mode, "beyond", 0, beyond


def main() -> None:
    """Measures spec by spec, prints what is found and writes it into the table."""
    parser = argparse.ArgumentParser(description="Compare the predicted and measured memory of training.")
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="names of specs; default: all")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2], help="clips (default: 1 2)")
    parser.add_argument("--limit", type=parse_size, default=parse_size("64GB"), help="of memory (default: 64GB)")
    parser.add_argument("--peak", action="store_true", help="also the peak of a forward and backward pass on a CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(max(2, torch.get_num_threads()))
    names = arguments.specs or sorted(p.stem for p in (ROOT / "specs").glob("*.arch"))
    for name in names:
        rows: list[dict[str, Any]] = []
        arch = archdsl.load(ROOT / "specs" / f"{name}.arch")
        for batch in arguments.batch:
            found = [("cpu", *row) for row in on_cpu(arch, batch, arguments.limit, peak=arguments.peak)]
            if torch.cuda.is_available():
                device = torch.cuda.get_device_name()
                free = min(arguments.limit, torch.cuda.mem_get_info()[0])
                found += [(device, *row) for row in on_gpu(arch, batch, free)]
            for device, precision, mode, what, predicted, seen in found:
                ratio = f"{predicted / seen:.3f}" if predicted else ""
                values = (name, batch, device, precision, mode, what, predicted, seen, ratio, torch.__version__)
                rows.append(dict(zip(COLUMNS, values, strict=True)))
                print(f"{name} {batch} {device} {precision} {mode} {what}:", end=" ")
                print(f"{size_text(predicted)} predicted, {size_text(seen)} measured, {ratio}", flush=True)
        write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    """Puts the rows of a spec into the table, in place of those of its last measurement."""
    old: list[dict[str, Any]] = []
    if RESULTS.exists():
        with RESULTS.open(encoding="utf-8", newline="") as file:
            old = list(csv.DictReader(file))
    anew = {(r["spec"], str(r["clips"]), r["device"], r["what"]) for r in rows}
    kept = [r for r in old if (r["spec"], r["clips"], r["device"], r["what"]) not in anew]
    order = sorted([*kept, *rows], key=lambda r: (r["spec"], int(r["clips"]), r["device"]))
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(order)


if __name__ == "__main__":
    main()
