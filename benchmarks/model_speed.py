"""How fast generated modules are beside their peers: the same weights, the same clips, runs alternated pair by pair.

    pip install 'archdsl[torch]' torchvision transformers
    python benchmarks/model_speed.py r3d_18 swin3d_t --mode train --batch 1 [--dtype bf16] [--csv FILE]

A peer runs as it is shipped and `tuned`: its weights and clips channels-last. Outputs are compared before anything is
timed; a peer that does not agree is not timed. A step of training is forward, backward and SGD. Medians count; behind
them the spread, half of the range between the quartiles. Above 1 in `peer / ours` we are faster. Clips are as the peers
have them, or smaller where `--clip` says so.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from tool_speed import machine

import archdsl

if TYPE_CHECKING:
    from collections.abc import Callable

SPECS = Path(__file__).parent.parent / "specs"
Clip = tuple[int, int, int, int]


class Peer(NamedTuple):
    """A model of another library: the source of its weights, its clip, and how it is made and called."""

    source: str
    clip: Clip
    make: Callable[[Clip], torch.nn.Module]
    frames_first: bool = False  # it takes (B, T, C, H, W)


def torchvision(name: str) -> Callable[[Clip], torch.nn.Module]:
    """A video model of torchvision, whose operators need declarations beside a build of torch without CUDA."""

    def make(_clip: Clip) -> torch.nn.Module:
        from onnx_export import declare_operators

        declare_operators()
        from torchvision.models import video

        return getattr(video, name)()

    return make


def transformers(kind: str, **settings: Any) -> Callable[[Clip], torch.nn.Module]:
    """A model of transformers, its attention as the library chooses it."""

    def make(clip: Clip) -> torch.nn.Module:
        from onnx_export import declare_operators

        declare_operators()
        import transformers as library

        config = getattr(library, f"{kind}Config")(num_frames=clip[1], image_size=clip[3], num_labels=400, **settings)
        return getattr(library, f"{kind}ForVideoClassification")(config)

    return make


PEERS = {
    "r3d_18": Peer("torchvision", (3, 16, 112, 112), torchvision("r3d_18")),
    "r2plus1d_18": Peer("torchvision", (3, 16, 112, 112), torchvision("r2plus1d_18")),
    "mvit_b_16x4": Peer("torchvision", (3, 16, 224, 224), torchvision("mvit_v1_b")),
    "mvitv2_s_16x4": Peer("torchvision", (3, 16, 224, 224), torchvision("mvit_v2_s")),
    "swin3d_t": Peer("torchvision", (3, 16, 224, 224), torchvision("swin3d_t")),
    "swin3d_b": Peer("torchvision", (3, 16, 224, 224), torchvision("swin3d_b")),
    "timesformer_ts": Peer("huggingface", (3, 8, 224, 224), transformers("Timesformer"), frames_first=True),
    "vivit_b_joint": Peer("huggingface", (3, 32, 224, 224), transformers("Vivit"), frames_first=True),
}


class Runner(NamedTuple):
    """A model ready to be timed."""

    name: str
    run: Callable[[], None]


def logits(model: torch.nn.Module, clip: torch.Tensor, *, frames_first: bool) -> torch.Tensor:
    """What a model gives, whatever it calls it."""
    found = model(clip.transpose(1, 2).contiguous() if frames_first else clip)
    return found if isinstance(found, torch.Tensor) else found.logits


def runner(name: str, model: torch.nn.Module, clip: torch.Tensor, arguments: argparse.Namespace, **how: bool) -> Runner:
    """One run of a model: a step of training, or inference."""
    enabled = arguments.dtype == "bf16"
    target = torch.zeros(len(clip), dtype=torch.long)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = torch.nn.functional.cross_entropy(logits(model, clip, **how).float(), target)
        loss.backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits(model, clip, **how)

    model.train(arguments.mode == "train")
    return Runner(name, train if arguments.mode == "train" else infer)


def runners(name: str, arguments: argparse.Namespace) -> list[Runner]:
    """Ours, the peer and the peer tuned, once their outputs agree."""
    peer = PEERS[name]
    size = arguments.clip or peer.clip
    arch = archdsl.load(SPECS / f"{name}.arch", clip=size, like=peer.source)
    theirs = peer.make(size).eval()
    ours = arch.build().eval()
    ours.load_state_dict(archdsl.convert_weights(arch, theirs.state_dict(), peer.source))
    clip = torch.randn(arguments.batch, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = logits(theirs, clip, frames_first=peer.frames_first)
        difference = (logits(ours, clip, frames_first=False) - expected).abs().max() / expected.abs().max()
    if difference > 1e-4:
        sys.exit(f"{name}: the outputs differ by {difference:.1e} of the largest")
    tuned = peer.make(size)
    tuned.load_state_dict(theirs.state_dict())
    tuned = tuned.to(memory_format=torch.channels_last_3d)
    last = clip.contiguous(memory_format=torch.channels_last_3d)
    return [
        runner("ours", ours, clip, arguments, frames_first=False),
        runner("as shipped", theirs, clip, arguments, frames_first=peer.frames_first),
        runner("tuned", tuned, clip if peer.frames_first else last, arguments, frames_first=peer.frames_first),
    ]


def measured(candidates: list[Runner], runs: int) -> dict[str, list[float]]:
    """Seconds of each run, all candidates in turn, the first round not counted."""
    found: dict[str, list[float]] = {c.name: [] for c in candidates}
    for number in range(runs + 1):
        for candidate in candidates:
            start = time.perf_counter()
            candidate.run()
            if number:
                found[candidate.name].append(time.perf_counter() - start)
    return found


def row(name: str, times: dict[str, list[float]], arguments: argparse.Namespace) -> dict[str, Any]:
    """One line of the table."""
    medians = {who: statistics.median(t) for who, t in times.items()}
    cells: dict[str, Any] = {"model": name, "mode": arguments.mode, "dtype": arguments.dtype, "batch": arguments.batch}
    for who, seconds in times.items():
        quarters = statistics.quantiles(seconds, n=4)
        cells[who] = f"{medians[who]:.3f} ± {(quarters[2] - quarters[0]) / 2:.3f} s"
    for who in ("as shipped", "tuned"):
        cells[f"{who} / ours"] = f"{medians[who] / medians['ours']:.2f}"
    return cells


def main() -> None:
    """Prints a table in Markdown, and writes it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("specs", nargs="+", choices=sorted(PEERS))
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--clip", type=lambda text: tuple(map(int, text.split("x"))))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    known = machine()
    where = f"{known['processor']}, {known['cores']} cores, torch {torch.__version__}"
    print(f"{where}\n")
    rows: list[dict[str, Any]] = []
    for name in arguments.specs:
        found = row(name, measured(runners(name, arguments), arguments.runs), arguments)
        rows.append(found | {"machine": where})
        if len(rows) == 1:
            print(f"| {' | '.join(found)} |\n|{'---|' * len(found)}")
        print(f"| {' | '.join(map(str, found.values()))} |", flush=True)
    if arguments.csv is not None:
        with arguments.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
