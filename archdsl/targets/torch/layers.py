"""Layers as code: each layer's plan through its template."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
)

from archdsl.core.cache import cache_folder
from archdsl.core.grid import Grid
from archdsl.layers.base import Layer, Shared, Use
from archdsl.resources import resource
from archdsl.targets.torch.added import AddedTemplate, check_shared_plan
from archdsl.targets.torch.body import Step
from archdsl.targets.torch.fit import is_primary, reflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from archdsl.targets.torch.constructor import Constructor
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.select import OpNode


_DEFINED = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
_PARTS = re.compile(r"\n\n\n+(?=class |def |@)")  # where one function or class ends and another begins
_WHOLE_ARGUMENT = re.compile(r"(?<=[(\[,])\s*@\s*(?=[),\]])")


class LazyShape:
    """A shape whose numbers are resolved for all regions of a class when a plan asks for them."""

    def __init__(self, shapes: Sequence[Grid], constructor: Constructor) -> None:
        self._shapes = shapes
        self._constructor = constructor

    def __getattr__(self, name: str) -> Any:
        values = [getattr(s, name) for s in self._shapes]
        return self._constructor.resolve(values, name) if isinstance(values[0], (int, tuple)) else values[0]

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in Grid._fields)

    def __getitem__(self, index: int) -> Any:
        return list(self)[index]


def environment() -> Environment:
    """Return Jinja with the templates of the package. A name that a plan lacks is an error."""
    cache = cache_folder()
    templates = resource("templates")
    loader = ChoiceLoader([FileSystemLoader(str(templates)), FileSystemLoader(str(templates / "layers"))])
    made = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False, bytecode_cache=FileSystemBytecodeCache(str(cache)) if cache is not None else None,
    )  # fmt: skip
    made.filters["primary"] = _primary
    return made


def _primary(s: str) -> str:
    return s if is_primary(s) else f"({s})"


class LayerPrinter:
    """Prints layers, and remembers what their code needs besides."""

    def __init__(self) -> None:
        self.environment = environment()
        self.imports: set[str] = set()
        self.taken: set[str] = set()  # names that other classes of the module have
        self.renamed: dict[int, dict[str, str]] = {}  # what classes of a node's layer are called here
        self.support: dict[str, str] = {}  # functions and classes, and the names that they have got

    def defined(self, layers: Iterable[Layer]) -> set[str]:
        """The functions and classes that the code of some layers brings along."""
        found: set[str] = set()
        loader: Any = self.environment.loader
        for kind, layer in {layer.kind: layer for layer in layers}.items():
            if layer.added_by:
                found.update(_DEFINED.findall(AddedTemplate(layer, self.environment).source()))
                continue
            with suppress(TemplateNotFound):
                source, _, _ = loader.get_source(self.environment, f"{kind}.py.j2")
                found.update(_DEFINED.findall(source))
        return found

    def at(self, nodes: Sequence[OpNode], constructor: Constructor, place: str = "") -> PrintedLayer:
        """Print one layer, for all the regions that share a class. Its module is at `place`, else `self.label`."""
        first = nodes[0]
        op = first.op.of(self._resolved(nodes, constructor))
        inputs = tuple(LazyShape([n.input_shapes[k] for n in nodes], constructor) for k in range(len(first.inputs)))
        output = LazyShape([n.shape for n in nodes], constructor)
        shapes = cast("tuple[Grid, ...]", inputs), cast("Grid", output)  # to a plan, they are no different
        plan = op.variables(Use(*shapes, first.layout, first.inplace, first.input_shapes))
        if op.layer.added_by:
            check_shared_plan(nodes, plan, constructor)
        plan |= self._at(nodes, constructor)
        code = {k: constructor.code(v) for k, v in plan.items()}
        code["layer"] = place or f"self.{first.label}"
        printed = self.printed(op, code, first.label)
        self.renamed.update((n.id, printed.renamed) for n in nodes)
        return printed

    def alone(self, op: Op[Layer], use: Use) -> str:
        """Return a module of one layer: the class `Alone`, whose submodule is the layer, applied to its inputs.

        Raises:
            LayerError: if the layer or its template fails.
        """
        plan = op.variables(use)
        for key, value in op.shape_arguments().items():
            plan[key] = value
            if isinstance(value, Shared):
                plan[key] = f"{self.class_of(value)}({', '.join(map(str, value.arguments))})"
                plan[f"{key}_class"] = self.class_of(value, base=True)
        plan["layer"] = "self.layer"
        printed = self.printed(op, plan, "layer")
        names = [f"x{i}" for i in range(len(use.inputs))]
        lines = ["from __future__ import annotations", "import torch", "from torch import Tensor, nn", *self.imports]
        lines += self.supporting()
        lines += ["class Alone(nn.Module):", "    def __init__(self) -> None:", "        super().__init__()"]
        lines += [f"        self.layer = {printed.module}"] if printed.module else []
        lines += [f"    def forward(self, {', '.join(names)}):", f"        return {printed.apply(names)}", ""]
        return "\n".join(lines)

    def _at(self, nodes: Sequence[OpNode], constructor: Constructor) -> dict[str, Any]:
        """What follows from the places of a layer, and the classes of what it shares with others."""
        found: dict[str, Any] = {}
        places = [n.op.shape_arguments() for n in nodes]
        for key, first in places[0].items():
            found[key] = constructor.place([p[key] for p in places], key)
            if isinstance(first, Shared):
                found[f"{key}_class"] = self.class_of(first, base=True)
        return found

    def class_of(self, shared: Shared, *, base: bool = False) -> str:
        """The name of the class of a shared object, or of what it is derived from; its text is kept."""
        template = self.environment.get_template(shared.template)
        text = template.render(**dict(shared.options), name=shared.base if base else shared.name)
        name = shared.base if base else shared.name
        return self._supported(text.strip()).get(name, name)

    def printed(self, op: Op[Layer], plan: dict[str, Any], label: str) -> PrintedLayer:
        """Return the code of a plan. Raises LayerError if the template of an added layer fails."""
        layer, is_module = op.layer, op.is_module
        if layer.added_by:
            added = AddedTemplate(layer, self.environment)
            made: Any = added.macros(plan)
            support, module = added.support(made), added.module(made) if is_module else ""
            applied: Callable[..., str] = added.apply(made)
        else:
            made = self.environment.get_template(f"{layer.kind}.py.j2").make_module(plan)
            support = str(made.support()).strip() if hasattr(made, "support") else ""
            module = _one_line(made.module()) if is_module else ""
            applied = made.apply
        renamed = self._supported(support) if support else {}
        module = _renamed(module, renamed)
        probe = str(applied(*["@"] * (2 if layer.many else 1)))
        self.imports.update(op.imports)
        repeats = probe.count("@") > (2 if layer.many else 1)
        bare = len(_WHOLE_ARGUMENT.findall(probe)) < probe.count("@")  # it stands beside an operator

        def apply(texts: Sequence[str]) -> str:
            made_of = (f"({t})" if bare and not is_primary(t) else t for t in texts)
            return _renamed(_one_line(applied(*made_of)), renamed)

        return PrintedLayer(label, module, apply, repeats, renamed)

    def _supported(self, text: str) -> dict[str, str]:
        """Keeps functions and classes that code needs. Gives other names where another has theirs already."""
        renamed: dict[str, str] = {}
        for part in _PARTS.split(text):
            named = _renamed(reflow(part), renamed)
            name = _DEFINED.findall(part)[0]
            if named not in self.support:
                names = (name, *(f"{name}{i}" for i in range(2, 1000)))
                self.support[named] = next(n for n in names if n not in self.support.values() and n not in self.taken)
            if self.support[named] != name:
                renamed[name] = self.support[named]
        return renamed

    def supporting(self) -> list[str]:
        """The functions and classes that the printed code needs, under the names that it uses."""
        return [_renamed(text, {_DEFINED.findall(text)[0]: name}) for text, name in self.support.items()]

    @staticmethod
    def _resolved(nodes: Sequence[OpNode], constructor: Constructor) -> Layer:
        layer = nodes[0].op.layer
        if not layer.attributes:
            return layer
        columns = {k: [n.layer.values()[k] for n in nodes] for k in layer.attributes}
        is_rate = layer.category == "regularisation"
        return layer.changed(
            **{k: constructor.resolve(v, _hint(nodes[0], k), is_rate=is_rate) for k, v in columns.items()}
        )


class PrintedLayer:
    """A layer's constructor call and its application, whose text may name its input more than once."""

    def __init__(
        self, label: str, module: str, apply: Callable[[Sequence[str]], str], repeats: bool, renamed: dict[str, str]
    ) -> None:
        self.label, self.module, self.apply, self.repeats, self.renamed = label, module, apply, repeats, renamed

    def step(self, node: OpNode) -> Step:
        """The application at a node."""
        return Step(node.id, node.inputs, self.apply, node.op.is_heavy, repeats_operand=self.repeats)


def _renamed(code: str, names: dict[str, str]) -> str:
    for name, chosen in names.items():
        code = re.sub(rf"\b{name}\b", chosen, code)
    return code


def _hint(node: OpNode, attribute: str) -> str:
    """A name for a number that no parameter of a block explains."""
    alone = node.label == node.layer.kind
    return attribute if alone and node.layer.heavy else f"{node.label}_{attribute}"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
