"""Initial weights of a run, and trained weights."""

# Libraries without types.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from archdsl.architecture import Architecture, load
from archdsl.core.diagnostics import SpecError
from archdsl.core.render import render_text
from archdsl.files import UsageError, WeightsError
from archdsl.state_dicts import transferred
from archdsl.train.run import WEIGHTS
from archdsl.transfer.steps import VERBS
from archdsl.weights.checkpoint import state_dict_of, without_prefix
from archdsl.weights.convert import not_finite, shapes
from archdsl.weights.plan import OWN
from archdsl.weights.reading import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import torch

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.train.run import Run
    from archdsl.transfer.plan import TransferPlan
    from archdsl.weights.plan import Plan

AVERAGE = "Average"  # the key of the moving average in checkpoints of runs
Tensors: TypeAlias = "dict[str, torch.Tensor]"  # by name


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint that initialises a run."""

    file: str
    source: str = OWN  # the source whose tensor names it has
    spec: str | None = None  # the spec of its network; None for the spec of the run, as published


@dataclass(frozen=True, eq=False)
class Initial:
    """Initial weights of a run, by the tensor names of archdsl, and a line about them."""

    tensors: Tensors
    note: str


def starting_weights(
    arch: Architecture,
    checkpoint: Checkpoint,
    spec: str,
    with_classes: Callable[[int], Architecture] | None = None,
) -> Initial:
    """Return the initial weights of an architecture: a checkpoint of the same network, or a transfer from its base.

    The base has the number of classes of the checkpoint; a head with other classes is initialised.

    Args:
        arch: the architecture.
        checkpoint: the checkpoint; without a spec, and under our names, of `arch` with other classes, or as below.
        spec: the spec of the base, as published, unless the checkpoint has one.
        with_classes: returns `arch` with another number of classes.

    Raises:
        SpecError: if the tensors do not match the base.
        UsageError: if the file cannot be read.
    """
    file, source = checkpoint.file, checkpoint.source
    if source == OWN and checkpoint.spec is None:
        own, warnings, kind = read_tensors(file, arch.tensors)
        if shapes(own) == arch.tensors:
            show(warnings)
            return Initial(own, note_of(file, kind, f"{len(own)} tensors copied"))
        count = _classes_in(arch.plan_weights(OWN), own, arch)
        if count is not None and with_classes is not None and shapes(own) == (base := with_classes(count)).tensors:
            return _transferred(base, arch, checkpoint)
    like = None if source == OWN else source
    base = load(checkpoint.spec or spec, like=like)
    names = base.plan_weights(source)
    count = _classes_in(names, read_tensors(file, names.theirs)[0], base)
    return _transferred(
        base if count is None else load(checkpoint.spec or spec, like=like, classes=count), arch, checkpoint
    )


def _transferred(base: Architecture, arch: Architecture, checkpoint: Checkpoint) -> Initial:
    """Return the weights of a checkpoint of `base`, transferred to `arch`."""
    names, plan = base.plan_weights(checkpoint.source), arch.plan_transfer(base)
    tensors, warnings, kind = read_tensors(checkpoint.file, names.theirs)
    show([*warnings, *names.warnings, *not_finite(tensors, checkpoint.file), *plan.warnings])
    try:
        initial = transferred(plan, names, tensors, arch, checkpoint.file)
    except SpecError as error:
        hint = "--weights-spec names the spec of the checkpoint's network, --from the code base of its tensor names"
        raise SpecError([replace(d, help=d.help or hint) for d in error.diagnostics]) from None
    return Initial(initial, note_of(checkpoint.file, kind, counts_text(plan)))


def note_of(file: str, kind: str, counts: str) -> str:
    """Return a line about initial weights: their file, what they are, and the numbers of tensors by origin."""
    return f"initial weights: {file}{f' ({kind})' * bool(kind)}: {counts}"


def _classes_in(names: Plan, tensors: Tensors, base: Architecture) -> int | None:
    """Return the number of classes of a checkpoint, if it is another one than that of the base, and a parameter."""
    count = base.parameters.get("classes")
    for move in names.moves:
        if len(move.ours) == len(move.theirs) == 1 and move.ours[0].name.startswith("head."):
            ours, theirs = base.tensors[move.ours[0].name], tensors.get(move.theirs[0].name)
            if theirs is not None and theirs.ndim and ours[:1] == (count,) and theirs.shape[0] != count:
                return theirs.shape[0]
    return None


def counts_text(plan: TransferPlan) -> str:
    """Return the numbers of tensors by their origin as text: `26 tensors copied, 2 new`."""
    counts = plan.counts
    first, *others = (f"{counts[how]} {how}" for how in sorted(counts, key=VERBS.index, reverse=True))
    text = ", ".join([first.replace(" ", " tensors ", 1), *others])
    return text + f"; {len(plan.unused)} of the checkpoint unused" * bool(plan.unused)


def read_tensors(file: str, expected: Collection[str]) -> tuple[Tensors, tuple[Diagnostic, ...], str]:
    """Return the tensors of a checkpoint, warnings, and what the tensors are, if it is one of a run.

    Of a run's checkpoint with a moving average, the average is read, as it is in the run's other files of weights.

    Raises:
        UsageError: if the file does not exist.
        SpecError: if it cannot be read without executing code in it, or has no tensors.
    """
    checkpoint: Any = read_checkpoint(file)
    tensors, warnings = state_dict_of(checkpoint, file, "", expected)
    tensors = without_prefix(tensors, expected)
    try:
        step = f"after step {checkpoint['global_step']}"
        averages: Tensors = checkpoint["callbacks"][AVERAGE]["values"] if AVERAGE in checkpoint["callbacks"] else {}
    except (KeyError, TypeError):  # of another code base
        return tensors, warnings, ""
    return (dict(averages), (), f"the moving average {step}") if averages else (tensors, warnings, step)


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Print diagnostics about the checkpoint."""
    if diagnostics:
        print(render_text(diagnostics, color=sys.stderr.isatty()), end="", file=sys.stderr)


def trained(run: Run, folder: Path, weights: str | None) -> torch.nn.Module:
    """Return the module of a run, with the weights of its last epoch, or of the file `weights` (see `read_tensors`).

    Raises:
        UsageError: if the file does not exist.
        SpecError: if the file cannot be read.
        WeightsError: if its tensors do not match the module.
    """
    path = Path(weights) if weights is not None else folder / WEIGHTS
    if not path.exists():
        raise UsageError(f"{path}: no such file" + ("; no epoch of the run has ended yet" if weights is None else ""))
    model = run.model()
    tensors, warnings, _ = read_tensors(str(path), model.state_dict())
    show(warnings)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not weights of {run.name}: {str(error).splitlines()[0]}") from None
    return model
