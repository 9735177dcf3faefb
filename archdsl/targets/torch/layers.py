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
    TemplateError,
    TemplateNotFound,
)

from archdsl.core.cache import cache_folder
from archdsl.core.diagnostics import LayerError
from archdsl.layers import extra_folders
from archdsl.layers.base import Layer, Use
from archdsl.resources import resource
from archdsl.targets.torch.body import Step
from archdsl.targets.torch.fit import is_primary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from archdsl.core.grid import Grid
    from archdsl.graph.model import Node
    from archdsl.targets.torch.constructor import Constructor


_DEFINED = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
_WHOLE_ARGUMENT = re.compile(r"(?<=[(\[,])\s*@\s*(?=[),\]])")


class LazyShape:
    """A shape whose numbers are resolved for all units of a class when a plan asks for them."""

    def __init__(self, shapes: Sequence[Grid], constructor: Constructor) -> None:
        self._shapes = shapes
        self._constructor = constructor

    def __getattr__(self, name: str) -> Any:
        values = [getattr(s, name) for s in self._shapes]
        return self._constructor.resolve(values, name) if isinstance(values[0], (int, tuple)) else values[0]


def environment() -> Environment:
    """Jinja with the templates of the package and of the user's own layers. A name that a plan lacks is an error."""
    cache = cache_folder()
    own = FileSystemLoader([str(p) for p in extra_folders()])
    templates = resource("templates")
    loader = ChoiceLoader([FileSystemLoader(str(templates)), FileSystemLoader(str(templates / "layers")), own])
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
        self.support: dict[str, str] = {}  # functions and classes, and the names that they have got

    def defined(self, layers: Iterable[Layer]) -> set[str]:
        """The functions and classes that the code of some layers brings along."""
        found: set[str] = set()
        loader: Any = self.environment.loader
        for kind in {layer.kind for layer in layers}:
            with suppress(TemplateNotFound):
                source, _, _ = loader.get_source(self.environment, f"{kind}.py.j2")
                found.update(_DEFINED.findall(source))
        return found

    def at(self, nodes: Sequence[Node], constructor: Constructor) -> PrintedLayer:
        """One layer, for all the units that share a class."""
        first = nodes[0]
        layer = self._resolved(nodes, constructor)
        inputs = tuple(LazyShape([n.input_shapes[k] for n in nodes], constructor) for k in range(len(first.inputs)))
        output = LazyShape([n.shape for n in nodes], constructor)
        shapes = cast("tuple[Grid, ...]", inputs), cast("Grid", output)  # to a plan, they are no different
        plan = layer.plan(Use(*shapes, first.layout, first.inplace))
        return self.printed(layer, {k: constructor.code(v) for k, v in plan.items()}, first.label)

    def printed(self, layer: Layer, plan: dict[str, Any], label: str) -> PrintedLayer:
        """The code of a plan. Raises LayerError if the template asks for what the plan has not."""
        try:
            template = self.environment.get_template(f"{layer.kind}.py.j2")
            made: Any = template.make_module({**plan, "layer": f"self.{label}"})
            rename = self._supported(str(made.support()).strip()) if hasattr(made, "support") else str
            module = rename(_one_line(made.module())) if layer.module else ""
            probe = str(made.apply(*["@"] * (2 if layer.many else 1)))  # a fault of the template shows here
        except (TemplateError, AttributeError) as error:
            raise LayerError(f"the template {layer.kind}.py.j2 of the layer `{layer.kind}`: {error}") from error
        self.imports.update(layer.imports)
        repeats = probe.count("@") > (2 if layer.many else 1)
        bare = len(_WHOLE_ARGUMENT.findall(probe)) < probe.count("@")  # it stands beside an operator

        def apply(texts: Sequence[str]) -> str:
            return rename(_one_line(made.apply(*(f"({t})" if bare and not is_primary(t) else t for t in texts))))

        return PrintedLayer(label, module, apply, repeats)

    def _supported(self, text: str) -> Callable[[str], str]:
        """Keeps a function or class that code needs. Gives what renames it there, if another has its name already."""
        name = _DEFINED.findall(text)[0]
        if text not in self.support:
            names = (name, *(f"{name}{i}" for i in range(2, 1000)))
            self.support[text] = next(n for n in names if n not in self.support.values() and n not in self.taken)
        chosen = self.support[text]
        return (lambda code: re.sub(rf"\b{name}\b", chosen, code)) if chosen != name else str

    def supporting(self) -> list[str]:
        """The functions and classes that the printed code needs, under the names that it uses."""
        return [re.sub(rf"\b{_DEFINED.findall(t)[0]}\b", name, t, count=1) for t, name in self.support.items()]

    @staticmethod
    def _resolved(nodes: Sequence[Node], constructor: Constructor) -> Layer:
        layer = nodes[0].layer
        if not layer.attributes:
            return layer
        values = [n.layer.values() for n in nodes]
        return type(layer)(**{k: constructor.resolve([v[k] for v in values], _hint(nodes[0], k)) for k in values[0]})


class PrintedLayer:
    """A layer's constructor call and its application, whose text may name its input more than once."""

    def __init__(self, label: str, module: str, apply: Callable[[Sequence[str]], str], repeats: bool) -> None:
        self.label, self.module, self.apply, self.repeats = label, module, apply, repeats

    def step(self, node: Node) -> Step:
        """The application at a node."""
        return Step(node.id, node.inputs, self.apply, node.layer.heavy, repeats_operand=self.repeats)


def _hint(node: Node, attribute: str) -> str:
    """A name for a number that no parameter of a block explains."""
    alone = node.label == node.layer.kind
    return attribute if alone and node.layer.heavy else f"{node.label}_{attribute}"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
