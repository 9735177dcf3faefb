"""The factory of a model: its arguments are choices of training, which are no part of the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.python.tree import (
    Assign,
    Binary,
    Docstring,
    Expr,
    For,
    Function,
    If,
    Literal,
    Name,
    Parameter,
    Return,
    Stmt,
    Unary,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.class_count import NUM_CLASSES
from archdsl.targets.torch.init import modules_of
from archdsl.targets.torch.text import docstring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.torch.fragments import Fragments
    from archdsl.targets.torch.ops.base import RateArgument
    from archdsl.targets.torch.select import OpNetwork


class Rates:
    """The rates of regularisation that a caller of the factory can change."""

    def __init__(self, network: OpNetwork) -> None:
        rates: dict[RateArgument, set[float]] = {}
        for node in network.all_nodes():
            if node.op.rate_argument is not None:
                rates.setdefault(node.op.rate_argument, set()).add(node.layer.values()["p"])
        # A rate is an argument if all modules share it; a switch always is.
        found = [a for a, p in rates.items() if a.switch or len(p) == 1]
        self._shared = {a: rates[a].pop() for a in sorted(found, key=lambda a: (a.switch, a.name))}

    def __bool__(self) -> bool:
        return bool(self._shared)

    @property
    def parameters(self) -> list[Parameter]:
        return [
            Parameter(a.name, Name("bool" if a.switch else "float"), Literal("True" if a.switch else rate))
            for a, rate in self._shared.items()
        ]

    @property
    def doc(self) -> str:
        """Sentences on the parameters."""
        return " ".join(a.doc for a in self._shared)

    def checks(self, fragments: Fragments) -> list[Stmt]:
        """Return the statements that refuse values which are no rate, or no switch."""
        return [fragments("check_switch" if a.switch else "check_rate", argument=a.name) for a in self._shared]

    def statements(self) -> list[Stmt]:
        """Return the statements for one module."""
        rate = dotted("module.p")
        found: list[Stmt] = []
        for a in self._shared:
            if a.switch:
                test = Binary(_is_a(a.module), "and", Unary("not", Name(a.name)))
                found.append(If(test, [Assign([rate], Literal(0.0))]))
            else:
                found.append(If(_is_a(a.module), [Assign([rate], Name(a.name))]))
        return found


def _is_a(cls: str) -> Expr:
    return called("isinstance", [Name("module"), dotted(cls)])


def factory(
    network: Network, rates: Rates, given: Sequence[Parameter], fragments: Fragments, *, has_inner: bool
) -> Function:
    """Return the function, named as the spec.

    `given` are the parameters of the model; `has_inner` is whether layers make modules
    inside of their own, whose rates stay.
    """
    classes = [p for p in given if p.name == NUM_CLASSES]
    parameters = [*rates.parameters, *(p for p in given if p not in classes), *classes]
    # By name alone: which there are differs between models, so no place in their order means the same.
    signature = [Parameter("*"), *parameters] if parameters else []
    again = "`checkpointing` is what the backward pass recomputes." if any(p not in classes for p in given) else ""
    doc = " ".join(filter(None, ["Return an initialised model.", rates.doc, again]))
    made = called(network.family, [Name(p.name) for p in given])
    body: list[Stmt] = [Docstring(docstring(doc))]
    if rates:
        model = Name("model")
        inside = [Assign([Name("inside")], called("model.inside_layers"))] if has_inner else []
        loop = For(Name("module"), modules_of(model, has_inner=has_inner), rates.statements())
        body += [*rates.checks(fragments), Assign([model], made), *inside, loop, Return(model)]
    else:
        body.append(Return(made))
    return Function(network.name, signature, Name(network.family), body)
