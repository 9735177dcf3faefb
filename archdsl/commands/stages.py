"""`archdsl compile --print`: the intermediate forms of a spec, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.values import describe, is_list
from archdsl.frontend.ast import Syntax
from archdsl.frontend.parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.source import Source
    from archdsl.ir.network import Network, Node


def syntax_tree(source: Source) -> str:
    """Return the syntax tree of a spec as text."""
    return "\n".join(line for s in parse(source).statements for line in _tree(s, 0))


def whole_network(network: Network, stage: str, without: Sequence[str], target: str) -> str:
    """Return the graph of a network, the graph with shapes, or the lowered graph, as text."""
    if stage == "lowered":
        return "\n".join(_lowered(network, without, target))
    return "\n".join(_node(network, node, stage) for node in network.all_nodes())


def _lowered(network: Network, without: Sequence[str], target: str) -> Iterator[str]:
    """Yield a line for each pass, then one for each layer."""
    from archdsl.ir.verify import verify
    from archdsl.targets.torch.lower import PASSES, lowered_with_counts

    lowered, counts = lowered_with_counts(network, without, target, verify)
    for step in (p for p in PASSES if target in p.targets):
        count = counts[step.name]
        yield f"# {step.name}: " + (f"{step.doc}: {count}" if count is not None else "left out")
    for node in lowered.all_nodes():
        chosen = [*(["in place"] if node.inplace else []), *sorted(node.op.forms)]
        yield ", ".join([f"{_node(lowered, node, 'graph')} : {node.layout}", *chosen])


def _tree(part: object, depth: int, name: str = "") -> Iterator[str]:
    """Yield one line for each node of a syntax tree, indented by depth."""
    indent = "  " * depth + (f"{name}: " if name else "")
    if isinstance(part, Syntax):
        fields = {k: v for k, v in vars(part).items() if k != "span"}
        simple = {k: v for k, v in fields.items() if isinstance(v, (str, int, bool)) or v is None}
        given = ", ".join(f"{k}={v!r}" for k, v in simple.items() if v is not None)
        yield f"{indent}{type(part).__name__}({given})"
        for key, value in fields.items():
            if key not in simple:
                yield from _tree(value, depth + 1, key)
    elif is_list(part):
        if part:
            yield f"{indent}["
            for item in part:
                yield from _tree(item, depth + 1)
            yield "  " * depth + "]"
    else:
        yield f"{indent}{part}"


def _node(network: Network, node: Node, stage: str) -> str:
    values = {k: describe(v) if not isinstance(v, float) else f"{v:g}" for k, v in node.layer.values().items()}
    defaults = {k: a.default for k, a in node.layer.attributes.items()}
    given = ", ".join(f"{k} = {v}" for k, v in values.items() if node.layer.values()[k] != defaults[k])
    sources = ", ".join(network.node(i).name for i in node.inputs)
    text = f"{node.name} = {node.layer.kind}({given})" + (f" of {sources}" if sources else "")
    if stage == "graph":
        return text
    inputs = ", ".join(str(s) for s in node.input_shapes)
    return f"{text} : {inputs} → {node.shape}" if inputs else f"{text} : {node.shape}"
