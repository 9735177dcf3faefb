"""A module that only runs as a file for other programs, which computes what the module does."""

from __future__ import annotations

import logging
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from archdsl.files import CommandError, UsageError, replacing
from archdsl.train.formats import ONNX

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

LIMIT = 1e-4  # for the difference of logits, of the largest one
MAX_BATCH = 1024  # clips at once that a file with a dynamic batch takes
ONE_FILE = 2 * 10**9  # bytes: protobuf, which ONNX is stored as, ends at 2 GiB

Clips = tuple[torch.Tensor, ...]


class ExportError(CommandError):
    """A file has been made that does not compute what the module does, or none could be made."""

    kind = "export"


def export(
    model: torch.nn.Module, clip_shapes: Sequence[tuple[int, ...]], format: str, path: Path, batch: int | None = None
) -> float:
    """Export a module to a file, and compare the file's outputs with the module's.

    Args:
        model: takes a clip of each shape.
        clip_shapes: (C, T, H, W) of each of its inputs.
        format: `"onnx"` or `"torch-export"`.
        path: where to; nothing is changed there if an error is raised.
        batch: the number of clips that the file takes at once; any number if None.

    Returns:
        The largest difference between logits, as a share of the largest logit.

    Raises:
        ExportError: if that is more than LIMIT, or the module cannot be exported.
        UsageError: if there can be no such file, or the weights are too many for it.
        EnvironmentFault: if it cannot be written.
    """
    model.eval()
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    if format == ONNX and size > ONE_FILE:
        raise UsageError(f"{path}: {size / 1e9:.1f} GB of weights are too many for one file of ONNX; use torch-export")
    write, load = (_write_onnx, _load_onnx) if format == ONNX else (_write_program, _load_program)
    with replacing(path) as temporary, torch.no_grad(), _quiet():
        program = _program(model, clip_shapes, batch)
        write(program, temporary)
        run = load(temporary)
        counts = (1, 3) if batch is None else (batch, batch)
        found = [_difference(model, run, _clips(clip_shapes, count, seed)) for seed, count in enumerate(counts)]
        difference = max(found, key=lambda d: math.inf if math.isnan(d) else d)
        if not difference <= LIMIT:
            message = f"{path}: differs from the module by {difference:.1e} of the largest logit, more than {LIMIT:g}"
            raise ExportError(message)
    return difference


def _clips(shapes: Sequence[tuple[int, ...]], count: int, seed: int) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(count, *shape, generator=generator) for shape in shapes)


def _program(model: torch.nn.Module, shapes: Sequence[tuple[int, ...]], batch: int | None) -> Any:
    """The module as torch.export sees it."""
    dynamic = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)} if batch is None else None
    try:
        clips = _clips(shapes, batch or 2, seed=0)  # of one clip, torch.export would make the batch a constant
        return torch.export.export(model, clips, dynamic_shapes=tuple(dynamic for _ in shapes))
    except Exception as error:  # whatever torch has to say
        message = f"torch.export does not take the module: {error}"
        raise ExportError(message) from error


def _write_onnx(program: Any, path: Path) -> None:
    onnx: Any = torch.onnx  # its types are incomplete
    onnx.export(program, dynamo=True, verbose=False).save(str(path), external_data=False)


def _load_onnx(path: Path) -> Callable[[Clips], torch.Tensor]:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]  # it has none

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(clips: Clips) -> torch.Tensor:
        return torch.as_tensor(session.run(None, dict(zip(names, (c.numpy() for c in clips), strict=True)))[0])

    return run


def _write_program(program: Any, path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file)


def _load_program(path: Path) -> Callable[[Clips], torch.Tensor]:
    with path.open("rb") as file:
        module: Any = torch.export.load(file).module()
    return lambda clips: module(*clips)


def _difference(model: torch.nn.Module, run: Callable[[Clips], torch.Tensor], clips: Clips) -> float:
    """Between logits of the module and of a file, as a share of the largest."""
    expected: torch.Tensor = model(*clips)
    difference, largest = (run(clips) - expected).abs().max().item(), expected.abs().max().item()
    return difference / largest if largest else difference  # a head that begins with zeros gives nothing else


@contextmanager
def _quiet() -> Generator[None]:
    """Without the remarks of torch's exporters about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
