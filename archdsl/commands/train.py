"""`archdsl train`, `eval` and `predict`: a spec and videos become a trained module."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.commands.common import analysed, show_diagnostics
from archdsl.files import DataError, EnvironmentFault, UsageError

if TYPE_CHECKING:
    import argparse

    from archdsl.architecture import Architecture
    from archdsl.train.data.listing import Split
    from archdsl.train.evaluate import Views
    from archdsl.train.report import Result
    from archdsl.train.run import Data, Engine, Run

SYNTHETIC = "synthetic"
RUNS = Path("runs")


def command(arguments: argparse.Namespace) -> int:
    """Trains, from the start or from a checkpoint, and writes a report."""
    needs()
    if arguments.resume:
        return _resume(arguments)
    if arguments.spec is None or arguments.data is None:
        raise UsageError("train: name a spec and --data, or --resume RUN")
    run, folder, split, weights = _begin(arguments)
    from archdsl.train.fit import check

    check(run, split)
    if first():
        folder.mkdir(parents=True, exist_ok=True)
        run.save(folder)
        if weights is not None and run.weights is not None:
            from archdsl.train.checkpoints import save_weights

            save_weights(weights, folder / run.weights)
        print(f"{run.name} → {folder}\n{split.note}")
    return _train(run, folder, split, resume=False)


def _resume(arguments: argparse.Namespace) -> int:
    from archdsl.train.fit import check, split_of
    from archdsl.train.run import LAST, load_run

    given = [name for name in ("spec", "data", "output") if getattr(arguments, name) is not None]
    if given:
        raise UsageError(f"train: --resume goes on as the run began; leave out {' and '.join(given)}")
    folder = Path(arguments.resume)
    run = load_run(folder)
    split = split_of(run.data, run.engine.seed)
    check(run, split)
    if split.classes != run.classes:
        raise DataError(f"{run.data.data}: its classes are no longer those of {folder / 'classes.txt'}")
    if first():
        there = (folder / LAST).exists()
        print(f"{folder}: goes on from {LAST}" if there else f"{folder}: has no checkpoint yet and begins anew")
    return _train(run, folder, split, resume=True)


def _train(run: Run, folder: Path, split: Split, *, resume: bool) -> int:
    from archdsl.train.evaluate import Views, look
    from archdsl.train.fit import train
    from archdsl.train.run import WEIGHTS
    from archdsl.train.weights import trained

    recipe = run.recipe
    views = Views(recipe.test_clips, recipe.test_crops)
    train(run, folder, split, resume=resume)
    if first():
        print(f"\ntesting {WEIGHTS} on {views.text} of each video", flush=True)
    result = look(run, trained(run, folder, None), split.val, folder, views)
    metrics = _report(result, folder / "report", folder)
    if first():
        print(metrics["line"])
        print(f"the report is {folder / 'report/summary.md'}; {folder / WEIGHTS} is for {folder / run.name}.py")
    return 0


def _begin(arguments: argparse.Namespace) -> tuple[Run, Path, Split, Any]:
    """The run that was asked for, its folder and videos, and the weights that it begins with."""
    from dataclasses import replace

    from archdsl.architecture import Architecture
    from archdsl.train.fit import split_of
    from archdsl.train.run import clip_of, describe
    from archdsl.train.weights import starting_weights

    plain = Architecture(analysed(arguments.spec, arguments))  # faults come before videos are looked for
    if arguments.data == SYNTHETIC and arguments.clip is None:
        from archdsl.train.synthetic import CLIP

        arguments.clip = (*clip_of(plain)[:2], CLIP, CLIP)
    engine = engine_of(arguments)
    folder = _folder(arguments, plain.name)
    data = _data(arguments, folder)
    split = split_of(data, engine.seed)
    _set_classes(arguments, plain, len(split.classes))
    analysis = analysed(arguments.spec, arguments)
    show_diagnostics(analysis.warnings)
    arch = Architecture(analysis)
    weights = starting_weights(arch, arguments)
    run = describe(
        arch, split.classes, data, engine, command=_told(), frozen=arguments.freeze, dropout=arguments.dropout,
        weights="start.safetensors" if weights is not None else None,
    )  # fmt: skip
    recipe = run.recipe
    if arguments.data == SYNTHETIC:
        from archdsl.train.synthetic import RECIPE

        try:
            recipe = recipe.replace(**{k: v for k, v in RECIPE.items() if k not in _named(arguments)})
        except ValueError as error:
            raise UsageError(f"--recipe: {error}") from None
    return replace(run, recipe=recipe), folder, split, weights


def _set_classes(arguments: argparse.Namespace, arch: Architecture, count: int) -> None:
    """The head has as many classes as the videos, unless the user has said how many."""
    parameters = arch._analysis.parameters  # pyright: ignore[reportPrivateUsage]
    if any(s.split("=")[0].strip() == "classes" for s in arguments.set):
        if parameters["classes"] != count:
            raise UsageError(f"--set classes={parameters['classes']}: the videos have {count} classes")
        return
    if "classes" in parameters:
        arguments.set = [*arguments.set, f"classes={count}"]
        return
    network = arch._analysis.network  # pyright: ignore[reportPrivateUsage]
    out = int(network.node(network.output).shape.channels)
    if out != count:
        raise UsageError(
            f"{arguments.spec}: its head has {out} classes, the videos have {count}; `param classes = {count}` and "
            "`linear(classes)` let archdsl set it"
        )


def _named(arguments: argparse.Namespace) -> set[str]:
    """What of the recipe the command line says."""
    return {text.split("=")[0].strip() for text in arguments.recipe}


def engine_of(arguments: argparse.Namespace) -> Engine:
    """How a run is carried out, by the command line."""
    from dataclasses import fields

    from archdsl.train.run import Engine

    given = {f.name: getattr(arguments, f.name, None) for f in fields(Engine)}
    return Engine(**{name: value for name, value in given.items() if value is not None})


def _folder(arguments: argparse.Namespace, name: str) -> Path:
    """Where the run goes to: a new folder."""
    if arguments.output is not None:
        folder = Path(arguments.output)
    else:
        known = os.environ.get("ARCHDSL_RUN")
        if known and not first():  # a process that the first one has started
            return Path(known)
        if any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS")):
            raise UsageError(
                "train: processes that are started side by side have to agree: name the run's folder with -o"
            )
        number = next(n for n in range(1, 1_000_000) if not (RUNS / f"{name}-{n}").exists())
        folder = RUNS / f"{name}-{number}"
    if first() and (folder / "run.json").exists():
        raise UsageError(f"{folder}: has a run already; `archdsl train --resume {folder}` goes on with it")
    os.environ["ARCHDSL_RUN"] = str(folder)
    return folder


def _data(arguments: argparse.Namespace, folder: Path) -> Data:
    from archdsl.train.run import Data

    if arguments.data != SYNTHETIC:

        def absolute(path: str | None) -> str | None:
            return None if path is None else str(Path(path).resolve())

        return Data(
            str(Path(arguments.data).resolve()), absolute(arguments.val), absolute(arguments.root),
            absolute(arguments.classes), arguments.val_share,
        )  # fmt: skip
    from archdsl.train.synthetic import FRAMES, make

    frames = max(FRAMES, arguments.clip[1])
    longer = f"-{frames}" if frames > FRAMES else ""
    videos = folder.parent / f"synthetic-{arguments.videos}-{arguments.seed}{longer}"
    if not videos.exists():
        print(f"making {arguments.videos} videos of each class in {videos}", flush=True)
    make(videos, arguments.videos, arguments.seed, frames)
    return Data(str(videos.resolve()))


# --- eval, predict ---------------------------------------------------------------------------------------------------


def evaluate(arguments: argparse.Namespace) -> int:
    """Tests a run, on its own videos or on others."""
    needs()
    from archdsl.train.evaluate import look
    from archdsl.train.fit import split_of
    from archdsl.train.run import Data
    from archdsl.train.weights import trained

    run, folder = _known(arguments)
    data = run.data
    if arguments.data is not None:
        data = Data(arguments.data, arguments.data, arguments.root, str(folder / "classes.txt"))
    split = split_of(data, run.engine.seed)
    _check_classes(run, split, data, folder)
    output = Path(arguments.output) if arguments.output is not None else folder / "eval"
    model = trained(run, folder, arguments.weights)
    result = look(run, model, split.val, folder, _views(arguments, run))
    metrics = _report(result, output, folder)
    if first():
        line = metrics.pop("line")
        print(json.dumps(metrics, indent=2) if arguments.json else f"{line}\nthe report is {output / 'summary.md'}")
    return 0


def _check_classes(run: Run, split: Split, data: Data, folder: Path) -> None:
    """Raises DataError if videos have other classes than those that were learned."""
    if split.classes == run.classes:
        return
    strange = [name for name in split.classes if name not in run.classes]
    known = f"its classes are not those of {folder / 'classes.txt'}"
    raise DataError(f"{data.data}: {known}" + (f", which has no {', '.join(strange[:5])}" if strange else ""))


def _views(arguments: argparse.Namespace, run: Run) -> Views:
    """How each video is looked at: as the recipe says, or the user."""
    from archdsl.train.evaluate import Views

    recipe = run.recipe
    shuffle = getattr(arguments, "shuffle_frames", False)
    return Views(arguments.clips or recipe.test_clips, arguments.crops or recipe.test_crops, shuffle)


def _report(result: Result, output: Path, folder: Path) -> dict[str, Any]:
    """Writes a report, in the first process; the figures, and a line for people."""
    from archdsl.train.report import line, write

    if not first():
        return {}
    metrics = write(result, output, folder)
    return {**metrics, "line": line(metrics)}


def predict(arguments: argparse.Namespace) -> int:
    """Prints what each video shows."""
    needs()
    from archdsl.train.data.videos import VideoError
    from archdsl.train.predict import predict as predicted
    from archdsl.train.weights import trained

    run, folder = _known(arguments)
    model = trained(run, folder, arguments.weights)
    answers = predicted(run, model, arguments.videos, folder, _views(arguments, run))
    failed = 0
    data: list[dict[str, Any]] = []
    for video, answer in zip(arguments.videos, answers, strict=True):
        if isinstance(answer, VideoError):
            failed += 1
            print(f"archdsl: {video}: {answer}", file=sys.stderr)
            continue
        best = answer[: arguments.top]
        data.append({"video": video, "classes": [{"class": name, "probability": share} for name, share in best]})
        if not arguments.json:
            print(video)
            width = max(len(name) for name, _ in best)
            print("\n".join(f"  {name:{width}}  {share:6.1%}" for name, share in best))
    if arguments.json:
        print(json.dumps(data, indent=2, ensure_ascii=False))
    return int(failed > 0)


def _known(arguments: argparse.Namespace) -> tuple[Run, Path]:
    """A run that was trained, by its folder, and how it shall be carried out now."""
    from dataclasses import replace

    from archdsl.train.run import load_run

    folder = Path(arguments.run) if arguments.run is not None else latest()
    run = load_run(folder)
    wanted = {
        name: getattr(arguments, name, None)
        for name in ("devices", "nodes", "device", "precision", "workers", "decoder")
    }
    engine = replace(run.engine, strategy="ddp", devices=1, nodes=1, compile=False)
    engine = replace(engine, **{name: value for name, value in wanted.items() if value is not None})
    return replace(run, engine=engine), folder


def latest() -> Path:
    """The run that was changed last.

    Raises:
        UsageError: if there is none.
    """
    found = sorted(RUNS.glob("*/weights.safetensors"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise UsageError(
            "there is no trained run in runs/; name one with --run, or train one: archdsl train SPEC --data …"
        )
    return found[-1].parent


def needs() -> None:
    """Raises EnvironmentFault where the extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "lightning", "av", "matplotlib") if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(f"missing: {', '.join(missing)}; pip install 'archdsl[train]'")


def first() -> bool:
    """Whether this is the first of the processes of a run, the one that writes."""
    from archdsl.train.fit import rank_of

    return rank_of() == 0


def _told() -> str:
    return shlex.join(["archdsl", *sys.argv[1:]])
