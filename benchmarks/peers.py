"""Models to time, and the peers of other libraries beside them. Needs torch, not archdsl."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

SPECS = Path(__file__).parent.parent / "specs"
Clip = tuple[int, int, int, int]
INSTALL = {
    "torchvision": "pip install torchvision",
    "transformers": "pip install transformers torchvision",
    "pytorchvideo": "pip install --no-deps pytorchvideo && pip install fvcore iopath parameterized",
}

# What torchvision registers functions for when it is imported, and lacks where its own build and that of torch differ,
# one with CUDA and one without. Its video models use none of it.
OPERATORS = """
    nms qnms roi_align roi_pool ps_roi_align ps_roi_pool deform_conv2d _roi_align_backward _roi_pool_backward
    _ps_roi_align_backward _ps_roi_pool_backward _deform_conv2d_backward
""".split()
LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # what it declares is gone when it is


def declare_operators() -> None:
    """Lets torchvision be imported beside a build of torch that does not go with it."""
    try:
        import torchvision  # noqa: F401  # pyright: ignore[reportMissingImports]
    except RuntimeError:
        for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in OPERATORS:
            LIBRARY.define(f"{operator}(Tensor x) -> Tensor")


def as_it_is(clip: torch.Tensor) -> Any:
    """A clip for those that take (B, C, T, H, W)."""
    return clip


def frames_first(clip: torch.Tensor) -> Any:
    """A clip for those that take (B, T, C, H, W)."""
    return clip.transpose(1, 2)


def two_rates(clip: torch.Tensor) -> Any:
    """A clip for SlowFast of pytorchvideo, which takes the frames of the slow path as an input of its own."""
    frames = clip.shape[2]
    slow = clip.permute(0, 2, 3, 4, 1)[:, torch.linspace(0, frames - 1, frames // 4).long()]
    return [slow.permute(0, 4, 1, 2, 3), clip]  # channels last if those of the clip are


class Peer(NamedTuple):
    """A model of another library: how it is made, and what it takes of a clip, which is not part of its time."""

    library: str
    source: str  # whose names its weights have
    make: Callable[[Clip], torch.nn.Module]
    prepare: Callable[[torch.Tensor], Any] = as_it_is

    @property
    def missing(self) -> str:
        """How to install the library, if it is not there."""
        return "" if find_spec(self.library) else INSTALL[self.library]


class Model(NamedTuple):
    """A spec: the clip that it is timed with, a small one for a quick look, and its peers."""

    clip: Clip
    small: Clip
    peers: tuple[Peer, ...] = ()


def torchvision(name: str, *, sized: bool = False) -> Peer:
    """A video model of torchvision; some have weights that depend on the size of the clip."""

    def make(clip: Clip) -> torch.nn.Module:
        declare_operators()
        from torchvision.models import video  # pyright: ignore[reportMissingImports]

        if not sized:
            return getattr(video, name)()
        # Its functions fix the size that their weights were published for.
        sizes = {"spatial_size": clip[2:], "temporal_size": clip[1]}
        original = video.mvit._mvit
        with mock.patch.object(video.mvit, "_mvit", lambda **settings: original(**settings | sizes)):
            return getattr(video, name)()

    return Peer("torchvision", "torchvision", make)


def transformers(kind: str) -> Peer:
    """A model of transformers; attention is torch's own where the library can choose it, which is its default, too."""

    def make(clip: Clip) -> torch.nn.Module:
        declare_operators()
        import transformers as library  # pyright: ignore[reportMissingImports]

        config = getattr(library, f"{kind}Config")(num_frames=clip[1], image_size=clip[3], num_labels=400)
        return getattr(library, f"{kind}ForVideoClassification")(config)

    return Peer("transformers", "huggingface", make, frames_first)


def pytorchvideo(builder: str, settings: Callable[[Clip], dict[str, Any]], prepare: Any = as_it_is) -> Peer:
    """A model of pytorchvideo, with the settings of its model zoo."""

    def make(clip: Clip) -> torch.nn.Module:
        from importlib import import_module

        declare_operators()  # it imports torchvision
        module, function = builder.split(".")
        model = getattr(import_module(f"pytorchvideo.models.{module}"), function)(**settings(clip))
        for name, part in model.named_modules():
            if name.endswith(("norm_q", "norm_k", "norm_v")):
                part.eps = 1e-6  # as in its repository; its release has forgotten it
        return model

    return Peer("pytorchvideo", "pytorchvideo", make, prepare)


def slowfast(clip: Clip) -> dict[str, Any]:
    """`slowfast_r50` of the zoo."""
    last = (clip[2] // 32, clip[3] // 32)
    pools = ((clip[1] // 4, *last), (clip[1], *last))
    return {"model_depth": 50, "slowfast_fusion_conv_kernel_size": (7, 1, 1), "head_pool_kernel_sizes": pools}


def i3d(clip: Clip) -> dict[str, Any]:
    """`i3d_r50` of the zoo."""
    once, thrice = (1, 1, 1), (3, 1, 1)
    return {
        "model_depth": 50,
        "stem_conv_kernel_size": (5, 7, 7),
        "stage1_pool": torch.nn.MaxPool3d,
        "stage_conv_a_kernel_size": (thrice, [thrice, once], [thrice, once], [once, thrice]),
        "head_pool_kernel_size": (clip[1] // 2, clip[2] // 32, clip[3] // 32),
    }


def mvit(clip: Clip) -> dict[str, Any]:
    """`mvit_base_16x4` of the zoo."""
    return {
        "spatial_size": clip[2:],
        "temporal_size": clip[1],
        "embed_dim_mul": [[1, 2.0], [3, 2.0], [14, 2.0]],
        "atten_head_mul": [[1, 2.0], [3, 2.0], [14, 2.0]],
        "pool_q_stride_size": [[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]],
        "pool_kv_stride_adaptive": [1, 8, 8],
        "pool_kvq_kernel": [3, 3, 3],
    }


# pytorchvideo has no network with non-local blocks: its I3D stands beside the spec without them.
MODELS = {
    "r2plus1d_18": Model((3, 16, 112, 112), (3, 8, 64, 64), (torchvision("r2plus1d_18"),)),
    "r3d_18": Model((3, 16, 112, 112), (3, 8, 64, 64), (torchvision("r3d_18"),)),
    "slowfast_r50": Model(
        (3, 32, 224, 224), (3, 32, 64, 64), (pytorchvideo("slowfast.create_slowfast", slowfast, two_rates),)
    ),
    "i3d_r50": Model((3, 8, 224, 224), (3, 8, 64, 64), (pytorchvideo("resnet.create_resnet", i3d),)),
    "i3d_r50_nl5": Model((3, 8, 224, 224), (3, 8, 64, 64)),
    "timesformer_ts": Model((3, 8, 224, 224), (3, 4, 64, 64), (transformers("Timesformer"),)),
    "vivit_b_joint": Model((3, 32, 224, 224), (3, 8, 64, 64), (transformers("Vivit"),)),
    "mvit_b_16x4": Model(
        (3, 16, 224, 224),
        (3, 8, 64, 64),
        (
            torchvision("mvit_v1_b", sized=True),
            pytorchvideo("vision_transformers.create_multiscale_vision_transformers", mvit),
        ),
    ),
    "mvitv2_s_16x4": Model((3, 16, 224, 224), (3, 8, 64, 64), (torchvision("mvit_v2_s", sized=True),)),
    "swin3d_t": Model((3, 16, 224, 224), (3, 8, 64, 64), (torchvision("swin3d_t"),)),
    "swin3d_b": Model((3, 16, 224, 224), (3, 8, 64, 64), (torchvision("swin3d_b"),)),
    "vtn_vit_b": Model((3, 16, 224, 224), (3, 8, 64, 64)),
}
