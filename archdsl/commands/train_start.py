"""Preparation of a training run from the options: network, folder, videos and initial weights."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.running import RUNS, is_first
from archdsl.commands.train_weights import adopted, initial_of, left_out, previous_of
from archdsl.files import UsageError
from archdsl.resources import bundled_specs
from archdsl.train import synthetic
from archdsl.train.engine import Engine
from archdsl.train.environment import check_trackers, with_started
from archdsl.train.fit import PARENT, check_decoder, device_of, split_of
from archdsl.train.freezing import check_freezing
from archdsl.train.masking import masking_of
from archdsl.train.networks import clip_of, columns_of, sized, task_of
from archdsl.train.objectives import OBJECTIVES
from archdsl.train.objectives.regression import scale_of
from archdsl.train.run import CONFIG, Data, describe
from archdsl.train.tasks import HEADS, PRETRAIN, REGRESSION, by_head

if TYPE_CHECKING:
    from archdsl.commands.training_options import TrainOptions as Options
    from archdsl.ir.recipe import Recipe
    from archdsl.pipeline import Analysis
    from archdsl.train.data.listing import Split
    from archdsl.train.run import Run
    from archdsl.train.weights import Tensors

SYNTHETIC = "synthetic"
VIDEOS = 80  # of each class of the synthetic data set


@dataclass(frozen=True, eq=False)
class Start:
    """A prepared run."""

    run: Run
    folder: Path
    split: Split
    weights: Tensors | None  # that it begins with, by the tensor names of archdsl
    note: str  # lines for the user


def begin(options: Options) -> Start:
    """Prepare the run of the options; only synthetic videos are written.

    Raises:
        SpecError: if the spec or the weights have errors.
        UsageError: for invalid options.
        DataError: if the videos cannot be used.
    """
    previous = previous_of(options)
    options, note = adopted(options, previous) if previous is not None else (options, "")
    spec = _spec_of(options)
    plain = analysed(spec, options)  # its errors come before videos are looked for
    clip_of(plain.network)
    options = replace(
        options, task=task_of(plain.network, options.task), label=columns_of(plain.network, options.label)
    )
    if options.task == PRETRAIN:
        masking_of(plain.network)
        _check_unlabelled(options)
    if options.data == SYNTHETIC and options.task == HEADS:
        raise UsageError(f"--data {SYNTHETIC}: has one class per video, and {plain.network.name} has several heads")
    if options.data == SYNTHETIC and options.clip is None:
        options = replace(options, clip=(*clip_of(plain.network)[:2], synthetic.CLIP, synthetic.CLIP))
    note = note or left_out(options, previous, plain)
    engine = engine_of(options)
    device_of(engine)  # a missing GPU is found before videos are made
    check_decoder(engine.decoder)
    check_trackers(engine.log)
    folder = _folder(options, plain.network.name)
    data = _synthetic(options, folder) if options.data == SYNTHETIC else _data(options)
    split = split_of(data, engine.seed)
    _check_used(options, split)
    data = replace(data, task=split.task)
    engine = replace(
        engine, best=options.best or OBJECTIVES[split.task](split.classes, plain.network.recipe).metrics[0]
    )
    options = _with_outputs(options, plain, split)
    analysis = analysed(spec, options)
    show_diagnostics(analysis.warnings)
    initial = initial_of(options, previous, analysis, split.classes)
    run = describe(
        analysis, split.classes, data, engine, command=shlex.join(["archdsl", *sys.argv[1:]]), indices=split.indices,
        scale=scale_of(split.train) if split.task == REGRESSION else (), frozen=options.freeze,
        freeze_epochs=options.freeze_epochs, dropout=options.dropout,
        masking=masking_of(analysis.network) if split.task == PRETRAIN else None,
        weights="start.safetensors" if initial is not None else None,
    )  # fmt: skip
    if options.data == SYNTHETIC:
        run = replace(run, recipe=_synthetic_recipe(run.recipe, options))
    check_freezing(run)
    notes = [split.note, note, initial.note if initial is not None else _frozen_at_random(run)]
    note = "\n".join(filter(None, notes))
    return Start(run, folder, split, initial.tensors if initial is not None else None, note)


def _check_unlabelled(options: Options) -> None:
    """Raise UsageError for an option about classes, which a pre-training does not read."""
    for name in ("label", "classes"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} {getattr(options, name)}: --task {PRETRAIN} reads videos alone; omit it")


def _spec_of(options: Options) -> str:
    """Return the spec that the options name.

    Raises:
        UsageError: if they do not name what a new run needs, or contradict each other.
    """
    for word in options.freeze:
        if options.spec is None and (word.endswith(".arch") or word in bundled_specs()):
            raise UsageError(f"--freeze {word}: the word behind --freeze is a pattern; write SPEC in front of it")
    if options.spec is None or options.data is None:
        raise UsageError("train: expected SPEC (or --weights RUN) and --data, or --resume RUN")
    if options.spec == "-":
        raise UsageError(
            "train: the spec cannot come from standard input, since each process reads it; save it to a file"
        )
    if options.no_val:
        check_without_validation(options, "--no-val")
    if options.freeze_epochs is not None and not options.freeze:
        raise UsageError(f"--freeze-epochs {options.freeze_epochs}: add --freeze, which says what to freeze")
    return options.spec


def check_without_validation(options: Options, what: str) -> None:
    """Raise UsageError if the options say something about the validation of a run that has none, as `what` says."""
    values = {name: getattr(options, name) for name in ("val", "val_share", "group", "best", "patience")}
    words = [f"--{name.replace('_', '-')}" for name, value in values.items() if value]
    if words:
        raise UsageError(
            f"{what}: there is no validation that {' and '.join(words)} could be for; omit one or the other"
        )


def _frozen_at_random(run: Run) -> str:
    """Return a line about a frozen part without initial weights."""
    if not run.frozen or run.freeze_epochs is not None:
        return ""
    return "--freeze without --weights: what is frozen keeps its random initial values"


def engine_of(options: Options) -> Engine:
    """Return the engine settings of a run."""
    given = {f.name: getattr(options, f.name) for f in fields(Engine)}
    engine = Engine(**{name: value for name, value in given.items() if value is not None})
    return with_started(engine, options.devices, options.nodes)


def _folder(options: Options, name: str) -> Path:
    """Return a new folder for the run, which is not made yet."""
    if options.output is not None:
        folder = Path(options.output)
        if is_first():
            check_new(folder)
        return folder
    known = os.environ.get(PARENT)
    if known and not is_first():
        return Path(known)
    if any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS")):
        raise UsageError("train: with several processes, set the folder of the run with -o")
    return _free(name)


def _free(name: str) -> Path:
    return next(RUNS / f"{name}-{n}" for n in range(1, 1_000_000) if not (RUNS / f"{name}-{n}").exists())


def check_new(folder: Path) -> None:
    """Raise UsageError if a folder has a run."""
    if (folder / CONFIG).exists():
        raise UsageError(f"{folder}: has a run already; `archdsl train --resume {folder}` resumes it")


def claim(folder: Path, *, named: bool) -> Path:
    """Make the folder of a run; return it.

    Args:
        folder: the folder.
        named: the user has named it; otherwise the next free number replaces one that is taken meanwhile.
    """
    while is_first():
        try:
            folder.mkdir(parents=True, exist_ok=named)
        except FileExistsError:
            if named:
                raise
            folder = _free(folder.name.rpartition("-")[0])
        else:
            break
    os.environ[PARENT] = str(folder)
    return folder


def _check_used(options: Options, split: Split) -> None:
    """Raise UsageError for an option that has no effect on the videos of a split."""
    reasons = {
        "root": "is for paths in lists, and these videos have none",
        "val_share": "is for a random split, and the videos for validation are given",
    }
    for name in split.unused:
        value = getattr(options, name)
        if value is not None:
            raise UsageError(f"--{name.replace('_', '-')} {value}: {reasons[name]}; omit it")


def _data(options: Options) -> Data:
    paths = (options.data, options.val, options.root, options.classes)
    data, val, root, classes = (None if p is None else str(Path(p).resolve()) for p in paths)
    share = Data.val_share if options.val_share is None else options.val_share
    return Data(
        data or "", val, root, classes, share, options.label, options.fold, options.group, options.task,
        no_val=bool(options.no_val),
    )  # fmt: skip


def _synthetic(options: Options, folder: Path) -> Data:
    """Return the synthetic videos, which are made unless they exist."""
    assert options.clip is not None
    frames = max(synthetic.FRAMES, options.clip[1])
    longer = f"-{frames}" if frames > synthetic.FRAMES else ""
    count, seed = options.videos or VIDEOS, options.seed or 0
    videos = folder.parent / f"synthetic-{count}-{seed}{longer}"
    if not videos.exists():
        print(f"making {count} videos of each class in {videos}", flush=True)
    synthetic.make(videos, count, seed, frames)
    return Data(str(videos.resolve()), task=options.task, no_val=bool(options.no_val))


def _synthetic_recipe(recipe: Recipe, options: Options) -> Recipe:
    """Return the recipe for synthetic videos, overridden by the user's settings."""
    named = {text.split("=")[0].strip() for text in options.recipe}
    try:
        return recipe.replace(**{k: v for k, v in synthetic.RECIPE.items() if k not in named})
    except ValueError as error:
        raise UsageError(f"--recipe: {error}") from None


def _with_outputs(options: Options, plain: Analysis, split: Split) -> Options:
    """Return the options with the head's number of outputs set to that of the videos, unless the user has set it."""
    if split.task == PRETRAIN:
        return options
    values, network = plain.parameters, plain.network
    named = {text.split("=")[0].strip() for text in options.settings}
    if split.task == HEADS:
        return _with_heads(options, plain, split, named)
    count, noun = len(split.classes), "target" if split.task == REGRESSION else "class"
    outputs = f"{count} {noun}" + ("e" * (noun == "class") + "s") * (count != 1)
    if "classes" in named:
        if values["classes"] != count:
            raise UsageError(f"--set classes={values['classes']}: the videos have {outputs}")
        return options
    if "classes" in values:
        return replace(options, settings=(*options.settings, f"classes={count}"))
    out = int(network.node(network.outputs[""]).shape.channels)
    if out != count:
        raise UsageError(
            f"{options.spec}: its head has {out} outputs, the videos have {outputs}; `param classes = {count}` and "
            "`linear(classes)` let archdsl set it"
        )
    return options


def _with_heads(options: Options, plain: Analysis, split: Split, named: set[str]) -> Options:
    """Return the options with the number of outputs of each head set; `named` are parameters that the user has set."""
    values, network = plain.parameters, plain.network
    counts = dict(zip(network.outputs, map(len, by_head(split.classes).values()), strict=True))
    added = sized(network, values, counts)
    for name in named & added.keys():
        if values[name] != added.pop(name):
            outputs = ", ".join(f"{count} classes of {head}" for head, count in counts.items())
            raise UsageError(f"--set {name}={values[name]}: the videos have {outputs}")
    return replace(options, settings=(*options.settings, *(f"{name}={count}" for name, count in added.items())))
