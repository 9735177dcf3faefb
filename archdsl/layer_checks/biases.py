"""Checks of an added bias of scores, in small networks of one attention each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from archdsl.architecture import Architecture
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.core.values import written
from archdsl.files import FileLibrary
from archdsl.layer_checks.checks import Skipped, Wrong, seed
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.core.values import Value
    from archdsl.layers.bias import Bias

CLIP = (3, 4, 6, 6)
# What stands in front of the attention, its arguments and further lines.
ATTENTIONS = (
    ("", "2", ""),
    ("", "2, over = time", ""),
    ("", "2, window = [2, 4, 3], shift = [1, 2, 0]", ""),
    ("", "2", "kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid)"),
    ("class_token -> ", "2, window = 3", ""),
)


def attentions(cls: type[Bias], settings: Mapping[str, Value]) -> str:
    """Compile a bias in several attentions, and compute values and gradients.

    Raises:
        LayerError: if a module differs from what the bias declares.
        Wrong: if its values are not finite, or one of its weights has no gradient.
        Skipped: if no attention takes it.
    """
    arguments = ", ".join(f"{name} = {written(value)}" for name, value in settings.items())
    bias, count = f"bias: {cls.kind}({arguments})" if arguments else f"bias: {cls.kind}", 0
    for before, between, line in ATTENTIONS:
        lines = "\n".join(filter(None, ["qkv: linear(8)", line, bias, "proj: linear(8)"]))
        stage = f"stage one {{ conv(8) -> {before}attention({between}) {{\n{lines}\n}} }}"
        text = f"arch layer_check\ninput clip: video{list(CLIP)}\n{stage}\n"
        try:
            arch = Architecture(analyse(Source("layer_check.arch", text), FileLibrary(), (), None))
        except SpecError as error:
            if any(d.code.startswith("E09") for d in error.diagnostics):
                raise
            continue  # the bias refuses this geometry
        _compute(arch, f"`{bias}` in `attention({between})`{' with a class token' * bool(before)}")
        count += 1
    if not count:
        raise Skipped("no attention takes the bias; set attributes with --set NAME=VALUE")
    return f"{count} attentions"


def _compute(arch: Architecture, what: str) -> None:
    seed(0)
    model = arch.build()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    output = model(torch.randn(2, *CLIP, generator=torch.Generator().manual_seed(0)))
    if not torch.isfinite(output).all():
        raise Wrong(f"{what}: values that are not finite")
    output.square().sum().backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    if idle:
        raise Wrong(f"{what}: `{idle[0]}` has no gradient", "a tensor that no code reads is no weight")
