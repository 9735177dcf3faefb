"""Takes a few training steps of a generated module: `python examples/demo.py generated/slowfast_r50.py`.

The module is imported from its file, as any Python file can be; archdsl is not needed for it. The clips are noise, so
all that the loss can show is that the network learns them by heart.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


def load_module(file: Path) -> Any:
    """The Python module in a file."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        sys.exit(f"{file}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def train(model: nn.Module, clips: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    """Plain gradient descent on one batch, with the loss of each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    model.train()
    for step in range(1, steps + 1):
        began = time.perf_counter()
        loss = nn.functional.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: loss {loss.item():.3f}  ({time.perf_counter() - began:.1f} s)", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the arguments, makes the model and a batch, trains."""
    parser = argparse.ArgumentParser(description="A few training steps of a generated module on random clips.")
    parser.add_argument("module", type=Path, help="a file that `archdsl compile` wrote")
    parser.add_argument("--clip", default="3x16x64x64", metavar="CxTxHxW")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args(argv)
    if not arguments.module.is_file():
        sys.exit(f"{arguments.module}: no such file; `archdsl compile specs/{arguments.module.stem}.arch` writes it")

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"the CPU, {torch.get_num_threads()} threads"
    torch.manual_seed(0)
    model = getattr(load_module(arguments.module), arguments.module.stem)().to(device)
    count = sum(p.numel() for p in model.parameters())
    print(f"{type(model).__name__} from {arguments.module}: {count:,} parameters, torch {torch.__version__} on {where}")

    size = [int(n) for n in arguments.clip.split("x")]
    clips = torch.randn(arguments.batch, *size, device=device)
    labels = torch.arange(arguments.batch, device=device)
    print(f"{arguments.steps} steps on {arguments.batch} random clips of {arguments.clip}")
    train(model, clips, labels, arguments.steps)

    print(f"\nNext: read {arguments.module}, look at out/{arguments.module.stem}.svg, then write a variant:")
    print("  README.md, “Three things to try”, after `. .venv/bin/activate`")


if __name__ == "__main__":
    main()
