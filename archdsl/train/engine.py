"""How a run is carried out: devices, processes, precision, loading."""

from __future__ import annotations

from dataclasses import dataclass

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "bf16", "fp16")
DECODERS = ("auto", "pyav", "torchcodec")  # of videos


@dataclass(frozen=True)
class Engine:
    """How a run is carried out."""

    batch: int = 16  # clips for one step of the optimiser, over all devices
    accumulate: int = 1  # parts that each device takes its share of a batch in
    devices: int = 1  # of each node
    nodes: int = 1
    strategy: str = "ddp"  # one of planning.memory.STRATEGIES
    device: str = "auto"  # one of DEVICES
    precision: str = "fp32"  # one of PRECISIONS
    compile: bool = False
    checkpointing: str = "none"  # one of planning.memory.CHECKPOINTINGS
    sync_bn: bool = False
    workers: int = 2  # processes that read videos, for each device
    decoder: str = "auto"  # one of DECODERS
    seed: int = 0
    save_every: int = 0  # steps between checkpoints, beside the one of each epoch

    @property
    def world(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes
