"""`archdsl layers check`: numerical tests of added layers against their declarations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.commands import values
from archdsl.commands.common import missing_packages, settings
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.core.diagnostics import LayerError, SpecError, did_you_mean
from archdsl.files import UsageError
from archdsl.layers import added_layers_of, only
from archdsl.layers.base import DECLARED, Layer
from archdsl.layers.bias import Bias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from archdsl.commands.parser import Parser
    from archdsl.layer_checks.cases import Case

OK, WRONG, SKIPPED = "ok", "wrong", "skipped"


class Line(NamedTuple):
    """The result of one check of a layer."""

    layer: str
    check: str
    status: str
    message: str
    help: str = ""


EXAMPLES = (
    ("layers check my_layers/silu.py", "Test the layers of a file; its template is beside it."),
    (
        "layers check my_layers/silu.py --set hard=on --seed 7",
        "Fix an attribute, and use other random cases.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="Python file of a layer; its template is beside it.")
    cases = parser.group("cases")
    cases.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", type=values.setting,
        help="Set an attribute of the layer in all cases; may be repeated.",
    )  # fmt: skip
    cases.add_argument(
        "--seed", type=values.natural, default=0, metavar="N", help="Seed of the random test cases (default: 0)."
    )
    output = parser.group("output")
    output.add_argument("--json", action="store_true", help="Print JSON in place of text.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl layers check`."""

    files: tuple[str, ...]
    settings: tuple[str, ...]
    seed: int
    json: bool


def run(options: Options) -> int:
    """Check the layers of some files; return 1 if a check fails."""
    missing_packages("torch")
    lines = [line for file in options.files for line in _of_file(Path(file), options)]
    if options.json:
        print(json.dumps({"checks": [line._asdict() for line in lines]}, indent=2, ensure_ascii=False))
    else:
        for line in lines:
            print(f"{line.layer}  {line.check:<12}  {line.status:<7}  {line.message}")
            if line.help:
                print(f"{' ' * len(line.layer)}  {'':<12}  help:    {line.help}")
    return int(any(line.status == WRONG for line in lines))


def _of_file(file: Path, options: Options) -> Iterator[Line]:
    if not file.is_file():
        raise UsageError(f"{file}: no such file; expected the Python file of a layer")
    try:
        found = added_layers_of(file)
    except LayerError as error:
        if not options.json:
            show_diagnostics(error.diagnostics)
        yield _wrong(file.stem, "file", error)
        return
    if not found:
        hint = 'a layer is a class with `@layer("name", category="…")` above it'
        yield Line(file.stem, "file", WRONG, f"{file} declares no layer", hint)
    with only(found):
        for cls in found.values():
            yield from _of_layer(cls, options)


def _of_layer(cls: type[Layer], options: Options) -> Iterator[Line]:
    from archdsl.layer_checks.cases import cases
    from archdsl.layer_checks.checks import ALONE
    from archdsl.layer_checks.networks import NETWORKS

    yield from _misspelt(cls)
    yield from _category(cls)
    if issubclass(cls, Bias):
        yield _of_bias(cls, _fixed(cls, options))
        return
    try:
        drawn = cases(cls, _fixed(cls, options), options.seed)
    except LayerError as error:
        yield _wrong(cls.kind, "file", error)
        return
    if not drawn:
        hint = "set attributes with --set NAME=VALUE, as in --set groups=2"
        yield Line(cls.kind, "uses", WRONG, "the layer rejects all random attribute values and inputs", hint)
        return
    told: set[str] = set()  # a fault of the template fails every check, and is told once
    for name, check in {**ALONE, **NETWORKS}.items():
        line = _line(cls.kind, name, check, drawn)
        if line.status == WRONG and line.message in told:
            line = Line(cls.kind, name, SKIPPED, "fails for the same reason as above")
        elif line.status == WRONG:
            told.add(line.message)
        yield line


def _of_bias(cls: type[Bias], fixed: Mapping[str, Any]) -> Line:
    """Return the result of the check of a bias of scores, which is computed in attentions alone."""
    from archdsl.layer_checks.biases import attentions

    return _line(cls.kind, "attentions", lambda _: attentions(cls, fixed), [])


def _line(kind: str, name: str, check: Callable[[list[Case]], str], drawn: list[Case]) -> Line:
    from archdsl.layer_checks.checks import Skipped, Wrong

    try:
        return Line(kind, name, OK, check(drawn))
    except Wrong as wrong:
        return Line(kind, name, WRONG, wrong.message, wrong.hint)
    except Skipped as skipped:
        return Line(kind, name, SKIPPED, str(skipped))
    except SpecError as error:
        return _wrong(kind, name, error)


def _wrong(kind: str, check: str, error: SpecError) -> Line:
    first = error.diagnostics[0]
    line, _ = first.span.source.position(first.span.start)
    place = f"{first.span.source.name}:{line}" if first.span.source.text else first.span.source.name
    notes = "".join(f"; {note.message}" for note in first.notes)
    return Line(kind, check, WRONG, f"{place}: {first.code} {first.title}: {first.label}{notes}", first.help)


def _misspelt(cls: type[Layer]) -> Iterator[Line]:
    """Yield a line for each member that no layer has and whose name is like one of these, or was one before."""
    from archdsl.targets.torch.ops.added import RENAMED, AddedLayer

    members = (*vars(Layer), *vars(AddedLayer), *(vars(Bias) if issubclass(cls, Bias) else ()))
    known = [name for name in members if not name.startswith("_")]
    for name in vars(cls):
        if name in RENAMED:
            yield Line(cls.kind, "names", OK, f"`{name}` is called `{RENAMED[name]}` now; `{name}` is still accepted")
        if name not in known and not name.startswith("_") and name not in cls.attributes:
            hint = did_you_mean(name, [k for k in known if name not in k.split("_")])  # a whole word is no slip
            if hint.startswith("did you mean"):
                yield Line(cls.kind, "names", WRONG, f"`{name}` is not a member of `Layer`, and has no effect", hint)


def _category(cls: type[Layer]) -> Iterator[Line]:
    """Yield a line if no layer of archdsl has the category: it may be a slip, or a word of the author's own."""
    known = sorted({own.category for own in DECLARED if not own.added_by})
    if cls.category not in known:
        hint = did_you_mean(cls.category, known)
        if hint.startswith("did you mean"):
            yield Line(cls.kind, "names", WRONG, f"`{cls.category}` is not a category of layers", hint)
        else:
            message = f"the category `{cls.category}` is new: diagrams draw it in the colour of all others"
            yield Line(cls.kind, "names", OK, message)


def _fixed(cls: type[Layer], options: Options) -> Mapping[str, Any]:
    from archdsl.core.report import Reporter
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.scope import Scope

    found: dict[str, Any] = {}
    reporter = Reporter()
    evaluator = Evaluator(reporter, {word for attribute in cls.attributes.values() for word in attribute.words})
    for binding in settings(options.settings):
        name = binding.name.id
        if name not in cls.attributes:
            raise UsageError(f"--set {name}: `{cls.kind}` has no such attribute; {did_you_mean(name, cls.attributes)}")
        found[name] = evaluator.evaluate(binding.value, Scope())
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    return found
