"""The command line.

Exit 0: fine; 1: faults in a spec, weights or activations that do not fit, or a difference under --check; 2: wrong use;
3: a fault of archdsl or of an added layer.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    arguments = _parser().parse_args(argv)
    from archdsl.core.diagnostics import SpecError
    from archdsl.files import UsageError

    try:
        code: int = _command(arguments.command)(arguments)
        sys.stdout.flush()
    except SpecError as error:
        _show(error)
        return 1
    except UsageError as error:
        print(f"archdsl: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"archdsl: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # whatever it is, it is no fault of the spec
        _show_own_fault(error)
        return 3
    return code


def entry() -> None:
    """The console script."""
    gc.disable()  # the process ends before there is anything worth collecting
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no `×` shows `?`
            stream.reconfigure(errors="replace")
    sys.exit(main())


def _show(error: Exception) -> None:
    from archdsl.commands.common import show_diagnostics
    from archdsl.core.diagnostics import SpecError

    if isinstance(error, SpecError):
        show_diagnostics(error.diagnostics)


def _show_own_fault(error: Exception) -> None:
    """A fault of archdsl itself, or of a layer that a user has added."""
    from archdsl.core.diagnostics import LayerError

    if isinstance(error, LayerError):
        print(f"archdsl: {error}", file=sys.stderr)
    elif os.environ.get("ARCHDSL_TRACEBACK"):
        raise error
    else:
        print(f"archdsl: a fault of archdsl itself, not of your spec: {type(error).__name__}: {error}", file=sys.stderr)
        print("ARCHDSL_TRACEBACK=1 shows where; please report it with the spec", file=sys.stderr)


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a subcommand; only its own imports are paid for."""
    from importlib import import_module

    return import_module(f"archdsl.commands.{name}").command


def _clip(text: str) -> tuple[int, int, int, int]:
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})[x×](\d{1,6})[x×](\d{1,6})", text)
    if match is None or 0 in map(int, match.groups()):
        message = f"{text!r} is not CxTxHxW, as in 3x16x112x112"
        raise argparse.ArgumentTypeError(message)
    c, t, h, w = map(int, match.groups())
    return c, t, h, w


def _size(text: str) -> int:
    from archdsl.core.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        message = f"{text!r} is not a number of clips"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _setting(text: str) -> str:
    if not re.match(r"\s*[A-Za-z_]\w*\s*=", text):
        message = f"{text!r} is not NAME=VALUE, as in alpha=8"
        raise argparse.ArgumentTypeError(message)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archdsl", description="Architectures for video recognition: check, cost, draw and compile their specs."
    )
    parser.add_argument("--version", action="version", version=f"archdsl {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", type=_setting, help="give a parameter of the spec"
    )
    shared.add_argument("--clip", metavar="CxTxHxW", type=_clip, help="the size of the input clip")
    liked = argparse.ArgumentParser(add_help=False, parents=[shared])
    liked.add_argument("--like", metavar="SOURCE", help="take on what a source of weights needs of the parameters")

    compile_ = commands.add_parser("compile", **_about("write the PyTorch module of each spec", liked))
    compile_.add_argument("specs", nargs="+", metavar="SPEC")
    compile_.add_argument(
        "-o", "--output", metavar="FILE|DIR", help="default: generated/ beside specs/, else beside SPEC"
    )
    compile_.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is there differs")
    compile_.add_argument("--force", action="store_true", help="overwrite a file that was not written by archdsl")
    compile_.add_argument(
        "--target",
        choices=("train", "infer"),
        default="train",
        help="`infer`: batch norms become part of convolutions, no dropout; written to NAME_infer.py",
    )
    compile_.add_argument(
        "--no-pass", action="append", default=[], metavar="NAME", help="leave out a pass that `--print lowered` names"
    )
    compile_.add_argument(
        "--max-activation", metavar="SIZE", type=_size, help="checkpoint stages so that activations fit, as in 8GiB"
    )
    compile_.add_argument("--batch", metavar="CLIPS", type=_count, help="of how many clips the activations are")
    compile_.add_argument("--print", choices=("ast", "graph", "shapes", "lowered"), help="show a stage of compilation")

    check = commands.add_parser("check", **_about("look for faults", liked))
    check.add_argument("specs", nargs="+", metavar="SPEC")
    check.add_argument("--format", choices=("text", "json", "sarif"), default="text")

    cost = commands.add_parser("cost", **_about("count parameters, multiply-adds and activations", liked))
    cost.add_argument("specs", nargs="+", metavar="SPEC")
    cost.add_argument("--json", action="store_true")
    cost.add_argument(
        "--batch", metavar="CLIPS", type=_count, help="also the memory that training keeps of so many clips"
    )
    cost.add_argument("--by", choices=("stage", "block", "layer"), default="stage")

    base = argparse.ArgumentParser(add_help=False)
    base.add_argument("base", metavar="BASE", help="the spec that one begins from")
    base.add_argument(
        "--base-set", action="append", default=[], metavar="NAME=VALUE", type=_setting, help="a parameter of BASE"
    )
    base.add_argument("--base-clip", metavar="CxTxHxW", type=_clip, help="the size of BASE's input clip")
    base.add_argument("--base-like", metavar="SOURCE", help="take on in BASE what a source of weights needs")

    diff = commands.add_parser("diff", **_about("tell what differs between two networks", base, liked))
    diff.add_argument("spec", nargs="?", metavar="SPEC", help="default: BASE, with --set, --clip and --like")
    diff.add_argument("--check", action="store_true", help="exit 1 if they differ")
    diff.add_argument("--json", action="store_true")
    diff.add_argument("-o", "--output", metavar="FILE", help="also draw them side by side: .svg, .png, .pdf or .dot")
    diff.add_argument("--level", choices=("stage", "block", "layer"), default="stage", help="of the drawing")

    draw = commands.add_parser("draw", **_about("draw a diagram", liked))
    draw.add_argument("spec", metavar="SPEC")
    draw.add_argument("-o", "--output", required=True, metavar="FILE", help=".svg, .png, .pdf or .dot")
    draw.add_argument("--level", choices=("stage", "block", "layer"), default="stage")

    _add_weights(commands, shared, base)

    fmt = commands.add_parser("fmt", **_about("bring specs into the canonical form"))
    fmt.add_argument("paths", nargs="+", metavar="PATH")
    fmt.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")
    fmt.add_argument("--diff", action="store_true", help="write nothing; show what would change")

    explain = commands.add_parser("explain", **_about("tell more about a fault"))
    explain.add_argument("code", metavar="CODE")
    return parser


def _add_weights(commands: Any, shared: argparse.ArgumentParser, base: argparse.ArgumentParser) -> None:
    weights = commands.add_parser("weights", **_about("bring weights from other code bases, and from other networks"))
    weights.set_defaults(like=None)  # the source of the weights decides
    actions = weights.add_subparsers(dest="action", required=True, metavar="ACTION")
    convert = actions.add_parser("convert", **_about("write a checkpoint under the names of another source", shared))
    convert.add_argument("spec", metavar="SPEC")
    convert.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="FILE, or several as NAME=FILE")
    convert.add_argument("--from", dest="source", required=True, metavar="SOURCE", help="whose names they are")
    convert.add_argument("--to", default="archdsl", metavar="SOURCE", help="whose names they get (default: archdsl)")
    convert.add_argument("-o", "--output", required=True, metavar="FILE.safetensors")
    sources = actions.add_parser("sources", **_about("list the sources of weights for a spec", shared))
    sources.add_argument("spec", metavar="SPEC")

    plan = actions.add_parser(
        "plan", **_about("tell how each tensor of a variant comes from those of a base", base, shared)
    )
    plan.add_argument("spec", nargs="?", metavar="SPEC", help="the variant; default: BASE, with --set and --clip")
    transfer = actions.add_parser(
        "transfer", **_about("write the weights of a variant, made of a base's", base, shared)
    )
    transfer.add_argument("checkpoint", metavar="CHECKPOINT", help="of BASE")
    transfer.add_argument("spec", nargs="?", metavar="SPEC", help="the variant; default: BASE, with --set and --clip")
    transfer.add_argument(
        "--from", dest="source", default="archdsl", metavar="SOURCE", help="whose names CHECKPOINT has"
    )
    transfer.add_argument("--seed", type=int, default=0, help="of what is initialised anew (default: 0)")
    transfer.add_argument("-o", "--output", required=True, metavar="FILE.safetensors")
    for action in (plan, transfer):
        action.add_argument(
            "--inflate", choices=("average", "centre"), default="average", help="how a filter of one frame gets several"
        )
        action.add_argument(
            "--width", choices=("repeat", "new"), default="repeat", help="where channels come from that BASE lacks"
        )
        action.add_argument(
            "--depth", choices=("repeat", "new"), default="repeat", help="where blocks come from that BASE lacks"
        )
        action.add_argument(
            "--new", action="append", default=[], metavar="PATTERN", help="initialise these anew, as in 'head.*'"
        )
        action.add_argument("--strict", action="store_true", help="exit 1 if a tensor is new or not used")
        action.add_argument("--json", action="store_true")


def _about(text: str, *parents: argparse.ArgumentParser) -> dict[str, Any]:
    return {"parents": parents, "help": text, "description": text[:1].upper() + text[1:] + "."}


def _version() -> str:
    from archdsl import __version__

    return __version__


if __name__ == "__main__":
    entry()
