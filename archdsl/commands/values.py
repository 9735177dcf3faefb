"""Values of options: each function parses a text, or raises an error that names the expected form."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Any, cast


def clip(text: str) -> tuple[int, int, int, int]:
    """Read the size of a clip: channels, frames, height, width."""
    from archdsl.elaborate.clip import parse_clip

    try:
        return parse_clip(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def size(text: str) -> int:
    """Read an amount of memory, in bytes."""
    from archdsl.core.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """Read a number of clips, devices and the like: 1 to 999,999."""
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        message = f"{text!r} is not a whole number from 1 to 999999"
        raise ArgumentTypeError(message)
    return int(text)


def positive(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not re.fullmatch(r"[1-9]\d{0,9}", text):
        message = f"{text!r} is not a whole number, 1 or more"
        raise ArgumentTypeError(message)
    return int(text)


def natural(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not re.fullmatch(r"\d{1,9}", text):
        message = f"{text!r} is not a whole number, 0 or more"
        raise ArgumentTypeError(message)
    return int(text)


def probability(text: str) -> float:
    """Read a probability, from 0 to 1."""
    if not re.fullmatch(r"0?\.\d{1,9}|0|1(\.0{1,9})?", text):
        message = f"{text!r} is not a probability, from 0 to 1"
        raise ArgumentTypeError(message)
    return float(text)


def share(text: str) -> float:
    """Read a share above 0 and up to 1."""
    if not re.fullmatch(r"0?\.\d{1,9}|1(\.0{1,9})?", text) or float(text) == 0.0:
        message = f"{text!r} is not a share above 0 and up to 1, as in 0.4"
        raise ArgumentTypeError(message)
    return float(text)


def seconds(text: str) -> float:
    """Read a positive number of seconds, such as `2s` or `0.5`."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s?s?", text)
    if match is None or not float(match[1]):
        message = f"{text!r} is not a positive number of seconds, such as 2s"
        raise ArgumentTypeError(message)
    return float(match[1])


def setting(text: str) -> str:
    """Read NAME=VALUE, the value as text of the language."""
    if not re.match(r"\s*[A-Za-z_]\w*\s*=", text):
        found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?::=?|\s)?\s*(.*?)\s*", text)
        example = f"{found[1]}={found[2] or '…'}" if found else "alpha=8"
        message = f"{text!r} is not NAME=VALUE; write it with `=` and without spaces: --set {example}"
        raise ArgumentTypeError(message)
    return text


def rate(text: str) -> str:
    """Read a learning rate, as the language writes numbers."""
    if not re.fullmatch(r"(\d{1,9}(\.\d{1,9})?|\.\d{1,9})(e-?\d{1,2})?", text):
        message = f"{text!r} is not a learning rate, as in 0.05 or 1e-3"
        raise ArgumentTypeError(message)
    return text


def written(value: Any) -> str:
    """Return a value of a recipe as text of the language."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return f"[{', '.join(written(number) for number in cast('list[Any]', value))}]"
    return str(value)
