"""The documents in tests/errors: a faulty spec and the exact messages that a user gets.

A document is a title, prose, and fences:

    ```arch                 the spec itself, written to spec.arch
    ```arch file=lib/x.arch another file beside it; also encoding=latin-1, newline=crlf, repeat=1000
    ```weights file=x.weights  a map of names, in weights/
    ```set                  settings, one `NAME=VALUE` on each line
    ```recipe               values for the recipe, in the same way
    ```clip                 another clip, as 3x30x224x224
    ```like                 a source of weights that the network is to be like
    ```from                 a source of weights that are converted
    ```checkpoint           these: a name and a shape on each line
    ```torch                these, as a file: its bytes, or what torch.save is given, as a Python expression
    ```key                  the part of the file to take
    ```layer file=x.py      a file of an added layer, in layers/, which ARCHDSL_LAYERS then names; also x.py.j2
    ```layers               another value of ARCHDSL_LAYERS
    ```text                 what is printed
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from repository import TESTS

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.render import render_text
from archdsl.elaborate.parameters import setting
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse, module_text, plan_weights
from archdsl.resources import resource
from archdsl.weights.checkpoint import read_checkpoints
from archdsl.weights.convert import convert_all, not_finite
from archdsl.weights.fit import check_tensors
from archdsl.weights.plan import Plan, own_plan

FOLDER = TESTS / "errors"
REWRITTEN = pytest.StashKey[list[str]]()  # what `--update-errors` has changed
DOCUMENTS = sorted(FOLDER.glob("*.md"))

_FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fence:
    """One fenced part of a document."""

    kind: str
    options: dict[str, str]
    text: str


def fences(document: str) -> list[Fence]:
    """The fences of a document, in order."""
    return [
        Fence(kind, dict(o.split("=", 1) for o in info.split()), re.sub(f"^{indent}", "", text, flags=re.MULTILINE))
        for indent, kind, info, text in _FENCE.findall(document)
    ]


def write_files(parts: list[Fence], folder: Path) -> None:
    """Puts the files of a document into a folder."""
    for part in parts:
        if part.kind in ("arch", "weights", "layer"):
            file = folder / part.options.get("file", "spec.arch")
            if part.kind == "weights":
                file = folder / "weights" / part.options.get("file", "map.weights")
            if part.kind == "layer":
                file = folder / "layers" / part.options["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            text = part.text * int(part.options.get("repeat", 1))
            if part.options.get("newline") == "crlf":
                text = text.replace("\n", "\r\n")
            file.write_bytes(text.encode(part.options.get("encoding", "utf-8")))


def diagnose(parts: list[Fence]) -> tuple[Diagnostic, ...]:
    """Diagnostics of spec.arch in the current folder; one that uses added layers is also compiled."""
    named = [p.text.strip() for p in parts if p.kind == "layers"] or ["layers" for p in parts if p.kind == "layer"]
    if not named:
        return _diagnose(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHDSL_LAYERS", named[0])
        return _diagnose(parts)


def _diagnose(parts: list[Fence]) -> tuple[Diagnostic, ...]:
    lines = {part.kind: part.text.split("\n")[:-1] for part in parts}
    library = FileLibrary()
    try:
        settings = [setting(*line.split("=", 1)) for line in lines.get("set", [])]
        clip = tuple(map(int, lines["clip"][0].split("x"))) if "clip" in lines else None
        recipe = [setting(*line.split("=", 1), "--recipe") for line in lines.get("recipe", [])]
        analysis = analyse(read_source("spec.arch"), library, settings, clip, lines.get("like", [None])[0], recipe)
        if "from" in lines:
            plan = plan_weights(analysis, library, lines["from"][0], "--from")
            shapes = {n: tuple(map(int, s)) for n, *s in map(str.split, lines.get("checkpoint", []))}
            if shapes:
                check_tensors(plan, shapes, "weights.pth")
            told = _of_file("\n".join(lines["torch"]), lines.get("key", [""])[0], plan) if "torch" in lines else ()
            return (*analysis.warnings, *plan.warnings, *told)
        if any(p.kind == "layer" for p in parts):
            module_text(analysis)
    except SpecError as error:
        return error.diagnostics
    return analysis.warnings


def _of_file(expression: str, key: str, plan: Plan) -> tuple[Diagnostic, ...]:
    """Diagnostics of a checkpoint on disk."""
    import torch

    value = eval(expression, {"torch": torch, "pickle": pickle})  # a document of ours
    if isinstance(value, bytes):
        Path("weights.pth").write_bytes(value)
    else:
        torch.save(value, "weights.pth")
    tensors, told = read_checkpoints([("", "weights.pth")], plan.theirs, [key] if key else [])
    initial = {name: torch.zeros(shape) for name, shape in plan.ours.items()}
    made, of_head = convert_all(tensors, plan, own_plan(plan.network, plan.ours), "weights.pth", lambda: initial)
    return (*told, *of_head, *not_finite(made, "weights.pth"))


def shown(parts: list[Fence]) -> str:
    """The text that a user sees."""
    return render_text(diagnose(parts)).replace(str(resource("specs")), "specs")


def expected(parts: list[Fence]) -> str:
    """The text that the document holds."""
    return next(part.text for part in parts if part.kind == "text")


def with_expected(document: str, text: str) -> str:
    """A document with another expected text."""
    return re.sub(r"^```text\n.*?^```$", lambda _: f"```text\n{text}```", document, flags=re.MULTILINE | re.DOTALL)
