"""The class of an attention with lines: its parameters, its members and the statements of `forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.core.sym import Sym, formula_of
from archdsl.layers.attention_arguments import CONCATENATION, RESULT_LINE
from archdsl.layers.attention_lines import RESULT
from archdsl.targets.python.printer import lines, text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import Name
from archdsl.targets.torch.body import Body, Step
from archdsl.targets.torch.operands import Operand
from archdsl.targets.torch.ops.attention_blocks import Blocks
from archdsl.targets.torch.ops.attention_terms import Terms
from archdsl.targets.torch.ops.decomposed import DISTANCES
from archdsl.targets.torch.ops.sites import CallSite, SharedModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archdsl.layers.attention_lines import Application, BiasLine, Lines
    from archdsl.targets.python.tree import Expr
    from archdsl.targets.torch.ops.attention_blocks import LineBlock
    from archdsl.targets.torch.ops.attention_layouts import Operation
    from archdsl.targets.torch.ops.attention_sizes import SizedAttention
    from archdsl.targets.torch.ops.base import Op
    from archdsl.targets.torch.ops.sites import Printed, Printer

SIZE = "tuple[int, int, int]"
TEMPLATES = ("attention_moves.j2", "attention_between.j2", "attention_attended.j2")  # of operations


class Composer(Terms):
    """Composition of the class; numbers of layers are written in the terms of its parameters."""

    def __init__(self, op: SizedAttention, printer: Printer, site: CallSite, variables: dict[str, Any]) -> None:
        super().__init__(op, site, variables)
        self.printer = printer
        self.varying = printer.varying(op)  # numbers of its layers that differ between the places of the network
        self.names = _member_names(self.lines)
        modules = [
            name for (a, own), name in zip(op.parts, self.names, strict=True)
            if own.is_module and not self.layer.is_idle(a)
        ]  # fmt: skip
        steps = op.operations
        self.blocks = Blocks(self.lines.applications, self.names, modules, steps.list, steps.result)
        self.printed: dict[int, Printed] = {}
        self.biases: list[Printed] = []
        self.renamed: dict[str, str] = {}  # what classes of the layers' templates are called, by layer and class

    def compose(self, write: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the variables of the template that depend on the layers inside; `write` gives numbers as code."""
        self.begin(write)
        done = self.layer.residual()
        for number, (application, op) in enumerate(self.op.parts):
            if application.letters == RESULT_LINE:
                self.channels.setdefault(RESULT, self._result())
            if done is not None and number in done.replaced:
                self.channels[number] = self.channels[RESULT]
                continue
            self._print(number, application, op)
        biases = self.op.sizes[len(self.op.parts) :]
        for (bias, op), sizes in zip(self.op.biases, biases, strict=True):
            self._print_bias(bias, op, {k: name for k, (name, _) in sizes.items()})
        parameters, arguments = self._parameters()
        arguments |= {name: write(value) for name, value in self.extra.items()}
        found = {"parameters": parameters, "arguments": arguments, "members": self._members(), "body": self._body()}
        return found | {"renamed": self.renamed}

    # --- the constructor ---

    def _parameters(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the types of the constructor's parameters, and the arguments, by name."""
        given = self.variables
        types = {
            "dim": "int", "heads": "int", "kv_heads": "int", "grid": SIZE, "q_grid": SIZE, "kv_grid": SIZE,
            "windows": given.get("windows_class", ""), "band": given.get("band_class", ""),
        }  # fmt: skip
        for arguments in self.op.sizes:
            types |= {name: given.get(f"{name}_class") or _type_of(value) for name, value in arguments.values()}
        found = {name: kind for name, kind in {**types, "dropout": "float"}.items() if given.get(name) is not None}
        more = {name: _type_of(value) for name, value in self.extra.items()}
        return found | more, {n: given[n] for n in found}

    def _members(self) -> list[str]:
        given = self.variables
        sized = sorted([*self.op.of_form, *self.op.places.values()], key=lambda name: name == "windows")
        kept = ["heads", "kv_heads", "dropout", *sized]
        found = [f"self.{name} = {name}" for name in dict.fromkeys(kept) if given.get(name) is not None]
        split = next((o for o in self.op.operations.list if o.macro == "split"), None)
        if split is not None:
            sizes = [f"{n} * {self.inner}" if n > 1 else self.inner for n in split.options["counts"]]
            found.append(f"self.parts = [{', '.join(sizes)}]")
        sizes = {name: _type_of(value) for value, name in self.op.places.items()}
        found += self.blocks.members(self._body_of, self.printer, {"heads": "int", "kv_heads": "int", **sizes})
        if given["score"] == CONCATENATION:
            found.append(f"self.pair = nn.Linear(2 * ({self.inner} // heads), 1, bias=False)")
        if self.layer.cosine:
            found.append("self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10)))")
        return found

    def _print(self, number: int, application: Application, op: Op[Any]) -> None:
        """Print a layer: its module becomes a member."""
        layer, stack, [[first, *_], *_] = application.layer, application.stack, application.inputs
        taken = ("out", "groups") if len(application.inputs) > 1 else ("out",)  # several values, or rows of one
        stacked = {
            k: Sym(stack * v, ("*", ("lit", stack), formula_of(v)))
            for k, v in layer.values().items() if stack > 1 and k in taken
        }  # fmt: skip
        shapes = tuple(self._shape(application, i, whole=op.for_heads) for i in range(len(application.shapes)))
        one = [self._shape(application, i, parts=1, whole=op.for_heads) for i in range(len(shapes))]
        channels = (op.layer if op.for_heads else layer).infer(*one).channels
        if not application.by_head or op.for_heads:
            self.channels[number] = channels
        elif formula_of(channels) == formula_of(one[0].channels):  # not the formula of a quotient, times heads
            self.channels[number] = self.channels[first.application]
        else:
            self.channels[number] = channels * self._heads(application)
        if self.layer.is_idle(application):
            return
        whole = op if op.for_heads else op.of(layer.changed(**stacked))
        site = CallSite(shapes, application.shape._replace(channels=channels), self._layout(number))
        name = self.names[number]
        short = self.blocks.short(name)
        code: dict[str, Any] = {}
        heads = {"heads": "heads" if application.heads == int(self.layer.heads) else "kv_heads"} if op.for_heads else {}
        for key, value in whole.variables(site).items():
            if key in heads:
                continue
            code[key] = self._local(short, key, value, varies=f"{number}.{key}" in self.varying)
        own = op.shape_arguments()  # not the size of a grid beside which tokens go by
        code |= {k: size for k, (size, _) in self.op.sizes[number].items() if k in own}
        code |= heads
        shared = [size for size, value in self.op.sizes[number].values() if isinstance(value, SharedModule)]
        if shared and "." not in name:  # one member for all layers that have it
            [name] = shared
        code["layer"] = self.blocks.place(name)
        printed = self.printed[number] = self.printer.printed(whole, code, name)
        self.renamed |= {f"{name}.{old}": new for old, new in printed.renamed.items()}
        if printed.module is not None and application.owner is None:
            self.blocks.held[name] = text(printed.module)

    def _print_bias(self, bias: BiasLine, op: Op[Any], sizes: dict[str, str]) -> None:
        """Print a bias: its module or tensor becomes a member."""
        plan = op.variables(CallSite((), self.op.output))
        code = {k: self._local(bias.label, k, v) for k, v in plan.items()} | sizes
        code |= {"layer": f"self.{bias.label}", "heads": "heads", "width": f"{self.inner} // heads"}
        code |= {name: self.variables[name] for name in ("token", "noun", "scaled") if DISTANCES in op.forms}
        printed = self.printer.printed(op, code, bias.label)
        self.renamed |= {f"{bias.label}.{old}": new for old, new in printed.renamed.items()}
        self.biases.append(printed)
        if printed.module is not None:
            self.blocks.held[bias.label] = text(printed.module)

    def _layout(self, number: int) -> str:
        steps = self.op.operations
        operation = next(o for o in steps.list if o.application == number)
        return steps.layouts[operation.inputs[0]].taken_as

    # --- forward ---

    def _body(self) -> list[str]:
        operations = self.op.operations
        steps = [self._step(operation) for operation in self.blocks.list]
        inputs = {i: Name(name) for i, name in enumerate(("x", *self.op.others))}
        found = list(lines(Body(steps, inputs, operations.result).write()))
        drops = ["dropout = self.dropout if self.training else 0.0"] if self.layer.dropout else []
        return drops + found

    def _body_of(self, block: LineBlock) -> list[str]:
        """Return the statements of the `forward` of a block."""
        steps = [self._step(operation) for operation in block.operations]
        inputs = {value: Name(f"x{i}" if i > 1 else "x") for i, value in enumerate(block.inputs, start=1)}
        return list(lines(Body(steps, inputs, block.output).write()))

    def _step(self, operation: Operation) -> Step:
        value, name = operation.outputs[0], next(iter(operation.names), "")
        if operation.application >= 0:
            printed, heavy = self.printed[operation.application], self.op.parts[operation.application][1].is_heavy
            label = _label(self.lines.applications[operation.application])
            return Step(value, operation.inputs, printed.apply, heavy, name, label)
        if operation.macro == "block":
            place = self.blocks.place(operation.options["name"])
            return Step(value, operation.inputs, lambda operands: (_called(place, operands), False), True, name)
        if operation.macro == "bias":
            number: int = operation.options["number"]
            return Step(value, operation.inputs, self.biases[number].apply, False, name)
        write = self._move(operation)
        if len(operation.outputs) > 1:
            parts = tuple(zip(operation.outputs, operation.names, strict=True))
            return Step(value, operation.inputs, write, parts=parts)
        return Step(value, operation.inputs, write, operation.macro == "attended", name)

    def _move(self, operation: Operation) -> Callable[[Sequence[Expr]], tuple[Expr, bool]]:
        options = {**self.variables, **operation.options}
        if operation.macro == "unflattened":
            size: tuple[int, ...] = operation.options["size"]
            options["place"] = f"self.{self.op.places[size]}" if size in self.op.places else size
        macros = (self.printer.macros(name, options) for name in TEMPLATES)
        macro = next(found for m in macros if (found := getattr(m, operation.macro, None)))

        def write(operands: Sequence[Expr]) -> tuple[Expr, bool]:
            given = [Operand(o) for o in operands]
            code = expression(str(macro(*given)))
            return code, any(o.named > 1 for o in given)

        return write


def _label(application: Application) -> str:
    """Return the name that a line gives to a layer; empty for one that is called as its kind, or in a block."""
    path = application.path
    return path if path.isidentifier() and not path.startswith(application.layer.kind) else ""


def _called(place: str, operands: Sequence[Expr]) -> Expr:
    """Return the application of a module."""
    return expression(f"{place}({', '.join(map(text, operands))})")


def _member_names(lines: Lines) -> list[str]:
    """Return what the members of layers are called: by their tensors, others by names that are free."""
    weighted = {a.name for a in lines.applications if a.weights()}
    known = {b.label: False for b in lines.biases} | {n.partition(".")[0]: "." in n for n in weighted}
    found: list[str] = []
    for application in lines.applications:
        name = application.name
        if not application.weights() and application.owner is None:
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
        return f"tuple[{', '.join('int' for _ in cast('tuple[int, ...]', value))}]"
    return "int" if isinstance(value, int) else "float"
