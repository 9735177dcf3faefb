"""The class of an attention with lines: its parameters, its members and the statements of `forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.core.sym import Sym, formula_of
from archdsl.layers.attention_lines import CONCATENATION, OUTSIDE, RESULT, RESULT_LINE, X
from archdsl.targets.python.printer import lines, text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import Name
from archdsl.targets.torch.body import Body, Step
from archdsl.targets.torch.operands import Operand
from archdsl.targets.torch.ops.sites import CallSite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archdsl.core.grid import Grid
    from archdsl.core.sym import Formula
    from archdsl.layers.attention_lines import Application, BiasLine, Lines
    from archdsl.targets.python.tree import Expr
    from archdsl.targets.torch.ops.attention_layouts import Operation
    from archdsl.targets.torch.ops.attention_written import WrittenAttentionOp
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.ops.sites import Printed, Printer

CHANNELS = ("channels", "out", "groups")  # attributes that are numbers of channels
SIZE = "tuple[int, int, int]"
MOVES, BETWEEN = "attention_moves.j2", "attention_between.j2"  # templates of operations


class Composer:
    """Composition of the class; numbers of layers are written in the terms of its parameters."""

    def __init__(self, op: WrittenAttentionOp, printer: Printer, site: CallSite, variables: dict[str, Any]) -> None:
        self.op, self.printer, self.site, self.variables = op, printer, site, variables
        self.layer, self.lines = op.written, op.written.lines
        self.inner = "channels" if variables["dim"] is None else "dim"
        inputs = site.inputs
        dim, heads = self.layer.dim or inputs[0].channels, self.layer.heads
        self.known: dict[Formula, str] = {
            **{formula_of(x.channels): f"{name}_channels" for x, name in zip(inputs[1:], op.others, strict=True)},
            formula_of(dim // heads): f"{self.inner} // heads", formula_of(heads): "heads",
            formula_of(dim): self.inner, formula_of(inputs[0].channels): "channels",
        }  # fmt: skip
        self.channels: dict[int, int] = {X: inputs[0].channels}  # of the values of applications
        self.channels |= {OUTSIDE - n: x.channels for n, x in zip(self.lines.externals, inputs[1:], strict=True)}
        self.extra: dict[str, Any] = {}
        self.members: dict[str, Any] = {}  # constructor calls; of a block, those of its layers
        self.printed: dict[int, Printed] = {}
        self.biases: list[Printed] = []
        self.names = _member_names(self.lines)
        self.renamed: dict[str, str] = {}  # what classes of the layers' templates are called, by layer and class

    def compose(self, write: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the variables of the template that depend on the layers inside; `write` gives numbers as code."""
        for number, (application, op) in enumerate(self.op.parts):
            if application.letters == RESULT_LINE:
                self.channels.setdefault(RESULT, self._result())
            self._print(number, application, op)
        for (bias, op), sizes in zip(self.op.biases, self.op.bias_arguments(), strict=True):
            self._print_bias(bias, op, {k: name for k, (name, _) in sizes.items()})
        parameters, arguments = self._parameters()
        arguments |= {name: write(value) for name, value in self.extra.items()}
        found = {"parameters": parameters, "arguments": arguments, "members": self._members(), "body": self._body()}
        return found | {"renamed": self.renamed}

    def _result(self) -> int:
        """Return the channels of the result: those of values, which several heads may share."""
        values, kv_heads = self.channels[self.lines.branches["v"].application], self.layer.kv_heads
        return values // kv_heads * self.layer.heads if kv_heads else values

    # --- the constructor ---

    def _parameters(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the types of the constructor's parameters, and the arguments, by name."""
        given = self.variables
        types = {
            "dim": "int", "heads": "int", "kv_heads": "int", "grid": SIZE, "q_grid": SIZE, "kv_grid": SIZE,
            "windows": given.get("windows_class", ""), "band": given.get("band_class", ""),
        }  # fmt: skip
        for arguments in self.op.bias_arguments():
            types |= {name: _type_of(value) for name, value in arguments.values()}
        found = {name: kind for name, kind in {**types, "dropout": "float"}.items() if given.get(name) is not None}
        more = {name: _type_of(value) for name, value in self.extra.items()}
        return found | more, {n: given[n] for n in found}

    def _members(self) -> list[str]:
        given = self.variables
        kept = ("heads", "kv_heads", "dropout", "grid", "q_grid", "kv_grid", "windows", "band")
        found = [f"self.{name} = {name}" for name in kept if given.get(name) is not None]
        split = next((o for o in self.op.operations.list if o.macro == "split"), None)
        if split is not None:
            sizes = [f"{n} * {self.inner}" if n > 1 else self.inner for n in split.options["counts"]]
            found.append(f"self.parts = [{', '.join(sizes)}]")
        for name, code in self.members.items():
            found.append(f"self.{name} = {_constructed(code)}")
        if given["score"] == CONCATENATION:
            found.append(f"self.pair = nn.Linear(2 * ({self.inner} // heads), 1, bias=False)")
        if self.layer.cosine:
            found.append("self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10)))")
        return found

    def _print(self, number: int, application: Application, op: Op[Any]) -> None:
        """Print a layer: its module becomes a member."""
        layer, stack = application.layer, application.stack
        taken = ("out", "groups") if len(application.inputs) > 1 else ("out",)  # several values, or rows of one
        stacked = {
            k: Sym(stack * v, ("*", ("lit", stack), formula_of(v)))
            for k, v in layer.values().items() if stack > 1 and k in taken
        }  # fmt: skip
        shapes = tuple(self._shape(application, i) for i in range(len(application.shapes)))
        channels = layer.infer(*(self._shape(application, i, parts=1) for i in range(len(shapes)))).channels
        self.channels[number] = channels * self._heads(application) if application.by_head else channels
        if layer.training_only and not self.layer.trains:
            return
        whole = op.of(layer.changed(**stacked))
        site = CallSite(shapes, application.shape._replace(channels=channels), self._layout(number))
        plan: dict[str, Any] = {**whole.variables(site), **whole.shape_arguments()}
        name = self.names[number]
        code = {k: self._local(name, k, v) for k, v in plan.items()}
        block, *path = name.split(".")
        code["layer"] = f"self.{block}" + "".join(f'["{label}"]' for label in path)
        printed = self.printed[number] = self.printer.printed(whole, code, name)
        self.renamed |= {f"{name}.{old}": new for old, new in printed.renamed.items()}
        if printed.module is not None:
            held = self.members
            for label in name.split(".")[:-1]:
                held = held.setdefault(label, {})
            held[name.rpartition(".")[2]] = text(printed.module)

    def _print_bias(self, bias: BiasLine, op: Op[Any], sizes: dict[str, str]) -> None:
        """Print a bias: its module or tensor becomes a member."""
        plan = op.variables(CallSite((), self.op.output))
        code = {k: self._local(bias.label, k, v) for k, v in plan.items()} | sizes
        code |= {"layer": f"self.{bias.label}", "heads": "heads", "width": f"{self.inner} // heads"}
        printed = self.printer.printed(op, code, bias.label)
        self.renamed |= {f"{bias.label}.{old}": new for old, new in printed.renamed.items()}
        self.biases.append(printed)
        if printed.module is not None:
            self.members[bias.label] = text(printed.module)

    def _layout(self, number: int) -> str:
        steps = self.op.operations
        operation = next(o for o in steps.list if o.application == number)
        return steps.layouts[operation.inputs[0]].taken_as

    def _heads(self, application: Application) -> int:
        few = application.heads != int(self.layer.heads)
        return self.layer.kv_heads if few else self.layer.heads

    def _shape(self, application: Application, index: int, parts: int = 0) -> Grid:
        """Return the shape of an input, with channels in the terms of the class."""
        channels = self.channels[application.inputs[0][index].application]
        if application.by_head:
            channels = channels // self._heads(application)
        parts = parts or len(application.inputs)
        if parts > 1:
            channels = Sym(parts * channels, ("*", ("lit", parts), formula_of(channels)))
        return application.shapes[index]._replace(channels=channels)

    def _local(self, name: str, key: str, value: Any) -> Any:
        """Return a value of a plan in the terms of the class."""
        if isinstance(value, tuple):
            items = cast("tuple[Any, ...]", value)
            return f"({', '.join(str(self._local(name, key, v)) for v in items)})"
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        formula = formula_of(value)
        if formula in self.known and (isinstance(value, Sym) or key in CHANNELS):
            return self._use(self.known[formula], value)
        if formula[0] == "*" and formula[1][0] == formula[2][0] == "lit" and formula[2] not in self.known:
            return int(value)
        if formula[0] == "*" and formula[1][0] == "lit":
            one = formula[2]
            inner = self._local(name, key, one[1] if one[0] == "lit" else Sym(int(value) // formula[1][1], one))
            return f"{formula[1][1]} * {inner}"
        return self._use(f"{name}_{key}".replace(".", "_"), value) if isinstance(value, Sym) else value

    def _use(self, name: str, value: int) -> str:
        """Return a name, which becomes a parameter unless each attention has it."""
        if name.removesuffix(" // heads") not in ("channels", "dim", "heads"):
            self.extra[name] = value
        return name

    # --- forward ---

    def _body(self) -> list[str]:
        operations = self.op.operations
        steps = [self._step(operation) for operation in operations.list]
        inputs = {i: Name(name) for i, name in enumerate(("x", *self.op.others))}
        found = list(lines(Body(steps, inputs, operations.result).write()))
        drops = ["dropout = self.dropout if self.training else 0.0"] if self.layer.dropout else []
        return drops + found

    def _step(self, operation: Operation) -> Step:
        value, name = operation.outputs[0], next(iter(operation.names), "")
        if operation.application >= 0:
            printed, heavy = self.printed[operation.application], self.op.parts[operation.application][1].is_heavy
            return Step(value, operation.inputs, printed.apply, heavy, name)
        if operation.macro == "bias":
            number: int = operation.options["number"]
            return Step(value, operation.inputs, self.biases[number].apply, False, name)
        write = self._move(operation)
        if len(operation.outputs) > 1:
            parts = tuple(zip(operation.outputs, operation.names, strict=True))
            return Step(value, operation.inputs, write, parts=parts)
        return Step(value, operation.inputs, write, operation.macro == "attended", name)

    def _move(self, operation: Operation) -> Callable[[Sequence[Expr]], tuple[Expr, bool]]:
        variables = {**self.variables, **operation.options}
        macros = (self.printer.macros(name, variables) for name in (MOVES, BETWEEN))
        macro = next(found for m in macros if (found := getattr(m, operation.macro, None)))

        def write(operands: Sequence[Expr]) -> tuple[Expr, bool]:
            given = [Operand(o) for o in operands]
            code = expression(str(macro(*given)))
            return code, any(o.named > 1 for o in given)

        return write


def _constructed(code: Any) -> str:
    """Return the constructor call of a member: a layer, or the layers of a block."""
    if isinstance(code, str):
        return code
    items = ", ".join(f'"{name}": {_constructed(inner)}' for name, inner in code.items())
    return f"nn.ModuleDict({{{items}}})"


def _member_names(lines: Lines) -> list[str]:
    """Return what the members of layers are called: by their tensors, others by names that are free."""
    weighted = {a.name for a in lines.applications if a.weights()}
    known = {b.label: False for b in lines.biases} | {n.partition(".")[0]: "." in n for n in weighted}
    found: list[str] = []
    for application in lines.applications:
        name = application.name
        if not application.weights():
            name = next(n for n in _numbered(name) if n not in {*weighted, *found} and _fits(n, known))
            known[name.partition(".")[0]] = "." in name
        found.append(name)
    return found


def _numbered(name: str) -> Iterator[str]:
    """Return names for a member: `k_pool.dropout`, `k_pool2.dropout`."""
    own, dot, rest = name.partition(".")
    return (f"{own}{number}{dot}{rest}" for number in ("", *range(2, 1000)))


def _fits(name: str, known: dict[str, bool]) -> bool:
    """Return True if a name is free; several layers of a block are in one dictionary."""
    own, dot, _ = name.partition(".")
    return own not in known or (bool(dot) and known[own])


def _type_of(value: Any) -> str:
    """Return the type of an argument as Python writes it."""
    if isinstance(value, tuple):
        return SIZE
    return "int" if isinstance(value, int) else "float"
