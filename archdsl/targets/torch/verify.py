"""Verification of modules with added layers, on torch's meta device: shapes and tensors as in the graph.

The only file of the compiler that imports torch, and only networks with added layers come here: the layers of archdsl
are held against the graph by its own tests.
"""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, cast

import torch

from archdsl.core.diagnostics import Note
from archdsl.core.grid import FRAME, NO_TOKENS
from archdsl.ir.regions import Featured
from archdsl.ir.tensors import own_tensors
from archdsl.layers.added_faults import error_text, layer_error
from archdsl.targets.torch.layers import LayerPrinter
from archdsl.targets.torch.ops.layouts import BOX_GRIDS, BOX_VECTORS, CHANNELS_LAST, GRID, TOKENS, VECTOR
from archdsl.targets.torch.ops.sites import CallSite
from archdsl.targets.torch.passes.layouts import layout_of_output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.core.diagnostics import LayerError
    from archdsl.core.grid import Grid
    from archdsl.ir.network import Network
    from archdsl.layers.base import Layer
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.select import OpNetwork, OpNode

BATCH = 2
META, CPU = "meta", "cpu"


def verify(network: Network, lowered: OpNetwork, text: str) -> None:
    """Hold the module of a network with added layers against its graph, each of these layers by itself first.

    Raises:
        LayerError: if a layer, or the module, has other tensors or other outputs than the graph says, or fails.
    """
    seen: set[Any] = set()
    layers = [(node, layer) for node in lowered.all_nodes() for layer in (node.layer, *node.layer.layers_inside())]
    added = [(node, layer) for node, layer in layers if layer.added_by]
    for node in (node for node, layer in added if layer is node.layer):
        values = tuple(node.layer.values().items())
        key = (type(node.layer), values, node.input_shapes, node.layout, node.inplace)
        if key not in seen:
            seen.add(key)
            verify_layer(node)
    _verify_module(network, text, added)


def verify_layer(node: OpNode) -> None:
    """Hold one added layer at its place against what it declares."""
    layer, shapes = node.layer, node.input_shapes
    alone = build_alone(node.op, CallSite(shapes, node.shape, node.layout, node.inplace))
    fault = tensor_fault(alone, node.op)
    if fault:
        raise _fault(layer, f"{layer.kind}{_on(shapes)}: {fault[0]}", fault[1])
    output = run_anywhere(layer, alone, node)
    wanted = tensor_shape(node.shape, node.op.output_layout(node.layout))
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if output is not None and found != wanted:
        label = f"`infer` says {node.shape}{_on(shapes)}, a tensor of {_size(wanted)} in the layout `{node.layout}`; "
        label += f"the code gives {_size(found) if isinstance(found, tuple) else f'a {found}'}"
        hint = f"correct `infer` or the template; the input is {_size(tensor_shape(shapes[0], node.layout))}"
        raise _fault(layer, label, hint)


def build_alone(op: Op[Layer], site: CallSite, device: str = META) -> torch.nn.Module:
    """Return a module of one layer."""
    text = LayerPrinter().alone(op, site)
    try:
        return _made(text, "Alone", device)
    except Exception as error:
        raise _failed(op.layer, text, "cannot be built", error) from error


def tensor_fault(alone: torch.nn.Module, op: Op[Layer]) -> tuple[str, str] | None:
    """Return in which tensor a module of one layer is not what it declares, and what to do; None if it is the same."""
    layer, shapes = op.layer, op.inputs
    declared = [
        ("weights", "parameter", layer.weights(*shapes), dict(alone.named_parameters())),
        ("buffers", "buffer", layer.buffers(*shapes), _buffers(alone)),
    ]
    for method, word, wanted, tensors in declared:
        there = {name.removeprefix("layer."): tuple(t.shape) for name, t in tensors.items()}
        says = {name: tuple(map(int, shape)) for name, shape in wanted.items()}
        for name in [*says, *(n for n in there if n not in says)]:
            if says.get(name) != there.get(name):
                found = f"is {_size(there[name])} in the module" if name in there else "is not in the module"
                declares = f"is {_size(says[name])} in `{method}`" if name in says else f"is not in `{method}`"
                return f"the {word} `{name}` {found} and {declares}", f"correct `{method}` or the template"
    modules: dict[str, torch.nn.Module] = dict(cast("Any", alone.named_modules()))
    for name, kind in op.submodule_classes().items():
        inner = modules.get(".".join(n for n in ("layer", name) if n))
        if inner is None or not _is_a(inner, kind):
            found = "nothing" if inner is None else type(inner).__name__
            return (
                f"`parts` says {kind} for {name or 'the module'!r}; it is {found}",
                "correct `parts` or `torch_class`",
            )
    return None


def run_anywhere(layer: Layer, alone: torch.nn.Module, node: OpNode) -> Any:
    """Return the output of a layer without values; None if torch can give none without computing."""
    use = CallSite(node.input_shapes, node.shape, node.layout, node.inplace)
    inputs = [torch.empty(tensor_shape(x, node.layout), device=META) for x in node.input_shapes]
    try:
        return alone(*inputs)
    except Exception as error:
        if not _needs_values(error):
            raise _failed(layer, "", f"fails{_on(node.input_shapes)} in the layout `{node.layout}`", error) from error
    alone = build_alone(node.op, use, CPU)
    with torch.no_grad():
        return run(layer, alone, [torch.randn(i.shape) for i in inputs], node.layout)


def run(layer: Layer, alone: torch.nn.Module, inputs: Sequence[torch.Tensor], layout: str) -> Any:
    """Return what a module of one layer gives.

    Raises:
        LayerError: if it fails.
    """
    try:
        return alone(*inputs)
    except Exception as error:
        sizes = " and ".join(_size(tuple(i.shape)) for i in inputs)
        raise _failed(layer, "", f"fails on {sizes} in the layout `{layout}`", error) from error


def tensor_shape(grid: Grid, layout: str, batch: int = BATCH) -> tuple[int, ...]:
    """Return the shape of the tensor that holds a grid in a layout."""
    c, t, h, w = map(int, grid.shape)
    if grid.token and layout == TOKENS:
        n = grid.tokens.number
        return (batch, t, n + h * w, c) if grid.token == FRAME else (batch, n + t * h * w, c)
    if layout in (CHANNELS_LAST, TOKENS):
        return batch, t, h, w, c
    sizes = {VECTOR: (c,), BOX_VECTORS: (t, c), BOX_GRIDS: (t, c, h, w)}
    return (batch, *sizes.get(layout, (c, t, h, w)))


# --- the whole module ---


def _verify_module(network: Network, text: str, added: Sequence[tuple[OpNode, Layer]]) -> None:
    first, kinds = added[0][1], sorted({f"`{layer.kind}`" for _, layer in added})
    what = f"the module of `{network.name}`, with {', '.join(kinds)},"
    try:
        model = _made(text, network.name, META)
    except Exception as error:
        raise _failed(first, text, f"{what} cannot be built", error) from error
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for node, layer in added:
        for name, shape in own_tensors(node).items():
            found = state.get(f"{node.name}.{name}")
            if found != shape:
                there = "is not there" if found is None else f"is {_size(found)}"
                label = f"{what} differs from the graph: `{node.name}.{name}` {there}, and {_size(shape)} in `weights`"
                raise _fault(layer, label, "archdsl layers check FILE looks at the layer by itself")
    clips = [torch.empty(BATCH, *shape, device=META) for shape in network.arguments.values()]
    with suppress(NotImplementedError):
        try:
            features, output = model.forward_features(*clips), model(*clips)
        except Exception as error:
            if _needs_values(error):
                raise NotImplementedError from error
            raise _failed(first, text, f"{what} fails", error) from error
        _compare_outputs(network, features, output, first, what)


def _compare_outputs(network: Network, features: Any, output: Any, layer: Layer, what: str) -> None:
    found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for name, number in network.outputs.items():
        last = network.node(number).shape
        layout = layout_of_output(network, number)
        own = output[name] if name else output
        found[f"the output `{name}`" if name else "the output"] = tuple(own.shape), tensor_shape(last, layout)
    for part in network.regions:
        if isinstance(part, Featured):
            grid = network.node(part.exit).shape
            found[part.name] = tuple(features[part.name].shape), tensor_shape(grid._replace(tokens=NO_TOKENS), GRID)
    for name, (shape, wanted) in found.items():
        if shape != wanted:
            label = f"{what} differs from the graph: {name} is {_size(shape)}, and {_size(wanted)} in it"
            raise _fault(layer, label, "archdsl layers check FILE looks at the layer by itself")


# --- both ---


def _made(text: str, name: str, device: str) -> Any:
    module = types.ModuleType("archdsl_verified")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, _GENERATED, "exec"), module.__dict__)  # printed by us
        with torch.device(device):
            return module.__dict__[name]()
    finally:
        del sys.modules[module.__name__]


_GENERATED = "<generated>"


def _buffers(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the buffers that a checkpoint holds."""
    parameters = dict(module.named_parameters())
    return {name: t for name, t in module.state_dict().items() if name not in parameters}


def _is_a(module: torch.nn.Module, kind: str) -> bool:
    return kind.rpartition(".")[2] in {cls.__name__ for cls in type(module).__mro__}


def _needs_values(error: Exception) -> bool:
    """Return whether an operation is only possible with values, which the meta device has not."""
    return isinstance(error, NotImplementedError) or "meta" in str(error).lower()


def _failed(layer: Layer, text: str, what: str, error: Exception) -> LayerError:
    frames = [f.lineno for f in extract_tb(error.__traceback__) if f.filename == _GENERATED and f.lineno]
    lines = text.split("\n")
    notes = [Note(f"at `{lines[frames[-1] - 1].strip()}`")] if frames and text else []
    hint = "a name that the code needs is imported by `imports`" if isinstance(error, NameError) else ""
    label = what if what.startswith("the module") else f"`{layer.kind}` {what}"
    return layer_error(
        "E0908", layer.added_by, f"{label}: {error_text(error)}", line=class_line(layer), notes=notes, hint=hint
    )


def _fault(layer: Layer, label: str, hint: str) -> LayerError:
    return layer_error("E0908", layer.added_by, label, line=class_line(layer), hint=hint)


def class_line(layer: Layer) -> int:
    """Return the line of a layer's class in its file."""
    import inspect

    find: Callable[..., Any] = inspect.getsourcelines
    with suppress(OSError, TypeError):
        lines, first = find(type(layer))
        return next((n for n, line in enumerate(lines, start=first) if line.startswith("class ")), first)
    return 0


def _on(shapes: Sequence[Grid]) -> str:
    return f" on {' and '.join(map(str, shapes))}" if shapes else ""


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "a single number"
