"""The folder that `gpu.py prepare` makes: modules compiled beforehand, records, and what is to be measured.

    manifest.json     rows to measure, models, maps of weights, predictions
    modules/ID.py     generated modules
    records/NAME.json what published implementations compute
    libraries/        pure Python packages of peers that few machines have

Needs torch, einops and numpy, not archdsl.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from gpu_journal import MANIFEST
from peers import MODELS, Peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PLAIN = "plain"  # the peer of a dry run: our own module, compiled without passes

Move = dict[str, Any]


def converted(theirs: Mapping[str, torch.Tensor], moves: Sequence[Move]) -> dict[str, torch.Tensor]:
    """Return a peer's state dict by our names, as `archdsl.convert_weights` does.

    Args:
        theirs: the peer's tensors by name.
        moves: `ours`, names; `theirs`, the possible names of each part; `sizes` of our parts along the first axis where
            there are several; `back`, how an array of theirs becomes one of ours: axes split, permuted, merged.
    """
    ours: dict[str, torch.Tensor] = {}
    for move in moves:
        names = [next((n for n in possible if n in theirs), "") for possible in move["theirs"]]
        if not all(names):
            continue  # a counter of batches; load_state_dict names any other
        parts = [theirs[name].detach() for name in names]
        if len(move["ours"]) > 1:
            parts = list(torch.split(parts[0], move["sizes"]))
        if back := move["back"]:
            parts = [part.reshape(back["split"]).permute(back["order"]).reshape(back["end"]) for part in parts]
        if len(move["ours"]) < len(parts):
            parts = [torch.cat(parts)]
        ours.update((name, part.contiguous().clone()) for name, part in zip(move["ours"], parts, strict=True))
    return ours


class Compiled:
    """Our modules of one spec, and the map from a peer's tensors to ours."""

    def __init__(self, folder: Folder, known: Mapping[str, Any]) -> None:
        self.folder, self.known = folder, known

    def build(self, target: str) -> torch.nn.Module:
        """Return the module for `train` or `infer`, its weights at their start."""
        return self.folder.build(self.known[target])

    def convert(self, theirs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a peer's state dict by our names."""
        return converted(theirs, self.known["moves"])


class Folder:
    """A prepared folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return what is to be measured, and with what."""
        return json.loads((self.path / MANIFEST).read_text("utf-8"))

    def use_libraries(self) -> None:
        """Let packages that were brought along be imported; those of the machine come first."""
        sys.path.append(str(self.path / "libraries"))

    def build(self, name: str) -> torch.nn.Module:
        """Return a new module of `modules/NAME.py`."""
        spec = importlib.util.spec_from_file_location(f"prepared_{name}", self.path / "modules" / f"{name}.py")
        if spec is None or spec.loader is None:
            message = f"{self.path}: no module {name}; run `gpu.py prepare` again"
            raise FileNotFoundError(message)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return getattr(module, self.manifest["modules"][name])()

    def record(self, name: str) -> dict[str, Any]:
        """Return what a published implementation computes."""
        return json.loads((self.path / "records" / f"{name}.json").read_text("utf-8"))

    def model(self, name: str) -> dict[str, Any]:
        """Return what is known of a model beside a peer."""
        return self.manifest["models"][name]

    def peer(self, model: Mapping[str, Any]) -> Peer | None:
        """Return the peer of a model; None where there is none or its library is not installed."""
        if not model["peer"]:
            return None
        if model["peer"] == PLAIN:
            return Peer(PLAIN, "archdsl", lambda _: self.build(model[PLAIN]))
        found = next(p for p in MODELS[model["spec"]].peers if p.library == model["peer"])
        return None if found.missing else found
