"""`archdsl plan`: what training will need, and the fastest way that fits."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed, show_diagnostics
from archdsl.core.sizes import size_text
from archdsl.core.table import aligned
from archdsl.files import UsageError
from archdsl.layers.base import Precision
from archdsl.planning.gpus import GPUS
from archdsl.planning.memory import Optimizer
from archdsl.planning.plan import Choice, Limits, Plan, Setup, plan_json, plan_training
from archdsl.planning.time import Machine
from archdsl.targets.torch.lower import lower

if TYPE_CHECKING:
    import argparse

    from archdsl.ir.recipe import Recipe
    from archdsl.pipeline import Analysis

HEAD = (
    "strategy", "checkpointing", "largest", "clips", "weights", "gradients", "optimiser", "activations", "all", "step",
    "waiting", "clips/s",
)  # fmt: skip


def command(arguments: argparse.Namespace) -> int:
    """Prints the plan of a spec; 1 if nothing fits."""
    analysis = analysed(arguments.spec, arguments)
    plan, epochs = planned(analysis, arguments)
    if arguments.json:
        print(json.dumps(plan_json(plan, arguments.videos, epochs), indent=2, ensure_ascii=False))
    else:
        print("\n".join([*_heading(plan, arguments.precision), "", *_table(plan, arguments.videos, epochs), ""]))
        print("\n".join(_assumptions(plan)))
    show_diagnostics(analysis.warnings)
    if plan.best is None:
        print(f"archdsl: {_what_would_fit(plan)}", file=sys.stderr)
        return 1
    if not arguments.json:
        print(f"\n{_advice(plan, plan.best, arguments)}")
    return 0


def planned(analysis: Analysis, arguments: argparse.Namespace) -> tuple[Plan, float]:
    """The plan that the options ask for, and the number of epochs.

    Raises:
        UsageError: for options that do not go together.
    """
    recipe = analysis.network.recipe
    gpu = GPUS[arguments.gpu]
    if arguments.precision == "bf16" and not gpu.bfloat16:
        raise UsageError(f"--precision bf16: a {gpu.name} has no bfloat16; fp16 and fp32 are possible")
    if arguments.gpus > arguments.gpus_per_node and arguments.gpus % arguments.gpus_per_node:
        raise UsageError(
            f"--gpus {arguments.gpus}: no whole number of nodes with {arguments.gpus_per_node} GPUs each;"
            " --gpus-per-node says how many there are"
        )
    limits = Limits(arguments.memory or gpu.memory, arguments.reserve)
    if limits.usable <= 0:
        raise UsageError(f"--reserve {size_text(limits.reserve)}: leaves nothing of {size_text(limits.memory)}")
    machine = Machine(gpu, arguments.gpus, arguments.gpus_per_node, arguments.efficiency)
    precision = Precision(half=arguments.precision != "fp32", cuda=True)
    setup = Setup(machine, _optimizer(recipe, arguments), precision, limits, arguments.batch)
    return plan_training(lower(analysis.network), setup), arguments.epochs or recipe.epochs


def _optimizer(recipe: Recipe, arguments: argparse.Namespace) -> Optimizer:
    name = arguments.optimizer or recipe.optimizer
    return Optimizer(name, float(recipe.momentum), bool(recipe.ema))


def _heading(plan: Plan, precision: str) -> list[str]:
    machine, optimizer = plan.setup.machine, plan.setup.optimizer
    inputs = ", ".join(f"{n} {plan.network.node(i).shape}" for n, i in plan.network.clips.items())
    nodes = -(-machine.gpus // machine.per_node)
    count = f"{machine.gpus} × {machine.gpu.name}" + (f" on {nodes} nodes" if nodes > 1 else "")
    update = {"sgd": f"SGD, momentum {optimizer.momentum:g}", "adamw": "AdamW"}[optimizer.name]
    average = ", with a moving average of the weights" if optimizer.ema else ""
    return [
        f"{plan.network.name}  input {inputs} (channels × frames × height × width)",
        f"{count}, {size_text(plan.setup.limits.memory)} each; {precision}; {update}{average}",
    ]


def _table(plan: Plan, videos: int | None, epochs: float) -> list[str]:
    head = [*HEAD, *([f"{epochs:g} epochs"] if videos is not None else [])]
    rows = [head, *(_row(plan, c, videos, epochs) for c in plan.choices)]
    words = 2
    if plan.setup.machine.gpus == 1:
        rows, words = [row[1:] for row in rows], 1
    lines = aligned(rows, numbers=len(rows[0]) - words)
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def _row(plan: Plan, choice: Choice, videos: int | None, epochs: float) -> list[str]:
    states, time = choice.states, choice.time
    cells = [
        choice.way.strategy,
        choice.way.checkpointing,
        f"{choice.largest:,}" if choice.largest else "none",
        f"{choice.batch:,}",
        size_text(states.parameters + states.casts + states.buffers + states.gathered),
        size_text(states.gradients),
        size_text(states.optimizer + states.ema),
        size_text(choice.activations.total),
        size_text(choice.memory) + ("" if choice.fits else " !"),
        seconds(time.total),
        f"{time.share:.1%}",
        f"{plan.rate(choice):,.0f}",
    ]
    return [*cells, *([f"{plan.hours(choice, videos, epochs):,.1f} h"] if videos is not None else [])]


def seconds(time: float) -> str:
    """A time as a person reads it."""
    return f"{time:.2f} s" if time >= 1 else f"{1000 * time:.3g} ms"


def _assumptions(plan: Plan) -> list[str]:
    machine, limits = plan.setup.machine, plan.setup.limits
    lines = [
        "largest: the most clips on one GPU that fit; clips: those that the other columns are for; `!`: do not fit",
        "weights: in float32, their copies in 16 bits under autocast, buffers, and with fsdp whole blocks at work",
        f"assumed: {size_text(limits.reserve)} a GPU for CUDA's context, workspaces and fragmentation (--reserve);",
        f"products at {machine.efficiency:.0%} of the peak (--efficiency), all else as fast as memory is;",
        "videos are read fast enough, and communication hides behind computing where it can",
        f"speeds: {machine.gpu.source}",
    ]
    if plan.setup.optimizer.ema and machine.gpus > 1:
        lines.append("with fsdp there is no moving average: `archdsl train` refuses both together")
    return lines


def _advice(plan: Plan, best: Choice, arguments: argparse.Namespace) -> str:
    gpus = plan.setup.machine.gpus
    nodes = -(-gpus // plan.setup.machine.per_node)
    options = [f"--precision {arguments.precision}", f"--batch {gpus * best.batch}"]  # of all GPUs
    if best.way.checkpointing != "none":
        options.append(f"--checkpointing {best.way.checkpointing}")
    if gpus > 1:
        options.append(f"--strategy {best.way.strategy} --devices {gpus // nodes}")
    if nodes > 1:
        options.append(f"--nodes {nodes}")
    left = size_text(best.room - best.memory)
    return (
        f"advice: archdsl train {arguments.spec} {' '.join(options)}\nThat is the fastest that fits; {left} are left."
    )


def _what_would_fit(plan: Plan) -> str:
    choice = plan.roomiest
    way = f"{choice.way.strategy} and " if plan.setup.machine.gpus > 1 else ""
    need = size_text(choice.memory + plan.setup.limits.reserve)
    asked = f"{choice.batch} clips" if choice.batch > 1 else "1 clip"
    found = f"{asked} on a GPU of {size_text(plan.setup.limits.memory)} do not fit in any way"
    if choice.batch == 1:
        found = found.replace("do not", "does not")
    least = f"{way}checkpointing {choice.way.checkpointing} would take {need} with what is reserved"
    if choice.largest:
        clips = "1 clip" if choice.largest == 1 else f"{choice.largest} clips"
        return f"{found}; {least}, and has room for {clips}: use --batch {choice.largest}, and accumulate gradients"
    more = " or more GPUs with fsdp" if choice.states.total > plan.setup.limits.usable // 2 else ""
    return f"{found}; {least}: use a smaller --clip, more memory{more}"
