"""Initial weights of a training run: a checkpoint, or another run with all that it knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.architecture import Architecture
from archdsl.commands.common import analysed
from archdsl.commands.values import written
from archdsl.files import UsageError
from archdsl.train.networks import clip_of
from archdsl.train.previous import previous_run
from archdsl.train.tasks import CLASSIFICATION
from archdsl.train.weights import Checkpoint, starting_weights
from archdsl.weights.plan import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.commands.training_options import TrainOptions as Options
    from archdsl.pipeline import Analysis
    from archdsl.train.previous import Previous
    from archdsl.train.weights import Initial


def previous_of(options: Options) -> Previous | None:
    """Return the run that --weights names, itself or a file of it; None for other files, and without --weights.

    Raises:
        UsageError: if an option contradicts what the run knows, or the run has no weights.
    """
    if options.weights is None:
        for name, value in (("--from", options.weights_from), ("--weights-spec", options.weights_spec)):
            if value is not None:
                raise UsageError(f"{name} {value}: says what the checkpoint of --weights is; add --weights, or omit it")
        return None
    named = {"--from": options.weights_from, "--weights-spec": options.weights_spec}
    known = [name for name, value in named.items() if value is not None]
    if known and not Path(options.weights).is_dir():
        return None
    previous = previous_run(options.weights)
    if known:
        raise UsageError(f"{known[0]}: {options.weights} is a run, which knows the network of its weights; omit it")
    return previous


def adopted(options: Options, previous: Previous) -> tuple[Options, str]:
    """Return the options with the spec of a run and its changes, and a line about them, unless they name a spec.

    Options override the changes one by one; the number of classes is that of the videos.
    """
    if options.spec is not None:
        return options, ""
    run, spec = previous.run, previous.spec
    named = {"classes", *(text.split("=")[0].strip() for text in options.settings)}
    settings = [text for text in spec.settings if text.split("=")[0].strip() not in named]
    new = replace(
        options, spec=previous.path, settings=(*settings, *options.settings), clip=options.clip or spec.clip,
        like=options.like or spec.like, task=options.task or (run.task if run.task != CLASSIFICATION else None),
        dropout=run.dropout if options.dropout is None else options.dropout,
    )  # fmt: skip
    plain = analysed(previous.path, replace(new, recipe=())).network.recipe.as_dict()
    chosen = {text.split("=")[0].strip() for text in options.recipe}
    values = {k: v for k, v in run.recipe.as_dict().items() if k not in chosen and v != plain[k]}
    new = replace(new, recipe=(*(f"{name}={written(value)}" for name, value in values.items()), *options.recipe))
    return new, f"as in {previous.folder}: {_added(options, new)}"


def left_out(options: Options, previous: Previous | None, plain: Analysis) -> str:
    """Return a line about sizes of a run that a network with a spec of its own could have, and has not; empty if none.

    Args:
        options: the options, which name the spec.
        previous: the run of --weights.
        plain: the network of the options.
    """
    if previous is None:
        return ""
    before, now, clip = previous.analysis().parameters, plain.parameters, options.clip or clip_of(plain.network)
    names = [text.split("=")[0].strip() for text in previous.spec.settings]
    names = [name for name in names if name != "classes" and name in now and now[name] != before[name]]
    others = [f"--set {name}={written(before[name]).replace(' ', '')}" for name in names]
    others += [f"--clip {'x'.join(map(str, previous.run.clip))}"] * (clip != previous.run.clip)
    if not others:
        return ""
    return f"{plain.network.name} has other sizes than {previous.folder}; those of that run are: {' '.join(others)}"


def _added(options: Options, new: Options) -> str:
    """Return the options that were added to those of the command line."""
    parts = [new.spec or "", *(f"--set {s}" for s in new.settings if s not in options.settings)]
    parts += [f"--clip {'x'.join(map(str, new.clip))}"] if new.clip is not None and options.clip is None else []
    parts += [f"--{n} {getattr(new, n)}" for n in ("like", "task") if getattr(new, n) != getattr(options, n)]
    parts += [f"--dropout {new.dropout:g}"] if new.dropout is not None and options.dropout is None else []
    parts += [f"--recipe {text.replace(' ', '')}" for text in new.recipe if text not in options.recipe]
    return " ".join(parts)


def initial_of(
    options: Options, previous: Previous | None, analysis: Analysis, classes: Sequence[str]
) -> Initial | None:
    """Return the initial weights that --weights names; None without."""
    if options.weights is None:
        return None
    if previous is not None:
        return previous.initial(analysis, classes)

    def with_classes(count: int) -> Architecture:
        settings = [text for text in options.settings if text.split("=")[0].strip() != "classes"]
        return Architecture(analysed(spec, replace(options, settings=(*settings, f"classes={count}"))))

    spec = options.spec or ""
    checkpoint = Checkpoint(options.weights, options.weights_from or OWN, options.weights_spec)
    return starting_weights(Architecture(analysis), checkpoint, spec, with_classes)
