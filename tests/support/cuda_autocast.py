"""torch.autocast and attention kernels of a GPU, emulated on a CPU for the memory that they keep.

The lists are those of torch 2.13's `ATen/autocast_mode.h`, of what generated code calls; the choice of a kernel is that
of `ATen/native/transformers/cuda/sdp_utils.cpp` for compute capability 8.0 and later.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

HALF = torch.bfloat16
IN_HALF = {
    torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose3d, F.conv_transpose3d, F.linear, torch.matmul,
    torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.einsum, torch.functional.einsum,
}  # fmt: skip
IN_FLOAT = {F.layer_norm, torch.layer_norm, F.interpolate, F.group_norm, torch.softmax, torch.Tensor.softmax}


class CudaAutocast(TorchFunctionMode):
    """Context in which operations take the dtypes that they take on a GPU; `half` off: in float32."""

    def __init__(self, *, half: bool) -> None:
        super().__init__()
        self.half = half

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return attend(*(_cast(a, HALF) for a in args) if self.half else args, **_attention(kwargs, self.half))
        if func is F.dropout:
            return _Dropout.apply(args[0])
        if func is F.avg_pool3d and args[0].dtype == HALF:
            return _AvgPool.apply(*args, kwargs)
        if func is F.normalize:
            norms = torch.linalg.vector_norm(args[0], dim=kwargs["dim"], keepdim=True, dtype=torch.float32)
            return args[0] / norms.clamp_min(1e-12)
        if func is F.rms_norm:
            return _RMSNorm.apply(args[0].float(), kwargs["weight"], kwargs["eps"])
        if func is torch.cumsum and self.half:
            return torch.cumsum(*args, **kwargs, dtype=torch.float32)
        if self.half and (func in IN_HALF or func in IN_FLOAT):
            to = HALF if func in IN_HALF else torch.float32
            args, kwargs = tree_map(lambda a: _cast(a, to), (args, kwargs))
        return func(*args, **kwargs)


def _attention(kwargs: dict[str, Any], half: bool) -> dict[str, Any]:
    return {k: _cast(v, HALF) if half else v for k, v in kwargs.items()}


def _cast(value: Any, to: torch.dtype) -> Any:
    return value.to(to) if isinstance(value, torch.Tensor) and value.is_floating_point() else value


class _Dropout(torch.autograd.Function):
    """`native_dropout`, which keeps a mask of bools."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(torch.ones_like(x, dtype=torch.bool))
        return x.clone()


class _AvgPool(torch.autograd.Function):
    """`avg_pool3d` in 16 bits, which a CPU has not."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *args: Any) -> torch.Tensor:
        ctx.save_for_backward(x)
        return F.avg_pool3d(x.float(), *args[:-1], **args[-1]).to(x.dtype)


class _RMSNorm(torch.autograd.Function):
    """The fused kernel, which keeps its input and a number for each position."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, scale, weight)
        return x * scale * weight


def attend(
    q: Any, k: Any, v: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, scale: Any = None
) -> torch.Tensor:
    """The kernel that a GPU would take: flash attention, the memory-efficient one, or products one by one."""
    width, aligned = q.shape[-1], 8 if q.dtype == HALF else 4
    in_order = all(x.stride(-1) == 1 for x in (q, k, v))
    flash = q.dtype == HALF and attn_mask is None and width <= 256 and width == v.shape[-1]
    fits = all(x.shape[-1] % aligned == 0 for x in (q, v))
    if not in_order or not (flash or fits):
        mask = _cast(attn_mask, torch.float32)
        with sdpa_kernel(SDPBackend.MATH):
            floats = (x.float() for x in (q, k, v))
            return F.scaled_dot_product_attention(*floats, mask, dropout_p, is_causal, scale=scale).to(q.dtype)
    if flash and width % 8:
        return _Fused.apply(*(F.pad(x, (0, -width % 8)) for x in (q, k, v)), None)[..., :width]
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros(attn_mask.shape, dtype=q.dtype).masked_fill_(~attn_mask, -torch.inf)
    if attn_mask is not None and attn_mask.shape[-1] % 8:
        attn_mask = F.pad(attn_mask, (0, -attn_mask.shape[-1] % 8))
    return _Fused.apply(q, k, v, attn_mask)


class _Fused(torch.autograd.Function):
    """Tensors that a fused kernel keeps: its inputs, its result, and one number for each query."""

    @staticmethod
    def forward(ctx: Any, q: Any, k: Any, v: Any, mask: Any) -> torch.Tensor:
        out = torch.zeros_like(q.transpose(1, 2)).transpose(1, 2)
        out = out if v.shape[-1] == q.shape[-1] else out.new_zeros(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, mask, out, torch.zeros(q.shape[:-1]))
        return out
