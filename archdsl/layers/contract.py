"""The contract of `Layer`: checks of the declarations of an added layer, and of the return values of its methods.

An exception or a wrong return value of an added layer becomes an error at a line of its file. The rest of archdsl
relies on these checks; each target adds its own.
"""

from __future__ import annotations

import re
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.diagnostics import LayerError
from archdsl.core.grid import Grid, Tokens
from archdsl.core.names import why_no_parameter
from archdsl.core.values import Symbol
from archdsl.layers import attributes
from archdsl.layers.added_faults import error_text, layer_error, line_of
from archdsl.layers.attributes import RULES, Attribute, AttributeFault
from archdsl.layers.axes import Axis
from archdsl.layers.base import Layer
from archdsl.layers.bias import BIAS, Bias
from archdsl.layers.guards import COUNT, FLAG, Fault, Guard, Returned, described, is_whole, line_of_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INITS = {name: len(rule.arguments) for name, rule in RULES.items()}  # number of arguments of each initialiser
FLAGS = (
    "many", "internal", "heavy", "elementwise", "takes_tokens", "passes_tokens", "training_only", "by_name",
    "hands_on_gradient", "is_affine_in_inference", "projects", "takes_lines", "treats_positions_alone",
)  # fmt: skip
TEXTS = ("category", "joins", "drawn_as")


def adopt(cls: type[Layer], file: str) -> None:
    """Check a class against the contract, and guard its methods.

    Raises:
        LayerError: if a declaration is invalid.
    """
    cls.added_by = file
    for check in (_kind, _declarations, _attributes, _methods):
        refuse(cls, *check(cls))
    Guard(cls.kind, file).methods(cls, Layer, _RETURNS)
    if issubclass(cls, Bias):
        Guard(cls.kind, file).methods(cls, Bias, _OF_BIASES)
    cls.__init__ = _guarded_init(cls)
    for attribute in cls.attributes.values():
        if type(attribute).__module__ != attributes.__name__:
            setattr(attribute, "convert", _guarded_convert(attribute, cls))  # noqa: B010  # of this object alone


def refuse(cls: type[Layer], fault: Fault, hint: str) -> None:
    """Raise LayerError for a fault of a class; do nothing if `fault` is empty."""
    if fault:
        line = line_of_class(cls, fault)
        raise layer_error("E0902", cls.added_by, f"`{cls.__name__}`: {fault}", line=line, hint=hint)


# --- declarations ---


def _kind(cls: type[Layer]) -> tuple[Fault, str]:
    kind: Any = cls.kind
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z]\w*", kind, re.ASCII):
        return f"{kind!r} is not a valid name", "expected letters, digits and `_`, as in `group_norm`"
    refused = why_no_parameter(kind)
    return (f"the layer cannot be called `{kind}`: {refused}", "choose another name") if refused else ("", "")


def _declarations(cls: type[Layer]) -> tuple[Fault, str]:
    for name in FLAGS:
        if not isinstance(getattr(cls, name), bool):
            return f"`{name}` is {getattr(cls, name)!r}", "expected True or False"
    for name in TEXTS:
        if not isinstance(getattr(cls, name), str):
            return f"`{name}` is {getattr(cls, name)!r}", "expected a string"
    if (cls.category == BIAS) != issubclass(cls, Bias):
        hint = "as in `class Sloped(Bias)`, with `from archdsl.layers.bias import Bias`"
        return f"the category `{BIAS}` is for subclasses of `Bias`, and they are in no other", hint
    return "", ""


def _attributes(cls: type[Layer]) -> tuple[Fault, str]:
    for name, value in vars(cls).items():
        if isinstance(value, type) and issubclass(value, Attribute):
            return f"`{name} = {value.__name__}` is not called", f"write `{name} = {value.__name__}(…)`"
    for name, attribute in cls.attributes.items():
        if hasattr(Bias if issubclass(cls, Bias) else Layer, name):
            return f"the attribute `{name}` overrides a member of `Layer`", "choose another name"
        refused = why_no_parameter(name)
        if refused:
            return f"no attribute can be called `{name}`: {refused}", "choose another name"
        try:
            hash(attribute.default)
        except TypeError:
            return f"the default of `{name}` is {attribute.default!r}", "write a list as a tuple, as in (1, 3, 3)"
    return "", ""


def _methods(cls: type[Layer]) -> tuple[Fault, str]:
    for name in _RETURNS:
        if name in vars(cls) and not isinstance(vars(cls)[name], FunctionType):
            return f"`{name}` is not a method", f"write `def {name}(self, …)`, as in archdsl/layers/base.py"
    return "", ""


# --- return values of methods ---


def _grid(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, Grid):
        return described(value)
    for name, number in zip(("channels", "t", "h", "w"), value.shape, strict=True):
        if not is_whole(number):
            return f"a grid whose `{name}` is {described(number)}"
        if int(number) < 1:
            return f"a grid whose `{name}` is {int(number)}"
    tokens: Any = value.tokens
    return "" if isinstance(tokens, Tokens) else f"a grid whose `tokens` is {described(tokens)}"


def _nothing(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if value is None else described(value)


def _shapes(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return described(value)
    for name, shape in cast("dict[Any, Any]", value).items():
        is_alone = name == "" and isinstance(_layer, Bias)  # the bias is one tensor
        if not is_alone and (not isinstance(name, str) or not all(_is_label(p) for p in name.split("."))):
            return f"{name!r} as the name of a tensor"
        if not isinstance(shape, tuple) or not all(is_whole(n) and int(n) > 0 for n in cast("tuple[Any, ...]", shape)):
            return f"{shape!r} as the shape of `{name}`"
    return ""


def _is_label(part: str) -> bool:
    """Return True for the name of a module or tensor, or its number among several: `experts.0.weight`."""
    return part.isidentifier() or (part.isascii() and part.isdigit())


def _axes(layer: Layer, value: Any, arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return described(value)
    shapes = {**layer.weights(*arguments), **layer.buffers(*arguments)}
    for name, axes in cast("dict[Any, Any]", value).items():
        if name not in shapes:
            return f"axes of {name!r}, which is neither in `weights` nor in `buffers`"
        if not isinstance(axes, tuple) or not all(isinstance(a, Axis) for a in cast("tuple[Any, ...]", axes)):
            return f"{axes!r} as the axes of `{name}`"
        if len(cast("tuple[Any, ...]", axes)) != len(shapes[name]):
            return f"{len(cast('tuple[Any, ...]', axes))} axes of `{name}`, whose shape is {_plain(shapes[name])}"
    return ""


def _layer(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, Layer) else described(value)


def _inits(layer: Layer, value: Any, arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return described(value)
    weights = layer.weights(*arguments)
    for name, symbol in cast("dict[Any, Any]", value).items():
        if name not in weights:
            return f"an initialiser for {name!r}, which is not in `weights`"
        if not isinstance(symbol, Symbol):
            return f"{described(symbol)} for `{name}`"
        if symbol.name not in INITS or len(symbol.arguments) != INITS[symbol.name]:
            return f"{symbol} for `{name}`"
        if len(weights[name]) < 2 and symbol.name in ("msra", "xavier"):
            return f"`{symbol.name}` for `{name}`, which has one axis"
    return ""


def _affine(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if value is None or isinstance(value, Layer) else described(value)


def _plain(shape: tuple[int, ...]) -> str:
    return "×".join(str(int(n)) for n in shape)


_RETURNS: Mapping[str, Returned] = {
    "infer": Returned("a Grid of whole numbers, 1 or more", _grid),
    "weights": Returned("a dict of shapes by name, as in {'weight': (8, 3)}", _shapes),
    "buffers": Returned("a dict of shapes by name, as in {'mean': (8,)}", _shapes),
    "tensor_axes": Returned("a dict of as many axes as the tensor has, as in {'weight': (OUT, IN)}", _axes),
    "params": COUNT,
    "macs": COUNT,
    "widest": COUNT,
    "for_inference": Returned("a layer", _layer),
    "is_identity": FLAG,
    "inits": Returned("a dict of initialisers by the names in `weights`, as in {'weight': Symbol('msra')}", _inits),
    "with_affine": Returned("a layer or None", _affine),
    "maps_positions": FLAG,
    "parts_branches": FLAG,
    "reads_places": FLAG,
    "filters_channels": FLAG,
    "selects_all": FLAG,
}


_OF_BIASES: Mapping[str, Returned] = {
    "check": Returned("None; it raises a ShapeError where the bias cannot be computed", _nothing),
    "bias_macs": COUNT,
}


# --- calls ---


def _guarded_init(cls: type[Layer]) -> Callable[..., None]:
    original = cls.__init__

    @wraps(original)
    def init(self: Layer, **values: Any) -> None:
        try:
            original(self, **values)
        except LayerError:
            raise
        except (Exception, SystemExit) as error:
            label, line = f"`__init__` of `{cls.kind}`: {error_text(error)}", line_of(error, cls.added_by)
            hint = "write `def __init__(self, **values)`, and call `super().__init__(**values)`"
            raise layer_error("E0904", cls.added_by, label, line=line, hint=hint) from error

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
            hint = "`convert` must return a hashable value, or raise AttributeFault"
            line = line_of(error, cls.added_by)
            raise layer_error("E0904", cls.added_by, label, line=line, hint=hint) from error
        return converted

    return call
