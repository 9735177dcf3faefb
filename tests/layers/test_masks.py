"""Masks as inputs, the positions that they leave, and sinusoids of positions."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from given import given
from reference import assert_computes_the_graph
from saved_memory import measured

import archdsl
from archdsl.cli import main
from archdsl.core.diagnostics import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

NET = """
arch net
input clip: video[3, 4, 16, 16]
input hidden: mask[2, 2, 2]
stage embed { conv(16, [2, 8, 8], stride = [2, 8, 8], padding = valid) -> position(vectors = sinusoid) }
stage encode { keep(hidden, 3) -> residual { layernorm -> attention(2) } }
stage decode { linear(32) -> restore(hidden) -> position(vectors = axial_sinusoid) -> attention(2) }
head dense: keep(hidden, 5, hidden) -> layernorm -> linear(6)
"""


@pytest.fixture(scope="module")
def arch() -> archdsl.Architecture:
    return archdsl.loads(NET)


def arguments(arch: archdsl.Architecture, batch: int = 2) -> tuple[torch.Tensor, ...]:
    return tuple(given(arch._analysis.network, batch, torch.float32).values())


def test_the_module_computes_the_graph() -> None:
    assert_computes_the_graph(archdsl.loads(NET))


def test_a_mask_is_a_grid_or_flat_and_of_any_type(arch: archdsl.Architecture) -> None:
    model = arch.build().eval()
    clip, mask = arguments(arch)
    expected = model(clip, mask)
    assert expected.shape == (2, 6, 1, 1, 5)
    for form in (mask.flatten(1), mask.int(), mask.flatten(1).float()):
        assert torch.equal(model(clip, form), expected)


def test_hidden_positions_do_not_reach_the_encoder(arch: archdsl.Architecture) -> None:
    model = arch.build().eval()
    clip, mask = arguments(arch, 1)
    t, h, w = mask[0].nonzero()[0].tolist()
    other = clip.clone()
    other[:, :, 2 * t : 2 * t + 2, 8 * h : 8 * h + 8, 8 * w : 8 * w + 8] += 1
    assert torch.equal(model(other, mask), model(clip, mask))
    mask[0, t, h, w] = False
    assert not torch.equal(model(other, mask), model(clip, mask))


def test_another_number_of_visible_positions_is_fine_if_all_clips_have_it(arch: archdsl.Architecture) -> None:
    model = arch.build().eval()
    clip, mask = arguments(arch)
    mask.fill_(value=True)[:, 0] = False
    assert model(clip, mask).shape == (2, 6, 1, 1, 4)


@pytest.mark.parametrize("kind", ["class_token", "tokens(registers, 2)"])
def test_so_it_is_beside_tokens(kind: str) -> None:
    """Whose grid is read by its sizes: with each number of visible positions, hidden ones have no influence."""
    text = NET.replace(" -> position(vectors = axial_sinusoid)", "")
    for old, new in {
        "head dense:": "head dense: select(grid) ->",
        "padding = valid)": f"padding = valid) -> {kind}",
        "keep(hidden, 3)": "grid { keep(hidden, 3) }",
        "restore(hidden)": "grid { restore(hidden) }",
    }.items():
        text = text.replace(old, new)
    arch = archdsl.loads(text)
    model, (clip, _) = arch.build().eval(), arguments(arch)
    for visible in (2, 3, 4):
        mask = torch.rand(2, 8).argsort(1) >= visible
        other = clip + 9 * torch.nn.functional.interpolate(mask.view(2, 1, 2, 2, 2).float(), clip.shape[2:])
        found = model(clip, mask)
        assert found.shape == (2, 6, 1, 1, 8 - visible)
        torch.testing.assert_close(model(other, mask), found)
        assert model.forward_features(clip, mask)["encode"].shape == (2, 16, 1, 1, visible)


def test_what_a_mask_hides_has_no_classes(arch: archdsl.Architecture) -> None:
    with pytest.raises(TypeError, match="num_classes"):
        arch.build(num_classes=7)
    pooled = archdsl.loads(NET.replace("head dense: keep(hidden, 5, hidden)", "head: avgpool"))
    assert pooled.build(num_classes=7)(*arguments(pooled)).shape == (2, 7)


def _unequal(mask: torch.Tensor) -> torch.Tensor:
    mask = mask.clone()
    mask[0] = True
    mask[0, 0, 0, :2] = False
    return mask


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_unequal, r"expected a mask that leaves 2 positions of each clip, found \[2, 3\]"),
        (torch.ones_like, r"expected a mask that leaves some positions of each clip, found \[0, 0\]"),
        (
            lambda mask: mask[:, :1],
            r"expected \(B, 2, 2, 2\) or \(B, 8\), true where a position is hidden, found \(2, 1, 2, 2\)",
        ),
        (lambda _: None, r"hidden: expected \(B, 2, 2, 2\) or \(B, 8\), .*, found None"),
    ],
    ids=["unequal", "all hidden", "shape", "none"],
)
def test_wrong_masks_are_refused(
    arch: archdsl.Architecture, change: Callable[[torch.Tensor], torch.Tensor | None], message: str
) -> None:
    clip, mask = arguments(arch)
    with pytest.raises(ValueError, match=message):
        arch.build()(clip, change(mask))


def test_exported_code_refuses_another_number(arch: archdsl.Architecture) -> None:
    """And gives what the module gives, otherwise."""
    model = arch.build().eval()
    clip, mask = arguments(arch)
    program = torch.export.export(model, (clip, mask)).module()
    torch.testing.assert_close(program(clip, mask), model(clip, mask))
    with pytest.raises(RuntimeError, match="expected a mask that leaves 3 positions of each clip"):
        program(clip, _unequal(mask))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_files_for_inference_compute_the_same(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(NET, "utf-8")
    assert main(["export", "net.arch", "-o", f"net{suffix}"]) == 0  # it compares the outputs


def test_the_backward_pass_keeps_what_is_predicted(arch: archdsl.Architecture) -> None:
    assert arch.memory(2) == measured(arch.build(), arguments(arch))


def test_learned_positions_can_begin_as_sinusoids_of_the_axes() -> None:
    """By the definition of MAE and InternVideo2: a quarter of the channels for t, 3/8 for w and for h; 0 for tokens."""
    embed = "conv(16, [2, 8, 8], stride = [2, 8, 8], padding = valid) -> class_token -> position(init = axial_sinusoid)"
    text = f"arch net\ninput clip: video[3, 4, 24, 32]\nstage embed {{ {embed} }}\nhead: select(token) -> linear(2)\n"
    weight = archdsl.loads(text).build().get_parameter("embed.position.weight")
    expected = [[0.0] * 16]
    for place in product(range(2), range(3), range(4)):
        row: list[float] = []
        for axis, channels in ((0, 4), (2, 6), (1, 6)):
            angles = [place[axis] / 10_000 ** (2 * i / channels) for i in range(channels // 2)]
            row += [*map(math.sin, angles), *map(math.cos, angles)]
        expected.append(row)
    torch.testing.assert_close(weight.detach(), torch.tensor(expected))
    for old, new in (("conv(16", "conv(24"), ("init =", "apart = on, init =")):
        with pytest.raises(SpecError) as caught:
            archdsl.loads(text.replace(old, new))
        assert [d.code for d in caught.value.diagnostics] == ["E0510"]


def test_a_mask_follows_the_clip() -> None:
    """As the same part of each axis that its declared size divides."""
    text = NET.replace("keep(hidden, 3)", "keep(hidden, in.t * in.h)").replace("5, hidden", "in.t * in.h, hidden")
    arch = archdsl.loads(text, clip=(3, 8, 32, 16))
    assert arch.cost()["input"]["hidden"] == [4, 4, 2]
    assert arch.build()(*arguments(arch)).shape == (2, 6, 1, 1, 16)


def test_all_layers_that_read_a_mask_agree_on_its_number() -> None:
    with pytest.raises(SpecError) as caught:
        archdsl.loads(NET.replace("5, hidden", "4, hidden"))
    assert [d.code for d in caught.value.diagnostics] == ["E0510"]


def _rows(channels: int, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As `get_1d_sincos_pos_embed_from_grid` of MAE."""
    angles = np.outer(numbers.reshape(-1), 1 / 10_000 ** (np.arange(channels // 2) / (channels / 2)))
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def _positions(settings: str, channels: int) -> np.ndarray[Any, Any]:
    """What is added to a grid of 2×3×4 zeros."""
    text = f"arch net\ninput clip: video[{channels}, 2, 3, 4]\nstage one {{ position({settings}) }}\n"
    arch = archdsl.loads(text + "head: avgpool -> linear(3)")
    return arch.build().forward_features(torch.zeros(1, channels, 2, 3, 4))["one"][0].movedim(0, -1).numpy()


def test_sinusoids_of_space_and_time_count_all_positions() -> None:
    """As `get_sinusoid_encoding_table` of VideoMAE."""
    table = np.array([[n / 10_000 ** (2 * (j // 2) / 8) for j in range(8)] for n in range(24)])
    table[:, 0::2], table[:, 1::2] = np.sin(table[:, 0::2]), np.cos(table[:, 1::2])
    np.testing.assert_allclose(_positions("vectors = sinusoid", 8), table.reshape(2, 3, 4, 8), atol=1e-7)


@pytest.mark.parametrize(
    ("made_for", "size"), [("[0, 5, 2]", (5, 2)), ("[2, 0, 7]", (3, 7)), ("4", None), ("[0, 3, 4]", (3, 4))]
)
def test_sinusoids_of_another_grid_are_interpolated(made_for: str, size: tuple[int, int] | None) -> None:
    """As MMAction2's VideoMAE takes those of 14×14 patches to other crops."""
    settings = f"vectors = sinusoid, made_for = {made_for}"
    if size is None:  # of four frames
        with pytest.raises(SpecError, match="E0502"):
            _positions(settings, 8)
        return
    h, w = size
    table = np.array([[n / 10_000 ** (2 * (j // 2) / 8) for j in range(8)] for n in range(2 * h * w)])
    table[:, 0::2], table[:, 1::2] = np.sin(table[:, 0::2]), np.cos(table[:, 1::2])
    frames = torch.from_numpy(table).float().reshape(2, h, w, 8).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(frames, size=(3, 4), mode="bicubic", align_corners=False).permute(
        0, 2, 3, 1
    )
    np.testing.assert_allclose(_positions(settings, 8), expected.numpy(), atol=1e-6)


def test_axial_sinusoids_are_those_of_internvideo2() -> None:
    """As `get_3d_sincos_pos_embed`: a quarter for time, the rest for columns and rows, in this order."""
    columns, rows = np.meshgrid(np.arange(4), np.arange(3))
    space = np.concatenate([_rows(12, columns), _rows(12, rows)], 1).reshape(1, 3, 4, 24)
    time = _rows(8, np.arange(2)).reshape(2, 1, 1, 8)
    table = np.concatenate([np.broadcast_to(time, (2, 3, 4, 8)), np.broadcast_to(space, (2, 3, 4, 24))], 3)
    np.testing.assert_allclose(_positions("vectors = axial_sinusoid", 32), table, atol=1e-7)
    table = np.concatenate([_rows(8, columns), _rows(8, rows)], 1).reshape(1, 3, 4, 16)
    found = _positions("space, vectors = axial_sinusoid", 16)
    np.testing.assert_allclose(found, np.broadcast_to(table, (2, 3, 4, 16)), atol=1e-7)
