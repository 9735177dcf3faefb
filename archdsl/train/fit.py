"""Training and testing of a run with Lightning's trainer, with clear messages for its failures."""

# Libraries without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from archdsl.files import DataError, EnvironmentFault, UsageError
from archdsl.train.averages import Average
from archdsl.train.checkpoints import WholeFiles
from archdsl.train.data.clips import Sampling
from archdsl.train.data.dataset import Clips
from archdsl.train.data.listing import Sample, Split, read_split
from archdsl.train.data.videos import VideoError, chosen_decoder
from archdsl.train.journal import Bar, Journal
from archdsl.train.keep import Keep
from archdsl.train.loading import TrainLoader, test_loader
from archdsl.train.norms import PreciseNorms
from archdsl.train.objectives import objective_of
from archdsl.train.pretraining import Pretraining
from archdsl.train.run import LAST, Data, Run, TrainingError
from archdsl.train.stopping import resume_text
from archdsl.train.task import Task
from archdsl.train.trackers import trackers
from archdsl.train.unvalidated import Unvalidated

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from archdsl.train.engine import Engine
    from archdsl.train.stopping import Signals

PARENT = "ARCHDSL_RUN"  # the variable with the folder of a run, for processes that the first one starts
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def split_of(data: Data, seed: int) -> Split:
    """Read the videos of a run."""
    paths = [None if p is None else Path(p) for p in (data.val, data.root, data.classes)]
    return read_split(
        Path(data.data), *paths, val_share=data.val_share, seed=seed, label=data.label, fold=data.fold,
        group=data.group, task=data.task, no_val=data.no_val,
    )  # fmt: skip


def clips_of(run: Run, samples: Sequence[Sample], *, training: bool, **more: Any) -> Clips:
    """Return the dataset of clips for training, or for testing with `clips` × `crops` views per video."""
    recipe = run.recipe
    _, frames, height, width = run.clip
    sampling = Sampling(frames, recipe.interval, recipe.fps, recipe.sampling, recipe.short)
    return Clips(
        samples, sampling, (height, width), training=training, seed=run.engine.seed, jitter=_pair(recipe.jitter),
        area=_pair(recipe.area), flip=recipe.flip, randaugment=_pair(recipe.randaugment), test_scale=recipe.test_scale,
        decoder=run.engine.decoder, target=objective_of(run).target, **more,
    )  # fmt: skip


def _pair(limits: Sequence[float]) -> tuple[float, float] | None:
    """Return two limits, or None for an empty range."""
    return (limits[0], limits[1]) if limits else None


def train(run: Run, folder: Path, split: Split, signals: Signals, *, resume: bool = False) -> None:
    """Train a network, and write the files listed in `archdsl.train.run`.

    Args:
        run: the run.
        folder: the folder of the run, with the run's files.
        split: the videos, which `check` has accepted.
        signals: the handler of signals.
        resume: resume from the last checkpoint, if one exists.

    Raises:
        TrainingError: if training fails.
    """
    rank = rank_of()
    clips = clips_of(run, split.train, training=True)
    objective = objective_of(run)
    loader = TrainLoader(clips, run.engine, rank, run.recipe.repeats, objective.draws(split.train))
    validation = None
    if not run.data.no_val:
        validation = test_loader(clips_of(run, split.val, training=False), run.engine, rank, max(1, loader.order.part))
    quiet()
    last = folder / LAST if resume and (folder / LAST).exists() else None
    logs = trackers(run, folder, resumes=last is not None) if run.engine.log and rank == 0 else nullcontext([])
    with clear_errors(folder), logs as loggers:
        task = task_of(run)(run, initial_model(run, folder), len(loader), objective.weights(split.train))
        task.signals = signals
        journal = Journal(folder, run.engine, objective)
        trainer = trainer_of(run, folder, journal, Keep(folder, run.engine, loader))
        trainer.loggers = [*trainer.loggers, *loggers]
        trainer.fit(task, loader, validation, ckpt_path=last, weights_only=True)


def task_of(run: Run) -> type[Task]:
    """Return the class of a run's task."""
    return Task if run.masking is None else Pretraining


def initial_model(run: Run, folder: Path) -> torch.nn.Module:
    """Return the module with the run's initial weights, equal in every process."""
    torch.manual_seed(run.engine.seed)
    model = run.model()
    if run.weights is not None:
        from safetensors.torch import load_file

        await_file(folder / run.weights)
        model.load_state_dict(load_file(folder / run.weights))
    return model


def await_file(path: Path, seconds: float = 60.0) -> None:
    """Wait until the first process has written a file: torchrun starts all processes of a run at once."""
    end = time.monotonic() + seconds
    while rank_of() > 0 and not path.exists() and time.monotonic() < end:
        time.sleep(0.02)


def trainer_of(run: Run, folder: Path, journal: Journal | None = None, keep: Keep | None = None) -> Trainer:
    """Return the trainer of a run; with a journal, it logs metrics and writes checkpoints."""
    engine, recipe = run.engine, run.recipe
    cuda = device_of(run.engine) == "cuda"
    if not cuda and engine.devices > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // engine.devices))
    callbacks: list[Any] = []
    if journal is not None:
        callbacks = [journal, keep, *[Unvalidated()] * run.data.no_val]
        if recipe.precise_bn and keep is not None:
            callbacks.append(PreciseNorms(keep.loader, recipe.precise_bn))
        if recipe.ema:
            callbacks.append(Average(recipe.ema))
        if sys.stderr.isatty():
            callbacks.append(Bar(journal))
    quiet()
    return Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=engine.devices,
        num_nodes=engine.nodes,
        strategy=strategy_of(run, cuda),
        precision=PRECISIONS[engine.precision],  # pyright: ignore[reportArgumentType]
        max_epochs=recipe.epochs,
        accumulate_grad_batches=engine.accumulate,
        sync_batchnorm=engine.sync_bn,
        callbacks=callbacks,
        plugins=[WholeFiles()],
        logger=TensorBoardLogger(folder, name="tensorboard", version="") if journal is not None else False,
        log_every_n_steps=1,
        enable_progress_bar=journal is not None and sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        benchmark=True,
    )


def strategy_of(run: Run, cuda: bool) -> Any:
    """Return Lightning's strategy for the run: single process, DDP or FSDP."""
    if run.engine.world == 1:
        return "auto"
    backend = "nccl" if cuda else "gloo"
    if run.engine.strategy == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=run.engine.world, tensor_parallel_size=1, save_distributed_checkpoint=False,
            process_group_backend=backend,
        )  # fmt: skip
    return DDPStrategy(process_group_backend=backend, gradient_as_bucket_view=True)


def check(run: Run, split: Split) -> None:
    """Check the options of a run.

    Raises:
        UsageError: for options that contradict each other or the machine.
        DataError: without videos for training or validation.
    """
    engine, objective = run.engine, objective_of(run)
    objective.check()
    if engine.best not in objective.metrics:
        raise UsageError(f"--best {engine.best}: the metrics of --task {run.task} are {', '.join(objective.metrics)}")
    parts = engine.world * engine.accumulate
    if engine.batch % parts:
        raise UsageError(
            f"--batch {engine.batch}: must be a multiple of {engine.world} processes × {engine.accumulate} "
            f"accumulation steps, such as {max(1, round(engine.batch / parts)) * parts}"
        )
    if len(run.recipe.mean) not in {1, 3}:
        raise UsageError(
            f"mean and std: have {len(run.recipe.mean)} numbers; videos have 3 channels: give 1 or 3 of each"
        )
    if not split.train or not (split.val or run.data.no_val):
        raise DataError(f"no videos for {'validation' if split.train else 'training'}: {split.note}")
    if device_of(run.engine) == "cpu" and engine.precision == "fp16":
        raise UsageError("--precision fp16: needs a GPU; on a CPU use bf16 or fp32")
    check_decoder(engine.decoder)
    if engine.sync_bn and device_of(run.engine) == "cpu":
        raise UsageError("--sync-bn: needs GPUs; omit it on a CPU")


def precision_warning(engine: Engine) -> str:
    """Return a warning of bf16 on a CPU; empty for other settings."""
    if engine.precision != "bf16" or device_of(engine) != "cpu":
        return ""
    return (
        "--precision bf16 on a CPU: for some shapes the bf16 convolutions of torch (oneDNN) are wrong or crash; "
        "--precision fp32 is advised"
    )


def check_decoder(name: str) -> None:
    """Raise EnvironmentFault if a decoder cannot be used on this machine."""
    try:
        chosen_decoder(name)
    except ValueError as error:
        raise EnvironmentFault(f"--decoder {name}: {error}") from None


def device_of(engine: Engine) -> str:
    """Return the device of some settings, `cuda` or `cpu`.

    Raises:
        EnvironmentFault: if fewer GPUs are available than requested.
    """
    wanted, count = engine.device, torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cuda" and not count:
        raise EnvironmentFault("--device cuda: torch finds no GPU on this machine")
    if wanted == "cpu" or not count:
        return "cpu"
    if engine.devices > count:
        raise EnvironmentFault(f"--devices {engine.devices}: torch finds {count} GPUs on this machine")
    return "cuda"


def is_child() -> bool:
    """Return True if the first process of a run has started this one."""
    return rank_of() > 0 and PARENT in os.environ


def rank_of() -> int:
    """Return the rank of this process, from the environment, before the process group is initialised."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


def quiet() -> None:
    """Silence Lightning's hints and warnings."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")


@contextmanager
def clear_errors(folder: Path) -> Generator[None]:
    """Convert errors of torch, Lightning and the system to TrainingErrors with instructions."""
    try:
        yield
    except VideoError as error:
        raise TrainingError(str(error).splitlines()[-1].split("VideoError: ")[-1]) from error
    except torch.cuda.OutOfMemoryError as error:
        text = "out of GPU memory; reduce --batch, or use --accumulate, --checkpointing block or --precision bf16"
        raise TrainingError(f"{text}: {error}; {resume_text(folder)}") from error
    except (RuntimeError, OSError) as error:
        text = str(error)
        if "shared memory" in text:
            cause = "shared memory (/dev/shm) is full; reduce --workers, or enlarge it (docker run --shm-size 8g)"
        elif "DataLoader worker" in text:
            cause = "a data loading worker was killed, perhaps because memory ran out; reduce --workers"
        elif any(word in text.lower() for word in ("gloo", "nccl", "connection", "peer", "process group")):
            cause = "another process of this run has ended, or cannot be reached"
        elif isinstance(error, OSError) and error.errno is not None:
            cause = f"{error.filename or folder}: {error.strerror}"
        else:
            raise
        raise TrainingError(f"{cause}; {resume_text(folder)} ({text.splitlines()[0]})") from error
