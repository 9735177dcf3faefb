"""Tables of the language: layers with their attributes, names of a recipe, budgets."""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from archdsl.commands.vocabulary_text import LINE_MEANINGS, arguments_of, default_text, type_text
from archdsl.core import grid, report, source, work
from archdsl.elaborate import budget, calls, functions, graph, shapes
from archdsl.frontend import build_values, parse
from archdsl.ir.recipe import Recipe
from archdsl.layers import attributes, vocabulary

if TYPE_CHECKING:
    from archdsl.layers.attributes import Attribute

BUDGETS = (
    (source.MAX_CHARACTERS, "characters in a file"),
    (parse.MAX_TOKENS, "words, numbers and signs in a file"),
    (parse.MAX_NAME, "characters in a name"),
    (parse.MAX_NESTING, "brackets inside each other"),
    (build_values.MAX_DEPTH, "operations inside each other"),
    (2 * build_values.MAX_EXPONENT, "digits of a number as written"),
    (functions.MAX_MAGNITUDE, "size of a number, or of a fraction's denominator, that is computed"),
    (attributes.MAX_WHOLE, "size of a whole number that a layer is given: a width, a kernel, a stride"),
    (functions.MAX_LIST, "elements of a list, with those of lists in it"),
    (functions.MAX_LIST_DEPTH, "lists inside each other"),
    (budget.MAX_DEPTH, "expressions and chains inside each other, those that names stand for included"),
    (calls.MAX_BLOCK_DEPTH, "blocks inside each other"),
    (graph.MAX_LAYERS, "layers"),
    (grid.MAX_ELEMENTS, "numbers in a tensor: a clip, the result of a layer, the weights of a layer"),
    (shapes.MAX_MACS, "multiply-adds of a layer, for one clip"),
    (work.MAX_STEPS, "steps of work"),
    (report.MAX_DIAGNOSTICS, "faults shown in one run"),
)


def attribute_row(name: str, attribute: Attribute[Any]) -> str:
    """Return one line of a layer's table."""
    return f"| `{name}` | {type_text(attribute)} | {default_text(attribute)} | {attribute.doc} |"


def layer_tables() -> str:
    """Every layer that a spec can name, with its attributes, by category."""
    found = sorted((cls.category, kind) for kind, cls in vocabulary().items() if not cls.internal)
    parts = ["| category | layers |\n|---|---|"]
    for category, group in groupby(found, key=itemgetter(0)):
        kinds = [kind for _, kind in group]
        parts[0] += f"\n| [{category}](#{category}-layers) | {', '.join(f'[`{k}`](#{anchor(k)})' for k in kinds)} |"
        parts.append(f"## {category.capitalize()} layers")
        parts += [layer_section(kind) for kind in kinds]
    return "\n\n".join(parts)


def heading(kind: str) -> str:
    """Return the heading of a layer, as a chain has it."""
    return f"{kind} {{ …, … }}" if vocabulary()[kind].many else kind


def anchor(kind: str) -> str:
    """Return the anchor that the site gives to the heading of a layer."""
    return re.sub(r"[^\w -]", "", heading(kind)).replace(" ", "-")


def layer_section(kind: str) -> str:
    """Return what a layer computes, its attributes, and the lines that its braces hold."""
    cls = vocabulary()[kind]
    parts = [f"### `{heading(kind)}`\n\n{doc_text(cls)}"]
    if given := arguments_of(cls):
        rows = "\n".join(attribute_row(n, a) for n, a in given.items())
        parts.append(f"| attribute | kind | default | meaning |\n|---|---|---|---|\n{rows}")
    if cls.takes_lines:
        rows = "\n".join(f"| `{line}` | {meaning} |" for line, meaning in LINE_MEANINGS.items())
        parts.append(f"| line | meaning |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def doc_text(cls: type) -> str:
    """A docstring as Markdown: what stands alone between blank lines stays so."""
    paragraphs = re.split(r"\n\s*\n", (cls.__doc__ or "").strip())
    return "\n\n".join(" ".join(line.strip() for line in p.splitlines()) for p in paragraphs)


def recipe_table() -> str:
    """What a recipe can say."""
    rows = "\n".join(attribute_row(n, a) for n, a in Recipe.fields.items())
    return f"| name | kind | default | meaning |\n|---|---|---|---|\n{rows}"


def budget_table() -> str:
    """The limits."""
    return "| at most | |\n|---|---|\n" + "\n".join(f"| {limit:,} | {what} |" for limit, what in BUDGETS)
