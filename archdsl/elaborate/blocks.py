"""The blocks that each file of a program can use: its own, those imported, and those of variants of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.elaborate.program import BlockDef, FunctionDef, Module


def own_blocks(module: Module) -> dict[str, BlockDef]:
    """The blocks that a file defines itself."""
    return {n: b for n, b in module.blocks.items() if b.module is module}


def own_functions(module: Module) -> dict[str, FunctionDef]:
    """The functions that a file defines itself."""
    return {n: f for n, f in module.functions.items() if f.module is module}


def closure(modules: Iterable[Module]) -> list[Module]:
    """Modules with all that they import, directly or not; each once."""
    found: dict[int, Module] = {}
    pending = list(modules)
    while pending:
        module = pending.pop()
        if id(module) not in found:
            found[id(module)] = module
            pending.extend(module.imports)
    return list(found.values())


def inherit_blocks(modules: Sequence[Module]) -> dict[str, list[BlockDef]]:
    """Give each spec of a family the blocks of its bases, and these its own in place of theirs.

    A block that a variant defines takes the place of the block of that name in its bases and in all libraries that they
    import. The imports of a variant are for its own chains.

    Args:
        modules: the spec, its base, the base of that, …

    Returns:
        the blocks that those of the spec itself take the place of, by name.
    """
    own = [own_blocks(module) for module in modules]
    for level in reversed(range(len(modules) - 1)):
        modules[level].blocks = {**modules[level + 1].blocks, **modules[level].blocks}
    replaced: dict[str, list[BlockDef]] = {}
    for level in reversed(range(len(modules) - 1)):
        replaced = {}
        for module in closure(modules[level + 1 :]):
            for name in own[level].keys() & module.blocks.keys():
                existing = replaced.setdefault(name, [])
                existing += [module.blocks[name]] * (module.blocks[name] not in existing)
                module.blocks[name] = own[level][name]
    return replaced
