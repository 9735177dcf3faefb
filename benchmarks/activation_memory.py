"""Activations that training keeps until the backward pass: predicted from the graph, and seen by autograd's hooks.

    python benchmarks/activation_memory.py slowfast_r50 swin3d_t

A forward pass of two clips of the spec's own size in training, on the CPU in float32: as it is, with every block
checkpointed, and with every stage. With one thread alone torch takes other convolutions, so there are two at least.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import archdsl
from archdsl.core.sizes import size_text
from archdsl.targets.torch.checkpoints import blocks_of, stages_of
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import held, memory_of

SPECS = Path(__file__).parent.parent / "specs"


def predicted(arch: archdsl.Architecture, batch: int) -> dict[str, int]:
    """Bytes kept, by what is checkpointed."""
    network = lower(arch._analysis.network)
    memory = memory_of(network, batch)
    stages = stages_of(network)
    blocks = [b for u in stages for b in blocks_of(u)]
    return {"none": memory.total, "block": held(memory, blocks)[0], "stage": held(memory, stages)[0]}


def measured(model: torch.nn.Module, clips: list[torch.Tensor]) -> int:
    """Bytes of what autograd's hooks see, each piece of memory once, parameters and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(*clips)
    return sum(s.nbytes() for place, s in found.items() if place not in own)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Compare predicted and measured activation memory.")
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="names of specs")
    parser.add_argument("--batch", type=int, default=2, help="clips (default: 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(max(2, torch.get_num_threads()))
    print("| spec | checkpointed | predicted | measured | predicted / measured |\n|---|---|---|---|---|")
    for name in arguments.specs:
        arch = archdsl.load(SPECS / f"{name}.arch")
        model: Any = arch.build().train()
        sizes = [data["shape"] for _, data in arch.graph.nodes(data=True) if data["kind"] == "input"]
        clips = [torch.randn(arguments.batch, *size) for size in sizes]
        for mode, size in predicted(arch, arguments.batch).items():
            model.checkpointing = mode
            found = measured(model, clips)
            print(f"| `{name}` | {mode} | {size_text(size)} | {size_text(found)} | {size / found:.3f} |", flush=True)


if __name__ == "__main__":
    main()
