"""Attributes of layers as text: their types and their defaults."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.values import Symbol, describe, is_list
from archdsl.layers.attention_arguments import Between, Over
from archdsl.layers.attributes import (
    Attribute,
    BiasInitialiser,
    Choice,
    Flag,
    Initialiser,
    Integer,
    KernelInitialiser,
    Numbers,
    PositionInitialiser,
    Real,
    Reference,
    Size,
    TokenName,
    WeightInitialiser,
    Window,
)
from archdsl.layers.padding import Padding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.layers.base import Layer

TYPES: dict[type, str] = {
    Integer: "whole number", Real: "number", Flag: "bool", Size: "size", Window: "size",
    Initialiser: "initialiser", KernelInitialiser: "initialiser of a kernel", PositionInitialiser: "initialiser",
    WeightInitialiser: "initialiser", BiasInitialiser: "initialiser of a bias",
    Reference: "name of an input",
    Numbers: "list of numbers", TokenName: "name of tokens",
    Padding: "padding",
    Over: "axes or a list of axes",
}  # fmt: skip


LINE_MEANINGS = {  # of an attention
    "q:, k:, v:": "a chain for queries, keys or values, from where the lines above left them",
    "qkv:, qk:, qv:, kv:": "one for several of them",
    "token_q: and so on": "one for those of class tokens",
    "bias:": "a bias of the scores; several add up",
    "proj:": "a chain for the result, the last line",
}


def arguments_of(cls: type[Layer]) -> Mapping[str, Attribute[Any]]:
    """Return what a spec can give a layer."""
    return Between.attributes if cls.takes_lines else cls.attributes


def type_text(attribute: Attribute[Any]) -> str:
    """Return the type of an attribute; words of the language in backquotes."""
    if isinstance(attribute, Choice):
        return " or ".join(f"`{c}`" for c in attribute.choices)
    return TYPES[type(attribute)]


def default_text(attribute: Attribute[Any]) -> str:
    """Return the default of an attribute as a spec writes it, in backquotes; empty if it has to be given."""
    if attribute.required:
        return ""
    if isinstance(attribute, Numbers):
        return f"`[{', '.join(map(number_text, attribute.default))}]`"
    text = value_text(attribute.default)
    return text.replace("`0`", "`all`") if isinstance(attribute, Window) else text


def value_text(value: Any) -> str:
    """Return a value as a spec writes it, in backquotes; a dash for none."""
    if value in (None, ""):
        return "–"
    if is_list(value) and len(set(value)) == 1:
        value = value[0]
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, float):
        return f"`{number_text(value)}`"
    if isinstance(value, Symbol):
        numbers = ", ".join(f"{n:g}" for n in value.arguments)
        return f"`{value.name}({numbers})`" if numbers else f"`{value.name}`"
    return f"`{describe(value).strip('`')}`"


def number_text(value: float) -> str:
    """Return `0.1` or `8/7`: a decimal where one of few digits is exact."""
    text = f"{value:g}"
    if float(text) == value:
        return text
    near = Fraction(value).limit_denominator(1000)
    return str(near if float(near) == value else Fraction(value))
