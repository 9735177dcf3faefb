"""Regions of a network: its parts, and the blocks, rows of blocks and shortcuts nested in them.

A region consists of nodes (by id) and inner regions, in the order of data flow, and has an exit: the value that it
returns. Code that distinguishes kinds of regions matches the classes in the unions `Part` and `Inner`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from archdsl.core.source import Span
    from archdsl.ir.conditions import Condition
    from archdsl.ir.signature import BlockArguments, BlockSignature

Shape = Any  # a Grid, or UNKNOWN while a faulty spec is checked
NO_VALUE = -1  # the id of no node


@dataclass(eq=False, repr=False, kw_only=True)
class _Region:
    items: list[Item] = field(default_factory=list["Item"])
    exit: int = NO_VALUE
    frozen: bool = False  # the weights of all its layers are not trained

    def nodes(self) -> Iterator[int]:
        """Yield the ids of all nodes in it, including those of inner regions."""
        for item in self.items:
            if isinstance(item, int):
                yield item
            else:
                yield from item.nodes()

    @property
    def inner(self) -> list[Inner]:
        """The regions directly inside."""
        return [item for item in self.items if not isinstance(item, int)]

    def redirect(self, instead: Callable[[int], int]) -> None:
        """Replace its entry and exit values; inner regions keep theirs."""
        self.exit = instead(self.exit)


# --- parts of the network ---


@dataclass(eq=False, repr=False, kw_only=True)
class _Part(_Region):
    path: str = ""  # empty for the unnamed path, and for parts that are not on a path
    stage: str = ""

    @cached_property
    def name(self) -> str:
        """The prefix of its tensors in the state dict: `slow.res3`."""
        return ".".join(p for p in (self.path, self.stage) if p)

    @property
    def title(self) -> str:
        """Its name among the parts of its path, for people: `res3`."""
        return self.stage

    @property
    def top(self) -> Self:
        """The enclosing part of the network: itself."""
        return self


@dataclass(eq=False, repr=False, kw_only=True)
class InputPlace(_Part):
    """The region of an input, which belongs to no part of the network."""


@dataclass(eq=False, repr=False, kw_only=True)
class PathStart(_Part):
    """The first layers of a path, before the stages."""

    stage: str = "input"


@dataclass(eq=False, repr=False, kw_only=True)
class Stage(_Part):
    """The lines of a stage on one path."""

    span: Span  # of the first line


@dataclass(eq=False, repr=False, kw_only=True)
class Lateral(_Part):
    """A lateral connection from one path to another, without the fusion."""

    source: str
    target: str
    span: Span
    entry: int = NO_VALUE

    def __post_init__(self) -> None:
        self.path = f"{self.source}_to_{self.target}"

    def redirect(self, instead: Callable[[int], int]) -> None:
        super().redirect(instead)
        self.entry = instead(self.entry)


@dataclass(eq=False, repr=False, kw_only=True)
class Fusion(_Part):
    """The layer that fuses the output of a lateral connection with its target path."""


@dataclass(eq=False, repr=False, kw_only=True)
class Head(_Part):
    """A head, which reads the ends of the paths."""

    stage: str = "head"
    own: str = ""  # its name, of several heads

    @cached_property
    def name(self) -> str:
        """The prefix of its tensors in the state dict: `head`, or `head.verb`."""
        return ".".join(p for p in (self.stage, self.own) if p)

    @property
    def title(self) -> str:
        """`head`, or `head verb`."""
        return f"{self.stage} {self.own}" if self.own else self.stage


@dataclass(eq=False, repr=False, kw_only=True)
class Conversion(_Part):
    """A conversion of the memory layout, next to a part with the same path and stage."""

    entry: int

    def redirect(self, instead: Callable[[int], int]) -> None:
        super().redirect(instead)
        self.entry = instead(self.entry)


# --- nested regions ---


@dataclass(eq=False, repr=False, kw_only=True)
class _Inner(_Region):
    parent: Region
    label: str

    @cached_property
    def name(self) -> str:
        """The prefix of its tensors in the state dict: `slow.res3.0`."""
        return f"{self.parent.name}.{self.label}" if self.label else self.parent.name

    @cached_property
    def top(self) -> Part | InputPlace:
        """The enclosing part of the network."""
        return self.parent.top


@dataclass(eq=False, repr=False, kw_only=True)
class Block(_Inner):
    """A call of a block."""

    signature: BlockSignature
    arguments: BlockArguments
    entry: int  # the value that enters
    entering: Shape  # its shape, as the caller computes it
    span: Span  # of the call
    explicit: bool = False  # named with `as`
    called: str = ""  # the name by which the spec reads its value
    shares: str = ""  # the label of the block in the same region whose weights it has
    repeat: int = 0  # the number of the `*` that repeats it; 0 for none
    values: dict[str, int] = field(default_factory=dict[str, int])  # those of its parameters of the type `value`

    @property
    def title(self) -> str:
        """The name of the block."""
        return self.signature.name

    def redirect(self, instead: Callable[[int], int]) -> None:
        super().redirect(instead)
        self.entry = instead(self.entry)
        self.values = {name: instead(value) for name, value in self.values.items()}


@dataclass(eq=False, repr=False, kw_only=True)
class BlockRow(_Inner):
    """A row of repeated blocks (`*`) that is not the whole of its stage."""

    @property
    def blocks(self) -> list[Block]:
        """The blocks, in the order of data flow."""
        return [item for item in self.items if isinstance(item, Block)]

    @property
    def entry(self) -> int:
        """The value that enters the first block."""
        return self.blocks[0].entry


@dataclass(eq=False, repr=False, kw_only=True)
class Shortcut(_Inner):
    """The projection shortcut of a residual; without items if its condition does not hold."""

    entry: int  # the value that enters the residual
    condition: Condition | None  # None if unconditional

    def redirect(self, instead: Callable[[int], int]) -> None:
        super().redirect(instead)
        self.entry = instead(self.entry)


Part = PathStart | Stage | Lateral | Fusion | Head | Conversion
Featured = Stage | Lateral  # parts whose values `forward_features` returns
OnPath = PathStart | Stage | Fusion  # parts that are on a path
Inner = Block | BlockRow | Shortcut
Region = Part | Inner | InputPlace
Item = int | Inner  # the id of a node, or a region


def around(region: Region) -> Iterator[Region]:
    """Yield a region and the regions that enclose it, the innermost first."""
    while isinstance(region, _Inner):
        yield region
        region = region.parent
    yield region


def walk(regions: Iterable[Region]) -> Iterator[Region]:
    """Yield regions and all regions inside them, in preorder."""
    for region in regions:
        yield region
        yield from walk(region.inner)
