"""The features of generated modules: a promise of names and shapes, kept only where they are asked for."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from small import EACH, inputs, small

import archdsl
from archdsl.ir.regions import Featured

if TYPE_CHECKING:
    from pathlib import Path

OPEN = """arch net
input clip: video[3, 4, 32, 24]
stage embed { conv(8, [2, 4, 4], stride = [2, 4, 4]) -> class_token(scope = SCOPE) -> layernorm }
stage one { linear(6) }
head: select(token) -> HEAD linear(5)
"""


@pytest.mark.parametrize("target", ["train", "infer"])
@pytest.mark.parametrize("path", EACH)
def test_no_output_is_kept_that_nothing_reads(path: Path, target: str) -> None:
    """When the head runs, only what it reads is left of the outputs of stages."""
    arch = small(path)
    model: Any = arch.build(target=target).eval()
    network = arch._analysis.network
    stages = [part.name for part in network.regions if isinstance(part, Featured)]
    alive: dict[str, weakref.ref[torch.Tensor]] = {}
    left: set[str] = set()

    def made(name: str) -> Any:
        def note(_module: object, _inputs: object, output: torch.Tensor) -> None:
            alive[name] = weakref.ref(output)

        return note

    def look(_module: object, given: tuple[torch.Tensor, ...]) -> None:
        found = {name: reference() for name, reference in alive.items()}
        read = {x.untyped_storage().data_ptr() for x in given}
        left.update(n for n, x in found.items() if x is not None and x.untyped_storage().data_ptr() not in read)

    modules = dict(model.named_modules())
    for name in stages:
        if name in modules:
            modules[name].register_forward_hook(made(name))
    model.head.register_forward_pre_hook(look)
    with torch.no_grad():
        model(*inputs(arch, 1))
    assert len(alive) > 1
    assert not left


@pytest.mark.parametrize("path", EACH)
def test_features_are_views_of_what_the_stages_give(path: Path) -> None:
    """No feature is a copy, and `forward` gives the same with features and without."""
    arch = small(path)
    model: Any = arch.build().eval()
    given: dict[str, int] = {}
    for part in arch._analysis.network.regions:
        module = dict(model.named_modules()).get(part.name)
        if isinstance(part, Featured) and module is not None:

            def note(_module: object, _inputs: object, output: torch.Tensor, name: str = part.name) -> None:
                given[name] = output.untyped_storage().data_ptr()

            module.register_forward_hook(note)
    with torch.no_grad():
        features = model.forward_features(*inputs(arch, 1))
    for name, pointer in given.items():
        for key in {name, f"{name}.token"} & features.keys():
            assert features[key].untyped_storage().data_ptr() == pointer, key


@pytest.mark.parametrize(("scope", "head", "token"), [("clip", "", (2, 6)), ("frame", "avgpool ->", (2, 6, 4))])
def test_grids_beside_class_tokens_follow_the_clip(
    tmp_path: Path, scope: str, head: str, token: tuple[int, ...]
) -> None:
    """Where a network takes clips of other sizes, the grid of a feature is that of the clip that was given.

    Padded by half the kernel: ⌊(6 + 2 - 2) / 2⌋ + 1 frames, ⌊(17 + 4 - 4) / 4⌋ + 1 rows, ⌊40 / 4⌋ + 1 columns.
    """
    (tmp_path / "net.arch").write_text(OPEN.replace("SCOPE", scope).replace("HEAD", head), "utf-8")
    model: Any = archdsl.load(tmp_path / "net.arch").build()
    features = model.forward_features(torch.randn(2, 3, 6, 17, 40))
    assert {name: tuple(x.shape) for name, x in features.items()} == {
        "embed": (2, 8, 4, 5, 11), "embed.token": (2, 8, *token[2:]), "one": (2, 6, 4, 5, 11), "one.token": token,
    }  # fmt: skip


def test_the_promise_names_what_there_is() -> None:
    slowfast, vtn, mvit = (
        archdsl.load(name).source().split("def forward_features")[1].split('"""')[1]
        for name in ("slowfast_r50", "vtn_vit_b", "mvit_b_16x4")
    )
    assert "lateral connections" in slowfast
    assert "token" not in slowfast
    assert "(B, C) of a clip, (B, C, T) of its frames" in " ".join(vtn.split())
    assert "`NAME.token`: (B, C)." in " ".join(mvit.split())
