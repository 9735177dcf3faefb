"""Data flow to statements: nested calls up to one heavy operation a line, names used again when their value is done."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
        self.live = Counter(n for v, n in self.names.items() if self.left[v] > 0)  # variables with values still needed
        self.waiting = Counter[str]()  # words of the expressions that wait
        self.used = set(self.names.values())
        self.first_free = 2  # no number below it is that of a free variable `x2`, `x3`, …

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
            self._read(operand)
        self.pending[step.value] = _Pending(text, total)
        self.waiting.update(_words(text))
        if step.feature or self.left[step.value] > 1:
            self._settle(step.value, step.name, step.feature)
        elif step.name:
            self._settle(step.value, step.name)

    def _read(self, value: int) -> None:
        """A value has been used once more."""
        self.left[value] -= 1
        if self.left[value] == 0 and value in self.names:
            self._release(self.live, [self.names[value]])
        if value in self.pending:
            self._release(self.waiting, _words(self.pending.pop(value).text))

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
        self._release(self.waiting, _words(text))
        name = self._name(text, wanted)
        self.names[value] = name
        self.used.add(name)
        self.live[name] += self.left[value] > 0
        if text == name and not feature:
            return
        target = f'features["{feature}"] = ' if feature else ""
        if self.left[value] == 0 and feature:
            self.lines.append(f"{target}{text}")
        elif len(target) + len(name) + len(text) > MAX_LENGTH and feature:
            self.lines += [f"{name} = {text}", f"{target}{name}"]
        else:
            self.lines.append(f"{target}{name} = {text}")

    def _name(self, text: str, wanted: str) -> str:
        """A variable that holds nothing which is still needed: the wanted one, one that the text reads, a new one."""
        read = self.used & {*re.findall(r"(?<![\w.])[A-Za-z_]\w*", text)}
        again = list(read) if len(read) == 1 else list[str]()  # a value made of several is none of them
        candidates = [wanted, *(f"{wanted}{i}" for i in range(2, 100))] if wanted else [*again, *_POOL]
        free = next((c for c in candidates if self._is_free(c)), "")
        if not free:
            self.first_free = next(i for i in count(self.first_free) if self._is_free(f"x{i}"))
            free = f"x{self.first_free}"
        return free

    def _is_free(self, name: str) -> bool:
        return not self.live[name] and not self.waiting[name]

    def _release(self, holders: Counter[str], names: Iterable[str]) -> None:
        """One holder less for each of some variables."""
        for name in names:
            holders[name] -= 1
            if re.fullmatch(r"x[1-9]\d{0,8}", name):
                self.first_free = min(self.first_free, max(2, int(name[1:])))


def _words(text: str) -> set[str]:
    """The names in an expression, and all that looks like one."""
    return {*re.findall(r"[A-Za-z_]\w*", text)}
