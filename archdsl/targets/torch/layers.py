"""Layers as code: each layer's plan through its template."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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
from archdsl.core.names import declared
from archdsl.layers.base import REGULARISATION
from archdsl.resources import resource
from archdsl.targets.python.definitions import renamed
from archdsl.targets.python.printer import module_text, text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import (
    Assign,
    Class,
    Function,
    Leaf,
    Module,
    Name,
    Parameter,
    Precedence,
    Return,
    Verbatim,
    dotted,
    names,
)  # fmt: skip
from archdsl.targets.torch.added import AddedTemplate, check_imports, check_shared_plan
from archdsl.targets.torch.body import Step
from archdsl.targets.torch.class_names import camel
from archdsl.targets.torch.operands import Operand, primary
from archdsl.targets.torch.ops.sites import CallSite, SharedModule
from archdsl.targets.torch.support import Support, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from archdsl.layers.base import Layer
    from archdsl.targets.python.tree import Expr
    from archdsl.targets.torch.constructor import Constructor
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.ramps import Ramps
    from archdsl.targets.torch.select import OpNode


_TURNED = ".transpose(1, 2)"


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
    return _environment(resource("templates"), cache_folder())


@lru_cache(maxsize=1)
def _environment(templates: Path, cache: Path | None) -> Environment:
    """Return the same, once: it reads each template again only when that has changed."""
    loader = ChoiceLoader([FileSystemLoader(str(templates)), FileSystemLoader(str(templates / "layers"))])
    made = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False, bytecode_cache=FileSystemBytecodeCache(str(cache)) if cache is not None else None,
    )  # fmt: skip
    made.filters["primary"] = primary
    return made


class LayerPrinter:
    """Printer of layers, which collects the imports and definitions that their code needs."""

    def __init__(self) -> None:
        self.environment = environment()
        self.support = Support()
        self.imports = {"from torch.nn import functional as F"}  # lines that make names known
        self.names: set[str] = set()  # of those that are imported, which the code of layers reads
        self.roles: dict[str, dict[str, set[str]]] = {}  # of the uses of a layer in the network, with those by axes
        self.numbers: dict[object, dict[str, set[Any]]] = {}  # in the code of layers of one form, by name
        self.renamed: dict[int, dict[str, str]] = {}  # what classes of a node's layer are called here
        self.ramps: Ramps | None = None  # among the rates of the network

    def defined(self, nodes: Iterable[OpNode]) -> set[str]:
        """Return the functions and classes that the code of a network's layers may bring along, as templates declare.

        The roles of all uses are known from here on.
        """
        layers: list[Layer] = []
        for node in nodes:
            layers.append(node.layer)
            if node.is_shared:
                continue
            roles = self.roles.setdefault(node.layer.kind, {})
            roles.setdefault(node.op.role, set()).add(node.op.spanned_role)
            numbers = self.numbers.setdefault(_form(node.op), {})
            for name, value in node.op.numbers().items():
                numbers.setdefault(name, set()).add(value)
        found: set[str] = set()
        loader: Any = self.environment.loader
        for kind in {layer.written_as or layer.kind for layer in layers if not layer.added_by}:
            with suppress(TemplateNotFound):
                source, _, _ = loader.get_source(self.environment, f"{kind}.py.j2")
                found.update(declared(source))
        return found

    def at(self, nodes: Sequence[OpNode], constructor: Constructor, place: Expr | None = None) -> PrintedLayer:
        """Print one layer, for all the regions that share a class. Its module is at `place`, else `self.label`."""
        first = nodes[0]
        op = first.op.of(self._resolved(nodes, constructor))
        inputs = tuple(LazyShape([n.input_shapes[k] for n in nodes], constructor) for k in range(len(first.inputs)))
        output = LazyShape([n.shape for n in nodes], constructor)
        shapes = cast("tuple[Grid, ...]", inputs), cast("Grid", output)  # to a plan, they are no different
        site = CallSite(*shapes, first.layout, first.inplace)
        plan = op.variables(site)
        if op.layer.added_by:
            check_shared_plan(nodes, plan, constructor)
        plan |= self._at(nodes, constructor)
        code = {k: constructor.code(v) for k, v in plan.items()} | self._rates(op.layer, plan)
        code["layer"] = text(place or dotted(f"self.{first.label}"))
        code |= op.inside(self, site, code, constructor.code)
        inner: dict[str, str] = code.get("renamed", {})
        printed = self.printed(op, code, first.label, self._words(first, constructor))
        self.renamed.update((n.id, printed.renamed | inner) for n in nodes)
        return printed

    def _rates(self, layer: Layer, plan: dict[str, Any]) -> dict[str, Any]:
        """Return the rates of a layer of regularisation that are steps of a ramp, as code."""
        if layer.category != REGULARISATION or self.ramps is None:
            return {}
        return {k: text(self.ramps.tree(v, layer.kind)) for k, v in plan.items() if type(v) is float}

    def alone(self, op: Op[Layer], site: CallSite) -> str:
        """Return a module of one layer: the class `Alone`, whose submodule is the layer, applied to its inputs.

        Raises:
            LayerError: if the layer or its template fails.
        """
        plan = op.variables(site)
        for key, value in op.shape_arguments().items():
            plan[key] = value
            if isinstance(value, SharedModule):
                plan[key] = f"{self.class_of(value)}({', '.join(map(str, value.arguments))})"
                plan[f"{key}_class"] = self.class_of(value, base=True)
        plan["layer"] = "self.layer"
        printed = self.printed(op, plan, "layer")
        inputs = [Name(f"x{i}") for i in range(len(site.inputs))]
        output, _ = printed.apply(inputs)
        made = [Assign([dotted("self.layer")], printed.module)] if printed.module is not None else []
        init = Function("__init__", [Parameter("self")], None, [Verbatim("super().__init__()"), *made])
        forward = Function("forward", [Parameter("self"), *(Parameter(x.id) for x in inputs)], None, [Return(output)])
        imports = ["from __future__ import annotations", "import torch", "from torch import Tensor, nn", *self.imports]
        alone = Class("Alone", dotted("nn.Module"), [init, forward])
        return module_text(Module([Verbatim("\n".join(imports))], [*self.support.statements(), alone]))

    def _at(self, nodes: Sequence[OpNode], constructor: Constructor) -> dict[str, Any]:
        """Return the arguments that follow from the places of a layer, and the classes of shared modules."""
        found: dict[str, Any] = {}
        places = [n.op.shape_arguments() for n in nodes]
        for key, first in places[0].items():
            found[key] = constructor.place([p[key] for p in places], key)
            if isinstance(first, SharedModule):
                words = (self._role(nodes[0].op), *self._words(nodes[0], constructor))
                found[f"{key}_class"] = self.class_of(first, words, base=True)
                for shared in dict.fromkeys(p[key] for p in places):
                    self.class_of(shared, words)
        return found

    @staticmethod
    def _words(node: OpNode, constructor: Constructor) -> tuple[str, ...]:
        """Return words that may stand before the name of a class that a node's layer needs."""
        return (*constructor.words, camel(node.region.top.stage), camel(node.region.top.path))

    def class_of(self, shared: SharedModule, words: Sequence[str] = (), *, base: bool = False) -> str:
        """Return the name of the class of a shared object, or of what it is derived from; its text is kept.

        `words` may stand before the name, where the class is new.
        """
        template = self.environment.get_template(shared.template)
        code = template.render(**dict(shared.options), name=shared.base if base else shared.name)
        name = shared.base if base else shared.name
        return self._supported(code.strip(), Wanted(words=tuple(filter(None, words)))).get(name, name)

    def varying(self, op: Op[Layer]) -> set[str]:
        """Return the numbers in the code of an op, by name, that differ between the places of the network."""
        return {name for name, values in self.numbers.get(_form(op), {}).items() if len(values) > 1}

    def macros(self, template: str, variables: dict[str, Any]) -> Any:
        """Return the macros of a template as functions."""
        return self.environment.get_template(template).make_module(variables)

    def printed(self, op: Op[Layer], plan: dict[str, Any], label: str, words: Sequence[str] = ()) -> PrintedLayer:
        """Return the code of a plan; `words` may stand before the name of its class.

        Raises:
            LayerError: if the template of an added layer fails.
        """
        if op.layer.added_by:
            check_imports(op.layer, op.imports, self.imports)
        self.imports.update(op.imports)
        write = _added if op.layer.added_by else _bundled
        code = write(op.layer, plan, self.environment, op.is_module)
        wanted = Wanted(code.module.partition("(")[0], self._role(op), tuple(filter(None, words)))
        changed = self._supported(code.support, wanted) if code.support else {}
        module = renamed(code.module, changed)
        self.names |= code.names
        made = Leaf(module, Precedence.PRIMARY, code.names) if module else None
        return PrintedLayer(label, made, code, changed, turns=op.turns)

    def _role(self, op: Op[Layer]) -> str:
        """Return the word for what a layer does here, where the network has it in several roles.

        That is the role by the axes with more than one position, if these are the same in all uses of the role.
        """
        roles = self.roles.get(op.layer.kind, {})
        words = {role: min(spanned) if len(spanned) == 1 else role for role, spanned in roles.items()}
        if len(set(words.values())) < len(words):
            words = {role: role for role in roles}
        return camel(words.get(op.role, op.role)) if len(roles) > 1 else ""  # none, of one inside an attention

    def _supported(self, code: str, wanted: Wanted) -> dict[str, str]:
        """Keep functions and classes that code needs. Return other names for those whose names others have already."""
        changed = self.support.add(code, wanted)
        self.names |= self.support.names
        return changed

    @staticmethod
    def _resolved(nodes: Sequence[OpNode], constructor: Constructor) -> Layer:
        layer = nodes[0].op.layer
        if not layer.attributes:
            return layer
        columns = {k: [n.layer.values()[k] for n in nodes] for k in layer.attributes}
        is_rate = layer.training_only
        return layer.changed(
            **{k: constructor.resolve(v, _hint(nodes[0], k), is_rate=is_rate) for k, v in columns.items()}
        )


class _Code(NamedTuple):
    """The macros of a template, and what it declares of them."""

    module: str  # empty if there is none
    apply: Callable[..., str]
    support: str = ""
    precedence: Precedence = Precedence.PRIMARY  # of what `apply` gives
    names: frozenset[str] = frozenset()  # that the code reads, of those that are imported
    has_operators: bool = False  # whether its operands may stand beside operators without `primary`


def _bundled(layer: Layer, plan: dict[str, Any], environment: Environment, is_module: bool) -> _Code:
    made: Any = environment.get_template(f"{layer.written_as or layer.kind}.py.j2").make_module(plan)
    module = _one_line(made.module()) if is_module else ""
    support = str(made.support()).strip() if hasattr(made, "support") else ""
    precedence = Precedence[getattr(made, "precedence", "primary").upper()]
    return _Code(module, made.apply, support, precedence, frozenset(getattr(made, "uses", ())))


def _added(layer: Layer, plan: dict[str, Any], environment: Environment, is_module: bool) -> _Code:
    template = AddedTemplate(layer, environment)
    made: Any = template.macros(plan)
    support = template.support(made)
    module = template.module(made) if is_module else ""
    applied = template.apply(made)
    read = applied.names | (frozenset(names(expression(module))) if module else frozenset[str]())
    return _Code(module, applied.write, support, applied.precedence, read, applied.has_operators)


class PrintedLayer:
    """A layer's constructor call and its application."""

    def __init__(
        self, label: str, module: Leaf | None, code: _Code, changed: dict[str, str], *, turns: bool = False
    ) -> None:
        self.label, self.module, self.renamed, self._code, self._turns = label, module, changed, code, turns

    def apply(self, operands: Sequence[Expr]) -> tuple[Expr, bool]:
        """Return the application to operands, and whether it names one of them more than once."""
        apart = {name: f"{name}_of_operand" for name in self.renamed}  # operands have names of their own
        exprs = [_turned(expr) for expr in operands] if self._turns else operands
        given = [Operand(_leaf(expr, apart), is_beside_operator=self._code.has_operators) for expr in exprs]
        code = renamed(_one_line(self._code.apply(*given)), self.renamed)
        code += _TURNED if self._turns else ""
        code = renamed(code, {other: name for name, other in apart.items()})
        read = self._code.names.union(*map(names, operands))
        return Leaf(code, self._code.precedence, read), any(operand.named > 1 for operand in given)

    def step(self, node: OpNode) -> Step:
        """Return the application at a node."""
        return Step(node.id, node.inputs, self.apply, node.op.is_heavy, label=node.called)

    def again(self, node: OpNode) -> Step:
        """Return the application at another node, which shares the module."""
        made = PrintedLayer(self.label, self.module, self._code, self.renamed, turns=node.op.turns)
        return made.step(node)


def _turned(expr: Expr) -> Expr:
    """Return a value with frames and positions in each other's place."""
    return Leaf(f"{Operand(expr).primary()}{_TURNED}", Precedence.PRIMARY, frozenset(names(expr)))


def _leaf(expr: Expr, changed: dict[str, str]) -> Expr:
    """Return an expression with other names for functions."""
    return Leaf(renamed(text(expr), changed), expr.precedence, frozenset(names(expr))) if changed else expr


def _form(op: Op[Layer]) -> object:
    """Return what alike code has in common."""
    return op.layer.kind, op.class_signature(), op.forms


def _hint(node: OpNode, attribute: str) -> str:
    """Return a name for a number that no parameter of a block explains."""
    alone = node.label == node.layer.kind
    return attribute if alone and node.layer.heavy else f"{node.label}_{attribute}"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
