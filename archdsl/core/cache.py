"""Where what is slow to make and the same for everybody is kept: parse tables, compiled templates."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Beside Python's own compiled files, else in the user's cache; None where nothing can be written."""
    beside = Path(__file__).parent.parent / "__pycache__"
    if beside.is_dir() and os.access(beside, os.W_OK):
        return beside
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"
    try:
        own.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return own if os.access(own, os.W_OK) else None
