"""Numbers in the class of an attention, written in the terms of its constructor's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.core.sym import Sym, formula_of
from archdsl.layers.attention_lines import OUTSIDE, X

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.core.grid import Grid
    from archdsl.core.sym import Formula
    from archdsl.layers.attention_lines import Application
    from archdsl.targets.torch.ops.attention_sizes import SizedAttention
    from archdsl.targets.torch.ops.sites import CallSite


CHANNELS = ("channels", "out", "groups")  # attributes that are numbers of channels


class Terms:
    """Numbers of layers in the terms of the class."""

    def __init__(self, op: SizedAttention, site: CallSite, variables: dict[str, Any]) -> None:
        self.op, self.site, self.variables = op, site, variables
        self.layer, self.lines = op.layer, op.layer.lines
        self.inner = "channels" if variables["dim"] is None else "dim"
        inputs = site.inputs
        dim, heads = self.layer.dim or inputs[0].channels, self.layer.heads
        self.terms: list[tuple[int, str]] = [
            *((x.channels, f"{name}_channels") for x, name in zip(inputs[1:], op.others, strict=True)),
            (_of_head(dim, heads), f"{self.inner} // heads"), (heads, "heads"), (dim, self.inner),
            (inputs[0].channels, "channels"),
        ]  # fmt: skip
        self.known: dict[Formula, str] = {formula_of(value): name for value, name in self.terms}
        self.channels: dict[int, int] = {X: inputs[0].channels}  # of the values of applications
        self.channels |= {OUTSIDE - n: x.channels for n, x in zip(self.lines.externals, inputs[1:], strict=True)}
        self.extra: dict[str, Any] = {}

    def begin(self, write: Callable[[Any], Any]) -> None:
        """Take the function that gives numbers of the call site as code."""
        self.write = write
        self.codes = {str(write(value)): name for value, name in self.terms if isinstance(value, Sym)}

    def _result(self) -> int:
        """Return the channels of the result: those of values, which several heads may share."""
        values, kv_heads = self.channels[self.lines.branches["v"].application], self.layer.kv_heads
        return values // kv_heads * self.layer.heads if kv_heads else values

    def _heads(self, application: Application) -> int:
        few = application.heads != int(self.layer.heads)
        return self.layer.kv_heads if few else self.layer.heads

    def _shape(self, application: Application, index: int, parts: int = 0, *, whole: bool = False) -> Grid:
        """Return the shape of an input, with channels in the terms of the class: of one head, or the whole."""
        channels = self.channels[application.inputs[0][index].application]
        if application.by_head and not whole:
            channels = _of_head(channels, self._heads(application))
        parts = parts or len(application.inputs)
        if parts > 1:
            channels = Sym(parts * channels, ("*", ("lit", parts), formula_of(channels)))
        return application.shapes[index]._replace(channels=channels)

    def _local(self, name: str, key: str, value: Any, *, varies: bool = False) -> Any:
        """Return a value of a plan in the terms of the class; one that `varies` becomes a parameter."""
        parameter = f"{name}_{key}".replace(".", "_")
        if isinstance(value, tuple):
            items = cast("tuple[Any, ...]", value)
            if varies or any(isinstance(v, Sym) for v in items):
                return self._use(parameter, items)
            return f"({', '.join(map(str, items))})"
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        known = self._known(value, key)
        if known:
            return self._use(known, value)
        formula = formula_of(value)
        if formula[0] == "*" and formula[1][0] == formula[2][0] == "lit" and formula[2] not in self.known:
            return int(value)
        if formula[0] == "*" and formula[1][0] == "lit":
            one = formula[2]
            inner = self._local(name, key, one[1] if one[0] == "lit" else Sym(int(value) // formula[1][1], one))
            return f"{formula[1][1]} * {inner}"
        is_number = formula[0] == "//" and formula[1][0] == formula[2][0] == "lit"
        return self._use(parameter, value) if varies or (isinstance(value, Sym) and not is_number) else int(value)

    def _known(self, value: int, key: str) -> str:
        """Return a number in the terms of the class, if it has one there."""
        if isinstance(value, Sym) and (found := self.codes.get(str(self.write(value)))):
            return found  # by another formula, which is the same in the constructor
        return self.known.get(formula_of(value), "") if isinstance(value, Sym) or key in CHANNELS else ""

    def _use(self, name: str, value: Any) -> str:
        """Return a name, which becomes a parameter unless each attention has it."""
        if name.removesuffix(" // heads") not in ("channels", "dim", "heads"):
            self.extra[name] = value
        return name


def _of_head(channels: int, heads: int) -> Sym:
    """Return the channels of one head; also where all are plain numbers, with a formula that says so."""
    return Sym(channels // heads, ("//", formula_of(channels), formula_of(heads)))
