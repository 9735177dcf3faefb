"""Bundled files: specs, block libraries and templates; in a wheel inside the package, in a checkout beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent


def resource(name: str) -> Path:
    """Return the folder `specs` or `templates`."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def bundled_specs() -> dict[str, Path]:
    """Return the bundled specs by name: networks for videos, then those for images."""
    specs = resource("specs")
    return {file.stem: file for folder in (specs, specs / "images") for file in sorted(folder.glob("*.arch"))}


def spec_index() -> dict[str, dict[str, Any]]:
    """Return what `archdsl list` shows of each bundled spec, by name: doc, clip (C, T, H, W), params, macs."""
    return json.loads((resource("specs") / "index.json").read_text("utf-8"))
