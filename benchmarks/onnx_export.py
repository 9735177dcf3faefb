"""Exports of generated modules to ONNX beside torchvision's: time, memory, nodes, and what onnxruntime computes.

    pip install 'archdsl[torch,onnx]' torchvision
    python benchmarks/onnx_export.py swin3d_t mvitv2_s_16x4 mvit_b_16x4

Clips have 16 frames of 224×224, as torchvision's models of these names take them; the batch is dynamic. Each export
runs in a process of its own, whose peak memory is told. Of models that torchvision lacks there is ours alone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peers import declare_operators

import archdsl

SPECS = Path(__file__).parent.parent / "specs"
CLIP = (3, 16, 224, 224)
PEERS = {
    "swin3d_t": "swin3d_t", "swin3d_s": "swin3d_s", "swin3d_b": "swin3d_b", "mvitv2_s_16x4": "mvit_v2_s",
    "mvit_b_16x4": "mvit_v1_b",
}  # fmt: skip


def ours(name: str) -> torch.nn.Module:
    """The module of a spec."""
    return archdsl.load(SPECS / f"{name}.arch", clip=CLIP).build()


def theirs(name: str) -> torch.nn.Module:
    """The module of torchvision for the same network."""
    declare_operators()
    from torchvision.models import video  # pyright: ignore[reportMissingImports]

    return getattr(video, PEERS[name])()


def export(model: torch.nn.Module) -> dict[str, Any]:
    """What an export costs, and how far onnxruntime is from torch, of the largest logit."""
    import onnxruntime

    model.eval()
    clips = torch.randn(2, *CLIP)
    start = time.perf_counter()
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.onnx.export(model, (clips,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    seconds = time.perf_counter() - start
    if program is None:
        raise AssertionError
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.onnx")
        program.save(path)
        session = onnxruntime.InferenceSession(path)
        found = session.run(None, {session.get_inputs()[0].name: clips[:1].numpy()})[0]
    with torch.no_grad():
        wanted = model(clips[:1])
    difference = (torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max()
    nodes = len(list(program.model.graph))
    return {"seconds": seconds, "MiB": memory, "nodes": nodes, "difference": difference.item()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("specs", nargs="+")
    parser.add_argument("--one", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        torch.manual_seed(0)
        row = export((ours if arguments.one == "ours" else theirs)(arguments.specs[0]))
        print(f"| {row['seconds']:.0f} s | {row['MiB']:.0f} MiB | {row['nodes']} | {row['difference']:.1e} |")
        return
    print("| model | whose | export | peak memory | nodes | difference |\n|---|---|---|---|---|---|")
    for name in arguments.specs:
        for side in ["ours", *(["theirs"] if name in PEERS else [])]:
            command = [sys.executable, __file__, "--one", side, name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = done.stdout.strip().splitlines()
            print(f"| {name} | {side} {lines[-1] if lines and not done.returncode else '| failed'}", flush=True)


if __name__ == "__main__":
    main()
