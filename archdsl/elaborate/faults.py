"""Notes and hints for faults: calls of enclosing blocks, origins of values, and layers that computed shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.grid import grid_text
from archdsl.core.values import Symbol, Value, describe
from archdsl.elaborate.cures import nothing_cure
from archdsl.elaborate.meanings import NOTHING, VALUES
from archdsl.elaborate.scope import traced
from archdsl.frontend import ast
from archdsl.ir.regions import Block, around

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import networkx as nx

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.elaborate.scope import Scope
    from archdsl.ir.network import Node
    from archdsl.ir.regions import Region

SHOWN_CALLS = 3


def trail(calls: Sequence[ast.Layer | ast.Call], span: Span) -> list[Note]:
    """Return notes on the calls around a fault, the innermost first, unless they contain the place."""
    return [
        Note(f"in the {_kind(call)} `{call.name.id}`, called here", call.span)
        for call in reversed(calls[-SHOWN_CALLS:])
        if call.span.source is not span.source or not call.span.start <= span.start < call.span.end
    ]


def _kind(call: ast.Layer | ast.Call) -> str:
    return "block" if isinstance(call, ast.Layer) else "function"


def used_notes(first: Span, used: Span) -> list[Note]:
    """Return a note on the use of a value, unless the use contains the place where the value is written."""
    is_inside = used.source is first.source and used.start <= first.start < used.end
    return [] if is_inside else [Note("used here", used)]


def fraction_notes(expr: ast.Expr, scope: Scope) -> list[Note]:
    """Return notes on the origins of fractions in an expression."""
    expr, scope = traced(expr, scope)
    notes: dict[str, Note] = {}
    for name in _names(expr):
        binding = scope.find(name.id)
        if binding is not None and isinstance(binding.value, Fraction) and binding.expr is not None:
            place = traced(binding.expr, binding.scope or scope)[0].span
            notes[name.id] = Note(f"`{name.id}` is {describe(binding.value)}", place)
    return list(notes.values())


def _names(part: Any) -> Iterator[ast.Name]:
    if isinstance(part, ast.Name):
        yield part
    elif isinstance(part, (ast.Binary, ast.Unary)):
        for inner in vars(part).values():
            yield from _names(inner)


_ROUNDS = {"i", "j", "k", "n", "idx", "it", "iteration", "layer", "layer_idx", "block_idx", "depth_idx"}  # of a loop


class Words(NamedTuple):
    """The text of a fault: its code, its label, a hint and notes."""

    code: str
    label: str
    hint: str = ""
    notes: Sequence[Note] = ()


def unknown_name(name: ast.Name, scope: Scope, words: Iterable[str], places: Places, *, in_block: bool) -> Words:
    """Return the text for a name that is unknown in a scope.

    Args:
        name: the name in the expression.
        scope: the scope of the expression.
        words: words of the language that are values.
        places: names that are known elsewhere in the program.
        in_block: the expression is in a block.
    """
    if name.id == "index":
        return Words("E0210", "`index` is known only in what is repeated", _INDEX_IN_BLOCK if in_block else _INDEX)
    beyond = places.replaced.find(name.id) if places.replaced is not None else None
    if beyond is not None:
        label = f"`{name.id}` is known only around the stage that this one takes the place of"
        notes = [Note("it is declared here", beyond.span)] if beyond.span is not None else []
        return Words("E0210", label, f"write what it is there: {describe(beyond.value)}", notes)
    if name.id in places.declared:
        notes = [Note("it is declared here", places.declared[name.id])]
        hint = "declare it with `param` to use it everywhere, or write its value"
        if name.span.text != name.id:
            hint = "a variant names a stage as it is called in the end, as in `stage res4 { … }`"
        return Words("E0210", f"`{name.id}` is known only inside the braces in which it is declared", hint, notes)
    hint = _parameter(name.id, places)
    hint = hint or _meaning(name, scope) or did_you_mean(name.id, {*scope.known(), *words})
    if not hint and not name.span.source.name.startswith("--"):  # the value of an option
        hint = f"`param {name.id} = …` declares it"
    if name.span.source.text[: name.span.start].rstrip(" \t").endswith("//"):
        hint = "`//` divides and rounds down; a comment begins with `#`"
    elif in_block and not scope.sees_parameters() and not hint.startswith(("did", "write", "there", "`")):
        hint = "a block of a library sees nothing but its own parameters; give it this value as one of them"
    return Words("E0201", f"nothing is called `{name.id}` here", hint)


def _parameter(name: str, places: Places) -> str:
    """Return a hint for a parameter of a block that is no value of an expression; empty for other names."""
    if name in places.blocks:
        return f"`{name}` is a layer or a block, which a chain calls: `-> {name}`"
    return f"`{name}` is a value, with which a chain begins" if name in places.values else ""


def _meaning(name: ast.Name, scope: Scope) -> str:
    """Return a hint for a word of another language; empty for other names."""
    if scope.find_function(name.id) is not None:
        return f"`{name.id}` is a function, which is called: `{name.id}(…)`"
    if name.id in NOTHING:
        return nothing_cure(name.span)
    if name.id in _ROUNDS and scope.find("index") is not None:
        return "inside a repeat the rounds are counted by `index`, from 0"
    return VALUES.get(name.id, "")


@dataclass
class Places:
    """Names that are known elsewhere in a program, for hints on unknown names."""

    declared: Mapping[str, Span] = field(default_factory=dict[str, "Span"])  # in a `for`, or a `let` in braces
    replaced: Scope | None = None  # around the stage that the current one replaces
    replaced_line: Span | None = None  # the first line of that stage
    blocks: set[str] = field(default_factory=set[str])  # parameters of blocks of the type `block`
    values: set[str] = field(default_factory=set[str])  # parameters of blocks of the type `value`


def declared_inside(statements: Iterable[ast.Statement], depth: int = 0) -> Iterator[tuple[str, Span]]:
    """Yield the names that are declared inside braces, with their spans."""
    for statement in statements:
        match statement:
            case ast.For():
                yield from ((n.id, n.span) for n in statement.names)
                yield from declared_inside(statement.body, depth + 1)
            case ast.If():
                yield from declared_inside([*statement.body, *statement.otherwise], depth + 1)
            case ast.Stage():
                yield from declared_inside(statement.body, depth + 1)
            case ast.Let() if depth:
                yield from ((b.name.id, b.name.span) for b in statement.bindings)
            case _:
                pass


_INDEX = "it counts the rounds of the innermost `*` from 0, as in `conv(8*(index + 1)) * 3`; a `for` names its own"
_INDEX_IN_BLOCK = (
    "it counts the rounds of the caller's `*`; a block is given it as an argument, as in `unit(index) * 3`"
)


def word_hint(expr: ast.Expr, value: Value, places: Places) -> str:
    """Return a hint for a word of a layer that is used like a variable; empty for other values."""
    if not (isinstance(expr, ast.Name) and isinstance(value, Symbol) and value.name == expr.id):
        return ""
    known = "is known only inside the braces that declare it" if expr.id in places.declared else "is not declared"
    return f"`{expr.id}` is a word that other attributes take; a parameter or variable of that name {known}"


def hidden_word(expr: ast.Expr, value: Value, words: Collection[str]) -> str:
    """Return a hint for a word of a layer that a parameter or variable hides, as it has the same name; else nothing."""
    if not (isinstance(expr, ast.Name) and expr.id in words) or value == Symbol(expr.id):
        return ""
    return f"`{expr.id}` is a parameter or variable here, which hides the word of the layer; give it another name"


def producer(graph: nx.DiGraph[int], number: int, region: Region) -> Span:
    """Return the span of what gave a value its shape, seen from a region: a layer, or the call of its outer block."""
    node: Node = graph.nodes[number]["node"]
    while len(node.inputs) == 1 and node.inputs[0] >= 0:
        before: Node = graph.nodes[node.inputs[0]]["node"]
        if before.shape != node.shape:
            break
        node = before
    seen_from = set(around(region))
    span = node.span
    for inside in around(node.region):
        if inside in seen_from:
            break
        span = inside.span if isinstance(inside, Block) else span
    return span


def residual_notes(
    graph: nx.DiGraph[int], body: tuple[int, Grid], around: tuple[int, Grid], region: Region, is_taken: bool
) -> list[Note]:
    """Return notes on the origins of the shapes of both sides of a residual."""
    other = "the shortcut ends in" if is_taken else "the input is"
    return [
        Note(f"the body ends in {body[1]}, which comes from here", producer(graph, body[0], region)),
        Note(f"{other} {around[1]}, which comes from here", producer(graph, around[0], region)),
    ]


def grids_hint(shapes: Sequence[Grid], link: ast.Merge | ast.Lateral) -> str:
    """Return a hint for values whose grids differ: the strides that bring one to the other.

    Args:
        shapes: the shapes of the values; for a lateral, of the target path and of the lateral.
        link: the merge or lateral that joins them.
    """
    first, number = _conflict([s.size for s in shapes])
    lateral = isinstance(link, ast.Lateral)
    if isinstance(link, ast.Merge) and _is_head(link):
        pooled = ", ".join(f"{b.span.text} -> avgpool" for b in link.branches)
        return f"in a head each branch is pooled: `{link.name.id} {{ {pooled} }}`"
    names = (
        (f"the path `{link.target.id}`", "the lateral") if lateral else (f"branch {first + 1}", f"branch {number + 1}")
    )
    sides = sorted(((s.size, n) for s, n in zip((shapes[first], shapes[number]), names, strict=True)), reverse=True)
    (large, its_name), (small, other_name) = sides
    smallest = (min(large[0], small[0]), min(large[1], small[1]), min(large[2], small[2]))
    stride, back = _stride(large, smallest), _stride(small, smallest)
    if stride is None or back is None:
        axes = zip(large, small, smallest, strict=True)
        pooled = ", ".join("1" if _stride([a], [c]) and _stride([b], [c]) else "all" for a, b, c in axes)
        more = f", or pool an axis to 1, which is repeated: `avgpool([{pooled}])`" if _repeats_axes(link) else ""
        what = "choose sizes of the inputs that every stride and rate on the way divides"
        return f"no stride brings one to the other: {what}{more}"
    if small != smallest:
        ways = f"{its_name} a stride of {_listed(stride)}, {other_name} one of {_listed(back)}"
        return f"each is the larger along some axis: give {ways}"
    if isinstance(link, ast.Lateral) and other_name == "the lateral":
        way = f"leave out a stride of {_listed(stride)} on its way, or bring {its_name} to it"
        other = f"`lateral {link.target.id} => {link.source.id}: …` goes the other way"
        larger = f"`-> upsample({_listed(stride)})` makes it larger; or " if _divides(small, large) else ""
        return f"the lateral is the smaller: {larger}{way}; {other}"
    way = f"{its_name} is the larger: `stride = {_listed(stride)}` in a layer or a pool brings it to {grid_text(small)}"
    if _divides(small, large):
        return f"{way}; `upsample({_listed(stride)})` brings {other_name} to {grid_text(large)}"
    return f"{way}; {other_name} cannot be made larger" + ("" if lateral else ", unless a stride in it is left out")


def _repeats_axes(link: ast.Merge | ast.Lateral) -> bool:
    """Return True if a join repeats axes of 1: all but the concatenation do."""
    join = link.name if isinstance(link, ast.Merge) else link.fusion
    return isinstance(join, ast.Name) and join.id != "concat"


def _divides(small: tuple[int, int, int], large: tuple[int, int, int]) -> bool:
    return all(b % a == 0 for a, b in zip(small, large, strict=True))


def _conflict(sizes: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the places of two sizes that differ, along an axis that is 1 in neither if there is one."""
    for lengths in zip(*sizes, strict=True):
        first = next((i for i, n in enumerate(lengths) if n != 1), 0)
        if (other := next((i for i, n in enumerate(lengths) if n not in (1, lengths[first])), 0)) > first:
            return first, other
    return 0, next(i for i, size in enumerate(sizes) if size != sizes[0])


def _is_head(link: ast.Merge) -> bool:
    """Return True if a join stands in the line of a head, with branches that end in no pool."""
    text = link.span.source.text
    line = text[text.rfind("\n", 0, link.span.start) + 1 : link.span.start]
    return line.lstrip().startswith("head") and all("pool" not in b.span.text for b in link.branches)


def _stride(large: Sequence[int], small: Sequence[int]) -> list[int] | None:
    """Return the strides (t, h, w) from `large` to `small`, with `half` padding; None if there are none."""
    strides = [-(-int(a) // int(b)) for a, b in zip(large, small, strict=True)]
    fits = all(-(-int(a) // s) == b for a, b, s in zip(large, small, strides, strict=True))
    return strides if fits else None


def _listed(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else f"[{', '.join(map(str, numbers))}]"


def _repeats(body: Grid, entering: Grid) -> bool:
    """Return True if a body fits what enters where its axes of 1 are repeated."""
    fits = all(b in (1, e) for b, e in zip(body.shape, entering.shape, strict=True))
    return fits and not body.tokens and not entering.tokens


def residual_hint(body: Grid, entering: Grid, has_shortcut: bool, is_taken: bool) -> str:
    """Return a hint for making the two sides of a residual equal in shape."""
    if has_shortcut and is_taken:
        return "the shortcut must end in the channels of the body, and stride as the body does"
    if has_shortcut:
        return "the condition of the shortcut does not hold here, but it must where the body changes the shape"
    if _repeats(body, entering):
        return f"a residual repeats no axis of 1: `add {{ in, … }}` adds {body} to all of {entering}"
    if body.token or entering.token:
        return "both sides must be of one grid: `select(token)` behind the residual takes the class token alone"
    ratios = [e / b for e, b in zip(entering.size, body.size, strict=True)]
    if any(r != int(r) for r in ratios):
        return "a `shortcut { … }` behind the residual must change the grid as the body does"
    step = _listed([int(r) for r in ratios])
    stride = "" if step == "1" else f", stride = {step}"
    shortcut = f"`shortcut {{ conv({int(body.channels)}, 1{stride}) -> bn }}` behind the residual"
    return shortcut if stride else f"end the body in {int(entering.channels)} channels, or put {shortcut}"
