"""Comparison of two networks by name: parameters, inputs, stages, layers, tensors, cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from archdsl.analysis.cost import Cost, Row, cost_rows, node_cost, total_cost
from archdsl.analysis.export import plain_values
from archdsl.core.changes import CHANGED, GONE, NEW, SAME
from archdsl.core.grid import Grid
from archdsl.core.values import Symbol, written
from archdsl.ir.regions import Fusion, around
from archdsl.ir.tensors import own_tensors, tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from archdsl.ir.network import Network, Node

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """An item of two networks by its name, with its value in each; None where a network lacks it."""

    name: str
    base: T | None
    arch: T | None

    @property
    def status(self) -> str:
        """`new`, `gone`, `changed` or `same`."""
        if self.base is None:
            return NEW
        if self.arch is None:
            return GONE
        return SAME if self.base == self.arch else CHANGED


@dataclass(frozen=True)
class Input:
    """An input of a network: its kind (video or frame indices), the position of its argument, and its shape."""

    kind: str
    place: int
    shape: Grid


@dataclass(frozen=True)
class LayerForm:
    """The compared properties of a layer, without its name.

    `inputs` names the layers whose outputs it reads. If the networks do not have the same layers, the stage or block
    that ends in such a layer is named instead, so that an added block changes nothing after its stage.
    """

    kind: str
    attributes: Mapping[str, object]
    frozen: bool  # its weights are not trained
    frozen_members: tuple[str, ...]  # what its own lines freeze
    inputs: tuple[str, ...]
    shape: Grid
    tensors: Mapping[str, tuple[int, ...]]
    cost: Cost
    fuses: bool = field(default=False, compare=False)  # a lateral with its path


@dataclass(frozen=True)
class Summary:
    """Totals of one of the networks; `output` names the layer whose value the network returns."""

    name: str
    cost: Cost
    output: str


@dataclass(frozen=True, repr=False)
class Difference:
    """Comparison of two networks by name; entries are in the order of data flow and include unchanged items.

    `parameters` are the parameters of the specs, with values as text that `--set` accepts. `stages` are the rows of a
    cost table; their names begin with the path: `slow.res3`. Shapes are (C, T, H, W).
    """

    base: Summary
    arch: Summary
    parameters: tuple[Entry[str], ...]
    inputs: tuple[Entry[Input], ...]
    stages: tuple[Entry[Row], ...]
    layers: tuple[Entry[LayerForm], ...]
    tensors: tuple[Entry[tuple[int, ...]], ...]

    @property
    def differ(self) -> bool:
        """True if the networks differ; spec parameters without an effect on the network do not count."""
        rows = (self.inputs, self.stages, self.layers, self.tensors)
        return any(e.status != SAME for entries in rows for e in entries) or self.base.output != self.arch.output

    def __repr__(self) -> str:
        counts: list[str] = []
        for name in ("parameters", "inputs", "stages", "layers", "tensors"):
            entries: tuple[Entry[Any], ...] = getattr(self, name)
            by_status = Counter(e.status for e in entries)
            texts = [f"{by_status[status]:,} {status}" for status in (CHANGED, NEW, GONE) if by_status[status]]
            counts += [f"{name}: {', '.join(texts)}"] if texts else []
        names = f"{self.base.name} and {self.arch.name}"
        return f"<Difference of {names}; {'; '.join(counts) or 'the two networks are the same'}>"

    def __str__(self) -> str:
        from archdsl.analysis.difference_table import difference_table
        from archdsl.core.table import as_text

        return as_text(difference_table(self))

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from archdsl.analysis.difference_table import difference_table
        from archdsl.core.table import as_html

        return as_html(difference_table(self))


def compare(
    base: Network, arch: Network, base_parameters: Mapping[str, Any], arch_parameters: Mapping[str, Any]
) -> Difference:
    """Compare two networks by name, and the parameter values of their specs. They may have no name in common."""
    texts = [{name: written(v) for name, v in p.items()} for p in (base_parameters, arch_parameters)]
    same_layers = {n.name for n in base.all_nodes()} == {n.name for n in arch.all_nodes()}
    return Difference(
        _summary(base),
        _summary(arch),
        _entries(texts[0], texts[1]),
        _entries(_inputs(base), _inputs(arch)),
        _entries(_stages(base), _stages(arch)),
        _entries(_layers(base, exact=same_layers), _layers(arch, exact=same_layers)),
        _entries(tensors(base), tensors(arch)),
    )


def _entries(base: Mapping[str, T], arch: Mapping[str, T]) -> tuple[Entry[T], ...]:
    """Merge two mappings by name, in the order of the base; a new name follows its predecessor in `arch`."""
    after: dict[str, list[str]] = {}
    last = ""
    for name in arch:
        if name in base:
            last = name
        else:
            after.setdefault(last, []).append(name)
    names = [*after.get("", ()), *(n for known in base for n in (known, *after.get(known, ())))]
    return tuple(Entry(name, base.get(name), arch.get(name)) for name in names)


def _summary(network: Network) -> Summary:
    return Summary(network.name, total_cost(network), ", ".join(network.node(n).name for n in network.outputs.values()))


def _inputs(network: Network) -> dict[str, Input]:
    inputs: dict[str, Input] = {}
    for place, (name, number) in enumerate(network.inputs.items()):
        node = network.node(number)
        inputs[name] = Input(node.layer.kind, place, _plain(node.shape))
    return inputs


def _stages(network: Network) -> dict[str, Row]:
    stages: dict[str, Row] = {}
    for row in cost_rows(network):
        name = ".".join(part for part in (row.path, row.name) if part)
        before = stages[name].cost if name in stages else Cost()
        stages[name] = Row(row.name, row.path, row.shape, before + row.cost)
    return stages


def _layers(network: Network, *, exact: bool) -> dict[str, LayerForm]:
    sources = None if exact else _Sources(network)
    layers: dict[str, LayerForm] = {}
    for node in network.all_nodes():
        layer, own = node.layer, own_tensors(node)
        producers = [network.node(n) for n in node.inputs]
        names = tuple(p.name if sources is None else sources.name(p, node) for p in producers)
        frozen = bool(own) and node.is_frozen
        values = {k: written(v) if isinstance(v, Symbol) else v for k, v in plain_values(layer).items()}
        cost, fuses = node_cost(node), isinstance(node.region.top, Fusion)
        held = tuple(node.frozen_members)
        layers[node.name] = LayerForm(layer.kind, values, frozen, held, names, _plain(node.shape), own, cost, fuses)
    return layers


class _Sources:
    """Names of values: the name of the outermost region that ends in a value, if this name is unambiguous."""

    def __init__(self, network: Network) -> None:
        self._values: dict[str, set[int]] = {}  # the values that each name can denote
        for node in network.all_nodes():
            self._values.setdefault(node.name, set()).add(node.id)
            for region in around(node.region):
                if region.name and region.exit >= 0:
                    self._values.setdefault(region.name, set()).add(region.exit)

    def name(self, producer: Node, reader: Node) -> str:
        """Return the name of the value of `producer` as an input of `reader`: a region's name, or else the layer's."""
        result = producer.name
        inside = set(around(reader.region))
        for region in around(producer.region):
            if region.exit != producer.id or region in inside:
                break
            if self._values.get(region.name) == {producer.id}:
                result = region.name
        return result


def _plain(grid: Grid) -> Grid:
    """Return a shape with plain integers in place of symbolic sizes."""
    c, t, h, w = map(int, grid.shape)
    return Grid(c, t, h, w, grid.tokens)


# --- as plain data ---------------------------------------------------------------------------------------------------


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as JSON data, with the values of every entry in both networks."""
    base, arch = difference.base, difference.arch
    return {
        "differ": difference.differ,
        "base": _summary_json(base),
        "arch": _summary_json(arch),
        "ratio": {
            "params": _ratio(base.cost.params, arch.cost.params),
            "macs": _ratio(base.cost.macs, arch.cost.macs),
            "activations": _ratio(base.cost.activations, arch.cost.activations),
        },
        "parameters": _entries_json(difference.parameters, str),
        "inputs": _entries_json(difference.inputs, _input_json),
        "stages": _entries_json(difference.stages, _stage_json),
        "layers": _entries_json(difference.layers, _layer_json),
        "tensors": _entries_json(difference.tensors, list),
    }


def _entries_json(entries: Iterable[Entry[T]], side: Callable[[T], Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": e.name,
            "status": e.status,
            "base": None if e.base is None else side(e.base),
            "arch": None if e.arch is None else side(e.arch),
        }
        for e in entries
    ]


def _ratio(base: int, arch: int) -> float | None:
    return arch / base if base else None


def _summary_json(side: Summary) -> dict[str, Any]:
    return {"name": side.name, **_cost_json(side.cost), "output": side.output}


def _cost_json(cost: Cost) -> dict[str, int]:
    return {"params": cost.params, "macs": cost.macs, "activations": cost.activations}


def _input_json(side: Input) -> dict[str, Any]:
    return {"kind": side.kind, "place": side.place, "shape": list(side.shape.shape), "token": side.shape.token}


def _stage_json(side: Row) -> dict[str, Any]:
    return {"stage": side.name, "path": side.path or None, "shape": list(side.shape), **_cost_json(side.cost)}


def _layer_json(side: LayerForm) -> dict[str, Any]:
    return {
        "kind": side.kind,
        "attributes": dict(side.attributes),
        "frozen": side.frozen,
        "frozen_members": list(side.frozen_members),
        "inputs": list(side.inputs),
        "shape": list(side.shape.shape),
        "token": side.shape.token,
        "tokens": dict(side.shape.tokens.kinds),
        "tensors": {name: list(shape) for name, shape in side.tensors.items()},
        **_cost_json(side.cost),
    }
