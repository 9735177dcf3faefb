"""The part of a run that Lightning's trainer asks: what a step is, what is trained and how it is shared out."""

# Much of what it calls has no types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from lightning import LightningModule
from torch import nn
from torch.nn import functional

from archdsl.train.data.dataset import seed_of
from archdsl.train.mix import loss_of, mixed
from archdsl.train.optim import HEAD, factor, optimiser
from archdsl.train.run import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.run import Run

T = TypeVar("T")
VIEWS = 8  # that are looked at together in tests


class Task(LightningModule):
    """Classifies clips with a generated module, and trains it by a recipe.

    Args:
        run: what is done.
        model: the module, its weights at their start.
        steps: batches of one epoch, for each process; 0 where nothing is trained.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, run: Run, model: nn.Module, steps: int = 0) -> None:
        super().__init__()
        self.run, self.recipe, self.steps = run, run.recipe, steps
        self.model = model
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.recipe, name)).view(-1, 1, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self.lost: list[torch.Tensor] = []  # of each part of this step's batch
        self.norm = math.nan  # of the last gradient
        self.seen: list[tuple[int, int, torch.Tensor]] = []  # index, label and probabilities of what was tested
        self.problems: dict[str, str] = {}  # of videos that could not be used, by path
        self.configured = False
        if run.frozen:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.split(".")[0] == HEAD)

    # --- what is computed ---

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W) of bytes."""
        return self.model(self.normalised(clips))

    def normalised(self, clips: torch.Tensor) -> torch.Tensor:
        """Bytes as the numbers that the network takes."""
        return (clips.float() / 255 - self.mean) / self.std

    def training_step(self, batch: dict[str, Any], number: int) -> torch.Tensor:
        """The loss of one part of a batch."""
        torch.manual_seed(seed_of(self.run.engine.seed, self.current_epoch, number, self.global_rank))
        self.note(batch)
        clips, labels = batch["clip"][:, 0], batch["label"]
        clips, targets = mixed(self.normalised(clips), labels, len(self.run.classes), self.recipe)
        loss = loss_of(self.model(clips), targets, self.recipe.label_smoothing)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.global_step + 1}; a lower learning rate, a longer warm-up, "
                "clipped gradients or bf16 in place of fp16 may help"
            )
        self.lost.append(loss.detach())
        return loss

    def validation_step(self, batch: dict[str, Any], number: int) -> None:
        """Looks at one batch of views."""
        del number
        self.note(batch)
        clips = batch["clip"]  # (B, V, 3, T, H, W)
        flat = clips.flatten(0, 1)
        logits = [self(part) for part in flat.split(VIEWS)]
        shares = torch.cat(logits).float().softmax(-1).view(*clips.shape[:2], -1).mean(1).cpu()
        for index, label, found in zip(batch["index"].tolist(), batch["label"].tolist(), shares, strict=True):
            self.seen.append((index, label, found))

    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        """Keeps what all processes have found."""
        self.result = self.tested()
        self.problems = self.skipped()

    def note(self, batch: dict[str, Any]) -> None:
        """Remembers what could not be used."""
        self.problems.update(batch["problems"])

    def tested(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What all processes have tested since the last call: indices (N,), labels (N,), probabilities (N, classes).

        A clip that two of them were given counts once, and one that could not be read not at all.
        """
        seen, self.seen = self.seen, []
        everything = self.from_all(seen)
        found = {index: (label, shares) for part in everything for index, label, shares in part if label >= 0}
        order = sorted(found)
        labels = torch.tensor([found[i][0] for i in order], dtype=torch.long)
        shares = [found[i][1] for i in order]
        none = torch.empty(0, len(self.run.classes))
        return torch.tensor(order, dtype=torch.long), labels, torch.stack(shares) if shares else none

    def skipped(self) -> dict[str, str]:
        """The videos that no process could use, and why."""
        return {path: reason for part in self.from_all(self.problems) for path, reason in part.items()}

    def from_all(self, given: T) -> list[T]:
        """What each process gives; all of them must ask."""
        if self.trainer.world_size == 1:
            return [given]
        gathered: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, given)
        return gathered

    # --- what is trained ---

    def configure_model(self) -> None:
        """Shards the blocks, and compiles."""
        if self.configured:  # Lightning asks for training and for validation
            return
        self.configured = True
        if self.run.engine.strategy == "fsdp" and self.run.engine.world > 1:
            shard(self.model, self.run.blocks, self.device_mesh)
        if self.run.engine.compile:
            self.model.compile()

    def configure_optimizers(self) -> Any:
        """The optimiser, and a schedule that moves with its steps."""
        found = optimiser(self.model, self.recipe, self.run.blocks, self.run.engine.batch)
        each = self.steps / self.run.engine.accumulate
        schedule = torch.optim.lr_scheduler.LambdaLR(
            found, lambda step: factor(self.recipe, step / each, self.recipe.epochs)
        )
        return {"optimizer": found, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Measures the gradient, and makes it shorter if the recipe says so."""
        del optimizer
        limit = self.recipe.clip_gradient or math.inf
        norm = nn.utils.clip_grad_norm_((p for p in self.model.parameters() if p.grad is not None), limit)
        self.norm = float(getattr(norm, "full_tensor", lambda: norm)())

    def on_train_epoch_start(self) -> None:
        """What is frozen stays as in inference: its norms do not move, nothing is dropped."""
        self.model.train()
        if self.run.frozen:
            for name, module in self.model.named_children():
                module.train(name == HEAD)

    def mean_loss(self) -> float:
        """Of the batch, over its parts and all processes."""
        mean = torch.stack(self.lost).double().mean()
        self.lost = []
        return float(cast("Any", self.all_gather(mean)).mean()) if self.trainer.world_size > 1 else float(mean)


def shard(model: nn.Module, blocks: Sequence[str], mesh: Any) -> None:
    """Each process keeps its share of the weights of each block, and of what is outside of all (`fully_shard`)."""
    from torch.distributed.fsdp import fully_shard

    group = mesh["data_parallel"] if mesh.mesh_dim_names and "data_parallel" in mesh.mesh_dim_names else mesh
    for name in blocks:
        fully_shard(model.get_submodule(name), mesh=group)
    fully_shard(model, mesh=group)


def accuracy(labels: torch.Tensor, shares: torch.Tensor) -> dict[str, float]:
    """Top-1, top-5 and mean negative log likelihood of probabilities (N, classes)."""
    if not len(labels):
        return {"top1": math.nan, "top5": math.nan, "loss": math.nan}
    best = shares.topk(min(5, shares.shape[1])).indices == labels[:, None]
    return {
        "top1": best[:, 0].double().mean().item(),
        "top5": best.any(1).double().mean().item(),
        "loss": functional.nll_loss(shares.double().clamp_min(1e-12).log(), labels).item(),
    }
