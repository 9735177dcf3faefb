"""The Python interface: a spec as an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from inspect import signature
from os import PathLike, fspath
from os.path import lexists
from types import NoneType
from typing import TYPE_CHECKING, Any

from archdsl.analysis.cost import LEVELS, cost_json, total_cost
from archdsl.core.arguments import (
    check_known,
    class_count,
    flag,
    names,
    one_of_words,
    positive,
    require,
    require_items,
    shown,
    size_in_bytes,
    with_functions,
)
from archdsl.core.diagnostics import SpecError
from archdsl.core.sizes import quantity
from archdsl.core.source import TEXT
from archdsl.core.suggesting import Suggesting
from archdsl.elaborate.clip import clip_of
from archdsl.elaborate.parameters import as_python, setting
from archdsl.files import FileLibrary, UsageError, read_spec, source_of
from archdsl.ir.network import Fitted
from archdsl.ir.tensors import tensors
from archdsl.lowering import without_identities
from archdsl.modules import load_module
from archdsl.pipeline import Analysis, analyse, fit_memory, module_text, plan_transfer, plan_weights

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection

    import graphviz  # pyright: ignore[reportMissingTypeStubs]  # it has none
    import networkx as nx
    import torch

    from archdsl.analysis.compare import Difference
    from archdsl.core.diagnostics import Diagnostic
    from archdsl.core.source import Source
    from archdsl.elaborate.clip import Clip
    from archdsl.ir.recipe import Recipe
    from archdsl.transfer.plan import TransferPlan
    from archdsl.weights.plan import Plan

_SPEC = "a file or the name of a bundled spec"


def load(
    path: str | os.PathLike[str],
    clip: Clip | str | None = None,
    like: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    **params: Any,
) -> Architecture:
    """Return the checked architecture of a spec.

    Args:
        path: the `.arch` file, or the name of a bundled spec, such as `"slowfast_r50"` (`archdsl list` shows them).
        clip: (channels, frames, height, width) in place of the declared size of the input, or `"3x16x112x112"`.
        like: a source of published weights, such as `"torchvision"`: parameters that are not set take the values that
            its checkpoints need.
        recipe: hyperparameters of training, such as `{"lr": 0.01}`; values as in `params`.
        params: values for parameters of the spec: numbers, bools, lists, or text as in `--set`.

    Raises:
        SpecError: if the spec has faults; its `diagnostics` hold all of them.
        UsageError: if there is no such file and no such bundled spec.
        TypeError: if an argument has a wrong type.
        ValueError: if `clip` is not a size, or a number not finite.
    """
    require("path", path, (str, PathLike), _SPEC)
    if "\n" in fspath(path) and not lexists(path):
        raise UsageError("load takes a file or the name of a bundled spec; archdsl.loads takes the text of a spec")
    return _analysed("load", read_spec(path), clip, like, recipe, params)


def loads(
    text: str,
    clip: Clip | str | None = None,
    like: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    **params: Any,
) -> Architecture:
    """Return the checked architecture of a spec that is given as text.

    Its imports and bases are looked for in the current folder, then among the bundled specs.

    Args:
        text: the spec, from `arch NAME` to its head.
        clip: as in `load`.
        like: as in `load`.
        recipe: as in `load`.
        params: as in `load`.

    Raises:
        SpecError: if the spec has faults; its `diagnostics` hold all of them.
        TypeError: if an argument has a wrong type.
        ValueError: if `clip` is not a size, or a number not finite.
    """
    require("text", text, str, "the text of a spec")
    if text.strip() and not re.search(r"\s", text.strip()):
        raise UsageError(f"loads takes the text of a spec; archdsl.load({text.strip()!r}) takes a file or a name")
    return _analysed("loads", source_of(TEXT, text.encode("utf-8", "surrogatepass")), clip, like, recipe, params)


def _analysed(  # noqa: PLR0913, PLR0917  # all arguments of `load`
    function: str,
    source: Source,
    clip: Clip | str | None,
    like: str | None,
    recipe: Mapping[str, Any] | None,
    params: Mapping[str, Any],
) -> Architecture:
    size = None if clip is None else clip_of(clip)
    require("like", like, (str, NoneType), "the name of a source of weights, such as 'torchvision'")
    require("recipe", recipe, (Mapping, NoneType), "a dict, as in {'lr': 0.01}")
    require_items("recipe", recipe or {}, str, "names of hyperparameters, as in {'lr': 0.01}")
    try:
        settings = [setting(name, value, f"{function}({name}=…)") for name, value in params.items()]
        hyperparameters = [setting(name, value, f"{function}(recipe=…)") for name, value in (recipe or {}).items()]
        option = f"{function}(like=…)"
        return Architecture(analyse(source, FileLibrary(), settings, size, like, hyperparameters, option))
    except SpecError as error:
        raise SpecError(with_functions(error.diagnostics, params)) from None


def diff(base: Architecture | str | os.PathLike[str], arch: Architecture | str | os.PathLike[str]) -> Difference:
    """Compare two networks: parameters, inputs, stages, layers, tensors, cost.

    The result's `differ` is True unless they are the same; `difference_json` of `archdsl.analysis.compare` exports it.

    Args:
        base: the network to compare with: an architecture, or what `load` takes.
        arch: the other network, which need not be of the same family.

    Raises:
        SpecError: if a spec has faults.
        UsageError: if there is no such spec.
    """
    first = _loaded_spec("base", base)
    return _loaded_spec("arch", arch).difference_from(first)


def _loaded_spec(name: str, spec: Architecture | str | os.PathLike[str]) -> Architecture:
    require(name, spec, (Architecture, str, PathLike), f"an architecture, {_SPEC}")
    return spec if isinstance(spec, Architecture) else load(spec)


class Architecture(Suggesting):
    """A checked architecture: its graph, its cost, its generated code."""

    def __init__(self, analysis: Analysis) -> None:
        require("analysis", analysis, Analysis, "what archdsl.load('slow_r50') makes; it returns an Architecture")
        self._analysis = analysis

    @property
    def name(self) -> str:
        """The name in the spec's header."""
        return self._analysis.network.name

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """Warnings about the spec."""
        return self._analysis.warnings

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the spec's parameters by name, as `load` takes them: numbers, bools, lists, text for words."""
        return {name: as_python(value) for name, value in self._analysis.parameters.items()}

    @property
    def params(self) -> int:
        """The number of trainable parameters."""
        return total_cost(self._analysis.network).params

    @property
    def macs(self) -> int:
        """Multiply-adds (FLOPs / 2) for one clip, counted as in the papers."""
        return total_cost(self._analysis.network).macs

    @property
    def recipe(self) -> Recipe:
        """Hyperparameters of training and testing from the spec, with common defaults for the others."""
        return self._analysis.network.recipe

    @cached_property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors of the module's state dict, by name, in the order of data flow."""
        return tensors(self._analysis.network)

    def plan_weights(self, source: str) -> Plan:
        """Return the correspondence of our tensors with those of a source of weights.

        `moves` has the corresponding tensors, `theirs` the names and shapes of the source's tensors.

        Raises:
            SpecError: if the source has no map for the spec, or needs another network.
        """
        return weights_plan(self, source, "source", "plan_weights")

    def plan_transfer(self, base: Architecture, **rules: Any) -> TransferPlan:
        """Plan the initialisation of each tensor from those of another network.

        `entries` has the origin of each tensor, `unused` the remaining tensors of the other network.

        Args:
            base: the network that the weights are of: the base of this variant, or an image network.
            rules: `inflate="average"` or `"centre"`: inflation of filters of one frame to several; `width="repeat"` or
                `"new"`, `depth="repeat"` or `"new"`: initialisation of channels and blocks that the base lacks;
                `new=("head.*",)`: name patterns of tensors to initialise; `classes=(1, -1)`: rows of the base's head.

        Raises:
            SpecError: if a map of names between the two has faults.
            ValueError: if a rule has an unknown value.
        """
        return transfer_plan(base, self, rules, "plan_transfer")

    def difference_from(self, base: Architecture) -> Difference:
        """Compare with another network: `archdsl.diff(base, self)`."""
        from archdsl.analysis.compare import compare

        require("base", base, Architecture, "an architecture, as archdsl.load returns it")
        one, other = base._analysis, self._analysis
        return compare(one.network, other.network, one.parameters, other.parameters)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The network as a networkx graph, whose nodes are layers by their names in the module: `slow.res3.0.conv2`.

        Nodes have `kind`, `attributes`, `path`, `stage`, `shape` (C, T, H, W), `params`, `macs`, edges `shape`.
        """
        from archdsl.analysis.export import as_networkx

        return as_networkx(self._analysis.network)

    def cost(self, by: str = "stage") -> dict[str, Any]:
        """Return parameters, multiply-adds and activations as `archdsl cost --json`; `by` stage, block or layer."""
        return cost_json(self._analysis.network, one_of_words("by", by, LEVELS))

    def memory(self, batch: int) -> int:
        """Return the activation memory of training (bytes saved for backward), for `batch` clips in float32."""
        from archdsl.targets.torch.lower import lower
        from archdsl.targets.torch.memory import memory_of

        return memory_of(lower(self._analysis.network), positive("batch", batch)).total

    def fit_memory(self, max_activation: str | int, batch: int, without: Collection[str] = ()) -> Fitted:
        """Choose the stages to checkpoint so that activations fit into memory; pass the result to `source` or `build`.

        Args:
            max_activation: limit of the activation memory: `"8GiB"`, or bytes.
            batch: the number of clips.
            without: passes of the lowering to leave out.

        Raises:
            ValueError: if `max_activation` is not a size, or activations exceed it even with every stage checkpointed.
        """
        limit, batch = size_in_bytes("max_activation", max_activation), positive("batch", batch)
        return fit_memory(self._analysis, limit, batch, _passes(without))

    def source(self, without: Collection[str] = (), target: str = "train", fitted: Fitted | None = None) -> str:
        """Return the source code of the PyTorch module.

        Args:
            without: passes of the lowering to leave out, as `--no-pass`.
            target: `"train"`, or `"infer"`: batch norms folded into convolutions, no dropout and drop path.
            fitted: the result of `fit_memory`, as for `--max-activation`; for training.

        Raises:
            ValueError: if there is no such target, or no such pass.
        """
        left_out = _passes(without, target)
        require("fitted", fitted, (Fitted, NoneType), "what fit_memory returns")
        default = not left_out and target == "train" and fitted is None
        return self._source if default else module_text(self._analysis, left_out, target, fitted)

    @cached_property
    def _source(self) -> str:
        return module_text(self._analysis)

    def diagram(  # noqa: PLR0913  # the options of the command
        self, level: str = "stage", *, direction: str = "tb", title: bool = True, costs: bool = True,
        only: str | Collection[str] | None = None, width: str | float | None = None, theme: str = "auto",
    ) -> graphviz.Source:  # fmt: skip
        """Return a diagram, which a notebook renders; the arguments are the options of `archdsl draw`.

        Args:
            level: `"stage"`, `"block"` or `"layer"`.
            direction: from top to bottom (`"tb"`) or from left to right (`"lr"`).
            title: whether the name, the size and the legend stand above.
            costs: whether parameters and multiply-adds are shown.
            only: the stage to draw, or several, in place of the whole network.
            width: the largest width, in points or as `"8.5cm"`, for which the diagram is laid out.
            theme: `"light"`, `"dark"`, or `"auto"`: light, and in an SVG dark where the page is.

        Raises:
            TypeError: if `title` or `costs` is no bool, `only` no names, or `width` neither a number nor text.
            ValueError: if one of them has a value that it cannot have.
        """
        from archdsl.targets.dot.writer import diagram

        flag("title", title)
        flag("costs", costs)
        only = names("only", only or ())
        choices = {"direction": direction, "title": title, "costs": costs, "only": only, "width": width, "theme": theme}
        return diagram(without_identities(self._analysis.network), level, **choices)

    def build(
        self,
        without: Collection[str] = (),
        target: str = "train",
        fitted: Fitted | None = None,
        *,
        num_classes: int | None = None,
        **arguments: Any,
    ) -> torch.nn.Module:
        """Return the PyTorch module, initialised: clips (B, C, T, H, W) in, logits (B, classes) out. Needs torch.

        A module for inference loads the state dict of the one for training.
        `torch.save(model, file)` saves the module's source code, too, so that `torch.load(file, weights_only=False)`
        restores the model wherever torch and archdsl are installed, without the spec.

        Args:
            without: as in `source`.
            target: as in `source`.
            fitted: as in `source`.
            num_classes: the width of the output, in place of the spec's.
            arguments: further arguments of the module's factory, such as `dropout=0.2`, `drop_path=False` or
                `checkpointing="block"`; which there are depends on the network.

        Raises:
            TypeError: if the factory takes no such argument: `num_classes` is none of them where the output comes from
                other layers than linear ones and convolutions.
            ValueError: if a value is out of range.
        """
        heads = self._analysis.network.outputs
        given = arguments if num_classes is None else {**arguments, "num_classes": class_count(num_classes, heads)}
        return _built(getattr(load_module(self.name, self.source(without, target, fitted)), self.name), given)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        """Return what a notebook shows: the diagram, where Graphviz can run, and the cost by stage."""
        from archdsl.notebook import bundle

        del include, exclude  # the notebook chooses among all
        return bundle(self._analysis.network, repr(self))

    def __repr__(self) -> str:
        return f"<Architecture {self.name}: {quantity(self.params)} parameters, {quantity(self.macs)} multiply-adds>"


def _passes(without: Collection[str], target: str = "train") -> tuple[str, ...]:
    from archdsl.targets.torch.lower import TARGETS, check_options

    left_out = names("without", without)
    one_of_words("target", target, TARGETS)
    try:
        check_options(left_out, target)
    except ValueError as error:
        raise ValueError(f"without = {shown(without)}: {error}") from None
    return left_out


def weights_plan(arch: Architecture, source: str, argument: str, function: str) -> Plan:
    """Return `arch.plan_weights(source)`; faults name the argument of the function that the user has called."""
    require(argument, source, str, "the name of a source of weights, such as 'torchvision'")
    analysis = arch._analysis  # pyright: ignore[reportPrivateUsage]  # of this module
    return plan_weights(analysis, FileLibrary(), source, f"{function}({argument}=…)")


def transfer_plan(base: Architecture, arch: Architecture, rules: Mapping[str, Any], function: str) -> TransferPlan:
    """Return `arch.plan_transfer(base, **rules)`; faults name the function that the user has called."""
    from archdsl.transfer.plan import Rules

    require("base", base, Architecture, "an architecture, as archdsl.load returns it")
    check_known(f"{function}()", rules, signature(Rules).parameters)
    one, other = base._analysis, arch._analysis  # pyright: ignore[reportPrivateUsage]  # of this module
    return plan_transfer(one, other, FileLibrary(), Rules(**rules))


def _built(factory: Callable[..., torch.nn.Module], arguments: Mapping[str, Any]) -> torch.nn.Module:
    """Call the factory of a generated module with arguments that are checked by name, and rates by value."""
    check_known("build()", arguments, [*signature(factory).parameters, "without", "target", "fitted"])
    for name, value in arguments.items():
        if name == "drop_path":
            flag(name, value)
        if name == "dropout" and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ValueError(f"dropout = {shown(value)}: expected a probability, 0 to 1")
    return factory(**arguments)
