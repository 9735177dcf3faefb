"""A generated module on torch's meta device against what the graph predicts, node by node."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import networkx as nx
import torch
from torch.utils.flop_counter import FlopCounterMode

from archdsl.ir.regions import Block, Featured, PathStart, around
from archdsl.layers.attention_costs import macs
from archdsl.layers.attention_token_lines import has_token_lines

if TYPE_CHECKING:
    from collections.abc import Collection

    from archdsl import Architecture
    from archdsl.core.grid import Grid
    from archdsl.ir.network import Network, Node

BATCH = 2
FIRST, LAST = ("conv", "bn"), ("attention", "class_token", "layernorm", "linear", "position", "rmsnorm", "token_type")


def assert_as_predicted(arch: Architecture, *, with_features: bool = True) -> None:
    """Shapes, parameters and multiply-adds of every node, the features of every stage, and the totals."""
    graph, network = arch.graph, arch._analysis.network
    with torch.device("meta"):
        model = arch.build(without=_uncounted(network))
        clips = [torch.empty(BATCH, *shape) for shape in network.arguments.values()]
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)):
        norm.eval()  # statistics are slow on this device, and no shape depends on them
    seen = _watch(model)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        output = model(*(clip[:1] for clip in clips))  # some products are computed once for all clips
    features = model.forward_features(*clips) if with_features else {}
    modules = dict(model.named_modules())
    own = modules.keys() - _used_again(network)
    nodes = {name: data for name, data in graph.nodes(data=True) if name in own}
    assert nodes, "no layer of the graph is a module"
    layers = {node.name: node.layer for node in network.all_nodes()}
    flops = {k.partition(".")[2]: sum(v.values()) for k, v in counter.get_flop_counts().items()}
    ends = {network.node(number).name for number in network.outputs.values()}
    live = ends.union(*(nx.ancestors(graph, end) for end in ends))
    for name, data in nodes.items():
        if name not in seen:
            assert name not in live, name
            continue
        inputs, made = seen[name]
        assert made[1:] in _written(data, data["kind"]), name
        edges = [
            (s, e)
            for s, _, e in graph.in_edges(name, data=True)
            if graph.nodes[s]["kind"] not in ("index", "mask input")
        ]
        given = [{**graph.nodes[source], **edge} for source, edge in edges]  # in no order
        assert any(_enters(inputs, value, data) for value in given), name
        assert sum(p.numel() for p in modules[name].parameters()) == data["params"], name
        assert flops.get(name, 0) // 2 == data["macs"] + zeros(layers[name]) - unread(name, layers[name], seen), name
    assert sum(p.numel() for p in model.parameters()) == arch.params
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == arch.tensors
    idle = sum(nodes[name]["macs"] for name in nodes.keys() - seen.keys())
    # Of a stage that nothing reads all is computed; else the further uses of a module that nothing reads are left out.
    again = [node for node in network.all_nodes() if node.is_shared and node.name not in live]
    idle += sum(graph.nodes[n.name]["macs"] for n in again if _module(n) in live or _module(n) not in seen)
    idle += sum(unread(name, layers[name], seen) for name in seen.keys() & nodes.keys())
    weighted = sum(interpolation(node) for node in network.all_nodes() if node.name in live)
    filled = weighted + sum(zeros(layers[name]) for name in seen.keys() & nodes.keys())
    assert counter.get_total_flops() // 2 == arch.macs - idle + filled
    cost = arch.cost()
    for head, last in ((head, network.node(number)) for head, number in network.outputs.items()):
        given = output[head] if head else output
        if last.shape.token:
            assert [given.shape[1:]] == _written(graph.nodes[last.name]), "the output"
        else:
            assert list(given.shape[1:]) == (cost["output"][f"logits.{head}"] if head else cost["output"])
    rows = {".".join(p for p in (r["path"], r["name"]) if p): tuple(r["shape"]) for r in cost["stages"]}
    for part in network.regions:
        if isinstance(part, PathStart | Featured) and part.name in rows:
            shape = network.node(part.exit).shape
            assert rows[part.name] == shape.shape, part.name
        if isinstance(part, Featured) and with_features:
            _assert_features(part.name, network.node(part.exit).shape, features)


def _uncounted(network: Network) -> tuple[str, ...]:
    """Passes of attention whose further channels no paper counts; without any, the module is that of `source()`."""
    attends = any(node.layer.kind == "attention" for node in network.all_nodes())
    return ("distances", "masks") if attends else ()


def _enters(entering: torch.Size, value: dict[str, Any], layer: dict[str, Any]) -> bool:
    """Tell whether the tensor that enters a module can be a value of the graph."""
    if layer["attributes"].get("padding", "half") in ("half", "valid"):
        return entering[1:] in _written(value, layer["kind"])
    sizes = zip(entering[2:], value["shape"][1:], strict=True)  # it may be padded before
    return entering[1] == value["shape"][0] and all(a >= b for a, b in sizes)


def _assert_features(name: str, shape: Grid, features: dict[str, torch.Tensor]) -> None:
    """The grid of a stage, and beside it each kind of tokens that it has."""
    assert features[name].shape == (BATCH, *shape.shape), name
    one = (BATCH, shape.channels, *([shape.t] if shape.token == "frame" else []))
    for kind, number in shape.tokens.kinds:
        assert features[f"{name}.{kind}"].shape == (one if number == 1 else (*one, number)), name
    assert "token" in shape.tokens.names or f"{name}.token" not in features, name


def zeros(layer: Any) -> int:
    """The multiply-adds of zeros that bring queries, keys and values of attention to one width; papers have none."""
    if layer.kind != "attention" or not layer.softmax or layer.cap:
        return 0
    d, e = layer.widths
    if layer.form == "band" and not has_token_lines(layer.lines):
        return (macs(layer) - sum(a.macs() for a in layer.lines.applications)) // (d + e) * abs(d - e)
    if layer.form not in ("whole", "axes", "windows"):
        return 0
    return layer.geometry.pairs * layer.heads * abs(d - e)


def unread(name: str, layer: Any, seen: Collection[str]) -> int:
    """The multiply-adds of layers in the lines of an attention that are not computed, as no line reads their values."""
    lines = layer.lines.applications if layer.kind == "attention" else ()
    return sum(a.macs() for a in lines if a.weights() and f"{name}.{a.name}" not in seen)


def interpolation(node: Any) -> int:
    """The multiply-adds that weight rows, then columns of a grid, which papers do not count: those of boxes."""
    if node.layer.kind != "roi_align":
        return 0
    x, y = node.input_shapes[0], node.shape
    sizes = [(1, *x.shape), (1, y.t, y.h, x.h), (1, y.t, y.w, x.w)]
    grid, rows, columns = (torch.empty(tuple(map(int, size)), device="meta") for size in sizes)
    with FlopCounterMode(display=False) as counter:  # no product is computed along an axis of 1
        torch.einsum("bcnyw,bnxw->bcnyx", torch.einsum("bcthw,bnyh->bcnyw", grid, rows), columns)
    return counter.get_total_flops() // 2


def _watch(model: torch.nn.Module) -> dict[str, tuple[torch.Size, torch.Size]]:
    seen: dict[str, tuple[torch.Size, torch.Size]] = {}

    def hook(name: str) -> Any:
        def note(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen.setdefault(name, (inputs[0].shape if inputs else torch.Size(), output.shape))

        return note

    for name, module in model.named_modules():
        if name:  # the whole of several heads gives no one tensor
            module.register_forward_hook(hook(name))
    return seen


def _written(value: Any, kind: str = "") -> list[torch.Size]:
    """Shapes in which a module may write a value of a graph, which perhaps has tokens; without the batch.

    What lies between layers has its channels first. Layers of a `kind` that works on single numbers take either way.
    """
    c, t, h, w = (int(n) for n in value["shape"])
    if value["token"]:
        n = sum(value["tokens"].values())
        return [torch.Size((n + t * h * w, c) if value["token"] == "clip" else (t, n + h * w, c))]
    first, last = torch.Size((c, t, h, w)), torch.Size((t, h, w, c))
    ways = [first] if kind in FIRST or not kind else [last] if kind in LAST else [first, last]
    return [*ways, torch.Size((c,))] if t == h == w == 1 else ways


def assert_imports_are_used(source: str) -> None:
    """A layer's code may need an import in one setting and not in another."""
    tree = ast.parse(source)
    bound = {a.asname or a.name for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    assert bound - {"annotations"} <= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {"Tensor"}


def _used_again(network: Network) -> set[str]:
    """The names of modules that compute several layers."""
    return {_module(node) for node in network.all_nodes() if node.is_shared}


def _module(node: Node) -> str:
    """The name of the module that computes a layer, which it may share with another one."""
    names = [node.shares or node.label]
    for region in around(node.region):
        own = region.shares if isinstance(region, Block) else ""
        names.append(own or getattr(region, "label", "") or ("" if isinstance(region, Block) else region.name))
    return ".".join(name for name in reversed(names) if name)
