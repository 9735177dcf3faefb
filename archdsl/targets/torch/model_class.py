"""Syntax tree of the model's class: constructor, weight initialisation, and the forward pass in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.ir.masks import reconstructs
from archdsl.ir.outputs import output_axes
from archdsl.targets.python.tree import (
    Assign,
    Class,
    Docstring,
    Evaluate,
    For,
    Function,
    Literal,
    Name,
    Parameter,
    Return,
    Stmt,
    Verbatim,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.arguments import axes, frame_numbers, grids, parameters
from archdsl.targets.torch.class_count import NUM_CLASSES
from archdsl.targets.torch.text import docstring

if TYPE_CHECKING:
    from archdsl.ir.network import Network
    from archdsl.targets.torch.fragments import Fragments
    from archdsl.targets.torch.model import ModelPlan
    from archdsl.targets.torch.recompute import Recompute

_SELF = Parameter("self")
_NONE = Literal("None")
_MODULES = Literal("list[nn.Module]")


@dataclass(frozen=True)
class Model:
    """The inputs for the code of a model's class."""

    network: Network
    plan: ModelPlan
    fragments: Fragments
    recompute: Recompute | None
    init: list[Stmt]  # of `init_weights`
    inner: list[Stmt]  # of `inside_layers`
    trains: bool
    classes: int | None  # the default number of classes, if that can be chosen
    has_rates: bool  # the factory sets dropout rates
    is_channels_last: bool  # the weights of an inference module are stored channels-last
    is_folded: bool  # it loads a state dict of training, with batch norms that are folded here

    def tree(self) -> Class:
        """Return the code of the class."""
        network = self.network
        body: list[Stmt] = [Docstring(docstring(network.doc or network.name)), self._constructor()]
        body += self._starts()
        body += self._frozen()
        body += [self._forward_features(), self._forward(), self._stages()]
        body += [self.fragments("load_state_dict")] if self.is_folded else []
        body += self.recompute.methods() if self.recompute is not None else []
        return Class(network.family, dotted("nn.Module"), body)

    def _constructor(self) -> Function:
        body: list[Stmt] = [Verbatim("super().__init__()")]
        body += [self.fragments("keep_choice")] if self.recompute is not None else []
        body += [self.fragments("check_classes")] if self.classes is not None else []
        body += self.plan.init
        body += [Evaluate(called("self.init_weights"))] if self.init else []
        body += [] if self.trains else [Verbatim("self.eval().requires_grad_(False)")]
        body += [self.fragments("put_channels_last")] if self.is_channels_last else []
        if self.plan.frozen:
            fixed = called("module.requires_grad_", [Literal("False")])
            body.append(For(Name("module"), called("self.frozen"), [Evaluate(fixed)]))
        return Function("__init__", [_SELF, *self.parameters], _NONE, body)

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters of the constructor."""
        classes = [] if self.classes is None else [Parameter(NUM_CLASSES, Name("int"), Literal(self.classes))]
        return ([self.recompute.parameter] if self.recompute is not None else []) + classes

    def _starts(self) -> list[Stmt]:
        """Return the methods that initialise the weights."""
        made: list[Stmt] = []
        if self.init:
            doc = Docstring(["Initialise weights and biases."])
            inside = [Assign([Name("inside")], called("self.inside_layers"))] if self.inner else []
            made.append(Function("init_weights", [_SELF], _NONE, [doc, *inside, *self.init]))
        if self.inner and (self.init or self.has_rates):
            doc = Docstring(["Return the modules inside layers, which these initialise and whose rates stay."])
            body = [doc, Verbatim("found: set[nn.Module] = set()"), *self.inner, Return(Name("found"))]
            made.append(Function("inside_layers", [_SELF], Literal("set[nn.Module]"), body))
        return made

    def _frozen(self) -> list[Stmt]:
        if not self.plan.frozen:
            return []
        frozen = Function("frozen", [_SELF], _MODULES, self.plan.frozen)
        return [frozen, self.fragments("train", family=self.network.family)]

    def _forward_features(self) -> Function:
        stages = called("self._stages", [*map(Name, self.network.inputs), Name("features")])
        body: list[Stmt] = [
            Docstring(docstring(self.plan.features.doc, 8)),
            Verbatim("features: dict[str, Tensor] = {}"),
            Evaluate(stages),
            Return(Name("features")),
        ]
        return Function("forward_features", [_SELF, *parameters(self.network)], Literal("dict[str, Tensor]"), body)

    def _forward(self) -> Function:
        network = self.network
        others = "".join(f", {name} {axes(network, name)}" for name in network.inputs if name not in network.clips)
        outputs = ", ".join(" ".join([*name.split(), self._size(n)]) for name, n in network.outputs.items())
        made = ("predictions" if reconstructs(network) else "logits") + ":" * ("" not in network.outputs)
        doc = f"{', '.join(network.clips)} (B, C, T, H, W){others} → {made} {outputs}."
        body = [Docstring(docstring(doc, 8)), *self.plan.forward]
        kind = Name("Tensor") if "" in network.outputs else Literal("dict[str, Tensor]")
        return Function("forward", [_SELF, *parameters(self.network)], kind, body)

    def _size(self, output: int) -> str:
        axes = output_axes(self.network, output)
        width = int(self.network.node(output).shape.channels) if self.classes is None else NUM_CLASSES
        return f"(B, {', '.join(axes)})" if "H" in axes else f"(B, {', '.join([*axes[:-1], str(width)])})"

    def _stages(self) -> Function:
        """Return the method that computes the stages and returns the values that the head reads."""
        body: list[Stmt] = [Docstring(docstring(self._stages_doc(), 8))]
        first, *others = self.network.arguments
        body.append(Evaluate(called(f"check_{first}", [Name(first)])))
        batch = Literal(f"{first}.shape[0]")
        body += [Evaluate(called(f"check_{name}", [Name(name), batch])) for name in others]
        body += [*frame_numbers(self.network), *grids(self.network)]
        body += self.plan.stages
        inputs = [_SELF, *(Parameter(p.name, p.type) for p in parameters(self.network))]
        wanted = Parameter("features", Literal("dict[str, Tensor] | None"), _NONE)
        given = ", ".join(["Tensor"] * self.plan.outputs)
        kind = f"tuple[{given}]" if self.plan.outputs > 1 else given or "None"
        return Function("_stages", [*inputs, wanted], Literal(kind), body)

    def _stages_doc(self) -> str:
        given = " and return what the head reads" if self.plan.outputs else ""
        return f"Compute the stages{given}; keep the output of each in `features`."
