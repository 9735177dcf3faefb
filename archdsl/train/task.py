"""The LightningModule of a run: steps, optimizer, sharding."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import torch
from lightning import LightningModule
from torch import nn

from archdsl.train.checkpoints import PREFIX
from archdsl.train.data.dataset import seed_of
from archdsl.train.freezing import Freezing, add_missing_states
from archdsl.train.mix import mixed
from archdsl.train.objectives import objective_of
from archdsl.train.optim import Schedule, factor, optimiser, with_own_settings
from archdsl.train.run import TrainingError
from archdsl.train.stopping import Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.run import Run

T = TypeVar("T")
Seen: TypeAlias = "tuple[torch.Tensor, torch.Tensor, torch.Tensor]"
DIVERGED = "training diverged: try a lower learning rate, a longer warm-up, gradient clipping, or bf16 instead of fp16"
VIEWS = 8  # views per forward pass in tests


class Task(LightningModule):
    """LightningModule that trains and tests a generated module by a recipe.

    Args:
        run: the run.
        model: the module with initial weights.
        steps: batches per epoch and process; 0 for a test.
        weights: weights (classes,) of the loss; by default all are 1.
    """

    mean: torch.Tensor
    std: torch.Tensor

    weights: torch.Tensor | None

    def __init__(self, run: Run, model: nn.Module, steps: int = 0, weights: torch.Tensor | None = None) -> None:
        super().__init__()
        self.run, self.recipe, self.steps = run, run.recipe, steps
        self.model, self.objective = model, objective_of(run)
        self.grey = run.clip[0] == 1
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.recipe, name)).view(-1, 1, 1, 1)
            self.register_buffer(name, luma(values[None])[0] if self.grey else values, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.lost: list[torch.Tensor] = []  # losses of the parts of this step's batch
        self.norm = math.nan  # norm of the last gradient
        self.seen: list[Seen] = []  # indices, targets and answers of the batches of a test
        self.problems: dict[str, str] = {}  # skipped videos: path -> reason
        self.pictured: tuple[int, ...] = ()  # indices of videos of which a pre-training keeps film strips
        self.strips: dict[int, torch.Tensor] = {}
        self.configured = False
        self.anchor: tuple[float, int] = (
            0.0,
            0,
        )  # an epoch, with fraction, and its step, from which the schedule counts steps
        self.signals = Signals()  # those that end the run
        self.stops = False  # a process of the run has received a signal, at the end of the last step
        self.freezing = Freezing(model, run.frozen, run.freeze_epochs, single=run.engine.world == 1)

    # --- steps ---

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the outputs (B, outputs) for uint8 clips (B, 3, T, H, W)."""
        return self.outputs(self.normalised(clips))

    def outputs(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the outputs (B, outputs) for normalised clips, those of several heads side by side."""
        outputs = self.model(clips)
        return torch.cat([*outputs.values()], 1) if isinstance(outputs, dict) else outputs

    def normalised(self, clips: torch.Tensor) -> torch.Tensor:
        """Normalise uint8 clips (B, 3, T, H, W) by mean and standard deviation of the recipe; grey has 1 channel."""
        values = clips.float() / 255
        return ((luma(values) if self.grey else values) - self.mean) / self.std

    def training_step(self, batch: dict[str, Any], number: int) -> torch.Tensor:
        """Return the loss of one part of a batch.

        Raises:
            TrainingError: if the loss is not finite.
        """
        torch.manual_seed(seed_of(self.run.engine.seed, self.current_epoch, number, self.global_rank))
        self.note(batch)
        clips, targets = batch["clip"][:, 0], self.objective.mixable(batch["label"])
        clips, targets = mixed(self.normalised(clips), targets, self.recipe)
        loss = self.objective.loss(self.outputs(clips), targets, self.weights)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss is {loss.item()} at step {self.global_step + 1}; {DIVERGED}")
        self.lost.append(loss.detach())
        return loss

    def validation_step(self, batch: dict[str, Any], number: int) -> None:
        """Compute the answers for a batch, averaged over views."""
        del number
        self.note(batch)
        clips = batch["clip"]  # (B, V, 3, T, H, W)
        answers = self.objective.answers(self.of_views(batch)).view(*clips.shape[:2], -1).mean(1).cpu()
        self.seen.append((batch["index"].cpu(), batch["label"].cpu(), answers))

    test_step = validation_step

    def of_views(self, batch: dict[str, Any]) -> torch.Tensor:
        """Return the outputs (B·V, outputs) for all views of a batch."""
        return torch.cat([self(part) for part in batch["clip"].flatten(0, 1).split(VIEWS)])

    def on_test_epoch_end(self) -> None:
        """Gather the results of all processes."""
        self.result = self.tested()
        self.problems = self.skipped()
        self.strips = {index: strip for part in self.from_all(self.strips) for index, strip in part.items()}

    def note(self, batch: dict[str, Any]) -> None:
        """Record the videos of a batch that could not be used."""
        self.problems.update(batch["problems"])

    def tested(self) -> Seen:
        """Gather all processes' results since the last call: indices (N,), targets (N, …), answers (N, outputs).

        Clips tested by two processes count once; unreadable clips are omitted.
        """
        seen, self.seen = self.seen, []
        batches = [batch for part in self.from_all(seen) for batch in part]
        indices, targets, answers = (torch.cat(parts) for parts in zip(*batches, strict=True))
        places = {index: place for place, index in enumerate(indices.tolist()) if index >= 0}
        order = sorted(places)
        rows = [places[index] for index in order]
        return torch.tensor(order, dtype=torch.long), targets[rows], answers[rows]

    def skipped(self) -> dict[str, str]:
        """Gather the skipped videos of all processes, with the reasons."""
        return {path: reason for part in self.from_all(self.problems) for path, reason in part.items()}

    def from_all(self, own: T) -> list[T]:
        """Gather an object of each process; a collective operation."""
        if self.trainer.world_size == 1:
            return [own]
        gathered: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, own)
        return gathered

    # --- optimisation ---

    def configure_model(self) -> None:
        """Shard the blocks for FSDP, and compile the module."""
        if self.configured:  # Lightning calls this for training and for validation
            return
        self.configured = True
        if self.run.engine.strategy == "fsdp" and self.run.engine.world > 1:
            shard(self.model, self.run.blocks, self.device_mesh)
        if self.run.engine.compile:
            self.model.compile()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Complete the state of the optimizer for FSDP, which loads a state of each weight, also of a frozen one."""
        if self.run.freeze_epochs is not None and self.run.engine.strategy == "fsdp":
            weights = {name.removeprefix(PREFIX): tensor for name, tensor in checkpoint["state_dict"].items()}
            add_missing_states(checkpoint["optimizer_states"][0], weights)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and a schedule that is updated each step."""
        sharded = self.run.engine.strategy == "fsdp" and self.run.engine.world > 1
        optimizer = optimiser(self.model, self.recipe, self.run.blocks, self.run.engine.batch)
        optimizer.register_load_state_dict_pre_hook(partial(with_own_settings, sharded=sharded))
        schedule = Schedule(optimizer, self.rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate_factor(self, step: int) -> float:
        """Return the factor of the learning rate after some steps."""
        epoch, since = self.anchor
        steps_per_epoch = self.steps / self.run.engine.accumulate
        return factor(self.recipe, epoch + max(step - since, 0) / steps_per_epoch, self.recipe.epochs)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Measure the gradient norm, and clip it to `clip_gradient` of the recipe, if set."""
        del optimizer
        self.freezing.drop_gradients(self.current_epoch)
        limit = self.recipe.clip_gradient or math.inf
        norm = nn.utils.clip_grad_norm_((p for p in self.model.parameters() if p.grad is not None), limit)
        self.norm = float(getattr(norm, "full_tensor", lambda: norm)())

    def on_train_start(self) -> None:
        """Set the modes of modules, and the rates of the recipe, also where a run resumes within an epoch."""
        self.on_train_epoch_start()
        schedule: Any = self.lr_schedulers()
        groups = schedule.optimizer.param_groups
        schedule.base_lrs = [group["initial_lr"] for group in groups]
        for group in groups:
            group["lr"] = group["initial_lr"] * self.rate_factor(schedule.last_epoch)

    def on_train_epoch_start(self) -> None:
        """Keep frozen parts in evaluation mode: fixed batch-norm statistics, no dropout."""
        self.freezing.begin_epoch(self.current_epoch)

    def mean_loss(self) -> float:
        """Return the mean loss of the last batch, over its parts and all processes; set `stops`."""
        mean = torch.stack(self.lost).double().mean()
        self.lost = []
        stops = torch.full_like(mean, self.signals.received is not None)
        means, stopped = self.of_all(torch.stack([mean, stops]))
        self.stops = bool(stopped.any())
        return float(means.mean())

    def any_stops(self) -> bool:
        """Return True if a process of the run has received a signal; a collective operation."""
        stops = torch.full((1,), float(self.signals.received is not None), device=self.device)
        return bool(self.of_all(stops).any())

    def of_all(self, own: torch.Tensor) -> torch.Tensor:
        """Gather a vector (N,) of each process: (N, processes)."""
        return cast("Any", self.all_gather(own)).T if self.trainer.world_size > 1 else own[:, None]


def shard(model: nn.Module, blocks: Sequence[str], mesh: Any) -> None:
    """Shard the weights of each block, and of the rest of the model, over processes (`fully_shard`)."""
    from torch.distributed.fsdp import fully_shard

    group = mesh["data_parallel"] if mesh.mesh_dim_names and "data_parallel" in mesh.mesh_dim_names else mesh
    for name in blocks:
        fully_shard(model.get_submodule(name), mesh=group)
    fully_shard(model, mesh=group)


def luma(colours: torch.Tensor) -> torch.Tensor:
    """Return the luma (B, 1, …) of colours (B, 3, …), by the weights of Rec. ITU-R BT.601; of grey, the same."""
    if colours.shape[1] == 1:
        return colours
    red, green, blue = colours.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
