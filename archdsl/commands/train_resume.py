"""Resuming of a training run, with the settings that the command line changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.commands.common import settings
from archdsl.commands.train_start import check_without_validation
from archdsl.commands.values import written
from archdsl.core.source import Source
from archdsl.files import DataError, FileLibrary, UsageError
from archdsl.pipeline import analyse
from archdsl.train.best import ending, is_exhausted
from archdsl.train.checkpoints import Position, kept_checkpoints, position_of
from archdsl.train.engine import Engine
from archdsl.train.environment import check_trackers, with_started
from archdsl.train.fit import check, split_of
from archdsl.train.inventory import changes
from archdsl.train.run import LAST, load_run

if TYPE_CHECKING:
    from archdsl.commands.training_options import TrainOptions as Options
    from archdsl.ir.recipe import Recipe
    from archdsl.train.data.listing import Split
    from archdsl.train.run import Data, Run

# Options that cannot change: those of the network, its initial weights and the split.
FIXED = {
    "spec": "SPEC", "settings": "--set", "clip": "--clip", "like": "--like", "videos": "--videos",
    "weights": "--weights", "weights_from": "--from", "weights_spec": "--weights-spec", "output": "-o",
}  # fmt: skip
PLACES = ("data", "val", "root", "classes")


@dataclass(frozen=True, eq=False)
class Resumed:
    """A run that goes on."""

    run: Run
    folder: Path
    split: Split
    checkpoint: Path | None  # a kept one that replaces the last one
    note: str  # lines for the user


def resumed(options: Options) -> Resumed:
    """Return the run of --resume, with the settings that other options name.

    Raises:
        SpecError: if a value of the recipe is invalid.
        UsageError: if there is no such run, or a setting cannot change.
        DataError: if the videos cannot be used, or have other classes.
        TrainingError: if the checkpoint is damaged.
    """
    _refuse_fixed(options)
    folder, kept = _place(Path(options.resume or ""))
    old = load_run(folder)
    _refuse_others(options, old)
    run = _updated(options, old)
    check_trackers(run.engine.log)
    split = split_of(run.data, run.engine.seed)
    check(run, split)
    if split.classes != run.classes:
        known = f"its classes are not those of {folder / 'classes.txt'}, which the network has"
        raise DataError(f"{run.data.data}: {known}; begin another run with --weights {folder / 'weights.safetensors'}")
    last = kept or folder / LAST
    position = position_of(last, run.model()) if last.exists() else Position(0, 0)
    _check_epochs(options, run, position)
    settings, videos = difference(old, run), changes(split, folder)
    if kept is not None:
        settings["checkpoint"] = Path(LAST).name, kept.name
    if settings or videos:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        change = {"time": now, "step": position.step, "settings": settings, "videos": videos}
        run = replace(run, changes=(*run.changes, change))
    at = f"after epoch {position.epochs}, step {position.step}"
    lines = [f"{folder}: resuming {at}" if last.exists() else f"{folder}: has no checkpoint; starting again"]
    lines += [f"{name}: {before} → {after}" for name, (before, after) in settings.items()]
    lines += _video_lines(videos)
    if position.epochs >= run.recipe.epochs:
        lines.append(f"all {run.recipe.epochs} epochs are complete: only the test runs; more with --epochs N")
    elif is_exhausted(position.history, run.engine.best, run.engine.patience):
        end = ending(position.history, run.engine.best, run.engine.patience, run.recipe.epochs)
        lines.append(f"{end}. Only the test runs; for more epochs, name a higher --patience, or 0")
    return Resumed(run, folder, split, kept, "\n".join([*lines, split.note]))


def _place(path: Path) -> tuple[Path, Path | None]:
    """Return the folder of a run, and the checkpoint in it, if the path names one."""
    is_checkpoint = path.suffix == ".ckpt" and path.parent.name == Path(LAST).parent.name
    if not is_checkpoint:
        return path, None
    folder = path.parents[1]
    if not path.exists():
        known = [str(path.with_name(Path(LAST).name)), *map(str, kept_checkpoints(folder).values())]
        raise UsageError(f"{path}: no such checkpoint; known are {', '.join(known)}")
    return folder, None if path.name == Path(LAST).name else path


def difference(old: Run, new: Run) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ between two runs: old and new value by name, such as `engine.batch`."""

    def values(run: Run) -> dict[str, Any]:
        parts = {"engine": asdict(run.engine), "data": asdict(run.data), "recipe": run.recipe.as_dict()}
        found = {f"{part}.{name}": value for part, all_ in parts.items() for name, value in all_.items()}
        return found | {"dropout": run.dropout}

    before, after = values(old), values(new)
    return {name: (before[name], value) for name, value in after.items() if value != before[name]}


def _refuse_fixed(options: Options) -> None:
    """Raise UsageError for options of the network, its initial weights and the folder."""
    _refuse([word for name, word in FIXED.items() if getattr(options, name) not in {None, ()}])


def _refuse_others(options: Options, run: Run) -> None:
    """Raise UsageError for another seed, strategy or split than those of the run."""
    values: dict[str, Any] = {
        "seed": run.engine.seed, "best": run.engine.best, "strategy": run.engine.strategy,
        "freeze": run.frozen, "freeze_epochs": run.freeze_epochs, "task": run.task,
        **{name: getattr(run.data, name) for name in ("val_share", "label", "fold", "group", "no_val")},
    }  # fmt: skip
    changed = [name for name, value in values.items() if getattr(options, name) not in {None, (), value}]
    _refuse([f"--{name.replace('_', '-')}" for name in changed])
    if run.data.no_val:
        check_without_validation(options, f"{options.resume}: a run with --no-val")


def _refuse(words: list[str]) -> None:
    if words:
        hint = f"omit {'it' if len(words) == 1 else 'them'}, or begin another run with --weights"
        raise UsageError(f"train --resume: {' and '.join(words)} cannot change in a run; {hint}")


def _updated(options: Options, old: Run) -> Run:
    given = {f.name: getattr(options, f.name) for f in fields(Engine)}
    engine = replace(old.engine, **{name: value for name, value in given.items() if value is not None})
    engine = with_started(engine, options.devices, options.nodes)
    if engine.strategy == "fsdp" and (engine.world == 1) != (old.engine.world == 1):
        raise UsageError("train --resume: a run with --strategy fsdp cannot change between one and several processes")
    dropout = old.dropout if options.dropout is None else options.dropout
    recipe = _recipe(old.recipe, options.recipe)
    if recipe.optimizer != old.recipe.optimizer:
        raise UsageError("train --resume: --recipe optimizer cannot change in a run; begin another run with --weights")
    return replace(old, engine=engine, data=_places(old.data, options), recipe=recipe, dropout=dropout)


def _places(old: Data, options: Options) -> Data:
    given = {name: getattr(options, name) for name in PLACES}
    return replace(old, **{name: str(Path(value).resolve()) for name, value in given.items() if value is not None})


def _recipe(old: Recipe, texts: tuple[str, ...]) -> Recipe:
    """Return a recipe with the values of --recipe, checked as those of a spec."""
    if not texts:
        return old
    lines = [f"recipe {name} = {written(value)}" for name, value in old.as_dict().items()]
    text = "\n".join(["arch resumed", *lines, "input clip: video[3, 4, 8, 8]", "head: avgpool -> linear(2)"])
    return analyse(Source("run.json", text), FileLibrary(), recipe=settings(texts, "--recipe")).network.recipe


def _check_epochs(options: Options, run: Run, position: Position) -> None:
    named = any(text.split("=")[0].strip() == "epochs" for text in options.recipe)
    if named and run.recipe.epochs < position.epochs:
        raise UsageError(
            f"train --resume: epochs = {run.recipe.epochs}, but {position.epochs} epochs are complete; name more"
        )


def _video_lines(videos: dict[str, int]) -> list[str]:
    if not videos:
        return []
    line = f"videos changed: {videos['removed']} removed, {videos['added']} added; an epoch that has begun begins again"
    learned = f"{videos['learned']} videos for validation were trained on before: its accuracy is too high"
    return [line] + [learned] * bool(videos["learned"])
