"""Wrong arguments of each public function: the error has a documented type, and names the argument as Python has it."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import archdsl

SPEC = """\
arch s
param classes = 5
input clip: video[3, 4, 32, 32]
stage one { conv(8, 3) -> bn -> relu -> drop_path(0.1) }
head: avgpool -> dropout(0.5) -> linear(classes)
"""
FOLDERS: list[TemporaryDirectory[str]] = []


@cache
def arch() -> archdsl.Architecture:
    return archdsl.loads(SPEC)


@cache
def tensors() -> dict[str, Any]:
    return dict(arch().build().state_dict())


def state_dict() -> dict[str, Any]:
    return dict(tensors())


@cache
def file() -> Path:
    """A file of the spec, which exists as long as the process does."""
    folder = TemporaryDirectory()
    FOLDERS.append(folder)
    path = Path(folder.name) / "s.arch"
    path.write_text(SPEC, "utf-8")
    return path


def function(name: str) -> Any:
    return getattr(archdsl, name, None) or getattr(arch(), name)


# What each function is called with; and by argument, values that it does not take.
CALLS: dict[str, dict[str, Any]] = {
    "load": {"path": file},
    "loads": {"text": SPEC},
    "diff": {"base": file, "arch": file},
    "difference_from": {"base": arch},
    "plan_weights": {"source": "archdsl"},
    "plan_transfer": {"base": arch},
    "cost": {},
    "memory": {"batch": 1},
    "fit_memory": {"max_activation": "1GiB", "batch": 1},
    "source": {},
    "diagram": {},
    "build": {},
    "convert_weights": {"arch": arch, "state_dict": state_dict, "source": "archdsl"},
    "revert_weights": {"arch": arch, "state_dict": state_dict, "source": "archdsl"},
    "transfer_weights": {"base": arch, "state_dict": state_dict, "arch": arch},
}
ANYTHING: tuple[Any, ...] = (None, 3, "nope", {"a": 1}, object())
FINE = {  # what may be given: no value in place of an argument, and words or whole numbers where they belong
    ("load", "clip"), ("load", "like"), ("load", "recipe"), ("loads", "clip"), ("loads", "like"), ("loads", "recipe"),
    ("source", "fitted"), ("build", "fitted"), ("build", "num_classes"), ("diagram", "only"), ("diagram", "width"),
}  # fmt: skip
VALID = {("build", "num_classes", 3), ("memory", "batch", 3), ("fit_memory", "batch", 3), ("diagram", "width", 3)}
VALID |= {("fit_memory", "max_activation", 3)}
RULES = ("inflate", "width", "depth", "positions", "new")
FURTHER = {"plan_transfer": RULES, "transfer_weights": RULES, "build": ("dropout", "drop_path", "checkpointing")}


def wrong() -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    for name, given in CALLS.items():
        known = [p.name for p in inspect.signature(function(name)).parameters.values() if p.kind != p.VAR_KEYWORD]
        for argument in dict.fromkeys([*given, *known, *FURTHER.get(name, ())]):
            for value in ANYTHING:
                if value is None and (name, argument) in FINE:
                    continue
                if isinstance(value, int | str) and (name, argument, value) in VALID:
                    continue
                found.append((name, argument, value))
    return found


@pytest.mark.parametrize(("name", "argument", "value"), wrong(), ids=lambda v: repr(v)[:20])
def test_error_names_the_argument(name: str, argument: str, value: Any) -> None:
    given = {k: v() if callable(v) else v for k, v in CALLS[name].items()} | {argument: value}
    with pytest.raises((TypeError, ValueError, archdsl.SpecError, archdsl.UsageError)) as caught:
        function(name)(**given)
    text = str(caught.value)
    assert "object has no attribute" not in text
    assert not re.search(r"(?<![\w-])--[a-z]", text), text
    named = re.search(rf"\b{argument.replace('_', '[ _]')}\b|\b{name}\(", text)
    shown = isinstance(caught.value, archdsl.UsageError) or name == "loads" or argument == "key"
    assert named or (shown and str(value) in text), text


@pytest.mark.parametrize("name", CALLS)
def test_misspelt_argument(name: str) -> None:
    given = {k: v() if callable(v) else v for k, v in CALLS[name].items()}
    with pytest.raises((TypeError, archdsl.SpecError), match="souurce"):
        function(name)(**given, souurce=1)


@pytest.mark.parametrize(
    ("given", "function"),
    [
        ({"dropout": 0.2}, "build"),
        ({"checkpointing": "block"}, "build"),
        ({"target": "infer"}, "build"),
        ({"batch": 2}, "memory"),
    ],
)
def test_argument_of_another_function(given: dict[str, Any], function: str) -> None:
    with pytest.raises(archdsl.SpecError, match=rf"arch.{function}\({next(iter(given))}=…\)` takes it"):
        archdsl.loads(SPEC, **given)


def test_limit_of_memory_is_named() -> None:
    with pytest.raises(ValueError, match=r"64 clips take .* the limit is 10 KiB"):
        arch().fit_memory("10KiB", 64)


def test_only_an_analysis_makes_an_architecture() -> None:
    with pytest.raises(TypeError, match=r"archdsl\.load"):
        archdsl.Architecture("slow_r50")  # pyright: ignore[reportArgumentType]
