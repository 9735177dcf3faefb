"""Blocks in the lines of an attention: those with one result become classes, whose constructors take their layers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archdsl.ir.regions import Block, around
from archdsl.targets.torch.class_names import camel
from archdsl.targets.torch.ops.attention_layouts import Operation
from archdsl.targets.torch.ops.sites import SharedModule
from archdsl.targets.torch.text import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from archdsl.ir.signature import BlockSignature
    from archdsl.layers.attention_lines import Application
    from archdsl.targets.torch.ops.sites import Printer

OF_FORM = ("split", "cut", "heads_of_parts", "heads", "swapped", "attended")  # what belongs to the attention itself


@dataclass(frozen=True)
class LineBlock:
    """A block with one result: the operations in it, the values that it reads, and the result."""

    signature: BlockSignature
    operations: list[Operation]
    inputs: tuple[int, ...]
    output: int


class Blocks:
    """The blocks of an attention, by the names under which they are its members: `q_pool`, `q_outer.inner`.

    `list` are the operations of the attention, in which each such block is one.
    """

    def __init__(
        self, applications: Sequence[Application], names: Sequence[str], modules: Collection[str],
        operations: Sequence[Operation], output: int,
    ) -> None:  # fmt: skip
        self.applications, self.names, self.modules, self.output = applications, names, modules, output
        self.list = list(operations)
        self.found: dict[str, LineBlock] = {}
        self.held: dict[str, str] = {}  # constructor calls of layers, by name
        for name, uses in sorted(self._uses().items(), key=lambda item: -item[0].count(".")):
            before = self.list
            made = [self._find(name, region.signature, layers) for region, layers in uses.items()]
            if made[0] is not None and all(block is not None and _alike(block, made[0]) for block in made):
                self.found[name] = made[0]
            else:
                self.list = before

    def _uses(self) -> dict[str, dict[Block, set[int]]]:
        """Return the calls of the blocks around layers that are modules, by name, and the layers in each."""
        found: dict[str, dict[Block, set[int]]] = {}
        for number, (application, name) in enumerate(zip(self.applications, self.names, strict=True)):
            parts = name.split(".")
            regions = list(around(application.region))[: len(parts) - 1][::-1]
            for depth, region in enumerate(regions, start=1):
                block = ".".join(parts[:depth])
                if isinstance(region, Block) and any(n.startswith(f"{block}.") for n in self.modules):
                    found.setdefault(block, {}).setdefault(region, set()).add(number)
        return found

    def _find(self, name: str, signature: BlockSignature, layers: Collection[int]) -> LineBlock | None:
        """Make one operation of those of a block, if nothing else is between them and they have one result."""
        own = [
            i for i, o in enumerate(self.list)
            if self._name(o).startswith(f"{name}.") and _first_layer(o) in layers
        ]  # fmt: skip
        inside = sorted({*own, *self._between(own)})
        others = [o for i, o in enumerate(self.list) if i not in inside]
        made = [v for i in inside for v in self.list[i].outputs]
        results = [v for v in made if v == self.output or any(v in o.inputs for o in others)]
        is_whole = all(i in own or (self._name(o) == "" and o.macro not in OF_FORM) for i, o in self._at(inside))
        if len(results) != 1 or not is_whole or self._is_read_before(results[0], inside):
            return None
        operations = [self.list[i] for i in inside]
        if all(o.outputs != (results[0],) for o in operations):
            return None
        inputs = tuple(dict.fromkeys(v for o in operations for v in o.inputs if v not in made))
        last = next(o for o in operations if o.outputs == (results[0],))
        options = {"name": name, "layer": min(filter(lambda n: n >= 0, map(_first_layer, operations)))}
        block = Operation("block", inputs, last.outputs, last.names, options)
        operations[operations.index(last)] = replace(last, names=())
        self.list = [block if i == inside[-1] else o for i, o in enumerate(self.list) if i not in inside[:-1]]
        return LineBlock(signature, operations, inputs, results[0])

    def _at(self, indices: Sequence[int]) -> list[tuple[int, Operation]]:
        return [(i, self.list[i]) for i in indices]

    def _name(self, operation: Operation) -> str:
        """Return the name of a layer or of a block; of what is neither, nothing."""
        if operation.macro == "block":
            return str(operation.options["name"])
        return self.names[operation.application] if operation.application >= 0 else ""

    def _between(self, own: Sequence[int]) -> list[int]:
        """Return the operations that read what some give, and give what others of them read."""
        behind = {v for i in own for v in self.list[i].outputs}
        after: set[int] = set()
        for i, operation in enumerate(self.list):
            if i not in own and behind.intersection(operation.inputs):
                after.add(i)
                behind.update(operation.outputs)
        needed = {v for i in own for v in self.list[i].inputs}
        found: list[int] = []
        for i in sorted(after, reverse=True):
            if needed.intersection(self.list[i].outputs):
                found.append(i)
                needed.update(self.list[i].inputs)
        return found

    def _is_read_before(self, value: int, inside: Sequence[int]) -> bool:
        """Return True if something outside reads a value before the last operation inside."""
        return any(value in o.inputs and i not in inside for i, o in enumerate(self.list[: inside[-1]]))

    # --- code ---

    def short(self, name: str) -> str:
        """Return a name for numbers of a layer: that of its block, if that has no other layer."""
        outer = name.rpartition(".")[0]
        others = [n for n in self.names if outer and n.startswith(f"{outer}.") and n != name]
        return outer if outer and not others else name

    def place(self, name: str) -> str:
        """Return the expression for a layer or a block where it is applied."""
        outer, _, label = name.rpartition(".")
        if not outer or outer in self.found:
            return f"self.{label}"
        return f'{self.place(outer)}["{label}"]'

    def members(self, body: Callable[[LineBlock], list[str]], printer: Printer, sizes: Mapping[str, str]) -> list[str]:
        """Return the statements that make the members.

        `body` gives the statements of a block's `forward`; `sizes` are members that it may read, with their types.
        """
        tops = dict.fromkeys(name.partition(".")[0] for name in self.held)
        return [f"self.{name} = {self._made(name, body, printer, sizes)}" for name in tops]

    def _made(
        self, name: str, body: Callable[[LineBlock], list[str]], printer: Printer, sizes: Mapping[str, str]
    ) -> str:
        """Return the constructor call of a layer or a block."""
        if name in self.held:
            return self.held[name]
        inner = [n.removeprefix(f"{name}.") for n in self.held if n.startswith(f"{name}.")]
        made = {
            n: self._made(f"{name}.{n}", body, printer, sizes)
            for n in dict.fromkeys(n.partition(".")[0] for n in inner)
        }
        if name not in self.found:
            return f"nn.ModuleDict({{{', '.join(f'{n!r}: {code}' for n, code in made.items())}}})".replace("'", '"')
        block = self.found[name]
        lines = body(block)
        read = set(re.findall(r"\bself\.(\w+)", "\n".join(lines))) - made.keys()
        given = {n: kind for n, kind in sizes.items() if n in read}
        options = {
            "doc": sentence(block.signature.doc) if block.signature.doc else f"Block `{block.signature.name}`.",
            "layers": tuple(made), "sizes": tuple(given.items()), "body": tuple(lines),
            "inputs": ("x", *(f"x{i}" for i in range(2, len(block.inputs) + 1))),
        }  # fmt: skip
        wanted = camel(block.signature.name)
        chosen = printer.class_of(SharedModule(wanted, wanted, "attention_block.j2", tuple(options.items()), ()))
        arguments = [f"{n}={code}" for n, code in made.items()] if len(made) > 1 else list(made.values())
        return f"{chosen}({', '.join([*arguments, *(f'{n}={n}' for n in given)])})"


def _first_layer(operation: Operation) -> int:
    """Return the number of a layer, or of the first one of a block; -1 for what is neither."""
    return operation.options["layer"] if operation.macro == "block" else operation.application


def _alike(one: LineBlock, other: LineBlock) -> bool:
    """Return True if one class computes both."""
    return _form(one) == _form(other)


def _form(block: LineBlock) -> list[tuple[object, ...]]:
    """Return what determines the code of a block: its operations, with values numbered from its inputs on."""
    numbers = {value: number for number, value in enumerate(block.inputs)}
    found: list[tuple[object, ...]] = []
    for operation in block.operations:
        read = tuple(numbers[value] for value in operation.inputs)
        numbers |= {value: len(numbers) + i for i, value in enumerate(operation.outputs)}
        options = {k: v for k, v in operation.options.items() if k != "layer"}
        found.append((operation.macro, read, len(operation.outputs), options, operation.application < 0))
    return found
