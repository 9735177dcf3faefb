"""Names of generated classes, in words: no number tells two classes of one block apart.

A class has the name of its block, in CamelCase; the projection of a shortcut is `Projection`, and a part of a stage
has the name of path and stage. Where several classes have that name, qualifiers are added, in this order, each only
where it distinguishes some of them:

1. the word that is the argument of all uses for a parameter of the block, such as `Time`;
2. `Downsampling`, if each use has a smaller output grid than input grid; `Widening`, if each has more output channels;
3. `With…` and the first block or projection inside that no other of them has;
4. the parameter of the block that is on in all its uses, and off in those of others, such as `Split`;
5. the form of the attention inside, such as `Window`; `Global`, beside one in windows or along a band;
6. `With…` and the first layer inside that no other of them has, by its label if it has one;
7. the enclosing block, if it is the same for all uses;
8. the label of the uses in the spec, if it is the same;
9. `First`, if each use is the first block of a row;
10. the stage, then the path, if it is the same for all uses;
11. `Early`, `Middle` and `Late`, if one is used in earlier parts of the network than the other.

Names that are still equal get ordinals: `Second`, `Third`. A class that a layer's template defines has the name in the
template. Where a network has several such classes of a layer, the name begins with the role of its uses, such as
`TimeAttention`; further classes of one name get the qualifier of the enclosing block, or its name.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import chain, count, pairwise
from typing import TYPE_CHECKING

from archdsl.core.names import why_refused
from archdsl.core.values import Symbol
from archdsl.ir.flow import externals
from archdsl.ir.regions import Block, BlockRow, Shortcut, around
from archdsl.ir.rows import stage_row
from archdsl.targets.torch.classes import Qualifier

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from archdsl.core.grid import Grid
    from archdsl.ir.regions import Region
    from archdsl.ir.signature import BlockParameter
    from archdsl.targets.torch.classes import Group, Grouping
    from archdsl.targets.torch.select import OpNetwork


def name_classes(grouping: Grouping, taken: Iterable[str]) -> None:
    """Name each class of a network; names are unique and not in `taken`."""
    groups = grouping.groups
    for group in groups:
        group.name = _plain_name(group)
    for qualify in _QUALIFIERS:
        for members in _alike(groups):
            found = qualify(grouping, members)
            if len(set(found)) > 1:
                for group, qualifier in zip(members, found, strict=True):
                    group.name = f"{qualifier.before}{group.name}{qualifier.behind}"
                    group.qualifiers += (qualifier,) if any(qualifier) else ()
    used = _Used({*taken, *(p.name for group in groups for p in _parameters(group))})
    for group in groups:
        group.name = free_name([group.name], used)
        used.add(group.name)


class _Used(set[str]):
    """Set of used names, which also contains every name that is reserved in generated code."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or bool(why_refused(str(name)))


def free_name(wanted: Sequence[str], used: Container[str]) -> str:
    """Return the first of the wanted names that is free, or else the first of them with an ordinal before it."""
    counted = (f"{ordinal(n)}{wanted[0]}" for n in count(2))
    if not wanted[0][:1].isupper():
        counted = (f"{snake(ordinal(n))}_{wanted[0]}" for n in count(2))
    return next(n for n in chain(wanted, counted) if n not in used)


def _alike(groups: Iterable[Group]) -> list[list[Group]]:
    """Return the classes of each name that several have, inner ones first."""
    by_name: dict[str, list[Group]] = {}
    for group in groups:
        by_name.setdefault(group.name, []).append(group)
    return [alike for alike in by_name.values() if len(alike) > 1]


def _parameters(group: Group) -> Sequence[BlockParameter]:
    return group.example.signature.parameters if isinstance(group.example, Block) else ()


def _plain_name(group: Group) -> str:
    region = group.example
    if isinstance(region, Block):
        return camel(region.signature.name)
    return "Projection" if isinstance(region, Shortcut) else _part_name(group.regions)


def _part_name(regions: Sequence[Region]) -> str:
    """Return a name for parts of stages: the path and the stage that they have in common."""
    stages, paths = {u.top.stage for u in regions}, {u.top.path for u in regions}
    parts = [*(paths if len(paths) == 1 else ()), *(stages if len(stages) == 1 else ())]
    return camel("_".join(parts)) or camel(regions[0].name.replace(".", "_"))


# --- qualifiers: functions that return one for each of several classes of the same name ---


def _words(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return the word that all uses of a class have as the argument of the first parameter in which classes differ."""
    first = groups[0].example
    for parameter in first.signature.parameters if isinstance(first, Block) else ():
        found = _common(groups, partial(_word, parameter.name))
        if len(set(found)) > 1:
            return found
    return [Qualifier()] * len(groups)


def _word(parameter: str, region: Region) -> str:
    value = region.arguments.values.get(parameter) if isinstance(region, Block) else None
    return camel(value.name) if isinstance(value, Symbol) else ""


def _size(grouping: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return `Downsampling` or `Widening` for classes whose uses all shrink the grid or add channels."""
    notes = {"Downsampling": "It makes the grid smaller.", "Widening": "It has more channels at its end."}
    changes = [_change(grouping.network, group) for group in groups]
    return [Qualifier(change, note=notes.get(change, "")) for change in changes]


def _change(network: OpNetwork, group: Group) -> str:
    ends = [(_entering(network, region), network.node(region.exit).shape) for region in group.regions if region.items]
    if all(given is not None and made.positions < given.positions for given, made in ends):
        return "Downsampling"
    return "Widening" if all(given is not None and made.channels > given.channels for given, made in ends) else ""


def _entering(network: OpNetwork, region: Region) -> Grid | None:
    """Return the shape of the one value that enters a region; None if there are several."""
    values = externals(network, region)
    return network.node(values[0]).shape if len(values) == 1 else None


def _flags(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return the name of the first parameter that is on in all uses of some classes, and off in all uses of others."""
    first = groups[0].example
    for parameter in first.signature.parameters if isinstance(first, Block) else ():
        given = [{_flag(parameter.name, region) for region in group.regions} for group in groups]
        if {frozenset(values) for values in given} == {frozenset({True}), frozenset({False})}:
            return [Qualifier(camel(parameter.name) if True in values else "") for values in given]
    return [Qualifier()] * len(groups)


def _flag(parameter: str, region: Region) -> bool | None:
    value = region.arguments.values.get(parameter) if isinstance(region, Block) else None
    return value if isinstance(value, bool) else None


_SPARSE = {"Window", "Banded"}  # attention to some positions only


def _attention(grouping: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return the form of the attention in each class, if each has attention of one form."""
    forms = [
        {word for number in group.example.nodes() if (word := grouping.network.node(number).op.form_word) is not None}
        for group in groups
    ]
    if any(len(found) != 1 for found in forms):
        return [Qualifier()] * len(groups)
    words = [found.pop() for found in forms]
    if _SPARSE & {*words}:
        words = [word if word in _SPARSE else "Global" for word in words]
    return [Qualifier(word) for word in words]


def _parts(grouping: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return `With…` and the first class in a class that is in none of the others.

    One that is called `…With…` itself counts twice: by what it is with, and by its name without that.
    """
    contents: list[list[str]] = []
    for group in groups:
        inner = [grouping.of[id(r)] for r in group.example.inner if id(r) in grouping.of]
        ends = [next((q.behind for q in g.qualifiers if q.behind), "") for g in inner]
        names = [(g.name.removesuffix(end), end.removeprefix("With")) for g, end in zip(inner, ends, strict=True)]
        contents.append([name for pair in names for name in pair if name])
    return _with(groups, contents)


def _layers(grouping: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return `With…` and the first layer in a class that is in none of the others."""
    contents: list[list[str]] = []
    for group in groups:
        nodes = (grouping.network.node(item) for item in group.example.items if isinstance(item, int))
        contents.append([camel(n.label if n.explicit else n.layer.kind) for n in nodes if not n.layer.internal])
    return _with(groups, contents)


def _with(groups: Sequence[Group], contents: Sequence[Sequence[str]]) -> list[Qualifier]:
    """Return `With…` and the first of the contents of each class that no other has."""
    found: list[Qualifier] = []
    for index, own in enumerate(contents):
        others = {name for k, names in enumerate(contents) if k != index for name in names}
        first = next((name for name in own if name not in others), "")
        found.append(Qualifier(behind=f"With{first}", note=f"With {first}.") if first else Qualifier())
    most = max(range(len(groups)), key=lambda i: len(groups[i].regions))
    without = [Qualifier() if i == most else qualifier for i, qualifier in enumerate(found)]
    return without if len(set(without)) == len(set(found)) else found  # the class of most uses has the plain name


def _block_around(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return the innermost enclosing block, if it is the same for all uses of a class."""
    return _common(groups, lambda region: next((camel(r.signature.name) for r in _outer_blocks(region)), ""))


def _outer_blocks(region: Region) -> list[Block]:
    return [r for r in around(region) if isinstance(r, Block) and r is not region]


def _place_in_row(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return `First` for the class whose uses are all the first block of a row."""

    def is_first(region: Region) -> bool:
        if not isinstance(region, Block):
            return False
        row = region.parent.blocks if isinstance(region.parent, BlockRow) else stage_row(region.top)
        return row is not None and len(row) > 1 and region is row[0]

    return _common(groups, lambda region: "First" if is_first(region) else "")


def _label(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return the label in the spec, if it is the same for all uses of a class."""
    return _common(groups, lambda r: camel(r.label) if isinstance(r, Block) and r.explicit else "")


def _order(grouping: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    """Return `Early`, `Middle` and `Late` for classes whose uses do not overlap in the order of the network."""
    places = {id(part): index for index, part in enumerate(grouping.network.regions)}
    spans = [[places[id(region.top)] for region in group.regions] for group in groups]
    order = sorted(range(len(groups)), key=lambda i: min(spans[i]))
    apart = all(max(spans[a]) < min(spans[b]) for a, b in pairwise(order))
    words = {2: ("Early", "Late"), 3: ("Early", "Middle", "Late")}.get(len(groups), ()) if apart else ()
    return [Qualifier(words[order.index(i)] if words else "") for i in range(len(groups))]


def _stage(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    return _common(groups, lambda region: camel(region.top.stage))


def _path(_: Grouping, groups: Sequence[Group]) -> list[Qualifier]:
    return _common(groups, lambda region: camel(region.top.path))


def _common(groups: Sequence[Group], word: Callable[[Region], str]) -> list[Qualifier]:
    """Return the word that all uses of a class have in common, if there is one."""
    words = [{word(region) for region in group.regions} for group in groups]
    return [Qualifier(w.pop() if len(w) == 1 else "") for w in words]


# In this order; `_layers` distinguishes classes by which others are distinguished then, as their parts.
_QUALIFIERS = (
    _words, _size, _parts, _flags, _attention, _layers, _parts, _block_around, _label, _place_in_row,
    _stage, _path, _order,
)  # fmt: skip

# --- words ---

_SMALL = (
    "Zeroth First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth Eleventh Twelfth Thirteenth Fourteenth "
    "Fifteenth Sixteenth Seventeenth Eighteenth Nineteenth"
).split()
_TENS = "Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety".split()


def ordinal(number: int) -> str:
    """Return a number as a word: `Second`, `TwentyFirst`; hundreds as in `ThreeHundredthFourth`."""
    hundreds, rest = divmod(number, 100)
    before = f"{ordinal(hundreds)}Hundred" if hundreds else ""
    if rest < len(_SMALL):
        return before + ("" if before and not rest else _SMALL[rest])
    tens, ones = divmod(rest, 10)
    word = _TENS[tens - 2]
    return before + (word + _SMALL[ones] if ones else f"{word.removesuffix('y')}ieth")


def camel(name: str) -> str:
    """Return a name of the language in CamelCase: `wider_mlp` is `WiderMlp`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def snake(name: str) -> str:
    """Return a name in CamelCase as one of a variable: `ShiftedWindows` is `shifted_windows`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
