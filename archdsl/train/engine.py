"""Engine settings of a run: devices, processes, precision, data loading."""

from __future__ import annotations

from dataclasses import dataclass

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "bf16", "fp16")
DECODERS = ("auto", "pyav", "torchcodec")  # of videos
TRACKERS = ("wandb", "mlflow")  # of experiments, beside TensorBoard


@dataclass(frozen=True)
class Engine:
    """Engine settings: properties of a run other than the model, the recipe and the data."""

    batch: int = 16  # clips per optimizer step, over all devices
    accumulate: int = 1  # gradient accumulation steps
    devices: int = 1  # per node
    nodes: int = 1
    strategy: str = "ddp"  # one of planning.memory.STRATEGIES
    device: str = "auto"  # one of DEVICES
    precision: str = "fp32"  # one of PRECISIONS
    compile: bool = False
    checkpointing: str = "none"  # one of planning.memory.CHECKPOINTINGS
    sync_bn: bool = False
    workers: int = 2  # processes that read videos, per device
    decoder: str = "auto"  # one of DECODERS
    seed: int = 0
    save_every: int = 0  # steps between checkpoints, in addition to one per epoch
    keep: int = 0  # epochs whose checkpoints are kept, the last ones, in addition to the last checkpoint
    best: str = "top1"  # a name for best.metric_of
    log: tuple[str, ...] = ()  # of TRACKERS
    patience: int = 0  # epochs without a better value after which training stops early; 0 for never

    @property
    def world(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes
