"""Syntax tree of the model's class: constructor, weight initialisation, and the forward pass in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.targets.python.tree import (
    Assign,
    Class,
    Docstring,
    Evaluate,
    Expr,
    For,
    Function,
    Items,
    Literal,
    Name,
    Parameter,
    Return,
    Stmt,
    Verbatim,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.class_count import NUM_CLASSES
from archdsl.targets.torch.text import docstring

if TYPE_CHECKING:
    from collections.abc import Iterable

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
            fixed = called("stage.requires_grad_", [Literal("False")])
            body.append(For(Name("stage"), called("self.frozen"), [Evaluate(fixed)]))
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
        body = [
            Docstring(["Return the stages whose weights training leaves as they are."]),
            Return(Items(self.plan.frozen, "[]")),
        ]
        frozen = Function("frozen", [_SELF], _MODULES, body)
        return [frozen, self.fragments("train", family=self.network.family)]

    def _forward_features(self) -> Function:
        stages = called("self._stages", [*map(Name, self.network.inputs), Name("features")])
        body: list[Stmt] = [
            Docstring(docstring(self.plan.features.doc, 8)),
            Verbatim("features: dict[str, Tensor] = {}"),
            Evaluate(stages),
            Return(Name("features")),
        ]
        return Function("forward_features", self._parameters(), Literal("dict[str, Tensor]"), body)

    def _forward(self) -> Function:
        network = self.network
        numbers = "".join(f", {name} (B, T) or (T,)" for name in network.indices)
        outputs = ", ".join(" ".join([*name.split(), self._size(n)]) for name, n in network.outputs.items())
        logits = "logits" if "" in network.outputs else "logits:"
        doc = f"{', '.join(network.clips)} (B, C, T, H, W){numbers} → {logits} {outputs}."
        body = [Docstring(docstring(doc, 8)), *self._numbers(self.plan.head_indices), *self.plan.forward]
        kind = Name("Tensor") if "" in network.outputs else Literal("dict[str, Tensor]")
        return Function("forward", self._parameters(), kind, body)

    def _size(self, output: int) -> str:
        shape = self.network.node(output).shape
        width = int(shape.channels) if self.classes is None else NUM_CLASSES
        return f"(B, {width})" if shape.is_vector else "(B, C, T, H, W)"

    def _stages(self) -> Function:
        """Return the method that computes the stages and returns the values that the head reads."""
        body: list[Stmt] = [Docstring(docstring(self._stages_doc(), 8))]
        body += [Evaluate(called(f"check_{clip}", [Name(clip)])) for clip in self.network.clips]
        body += [*self._numbers(self.network.indices), *self.plan.stages]
        inputs = [Parameter(p.name, p.type) for p in self._parameters()]
        wanted = Parameter("features", Literal("dict[str, Tensor] | None"), _NONE)
        given = ", ".join(["Tensor"] * self.plan.outputs)
        kind = f"tuple[{given}]" if self.plan.outputs > 1 else given or "None"
        return Function("_stages", [*inputs, wanted], Literal(kind), body)

    def _stages_doc(self) -> str:
        given = " and return what the head reads" if self.plan.outputs else ""
        return f"Compute the stages{given}; keep the output of each in `features`."

    def _parameters(self) -> list[Parameter]:
        """Return the parameters of the forward pass; frame indices are optional."""
        clips = [Parameter(clip, Name("Tensor")) for clip in self.network.clips]
        indices = [Parameter(index, Literal("Tensor | None"), Name("None")) for index in self.network.indices]
        return [_SELF, *clips, *indices]

    def _numbers(self, names: Iterable[str]) -> list[Stmt]:
        """Return the statements that default frame indices to 0, 1, 2, …."""
        clip = Name(next(iter(self.network.clips)))
        return [
            Assign([Name(name)], called("_frame_numbers", [Name(name), clip, self._frames(name)])) for name in names
        ]

    def _frames(self, index: str) -> Expr:
        """Return the length of an input of frame indices: that of the first clip if declared equal, or a number."""
        name, clip = next(iter(self.network.clips.items()))
        frames = self.network.node(self.network.indices[index]).shape.t
        is_same = frames == self.network.node(clip).shape.t
        return Literal(f"{name}.shape[2]") if is_same else Literal(int(frames))
