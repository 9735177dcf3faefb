"""Checkpointing in generated code: what the backward pass computes again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.sizes import size_text
from archdsl.ir.regions import Lateral
from archdsl.targets.python.tree import Docstring, Function, Items, Literal, Parameter, Return, Stmt

if TYPE_CHECKING:
    from archdsl.targets.torch.fragments import Fragments
    from archdsl.targets.torch.model import ModelPlan
    from archdsl.targets.torch.select import OpNetwork


class Recompute(NamedTuple):
    """The code of a model whose stages can be computed again."""

    plan: ModelPlan
    fitted: str  # a sentence on the stages that are chosen to be computed again; empty if none are
    has_statistics: bool  # whether there are buffers, which move with each computation
    has_laterals: bool
    fragments: Fragments

    @property
    def default(self) -> str:
        """The choice where nobody makes one."""
        return "fit" if self.fitted else "none"

    @property
    def imports(self) -> list[str]:
        """The lines that import from Python's own library."""
        buffers = ["from contextlib import nullcontext"] if self.has_statistics else []
        return [*buffers, "from typing import Any, Literal, get_args"]

    @property
    def names(self) -> set[str]:
        """The names of torch that the code reads."""
        return {"checkpoint", "torch"} if self.has_statistics else {"checkpoint"}

    @property
    def parameter(self) -> Parameter:
        """The parameter of the model and of its factory."""
        return Parameter("checkpointing", Literal("Checkpointing"), Literal(f'"{self.default}"'))

    def choices(self) -> Stmt:
        """Return the type of the parameter."""
        kept = "lateral connections and the head" if self.has_laterals else "the head"
        return self.fragments("choices_of_recomputing", kept=kept, has_fit=bool(self.fitted))

    def methods(self) -> list[Stmt]:
        """Return the methods of the model that compute a stage."""
        kinds = self.plan.kinds
        given = {"has_rows": "row" in kinds, "has_others": "whole" in kinds, "reading": self.plan.reading_row}
        run = self.fragments("run", has_fit=bool(self.fitted), **given)
        if not self.fitted:
            return [run]
        body = [Docstring([self.fitted]), Return(Items(self.plan.recomputed, "[]"))]
        return [run, Function("fitted", [Parameter("self")], Literal("list[nn.Module]"), body)]

    def definitions(self) -> list[Stmt]:
        """Return the functions and classes that the methods call."""
        checkpointed = self.fragments("checkpointed", has_statistics=self.has_statistics)
        return [checkpointed, self.fragments("buffers_kept")] if self.has_statistics else [checkpointed]


def recompute(network: OpNetwork, plan: ModelPlan, fragments: Fragments) -> Recompute | None:
    """Return the code for a model that trains; None if it has no stages."""
    if not plan.kinds:
        return None
    moves = any(node.layer.buffers(*node.input_shapes) for node in network.all_nodes())
    has_laterals = any(isinstance(region, Lateral) for region in network.regions)
    return Recompute(plan, _fitted(network, plan), moves, has_laterals, fragments)


def _fitted(network: OpNetwork, plan: ModelPlan) -> str:
    if network.fitted is None or not plan.recomputed:
        return ""
    clips = "1 clip keeps" if network.fitted.batch == 1 else f"{network.fitted.batch} clips keep"
    return f'Return the stages that "fit" checkpoints: {clips} {size_text(network.fitted.kept)} of activations.'
