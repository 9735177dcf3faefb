"""The words that stand for themselves: the choices of layers and of declared parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate.blocks import own_blocks
from archdsl.elaborate.stages import FUSIONS
from archdsl.layers import vocabulary
from archdsl.layers.attention_arguments import Between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.elaborate.program import Program
    from archdsl.frontend import ast


def known_symbols(program: Program) -> set[str]:
    """Every word that some layer or parameter of the program can be given."""
    layers = (*vocabulary().values(), Between)
    words = {*FUSIONS, *(w for layer in layers for a in layer.attributes.values() for w in a.words)}
    for declaration in _declarations(program):
        if declaration.type is not None and declaration.type.is_choice:
            words.update(n.id for n in declaration.type.names)
    return words


def _declarations(program: Program) -> Iterator[ast.Declaration]:
    yield from program.declarations.values()
    for module in (*program.modules, *program.libraries):
        for definition in own_blocks(module).values():
            yield from definition.block.parameters
