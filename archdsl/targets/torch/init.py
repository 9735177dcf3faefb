"""The initialisation of a model, gathered in one place: a rule for each kind of layer, then the exceptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from archdsl.targets.python.printer import lines, text
from archdsl.targets.python.reader import statements
from archdsl.targets.python.tree import (
    Assign,
    Attribute,
    Binary,
    Call,
    Comprehension,
    Evaluate,
    Expr,
    For,
    If,
    Items,
    Literal,
    Name,
    Stmt,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.initialisers import CODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from archdsl.core.values import Symbol
    from archdsl.targets.torch.classes import Grouping
    from archdsl.targets.torch.select import OpNetwork, OpNode

    Names = Mapping[int, Mapping[str, str]]


@dataclass(frozen=True)
class _Part:
    """A module of torch's own in the network: a layer, or a part of one."""

    node: OpNode
    name: str  # in the region of the node
    torch_class: str
    inits: dict[str, Symbol]


@dataclass(frozen=True)
class _Exception:
    """A tensor of one generated class that begins otherwise than the rule for its layer says."""

    group: str  # the class; empty for a layer that the model itself calls
    torch_class: str
    code: str


def inner_statements(network: OpNetwork, grouping: Grouping) -> list[Stmt]:
    """Return the statements of `inside_layers`, which finds modules that added layers make and do not declare.

    Rules for kinds of modules hold for those of the spec's layers; what an added layer makes inside of its own module
    begins as that layer says. Empty where there is no such module.
    """
    found: dict[tuple[str, str], Stmt] = {}
    for node in network.all_nodes():
        if node.layer.added_by and node.is_module:
            group, place = _place(grouping, node, node.label)
            modules = Call(Attribute(place, "modules"))
            found[group, text(place)] = Evaluate(called("found.update", [modules]))
            names = (".".join(n for n in (node.label, name) if n) for name in node.op.submodule_classes())
            declared = [_place(grouping, node, name)[1] for name in names]
            if declared:
                code = Items(declared, "{}")
                found[group, text(code)] = Assign([Name("found")], code, "-=")
    statements = [(group, made) for (group, _), made in found.items()]
    return _by_class(statements, modules_of(Name("self"), has_inner=False))


def _place(grouping: Grouping, node: OpNode, name: str) -> tuple[str, Expr]:
    """Return the class that a module is in, and the module itself in a loop over those of the model.

    Where the model itself calls a layer, there is no class, and the module is named by its place in the model.
    """
    group = grouping.of.get(id(node.region))
    if group is None:
        return "", called("self.get_submodule", [Literal(f'"{node.region.name}.{name}"')])
    return group.name, dotted(f"module.{name}")


def modules_of(model: Name, *, has_inner: bool) -> Expr:
    """Return the modules of a model, without those in the variable `inside` if there are such."""
    modules = Call(Attribute(model, "modules"))
    item = Name("m")
    return Comprehension(item, item, modules, [Binary(item, "not in", Name("inside"))]) if has_inner else modules


def _by_class(statements: Iterable[tuple[str, Stmt]], modules: Expr) -> list[Stmt]:
    """Return the statements of each class in a loop, and behind it those of no class."""
    special: dict[str, list[Stmt]] = {}
    for group, statement in statements:
        special.setdefault(group, []).append(statement)
    alone = special.pop("", [])
    return [*_loop(special, modules), *alone]


def init_statements(network: OpNetwork, grouping: Grouping, names: Names, *, has_inner: bool = False) -> list[Stmt]:
    """Return the body of `init_weights`; empty where torch's own way is meant everywhere.

    Args:
        network: the network, lowered.
        grouping: the classes of its regions.
        names: those that the classes of a node's layer have got, where they are others than its template's.
        has_inner: whether some modules stay as they are: those in the variable `inside`.
    """
    by_class: dict[str, list[_Part]] = {}
    for part in _parts(network, names):
        by_class.setdefault(part.torch_class, []).append(part)
    rules: dict[str, list[Stmt]] = {}
    exceptions: list[_Exception] = []
    for torch_class, parts in by_class.items():
        common = _common([p.inits for p in parts])
        made = _rule(torch_class, common, [p.inits for p in parts])
        if made:
            rules[torch_class] = made
        exceptions += _exceptions(grouping, parts, common)
    exceptions = list({(e.group, e.torch_class, e.code): e for e in exceptions}.values())
    modules = modules_of(Name("self"), has_inner=has_inner)
    special = [(e.group, made) for e in exceptions for made in statements(e.code)]
    # A block is met before the layers in it, so a rule for them would undo what is set for the block.
    if any(not e.group or e.torch_class in rules for e in exceptions):
        return _loop(rules, modules) + _by_class(special, modules)
    for group, statement in special:
        rules.setdefault(group, []).append(statement)
    return _loop(rules, modules)


def _parts(network: OpNetwork, names: Names) -> Iterator[_Part]:
    for node in network.all_nodes():
        if node.is_module:
            inits = node.layer.inits(*node.input_shapes)
            for name, torch_class in node.op.submodule_classes().items():
                own = {k.rpartition(".")[2]: v for k, v in inits.items() if k.rpartition(".")[0] == name}
                called = names.get(node.id, {}).get(torch_class, torch_class)
                yield _Part(node, ".".join(n for n in (node.label, name) if n), called, own)


def _common(inits: list[dict[str, Symbol]]) -> dict[str, Symbol]:
    """Return the starts that most layers of a kind share; none is torch's own way, which no rule could bring back."""
    if any(not i for i in inits):
        return {}
    return dict(Counter(tuple(i.items()) for i in inits).most_common(1)[0][0])


def _rule(torch_class: str, common: dict[str, Symbol], inits: list[dict[str, Symbol]]) -> list[Stmt]:
    module = Name("module")
    made = [s for name, symbol in common.items() if name != "bias" for s in statements(_code(module, name, symbol))]
    with_bias = {"bias" in i for i in inits}
    if with_bias == {True} and common and torch_class != "nn.Conv3d":
        made += statements(_code(module, "bias", common["bias"]))
    elif True in with_bias:
        bias = Attribute(module, "bias")
        made.append(If(Binary(bias, "is not", Name("None")), [Evaluate(called("nn.init.zeros_", [bias]))]))
    return made


def _exceptions(grouping: Grouping, parts: list[_Part], common: dict[str, Symbol]) -> Iterator[_Exception]:
    for part in parts:
        group, place = _place(grouping, part.node, part.name)
        for name, symbol in part.inits.items():
            if name != "bias" and common.get(name) != symbol:
                yield _Exception(group, part.torch_class, _code(place, name, symbol))


def _code(owner: Expr, name: str, symbol: Symbol) -> str:
    """Return the statements of a rule for one tensor."""
    numbers = [repr(float(a)) for a in symbol.arguments]
    return CODE[symbol.name].format(text(Attribute(owner, name)), *numbers)


def _loop(rules: dict[str, list[Stmt]], modules: Expr) -> list[Stmt]:
    """Return a loop over the modules with a case for each class; classes with the same statements share one."""
    alike: dict[tuple[str, ...], tuple[list[str], list[Stmt]]] = {}
    for cls, made in rules.items():
        alike.setdefault(tuple(lines(made)), ([], made))[0].append(cls)
    cases: list[Stmt] = []
    for classes, made in reversed(alike.values()):
        kinds = [dotted(c) for c in classes]
        union = reduce(lambda one, other: Binary(one, "|", other), kinds)
        cases = [If(called("isinstance", [Name("module"), union]), made, cases)]
    return [For(Name("module"), modules, cases)] if cases else []
