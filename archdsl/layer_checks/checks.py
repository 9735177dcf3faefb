"""Checks of an added layer's computation against its declarations, one function per line of the report."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.func import functional_call  # pyright: ignore[reportUnknownVariableType]
from torch.utils.flop_counter import FlopCounterMode

from archdsl.core.grid import FRAME, Grid
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR
from archdsl.targets.torch.verify import BATCH, CPU, build_alone, run, tensor_fault, tensor_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.layer_checks.cases import Case

TOLERANCE = 1e-9  # in float64, relative to the largest value
MEMORY_TOLERANCE = 0.05  # relative
STEP = 1e-5  # of finite differences
GRADIENT_TOLERANCE = 1e-4  # relative


class Wrong(Exception):
    """A check has failed; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Skipped(Exception):
    """A check was not applicable; the text is the reason."""


def tensors(cases: Sequence[Case]) -> str:
    """Compare parameters and buffers with `weights` and `buffers`, and `tensor_axes` with their shapes."""
    count = 0
    for case in cases:
        fault = tensor_fault(_alone(case, case.layouts[0]), case.op)
        if fault:
            raise Wrong(f"{case.name}: {fault[0]}", fault[1])
        case.layer.tensor_axes(*case.inputs)
        case.layer.inits(*case.inputs)
        count += len(case.layer.weights(*case.inputs)) + len(case.layer.buffers(*case.inputs))
    return f"{count} in {len(cases)} cases" if count else "none"


def shapes(cases: Sequence[Case]) -> str:
    """Compare the shape of the output with `infer`, in every layout."""
    seen: set[str] = set()
    for case in cases:
        for layout in case.layouts:
            output = _apply(case, layout, _alone(case, layout), _inputs(case, layout))
            wanted = tensor_shape(case.output, case.op.output_layout(layout))
            if tuple(output.shape) != wanted:
                message = f"{case.name}, in {layout}: expected the shape {wanted} from `infer`, "
                message += f"found {tuple(output.shape)}"
                raise Wrong(message, "correct `infer`, `output_layout` or the template")
            seen.add(layout)
    return f"{len(cases)} cases in {', '.join(sorted(seen))}"


def layouts(cases: Sequence[Case]) -> str:
    """Compare the output in every declared layout with the output in the first layout."""
    compared: set[str] = set()
    for case in cases:
        if case.inputs[0].token:
            compared |= _compare_tokens(case)
            continue
        first, *others = case.layouts
        model = _alone(case, first)
        expected = _on_grid(case, first, _apply(case, first, model, _inputs(case, first)))
        for layout in others:
            other = _alone(case, layout)
            other.load_state_dict(model.state_dict())
            output = _on_grid(case, layout, _apply(case, layout, other, _inputs(case, layout)))
            _compare(case, f"in {layout} and in {first}", output, expected, _LAYOUT_HINT)
            compared.add(layout)
    if not compared:
        raise Skipped(f"the only layout of a grid without tokens is {cases[0].layouts[0]}")
    return f"{', '.join(sorted(compared))} equal {cases[0].layouts[0]}"


_LAYOUT_HINT = "omit `layouts`, so that inputs are (B, C, T, H, W); or use `use.layout` in `variables`"


def _compare_tokens(case: Case) -> set[str]:
    """Compare the output for a grid with class tokens, at the grid's positions, with the output for the grid alone."""
    alone = [Grid(*x.shape) for x in case.inputs]
    if GRID not in case.op.accepted_layouts or not case.output.token:
        return set()
    from dataclasses import replace

    grid = replace(case, inputs=tuple(alone), output=case.layer.infer(*alone))
    with_token, model = _alone(case, TOKENS), _alone(grid, GRID)
    model.load_state_dict(with_token.state_dict())
    inputs = _inputs(case, TOKENS)
    output = _positions(case.output, _apply(case, TOKENS, with_token, inputs))
    bare = [_positions(x, i) for x, i in zip(case.inputs, inputs, strict=True)]
    expected = _apply(grid, GRID, model, bare)
    _compare(case, "with class tokens and on the grid alone", output, expected, _LAYOUT_HINT)
    return {TOKENS}


def gradients(cases: Sequence[Case]) -> str:
    """Compare gradients of inputs and parameters with finite differences in float64."""
    for case in cases:
        layout = case.layouts[0]
        model = _alone(case, layout)
        names = [name for name, _ in model.named_parameters()]
        inputs = [i.requires_grad_() for i in _inputs(case, layout)]
        weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
        count = len(inputs)

        def function(*values: Any, model: Any = model, names: Any = names, count: int = count) -> Any:
            seed(0)
            return functional_call(model, dict(zip(names, values[count:], strict=True)), values[:count])

        output = function(*inputs, *weights)
        if not output.requires_grad:
            message = f"{case.name}: the output has no gradient"
            raise Wrong(message, "a layer must be differentiable: without `detach`, `no_grad` or integer outputs")
        leaves, generator = [*inputs, *weights], torch.Generator().manual_seed(2)
        away = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        gradients: tuple[Any, ...] = torch.autograd.grad((output * away).sum(), leaves, allow_unused=True)
        for index, gradient in enumerate(gradients):
            name = [*(f"input {i}" for i in range(count)), *names][index].removeprefix("layer.")
            if gradient is None:
                message = f"{case.name}: `{name}` has no gradient: the output does not depend on it"
                raise Wrong(message, "use it in the template, or remove it")
            step = STEP * torch.randn(leaves[index].shape, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                ends = [function(*leaves[:index], leaves[index] + s, *leaves[index + 1 :]) for s in (step, -step)]
            wanted = ((ends[0] - ends[1]) * away).sum().item() / 2
            along = (gradient * step).sum().item()
            if not abs(along - wanted) <= GRADIENT_TOLERANCE * max(abs(wanted), abs(along), STEP):
                message = f"{case.name}: the directional derivative for `{name}`: expected {wanted / STEP:.6g} "
                message += f"(finite differences), found {along / STEP:.6g} (autograd)"
                raise Wrong(message, "the backward pass must match the forward pass: without `detach` or `no_grad`")
    return f"equal finite differences in {len(cases)} cases"


def cost(cases: Sequence[Case]) -> str:
    """Compare `macs` with the multiply-adds that torch counts, for one clip."""
    uncounted, total = 0, 0
    for case in cases:
        layout = case.layouts[0]
        model, inputs = _alone(case, layout), _inputs(case, layout)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            _apply(case, layout, model, inputs)
        counted, declared = counter.get_total_flops() // 2 // BATCH, int(case.layer.macs(case.output, *case.inputs))
        case.layer.params(*case.inputs)
        case.op.cast_weights()
        if counted == 0 and declared:
            uncounted += 1
        elif counted != declared:
            message = f"{case.name}: expected {counted:,} multiply-adds, as torch counts, `macs` returns {declared:,}"
            raise Wrong(message, "`macs` counts products of convolutions, linear layers and attention, for one clip")
        total += counted
    if uncounted:
        raise Skipped(f"torch's counter does not support the operations of {uncounted} of {len(cases)} cases")
    return f"{total:,} multiply-adds in {len(cases)} cases"


def memory(cases: Sequence[Case]) -> str:
    """Compare `saved_for_backward` with the tensors that autograd saves for the backward pass, in float32."""
    for case in cases:
        layout = case.layouts[0]
        model = build_alone(case.op, case.site(layout), CPU).train()
        inputs = [i.float().requires_grad_() * 1.0 for i in _inputs(case, layout)]
        storages = {t.untyped_storage().data_ptr(): t for t in [*model.parameters(), *model.buffers()]}
        saved: dict[int, torch.Tensor] = {}

        def pack(tensor: torch.Tensor, saved: dict[int, torch.Tensor] = saved) -> torch.Tensor:
            saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = _apply(case, layout, model, inputs)
        sizes = {place: t.untyped_storage().nbytes() for place, t in saved.items() if place not in storages}
        declared = case.op.saved_for_backward(case.step(layout))
        size = 4 * BATCH
        expected = int(declared.own) * BATCH + int(declared.once) + size * int(case.output.elements) * declared.output
        expected += size * sum(int(x.elements) for x in declared.among(case.inputs))
        total = sum(sizes.values())
        if abs(total - expected) > MEMORY_TOLERANCE * max(total, expected):
            inner = [i.untyped_storage().data_ptr() for i in inputs]
            parts = [("inputs", inner), ("output", [output.untyped_storage().data_ptr()])]
            words = [f"{name}=True" for name, places in parts if any(p in sizes for p in places)]
            own = sum(n for p, n in sizes.items() if all(p not in places for _, places in parts))
            words += [f"own={own // BATCH}"] if own else []
            message = f"{case.name}: expected {total:,} bytes of {BATCH} clips, as autograd saves, "
            message += f"found {expected:,} from `saved_for_backward`"
            raise Wrong(message, f"return Saved({', '.join(words)}) from `saved_for_backward` in this case")
    return f"equal to autograd's in {len(cases)} cases"


# --- computation of one case ---


def seed(number: int) -> None:
    """Seed torch's generator."""
    cast("Any", torch).manual_seed(number)  # its annotation is incomplete


def _alone(case: Case, layout: str) -> torch.nn.Module:
    seed(0)
    model = build_alone(case.op, case.site(layout), CPU).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # zero-initialised parameters would hide faults
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def _apply(case: Case, layout: str, model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = run(case.layer, model, inputs, layout)
    if not isinstance(output, torch.Tensor):
        message = f"{case.name}: expected a tensor, found {type(output).__name__}"
        raise Wrong(message, "the expression that `apply` prints must return a single tensor")
    return output


def _inputs(case: Case, layout: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    canonical = TOKENS if layout == TOKENS else GRID
    tensors = [torch.randn(tensor_shape(x, canonical), generator=generator, dtype=torch.float64) for x in case.inputs]
    if layout == CHANNELS_LAST:
        return [x.movedim(1, -1).contiguous() for x in tensors]
    return [x.flatten(1) for x in tensors] if layout == VECTOR else tensors


def _on_grid(case: Case, layout: str, output: torch.Tensor) -> torch.Tensor:
    """Return an output as (B, C, T, H, W); an output with class tokens is unchanged."""
    after = case.op.output_layout(layout)
    if after == CHANNELS_LAST or (after == TOKENS and not case.output.token):
        return output.movedim(-1, 1)
    return output[:, :, None, None, None] if after == VECTOR else output


def _positions(grid: Grid, tokens: torch.Tensor) -> torch.Tensor:
    """Return the grid of a value with class tokens, without the tokens, as (B, C, T, H, W)."""
    n = grid.tokens.number
    inner = tokens[:, :, n:] if grid.token == FRAME else tokens[:, n:]
    return inner.reshape(tokens.shape[0], *map(int, grid.size), int(grid.channels)).movedim(-1, 1)


def _compare(case: Case, where: str, output: torch.Tensor, expected: torch.Tensor, hint: str) -> None:
    if output.shape != expected.shape:
        message = f"{case.name}: the shapes {where} differ: {tuple(output.shape)} and {tuple(expected.shape)}"
        raise Wrong(message, hint)
    largest = expected.abs().max().item()
    difference = (output - expected).abs().max().item()
    if not difference <= TOLERANCE * max(largest, 1.0):
        message = f"{case.name}: the values {where} differ by up to {difference:.2g}; the largest is {largest:.2g}"
        raise Wrong(message, hint)


ALONE: dict[str, Callable[[Sequence[Case]], str]] = {
    "tensors": tensors,
    "shapes": shapes,
    "layouts": layouts,
    "gradients": gradients,
    "cost": cost,
    "memory": memory,
}
