"""The initialisation of a model, gathered in one place: a rule for each kind of layer, then the exceptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from archdsl.core.values import Symbol
from archdsl.ir.regions import Block, BlockRow, Head, Shortcut, Stage, around
from archdsl.ir.rows import sole_block
from archdsl.layers.attributes import DEPTH_SCALED
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
    Verbatim,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.depth import Divided, division_statements
from archdsl.targets.torch.initialisers import CODE, TORCHS_OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from archdsl.ir.regions import Region
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
    order: int  # of its node in the network
    layer: dict[str, int]  # the number of the layer, for tensors that are divided by it


@dataclass(frozen=True)
class _Exception:
    """A tensor of one generated class that begins otherwise than the rule for its layer says."""

    group: str  # the class; empty for a layer that the model itself calls
    torch_class: str
    code: str
    order: int = 0  # in the network, of one that the model can name


def inner_statements(network: OpNetwork, grouping: Grouping) -> list[Stmt]:
    """Return the statements of `inside_layers`, which finds modules that added layers make and do not declare.

    Rules for kinds of modules hold for those of the spec's layers; what an added layer makes inside of its own module
    begins as that layer says. Empty where there is no such module.
    """
    found: dict[tuple[str, str], Stmt] = {}
    for node in network.all_nodes():
        if node.layer.added_by and node.is_module and not node.is_shared:
            group, place = _place(grouping, node, node.label)
            modules = Call(Attribute(place, "modules"))
            found[group, text(place)] = Evaluate(called("found.update", [modules]))
            names = (".".join(n for n in (node.label, name) if n) for name in node.op.submodule_classes())
            declared = [_place(grouping, node, name)[1] for name in names]
            if declared:
                code = Items(declared, "{}")
                found[group, text(code)] = Assign([Name("found")], code, "-=")
    statements = [(group, made) for (group, _), made in found.items()]
    return by_class(statements, modules_of(Name("self"), has_inner=False))


def _place(grouping: Grouping, node: OpNode, name: str) -> tuple[str, Expr]:
    """Return the class that a module is in, and the module itself in a loop over those of the model.

    Where the model itself calls a layer, there is no class, and the module is named by its place in the model.
    """
    group = grouping.of.get(id(node.region))
    if group is None:
        return "", called("self.get_submodule", [Literal(f'"{node.region.name}.{name}"')])
    return group.name, _member(Name("module"), name)


def _member(owner: Expr, name: str) -> Expr:
    """Return a module in another one: an attribute, or by its path if it lies in a row, whose members are numbers."""
    if any(part.isdigit() for part in name.split(".")):
        return Call(Attribute(owner, "get_submodule"), [Literal(f'"{name}"')])
    return dotted(f"{text(owner)}.{name}")


def modules_of(model: Expr, *, has_inner: bool) -> Expr:
    """Return the modules of a model, without those in the variable `inside` if there are such."""
    modules = Call(Attribute(model, "modules"))
    item = Name("m")
    return Comprehension(item, item, modules, [Binary(item, "not in", Name("inside"))]) if has_inner else modules


def by_class(statements: Iterable[tuple[str, Stmt]], modules: Expr) -> list[Stmt]:
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
        names: those that the classes of a node's layer have got, where they are others than its template's; for a
            layer inside of it, behind the name of that layer.
        has_inner: whether some modules stay as they are: those in the variable `inside`.
    """
    by_class: dict[str, list[_Part]] = {}
    for part in _parts(network, names):
        by_class.setdefault(part.torch_class, []).append(part)
    starts = _Starts(grouping, has_inner=has_inner)
    for torch_class, parts in by_class.items():
        starts.add(torch_class, parts)
    return starts.statements() + division_statements(_divided(by_class.values()), partial(model_attribute, grouping))


def _divided(by_class: Iterable[list[_Part]]) -> Iterator[Divided]:
    """Yield the tensors that are divided by a number of their layer, in the order of data flow."""
    for part in sorted((p for parts in by_class for p in parts), key=lambda p: p.order):
        for name, number in part.layer.items():
            yield Divided(part.node.region, ".".join(n for n in (part.name, name) if n), number)


class _Starts:
    """The rules for kinds of layers, in the whole model or in some stages, and the exceptions from them."""

    def __init__(self, grouping: Grouping, *, has_inner: bool) -> None:
        self.grouping = grouping
        self.has_inner = has_inner
        self.rules: dict[str, list[Stmt]] = {}
        self.of_stages: dict[tuple[str, ...], dict[str, list[Stmt]]] = {}
        self.exceptions: list[_Exception] = []

    def add(self, torch_class: str, parts: list[_Part]) -> None:
        """Add all layers of one kind. An only one is named; kinds that begin otherwise by stage have rules by stage."""
        if len(parts) == 1 and model_attribute(self.grouping, parts[0].node.region) is not None:
            self.exceptions += _exceptions(self.grouping, parts, {})
            return
        common = _common([p.inits for p in parts])
        exceptions = list(dict.fromkeys(_exceptions(self.grouping, parts, common)))
        stages = _stages(parts) if len(exceptions) > 1 else {}
        for names, members in stages.items():
            made = _rule(torch_class, _common([p.inits for p in members]), members)
            self.of_stages.setdefault(names, {}).update({torch_class: made} if made else {})
        if not stages:
            self.exceptions += exceptions
            made = _rule(torch_class, common, parts)
            self.rules.update({torch_class: made} if made else {})

    def statements(self) -> list[Stmt]:
        """Return the loops over modules, and the statements for those that the model can name."""
        exceptions = sorted(dict.fromkeys(self.exceptions), key=lambda e: e.order)
        special = [(e.group, made) for e in exceptions for made in statements(e.code)]
        rules = {torch_class: list(made) for torch_class, made in self.rules.items()}
        # A block is met before the layers in it, so a rule for them would undo what is set for the block.
        if any(e.group and e.torch_class in rules for e in self.exceptions):
            behind = by_class(special, self._modules(Name("self")))
        else:
            for group, statement in special:
                if group:
                    rules.setdefault(group, []).append(statement)
            behind = [statement for group, statement in special if not group]
        by_stage = [s for names, made in self.of_stages.items() for s in self._in_stages(names, made)]
        return _loop(rules, self._modules(Name("self"))) + by_stage + behind

    def _in_stages(self, names: tuple[str, ...], rules: dict[str, list[Stmt]]) -> list[Stmt]:
        """Return the loop over the modules of one stage, or of several."""
        if len(names) == 1:
            return _loop(rules, self._modules(dotted(f"self.{names[0]}")))
        loop = _loop(rules, self._modules(Name("stage")))
        return [For(Name("stage"), Items(dotted(f"self.{name}") for name in names), loop)] if loop else []

    def _modules(self, model: Expr) -> Expr:
        return modules_of(model, has_inner=self.has_inner)


def model_attribute(grouping: Grouping, region: Region) -> Expr | None:
    """Return a region as attributes of the model, such as `self.head`; None for one in a row, dictionary or option."""
    outer = list(around(region))
    if any(isinstance(r, BlockRow | Shortcut) or (isinstance(r, Block) and r.label.isdigit()) for r in outer):
        return None
    top = region.top
    is_called = id(top) in grouping.of or (sole_block(top) is not None and top not in grouping.opened)
    return dotted(f"self.{region.name}") if is_called and "." not in top.name else None


def _stages(parts: list[_Part]) -> dict[tuple[str, ...], list[_Part]]:
    """Return parts by the stages in which all of them begin alike; empty if a stage has several ways, or no name."""
    tops = {p.node.region.top.name: p.node.region.top for p in parts}
    by_inits: dict[Any, dict[str, list[_Part]]] = {}
    for part in parts:
        by_inits.setdefault(tuple(part.inits.items()), {}).setdefault(part.node.region.top.name, []).append(part)
    names = [name for found in by_inits.values() for name in found]
    if len(set(names)) < len(names) or any(not isinstance(t, Stage | Head) or "." in t.name for t in tops.values()):
        return {}
    return {tuple(found): [p for members in found.values() for p in members] for found in by_inits.values()}


def _parts(network: OpNetwork, names: Names) -> Iterator[_Part]:
    for order, node in enumerate(network.all_nodes()):
        if node.is_module and not node.is_shared:
            inits = node.layer.inits(*node.input_shapes)
            for name, torch_class in node.op.submodule_classes().items():
                own = {k.rpartition(".")[2]: v for k, v in inits.items() if k.rpartition(".")[0] == name}
                others = names.get(node.id, {})
                called = others.get(f"{name}.{torch_class}", others.get(torch_class, torch_class))
                plain, numbers = _undivided(own)
                yield _Part(node, ".".join(n for n in (node.label, name) if n), called, plain, order, numbers)


def _undivided(inits: dict[str, Symbol]) -> tuple[dict[str, Symbol], dict[str, int]]:
    """Return how tensors begin before some are divided, and the numbers of the layers of these."""
    plain, numbers = dict(inits), dict[str, int]()
    for name, symbol in inits.items():
        if symbol.name == DEPTH_SCALED:
            std, number = symbol.arguments
            plain[name], numbers[name] = Symbol("trunc_normal", (std,)), int(number)
    return plain, numbers


def _common(inits: list[dict[str, Symbol]]) -> dict[str, Symbol]:
    """Return the starts that most layers of a kind share; none is torch's own way that no symbol stands for."""
    if any(not i for i in inits):
        return {}
    weights = Counter(tuple((n, s) for n, s in i.items() if n != "bias") for i in inits).most_common(1)[0][0]
    biases = Counter(i["bias"] for i in inits if "bias" in i).most_common(1)
    return dict([*weights, *(("bias", symbol) for symbol, _ in biases)])


def _rule(torch_class: str, common: dict[str, Symbol], parts: list[_Part]) -> list[Stmt]:
    module = Name("module")
    made = [s for name, symbol in common.items() if name != "bias" for s in _start(module, name, symbol, torch_class)]
    if common.get("bias", Symbol(TORCHS_OWN)).name == TORCHS_OWN:
        return made
    if all("bias" in part.inits for part in parts):
        return made + _start(module, "bias", common["bias"], torch_class)
    bias: Expr = Attribute(module, "bias")
    if torch_class != "nn.Conv3d":  # to a checker of types, every linear layer has one
        made += [Verbatim('bias = getattr(module, "bias", None)')]
        bias = Name("bias")
    return [*made, If(Binary(bias, "is not", Name("None")), _statements(bias, common["bias"]))]


def _exceptions(grouping: Grouping, parts: list[_Part], common: dict[str, Symbol]) -> Iterator[_Exception]:
    """Yield what the rule of a kind of layers does not say: everything if there is no rule.

    A layer in the only region of its class is named by its place in the model.
    """
    for part in parts:
        group, place = _place(grouping, part.node, part.name)
        region = part.node.region
        own = model_attribute(grouping, region) if group and len(grouping.of[id(region)].regions) == 1 else None
        if own is not None:
            group, place = "", _member(own, part.name)
        order = 0 if group else part.order
        for made in _made_otherwise(place, part, common):
            yield _Exception(group, part.torch_class, "\n".join(lines(made)), order)


def _made_otherwise(place: Expr, part: _Part, common: dict[str, Symbol]) -> Iterator[list[Stmt]]:
    """Yield how the tensors of a layer begin that begin otherwise; behind torch's own way, all that have another."""
    changed = {name for name, symbol in part.inits.items() if common.get(name) != symbol}
    if any(part.inits[name].name == TORCHS_OWN and name in common for name in changed):
        yield [Evaluate(Call(Attribute(place, "reset_parameters")))]
        changed = set(part.inits)
    for name, symbol in part.inits.items():
        if name in changed and symbol.name != TORCHS_OWN:
            yield _start(place, name, symbol, part.torch_class)


def _start(owner: Expr, name: str, symbol: Symbol, torch_class: str) -> list[Stmt]:
    """Return how a tensor of a module begins: of the bias of a convolution, the type of the attribute has None, too."""
    if symbol.name == TORCHS_OWN:
        return []
    if (name, torch_class) == ("bias", "nn.Conv3d"):
        return _statements(Call(Attribute(owner, "get_parameter"), [Literal('"bias"')]), symbol)
    return _statements(Attribute(owner, name), symbol)


def _statements(tensor: Expr, symbol: Symbol) -> list[Stmt]:
    numbers = [repr(float(a)) for a in symbol.arguments]
    return statements(CODE[symbol.name].format(text(tensor), *numbers))


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
