"""Export of a module for inference to ONNX or torch.export, with a comparison of the outputs."""

from __future__ import annotations

import logging
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from archdsl.files import CommandError, UsageError, replacing
from archdsl.train.formats import ONNX

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

LIMIT = 1e-4  # of the difference between logits, relative to the largest logit
MAX_BATCH = 1024  # largest batch of a file with a dynamic batch size
ONE_FILE = 2 * 10**9  # bytes: ONNX is stored as protobuf, which is limited to 2 GiB

_LOGITS = "logits."  # begins the names of the outputs of several heads

Clips = tuple[torch.Tensor, ...]


class Argument(NamedTuple):
    """An argument of a module: its shape without the batch, (C, T, H, W) of a clip."""

    shape: tuple[int, ...]
    visible: int = 0  # positions that a mask leaves visible, if it is one


Outputs = dict[str, torch.Tensor]  # the logits of each head; the key is "" where there is one


class ExportError(CommandError):
    """The module cannot be exported, or the outputs of the file differ from the module's."""

    kind = "export"


def export(
    model: torch.nn.Module, arguments: Sequence[Argument], format: str, path: Path, batch: int | None = None
) -> float:
    """Export a module to a file, and compare the file's outputs with the module's.

    Args:
        model: the module for inference.
        arguments: those of the module.
        format: `"onnx"` or `"torch-export"`.
        path: the file to write; it is unchanged if an error is raised.
        batch: the fixed batch size of the exported program; None for a dynamic batch size.

    Returns:
        The largest difference between logits, relative to the largest logit.

    Raises:
        ExportError: if the difference is above LIMIT, or the module cannot be exported.
        UsageError: if the path is invalid, or the weights are too large for the format.
        EnvironmentFault: if the file cannot be written.
    """
    model.eval()
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    if format == ONNX and size > ONE_FILE:
        raise UsageError(f"{path}: {size / 1e9:.1f} GB of weights exceed the limit of an ONNX file; use torch-export")
    write, load = (_write_onnx, _load_onnx) if format == ONNX else (_write_program, _load_program)
    with replacing(path) as temporary, torch.no_grad(), _quiet():
        program = _program(model, arguments, batch)
        write(program, temporary)
        run = load(temporary)
        counts = (1, 3) if batch is None else (batch, batch)
        differences = [_difference(model, run, _clips(arguments, count, seed)) for seed, count in enumerate(counts)]
        difference = max(differences, key=lambda d: math.inf if math.isnan(d) else d)
        if not difference <= LIMIT:
            message = f"{path}: its logits differ from the module's by {difference:.1e} of the largest logit; "
            raise ExportError(f"{message}the limit is {LIMIT:g}")
    return difference


def _clips(arguments: Sequence[Argument], count: int, seed: int) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    size = next(shape for shape, _ in arguments if len(shape) == 4)[2:]  # of the first clip
    return tuple(_drawn(argument, count, size, generator) for argument in arguments)


def _drawn(argument: Argument, count: int, size: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Return a random argument; `size` is (H, W) of the clip."""
    shape = argument.shape
    if argument.visible:
        order = torch.rand(count, math.prod(shape), generator=generator).argsort(1)
        return torch.unflatten(order >= argument.visible, 1, shape)
    if len(shape) == 2:  # (N, 4), in pixels of the clip
        return _boxes(count, shape[0], size, generator)
    return torch.randn(count, *shape, generator=generator)


def _boxes(count: int, number: int, size: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Return random boxes in a clip of (H, W)."""
    corners = torch.rand(count, number, 2, 2, generator=generator) * torch.tensor([size[1], size[0]])
    return torch.cat([corners.amin(2), corners.amax(2)], dim=2)


def _program(model: torch.nn.Module, arguments: Sequence[Argument], batch: int | None) -> Any:
    """Return the exported program of torch.export."""
    dynamic = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)} if batch is None else None
    try:
        clips = _clips(
            arguments, batch or 2, seed=0
        )  # with one clip, torch.export would make the batch size a constant
        return torch.export.export(model, clips, dynamic_shapes=tuple(dynamic for _ in arguments))
    except Exception as error:  # torch raises exceptions of many types
        message = f"torch.export cannot export the module: {error}"
        raise ExportError(message) from error


def _write_onnx(program: Any, path: Path) -> None:
    onnx: Any = torch.onnx  # its types are incomplete
    heads = program.call_spec.out_spec.context  # the keys of a dictionary of outputs, else None
    names = [f"{_LOGITS}{head}" for head in heads] if heads else None
    onnx.export(program, dynamo=True, verbose=False, output_names=names).save(str(path), external_data=False)


def _load_onnx(path: Path) -> Callable[[Clips], Outputs]:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    outputs = [argument.name for argument in session.get_outputs()]

    def run(clips: Clips) -> Outputs:
        given = session.run(None, dict(zip(names, (c.numpy() for c in clips), strict=True)))
        heads = [name.removeprefix(_LOGITS) for name in outputs] if len(outputs) > 1 else [""]
        return dict(zip(heads, map(torch.as_tensor, given), strict=True))

    return run


def _write_program(program: Any, path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file)


def _load_program(path: Path) -> Callable[[Clips], Outputs]:
    with path.open("rb") as file:
        module: Any = torch.export.load(file).module()
    return lambda clips: _by_head(module(*clips))


def _by_head(outputs: torch.Tensor | Outputs) -> Outputs:
    return {"": outputs} if isinstance(outputs, torch.Tensor) else outputs


def _difference(model: torch.nn.Module, run: Callable[[Clips], Outputs], clips: Clips) -> float:
    """Return the largest difference between the logits of the module and of a file.

    That of each head is relative to its largest logit; all logits of a head initialised to 0 are 0.
    """
    found, expected = run(clips), _by_head(model(*clips))
    differences = [((found[name] - x).abs().max().item(), x.abs().max().item()) for name, x in expected.items()]
    relative = [difference / largest if largest else difference for difference, largest in differences]
    return max(relative, key=lambda d: math.inf if math.isnan(d) else d)


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress the warnings and log messages of torch's exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
