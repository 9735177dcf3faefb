"""The command line.

Exit 0: fine; 1: a fault of a spec, data, weights, the environment or an added layer, or a difference under --check;
2: wrong use; 3: a defect of archdsl; 130: interrupted.
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
    try:
        arguments = _arguments(argv)
        code: int = _command(arguments.command)(arguments)
        _flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the one place that gives every fault its exit code
        return _ended_by(error, sys.argv[1:] if argv is None else argv)
    return code


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(argv)
    finally:  # argparse ends the process itself, after --help
        _flush()


def _flush() -> None:
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed
        sys.stdout.flush()


def _ended_by(error: Exception, argv: Sequence[str]) -> int:
    """Tell what has ended a command; return its exit code."""
    from archdsl.core.diagnostics import SpecError
    from archdsl.files import CommandError, EnvironmentFault, system_fault

    if isinstance(error, SpecError):
        from archdsl.commands.common import show_diagnostics

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
    """Tell of a defect of archdsl, with all that a report needs in a file, or on standard error where none can be."""
    import platform
    import shlex
    import tempfile
    import traceback

    lines = [
        f"archdsl {_version()}, Python {platform.python_version()}, {platform.platform()}\n",
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


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,9}", text):
        message = f"{text!r} is not a number, 1 or more"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _natural(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        message = f"{text!r} is not a number, 0 or more"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _probability(text: str) -> float:
    if not re.fullmatch(r"0?\.\d{1,9}|0|1(\.0{1,9})?", text):
        message = f"{text!r} is not a probability, from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return float(text)


def _share(text: str) -> float:
    if not re.fullmatch(r"0?\.\d{1,9}|1(\.0{1,9})?", text) or float(text) == 0.0:
        message = f"{text!r} is not a share above 0 and up to 1, as in 0.4"
        raise argparse.ArgumentTypeError(message)
    return float(text)


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

    recipes = argparse.ArgumentParser(add_help=False)
    recipes.add_argument(
        "--recipe", action="append", default=[], metavar="NAME=VALUE", type=_setting, help="give a value of the recipe"
    )

    _add_compile(commands, liked)

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

    _add_plan(commands, liked)
    _add_weights(commands, shared, base)
    _add_training(commands, liked, recipes)
    _add_data(commands, liked, recipes)
    _add_export(commands, liked)
    _add_layers(commands)

    fmt = commands.add_parser("fmt", **_about("bring specs into the canonical form"))
    fmt.add_argument("paths", nargs="+", metavar="PATH")
    fmt.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")
    fmt.add_argument("--diff", action="store_true", help="write nothing; show what would change")

    explain = commands.add_parser("explain", **_about("tell more about a fault"))
    explain.add_argument("code", metavar="CODE")
    return parser


def _add_compile(commands: Any, liked: argparse.ArgumentParser) -> None:
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


def _add_plan(commands: Any, liked: argparse.ArgumentParser) -> None:
    plan = commands.add_parser("plan", **_about("tell what training will need of memory and time", liked))
    plan.add_argument("spec", metavar="SPEC")
    gpus = ("a100", "h100", "v100", "l4", "a10", "rtx4090")
    plan.add_argument("--gpu", choices=gpus, default="a100", help="what there is (default: a100, with 80 GB)")
    plan.add_argument("--gpus", type=_count, default=1, metavar="N", help="of all nodes together (default: 1)")
    plan.add_argument("--gpus-per-node", type=_count, default=8, metavar="N", help="of one node (default: 8)")
    plan.add_argument("--memory", type=_size, metavar="SIZE", help="of each GPU, as in 80GB; default: all it has")
    plan.add_argument(
        "--reserve", type=_size, default=2 * 2**30, metavar="SIZE", help="kept free on each GPU (default: 2GiB)"
    )
    plan.add_argument("--batch", type=_count, metavar="CLIPS", help="on each GPU; default: as many as fit")
    plan.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="bf16", help="default: bf16")
    plan.add_argument("--optimizer", choices=("sgd", "adamw"), help="default: the recipe's")
    plan.add_argument("--efficiency", type=_share, default=0.4, metavar="SHARE", help="of the peak (default: 0.4)")
    plan.add_argument("--videos", type=_number, metavar="N", help="in an epoch, for the hours that training takes")
    plan.add_argument("--epochs", type=_number, metavar="N", help="default: the recipe's")
    plan.add_argument("--json", action="store_true")


def _add_training(commands: Any, liked: argparse.ArgumentParser, recipes: argparse.ArgumentParser) -> None:
    """`train`, `eval` and `predict`."""
    engine = argparse.ArgumentParser(add_help=False)
    engine.add_argument("--devices", type=_count, metavar="N", help="GPUs, or processes on a CPU, of each machine")
    engine.add_argument("--nodes", type=_count, metavar="M", help="machines, under torchrun or SLURM")
    engine.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: a GPU where there is one")
    engine.add_argument("--precision", choices=("fp32", "bf16", "fp16"), help="default: fp32")
    engine.add_argument("--workers", type=_natural, metavar="N", help="that read videos, for each device (default: 2)")
    engine.add_argument("--decoder", choices=("auto", "pyav", "torchcodec"), help="what decodes videos")

    train = commands.add_parser("train", **_about("train the module of a spec on videos", liked, recipes, engine))
    train.add_argument("spec", nargs="?", metavar="SPEC")
    train.add_argument(
        "--data", metavar="DIR|LIST|synthetic", help="a folder with one for each class, a list `path label [start end]`"
    )
    train.add_argument("--val", metavar="DIR|LIST", help="videos for validation; default: a share of --data")
    train.add_argument("--val-share", type=float, default=0.2, metavar="SHARE", help="that share (default: 0.2)")
    train.add_argument("--root", metavar="DIR", help="what paths in lists begin at; default: the list's folder")
    train.add_argument("--classes", metavar="FILE", help="names of classes, one a line, where lists have numbers")
    train.add_argument("--videos", type=_count, default=80, metavar="N", help="of each class, for --data synthetic")
    train.add_argument("-o", "--output", metavar="RUN", help="a new folder; default: runs/NAME-1 and so on")
    train.add_argument("--resume", metavar="RUN", help="go on from the last checkpoint of a run")
    train.add_argument("--batch", type=_count, metavar="CLIPS", help="of one step, over all devices (default: 16)")
    train.add_argument("--accumulate", type=_count, metavar="N", help="parts that a device takes its share in")
    train.add_argument("--strategy", choices=("ddp", "fsdp"), help="whole weights on each device, or shares of them")
    train.add_argument("--compile", action="store_true", default=None, help="with torch.compile")
    train.add_argument(
        "--checkpointing", choices=("none", "block", "stage"), help="what is computed twice, to save memory"
    )
    train.add_argument("--sync-bn", action="store_true", default=None, help="batch norms see the clips of all devices")
    train.add_argument("--seed", type=_natural, default=0, help="of all that is random (default: 0)")
    train.add_argument("--save-every", type=_count, metavar="STEPS", help="checkpoints beside those of each epoch")
    train.add_argument("--weights", metavar="FILE", help="begin with these")
    train.add_argument("--from", dest="weights_from", default="archdsl", metavar="SOURCE", help="whose names they have")
    train.add_argument("--weights-spec", metavar="SPEC", help="of what network; default: SPEC as published")
    train.add_argument("--freeze", action="store_true", help="train the head alone")
    train.add_argument("--dropout", type=_probability, metavar="P", help="in place of the spec's")

    views = argparse.ArgumentParser(add_help=False)
    views.add_argument("--weights", metavar="FILE", help="default: those of the last epoch")
    views.add_argument("--clips", type=_count, metavar="N", help="moments of each video; default: as the recipe says")
    views.add_argument("--crops", type=int, choices=(1, 3), help="parts of the picture")
    views.add_argument("--json", action="store_true")

    evaluate = commands.add_parser("eval", **_about("test a trained module on videos", views, engine))
    evaluate.add_argument("run", nargs="?", metavar="RUN", help="a folder of `archdsl train`; default: the last one")
    evaluate.add_argument("--data", metavar="DIR|LIST", help="default: the run's videos for validation")
    evaluate.add_argument("--root", metavar="DIR", help="what paths in a list begin at")
    evaluate.add_argument("--shuffle-frames", action="store_true", help="in a random order: what is left is not motion")
    evaluate.add_argument("-o", "--output", metavar="DIR", help="the report; default: RUN/eval")

    predict = commands.add_parser("predict", **_about("tell what videos show", views, engine))
    predict.add_argument("videos", nargs="+", metavar="VIDEO")
    predict.add_argument("--run", metavar="RUN", help="a folder of `archdsl train`; default: the last one")
    predict.add_argument("--top", type=_count, default=5, metavar="N", help="classes to show (default: 5)")


def _add_data(commands: Any, liked: argparse.ArgumentParser, recipes: argparse.ArgumentParser) -> None:
    data = commands.add_parser("data", **_about("look at videos before training on them"))
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", **_about("read every video, and tell which cannot be used", liked, recipes))
    check.add_argument("data", metavar="DIR|LIST", help="as `archdsl train --data` takes it")
    check.add_argument("--val", metavar="DIR|LIST", help="videos for validation")
    check.add_argument("--root", metavar="DIR", help="what paths in lists begin at; default: the list's folder")
    check.add_argument("--classes", metavar="FILE", help="names of classes, one a line, where lists have numbers")
    check.add_argument("--spec", metavar="SPEC", help="also tell which videos are too short for its clips")
    check.add_argument("--full", action="store_true", help="decode all frames; default: the first, middle and last")
    check.add_argument("--json", action="store_true")
    check.add_argument("--workers", type=int, metavar="N", help="processes that read (default: the cores, 8 at most)")


def _add_export(commands: Any, liked: argparse.ArgumentParser) -> None:
    export = commands.add_parser("export", **_about("write a module that only runs for other programs", liked))
    export.add_argument("spec", metavar="SPEC|RUN", help="a spec, or a folder of `archdsl train`")
    export.add_argument("--format", choices=("onnx", "torch-export"), help="default: as FILE ends")
    export.add_argument("--weights", metavar="FILE", help="what it begins with; default: as at the start of training")
    export.add_argument("--from", dest="source", default="archdsl", metavar="SOURCE", help="whose names FILE has")
    export.add_argument("--batch", default="dynamic", metavar="dynamic|CLIPS", help="at once (default: any number)")
    export.add_argument("-o", "--output", required=True, metavar="FILE", help=".onnx, or .pt2 for torch-export")


def _add_layers(commands: Any) -> None:
    layers = commands.add_parser("layers", **_about("work on layers of your own"))
    actions = layers.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", **_about("compute with layers, and hold them against what they declare"))
    check.add_argument("files", nargs="+", metavar="FILE", help="a layer's Python file; its template stands beside it")
    check.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", type=_setting, help="give an attribute of the layer"
    )
    check.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the drawn uses (default: 0)")
    check.add_argument("--json", action="store_true")


_KEY = "part of the checkpoint to take, e.g. model_ema, or a.b (default: the raw weights of the model)"


def _add_weights(commands: Any, shared: argparse.ArgumentParser, base: argparse.ArgumentParser) -> None:
    weights = commands.add_parser("weights", **_about("bring weights from other code bases, and from other networks"))
    weights.set_defaults(like=None)  # the source of the weights decides
    actions = weights.add_subparsers(dest="action", required=True, metavar="ACTION")
    convert = actions.add_parser("convert", **_about("write a checkpoint under the names of another source", shared))
    convert.add_argument("spec", metavar="SPEC")
    convert.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="FILE, or several as NAME=FILE")
    convert.add_argument("--from", dest="source", required=True, metavar="SOURCE", help="whose names they are")
    convert.add_argument("--to", default="archdsl", metavar="SOURCE", help="whose names they get (default: archdsl)")
    convert.add_argument("--key", default="", metavar="NAME", help=_KEY)
    convert.add_argument(
        "--like", metavar="SOURCE", help="source whose network weights of archdsl are of (default: as their file says)"
    )
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
    transfer.add_argument("--key", default="", metavar="NAME", help=_KEY)
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
