"""The contract of layers that users add, as far as it is about PyTorch.

The class of the layer has what an op has, or the file has a class `Op` for it beside the layer. Either is held against
what code and memory rely on, and each call of its methods, too.
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.diagnostics import one_of
from archdsl.core.names import why_refused
from archdsl.layers.added_faults import layer_error
from archdsl.layers.base import Layer
from archdsl.layers.bias import Bias
from archdsl.layers.contract import refuse
from archdsl.layers.guards import (
    COUNT,
    FLAG,
    Fault,
    Guard,
    Returned,
    described,
    is_printable,
    is_whole,
    line_of_class,
)
from archdsl.targets.torch.imports import OWN, clash
from archdsl.targets.torch.ops import layouts, sites
from archdsl.targets.torch.ops.added import RENAMED, AddedLayer, AddedOp, Use
from archdsl.targets.torch.ops.added_bias import AddedBias
from archdsl.targets.torch.ops.base import OPS, Op, compact, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, TOKENS
from archdsl.targets.torch.ops.sites import SavedForBackward

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What files of added layers import from `archdsl.layers.base`.
NAMES: Mapping[str, Any] = {
    **{name: value for name, value in vars(layouts).items() if name.isupper()},
    "FLOAT": sites.FLOAT,
    "HALF": sites.HALF,
    "PLAIN": sites.PLAIN,
    "Precision": sites.Precision,
    "CallSite": sites.CallSite,
    "TrainingStep": sites.TrainingStep,
    "SavedForBackward": SavedForBackward,
    "Saved": SavedForBackward,
    "SharedModule": sites.SharedModule,
    "Shared": sites.SharedModule,
    "Use": Use,
    "Op": Op,
    "op": op,
    "compact": compact,
}
_WORDLESS = ("convert", "channels_last")


def adopt(cls: type[Layer], file: str, namespace: Mapping[str, Any]) -> None:
    """Hold a class, and its op if the file has one, against the contract, and guard its methods.

    Raises:
        LayerError: if it declares what no layer can be.
    """
    _check_free(cls)
    own = _own_op(cls, namespace)
    if own is not None:
        _adopt_op(cls, own)
        return
    _rebase(cls)
    _without_layouts(cls)
    for check in (_kind, _declarations, _attributes, _methods):
        refuse(cls, *check(cls))
    added = cast("type[AddedLayer]", cls)
    added.imports = _normal_imports(added.imports)
    cls.takes_tokens = TOKENS in added.layouts
    Guard(cls.kind, file).methods(cls, AddedBias if issubclass(cls, Bias) else AddedLayer, _RETURNS)
    cls.__init__ = _guarded_init(added)
    OPS.added[cls] = AddedOp


def _own_op(cls: type[Layer], namespace: Mapping[str, Any]) -> type[Op[Any]] | None:
    """Return the op that a file has for a layer."""
    classes: list[Any] = [value for value in namespace.values() if isinstance(value, type)]
    own: list[type[Op[Any]]] = [c for c in classes if issubclass(c, Op) and c.__module__ == namespace["__name__"]]
    return next((c for c in own if c.kind == cls.kind), None)


def _check_free(cls: type[Layer]) -> None:
    """Refuse the names of ops that are no word of the language."""
    if cls.kind in _WORDLESS:
        label = f"a layer `{cls.kind}` exists already: the compiler inserts it"
        raise layer_error("E0903", cls.added_by, label, line=line_of_class(cls, ""), hint="give it a name of its own")


def _adopt_op(cls: type[Layer], own: type[Op[Any]]) -> None:
    OPS.by_kind.pop(cls.kind, None)  # which is for layers of archdsl
    for check in (_declarations, _members):
        refuse(cls, *check(own))
    if own.layouts:
        cls.takes_tokens = TOKENS in own.layouts
    own.imports = _normal_imports(own.imports)
    Guard(cls.kind, cls.added_by, _layer_of).methods(own, Op, _OF_OPS)
    OPS.added[cls] = own


def _layer_of(own: Op[Layer]) -> Layer:
    return own.layer


def _rebase(cls: type[Layer]) -> None:
    """Put `AddedLayer` or `AddedBias` in the place of its base, so that the class has every member of an op."""
    added: dict[type, type] = {Layer: AddedLayer, Bias: AddedBias}
    for base in cls.__mro__:
        if not added.keys().isdisjoint(base.__bases__) and not base.__module__.startswith("archdsl."):
            base.__bases__ = tuple(added.get(b, b) for b in base.__bases__)


def _without_layouts(cls: type[Any]) -> None:
    """Give a layer that says nothing of layouts those of all that works element by element, if it is so."""
    if cls.elementwise and cls.layouts is AddedLayer.layouts:
        cls.layouts = ANY_LAYOUT


# --- what a class declares ---


def _kind(cls: type[Any]) -> tuple[Fault, str]:
    is_submodule = cls.module or cls.is_module is not AddedLayer.is_module  # under its own name, if the spec gives none
    refused = why_refused(cls.kind) if is_submodule else ""
    return (f"the layer cannot be called `{cls.kind}`: {refused}", "choose another name") if refused else ("", "")


def _declarations(cls: type[Any]) -> tuple[Fault, str]:
    for name in ("module", "keeps_order", "prefers_channels_last", "uses_tf32", "overwrites"):
        if not isinstance(getattr(cls, name, False), bool):
            return f"`{name}` is {getattr(cls, name)!r}", "expected True or False"
    if not isinstance(cls.torch_class, str):
        return f"`torch_class` is {cls.torch_class!r}", "expected a string"
    fault = "" if issubclass(cls, Op) and cls.layouts == () else _layouts(cls.layouts)
    if fault:
        return f"`layouts` {fault}", "as in `layouts = (GRID,)`, or `layouts = ANY_LAYOUT` where it works on elements"
    lines: Any = cls.imports
    if not isinstance(lines, tuple) or not all(isinstance(i, str) for i in cast("tuple[Any, ...]", lines)):
        example = '`imports = ("from torch.nn import functional as F",)`, with the comma'
        return f"`imports` is {lines!r}, not a tuple of lines", f"as in {example}"
    faults = [_import_fault(line) for line in cls.imports]
    hint = "packages other than archdsl, under names of their own, as in `from einops import rearrange`"
    return next(((fault, hint) for fault in faults if fault), ("", ""))


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
    other = next(filter(None, (clash(own, OWN) for own in _normal_imports((line,)))), "")
    if other:
        return f"`{line}` in `imports` takes a name of the generated module, which has `{other}`"
    modules = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [a.name for a in statement.names]
    if any(m.split(".")[0] in ("archdsl", "") for m in modules) or any(a.name == "*" for a in statement.names):
        return f"`{line}` in `imports`: the generated module stands alone, and imports by name"
    return ""


def _normal_imports(imports: tuple[str, ...]) -> tuple[str, ...]:
    """Return one line for each name, without what each module imports anyway."""
    lines: list[str] = []
    for statement in (s for line in imports for s in ast.parse(line).body):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                start = f"from {statement.module} import " if isinstance(statement, ast.ImportFrom) else "import "
                lines.append(start + alias.name + (f" as {alias.asname}" if alias.asname else ""))
    return tuple(line for line in lines if line not in OWN[:3])


def _attributes(cls: type[Layer]) -> tuple[Fault, str]:
    for name in cls.attributes:
        if hasattr(AddedLayer, name):
            return f"the attribute `{name}` overrides a member of the added layer's base", "choose another name"
    return "", ""


def _methods(cls: type[Layer]) -> tuple[Fault, str]:
    for name in _RETURNS:
        if name in vars(cls) and not isinstance(vars(cls)[name], FunctionType):
            return f"`{name}` is not a method", f"write `def {name}(self, …)`, as in archdsl/targets/torch/ops/added.py"
    return "", ""


def _members(cls: type[Op[Any]]) -> tuple[Fault, str]:
    for name, value in vars(cls).items():
        expected = vars(Op).get(name)
        if isinstance(expected, (FunctionType, property)) and not isinstance(value, type(expected)):
            what = "property" if isinstance(expected, property) else "method"
            return f"`{name}` is no {what}", "write it as in archdsl/targets/torch/ops/base.py"
    return "", ""


# --- what its methods return ---


def _saved(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, SavedForBackward):
        return described(value)
    wrong = [n for n in ("own", "once", "recomputed") if not is_whole(getattr(value, n)) or int(getattr(value, n)) < 0]
    return f"`{wrong[0]}` of {described(getattr(value, wrong[0]))}" if wrong else ""


def _element_size(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if is_whole(value) and int(value) in (1, 2, 4, 8) else described(value)


def _layout(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if value in ANY_LAYOUT else described(value)


def _accepted(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return _layouts(value)


def _variables(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, dict):
        return described(value)
    for name, item in cast("dict[Any, Any]", value).items():
        if not isinstance(name, str) or not name.isidentifier():
            return f"{name!r} as the name of a variable"
        if name == "layer":
            return "`layer`, which is what the template calls the submodule"
        if not is_printable(item):
            return f"`{name}` as {described(item)}"
    return ""


def _texts(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if isinstance(value, dict):
        items = [i for pair in cast("dict[Any, Any]", value).items() for i in pair]
        return "" if all(isinstance(i, str) for i in items) else f"{value!r}"
    return described(value)


def _names(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    fine = isinstance(value, frozenset) and all(isinstance(n, str) for n in cast("frozenset[Any]", value))
    return "" if fine else described(value)


def _table(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    return "" if isinstance(value, dict) else described(value)


def _key(_layer: Layer, value: Any, _arguments: tuple[Any, ...]) -> Fault:
    if not isinstance(value, tuple):
        return described(value)
    try:
        hash(cast("tuple[Any, ...]", value))
    except TypeError:
        return f"{value!r}, which has a list in it"
    return ""


_NEW: Mapping[str, Returned] = {
    "is_module": FLAG,
    "cast_weights": COUNT,
    "saved_for_backward": Returned("a Saved, whose `own` and `once` are whole numbers", _saved),
    "element_size": Returned("bytes of a number: 1, 2, 4 or 8", _element_size),
    "is_view": FLAG,
    "output_layout": Returned(one_of(ANY_LAYOUT), _layout),
    "variables": Returned("a dict of numbers, texts, True, False, None and tuples of these", _variables),
    "submodule_classes": Returned("a dict of texts, as in {'proj': 'nn.Linear'}", _texts),
    "other_forms": Returned("a frozenset of names of passes", _names),
    "shape_arguments": Returned("a dict", _table),
    "class_signature": Returned("a tuple of what can be compared", _key),
}
_RETURNS: Mapping[str, Returned] = {**_NEW, **{old: _NEW[new] for old, new in RENAMED.items()}}
_OF_OPS: Mapping[str, Returned] = {
    **_NEW,
    "accepted_layouts": Returned("a tuple of layouts", _accepted),
    "output_is_free": FLAG,
}


def _guarded_init(cls: type[AddedLayer]) -> Callable[..., None]:
    made = cls.__init__

    def init(self: AddedLayer, **values: Any) -> None:
        made(self, **values)
        fault = _layouts(self.layouts)
        if fault:
            label = f"`layouts` of `{cls.kind}` {fault}"
            raise layer_error("E0905", cls.added_by, label, line=line_of_class(cls, ""))
        if self.layouts is not cls.layouts:
            self.takes_tokens = TOKENS in self.layouts

    return init
