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
from archdsl.targets.torch.text import docstring, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network


class Rates:
    """The rates of regularisation that a caller of the factory can change."""

    def __init__(self, network: Network) -> None:
        kinds = [node.layer for node in network.all_nodes()]
        rates = {layer.values()["p"] for layer in kinds if layer.kind == "dropout"}
        self.dropout: float | None = rates.pop() if len(rates) == 1 else None  # the only one in the network
        self.has_drop_path = any(layer.kind == "drop_path" for layer in kinds)

    def __bool__(self) -> bool:
        return self.dropout is not None or self.has_drop_path

    @property
    def parameters(self) -> list[Parameter]:
        found: list[Parameter] = []
        if self.dropout is not None:
            found.append(Parameter("dropout", Name("float"), Literal(self.dropout)))
        if self.has_drop_path:
            found.append(Parameter("drop_path", Name("bool"), Literal("True")))
        return found

    @property
    def doc(self) -> str:
        """Sentences on the parameters."""
        rate = " `dropout` is the rate of every dropout layer." if self.dropout is not None else ""
        return rate + (" `drop_path=False` turns stochastic depth off." if self.has_drop_path else "")

    def statements(self) -> list[Stmt]:
        """Return the statements for one module."""
        rate = dotted("module.p")
        found: list[Stmt] = []
        if self.dropout is not None:
            found.append(If(_is_a("nn.Dropout"), [Assign([rate], Name("dropout"))]))
        if self.has_drop_path:
            test = Binary(_is_a("DropPath"), "and", Unary("not", Name("drop_path")))
            found.append(If(test, [Assign([rate], Literal(0.0))]))
        return found


def _is_a(cls: str) -> Expr:
    return called("isinstance", [Name("module"), dotted(cls)])


def factory(network: Network, rates: Rates, given: Sequence[Parameter], *, has_inner: bool) -> Function:
    """Return the function, named as the spec.

    `given` are the parameters of the model; `has_inner` is whether layers make modules
    inside of their own, whose rates stay.
    """
    classes = [p for p in given if p.name == NUM_CLASSES]
    parameters = [*rates.parameters, *(p for p in given if p not in classes), *classes]
    choices = in_words([f"`{p.name}`" for p in given if p not in classes])
    doc = "Return an initialised model" + (f"; training may choose {choices}." if choices else ".") + rates.doc
    made = called(network.family, [Name(p.name) for p in given])
    body: list[Stmt] = [Docstring(docstring(doc))]
    if rates:
        model = Name("model")
        inside = [Assign([Name("inside")], called("model.inside_layers"))] if has_inner else []
        loop = For(Name("module"), modules_of(model, has_inner=has_inner), rates.statements())
        body += [Assign([model], made), *inside, loop, Return(model)]
    else:
        body.append(Return(made))
    return Function(network.name, parameters, Name(network.family), body)
