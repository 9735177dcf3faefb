"""The initialisation of a model, gathered in one place: a rule for each kind of layer, then the exceptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.values import Symbol
    from archdsl.graph.model import Network, Node
    from archdsl.targets.torch.classes import Grouping

_CALLS = {
    "msra": 'nn.init.kaiming_normal_({}, mode="fan_out", nonlinearity="relu")',
    "xavier": "nn.init.xavier_uniform_({})",
    "zeros": "nn.init.zeros_({})",
    "normal": "nn.init.normal_({}, std={})",
    "trunc_normal": "nn.init.trunc_normal_({}, std={})",
    "constant": "nn.init.constant_({}, {})",
}


@dataclass(frozen=True)
class _Part:
    """A module of torch's own in the network: a layer, or a part of one."""

    node: Node
    name: str  # in the unit of the node
    torch_class: str
    inits: dict[str, Symbol]


@dataclass(frozen=True)
class _Exception:
    """A tensor of one generated class that begins otherwise than the rule for its layer says."""

    group: str
    torch_class: str
    line: str


def init_lines(network: Network, grouping: Grouping) -> list[str]:
    """The body of `init_weights`; empty where torch's own way is meant everywhere."""
    by_class: dict[str, list[_Part]] = {}
    for part in _parts(network):
        by_class.setdefault(part.torch_class, []).append(part)
    rules: dict[str, list[str]] = {}
    exceptions: dict[_Exception, None] = {}
    for torch_class, parts in by_class.items():
        common = _common([p.inits for p in parts])
        lines = _rule(common, [p.inits for p in parts])
        if lines:
            rules[torch_class] = lines
        exceptions.update(dict.fromkeys(_exceptions(grouping, parts, common)))
    special: dict[str, list[str]] = {}
    for e in exceptions:
        special.setdefault(e.group, []).append(e.line)
    # A block is met before the layers in it, so a rule for them would undo what is set for the block.
    if any(e.torch_class in rules for e in exceptions):
        return _loop(rules) + _loop(special)
    return _loop({**rules, **special})


def _parts(network: Network) -> Iterator[_Part]:
    for node in network.all_nodes():
        if node.layer.module:
            inits = node.layer.inits()
            for name, torch_class in node.layer.parts().items():
                prefix = f"{name}." if name else ""
                own = {k.removeprefix(prefix): v for k, v in inits.items() if k.startswith(prefix)}
                yield _Part(node, ".".join(n for n in (node.label, name) if n), torch_class, own)


def _common(inits: list[dict[str, Symbol]]) -> dict[str, Symbol]:
    """What most layers of a kind share. None of it is torch's own way, which no rule could bring back."""
    if any(not i for i in inits):
        return {}
    return dict(Counter(tuple(i.items()) for i in inits).most_common(1)[0][0])


def _rule(common: dict[str, Symbol], inits: list[dict[str, Symbol]]) -> list[str]:
    lines = [_call("module", name, symbol) for name, symbol in common.items() if name != "bias"]
    with_bias = {"bias" in i for i in inits}
    if with_bias == {True} and common:
        lines.append(_call("module", "bias", common["bias"]))
    elif True in with_bias:
        lines += ["if module.bias is not None:", "    nn.init.zeros_(module.bias)"]
    return lines


def _exceptions(grouping: Grouping, parts: list[_Part], common: dict[str, Symbol]) -> Iterator[_Exception]:
    for part in parts:
        group = grouping.of.get(id(part.node.unit))
        for name, symbol in part.inits.items():
            if group is not None and name != "bias" and common.get(name) != symbol:
                yield _Exception(group.name, part.torch_class, _call(f"module.{part.name}", name, symbol))


def _call(owner: str, name: str, symbol: Symbol) -> str:
    numbers = [repr(float(a)) for a in symbol.arguments]
    return _CALLS[symbol.name].format(f"{owner}.{name}", *numbers)


def _loop(rules: dict[str, list[str]]) -> list[str]:
    if not rules:
        return []
    lines = ["for module in self.modules():"]
    alike: dict[tuple[str, ...], list[str]] = {}
    for cls, calls in rules.items():
        alike.setdefault(tuple(calls), []).append(cls)
    for index, (calls, names) in enumerate(alike.items()):
        lines.append(f"    {'if' if index == 0 else 'elif'} isinstance(module, {' | '.join(names)}):")
        lines.extend(f"        {call}" for call in calls)
    return lines
