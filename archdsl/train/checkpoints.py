"""Atomic writing of checkpoints."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from archdsl.train.run import LAST, WEIGHTS, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lightning import Trainer

    from archdsl.train.best import Row

PREFIX = "model."


class WholeFiles(CheckpointIO):
    """Checkpoint IO that writes to a temporary file, syncs it to disk, and then replaces the previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: if writing fails; the previous checkpoint is intact.
        """
        del storage_options

        def save(file: BinaryIO) -> None:
            torch.save(checkpoint, file)

        _write(Path(path), save)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint."""
        del weights_only
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint; unused, as each replaces the previous one."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Position:
    """The progress of a run at a checkpoint."""

    epochs: int  # completed
    step: int
    history: Sequence[Row] = ()  # validation metrics of the epochs among which is the best


def position_of(path: Path, model: torch.nn.Module) -> Position:
    """Return the position of a checkpoint, which is mapped into memory, not read.

    Raises:
        TrainingError: if it is damaged, or not a checkpoint of this run.
    """
    hint = f"remove it, and `archdsl train --resume {path.parents[1]}` begins again with the first epoch"
    if kept := [p for p in kept_checkpoints(path.parents[1]).values() if p != path]:
        hint = f"`archdsl train --resume {kept[-1]}` goes back to a checkpoint that was kept"
    if (weights := path.parents[1] / WEIGHTS).exists():
        hint += f"; or begin another run with --weights {weights}"
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f"{path}: is damaged, or no checkpoint ({reason}); {hint}") from None
    try:
        own = {f"{PREFIX}{name}": tensor.shape for name, tensor in model.state_dict().items()}
        fits = {name: tensor.shape for name, tensor in checkpoint["state_dict"].items()} == own
        position = Position(
            checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"],
            checkpoint["global_step"],
            checkpoint["callbacks"].get("Journal", {}).get("history", ()),
        )
    except (LookupError, TypeError, AttributeError):
        raise TrainingError(f"{path}: is not a checkpoint of `archdsl train`; {hint}") from None
    if not fits:
        raise TrainingError(f"{path}: is the checkpoint of another network; {hint}")
    return position


def checkpoint_of(folder: Path, epoch: int) -> Path:
    """Return the file in which a run keeps the checkpoint of an epoch, counted from 1."""
    return (folder / LAST).with_name(f"epoch-{epoch}.ckpt")


def kept_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the kept checkpoints of a run by their epochs, in this order."""
    names = ((re.fullmatch(r"epoch-(\d+)\.ckpt", path.name), path) for path in (folder / LAST).parent.glob("*.ckpt"))
    return dict(sorted((int(match[1]), path) for match, path in names if match is not None))


def prune(folder: Path, first: int, last: int) -> None:
    """Remove the kept checkpoints of a run except those of the epochs from `first` to `last`."""
    for epoch, path in kept_checkpoints(folder).items():
        if not first <= epoch <= last:
            path.unlink(missing_ok=True)


def replicate(source: Path, path: Path) -> None:
    """Give a checkpoint, which is replaced and never changed, a second name; copy it where there are no hard links.

    Raises:
        TrainingError: if writing fails.
    """
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as file:
            _write(path, lambda copy: copyfileobj(file, copy))
    else:
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # it remains where both are names of one file


def _write(path: Path, save: Callable[[BinaryIO], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        previous = (
            "the previous one is intact: free disk space, then `--resume`" if path.exists() else "none exists yet"
        )
        reason = getattr(cause, "strerror", None) or cause
        raise TrainingError(f"{path}: the checkpoint could not be written: {reason}; {previous}") from error


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return the full state dict of the module in the first process, and an empty one in others; a collective call."""
    state = trainer.strategy.lightning_module_state_dict()
    if not trainer.is_global_zero:
        return {}
    return {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}


def save_weights(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict as safetensors."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})

    def write(file: BinaryIO) -> None:
        file.write(data)

    _write(path, write)
