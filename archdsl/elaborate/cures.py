"""Cures for arguments and calls: the text to write instead, from the user's own values."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import Symbol, Unknown, describe, is_list, is_number
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.elaborate.meanings import FUNCTIONS as FUNCTION_MEANINGS
from archdsl.elaborate.meanings import LEFT_OUT, LIBRARIES, LINES, RENAMED, WORDS
from archdsl.frontend import ast
from archdsl.frontend.foreign_chains import remark
from archdsl.frontend.translate import SIGNATURES, chain_of, plain, value_of
from archdsl.layers.attributes import Choice, Flag, Integer, Real, Reference, Size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from archdsl.core.source import Span
    from archdsl.core.values import Value
    from archdsl.ir.regions import Shape
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer

LARGE_KERNEL = 16  # along an axis: with smaller steps, a number that is meant otherwise
INITIALISERS = "`msra`, `xavier`, `normal(0.01)`, `trunc_normal(0.02)` or `zeros`"
AXES: Mapping[str, str] = dict.fromkeys(
    ("axis", "axes", "dim", "dims"), "axes have names, and `over` takes one: `over = time`"
)
NEVER_GIVEN = "the channels that enter are known and never given"


def attribute_cure(attribute: Attribute[object], argument: ast.Argument, value: Value, layer: str) -> str:
    """Return what to write for a value that an attribute of a layer does not take; empty if nothing is known."""
    name = attribute.name
    if isinstance(value, str) and value in attribute.words:
        return f"a word has no quotes: `{name} = {value}`"
    if isinstance(value, Symbol) and WORDS.get(value.name) in attribute.words:
        return f"write `{name} = {WORDS[value.name]}`"
    if isinstance(attribute, Size) and "all" in attribute.words and _is_below_one(value):
        return "`all` is the whole axis"
    if name == "padding":
        return _padding_cure(attribute, layer)
    if name == "bias" and is_number(value):
        return f"{NEVER_GIVEN}: `linear(400)`, `conv(64, 3)`"
    if argument.name is not None or not is_number(value) or not isinstance(attribute, Real):
        return ""
    if not attribute.required:
        return f"{NEVER_GIVEN}: `{layer}`" if value > 1 else ""
    is_percentage = attribute.high == 1 and 2 <= value <= 100
    return f"it is a share, not a percentage: `{layer}({describe(Fraction(value) / 100)})`" if is_percentage else ""


def _padding_cure(attribute: Attribute[object], layer: str) -> str:
    """Return what a padding can be."""
    if not attribute.words:
        return f"`{layer}` takes a number: {attribute.doc}"
    return (
        "`padding = half` pads by half of the kernel, so that a stride of 1 keeps the grid; `padding = valid` does "
        "not pad; `padding = [0, 1, 1]` pads by numbers"
    )


def _is_below_one(value: Value) -> bool:
    items: tuple[Value, ...] = value if is_list(value) else (value,)
    return any(is_number(i) and i < 1 for i in items)


def argument_cure(key: str, argument: ast.Argument, known: Collection[str]) -> str:
    """Return what to write for an argument whose name a layer or block does not know."""
    text = value_of(argument.value.span.text) or argument.value.span.text
    if key in ("activation", "act"):
        return f"an activation is a layer behind it: `-> {plain(text.strip(chr(34))) or 'relu'}`"
    if key == "name":
        return f"`as NAME` behind a layer names it: `as {re.sub(r'[^A-Za-z0-9_]', '', text) or 'NAME'}`"
    if renamed := _renamed(key, text, known):
        return renamed
    own = LINES if "kv_heads" in known else AXES  # the first are of attention
    if key in own and "over" in known:
        return own[key]
    if key in LEFT_OUT:
        return f"leave out `{key}`: {LEFT_OUT[key]}"
    hint = did_you_mean(key, known)
    return re.sub(r"`(\w+)`", rf"`\1 = {_escaped(text)}`", hint) if hint.startswith("did you mean") else hint


def _renamed(key: str, text: str, known: Collection[str]) -> str:
    """Return what to write for an argument that has another name here; empty for other arguments."""
    if key == "spatial_scale" and "stride" in known:
        return f"`stride` is its inverse, pixels of the clip for a position: `stride = {_inverse(text)}`"
    name = next((ours for ours in RENAMED.get(key, ()) if ours in known), "")
    if name == "padding":
        return f"write `padding = {text.strip(chr(34))}`"
    if name == "init":
        return f"write `init = …`, with {INITIALISERS}"
    if name == "bias_init":
        return "write `bias_init = …`, with `zeros`, `constant(0.1)` or `uniform`"
    return f"write `{name} = {text}`" if name else ""


def _inverse(text: str) -> str:
    """Return 1 / x of a number or a quotient."""
    found = re.fullmatch(r"(\d*\.?\d+)(?:\s*/\s*(\d*\.?\d+))?", text)
    if found is None or not Fraction(found[1]):
        return f"1 / ({text})"
    return describe(Fraction(found[2] or 1) / Fraction(found[1]))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


def rounding_cure(expr: ast.Expr, hint: str) -> str:
    """Return what to write for a fraction where a whole number is expected."""
    text = expr.span.text
    if isinstance(expr, ast.Number) and 0 < expr.value < 1:
        return f"it is a number, not a share: `round({text}*64)` is this share of 64"
    if not isinstance(expr, ast.Binary) or "\n" in text or len(text) > 60:
        return hint
    return f"`round({text})`, `floor(…)` and `ceil(…)` make it whole"


def range_cure(name: Span, index: int, count: int) -> str:
    """Return a range or an index for a loop whose variable goes beyond the last element of a list; else nothing."""
    after = name.source.text[name.end :]
    found = re.match(r"(?:\s*,\s*\w+)*\s+in\s+(?:zip\()?(\w+)\s*\.\.\s*(len\(\w+\)|\d+)", after)
    if not found or not found[1].isdigit():
        return ""
    first, last = found.groups()
    if first != "0":
        fits = not last.isdigit() or int(last) - int(first) < count
        return f"elements count from 0: `[{name.text} - {first}]` for a loop that begins at {first}" if fits else ""
    if index != count:
        return ""
    end = str(int(last) - 1) if last.isdigit() else f"{last} - 1"
    return f"the end of a range belongs to it: `{first}..{end}`"


def word_cure(attributes: Mapping[str, Attribute[Any]], key: str, argument: ast.Argument) -> str:
    """Return what to write for the word of another attribute in the place of `key`; empty for other arguments."""
    if argument.name is not None or not isinstance(argument.value, ast.Name):
        return ""
    word = WORDS.get(argument.value.id, argument.value.id)
    if word in attributes[key].words:
        return ""
    if isinstance(attributes.get(word), Flag):
        return f"write `{word} = on`"
    other = next((name for name, attribute in attributes.items() if word in attribute.words), "")
    return f"write `{other} = {word}`" if other else ""


def missing_cure(
    layer: str, attributes: Mapping[str, Attribute[Any]], key: str, link: ast.Layer | ast.Merge | ast.Lines
) -> str:
    """Return a call with an example for an argument that is missing, behind those that are given."""
    attribute = attributes[key]
    meaning = f"`{key}`: {attribute.doc}" if attribute.doc else f"`{key}` has no default"
    required = [name for name, one in attributes.items() if one.required]
    given = [a.span.text for a in link.arguments or () if a.name is None][: required.index(key)]
    before = dict(zip(required, given, strict=False))
    examples = [before.get(name) or _example(name, attributes[name]) for name in required]
    told = "".join(f"; `{text}` is its `{name}`, {attributes[name].doc}" for name, text in before.items())
    return f"{meaning}, as in `{layer}({', '.join(examples)})`{told}"


def _example(key: str, attribute: Attribute[Any]) -> str:
    """Return a value of an attribute, as an example."""
    if isinstance(attribute, Choice):
        return attribute.choices[0]
    if isinstance(attribute, Size):
        return "3"
    if isinstance(attribute, Reference):
        return attribute.example.partition(":")[0].removeprefix("input ")
    if isinstance(attribute, Integer):
        return "64" if key == "out" else "4"
    return "0.5"


def nested_cure(link: ast.Layer | ast.Merge | ast.Lines | ast.Call, argument: ast.Argument) -> str:
    """Return the chain for a layer that is an argument of another layer; empty for other values."""
    value = argument.value
    if isinstance(link, ast.Call) or not isinstance(value, ast.Call) or value.name.id in FUNCTIONS:
        return ""
    chain = chain_of(link.span.text)
    return f"layers are joined by `->`: `{chain or f'{value.span.text} -> {link.name.id}'}`"


def layer_cure(link: ast.Layer) -> str:
    """Return the chain for a layer as PyTorch calls it, with its arguments; empty if it has none here."""
    name = link.name.id
    if name == "share" and link.arguments and len(link.arguments) == 1:
        return f"it has no parentheses: `share {link.arguments[0].span.text}`"
    if not link.arguments or name == name.lower():
        return ""
    chain = chain_of(link.span.text)
    return f"write `{chain}`{remark(chain)}" if chain else ""


def with_arguments(hint: str, link: ast.Layer) -> str:
    """Return a hint that names another layer with the arguments of the call, unless these are those of PyTorch."""
    found = re.fullmatch(r"did you mean `(\w+)`\?", hint)
    if not found or not link.arguments or plain(link.name.id) in SIGNATURES:
        return hint
    arguments = ", ".join(a.span.text for a in link.arguments)
    return f"did you mean `{found[1]}({arguments})`?" if "\n" not in arguments else hint


def function_cure(call: ast.Call, symbols: Iterable[str]) -> str:
    """Return what to write for an unknown function."""
    name = call.name.id
    if name in ("range", "arange", "int", "abs", "enumerate"):
        value = value_of(call.span.text)
        more = "`b` belongs to the range `a..b`" if name.endswith("range") else FUNCTION_MEANINGS[name]
        return f"write `{value}`: {more}" if value else FUNCTION_MEANINGS[name]
    return FUNCTION_MEANINGS.get(name.lower()) or did_you_mean(name, {*FUNCTIONS, *symbols})


def list_cure(product: ast.Binary) -> str:
    """Return what to write for a list that is multiplied by a number."""
    if not isinstance(product.left, ast.List):
        return ""
    items = ", ".join(item.span.text for item in product.left.items)
    many = f"[{items}]" if len(product.left.items) > 1 else items
    return f"a list of equal elements is `[{many} for i in 1..{product.right.span.text}]`"


def nothing_cure(span: Span) -> str:
    """Return what to write for `None` or `null`, as the value of an argument or another value."""
    name = re.search(r"(\w+)\s*=\s*$", span.source.text[: span.start])
    what = f"leave out `{name[1]}`" if name else "leave it out"
    return f"there is no `{span.text}`: {what}, or give a number, `off` or a list"


def import_cure(name: str) -> str:
    """Return what to do about the import of a Python library; empty for other names."""
    return "leave out this line: layers are known without an import" if name in LIBRARIES else ""


def order_cure(layer: Layer, entering: Shape, link: ast.Layer) -> str:
    """Return what to write for a layer whose arguments are channels in, channels out and kernel; else nothing."""
    given = link.arguments or ()
    if len(given) < 3 or not layer.width or isinstance(entering, Unknown) or any(a.name for a in given[:3]):
        return ""
    first, second, third = (a.value for a in given[:3])
    if not (isinstance(first, ast.Number) and isinstance(second, ast.Number) and isinstance(third, ast.Number)):
        return ""
    if first.value != entering.channels or second.value < LARGE_KERNEL or third.value * 4 > second.value:
        return ""
    rest = ", ".join(a.span.text for a in given[1:])
    return f"{NEVER_GIVEN}: `{link.name.id}({rest})`"


def axes_cure(link: ast.Layer) -> str:
    """Return the kernel and stride of a layer as [t, h, w], if both are written as [h, w, t]; else nothing."""
    given = {a.name.id: a.value for a in link.arguments or () if a.name is not None}
    positions = [a.value for a in link.arguments or () if a.name is None]
    kernel = given.get("kernel") or next((v for v in positions if isinstance(v, ast.List)), None)
    sizes = [_last_first(value) for value in (kernel, given.get("stride"))]
    return f"sizes are [t, h, w]: kernel `{sizes[0]}`, stride `{sizes[1]}`" if all(sizes) else ""


def _last_first(value: ast.Expr | None) -> str:
    """Return [n, n, m] as [m, n, n], for numbers n > m; empty for other values."""
    items = value.items if isinstance(value, ast.List) else ()
    numbers = [item.value for item in items if isinstance(item, ast.Number)]
    if len(items) != 3 or len(numbers) != 3 or not numbers[0] == numbers[1] > numbers[2] > 0:
        return ""
    return f"[{items[2].span.text}, {items[0].span.text}, {items[1].span.text}]"
