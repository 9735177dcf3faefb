"""The vocabulary: one file, one layer. Layers are found by looking in this folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

from archdsl.core.diagnostics import LayerError
from archdsl.layers.base import REGISTRY, Layer

_NOT_LAYERS = set(
    "__init__ attention_costs attention_memory attention_rules attributes axes base groups padding".split()
)


def extra_folders() -> list[Path]:
    """Folders with a user's own layers, from the environment variable ARCHDSL_LAYERS.

    They hold Python code that is run, so nothing but that variable, never a spec, can name one.
    """
    return [Path(p) for p in os.environ.get("ARCHDSL_LAYERS", "").split(os.pathsep) if p]


def vocabulary() -> dict[str, type[Layer]]:
    """Every layer by its name in the language."""
    if not REGISTRY:
        for name in sorted(p.stem for p in Path(__file__).parent.glob("*.py")):
            if name not in _NOT_LAYERS:
                importlib.import_module(f"archdsl.layers.{name}")
        for folder in extra_folders():
            for file in sorted(folder.glob("*.py")):
                _load(file)
    return REGISTRY


def _load(file: Path) -> None:
    name = f"archdsl_user_layers.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise LayerError(f"the layer {file}: {type(error).__name__}: {error}") from error
