"""`archdsl new`: a spec to start from."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary, UsageError, read_spec, write_atomically
from archdsl.pipeline import analyse
from archdsl.resources import bundled_specs, resource

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("new my_model", "Write my_model.arch, a small residual network."),
    ("new my_slowfast --like slowfast_r50", "Write a variant of a bundled spec."),
)
START = """\
arch {name}
"A small residual network."
import resnet
param classes = 400, width = 32
input clip: video[3, 16, 112, 112]
stage conv1 {{ stem(width) }}
stage res2 {{ bottleneck(width) * 2 }}
stage res3 {{ bottleneck(2*width, t = 3, stride = 2 if index == 0 else 1) * 2 }}
head: avgpool -> dropout(0.5) -> linear(classes)
"""
VARIANT = """\
arch {name} extends {base}
"A variant of {base}."
"""


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="Name of the network: NAME.arch is written, also below a folder.")
    start = parser.group("start")
    start.add_argument(
        "--like", metavar="SPEC",
        help="Write a variant of this spec: a bundled one, or one in the same folder (default: a small network).",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl new`."""

    name: str
    like: str | None


def run(options: Options) -> int:
    """Write a spec that checks and compiles.

    Raises:
        UsageError: if the file exists, NAME is invalid or taken, or the variant cannot extend its base from there.
    """
    path = Path(options.name.removesuffix(".arch") + ".arch")
    if not re.fullmatch(r"[A-Za-z_]\w*", path.stem):
        raise UsageError(f"{path.stem}: invalid name; use letters, digits and _, as in my_model")
    _check_free(path.stem)
    if path.exists():
        raise UsageError(f"{path}: exists already; choose another name")
    text = START.format(name=path.stem) if options.like is None else _variant(path, options.like)
    try:
        analysis = analyse(Source(str(path), text), FileLibrary())
    except SpecError as error:
        first = error.diagnostics[0]
        raise UsageError(f"{options.name}: cannot be the name of a network: {first.title}: {first.label}") from None
    write_atomically(path, text)
    print(f"{path}: {len(analysis.network.graph):,} layers; `archdsl check {path}` checks it")
    return 0


def _check_free(name: str) -> None:
    """Refuse names whose file would hide a bundled spec or library, or a module of Python's standard library.

    Raises:
        UsageError: if NAME is one of them.
    """
    specs = resource("specs")
    bundled = {p.stem for folder in (specs, specs / "lib", specs / "images") for p in folder.glob("*.arch")}
    if name in bundled:
        advice = f"; `archdsl new my_{name} --like {name}` writes a variant" if name in bundled_specs() else ""
        raise UsageError(f"{name}: is bundled with archdsl, and a file of that name would hide it{advice}")
    if name in sys.stdlib_module_names:
        raise UsageError(f"{name}: is a module of Python, which {name}.py would hide; choose another name")


def _variant(path: Path, like: str) -> str:
    """Return the text of a variant of a spec, which sets the number of classes if the spec has such a parameter.

    Raises:
        UsageError: if a spec at this path cannot extend it.
    """
    source = read_spec(like)
    base = Path(source.name).stem
    found = FileLibrary().find(base, Source(str(path), ""))
    if found is None or found.text != source.text:
        raise UsageError(f"--like {like}: {path} cannot extend it; a base stands beside its variant, or is bundled")
    analysis = analyse(source, FileLibrary())
    text = VARIANT.format(name=path.stem, base=base)
    classes = analysis.parameters.get("classes")
    if classes is None:
        return text
    return text + f"param classes = {classes}\n"
