"""Options of the commands that read videos, train and evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.commands import values
from archdsl.commands.options import SpecOptions
from archdsl.train.engine import DECODERS, DEVICES, PRECISIONS
from archdsl.train.tasks import TASKS

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options for videos and the names of their classes."""

    val: str | None = None
    root: str | None = None
    classes: str | None = None
    label: str | None = None
    fold: int | None = None
    group: str | None = None
    task: str | None = None


def data_arguments(group: Any) -> None:
    """Declare the options for validation videos, the root of paths in lists, classes and splits."""
    group.add_argument("--val", metavar="DIR|LIST", help="Videos for validation (default: a share of the videos).")
    group.add_argument(
        "--root", metavar="DIR", help="Folder that the paths of lists are relative to (default: that of the list)."
    )
    group.add_argument(
        "--classes",
        metavar="FILE",
        help="File with the names of classes, for lists with class indices: a name or `index name` per line, or JSON.",
    )
    group.add_argument(
        "--task", choices=TASKS,
        help="Meaning of labels: a class per video (classification, the default), any number of classes (multilabel, "
        "that of Charades), numbers (regression), a class for each head (heads, that of networks with several), or "
        "none (pretrain, that of networks with a mask).",
    )  # fmt: skip
    group.add_argument(
        "--label", metavar="COLUMN",
        help="Column of the labels, for lists with several; EPIC-KITCHENS: verb or noun. For multilabel and regression "
        "also several, with commas; for several heads one of each, in their order (default: their names).",
    )  # fmt: skip
    group.add_argument(
        "--fold", type=values.count, metavar="N", help="Number of the split of UCF101 or HMDB51 (default: the first)."
    )
    group.add_argument(
        "--group", metavar="REGEX",
        help="Regular expression: videos whose paths have the same match are on one side of the random split.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Options for devices, precision and data loading; None for the setting of the run, or the default."""

    devices: int | None = None
    nodes: int | None = None
    device: str | None = None
    precision: str | None = None
    workers: int | None = None
    decoder: str | None = None


def engine_arguments(group: Any) -> None:
    """Declare the options for devices, precision and data loading."""
    group.add_argument(
        "--devices", type=values.count, metavar="N",
        help="Number of GPUs, or of processes on a CPU, per node (default: 1).",
    )  # fmt: skip
    group.add_argument(
        "--nodes", type=values.count, metavar="M", help="Number of nodes, under torchrun or SLURM (default: 1)."
    )
    group.add_argument("--device", choices=DEVICES, help="Device to compute on (default: auto, a GPU if available).")
    group.add_argument("--precision", choices=PRECISIONS, help="Precision of training and inference (default: fp32).")
    group.add_argument(
        "--workers", type=values.natural, metavar="N",
        help="Number of processes that read videos, per device (default: 2).",
    )  # fmt: skip
    group.add_argument("--decoder", choices=DECODERS, help="Decoder of videos (default: auto, the fastest installed).")


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """Options for the weights of a trained run, and the views of each video."""

    weights: str | None
    clips: int | None
    crops: int | None
    json: bool


def view_arguments(parser: Parser) -> None:
    """Declare the options for weights, views and the output format."""
    group = parser.group("weights and views")
    group.add_argument("--weights", metavar="FILE", help="Weights to load (default: those of the last epoch).")
    group.add_argument(
        "--clips", type=values.count, metavar="N", help="Number of clips per video (default: that of the recipe)."
    )
    group.add_argument(
        "--crops", type=int, choices=(1, 3), help="Number of crops per clip (default: that of the recipe)."
    )
    parser.group("output").add_argument("--json", action="store_true", help="Print JSON in place of text.")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(SpecOptions, DataOptions, EngineOptions):
    """Options of `archdsl train`; None for the setting of the run, or the default."""

    spec: str | None = None
    data: str | None = None
    val_share: float | None = None
    no_val: bool | None = None
    videos: int | None = None
    epochs: int | None = None
    lr: str | None = None
    batch: int | None = None
    accumulate: int | None = None
    seed: int | None = None
    dropout: float | None = None
    freeze: tuple[str, ...] = ()
    freeze_epochs: int | None = None
    weights: str | None = None
    weights_from: str | None = None
    weights_spec: str | None = None
    gpus: int | None = None
    strategy: str | None = None
    checkpointing: str | None = None
    sync_bn: bool | None = None
    compile: bool | None = None
    output: str | None = None
    resume: str | None = None
    save_every: int | None = None
    keep: int | None = None
    best: str | None = None
    patience: int | None = None
    log: tuple[str, ...] | None = None
