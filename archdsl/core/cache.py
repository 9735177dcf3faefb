"""The cache folder for parse tables and compiled templates."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Return the package's `__pycache__`, or else a folder in the user's cache; None if neither is writable."""
    beside = Path(__file__).parent.parent / "__pycache__"
    if beside.is_dir() and os.access(beside, os.W_OK):
        return beside
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"
    try:
        own.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return own if os.access(own, os.W_OK) else None
