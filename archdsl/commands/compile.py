"""`archdsl compile`: specs to PyTorch modules on disk."""

from __future__ import annotations

import os
import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.analysis.cost import total_cost
from archdsl.commands.common import analysed, show_diagnostics
from archdsl.core.diagnostics import SpecError
from archdsl.core.sizes import size_text
from archdsl.files import UsageError, system_fault, write_atomically
from archdsl.pipeline import fit_memory, module_text
from archdsl.targets.torch.checkpoints import TooLarge

if TYPE_CHECKING:
    import argparse

    from archdsl.ir.network import Fitted
    from archdsl.pipeline import Analysis

MAX_DIFF_LINES = 40


def command(arguments: argparse.Namespace) -> int:
    """Compiles each spec; a fault in one does not keep the others from being compiled."""
    _check_options(arguments)
    if arguments.output and arguments.output.endswith(".py") and len(arguments.specs) > 1:
        message = f"{len(arguments.specs)} specs cannot be written to one file; name a folder with -o"
        raise UsageError(message)
    return max(_compile_one(spec, arguments) for spec in arguments.specs)


def _check_options(arguments: argparse.Namespace) -> None:
    from archdsl.targets.torch.lower import check_options

    try:
        check_options(arguments.no_pass, arguments.target)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if (arguments.max_activation is None) != (arguments.batch is None):
        raise UsageError("--max-activation and --batch go together: the memory, and for how many clips")
    if arguments.max_activation is not None and arguments.target != "train":
        raise UsageError(f"--max-activation is for training, not for --target {arguments.target}")


def _compile_one(spec: str, arguments: argparse.Namespace) -> int:
    try:
        if arguments.print:
            return _show_stage(spec, arguments)
        analysis = analysed(spec, arguments)
        fitted = _fitted(analysis, arguments)
        text = module_text(analysis, arguments.no_pass, arguments.target, fitted)
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    except TooLarge as error:
        print(f"archdsl: {spec}: {error}", file=sys.stderr)
        return 1
    show_diagnostics(analysis.warnings)
    name = analysis.network.name + ("" if arguments.target == "train" else f"_{arguments.target}")
    target = _target(spec, name, arguments.output)
    code = _compare(target, text) if arguments.check else _write(spec, target, text, force=arguments.force)
    if fitted is not None:
        print(f"    {_told(fitted, total_cost(analysis.network).macs)}")
    return code


def _fitted(analysis: Analysis, arguments: argparse.Namespace) -> Fitted | None:
    if arguments.max_activation is None:
        return None
    return fit_memory(analysis, arguments.max_activation, arguments.batch, arguments.no_pass)


def _told(fitted: Fitted, macs: int) -> str:
    """What was chosen, and the memory that is expected."""
    clips = f"{fitted.batch} clip{'s' * (fitted.batch != 1)}"
    if not fitted.stages:
        return f"{clips}: {size_text(fitted.kept)} of activations; nothing has to be computed again"
    kept, again, plain = map(size_text, (fitted.kept, fitted.again, fitted.plain))
    told = f"{clips}: {kept} of activations, {again} more for a block that is computed again; {plain} without\n"
    return f"{told}    computed again: {', '.join(fitted.stages)}, {fitted.macs / macs:.1%} of the multiply-adds"


def _show_stage(spec: str, arguments: argparse.Namespace) -> int:
    from archdsl.commands.stages import show_stage

    print(show_stage(arguments.print, spec, arguments))
    return 0


def _target(spec: str, name: str, output: str | None) -> Path:
    """Where a module goes: the file asked for, `NAME.py` in a folder, or in `generated/` beside `specs/`."""
    if output is None:
        folder = Path(spec).resolve().parent
        specs = next((f for f in (folder, folder.parent) if f.name == "specs"), None)
        if specs is None:
            return Path(spec).parent / f"{name}.py"
        there = specs.parent / "generated" / f"{name}.py"
        return there if Path(spec).is_absolute() else Path(os.path.relpath(there))
    path = Path(output)
    if output.endswith(".py") and not path.is_dir():
        return path
    return path / f"{name}.py"


def _compare(target: Path, text: str) -> int:
    there = _read(target)
    if there == text:
        print(f"{target}: up to date")
        return 0
    if there is None:
        print(f"{target}: is not there")
        return 1
    print(f"{target}: differs from its spec")
    lines = list(unified_diff(there.splitlines(), text.splitlines(), str(target), "compiled now", lineterm="", n=1))
    print("\n".join(lines[:MAX_DIFF_LINES]))
    if len(lines) > MAX_DIFF_LINES:
        print(f"… {len(lines) - MAX_DIFF_LINES} more lines")
    return 1


def _write(spec: str, target: Path, text: str, *, force: bool) -> int:
    from archdsl.targets.torch.module import unedited

    there = _read(target)
    if there == text:
        print(f"{spec} → {target} (unchanged)")
        return 0
    if there is not None and not force:
        state = unedited(there)
        if not state:
            why = "was not written by archdsl" if state is None else "was edited by hand since archdsl wrote it"
            print(f"archdsl: {target}: {why}; --force overwrites it, -o writes elsewhere", file=sys.stderr)
            return 2
    write_atomically(target, text)
    print(f"{spec} → {target}")
    return 0


def _read(target: Path) -> str | None:
    """A file's text; None if there is none. What is not text counts as another's."""
    try:
        return target.read_bytes().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UsageError(f"{target}: is a directory") from None
    except OSError as error:
        raise system_fault(target, error) from None
