"""Tensors that are divided by √(2n) in the n-th of a row of blocks, once all have begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.ir.regions import Block, BlockRow, around
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import Attribute, Call, Evaluate, Expr, For, Items, Literal, Name, Stmt, With, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from archdsl.ir.regions import Region


class Divided(NamedTuple):
    """A tensor that is divided."""

    region: Region  # of its layer
    name: str  # in the region
    number: int  # n

    @property
    def path(self) -> str:
        """Its name in the state dict."""
        return f"{self.region.name}.{self.name}"

    def rows(self) -> Iterator[tuple[Region, int, str]]:
        """Yield the rows that it is in, the innermost first: the row, its index there, and its name behind that."""
        for region in around(self.region):
            if isinstance(region, Block) and region.label.isdigit():
                yield region.parent, int(region.label), self.path.removeprefix(f"{region.name}.")


def division_statements(tensors: Iterable[Divided], attribute: Callable[[Region], Expr | None]) -> list[Stmt]:
    """Return the divisions: in a loop for each row whose blocks are numbered, and one by one elsewhere.

    `attribute` gives a region as attributes of the model, if its class has them.
    """
    found = list(tensors)
    loops: dict[tuple[Region, int], list[str]] = {}
    alone: list[Stmt] = []
    numbers = _numbers(found)
    for tensor in found:
        for row, _, name in tensor.rows():
            first = _first(row, numbers[row, name])
            if first is not None:
                names = loops.setdefault((row, first), [])
                names += [name] * (name not in names)
                break
        else:
            alone.append(_division(Name("self"), Literal(f'"{tensor.path}"'), f"{2 * tensor.number}**0.5"))
    body = [*(_loop(_blocks(row, attribute), first, names) for (row, first), names in loops.items()), *alone]
    return [With(Call(dotted("torch.no_grad")), body)] if body else []


def _numbers(tensors: list[Divided]) -> dict[tuple[Region, str], dict[int, int]]:
    """Return the numbers of the tensors of one name in a row, by their index in it."""
    numbers: dict[tuple[Region, str], dict[int, int]] = {}
    for tensor in tensors:
        for row, index, name in tensor.rows():
            numbers.setdefault((row, name), {})[index] = tensor.number
    return numbers


def _first(row: Region, numbers: dict[int, int]) -> int | None:
    """Return the number of the first block, if all blocks of a row are numbered in their order."""
    blocks = sum(isinstance(item, Block) and item.label.isdigit() for item in row.items)
    starts = {number - index for index, number in numbers.items()}
    return starts.pop() if len(starts) == 1 and len(numbers) == blocks > 1 else None


def _loop(blocks: Expr, first: int, names: list[str]) -> Stmt:
    numbered = Call(Name("enumerate"), [blocks, Literal(first)])
    paths = [Literal(f'"{name}"') for name in names]
    path = paths[0] if len(paths) == 1 else Name("name")
    division = _division(Name("block"), path, "(2 * n) ** 0.5")
    body = division if len(paths) == 1 else For(Name("name"), Items(paths), [division])
    return For(Items([Name("n"), Name("block")], ""), numbered, [body])


def _blocks(row: Region, attribute: Callable[[Region], Expr | None]) -> Expr:
    """Return the blocks of a row: the module that holds them, if it is an attribute."""
    if row is row.top and "." not in row.name:
        return dotted(f"self.{row.name}")
    owner = attribute(row.parent) if isinstance(row, BlockRow) else None
    if owner is not None:
        return Attribute(owner, row.name.rpartition(".")[2])
    module = Call(dotted("self.get_submodule"), [Literal(f'"{row.name}"')])
    return Call(Attribute(module, "children"))


def _division(owner: Expr, path: Expr, by: str) -> Stmt:
    parameter = Call(Attribute(owner, "get_parameter"), [path])
    return Evaluate(Call(Attribute(parameter, "div_"), [expression(by)]))
