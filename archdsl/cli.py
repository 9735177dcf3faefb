"""The command line.

Exit 0: fine; 1: a fault of a spec, data, weights, the environment or an added layer, or a difference under --check;
2: wrong use; 3: a defect of archdsl; 130: interrupted.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from archdsl.commands.parser import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.commands.parser import Command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        command, options = _read(words)
        code = command.run(options)
        _flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the one place that gives every fault its exit code
        return _ended_by(error, words)
    return code


def _read(words: Sequence[str]) -> tuple[Command, Any]:
    try:
        return read(words)
    finally:  # which ends the process itself, after --help
        _flush()


def _flush() -> None:
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed
        sys.stdout.flush()


def _ended_by(error: Exception, argv: Sequence[str]) -> int:
    """Print the reason that ended a command; return its exit code."""
    from archdsl.core.diagnostics import SpecError
    from archdsl.files import CommandError, EnvironmentFault, system_fault

    if isinstance(error, SpecError):
        from archdsl.commands.diagnostics import show_diagnostics

        show_diagnostics(error.diagnostics)
        return 1
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        _discard_output()
        return 0
    if isinstance(error, OSError):
        _discard_output()
        error = system_fault(error.filename or "output", error)
    if isinstance(error, MemoryError):
        error = EnvironmentFault("the memory of this machine does not suffice")
    if isinstance(error, CommandError):
        print(error.line, file=sys.stderr)
        return error.exit_code
    _report_defect(error, argv)
    return 3


def _discard_output() -> None:
    """Keep Python from writing at its end what standard output refuses."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_defect(error: Exception, argv: Sequence[str]) -> None:
    """Report a defect of archdsl, with all that a report needs in a file, or on standard error where none can be."""
    import platform
    import shlex
    import tempfile
    import traceback

    from archdsl import __version__

    lines = [
        f"archdsl {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
        f"{shlex.join(['archdsl', *argv])}\n",
        *traceback.format_exception(error),
    ]
    print(f"archdsl: a defect of archdsl itself, not of your input: {type(error).__name__}: {error}", file=sys.stderr)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="archdsl-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.writelines(lines)
        where = f"{file.name} holds what a report needs"
    except OSError:
        print("".join(lines), end="", file=sys.stderr)
        where = "the lines above are what a report needs"
    print(f"{where}; please file it, with the spec, where archdsl comes from", file=sys.stderr)


def entry() -> None:
    """The console script."""
    gc.disable()  # the process ends before there is anything worth collecting
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no `×` shows `?`
            stream.reconfigure(errors="replace")
    sys.exit(main())


if __name__ == "__main__":
    entry()
