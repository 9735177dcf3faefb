"""A generated module on torch's meta device against what the graph predicts, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from archdsl import Architecture

BATCH = 2


def assert_as_predicted(arch: Architecture) -> None:
    """Shapes, parameters and multiply-adds of every node, the features of every stage, and the totals."""
    graph = arch.graph
    with torch.device("meta"):
        model = arch.build()
        clips = [torch.empty(BATCH, *d["shape"]) for _, d in graph.nodes(data=True) if d["kind"] == "input"]
        seen = _watch(model)
        counter = FlopCounterMode(display=False)
        with counter:
            output = model(*clips)
        features = model.forward_features(*clips)
    nodes = {name: data for name, data in graph.nodes(data=True) if name in dict(model.named_modules())}
    assert nodes, "no layer of the graph is a module"
    flops = {k.partition(".")[2]: sum(v.values()) for k, v in counter.get_flop_counts().items()}
    for name, data in nodes.items():
        inputs, made = seen[name]
        module = model.get_submodule(name)
        assert data["shape"] in _as_grids(made, module), name
        [(_, _, edge)] = list(graph.in_edges(name, data=True))
        if data["attributes"].get("padding") == "same":  # it may be padded before
            assert inputs[1] == edge["shape"][0], name
            assert all(a >= b for a, b in zip(inputs[2:], edge["shape"][1:], strict=True)), name
        else:
            assert edge["shape"] in _as_grids(inputs, module), name
        assert sum(p.numel() for p in model.get_submodule(name).parameters()) == data["params"], name
        assert flops.get(name, 0) // 2 // BATCH == data["macs"], name
    assert sum(p.numel() for p in model.parameters()) == arch.params
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == arch.tensors
    assert counter.get_total_flops() // 2 // BATCH == arch.macs
    cost = arch.cost()
    assert list(output.shape[1:]) == cost["output"]
    rows = {".".join(p for p in (r["path"], r["name"]) if p): r["shape"] for r in cost["stages"]}
    for name, value in features.items():
        if name in rows:
            assert rows[name] == list(_as_grids(value.shape, None)[0]), name


def _watch(model: torch.nn.Module) -> dict[str, tuple[torch.Size, torch.Size]]:
    seen: dict[str, tuple[torch.Size, torch.Size]] = {}

    def hook(name: str) -> Any:
        def note(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen.setdefault(name, (inputs[0].shape, output.shape))

        return note

    for name, module in model.named_modules():
        module.register_forward_hook(hook(name))
    return seen


def _as_grids(shape: torch.Size, module: torch.nn.Module | None) -> list[tuple[int, ...]]:
    """(C, T, H, W) of a tensor; layers that work on single numbers do so in either layout."""
    sizes = tuple(shape[1:])
    if len(sizes) == 1:
        return [(*sizes, 1, 1, 1)]
    last = (sizes[-1], *sizes[:-1])
    if isinstance(module, torch.nn.Linear) or type(module).__name__.startswith("Attention"):
        return [last]
    return [sizes, last] if isinstance(module, torch.nn.Dropout) else [sizes]
