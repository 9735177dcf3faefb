"""Data flow to statements: nested calls up to one heavy operation a line, names used again when their value is done."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LENGTH = 76  # of an expression that is not broken up
_POOL = ("x", "y", "z", "u", "v")


@dataclass(frozen=True)
class Step:
    """One operation: the value that it gives, the values that it takes, and how it is written."""

    value: int
    operands: tuple[int, ...]
    write: Callable[[Sequence[str]], str]
    heavy: bool = False
    name: str = ""  # the variable to use, if a name means something here
    feature: str = ""  # the key under which the value is also kept
    repeats_operand: bool = False  # its text names an operand more than once


@dataclass(frozen=True)
class _Pending:
    text: str
    heavy: int


class Body:
    """Writes the statements of a `forward`."""

    def __init__(self, steps: Sequence[Step], inputs: Mapping[int, str], outputs: Sequence[int]) -> None:
        self.steps = steps
        self.outputs = outputs
        self.names: dict[int, str] = dict(inputs)
        self.pending: dict[int, _Pending] = {}
        self.lines: list[str] = []
        self.left = Counter(o for s in steps for o in s.operands)
        self.left.update(outputs)

    def write(self, *, keep: bool = False) -> list[str]:
        """The statements; the last returns the output unless `keep` says that the caller goes on."""
        for step in self.steps:
            self._step(step)
        if keep:
            for value in list(self.pending):
                self._settle(value, "")
            return self.lines
        texts = [self.text(v) for v in self.outputs]
        self.lines.append(f"return {', '.join(texts)}")
        return self.lines

    def text(self, value: int) -> str:
        """How a value is written where it is used now."""
        pending = self.pending.get(value)
        return pending.text if pending is not None else self.names[value]

    def _step(self, step: Step) -> None:
        waiting = [o for o in step.operands if o in self.pending]
        total = step.heavy + sum(self.pending[o].heavy for o in waiting)
        for operand in waiting:
            if step.repeats_operand or (total > 1 and self.pending[operand].heavy):
                total -= self.pending[operand].heavy
                self._settle_before(operand, step)
                self._settle(operand, "")
        text = step.write([self.text(o) for o in step.operands])
        if len(text) > MAX_LENGTH and any(o in self.pending for o in step.operands):
            for operand in step.operands:
                if operand in self.pending:
                    self._settle(operand, "")
            text, total = step.write([self.text(o) for o in step.operands]), int(step.heavy)
        for operand in step.operands:
            self.left[operand] -= 1
            self.pending.pop(operand, None)
        self.pending[step.value] = _Pending(text, total)
        if step.feature or self.left[step.value] > 1:
            self._settle(step.value, step.name, step.feature)
        elif step.name:
            self._settle(step.value, step.name)

    def _settle_before(self, value: int, step: Step) -> None:
        """Heavy operations that were met before a value are written before it, as in the spec."""
        for other in list(self.pending):
            if other == value:
                return
            if self.pending[other].heavy and other not in step.operands:
                self._settle(other, "")

    def _settle(self, value: int, wanted: str, feature: str = "") -> None:
        """Turns a waiting expression into a statement."""
        text = self.pending.pop(value).text
        name = self._name(value, text, wanted)
        if text == name and not feature:
            self.names[value] = name
            return
        target = f'features["{feature}"] = ' if feature else ""
        if self.left[value] == 0 and feature:
            self.lines.append(f"{target}{text}")
        elif len(target) + len(name) + len(text) > MAX_LENGTH and feature:
            self.lines += [f"{name} = {text}", f"{target}{name}"]
        else:
            self.lines.append(f"{target}{name} = {text}")
        self.names[value] = name

    def _name(self, value: int, text: str, wanted: str) -> str:
        """A variable that holds nothing which is still needed: the wanted one, one that the text reads, a new one."""
        busy = {n for v, n in self.names.items() if self.left[v] > 0 and v != value}
        for other in self.pending.values():
            busy.update(re.findall(r"[A-Za-z_]\w*", other.text))
        read = [n for n in dict.fromkeys(self.names.values()) if re.search(rf"(?<![\w.]){n}(?!\w)", text)]
        again = read if len(read) == 1 else []  # a value made of several is none of them
        candidates = [wanted, *(f"{wanted}{i}" for i in range(2, 100))] if wanted else [*again, *_POOL]
        candidates += [f"x{i}" for i in range(2, 10_000)]
        return next(c for c in candidates if c not in busy)
