"""`archdsl train`: training of the module of a spec on videos."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.commands import values
from archdsl.commands.options import SPEC, spec_arguments
from archdsl.commands.running import check_packages, is_first, warn_of_precision, write_report
from archdsl.commands.training_options import TrainOptions as Options
from archdsl.commands.training_options import data_arguments, engine_arguments
from archdsl.files import UsageError
from archdsl.planning.memory import CHECKPOINTINGS, STRATEGIES
from archdsl.train.engine import TRACKERS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from archdsl.commands.parser import Parser
    from archdsl.train.data.listing import Split
    from archdsl.train.run import Run

EXAMPLES = (
    ("train slowfast_r50 --data videos/ --epochs 30 --lr 0.05 --gpus 8", "Train on 8 GPUs."),
    ("train --resume runs/slowfast_r50-1 --epochs 60", "Resume a run from its last checkpoint, to more epochs."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", nargs="?", metavar="SPEC", help=SPEC.replace(", or - for standard input", ""))
    _video_arguments(parser)
    spec_arguments(parser, recipe=True)
    _optimisation_arguments(parser)
    _weight_arguments(parser)
    _engine_arguments(parser)
    _checkpoint_arguments(parser)
    output = parser.group("output")
    output.add_argument(
        "-o", "--output", metavar="RUN", help="New folder to write (default: runs/NAME-1, runs/NAME-2 and so on)."
    )
    output.add_argument(
        "--log", action="append", choices=(*TRACKERS, "none"),
        help="Also log to Weights & Biases or MLflow, beside TensorBoard; may be repeated (default: none).",
    )  # fmt: skip
    output.add_argument(
        "--resume", metavar="RUN",
        help="Resume a run from its last checkpoint, or from one that --keep has kept "
        "(RUN/checkpoints/epoch-E.ckpt); other options change its settings.",
    )  # fmt: skip


def _video_arguments(parser: Parser) -> None:
    group = parser.group("videos")
    group.add_argument(
        "--data", metavar="DIR|LIST|synthetic",
        help="Videos: a folder with a subfolder for each class, a list of `path label [start end]`, tar files "
        "such as 'train-{000..012}.tar', or `synthetic`, a small set that is made.",
    )  # fmt: skip
    data_arguments(group)
    group.add_argument(
        "--val-share", type=float, metavar="SHARE",
        help="Share of the videos to set aside for validation, without --val (default: 0.2).",
    )  # fmt: skip
    group.add_argument(
        "--no-val", action="store_true", default=None,
        help="Train without validation, on all videos but those that the source has for validation or testing.",
    )  # fmt: skip
    group.add_argument(
        "--videos", type=values.count, metavar="N",
        help="Number of videos per class with `--data synthetic` (default: 80).",
    )  # fmt: skip


def _optimisation_arguments(parser: Parser) -> None:
    group = parser.group("optimisation")
    group.add_argument("--epochs", type=values.positive, metavar="N", help="Number of epochs: --recipe epochs=N.")
    group.add_argument("--lr", type=values.rate, metavar="RATE", help="Peak learning rate: --recipe lr=RATE.")
    group.add_argument(
        "--batch", type=values.count, metavar="CLIPS", help="Batch size in clips, over all devices (default: 16)."
    )
    group.add_argument(
        "--accumulate", type=values.count, metavar="N",
        help="Number of gradient accumulation steps (default: 1).",
    )  # fmt: skip
    group.add_argument("--seed", type=values.natural, metavar="N", help="Seed of the run (default: 0).")
    group.add_argument(
        "--dropout", type=values.probability, metavar="P", help="Dropout probability (default: that of the spec)."
    )
    group.add_argument(
        "--freeze", nargs="?", action="append", const="", default=[], metavar="PATTERN",
        help="Freeze the layers and weights of these names, e.g. 'res[23]*', or without PATTERN all but the head; may "
        "be repeated.",
    )  # fmt: skip
    group.add_argument(
        "--freeze-epochs", type=values.count, metavar="N", help="Freeze in the first N epochs only (default: in all)."
    )


def _weight_arguments(parser: Parser) -> None:
    group = parser.group("initial weights")
    group.add_argument(
        "--weights", metavar="RUN|FILE",
        help="Run or checkpoint to start from; without SPEC, with the spec and the settings of the run.",
    )  # fmt: skip
    group.add_argument(
        "--from", dest="weights_from", metavar="SOURCE",
        help="Code base whose tensor names the checkpoint has (default: archdsl).",
    )  # fmt: skip
    group.add_argument(
        "--weights-spec", metavar="SPEC", help="Spec of the checkpoint's network (default: SPEC as published)."
    )


def _engine_arguments(parser: Parser) -> None:
    group = parser.group("devices and loading")
    group.add_argument(
        "--gpus", type=values.count, metavar="N", help="Number of GPUs of each node: --devices N --device cuda."
    )
    engine_arguments(group)
    group.add_argument(
        "--strategy", choices=STRATEGIES,
        help="Replicate all weights on each device (ddp, the default), or shard them (fsdp).",
    )  # fmt: skip
    group.add_argument(
        "--checkpointing", choices=CHECKPOINTINGS,
        help="Recompute activations per block or per stage in the backward pass (default: none).",
    )  # fmt: skip
    group.add_argument("--sync-bn", action="store_true", default=None, help="Synchronise batch norms over all devices.")
    group.add_argument("--compile", action="store_true", default=None, help="Compile the module with torch.compile.")


def _checkpoint_arguments(parser: Parser) -> None:
    group = parser.group("validation and checkpoints")
    group.add_argument(
        "--best", metavar="METRIC",
        help="Metric of validation that decides which epoch is the best, whose weights are best.safetensors "
        "(default: top1; map and mae for multilabel and regression, all_top1 for several heads).",
    )  # fmt: skip
    group.add_argument(
        "--patience", type=values.natural, metavar="N",
        help="Stop early, after N epochs without a better value of that metric (default: 0, never).",
    )  # fmt: skip
    group.add_argument(
        "--keep", type=values.natural, metavar="N",
        help="Number of epochs whose checkpoints are kept, the last ones, as checkpoints/epoch-E.ckpt (default: 0, "
        "last.ckpt alone).",
    )  # fmt: skip
    group.add_argument(
        "--save-every", type=values.count, metavar="STEPS",
        help="Number of steps between checkpoints (default: one checkpoint per epoch).",
    )  # fmt: skip


def run(options: Options) -> int:
    """Train, from the start or from a checkpoint, and write a report."""
    check_packages()
    if options.resume is not None:
        return _resume(expanded(options))
    from archdsl.commands.train_start import begin, check_new, claim
    from archdsl.train.checkpoints import save_weights
    from archdsl.train.fit import check
    from archdsl.train.inventory import record

    start = begin(expanded(options))
    check(start.run, start.split)
    warn_of_precision(start.run.engine)
    run, folder = start.run, claim(start.folder, named=options.output is not None)
    with _locked(folder):
        if is_first():
            check_new(folder)
            run.save(folder)
            record(start.split, folder)
            if start.weights is not None and run.weights is not None:
                save_weights(start.weights, folder / run.weights)
            print(f"{run.name} → {folder}\n{start.note}", flush=True)
        return _train(run, folder, start.split, resume=False)


def _locked(folder: Path) -> AbstractContextManager[None]:
    """Return the lock of a run, which its first process holds."""
    from archdsl.train.stopping import locked

    return locked(folder) if is_first() else nullcontext()


def expanded(options: Options) -> Options:
    """Return the options with --epochs, --lr and --gpus replaced by the options that they abbreviate.

    Raises:
        UsageError: if an option and its abbreviation are both set, or contradict each other.
    """
    recipe = options.recipe
    named = {text.split("=")[0].strip() for text in recipe}
    for name, value in (("epochs", options.epochs), ("lr", options.lr)):
        if value is not None and name in named:
            raise UsageError(f"--{name} {value}: --recipe {name}=… sets the same; omit one of them")
        recipe += (f"{name}={value}",) * (value is not None)
    devices, device = options.devices, options.device
    if options.gpus is not None:
        if devices is not None:
            raise UsageError(f"--gpus {options.gpus}: --devices {devices} sets the same; omit one of them")
        if device == "cpu":
            raise UsageError(f"--gpus {options.gpus}: --device cpu uses no GPU; omit one of them")
        devices, device = options.gpus, "cuda"
    done = {"epochs": None, "lr": None, "gpus": None}
    return replace(options, **done, recipe=recipe, devices=devices, device=device, log=_log(options.log))


def _log(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the trackers of --log, each once; without any for `none`."""
    if names is not None and len(set(names)) > 1 and "none" in names:
        raise UsageError("--log none: another --log names a tracker; omit one of them")
    return None if names is None else tuple(name for name in TRACKERS if name in names)


def _resume(options: Options) -> int:
    from archdsl.commands.train_resume import resumed
    from archdsl.train.checkpoints import replicate
    from archdsl.train.fit import PARENT
    from archdsl.train.inventory import record
    from archdsl.train.run import LAST

    start = resumed(options)
    warn_of_precision(start.run.engine)
    os.environ[PARENT] = str(start.folder)
    with _locked(start.folder):
        if is_first():
            if start.checkpoint is not None:
                replicate(start.checkpoint, start.folder / LAST)
            start.run.save(start.folder)
            record(start.split, start.folder)
            print(start.note, flush=True)
        return _train(start.run, start.folder, start.split, resume=True)


def _train(run: Run, folder: Path, split: Split, *, resume: bool) -> int:
    from archdsl.train.evaluate import Views, classify, untested
    from archdsl.train.fit import is_child, train
    from archdsl.train.report import ending_of
    from archdsl.train.run import WEIGHTS
    from archdsl.train.stopping import signals
    from archdsl.train.weights import trained

    recipe = run.recipe
    views = Views(recipe.test_clips, recipe.test_crops)
    with signals(folder, child=is_child()) as handler:
        train(run, folder, split, handler, resume=resume)
        if is_first() and split.val:
            print(f"\ntesting {WEIGHTS} on {views.text} of each video", flush=True)
        model = trained(run, folder, None)
        result = classify(run, model, split.val, folder, views) if split.val else untested(run)
        _, line = write_report(result, folder / "report", folder)
        if is_first():
            print("\n".join(filter(None, [ending_of(folder), line])))
            print(f"the report is {folder / 'report/summary.md'}; {folder / WEIGHTS} is for {folder / run.name}.py")
        return 0
