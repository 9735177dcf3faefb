"""`archdsl plan`: estimates of memory and time of training, and the fastest settings that fit."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands import values
from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.sizes import size_text
from archdsl.core.table import aligned
from archdsl.files import UsageError
from archdsl.ir.recipe import Recipe
from archdsl.planning.gpus import GPUS
from archdsl.planning.memory import Optimizer
from archdsl.planning.plan import Choice, Limits, Plan, Setup, plan_json, plan_training
from archdsl.planning.time import Machine
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.ops.sites import Precision
from archdsl.train.engine import PRECISIONS
from archdsl.train.masking import masking_of
from archdsl.train.networks import clip_of, masks_of

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.ir.network import Network
    from archdsl.pipeline import Analysis

OPTIMIZERS = Recipe.fields["optimizer"].words
HEAD = (
    "strategy", "checkpointing", "largest", "clips", "weights", "gradients", "optimiser", "activations", "all", "step",
    "waiting", "clips/s",
)  # fmt: skip


EXAMPLES = (
    ("plan slowfast_r50 --gpu a100 --gpus 8", "Find the fastest way to train on 8 GPUs of one node."),
    (
        "plan my_model.arch --gpu l4 --batch 4 --videos 240000",
        "Predict memory and hours for 4 clips on a GPU.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    _machine_arguments(parser)
    training = parser.group("training")
    training.add_argument(
        "--batch", type=values.count, metavar="CLIPS", help="Number of clips on each GPU (default: as many as fit)."
    )
    training.add_argument(
        "--precision", choices=PRECISIONS, default="bf16", help="Precision of the computation (default: bf16)."
    )
    training.add_argument("--optimizer", choices=OPTIMIZERS, help="Optimizer (default: that of the recipe).")
    training.add_argument(
        "--videos",
        type=values.positive,
        metavar="N",
        help="Number of videos per epoch; adds the hours of training.",
    )
    training.add_argument(
        "--epochs", type=values.positive, metavar="N", help="Number of epochs (default: that of the recipe)."
    )
    parser.group("output").add_argument("--json", action="store_true", help="Print JSON in place of tables.")


def _machine_arguments(parser: Parser) -> None:
    group = parser.group("GPUs")
    group.add_argument(
        "--gpu", choices=tuple(GPUS), default="a100", help="Type of GPU (default: a100, with 80 GB of memory)."
    )
    group.add_argument(
        "--gpus", type=values.count, default=1, metavar="N", help="Number of GPUs on all nodes together (default: 1)."
    )
    group.add_argument(
        "--gpus-per-node", type=values.count, default=8, metavar="N", help="Number of GPUs of each node (default: 8)."
    )
    group.add_argument(
        "--memory", type=values.size, metavar="SIZE", help="Memory per GPU, e.g. 80GB (default: the GPU's full memory)."
    )
    group.add_argument(
        "--reserve", type=values.size, default=2 * 2**30, metavar="SIZE",
        help="Memory to keep free on each GPU, for CUDA's context and fragmentation (default: 2GiB).",
    )  # fmt: skip
    group.add_argument(
        "--efficiency", type=values.share, default=0.4, metavar="SHARE",
        help="Share of the peak speed that matrix products reach (default: 0.4).",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl plan`."""

    spec: str
    gpu: str
    gpus: int
    gpus_per_node: int
    memory: int | None  # bytes
    reserve: int  # bytes
    batch: int | None
    precision: str
    optimizer: str | None
    efficiency: float
    videos: int | None
    epochs: int | None
    json: bool


def run(options: Options) -> int:
    """Print the plan of a spec; return 1 if no choice fits."""
    analysis = analysed(options.spec, options)
    plan, epochs = planned(analysis, options)
    if options.json:
        print(json.dumps(plan_json(plan, options.videos, epochs), indent=2, ensure_ascii=False))
    else:
        print("\n".join([*_heading(plan, options.precision), "", *_table(plan, options.videos, epochs), ""]))
        print("\n".join(_assumptions(plan)))
    show_diagnostics(analysis.warnings)
    if plan.best is None:
        print(f"archdsl: {_what_would_fit(plan)}", file=sys.stderr)
        return 1
    if not options.json:
        print(f"\n{_advice(plan, plan.best, options, analysis.network)}")
    return 0


def planned(analysis: Analysis, options: Options) -> tuple[Plan, float]:
    """Return the plan for the options, and the number of epochs.

    Raises:
        UsageError: for contradicting options.
    """
    recipe = analysis.network.recipe
    gpu = GPUS[options.gpu]
    if options.precision == "bf16" and not gpu.bfloat16:
        raise UsageError(f"--precision bf16: the {gpu.name} does not support bfloat16; use fp16 or fp32")
    if options.gpus > options.gpus_per_node and options.gpus % options.gpus_per_node:
        raise UsageError(
            f"--gpus {options.gpus}: no whole number of nodes with {options.gpus_per_node} GPUs each;"
            " --gpus-per-node says how many there are"
        )
    limits = Limits(options.memory or gpu.memory, options.reserve)
    if limits.usable <= 0:
        raise UsageError(
            f"--reserve {size_text(limits.reserve)}: must be below the GPU's memory, {size_text(limits.memory)}"
        )
    machine = Machine(gpu, options.gpus, options.gpus_per_node, options.efficiency)
    precision = Precision(half=options.precision != "fp32", cuda=True)
    setup = Setup(machine, _optimizer(recipe, options), precision, limits, options.batch)
    return plan_training(lower(analysis.network), setup), options.epochs or recipe.epochs


def _optimizer(recipe: Recipe, options: Options) -> Optimizer:
    name = options.optimizer or recipe.optimizer
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
    """Return a time as text, in seconds or milliseconds."""
    return f"{time:.2f} s" if time >= 1 else f"{1000 * time:.3g} ms"


def _assumptions(plan: Plan) -> list[str]:
    machine, limits = plan.setup.machine, plan.setup.limits
    return [
        "largest: the most clips on one GPU that fit; clips: those that the other columns are for; `!`: do not fit",
        "weights: in float32, their copies in 16 bits under autocast, buffers, and with fsdp whole blocks at work",
        f"assumed: {size_text(limits.reserve)} a GPU for CUDA's context, workspaces and fragmentation (--reserve);",
        f"products at {machine.efficiency:.0%} of the peak (--efficiency), all else as fast as memory is;",
        "videos are read fast enough, and communication hides behind computing where it can",
        f"speeds: {machine.gpu.source}",
    ]


def _advice(plan: Plan, best: Choice, options: Options, network: Network) -> str:
    gpus = plan.setup.machine.gpus
    nodes = -(-gpus // plan.setup.machine.per_node)
    words = [f"--precision {options.precision}", f"--batch {gpus * best.batch}"]  # of all GPUs
    if best.way.checkpointing != "none":
        words.append(f"--checkpointing {best.way.checkpointing}")
    if gpus > 1:
        words.append(f"--strategy {best.way.strategy} --devices {gpus // nodes}")
    if nodes > 1:
        words.append(f"--nodes {nodes}")
    fits = f"That is the fastest that fits; {size_text(best.room - best.memory)} are left."
    try:
        (masking_of if masks_of(network) else clip_of)(network)
    except UsageError as error:
        return f"advice: {gpus * best.batch} clips a step, checkpointing {best.way.checkpointing}. {fits}\n{error}"
    return f"advice: archdsl train {options.spec} {' '.join(words)}\n{fits}"


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
