"""Lines of an attention for which there is no code yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_token_lines import has_token_lines

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines


class Unprinted(Exception):
    """Lines that cannot be printed yet.

    Args:
        message: what it is that cannot be printed, as in "a value from outside".
        at: names of arguments and of branches, of which the first that is written is to blame.
    """

    def __init__(self, message: str, *at: str) -> None:
        super().__init__(message)
        self.at = at


def check_printed(lines: Lines) -> None:
    """Refuse lines for which there is no code.

    Raises:
        Unprinted: for the first reason.
    """
    between = lines.between
    is_apart = between.band > 0 or len(between.over) > 1 or has_token_lines(lines)
    if is_apart and len({*lines.tokens, lines.x.tokens}) > 1:
        message = "tokens of queries or keys alone here"
        raise Unprinted(message, "k", "q")
