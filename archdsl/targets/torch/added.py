"""Templates of added layers, loaded from the layer's folder; their faults are reported in the template's file."""

from __future__ import annotations

import ast
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, TemplateNotFound, TemplateSyntaxError

from archdsl.core.sym import Sym, Varying, substitute, variables
from archdsl.layers.added_faults import error_text, layer_error, line_of, same_file
from archdsl.layers.guards import line_of_class
from archdsl.targets.python.reader import expression, names_in
from archdsl.targets.torch.imports import bound, clash
from archdsl.targets.torch.ops.added import AddedOp
from archdsl.targets.torch.ops.sites import CallSite

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from archdsl.core.diagnostics import LayerError
    from archdsl.ir.regions import Region
    from archdsl.layers.base import Layer
    from archdsl.targets.python.tree import Precedence
    from archdsl.targets.torch.constructor import Constructor
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.select import OpNode

OPERAND = "_operand{}"  # placeholder for an input, for checking the code that a template prints


class Application(NamedTuple):
    """The application of an added layer, with its precedence and names, which Python's parser determines."""

    tree: ast.expr
    precedence: Precedence
    write: Callable[..., str]

    @property
    def names(self) -> frozenset[str]:
        return names_in(self.tree)

    @property
    def has_operators(self) -> bool:
        """Return True if an operand is next to an operator, so that one that is not a primary needs parentheses."""
        return any(map(_is_bare, ast.walk(self.tree)))


def _is_bare(node: ast.AST) -> bool:
    whole = (ast.Call, ast.keyword, ast.Tuple, ast.List, ast.Set, ast.Dict)
    children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.Name) and c.id.startswith("_operand")]
    if isinstance(node, ast.Call):
        children = [c for c in children if c is node.func]
    return bool(children) and (isinstance(node, ast.Call) or not isinstance(node, whole))


class AddedTemplate:
    """The template of an added layer.

    Every method raises LayerError if the template fails or prints invalid Python.
    """

    def __init__(self, layer: Layer, environment: Environment) -> None:
        self.layer = layer
        file = Path(layer.added_by)
        self.file = str(file.with_name(f"{layer.kind}.py.j2"))
        bundled = environment.loader
        own = FileSystemLoader(str(file.parent))
        self.environment = environment.overlay(loader=ChoiceLoader([own, *([bundled] if bundled is not None else [])]))

    def source(self) -> str:
        """Return the text of the template."""
        try:
            return Path(self.file).read_text("utf-8")
        except FileNotFoundError:
            label = f"the layer `{self.layer.kind}` has no template: expected {self.file}"
            hint = "write the macro `apply(x)` into that file, the code of one application; docs/layers.md has examples"
            raise layer_error("E0906", self.layer.added_by, label, hint=hint) from None
        except (OSError, UnicodeDecodeError) as error:
            raise layer_error("E0906", self.file, error_text(error)) from error

    def macros(self, plan: dict[str, Any]) -> Any:
        """Return the template's macros for the variables in `plan`.

        Raises:
            LayerError: if there is no macro `apply`, or the template fails.
        """
        self.source()
        made = self._try(lambda: self.environment.get_template(Path(self.file).name).make_module(plan))
        if not hasattr(made, "apply"):
            hint = "as in `{% macro apply(x) %}F.silu({{ x }}){% endmacro %}`"
            raise layer_error("E0906", self.file, "there is no macro `apply(x)`", hint=hint)
        return made

    def support(self, made: Any) -> str:
        """Return the classes and functions that the code needs; empty if there are none."""
        if not hasattr(made, "support"):
            return ""
        text = self._try(lambda: str(made.support()).strip())
        for statement in self._parsed(text, "support", "exec").body:
            if not isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
                label = f"`support` prints `{ast.unparse(statement).splitlines()[0]}`, which is no class or function"
                hint = "imports belong into `imports` of the layer; a constant belongs into the class that uses it"
                raise self._fault(label, "support", hint)
        return text

    def module(self, made: Any) -> str:
        """Return the constructor call of the submodule."""
        if not hasattr(made, "module"):
            hint = "as in `{% macro module() %}nn.Linear({{ channels }}, {{ out }}){% endmacro %}`"
            label = f"there is no macro `module()`, and `{self.layer.kind}` says `module = True`"
            raise layer_error("E0906", self.file, label, hint=hint)
        text = self._try(lambda: _one_line(made.module()))
        self._parsed(text, "module", "eval")
        return text

    def apply(self, made: Any) -> Application:
        """Return the macro that applies the layer, after checking it on placeholders."""
        operands = [OPERAND.format(i) for i in range(self.layer.operands())]
        text = self._try(lambda: _one_line(made.apply(*operands)))
        tree = self._parsed(text, "apply", "eval").body
        if operands and not names_in(tree) & set(operands):
            raise self._fault(f"`apply` prints `{text}`, without its input", "apply", "write `{{ x }}` for the input")
        return Application(tree, expression(text).precedence, partial(self._applied, made))

    def _applied(self, made: Any, *operands: object) -> str:
        return self._try(lambda: str(made.apply(*operands)))

    def _parsed(self, text: str, macro: str, mode: str) -> Any:
        try:
            return compile(text, "<template>", mode, ast.PyCF_ONLY_AST, dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            lines = text.split("\n")
            number = getattr(error, "lineno", None) or 1
            shown = lines[number - 1].strip() if number <= len(lines) else text
            label = f"`{macro}` prints `{shown}`, which is no Python: {getattr(error, 'msg', error)}"
            label = label if text else f"`{macro}` prints nothing"
            raise self._fault(label, macro) from error

    def _fault(self, label: str, macro: str, hint: str = "") -> LayerError:
        lines = self.source().split("\n")
        numbers = (n for n, line in enumerate(lines, start=1) if f"macro {macro}" in line)
        return layer_error("E0906", self.file, label, line=next(numbers, 0), hint=hint)

    def _try(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except TemplateNotFound as error:
            raise layer_error("E0906", self.file, f"there is no template {error.name} to include") from error
        except Exception as error:
            line = error.lineno if isinstance(error, TemplateSyntaxError) else _line_of_macro(error)
            hint = "`variables` returns the variables of the template" if "is undefined" in str(error) else ""
            line = line or line_of(error, self.file)
            raise layer_error("E0906", self.file, error_text(error), line=line, hint=hint) from error


def _line_of_macro(error: BaseException) -> int:
    """Return the line of the template at which a macro failed; 0 if unknown."""
    frame, line = error.__traceback__, 0
    while frame is not None:
        template = frame.tb_frame.f_globals.get("__jinja_template__")
        line = template.get_corresponding_lineno(frame.tb_lineno) if template is not None else line
        frame = frame.tb_next
    return line


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def check_imports(layer: Layer, lines: Iterable[str], others: Collection[str]) -> None:
    """Compare the imports of an added layer with those of the layers before it.

    Raises:
        LayerError: if one gives a name to something else.
    """
    for line in lines:
        other = clash(line, others)
        if other:
            label = f"`{line}` in `imports`, and another layer of the module has `{other}`"
            hint = f"import it under another name, as in `{line.partition(' as ')[0]} as my_{bound(line)}`"
            raise layer_error("E0902", layer.added_by, label, line=line_of_class(type(layer), "`imports`"), hint=hint)


def check_shared_plan(nodes: Sequence[OpNode], plan: Mapping[str, Any], constructor: Constructor) -> None:
    """Compare the template variables of a class that several call sites share with those of each site alone.

    Numbers that differ between the sites become parameters of the class. That works as long as `plan` adds, multiplies
    and divides them; a branch on them, or text made of them, would be right for one site alone.

    Raises:
        LayerError: if the variables of the class are wrong for one of the sites.
    """
    for index, node in enumerate(nodes):
        region = constructor.regions[index]

        def value(variable: str, index: int = index, region: Region = region) -> Any:
            extra = constructor.variables.extra.get(variable)
            return constructor.variables.value(region, variable) if extra is None else extra[index]

        shapes = node.input_shapes
        own = node.op.variables(CallSite(shapes, node.shape, node.layout, node.inplace))
        for name in {**own, **plan}:
            shared = _evaluated(plan.get(name), value)
            if not _same(shared, own.get(name)):
                first, (method, line) = nodes[0].layer, _method_of_variables(nodes[0].op)
                label = f"`{method}` decides `{name}` by numbers that differ between the uses of a class: "
                label += (
                    f"{own.get(name)!r} for {_settings(node)}, and {shared!r} in the class of {_settings(nodes[0])}"
                )
                advice = f"return these numbers from `{_SIGNATURE[method]}`, as in `return int(self.kernel),`"
                hint = f"{advice}: uses that differ in it share no class"
                raise layer_error("E0907", first.added_by, label, line=line, hint=hint)


_SIGNATURE = {"plan": "form", "variables": "class_signature"}  # the method to recommend, by the author's API


def _method_of_variables(op: Op[Layer]) -> tuple[str, int]:
    """Return the name of the method that returns the variables of a template, and its line in the layer's file."""
    owner: Any = type(op.layer) if isinstance(op, AddedOp) else type(op)
    for name in (n for n in _SIGNATURE if hasattr(owner, n)):
        method = getattr(getattr(owner, name), "__wrapped__", getattr(owner, name))
        if same_file(method.__code__.co_filename, op.layer.added_by):
            return name, method.__code__.co_firstlineno
    return "variables", 0


def _settings(node: OpNode) -> str:
    values = ", ".join(f"{k} = {v}" for k, v in node.layer.values().items())
    return f"`{node.layer.kind}({values})` on {node.input_shapes[0]}"


def _evaluated(value: Any, of: Callable[[str], Any]) -> Any:
    """Evaluate a template variable at one call site, where `of` returns the values of parameters."""
    if isinstance(value, (Sym, Varying)):
        return substitute(value.formula, {name: of(name) for name in variables(value.formula)})
    if isinstance(value, tuple):
        return tuple(_evaluated(v, of) for v in cast("tuple[Any, ...]", value))
    return value


def _same(one: Any, other: Any) -> bool:
    pair: tuple[Any, Any] = (one, other)
    if all(isinstance(value, (int, float, Fraction)) for value in pair):
        return float(pair[0]) == float(pair[1])
    if all(isinstance(value, tuple) for value in pair):
        return len(pair[0]) == len(pair[1]) and all(map(_same, *pair))
    return type(one) is type(other) and one == other
