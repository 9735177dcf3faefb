"""The steps of `gpu.py run`: each measures one row in a process that may be killed at any time.

A step takes a bench (the prepared folder, the device, how to wait) and a row of the manifest, and returns figures by
column. `Unavailable` means that the row cannot be measured here, any other exception that it failed.
"""

from __future__ import annotations

import importlib
import statistics
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import alternatives
import gpu_forms
import table
import torch
import training_speed
from gpu_folder import Compiled, Folder
from gpu_journal import ALONE, MEASURED, Row
from measure import Setting, Update, autocast, full_precision, measured, release, runner, seconds, step_bytes
from parity_weights import inputs_of, weights_of
from sides import Sides, cells, made_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from measure import Runner

TOLERANCE = 1e-4  # of outputs in float32, of the largest, before anything is timed
BF16 = 3e-2  # of a record's logits, of the largest; on a CPU no record is further off than 1.6e-2
WARM = 2  # runs that compile, and try algorithms out
LONGEST = 2.0  # seconds of all rounds of a row
Values = dict[str, Any]


class Unavailable(Exception):
    """A row that cannot be measured on this machine."""


def no_wait() -> None:
    """Do not wait before rounds are timed."""


@dataclass
class Bench:
    """Where and how rows are measured; `wait` returns when nothing else runs on the machine."""

    folder: Folder
    device: str
    backend: str = "inductor"
    wait: Callable[[], None] = no_wait
    kept: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict[str, dict[str, torch.Tensor]])

    def rounds(self, once: float) -> int:
        """Return how many rounds to time of such a length in seconds."""
        least, most = self.folder.manifest["rounds"]
        return int(min(most, max(least, LONGEST / max(once, 1e-6))))

    def weights(self, record: str) -> dict[str, torch.Tensor]:
        """Return the weights of a record by our names, on the device; those of one record are kept."""
        if record not in self.kept:
            self.kept.clear()
            known = self.folder.manifest["records"][record]
            ours = Compiled(self.folder, known).convert(weights_of(self.folder.record(record)))
            self.kept[record] = {name: tensor.to(self.device) for name, tensor in ours.items()}
        return self.kept[record]


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference over the largest expected number."""
    return ((found.float() - expected).abs().max() / expected.abs().max()).item()


def correctness(bench: Bench, row: Row) -> Values:
    """Logits of a published implementation, or gradients of a training step.

    `check` is the target, `train` or `infer`, and the dtype; or `gradients` and the dtype.
    """
    what, dtype = row["check"].split()
    known, record = bench.folder.manifest["records"][row["record"]], bench.folder.record(row["record"])
    target = "infer" if what == "infer" else "train"
    model = made_on(bench.device, lambda: bench.folder.build(known[target]))
    model.load_state_dict(bench.weights(row["record"]))
    given = [t.to(bench.device) for t in inputs_of(record)]
    expected = torch.tensor(record["output"], device=bench.device)
    if what == "gradients":
        return {"holds": gradients_finite(bench, model, given, dtype)}
    with full_precision(), torch.inference_mode(), autocast(bench.device, dtype):
        found = model.eval()(*given)
    off, limit = difference(found.reshape(expected.shape), expected), known["tolerance"] if dtype == "f32" else BF16
    return {"difference": off, "tolerance": limit, "holds": off <= limit}


def gradients_finite(bench: Bench, model: torch.nn.Module, given: list[torch.Tensor], dtype: str) -> bool:
    """Tell whether a training step gives each weight a finite gradient.

    Raises:
        ValueError: if not; it names the weights.
    """
    model.train()
    with full_precision():
        with autocast(bench.device, dtype):
            loss = model(*given).float().square().mean()
        loss.backward()
    wrong = [
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and (weight.grad is None or not bool(weight.grad.isfinite().all()))
    ]
    if wrong:
        message = f"no finite gradient for {len(wrong)} weights: {', '.join(wrong[:4])}"
        raise ValueError(message)
    return True


def speed(bench: Bench, row: Row) -> Values:
    """Our module beside a peer, as shipped and tuned, after their outputs were compared."""
    torch._dynamo.reset()
    model = bench.folder.model(row["id"])
    setting = Setting(bench.device, row["mode"], row["dtype"], row["batch"], compiled=row["compiled"])
    sides, note = sides_of(bench, model, row["mode"])
    off = sides.difference(row["mode"])
    if off is not None and not off <= TOLERANCE:  # NaN neither
        message = f"the outputs differ by {off:.1e} of the largest, so nothing was timed"
        raise ValueError(message)
    ready = sides.runners(setting, bench.backend)
    torch.backends.cudnn.benchmark = False  # others may run beside what is only compiled
    for one in ready:
        warm_up([one])
        one.resident()  # drops its gradients
        release(bench.device)
    bench.wait()
    torch.backends.cudnn.benchmark = True  # for all sides
    warm_up(ready)
    runs = bench.rounds(sum(seconds(one.run, bench.device) for one in ready))
    found = cells(ready, runs, setting, warm=False)
    return found | {"difference": off, "runs": runs, "status": ALONE if note else MEASURED, "note": note}


def warm_up(ready: Sequence[Runner]) -> None:
    """Run what is to be timed, so that it is compiled and its algorithms are chosen."""
    for one in ready:
        for _ in range(WARM):
            one.run()


def sides_of(bench: Bench, model: Mapping[str, Any], mode: str) -> tuple[Sides, str]:
    """Return our module and the peer's, or ours alone and what is missing for the peer."""
    peer, modules, clip = bench.folder.peer(model), Compiled(bench.folder, model), tuple(model["clip"])
    try:
        note = f"{model['peer']} is not installed" if model["peer"] and peer is None else ""
        return Sides(peer, clip, bench.device, modules, [mode]), note
    except ImportError as error:  # of what the peer's library needs
        return Sides(None, clip, bench.device, modules, [mode]), f"{model['peer']}: {error}"


def memory(bench: Bench, row: Row) -> Values:
    """The peak of a training step, and what `archdsl plan` predicts for it."""
    if bench.device == "cuda" and row["predicted"] > 0.9 * torch.cuda.mem_get_info()[0]:
        message = f"it is predicted to take {row['predicted'] / 2**30:.0f} GiB, which are not free"
        raise Unavailable(message)
    model = bench.folder.model(row["id"])

    def make() -> torch.nn.Module:
        made: Any = made_on(bench.device, lambda: bench.folder.build(model["train"]))
        made.checkpointing = row["checkpointing"]
        return made

    shapes = [(row["batch"], *shape) for shape in model["inputs"]]
    update = Update(row["optimizer"], model["recipe"]["momentum"])
    peak, _ = step_bytes(make, shapes, update, row["dtype"], bench.device)
    return {"predicted": row["predicted"], "measured": peak, "ratio": row["predicted"] / peak}


def passes(bench: Bench, row: Row) -> Values:
    """The time without a pass by the time with it."""
    model = bench.folder.model(row["id"])
    setting = Setting(bench.device, row["mode"], row["dtype"], row["batch"], compiled=False)
    torch.manual_seed(0)
    clip = torch.randn(row["batch"], *model["clip"], device=bench.device)
    weights = bench.folder.build(model["train"]).state_dict()
    ready = []
    for name in (model[row["mode"]], row["without"]):
        module = made_on(bench.device, lambda n=name: bench.folder.build(n))
        module.load_state_dict(weights)
        ready.append(runner(name, module, clip, setting))
    warm_up(ready)
    runs = bench.rounds(sum(seconds(one.run, bench.device) for one in ready))
    times = list(measured(ready, runs, bench.device, warm=True).values())
    gain = table.ratio(times[1], times[0])
    size = "x".join(map(str, model["clip"]))
    return {"clip": size, "seconds": statistics.median(times[0]), "gain": gain, "runs": runs}


def forms(bench: Bench, row: Row) -> Values:
    """How much faster than the first form of a case another is."""
    if row["form"] == gpu_forms.GRAPH:
        return graphs(bench, row)
    tiny = bench.folder.manifest["tiny"]
    case = next(c for c in gpu_forms.cases(tiny=tiny) if c[0] == row["what"])
    what, every, shapes = case
    torch._dynamo.reset()
    first = next(iter(every))
    pair = what, {name: every[name] for name in (first, row["form"])}, shapes
    alternatives.check(pair, bench.device)
    # FlexAttention has no backward pass on a CPU.
    ways = alternatives.WAYS[:1] if row["form"] == "FlexAttention" and bench.device == "cpu" else alternatives.WAYS
    runs = bench.folder.manifest["rounds"][1]
    return alternatives.gains(pair, bench.device, runs, row["dtype"], ways)[row["form"]]


def graphs(bench: Bench, row: Row) -> Values:
    """Inference of one clip as a CUDA graph, beside the module called as usual."""
    if bench.device != "cuda":
        message = "needs a GPU"
        raise Unavailable(message)
    model = bench.folder.model(row["id"])
    module = made_on(bench.device, lambda: bench.folder.build(model["infer"]))
    clip = torch.randn(1, *model["clip"], device=bench.device)
    # Casts that autocast keeps between calls cannot be part of a graph.
    cast = torch.autocast(bench.device, torch.bfloat16, cache_enabled=False)

    def call() -> None:
        with torch.no_grad(), cast:
            module(clip)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    runs = bench.folder.manifest["rounds"][1]
    ready = [
        alternatives.Runner(n, run, run, run, lambda: 0) for n, run in (("", call), (gpu_forms.GRAPH, graph.replay))
    ]
    times = measured(ready, runs, bench.device, warm=False)
    return {"forward": table.ratio(times[""], times[gpu_forms.GRAPH])}


def training(bench: Bench, row: Row) -> Values:
    """Clips/s of the step of `archdsl train`: bytes to numbers, mixing, loss, gradients, their norm, the optimiser."""
    model = bench.folder.model(row["id"])
    recipe = SimpleNamespace(**model["recipe"])
    module: Any = made_on(bench.device, lambda: bench.folder.build(model["train"])).train()
    step = training_step(bench, row, module, recipe, model)
    release(bench.device)
    if bench.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(WARM):
        step()
    bench.wait()
    runs = bench.rounds(seconds(step, bench.device))
    once = statistics.median(seconds(step, bench.device) for _ in range(runs))
    speed_ = row["batch"] / once
    flops = 6 * model["macs"] * speed_
    found: Values = {"clips_per_second": speed_, "tflops": flops / 1e12, "runs": runs}
    if bench.device == "cuda":  # the peak of a CPU takes long to find
        peak = training_speed.peak(row["dtype"])
        found |= {"memory_mib": torch.cuda.max_memory_allocated() / 2**20}
        found |= {"peak_tflops": peak / 1e12, "share_of_peak": flops / peak}
    return found


def training_step(
    bench: Bench, row: Row, module: torch.nn.Module, recipe: Any, model: Mapping[str, Any]
) -> Callable[[], None]:
    """Return a step as `archdsl.train.task` takes it, with the optimiser and the mixing of `archdsl train` itself."""
    mix, optim = (importlib.import_module(name) for name in ("recipe_mix", "recipe_optim"))
    batch, device = row["batch"], bench.device
    clips = torch.randint(256, (batch, *model["clip"]), dtype=torch.uint8, device=device)
    labels = torch.eye(model["classes"], device=device)[torch.zeros(batch, dtype=torch.long)]
    mean, std = (torch.tensor(v, device=device).view(-1, 1, 1, 1) for v in (recipe.mean, recipe.std))
    optimizer = optim.optimiser(module, recipe, model["blocks"], batch)
    call = torch.compile(module, dynamic=False, backend=bench.backend) if row["compiled"] else module
    limit = recipe.clip_gradient or float("inf")

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, row["dtype"]):
            given, targets = mix.mixed((clips.float() / 255 - mean) / std, labels, recipe)
            loss = torch.nn.functional.cross_entropy(
                call(given).float(), targets, label_smoothing=recipe.label_smoothing
            )
        loss.item()  # it is looked at, step by step
        loss.backward()
        float(torch.nn.utils.clip_grad_norm_(module.parameters(), limit))
        optimizer.step()

    return step


STEPS: dict[str, Callable[[Bench, Row], Values]] = {
    "correctness": correctness, "speed": speed, "memory": memory, "passes": passes, "alternatives": forms,
    "training": training,
}  # fmt: skip
