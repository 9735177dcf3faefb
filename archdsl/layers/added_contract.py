"""The contract of `Layer`, which the class of an added layer is held against, and each call of its methods.

Whatever an added layer raises or returns wrongly becomes a fault of that layer, at the line of its file; the rest of
archdsl relies on what this module has let through.
"""

from __future__ import annotations

import ast
import re
from functools import wraps
from math import isfinite
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import LayerError, Note, one_of
from archdsl.core.grid import CLIP, FRAME, NO_TOKEN, Grid
from archdsl.core.names import why_no_parameter, why_refused
from archdsl.core.values import Symbol
from archdsl.layers import attributes
from archdsl.layers.added_faults import error_text, layer_error, line_of, same_file
from archdsl.layers.attributes import RULES, Attribute, AttributeFault
from archdsl.layers.axes import Axis
from archdsl.layers.base import ANY_LAYOUT, Layer, Saved, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Fault = str  # what a value is instead of what it should be; empty if it is right
INITS = {name: len(rule.arguments) for name, rule in RULES.items()}  # how many numbers each initialiser takes
_GUARDED = "guarded_by_archdsl"
_ALWAYS_THERE = {"import torch", "from torch import Tensor", "from torch import nn"}


def adopt(cls: type[Layer], file: str) -> None:
    """Hold a class against the contract, and guard its methods.

    Raises:
        LayerError: if it declares what no layer can be.
    """
    cls.added_by = file
    for check in (_kind, _declarations, _attributes, _methods):
        fault, hint = check(cls)
        if fault:
            raise layer_error("E0902", file, f"`{cls.__name__}`: {fault}", line=_line_of(cls, fault), hint=hint)
    cls.imports = _normal_imports(cls)
    _guard(cls)


# --- what a class declares ---


def _kind(cls: type[Layer]) -> tuple[Fault, str]:
    kind: Any = cls.kind
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z]\w*", kind, re.ASCII):
        return f"{kind!r} is no name of the language", "letters, digits and `_`, as in `group_norm`"
    is_submodule = cls.module or cls.is_module is not Layer.is_module  # under its own name, if the spec gives none
    refused = why_refused(kind) if is_submodule else why_no_parameter(kind)
    return (f"the layer cannot be called `{kind}`: {refused}", "choose another name") if refused else ("", "")


def _declarations(cls: type[Layer]) -> tuple[Fault, str]:
    for name in ("many", "internal", "module", "heavy", "keeps_order"):
        if not isinstance(getattr(cls, name), bool):
            return f"`{name}` is {getattr(cls, name)!r}", "expected True or False"
    for name in ("category", "torch_class"):
        if not isinstance(getattr(cls, name), str):
            return f"`{name}` is {getattr(cls, name)!r}", "expected a text"
    fault = _layouts(cls.layouts)
    if fault:
        return f"`layouts` {fault}", "as in `layouts = (GRID,)`, or `layouts = ANY_LAYOUT` where it works on elements"
    lines: Any = cls.imports
    if not isinstance(lines, tuple) or not all(isinstance(i, str) for i in cast("tuple[Any, ...]", lines)):
        example = '`imports = ("from torch.nn import functional as F",)`, with the comma'
        return f"`imports` is {lines!r}, not a tuple of lines", f"as in {example}"
    faults = [_import_fault(line) for line in cls.imports]
    return next(
        ((f, "packages other than archdsl, as in `from einops import rearrange`") for f in faults if f), ("", "")
    )


def _layouts(value: Any) -> Fault:
    if not isinstance(value, tuple) or not value:
        return f"is {value!r}, not a tuple of layouts"
    unknown = [v for v in cast("tuple[Any, ...]", value) if v not in ANY_LAYOUT]
    return f"holds {unknown[0]!r}; the layouts are {one_of(ANY_LAYOUT)}" if unknown else ""


def _import_fault(line: str) -> Fault:
    try:
        statements = ast.parse(line).body
    except SyntaxError:
        return f"`{line}` in `imports` is no import"
    statement = statements[0] if len(statements) == 1 else None
    if not isinstance(statement, (ast.Import, ast.ImportFrom)):
        return f"`{line}` in `imports` is no import"
    modules = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [a.name for a in statement.names]
    if any(m.split(".")[0] in ("archdsl", "") for m in modules) or any(a.name == "*" for a in statement.names):
        return f"`{line}` in `imports`: the generated module stands alone, and imports by name"
    return ""


def _normal_imports(cls: type[Layer]) -> tuple[str, ...]:
    """Return one line for each name, without what each module imports anyway."""
    lines: list[str] = []
    for statement in (s for line in cls.imports for s in ast.parse(line).body):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                start = f"from {statement.module} import " if isinstance(statement, ast.ImportFrom) else "import "
                lines.append(start + alias.name + (f" as {alias.asname}" if alias.asname else ""))
    return tuple(line for line in lines if line not in _ALWAYS_THERE)


def _attributes(cls: type[Layer]) -> tuple[Fault, str]:
    for name, value in vars(cls).items():
        if isinstance(value, type) and issubclass(value, Attribute):
            return f"`{name} = {value.__name__}` lacks its brackets", f"write `{name} = {value.__name__}(…)`"
    for name, attribute in cls.attributes.items():
        if hasattr(Layer, name):
            return f"the attribute `{name}` hides what each layer has under that name", "choose another name"
        refused = why_no_parameter(name)
        if refused:
            return f"no attribute can be called `{name}`: {refused}", "choose another name"
        try:
            hash(attribute.default)
        except TypeError:
            return f"the default of `{name}` is {attribute.default!r}", "a list is written as a tuple, as in (1, 3, 3)"
    return "", ""


def _methods(cls: type[Layer]) -> tuple[Fault, str]:
    for name in _RETURNS:
        if name in vars(cls) and not isinstance(vars(cls)[name], FunctionType):
            return f"`{name}` is no method", f"write `def {name}(self, …)`, as in archdsl/layers/base.py"
    return "", ""


def _line_of(cls: type, fault: str) -> int:
    """Return the line of a class that declares the first name in backquotes behind its own; else that of the class."""
    import inspect

    try:
        lines, first = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return 0
    for name in re.findall(r"`(\w+)", fault):
        for number, line in enumerate(lines, start=first):
            if re.match(rf"\s*(def )?{name}\b", line) or f'@layer("{name}"' in line:
                return number
    return first


# --- what its methods return ---


class _Return(NamedTuple):
    expected: str
    fault: Callable[[Layer, Any, tuple[Any, ...]], Fault]


def _grid(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, Grid):
        return _found(value)
    for name, number in zip(("channels", "t", "h", "w"), value.shape, strict=True):
        if not _is_whole(number):
            return f"a grid whose `{name}` is {_found(number)}"
        if int(number) < 1:
            return f"a grid whose `{name}` is {int(number)}"
    return "" if value.token in (NO_TOKEN, CLIP, FRAME) else f"a grid whose `token` is {value.token!r}"


def _shapes(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return _found(value)
    for name, shape in cast("dict[Any, Any]", value).items():
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            return f"{name!r} as the name of a tensor"
        if not isinstance(shape, tuple) or not all(_is_whole(n) and int(n) > 0 for n in cast("tuple[Any, ...]", shape)):
            return f"{shape!r} as the shape of `{name}`"
    return ""


def _axes(layer: Layer, value: Any, arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return _found(value)
    shapes = {**layer.weights(*arguments), **layer.buffers(*arguments)}
    for name, axes in cast("dict[Any, Any]", value).items():
        if name not in shapes:
            return f"axes of {name!r}, which is neither in `weights` nor in `buffers`"
        if not isinstance(axes, tuple) or not all(isinstance(a, Axis) for a in cast("tuple[Any, ...]", axes)):
            return f"{axes!r} as the axes of `{name}`"
        if len(cast("tuple[Any, ...]", axes)) != len(shapes[name]):
            return f"{len(cast('tuple[Any, ...]', axes))} axes of `{name}`, whose shape is {_plain(shapes[name])}"
    return ""


def _count(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if _is_whole(value) and int(value) >= 0 else _found(value)


def _flag(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, bool) else _found(value)


def _saved(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, Saved):
        return _found(value)
    wrong = [n for n in ("own", "once") if not _is_whole(getattr(value, n)) or int(getattr(value, n)) < 0]
    return f"`{wrong[0]}` of {_found(getattr(value, wrong[0]))}" if wrong else ""


def _size_of_number(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if _is_whole(value) and int(value) in (1, 2, 4, 8) else _found(value)


def _layout(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if value in ANY_LAYOUT else _found(value)


def _layer(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, Layer) else _found(value)


def _plan(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return _found(value)
    for name, item in cast("dict[Any, Any]", value).items():
        if not isinstance(name, str) or not name.isidentifier():
            return f"{name!r} as the name of a variable"
        if name == "layer":
            return "`layer`, which is what the template calls the submodule"
        if not _is_printable(item):
            return f"`{name}` as {_found(item)}"
    return ""


def _inits(layer: Layer, value: Any, arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return _found(value)
    weights = layer.weights(*arguments)
    for name, symbol in cast("dict[Any, Any]", value).items():
        if name not in weights:
            return f"a start for {name!r}, which is not in `weights`"
        if not isinstance(symbol, Symbol):
            return f"{_found(symbol)} for `{name}`"
        if symbol.name not in INITS or len(symbol.arguments) != INITS[symbol.name]:
            return f"{symbol} for `{name}`"
        if len(weights[name]) < 2 and symbol.name in ("msra", "xavier"):
            return f"`{symbol.name}` for `{name}`, which has one axis"
    return ""


def _texts(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if isinstance(value, dict):
        items = [i for pair in cast("dict[Any, Any]", value).items() for i in pair]
        return "" if all(isinstance(i, str) for i in items) else f"{value!r}"
    return _found(value)


def _names(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    fine = isinstance(value, frozenset) and all(isinstance(n, str) for n in cast("frozenset[Any]", value))
    return "" if fine else _found(value)


def _table(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, dict) else _found(value)


def _key(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, tuple):
        return _found(value)
    try:
        hash(cast("tuple[Any, ...]", value))
    except TypeError:
        return f"{value!r}, which has a list in it"
    return ""


_A_NUMBER = "a whole number, 0 or more"
_RETURNS: Mapping[str, _Return] = {
    "infer": _Return("a Grid of whole numbers, 1 or more", _grid),
    "weights": _Return("a dict of shapes by name, as in {'weight': (8, 3)}", _shapes),
    "buffers": _Return("a dict of shapes by name, as in {'mean': (8,)}", _shapes),
    "tensor_axes": _Return("a dict of as many axes as the tensor has, as in {'weight': (OUT, IN)}", _axes),
    "is_module": _Return("True or False", _flag),
    "params": _Return(_A_NUMBER, _count),
    "copied": _Return(_A_NUMBER, _count),
    "macs": _Return(_A_NUMBER, _count),
    "saved": _Return("a Saved, whose `own` and `once` are whole numbers", _saved),
    "number": _Return("bytes of a number: 1, 2, 4 or 8", _size_of_number),
    "is_view": _Return("True or False", _flag),
    "output_layout": _Return(one_of(ANY_LAYOUT), _layout),
    "for_inference": _Return("a layer", _layer),
    "is_identity": _Return("True or False", _flag),
    "plan": _Return("a dict of numbers, texts, True, False, None and tuples of these", _plan),
    "inits": _Return("a dict of initialisers by the names in `weights`, as in {'weight': Symbol('msra')}", _inits),
    "parts": _Return("a dict of texts, as in {'proj': 'nn.Linear'}", _texts),
    "other_forms": _Return("a frozenset of names of passes", _names),
    "place": _Return("a dict", _table),
    "form": _Return("a tuple of what can be compared", _key),
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_printable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_printable, cast("tuple[Any, ...]", value)))
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, (int, str))


def _plain(shape: tuple[int, ...]) -> str:
    return "×".join(str(int(n)) for n in shape)


def _found(value: Any) -> str:
    return "None" if value is None else f"{value!r}, of type {type(value).__name__}"


# --- calls ---


def _guard(cls: type[Layer]) -> None:
    for name, returned in _RETURNS.items():
        if getattr(cls, name) is not getattr(Layer, name):
            setattr(cls, name, _guarded(getattr(cls, name), cls, returned))
    cls.__init__ = _guarded_init(cls)
    for attribute in cls.attributes.values():
        if type(attribute).__module__ != attributes.__name__:
            setattr(attribute, "convert", _guarded_convert(attribute, cls))  # noqa: B010  # of this object alone


def _guarded(method: Callable[..., Any], cls: type[Layer], returned: _Return) -> Callable[..., Any]:
    """Return a method whose exceptions and results are the layer's faults; a ShapeError of `infer` is the spec's."""
    if hasattr(method, _GUARDED):  # inherited from another added layer
        return method
    name, file = method.__name__, cls.added_by
    first = method.__code__.co_firstlineno if same_file(method.__code__.co_filename, file) else 0

    @wraps(method)
    def call(self: Layer, *arguments: Any, **named: Any) -> Any:
        place = f"`{name}` of the layer `{cls.kind}`"
        try:
            value = method(self, *arguments, **named)
        except LayerError:
            raise
        except ShapeError as error:
            fault = _shape_error(error) if name == "infer" else "a ShapeError is for `infer` to raise"
            if not fault:
                raise
            raise layer_error("E0904", file, f"{place}: {fault}", line=line_of(error, file) or first) from error
        except (Exception, SystemExit) as error:
            notes = [Note(f"in {place}, applied to {_inputs(arguments)}")] if _inputs(arguments) else []
            line = line_of(error, file) or first
            label = error_text(error) if notes else f"{place}: {error_text(error)}"
            raise layer_error("E0904", file, label, line=line, notes=notes) from error
        fault = returned.fault(self, value, arguments)
        if fault:
            label = f"{place} returned {fault}"
            raise layer_error("E0905", file, label, line=first, hint=f"expected {returned.expected}")
        return value

    setattr(call, _GUARDED, True)
    return call


def _inputs(arguments: tuple[Any, ...]) -> str:
    grids = [a for a in arguments if isinstance(a, Grid)]
    return " and ".join(map(str, grids))


def _shape_error(error: ShapeError) -> Fault:
    fields: tuple[Any, ...] = (error.message, error.attribute, error.code, error.hint)
    if not all(isinstance(f, str) for f in fields):
        return "ShapeError takes texts: the message, the attribute to point at, a code, a hint"
    return "" if error.code in TITLES else f"ShapeError has no code {error.code!r}; leave it out, or see codes.py"


def _guarded_init(cls: type[Layer]) -> Callable[..., None]:
    made = cls.__init__

    @wraps(made)
    def init(self: Layer, **values: Any) -> None:
        try:
            made(self, **values)
        except LayerError:
            raise
        except (Exception, SystemExit) as error:
            label, line = f"`__init__` of `{cls.kind}`: {error_text(error)}", line_of(error, cls.added_by)
            hint = "`__init__` takes the attributes by name: `def __init__(self, **values)`; it calls super's"
            raise layer_error("E0904", cls.added_by, label, line=line, hint=hint) from error
        fault = _layouts(self.layouts)
        if fault:
            raise layer_error("E0905", cls.added_by, f"`layouts` of `{cls.kind}` {fault}", line=_line_of(cls, ""))

    return init


def _guarded_convert(attribute: Attribute[Any], cls: type[Layer]) -> Callable[[Any], Any]:
    convert = attribute.convert

    def call(value: Any) -> Any:
        try:
            converted = convert(value)
            hash(converted)
        except (AttributeFault, LayerError):
            raise
        except Exception as error:
            label = f"the attribute `{attribute.name}` of `{cls.kind}`: {error_text(error)}"
            hint = "`convert` returns what can be hashed, or raises AttributeFault"
            line = line_of(error, cls.added_by)
            raise layer_error("E0904", cls.added_by, label, line=line, hint=hint) from error
        return converted

    return call
