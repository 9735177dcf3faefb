"""Options shared by several commands: for each group, a function that declares it, and a record of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands.values import clip, setting

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

SPEC = "Spec: a file, the name of a bundled spec (`archdsl list` shows them), or - for standard input."
CLIP = "Size of the input clip: channels, frames, height, width, e.g. 3x16x112x112 (default: the size in the spec)."
LIKE = "Set the parameters to the values that published weights of SOURCE need, e.g. torchvision."


@dataclass(frozen=True, kw_only=True)
class SpecOptions:
    """Changes to a spec: its parameters, its clip, its recipe."""

    settings: tuple[str, ...] = ()  # NAME=VALUE
    clip: tuple[int, int, int, int] | None = None
    like: str | None = None
    recipe: tuple[str, ...] = ()  # NAME=VALUE


def spec_arguments(parser: Parser, *, like: bool = True, recipe: bool = False) -> None:
    """Declare the options that change a spec."""
    group = parser.group("changes to the spec")
    group.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", type=setting,
        help="Set a parameter of the spec; may be repeated.",
    )  # fmt: skip
    group.add_argument("--clip", metavar="CxTxHxW", type=clip, help=CLIP)
    if like:
        group.add_argument("--like", metavar="SOURCE", help=LIKE)
    if recipe:
        group.add_argument(
            "--recipe", action="append", default=[], metavar="NAME=VALUE", type=setting,
            help="Set a value of the training recipe, e.g. weight_decay=0.05; may be repeated.",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    """The base network of a comparison or a transfer."""

    base: str
    base_settings: tuple[str, ...] = ()  # NAME=VALUE
    base_clip: tuple[int, int, int, int] | None = None
    base_like: str | None = None


def base_arguments(parser: Parser) -> None:
    """Declare BASE and the options that change it."""
    parser.add_argument("base", metavar="BASE", help=f"The network to start from. {SPEC}")
    group = parser.group("changes to BASE")
    group.add_argument(
        "--base-set", dest="base_settings", action="append", default=[], metavar="NAME=VALUE", type=setting,
        help="Set a parameter of BASE; may be repeated.",
    )  # fmt: skip
    group.add_argument("--base-clip", metavar="CxTxHxW", type=clip, help="Size of BASE's input clip.")
    group.add_argument("--base-like", metavar="SOURCE", help=LIKE.replace("the parameters", "the parameters of BASE"))


@dataclass(frozen=True, kw_only=True)
class PairOptions(BaseOptions, SpecOptions):
    """BASE and SPEC, with the changes to either."""

    spec: str | None = None  # BASE with the changes to SPEC, if None


def pair_arguments(parser: Parser, spec: str, *, like: bool = True) -> None:
    """Declare BASE and SPEC, which `spec` explains, with the changes to either."""
    base_arguments(parser)
    parser.add_argument("spec", nargs="?", metavar="SPEC", help=spec)
    spec_arguments(parser, like=like)
