"""Search for specs of the same family that match a checkpoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import SpecError
from archdsl.weights.fit import mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from archdsl.core.source import Source
    from archdsl.elaborate.program import Library, Program
    from archdsl.weights.plan import Plan
    from archdsl.weights.shapes import Shape

MAX_NAMED = 3
_HEADER = re.compile(r"^arch[ \t]+(\w+)(?:[ \t]+as[ \t]+\w+)?(?:[ \t]+extends[ \t]+(\w+))?", re.MULTILINE)


def hint_at_siblings(
    tensors: Mapping[str, Shape], program: Program, library: Library, plan_for: Callable[[Source], Plan], plain: str
) -> str:
    """Return a hint that names the specs whose tensors match a checkpoint; empty if there are none.

    Args:
        tensors: names and shapes of the checkpoint's tensors.
        program: the spec that the checkpoint does not match.
        library: finds other specs.
        plan_for: returns the plan for another spec; raises SpecError if the spec has faults.
        plain: the hint if the checkpoint matches the spec without the parameters that a source needs.
    """
    own = program.files[0].source
    names: list[str] = []
    for source in [own, *_family(program, library)]:
        try:
            matches = not any(mismatch(plan_for(source), tensors)[0])
        except SpecError:
            continue
        if matches and source is own:
            return plain
        if matches and (header := _HEADER.search(source.text)):
            names.append(f"`{header[1]}`")
    if not names:
        return ""
    return f"names and shapes match {' and '.join(names[:MAX_NAMED])}: convert the checkpoint with that spec"


def _family(program: Program, library: Library) -> Iterator[Source]:
    """Yield the other available specs that extend the same root."""
    own = program.files[0].source
    sources = {name: library.find(name, own) for name in sorted(library.names(own))}
    headers = {name: _HEADER.search(s.text) for name, s in sources.items() if s is not None}
    bases = {h[1]: h[2] or "" for h in headers.values() if h is not None}
    root = _root(program.header.name.id, bases | {f.header.name.id: "" for f in program.files[-1:] if f.header})
    for name, source in sources.items():
        header = headers.get(name)
        if source is None or header is None or header[1] == program.header.name.id:
            continue
        if _root(header[1], bases) == root:
            yield source


def _root(name: str, bases: Mapping[str, str]) -> str:
    """Return the name of the spec at the end of the chain of bases."""
    for _ in bases:
        if not bases.get(name):
            break
        name = bases[name]
    return name
