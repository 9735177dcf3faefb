"""The initialisation of a model, gathered in one place: a rule for each kind of layer, then the exceptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.layers.attributes import RULES

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
    line: str


def inner_lines(network: OpNetwork, grouping: Grouping) -> list[str]:
    """Return the statements of `inside_layers`, which finds modules that added layers make and do not declare.

    Rules for kinds of modules hold for those of the spec's layers; what an added layer makes inside of its own module
    begins as that layer says. Empty where there is no such module.
    """
    lines: dict[tuple[str, str], None] = {}
    for node in network.all_nodes():
        if node.layer.added_by and node.is_module:
            group, place = _place(grouping, node, node.label)
            lines[group, f"found.update({place}.modules())"] = None
            names = (".".join(n for n in (node.label, name) if n) for name in node.op.submodule_classes())
            declared = [_place(grouping, node, name)[1] for name in names]
            if declared:
                lines[group, f"found -= {{{', '.join(declared)}}}"] = None
    return _by_class(lines)


def _place(grouping: Grouping, node: OpNode, name: str) -> tuple[str, str]:
    """Return the class that a module is in, and the module itself in a loop over those of the model.

    Where the model itself calls a layer, there is no class, and the module is named by its place in the model.
    """
    group = grouping.of.get(id(node.region))
    if group is None:
        return "", f'self.get_submodule("{node.region.name}.{name}")'
    return group.name, f"module.{name}"


def _by_class(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Return the statements of each class in a loop, and behind it those of no class."""
    special: dict[str, list[str]] = {}
    for group, line in lines:
        special.setdefault(group, []).append(line)
    alone = special.pop("", [])
    return [*_loop(special), *(text for line in alone for text in line.split("\n"))]


def init_lines(network: OpNetwork, grouping: Grouping, names: Names) -> list[str]:
    """Return the body of `init_weights`; empty where torch's own way is meant everywhere.

    `names` are those that the classes of a node's layer have got, where they are others than its template's.
    """
    by_class: dict[str, list[_Part]] = {}
    for part in _parts(network, names):
        by_class.setdefault(part.torch_class, []).append(part)
    rules: dict[str, list[str]] = {}
    exceptions: dict[_Exception, None] = {}
    for torch_class, parts in by_class.items():
        common = _common([p.inits for p in parts])
        lines = _rule(torch_class, common, [p.inits for p in parts])
        if lines:
            rules[torch_class] = lines
        exceptions.update(dict.fromkeys(_exceptions(grouping, parts, common)))
    # A block is met before the layers in it, so a rule for them would undo what is set for the block.
    if any(not e.group or e.torch_class in rules for e in exceptions):
        return _loop(rules) + _by_class((e.group, e.line) for e in exceptions)
    special: dict[str, list[str]] = {}
    for e in exceptions:
        special.setdefault(e.group, []).append(e.line)
    return _loop({**rules, **special})


def _parts(network: OpNetwork, names: Names) -> Iterator[_Part]:
    for node in network.all_nodes():
        if node.is_module:
            inits = node.layer.inits(*node.input_shapes)
            for name, torch_class in node.op.submodule_classes().items():
                own = {k.rpartition(".")[2]: v for k, v in inits.items() if k.rpartition(".")[0] == name}
                called = names.get(node.id, {}).get(torch_class, torch_class)
                yield _Part(node, ".".join(n for n in (node.label, name) if n), called, own)


def _common(inits: list[dict[str, Symbol]]) -> dict[str, Symbol]:
    """What most layers of a kind share. None of it is torch's own way, which no rule could bring back."""
    if any(not i for i in inits):
        return {}
    return dict(Counter(tuple(i.items()) for i in inits).most_common(1)[0][0])


def _rule(torch_class: str, common: dict[str, Symbol], inits: list[dict[str, Symbol]]) -> list[str]:
    lines = [_call("module", name, symbol) for name, symbol in common.items() if name != "bias"]
    with_bias = {"bias" in i for i in inits}
    if with_bias == {True} and common and torch_class != "nn.Conv3d":
        lines.append(_call("module", "bias", common["bias"]))
    elif True in with_bias:
        lines += ["if module.bias is not None:", "    nn.init.zeros_(module.bias)"]
    return lines


def _exceptions(grouping: Grouping, parts: list[_Part], common: dict[str, Symbol]) -> Iterator[_Exception]:
    for part in parts:
        group, place = _place(grouping, part.node, part.name)
        for name, symbol in part.inits.items():
            if name != "bias" and common.get(name) != symbol:
                yield _Exception(group, part.torch_class, _call(place, name, symbol))


def _call(owner: str, name: str, symbol: Symbol) -> str:
    numbers = [repr(float(a)) for a in symbol.arguments]
    return RULES[symbol.name].code.format(f"{owner}.{name}", *numbers)


def _loop(rules: dict[str, list[str]]) -> list[str]:
    if not rules:
        return []
    lines = ["for module in self.modules():"]
    alike: dict[tuple[str, ...], list[str]] = {}
    for cls, calls in rules.items():
        alike.setdefault(tuple(calls), []).append(cls)
    for index, (calls, names) in enumerate(alike.items()):
        lines.append(f"    {'if' if index == 0 else 'elif'} isinstance(module, {' | '.join(names)}):")
        lines.extend(f"        {line}" for call in calls for line in call.split("\n"))
    return lines
