"""Checks of attention in lines: values, and gradients of all that enters and of all tensors, by definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from definition import Definition
from definition.compare import difference
from reference import compute

import archdsl
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.pipeline import analyse
from programs.check import BATCH, Fault, Texts, built, randomised
from programs.starts import assert_begins_as_said, assert_trains_as_said

if TYPE_CHECKING:
    from torch import Tensor

    from programs import Program

CLOSE = 1e-10  # relative to the largest number of a tensor
LEAST = 0.1  # or to this one, if that is smaller: some gradients are 0 but for rounding


def check_attention(program: Program) -> str:
    """The outcome: `accepted`, or `refused: ` with the reason.

    Raises:
        Fault: if the module computes something else than its definition, or an exception of compiler or module.
    """
    try:
        analysis = analyse(Source(f"{program.name}.arch", program.texts[program.name]), Texts(program.texts))
    except SpecError as error:
        found = next(d for d in error.diagnostics if d.is_error)
        return f"refused: {found.code}, {found.label or found.title}"
    definition = Definition(program.name, program.texts)
    network = analysis.network
    if found := difference(definition, network):
        raise Fault(f"definition: {found}")
    arch = archdsl.Architecture(analysis)
    model = built(arch, "train").double().eval()
    if unlike := {n: tuple(t.shape) for n, t in model.state_dict().items()}.items() ^ arch.tensors.items():
        raise Fault(f"tensors: {sorted(unlike)[:4]}")
    assert_begins_as_said(model, network)
    assert_trains_as_said(model, network)
    model.eval().load_state_dict(randomised(model))
    state = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in model.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    shapes = {name: tuple(map(int, network.node(n).shape.shape)) for name, n in network.clips.items()}
    clips = {n: torch.randn(BATCH, *s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}
    given = [{n: c.clone().requires_grad_() for n, c in clips.items()} for _ in range(2)]
    expected = compute(arch, state, given[0], definition)[0][""]
    output = model(*(c * 1.0 for c in given[1].values()))  # the module may write into what it is given
    _compare("output", output, expected)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    (expected * weights).sum().backward()
    (output * weights).sum().backward()
    for name in clips:
        _compare(f"gradient of {name}", given[1][name].grad, given[0][name].grad)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:  # what the graph freezes, as was held
            continue
        _compare(f"gradient of {name}", parameter.grad, state[name].grad)
    return "accepted"


def _compare(what: str, found: Tensor | None, wanted: Tensor | None) -> None:
    found = torch.zeros(1) if found is None and wanted is not None else found
    wanted = torch.zeros(1) if wanted is None and found is not None else wanted
    if found is None or wanted is None:
        return
    largest = max(wanted.abs().max().item(), LEAST)
    difference = (found - wanted).abs().max().item()
    if not difference <= CLOSE * largest:
        raise Fault(f"{what}: off by {difference:.3g} of {largest:.3g}")
