"""The Python interface: a spec as an object."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.analysis.cost import cost_json, total_cost
from archdsl.core.sizes import parse_size
from archdsl.elaborate.parameters import setting
from archdsl.files import FileLibrary, read_spec
from archdsl.ir.tensors import tensors
from archdsl.modules import load_module
from archdsl.pipeline import Analysis, analyse, fit_memory, module_text, plan_transfer, plan_weights

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    import graphviz  # pyright: ignore[reportMissingTypeStubs]  # it has none
    import networkx as nx
    import torch

    from archdsl.analysis.compare import Difference
    from archdsl.core.diagnostics import Diagnostic
    from archdsl.elaborate.inputs import Clip
    from archdsl.ir.network import Fitted
    from archdsl.ir.recipe import Recipe
    from archdsl.transfer.plan import TransferPlan
    from archdsl.weights.plan import Plan


def load(
    path: str | os.PathLike[str],
    clip: Clip | None = None,
    like: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    **params: Any,
) -> Architecture:
    """Return the checked architecture of a spec.

    Args:
        path: the `.arch` file, or the name of a bundled spec, such as `"slowfast_r50"` (`archdsl list` shows them).
        clip: (channels, frames, height, width) in place of the declared size of the input.
        like: a source of published weights, as `"torchvision"`: the parameters that are not given take the values that
            its checkpoints need.
        recipe: values for how it is trained, such as `{"lr": 0.01}`, given as those for parameters are.
        params: values for parameters of the spec: numbers, bools, lists, or text as in `--set`.

    Raises:
        SpecError: if the spec has faults; its `diagnostics` hold all of them.
        UsageError: if there is no such file and no such bundled spec.
    """
    settings = [setting(name, value) for name, value in params.items()]
    told = [setting(name, value, "--recipe") for name, value in (recipe or {}).items()]
    return Architecture(analyse(read_spec(path), FileLibrary(), settings, clip, like, told))


def convert_weights(
    arch: Architecture, state_dict: Mapping[str, Any], source: str, to: str = "archdsl", key: str = ""
) -> dict[str, torch.Tensor]:
    """A state dict of another code base with the names of this one, for `load_state_dict(…, strict=True)`.

    Args:
        arch: the network that the weights are for.
        state_dict: the tensors by the names of the source, or what `torch.load` gives of a checkpoint that holds them.
        source: whose names they are, such as `"torchvision"`; `"archdsl"` means our own.
        to: the source whose names they get.
        key: the part of a checkpoint to take, such as `"model_ema"`; empty for the model's, and a Python warning says
            where there are averages beside it.

    Raises:
        SpecError: if a tensor of either side is left over or has another shape, the network is not what the source
            needs, or there are no tensors of real numbers in it.
    """
    from archdsl.weights.convert import convert

    plan = arch.plan_weights(source)
    tensors = _loaded(state_dict, plan, key)
    return convert(tensors, plan, arch.plan_weights(to), _STATE_DICT)


_STATE_DICT = "the state dict"


def _loaded(state_dict: Mapping[str, Any], plan: Plan, key: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint; what there is to say about them becomes Python warnings."""
    import warnings

    from archdsl.weights.checkpoint import state_dict_of
    from archdsl.weights.convert import not_finite

    tensors, told = state_dict_of(state_dict, _STATE_DICT, key, plan.theirs)
    for diagnostic in (*plan.warnings, *told, *not_finite(tensors, _STATE_DICT)):
        text = "; ".join(filter(None, (diagnostic.label, diagnostic.help)))
        warnings.warn(f"{diagnostic.code}: {text}", stacklevel=3)
    return tensors


def revert_weights(arch: Architecture, state_dict: Mapping[str, Any], source: str) -> dict[str, torch.Tensor]:
    """A state dict of our own with the names of another code base: `convert_weights` the other way round."""
    return convert_weights(arch, state_dict, "archdsl", source)


def transfer_weights(
    base: Architecture,
    state_dict: Mapping[str, Any],
    arch: Architecture,
    source: str = "archdsl",
    key: str = "",
    **rules: Any,
) -> dict[str, torch.Tensor]:
    """The weights of a variant, made of those of a base, for `load_state_dict(…, strict=True)`.

    What is new begins as in `arch.build()`, with torch's generator as it is.

    Args:
        base: the network that the weights are of.
        state_dict: its tensors, or what `torch.load` gives of a checkpoint that holds them.
        arch: the network that they shall be for.
        source: whose names the state dict has, such as `"torchvision"`; `"archdsl"` means our own.
        key: the part of a checkpoint to take; empty for the model's.
        rules: as of `Architecture.plan_transfer`.

    Raises:
        SpecError: if the tensors are not those of the base, but for what the plan does not use, or hold no real
            numbers, or a map of names has faults.
        ValueError: if a rule is none of those.
    """
    from archdsl.transfer.apply import transfer
    from archdsl.transfer.plan import unneeded
    from archdsl.weights.convert import convert

    plan = arch.plan_transfer(base, **rules)
    names = base.plan_weights(source)
    tensors = _loaded(state_dict, names, key)
    own = convert(tensors, names, base.plan_weights("archdsl"), _STATE_DICT, unneeded(plan, names))
    return transfer(plan, own, arch.build().state_dict())


def diff(base: Architecture, arch: Architecture) -> Difference:
    """What differs between two networks: parameters, inputs, stages, layers, tensors, cost.

    Its `differ` says whether they are not the same, `difference_json` of `archdsl.analysis.compare` gives plain data.

    Args:
        base: the network to begin from.
        arch: the other one, of the same family or not.
    """
    return arch.difference_from(base)


class Architecture:
    """A checked architecture: its graph, its cost, its code."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    @property
    def name(self) -> str:
        """The name that the spec gives it."""
        return self._analysis.network.name

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What may be wrong with the spec, though it compiles."""
        return self._analysis.warnings

    @property
    def params(self) -> int:
        """The number of trainable parameters."""
        return total_cost(self._analysis.network).params

    @property
    def macs(self) -> int:
        """Multiply-adds for one clip, counted as the papers do."""
        return total_cost(self._analysis.network).macs

    @property
    def recipe(self) -> Recipe:
        """How it is trained, as the spec says it; what the spec leaves out is as most papers have it."""
        return self._analysis.network.recipe

    @cached_property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors of the module's state dict, by name, in the order of data flow."""
        return tensors(self._analysis.network)

    def plan_weights(self, source: str) -> Plan:
        """Which tensors of a source of weights are which of ours; its `theirs` has the names and shapes of theirs."""
        return plan_weights(self._analysis, FileLibrary(), source, "--from")

    def plan_transfer(self, base: Architecture, **rules: Any) -> TransferPlan:
        """How each tensor comes from those of another network: its `entries`, and what is `unused` of the other one.

        Args:
            base: the network that there are weights of: one that this is a variant of, or of images.
            rules: `inflate="average"` or `"centre"`: how a filter of one frame gets several; `width="repeat"` or
                `"new"`, `depth="repeat"` or `"new"`: where channels and blocks come from that the base lacks;
                `new=("head.*",)`: patterns of names to initialise anew.

        Raises:
            SpecError: if a map of names between the two has faults.
            ValueError: if a rule is none of these.
        """
        from archdsl.transfer.plan import Rules

        return plan_transfer(base._analysis, self._analysis, FileLibrary(), Rules(**rules))

    def difference_from(self, base: Architecture) -> Difference:
        """What differs from another network: `archdsl.diff(base, self)`."""
        from archdsl.analysis.compare import compare

        one, other = base._analysis, self._analysis
        return compare(one.network, other.network, one.parameters, other.parameters)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The layers as a networkx graph, named as in the module: `slow.res3.0.conv2`.

        Nodes carry `kind`, `attributes`, `path`, `stage`, `shape` (C, T, H, W), `params` and `macs`; edges `shape`.
        """
        from archdsl.analysis.export import as_networkx

        return as_networkx(self._analysis.network)

    def cost(self, by: str = "stage") -> dict[str, Any]:
        """Parameters, multiply-adds and activations as `archdsl cost --json` gives them; `by` stage, block or layer."""
        return cost_json(self._analysis.network, by)

    def memory(self, batch: int) -> int:
        """Bytes of activations that training keeps until the backward pass, for so many clips in float32."""
        from archdsl.targets.torch.lower import lower
        from archdsl.targets.torch.memory import memory_of

        return memory_of(lower(self._analysis.network), batch).total

    def fit_memory(self, max_activation: str | int, batch: int, without: Collection[str] = ()) -> Fitted:
        """The stages to compute again in training, so that activations fit into memory, for `source` and `build`.

        Args:
            max_activation: memory for what is kept until the backward pass: `"8GiB"`, or bytes.
            batch: the number of clips.
            without: passes of the lowering to leave out.

        Raises:
            ValueError: if that is no size.
            TooLarge: if no choice of stages is enough.
        """
        limit = max_activation if isinstance(max_activation, int) else parse_size(max_activation)
        return fit_memory(self._analysis, limit, batch, without)

    def source(self, without: Collection[str] = (), target: str = "train", fitted: Fitted | None = None) -> str:
        """The text of the PyTorch module.

        Args:
            without: passes of the lowering to leave out, as `--no-pass`.
            target: `"train"`, or `"infer"`: batch norms are part of their convolutions, dropout and drop path are gone.
            fitted: what `fit_memory` gave, as `--max-activation` has it; for training.

        Raises:
            ValueError: if there is no such target, or no such pass.
        """
        default = not without and target == "train" and fitted is None
        return self._source if default else module_text(self._analysis, without, target, fitted)

    @cached_property
    def _source(self) -> str:
        return module_text(self._analysis)

    def diagram(self, level: str = "stage") -> graphviz.Source:
        """A diagram, at the level of stages, blocks or layers; a notebook shows it."""
        from archdsl.lowering import without_identities
        from archdsl.targets.dot.writer import diagram

        return diagram(without_identities(self._analysis.network), level)

    def build(
        self,
        without: Collection[str] = (),
        target: str = "train",
        fitted: Fitted | None = None,
        *,
        num_classes: int | None = None,
    ) -> torch.nn.Module:
        """Return the PyTorch module, initialised: clips (B, C, T, H, W) in, logits (B, classes) out. Needs torch.

        The arguments but for the last are those of `source`. A module for inference loads the state dict of the one for
        training. `num_classes` is the width of the output in place of the spec's; there is no such argument (TypeError)
        where the output comes from other layers than linear ones and convolutions.

        `torch.save(model, file)` keeps the text of the module in the file, and `torch.load(file, weights_only=False)`
        gives the model back wherever torch and archdsl are installed; the spec is not needed.
        """
        given = {} if num_classes is None else {"num_classes": num_classes}
        return getattr(load_module(self.name, self.source(without, target, fitted)), self.name)(**given)

    def __repr__(self) -> str:
        figures = f"{self.params / 1e6:.2f} M parameters, {self.macs / 1e9:.2f} G multiply-adds"
        return f"<Architecture {self.name}: {figures}>"
