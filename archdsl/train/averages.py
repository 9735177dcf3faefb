"""The exponential moving average of weights and statistics, also of weights that FSDP shards."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lightning import Callback

if TYPE_CHECKING:
    import torch
    from lightning import LightningModule, Trainer

    from archdsl.train.task import Task


class Average(Callback):
    """Callback that averages the weights, and puts the averages in their place for validation.

    The average starts with the weights after the first step (Polyak and Juditsky 1992; decay as in Tan and Le 2019).
    Buffers of real numbers, such as the statistics of batch norms, are averaged, too; others are copied. Where weights
    are sharded, each process averages its own shards. Lightning's callback refuses FSDP.

    Args:
        decay: weight of the former average, from 0 to 1.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, torch.Tensor] = {}  # by name in the module; empty before the first step
        self.step = 0  # the optimizer step of `values`

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shard the averages of a checkpoint as the weights are."""
        del trainer
        for name, tensor in _tensors(pl_module).items():
            if name in self.values:
                self.values[name] = _like(self.values[name], tensor)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Update the averages after an optimizer step."""
        if trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        for name, tensor in _tensors(pl_module).items():
            if name not in self.values:
                self.values[name] = tensor.clone()
            elif tensor.is_floating_point():
                self.values[name].lerp_(tensor, 1 - self.decay)
            else:
                self.values[name].copy_(tensor)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the averages."""
        del trainer
        self._exchange(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the weights; the callbacks before this one have seen the averages."""
        del trainer
        self._exchange(pl_module)

    def _exchange(self, pl_module: LightningModule) -> None:
        for name, tensor in _tensors(pl_module).items():
            if name in self.values:
                own = tensor.clone()
                tensor.copy_(self.values[name])
                self.values[name] = own

    def state_dict(self) -> dict[str, Any]:
        """Return the averages, gathered from all processes."""
        return {"step": self.step, "values": {name: whole(tensor) for name, tensor in self.values.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the averages."""
        self.step, self.values = state_dict["step"], dict(state_dict["values"])


def _tensors(pl_module: LightningModule) -> dict[str, torch.Tensor]:
    """Return the weights and the saved buffers of the model, by name, each once."""
    model = cast("Task", pl_module).model
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    saved = model.state_dict()
    return weights | {name: buffer for name, buffer in model.named_buffers() if name in saved}


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy of a tensor, gathered if it is sharded; a collective call."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor.clone() if gather is None else gather()


def _like(whole: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor on the device of another one, sharded as that."""
    whole = whole.to(tensor.device)
    mesh = getattr(tensor, "device_mesh", None)
    if mesh is None:
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole, mesh, cast("Any", tensor).placements)
