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
        like: a source of published weights, such as `"torchvision"`: parameters that are not set take the values that
            its checkpoints need.
        recipe: hyperparameters of training, such as `{"lr": 0.01}`; values as in `params`.
        params: values for parameters of the spec: numbers, bools, lists, or text as in `--set`.

    Raises:
        SpecError: if the spec has faults; its `diagnostics` hold all of them.
        UsageError: if there is no such file and no such bundled spec.
    """
    settings = [setting(name, value) for name, value in params.items()]
    hyperparameters = [setting(name, value, "--recipe") for name, value in (recipe or {}).items()]
    return Architecture(analyse(read_spec(path), FileLibrary(), settings, clip, like, hyperparameters))


def convert_weights(
    arch: Architecture, state_dict: Mapping[str, Any], source: str, to: str = "archdsl", key: str = ""
) -> dict[str, torch.Tensor]:
    """Convert a state dict of another code base to our names, for `load_state_dict(…, strict=True)`.

    Args:
        arch: the network that the weights are for.
        state_dict: the tensors by the names of the source, or a checkpoint with them, as `torch.load` returns it.
        source: the code base of the names, such as `"torchvision"`; `"archdsl"` for our own.
        to: the code base to convert to.
        key: the entry of a checkpoint to read, such as `"model_ema"`; empty for the model's state dict, with a Python
            warning if the checkpoint also has averages of the weights.

    Raises:
        SpecError: if a tensor is missing, not needed or of another shape, the network is not the one that the source
            needs, or tensors are not real numbers.
    """
    from archdsl.weights.convert import convert

    plan = arch.plan_weights(source)
    tensors = _loaded(state_dict, plan, key)
    return convert(tensors, plan, arch.plan_weights(to), _STATE_DICT)


_STATE_DICT = "the state dict"


def _loaded(state_dict: Mapping[str, Any], plan: Plan, key: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint, and issue its warnings as Python warnings."""
    import warnings

    from archdsl.weights.checkpoint import state_dict_of
    from archdsl.weights.convert import not_finite

    tensors, diagnostics = state_dict_of(state_dict, _STATE_DICT, key, plan.theirs)
    for diagnostic in (*plan.warnings, *diagnostics, *not_finite(tensors, _STATE_DICT)):
        text = "; ".join(filter(None, (diagnostic.label, diagnostic.help)))
        warnings.warn(f"{diagnostic.code}: {text}", stacklevel=3)
    return tensors


def revert_weights(arch: Architecture, state_dict: Mapping[str, Any], source: str) -> dict[str, torch.Tensor]:
    """Convert a state dict with our names to those of another code base: the inverse of `convert_weights`."""
    return convert_weights(arch, state_dict, "archdsl", source)


def transfer_weights(
    base: Architecture,
    state_dict: Mapping[str, Any],
    arch: Architecture,
    source: str = "archdsl",
    key: str = "",
    **rules: Any,
) -> dict[str, torch.Tensor]:
    """Initialise the weights of a variant from those of a base, for `load_state_dict(…, strict=True)`.

    Tensors without an origin are initialised as in `arch.build()`, with the current state of torch's generator.

    Args:
        base: the network that the weights are of.
        state_dict: its tensors, or a checkpoint with them, as `torch.load` returns it.
        arch: the network to initialise.
        source: the code base of the names, such as `"torchvision"`; `"archdsl"` for our own.
        key: the entry of a checkpoint to read; empty for the model's state dict.
        rules: as in `Architecture.plan_transfer`.

    Raises:
        SpecError: if the tensors are not those of the base (unused ones may be missing), or not real
            numbers, or a map of names has faults.
        ValueError: if a rule has an unknown value.
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
    """Compare two networks: parameters, inputs, stages, layers, tensors, cost.

    The result's `differ` is True unless they are the same; `difference_json` of `archdsl.analysis.compare` exports it.

    Args:
        base: the network to compare with.
        arch: the other network, which need not be of the same family.
    """
    return arch.difference_from(base)


class Architecture:
    """A checked architecture: its graph, its cost, its generated code."""

    def __init__(self, analysis: Analysis) -> None:
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
        return plan_weights(self._analysis, FileLibrary(), source, "--from")

    def plan_transfer(self, base: Architecture, **rules: Any) -> TransferPlan:
        """Plan the initialisation of each tensor from those of another network.

        `entries` has the origin of each tensor, `unused` the remaining tensors of the other network.

        Args:
            base: the network that the weights are of: the base of this variant, or an image network.
            rules: `inflate="average"` or `"centre"`: inflation of filters of one frame to several; `width="repeat"` or
                `"new"`, `depth="repeat"` or `"new"`: initialisation of channels and blocks that the base lacks;
                `new=("head.*",)`: name patterns of tensors to initialise anew.

        Raises:
            SpecError: if a map of names between the two has faults.
            ValueError: if a rule has an unknown value.
        """
        from archdsl.transfer.plan import Rules

        return plan_transfer(base._analysis, self._analysis, FileLibrary(), Rules(**rules))

    def difference_from(self, base: Architecture) -> Difference:
        """Compare with another network: `archdsl.diff(base, self)`."""
        from archdsl.analysis.compare import compare

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
        return cost_json(self._analysis.network, by)

    def memory(self, batch: int) -> int:
        """Return the activation memory of training (bytes saved for backward), for `batch` clips in float32."""
        from archdsl.targets.torch.lower import lower
        from archdsl.targets.torch.memory import memory_of

        return memory_of(lower(self._analysis.network), batch).total

    def fit_memory(self, max_activation: str | int, batch: int, without: Collection[str] = ()) -> Fitted:
        """Choose the stages to checkpoint so that activations fit into memory; pass the result to `source` or `build`.

        Args:
            max_activation: limit of the activation memory: `"8GiB"`, or bytes.
            batch: the number of clips.
            without: passes of the lowering to leave out.

        Raises:
            ValueError: if `max_activation` is not a size.
            TooLarge: if activations exceed the limit even with every stage checkpointed.
        """
        limit = max_activation if isinstance(max_activation, int) else parse_size(max_activation)
        return fit_memory(self._analysis, limit, batch, without)

    def source(self, without: Collection[str] = (), target: str = "train", fitted: Fitted | None = None) -> str:
        """Return the source code of the PyTorch module.

        Args:
            without: passes of the lowering to leave out, as `--no-pass`.
            target: `"train"`, or `"infer"`: batch norms folded into convolutions, no dropout and drop path.
            fitted: the result of `fit_memory`, as for `--max-activation`; for training.

        Raises:
            ValueError: if there is no such target, or no such pass.
        """
        default = not without and target == "train" and fitted is None
        return self._source if default else module_text(self._analysis, without, target, fitted)

    @cached_property
    def _source(self) -> str:
        return module_text(self._analysis)

    def diagram(self, level: str = "stage") -> graphviz.Source:
        """Return a diagram of stages, blocks or layers, which a notebook renders."""
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

        `torch.save(model, file)` saves the module's source code, too, so that `torch.load(file, weights_only=False)`
        restores the model wherever torch and archdsl are installed, without the spec.
        """
        given = {} if num_classes is None else {"num_classes": num_classes}
        return getattr(load_module(self.name, self.source(without, target, fitted)), self.name)(**given)

    def __repr__(self) -> str:
        figures = f"{self.params / 1e6:.2f} M parameters, {self.macs / 1e9:.2f} G multiply-adds"
        return f"<Architecture {self.name}: {figures}>"
