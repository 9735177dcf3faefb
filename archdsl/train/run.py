"""Training runs: a folder with the compiled module and `run.json`, which describe the run completely.

    NAME.py               the module, as `archdsl compile` writes it, independent of archdsl
    spec/                 the spec with what it extends and imports, without bundled ones
    run.json              all other settings of the run: `Run`
    classes.txt           the names of the classes or targets, one per line, in the order of the outputs
    steps.csv epochs.csv  metrics per step and per epoch, beside TensorBoard's files
    skipped.csv           videos that could not be used, with the reason
    videos.csv            the videos, to notice changes when the run resumes
    trackers.json         with --log, the ids of the run in experiment trackers
    checkpoints/last.ckpt the checkpoint to resume from
    checkpoints/epoch-N.ckpt  with --keep, the checkpoints of the last epochs
    weights.safetensors   weights of the last epoch, for `load_state_dict` of the module
    best.safetensors      weights of the best epoch in validation
    report/               the report of the test

No other file is needed to resume, test, predict or export, or to start another run from the weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.files import CommandError, DataError, UsageError, write_atomically
from archdsl.ir.recipe import Recipe
from archdsl.modules import load_module
from archdsl.train.engine import Engine
from archdsl.train.masking import Masking
from archdsl.train.networks import clip_of
from archdsl.train.tasks import CLASSIFICATION
from archdsl.weights import runs

if TYPE_CHECKING:
    import torch

    from archdsl.pipeline import Analysis

CONFIG, BEST, WEIGHTS = runs.CONFIG, runs.BEST, runs.WEIGHTS
SPECS = "spec"
LAST = "checkpoints/last.ckpt"


class TrainingError(CommandError):
    """A run fails; the files written so far are intact."""

    kind = "training"


@dataclass(frozen=True)
class Data:
    """The source of videos: arguments of `archdsl.train.data.listing.read_split`."""

    data: str
    val: str | None = None
    root: str | None = None
    classes: str | None = None
    val_share: float = 0.2
    label: str | None = None
    fold: int | None = None
    group: str | None = None
    task: str | None = None  # one of `archdsl.train.tasks.TASKS`; None for that of the source
    no_val: bool = False  # train without validation


@dataclass(frozen=True)
class Spec:
    """The spec of a run, and the changes to it; those of its recipe are in the recipe."""

    name: str  # of a bundled spec, or of a file in the folder `spec` of the run
    settings: tuple[str, ...] = ()  # NAME=VALUE
    clip: tuple[int, int, int, int] | None = None  # None for the declared size
    like: str | None = None


@dataclass(frozen=True)
class Run:
    """The settings that determine a run."""

    name: str
    command: str
    clip: tuple[int, int, int, int]
    blocks: tuple[str, ...]  # names of the modules that FSDP shards and layer decay counts, in the order of data flow
    recipe: Recipe
    classes: tuple[str, ...]  # of a regression, its targets
    data: Data
    engine: Engine
    weights: str | None = None  # initial weights, by our names: a file beside run.json
    frozen: tuple[str, ...] = ()  # patterns of what does not learn, see `archdsl.train.freezing`
    freeze_epochs: int | None = None  # the number of epochs in which it does not; None for all
    scale: tuple[tuple[float, float], ...] = ()  # mean and standard deviation of each target of a regression
    indices: tuple[int, ...] = ()  # the number of each class in lists, if it is another one than its index
    masking: Masking | None = None  # of a pre-training
    dropout: float | None = None  # overrides the dropout rates of the spec
    changes: tuple[dict[str, Any], ...] = ()  # of settings and videos when the run was resumed, with time and step
    spec: Spec | None = None  # None for runs of an earlier version
    source: str = field(default="", repr=False)  # source code of the module
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # paths in `spec/`, and texts; to be written

    @property
    def task(self) -> str:
        """The task, one of `archdsl.train.tasks.TASKS`."""
        return self.data.task or CLASSIFICATION

    def model(self) -> torch.nn.Module:
        """Return a new module, with initialised weights.

        Raises:
            TrainingError: if NAME.py was not written by `archdsl compile`.
        """
        from torch import nn

        model: nn.Module = getattr(load_module(self.name, self.source), self.name)(
            checkpointing=self.engine.checkpointing
        )
        for part in model.modules():
            if isinstance(part, nn.Dropout) and self.dropout is not None:
                part.p = self.dropout
        return model

    def save(self, folder: Path) -> None:
        """Write the files of the run."""
        data: dict[str, Any] = {**asdict(self), "recipe": self.recipe.as_dict()}
        for path, text in data.pop("files"):
            write_atomically(folder / SPECS / path, text)
        write_atomically(folder / f"{self.name}.py", data.pop("source"))
        if self.classes:
            write_atomically(folder / "classes.txt", "".join(f"{name}\n" for name in self.classes))
        write_atomically(folder / CONFIG, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def load_run(folder: Path) -> Run:
    """Load the run of a folder.

    Raises:
        UsageError: if the folder has no run.
        DataError: if its files are damaged.
    """
    try:
        data = json.loads((folder / CONFIG).read_text("utf-8"))
    except FileNotFoundError:
        others = sorted(p.parent for p in folder.parent.glob(f"*/{CONFIG}")) if folder.parent.is_dir() else []
        hint = f"; runs are {', '.join(map(str, others))}" if others else ""
        raise UsageError(f"{folder}: not a run of `archdsl train`: it has no {CONFIG}{hint}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / CONFIG}: cannot be read: {error}") from None
    try:
        data["recipe"] = Recipe().replace(**data["recipe"])
        data["data"], data["engine"] = Data(**data["data"]), _engine(data["engine"])
        if isinstance(data.get("frozen"), bool):  # of archdsl 0.2: all but the head
            data["frozen"] = [""] * data["frozen"]
        for name in ("clip", "frozen", "blocks", "classes", "indices", "changes"):
            data[name] = tuple(data.get(name, ()))
        data["spec"] = spec_of(data.get("spec"))
        data["masking"] = _masking(data.get("masking"))
        data["scale"] = tuple((mean, deviation) for mean, deviation in data.get("scale", ()))
        data["source"] = (folder / f"{data['name']}.py").read_text("utf-8")
        return Run(**data)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{folder / CONFIG}: not the format of this version of archdsl: {error}") from None


def _masking(data: dict[str, Any] | None) -> Masking | None:
    if data is None:
        return None
    inputs, grid, patch = (tuple(data[name]) for name in ("inputs", "grid", "patch"))
    return Masking(inputs, data["mask"], grid, data["visible"], patch, data["of_hidden"])


def _engine(data: dict[str, Any]) -> Engine:
    data["log"] = tuple(data.get("log", ()))
    return Engine(**data)


def spec_of(data: dict[str, Any] | None) -> Spec | None:
    """Return the spec of a run from its JSON data."""
    if data is None:
        return None
    clip = data["clip"]
    return Spec(data["name"], tuple(data["settings"]), None if clip is None else tuple(clip), data["like"])


def describe(analysis: Analysis, classes: tuple[str, ...], data: Data, engine: Engine, **more: Any) -> Run:
    """Return the run that trains an architecture.

    Raises:
        UsageError: if its inputs are not a single video in colour or grey.
    """
    from archdsl.pipeline import module_text
    from archdsl.targets.torch.checkpoints import blocks_of, stages_of
    from archdsl.targets.torch.select import select

    network, (spec, files) = analysis.network, recorded(analysis)
    blocks = tuple(block.name for stage in stages_of(select(network)) for block in blocks_of(stage))
    return Run(
        network.name, clip=clip_of(network), blocks=blocks, recipe=network.recipe, classes=classes, data=data,
        engine=engine, source=module_text(analysis), spec=spec, files=files, **more,
    )  # fmt: skip


def recorded(analysis: Analysis) -> tuple[Spec, tuple[tuple[str, str], ...]]:
    """Return the record of a spec, and the files that are not bundled: paths from the folder of the spec, and texts."""
    from archdsl.pipeline import spec_name
    from archdsl.resources import resource

    program, like = analysis.program, analysis.like
    sources = [*(file.source for file in program.files), *program.imported, *([like.text] if like is not None else [])]
    texts = {Path(source.name).absolute(): source.text for source in sources}
    first, bundled = next(iter(texts)), resource("specs")
    files = {path: text for path, text in texts.items() if not path.resolve().is_relative_to(bundled.resolve())}
    spec = Spec(
        first.name if first in files else spec_name(sources[0]),
        tuple(f"{b.name.id}={b.value.span.text.strip()}" for b in analysis.settings),
        analysis.clip, like.source.text if like is not None else None,
    )  # fmt: skip
    return spec, tuple((path.relative_to(first.parent).as_posix(), text) for path, text in files.items())
