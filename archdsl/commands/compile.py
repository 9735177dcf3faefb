"""`archdsl compile`: the PyTorch modules of specs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.analysis.cost import total_cost
from archdsl.commands import values
from archdsl.commands.common import analysed, spec_source
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.diagnostics import SpecError
from archdsl.core.sizes import size_text
from archdsl.files import UsageError, system_fault, write_atomically
from archdsl.pipeline import fit_memory, module_text
from archdsl.targets.torch.checkpoints import TooLarge
from archdsl.targets.torch.lower import TARGETS, TRAIN

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.ir.network import Fitted
    from archdsl.pipeline import Analysis

MAX_DIFF_LINES = 40


STAGES = ("ast", "graph", "shapes", "lowered")
EXAMPLES = (
    ("compile my_model.arch --set classes=51", "Write the module of a spec beside it, with another head."),
    ("compile my_model.arch --max-activation 8GiB --batch 8 -o out/", "Checkpoint stages so that 8 clips fit."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    code = parser.group("generated code")
    code.add_argument(
        "--target", choices=TARGETS, default=TRAIN,
        help="Purpose of the module (default: train). With `infer`, batch norms are folded into convolutions, dropout "
        "is removed, and the module is NAME_infer.py.",
    )  # fmt: skip
    code.add_argument(
        "--no-pass", dest="without", action="append", default=[], metavar="NAME",
        help="Skip a lowering pass (`--print lowered` lists them); may be repeated.",
    )  # fmt: skip
    code.add_argument(
        "--max-activation", metavar="SIZE", type=values.size,
        help="Activation memory limit, e.g. 8GiB: choose stages to checkpoint so that --batch clips fit.",
    )  # fmt: skip
    code.add_argument("--batch", metavar="CLIPS", type=values.count, help="Batch size for --max-activation, in clips.")
    output = parser.group("output")
    output.add_argument(
        "-o", "--output", metavar="FILE|DIR",
        help="File or folder to write to (default: generated/ beside specs/, else beside SPEC).",
    )  # fmt: skip
    output.add_argument("--force", action="store_true", help="Overwrite files that archdsl has not written.")
    output.add_argument("--check", action="store_true", help="Write nothing; exit with 1 if a module differs.")
    output.add_argument(
        "--print", dest="stage", choices=STAGES, help="Print an intermediate form of the network in place of writing."
    )


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl compile`."""

    specs: tuple[str, ...]
    target: str
    without: tuple[str, ...]  # names of passes
    max_activation: int | None  # bytes
    batch: int | None
    output: str | None
    force: bool
    check: bool
    stage: str | None  # what to print


def run(options: Options) -> int:
    """Compile each spec; continue after an error in one of them."""
    _check_options(options)
    if options.output and options.output.endswith(".py") and len(options.specs) > 1:
        message = f"{len(options.specs)} specs cannot be written to one file; choose a folder with -o"
        raise UsageError(message)
    return max(_compile_one(spec, options) for spec in options.specs)


def _check_options(options: Options) -> None:
    from archdsl.targets.torch.lower import check_options

    try:
        check_options(options.without, options.target)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if (options.max_activation is None) != (options.batch is None):
        raise UsageError("--max-activation and --batch need each other: the memory limit, and the batch size")
    if options.max_activation is not None and options.target != TRAIN:
        raise UsageError(f"--max-activation: needs --target {TRAIN}, not {options.target}")


def _compile_one(spec: str, options: Options) -> int:
    try:
        if options.stage:
            return _show_stage(spec, options)
        analysis = analysed(spec, options)
        fitted = _fitted(analysis, options)
        text = module_text(analysis, options.without, options.target, fitted, options.output)
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        return 1
    except TooLarge as error:
        print(f"archdsl: {spec}: {error}", file=sys.stderr)
        return 1
    show_diagnostics(analysis.warnings)
    name = analysis.network.name + ("" if options.target == TRAIN else f"_{options.target}")
    target = _target(spec, name, options.output)
    code = _compare(target, text) if options.check else _write(spec, target, text, force=options.force)
    if fitted is not None:
        print(f"    {_checkpointing_text(fitted, total_cost(analysis.network).macs)}")
    return code


def _fitted(analysis: Analysis, options: Options) -> Fitted | None:
    if options.max_activation is None or options.batch is None:
        return None
    return fit_memory(analysis, options.max_activation, options.batch, options.without)


def _checkpointing_text(fitted: Fitted, macs: int) -> str:
    """Return the chosen stages and the expected memory, as text."""
    clips = f"{fitted.batch} clip{'s' * (fitted.batch != 1)}"
    if not fitted.stages:
        return f"{clips}: {size_text(fitted.kept)} of activations; no checkpointing needed"
    kept, again, plain = map(size_text, (fitted.kept, fitted.again, fitted.plain))
    memory = f"{clips}: {kept} of activations, and {again} while a block is recomputed; {plain} without checkpointing"
    return (
        f"{memory}\n    checkpointed: {', '.join(fitted.stages)}; recomputed: {fitted.macs / macs:.1%} of multiply-adds"
    )


def _show_stage(spec: str, options: Options) -> int:
    from archdsl.commands.stages import syntax_tree, whole_network

    if options.stage == "ast":
        print(syntax_tree(spec_source(spec)))
    else:
        network = analysed(spec, options).network
        print(whole_network(network, options.stage or "", options.without, options.target))
    return 0


def _target(spec: str, name: str, output: str | None) -> Path:
    """Return the file of a module: that of -o, `NAME.py` in a folder, or in `generated/` beside `specs/`."""
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
    if there is not None and _without_command(there) == _without_command(text):
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


def _without_command(text: str) -> str:
    """Return a module without the line of the command that wrote it, which depends on the folder and on -o."""
    first, *rest = text.split("\n", 2)
    return "\n".join([first, *rest[1:]])


def _read(target: Path) -> str | None:
    """Return a file's text; None if it does not exist. Bytes that are not UTF-8 are replaced."""
    try:
        return target.read_bytes().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UsageError(f"{target}: is a directory") from None
    except OSError as error:
        raise system_fault(target, error) from None
