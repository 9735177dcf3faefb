"""Files of weights in the folder of a training run."""

from __future__ import annotations

from pathlib import Path

CONFIG = "run.json"
FILES = BEST, WEIGHTS = "best.safetensors", "weights.safetensors"  # of the best epoch, and of the last one


def weights_files(folder: Path) -> list[Path]:
    """Return the files of weights in a folder, the preferred one first."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def checkpoint_file(name: str) -> str:
    """Return the preferred file of weights of a run's folder; the name itself if it is another one."""
    folder = Path(name)
    files = weights_files(folder) if (folder / CONFIG).is_file() else []
    return str(files[0]) if files else name
