"""The language by its definition: docs/language.md as an interpreter that can be run.

It says what a program means, apart from the compiler: from the syntax trees of a spec, of its bases and of the
libraries that they import, it gives the applications of layers in the order of the text, each with the values of its
attributes, its operands, the shape of its output and the name of its tensors in the state dict.

It shares with the compiler the parser, and the layers with their shape rules, which are held against values elsewhere;
nothing of archdsl/graph, which it is there to check. Names stand in dicts, a block is its chain with other names, every
loop and condition is run. It looks for no faults: programs must be accepted by the compiler.
"""

from definition.network import Definition

__all__ = ["Definition"]
