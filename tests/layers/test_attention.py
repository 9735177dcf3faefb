"""Attention in all of its settings: refused with a reason, or computed as defined, at the predicted cost and memory.

Networks of one or two attentions are drawn, their settings mostly legal; `support/reference.py` has the definition.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import torch
from meta import assert_as_predicted
from reference import compute
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

AXES = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}
REFUSALS = {"E0503", "E0508", "E0509", "E0510", "E0511", "E0512"}
TOLERANCE = 1e-10
BATCH = 2  # of one clip, what is of each clip and what is of all would look the same


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- what is checked -------------------------------------------------------------------------------------------------


def load(text: str, name: str = "random_attention") -> archdsl.Architecture:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.arch"
        path.write_text(text, "utf-8")
        return archdsl.load(path)


REGISTERS = {
    "clip": "class_token -> tokens(registers, 2)",
    "frame": "tokens(prompts, 2, frame) -> class_token(frame)",
}


def spec(
    grid: tuple[int, int, int], token: str, *attentions: str, channels: int = 8, end: str = "", wrapped: bool = True
) -> str:
    """A network of attentions, each behind a normalisation and in a residual where it keeps its shape."""
    t, h, w = grid
    steps = [f"linear({channels})"] + ([token if "(" in token else f"class_token({token})"] if token else [])
    for text in attentions:
        keeps = wrapped and not any(word in text for word in ("q_pool", "q_stride", "out ="))
        steps.append(f"residual {{ layernorm -> {text} }}" if keeps else f"layernorm -> {text}")
    lines = ["arch random_attention", f"input clip: video[3, {t}, {h}, {w}]"]
    return "\n".join([*lines, f"stage s {{ {' -> '.join([*steps, *([end] if end else [])])} }}", ""])


def random_weights(model: torch.nn.Module) -> torch.nn.Module:
    """In float64 and evaluation, values of about 1: nothing is so small that it could be wrong without being seen."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for value in model.parameters():
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        value.data = drawn / (value[0].numel() ** 0.5 if value.ndim > 1 else 2)
        value.data += 1 if value.ndim == 1 else 0
    return model


def values_and_gradients(
    function: Any, clip: Tensor, parameters: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs of a function of a clip, and the gradients of a weighted sum of them."""
    clip = clip.clone().requires_grad_()
    output = function(clip)
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    named = {**parameters, "the clip": clip}
    found = torch.autograd.grad((output * weights).sum(), list(named.values()), allow_unused=True)
    zeros = [torch.zeros_like(v) if g is None else g for v, g in zip(named.values(), found, strict=True)]
    return output, dict(zip(named, zeros, strict=True))


def assert_as_defined(arch: archdsl.Architecture, **indices: Tensor) -> None:
    """Values and gradients of the generated module are those of the definition; `indices` are numbers of frames."""
    model = random_weights(arch.build())
    [(name, number)] = arch._analysis.network.clips.items()
    shape = arch._analysis.network.node(number).shape.shape
    clip = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parameters = dict(model.named_parameters())
    state = {k: v.detach().clone().requires_grad_() for k, v in parameters.items()}
    output, gradients = values_and_gradients(lambda clip: model(clip, **indices), clip, parameters)
    expected, wanted = values_and_gradients(lambda clip: compute(arch, state, {name: clip, **indices})[0], clip, state)
    assert torch.isfinite(expected).all()
    assert output.shape == expected.shape
    torch.testing.assert_close(output, expected, rtol=TOLERANCE, atol=TOLERANCE)
    for key, gradient in gradients.items():
        largest = wanted[key].abs().max().item()
        torch.testing.assert_close(
            gradient, wanted[key], rtol=TOLERANCE, atol=TOLERANCE * max(1.0, largest), msg=lambda m, k=key: f"{k}: {m}"
        )


def assert_right(text: str) -> archdsl.Architecture:
    arch = load(text)
    assert_as_defined(arch)
    assert_as_predicted(arch)
    return arch


def assert_refused(text: str, code: str) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        load(text)
    assert {d.code for d in caught.value.diagnostics} == {code}, str(caught.value)


class Drawn:
    """Counts of the kinds of examples that a test has drawn."""

    def __init__(self) -> None:
        self.compiled = self.refused = 0
        self.seen: Counter[str] = Counter()

    def check(self, text: str) -> None:
        """Refused for a reason that a setting can have, or right."""
        try:
            arch = load(text)
        except archdsl.SpecError as error:
            self._count(error, text)
            return
        self.compiled += 1
        for name, data in arch.graph.nodes(data=True):
            if data["kind"] == "attention":
                [(_, _, edge)] = arch.graph.in_edges(name, data=True)
                words = facts(data["attributes"], edge["shape"][1:], data["token"])
                self.seen.update({*words, *(f"{a}, {b}" for a in words for b in words if a < b)})
        try:
            assert_as_defined(arch)
            assert_as_predicted(arch)
        except Exception as error:
            error.add_note(text)
            raise

    def _count(self, error: archdsl.SpecError, text: str) -> None:
        codes = {d.code for d in error.diagnostics}
        assert codes <= REFUSALS, f"{text}\n{error}"
        self.refused += 1
        self.seen.update(codes)

    def assert_has(self, *wanted: str) -> None:
        missing = {key: self.seen[key] for key in wanted if self.seen[key] < 2}
        assert not missing, f"too few of {missing}; {self.compiled} compiled, {self.refused} refused"


def facts(a: dict[str, Any], grid: tuple[int, int, int], token: str) -> set[str]:
    """Special settings of an attention, in words."""
    found = {a["over"], f"token of a {token}" if token else "no token", a["score"], f"position {a['position']}"}
    axes = [i for i, axis in enumerate("thw") if axis in AXES[a["over"]]]
    size = [1 if i == 0 and token == "frame" else n for i, n in enumerate(grid)]
    sizes = [(size[i], a["window"][i], a["dilation"][i], a["shift"][i]) for i in axes]
    cut = [(n, k, d, s) for n, k, d, s in sizes if 0 < k < -(-n // d)]
    pooled = {p: tuple(s or k for k, s in zip(a[f"{p}_pool"], a[f"{p}_stride"], strict=True)) for p in ("q", "kv")}
    is_pooled = {p: (*a[f"{p}_pool"], *steps) != (1,) * 6 for p, steps in pooled.items()}
    conditions = {
        "window": bool(cut),
        "larger window": any(k > n for n, k, d, _ in sizes),
        "padded": any(n % (k * d) for n, k, d, _ in cut) or any(n % d for n, _, d, _ in sizes),
        "shift": any(s for *_, s in cut),
        "dilation": any(d > 1 for _, _, d, _ in sizes),
        "band": bool(a["band"]),
        "wide band": bool(a["band"]) and a["band"] // 2 >= size[axes[0]] // a["dilation"][axes[0]] - 1,
        "long": bool(a["band"]) and size[axes[0]] > 32,
        "halves": a["half_over"] != "same",
        "q_pool": is_pooled["q"],
        "kv_pool": is_pooled["kv"],
        f"pool {a['pool']}": any(is_pooled.values()),
        "overlap": any(k > s for p, steps in pooled.items() for k, s in zip(a[f"{p}_pool"], steps, strict=True)),
        "several heads": a["heads"] > 1,
        "unscaled": not a["scale"],
        "another grid": any(a["position_grid"]),
    }
    flags = ("kv_pool_first", "pool_norm", "add_query", "table_prefix", "token_projections", "dropout", "dim", "out")
    return found | {word for word, holds in conditions.items() if holds} | {name for name in flags if a[name]}


# --- what is drawn ---------------------------------------------------------------------------------------------------

Settings = dict[str, Any]
Network = tuple[tuple[int, int, int], str, Settings]


def chance(rng: Random, part: float = 0.5) -> bool:
    return rng.random() < part


def a_grid(rng: Random) -> tuple[int, int, int]:
    return rng.randint(1, 5), rng.randint(1, 6), rng.randint(1, 6)


def token_for(rng: Random, over: str) -> str:
    """A class token, or none, for attention over some axes."""
    return rng.choice(["", "clip", "" if "t" in AXES[over] else "frame"])


def general(rng: Random) -> Settings:
    """Settings that go with all others."""
    heads = rng.choice([1, 2, 4])
    found: Settings = {"heads": heads}
    if chance(rng):
        found["dim"] = heads * rng.choice([2, 3])  # products of single numbers are not counted as products
    if chance(rng, 0.3):
        found["out"] = rng.choice([12, 16])
    return found | {name: False for name in ("bias", "proj_bias", "scale") if chance(rng, 0.3)}


def another_grid(rng: Random, found: Settings) -> Settings:
    """The grid of decomposed tables, if these were made for another."""
    if found["position"] != "decomposed" or chance(rng, 0.6):
        return {}
    return {"position_grid": [rng.randint(3, 7) if axis in AXES[found["over"]] else 0 for axis in "thw"]}


def whole(rng: Random) -> Network:
    over = rng.choice(list(AXES))
    found = {**general(rng), "over": over, "position": rng.choice(["none", "decomposed", "table"])}
    found |= another_grid(rng, found)
    found |= {"dropout": 0.3} if chance(rng) else {}
    found |= {"add_query": True} if chance(rng) else {}
    return a_grid(rng), token_for(rng, over), found


def windows(rng: Random) -> Network:
    over = rng.choice(["space_time", *AXES])
    inside = [axis in AXES[over] for axis in "thw"]
    window = [rng.choice(["all", 1, 2, 2, 3, 3, 4, 7]) if there else rng.choice(["all", 1]) for there in inside]
    found = {**general(rng), "over": over, "window": window}
    way = rng.choice(["", "shift", "dilation"])
    if way == "shift":
        found["shift"] = [rng.randint(0, k - 1) if k != "all" else 0 for k in window]
    elif way == "dilation":
        found["dilation"] = [rng.randint(1, 3) if there else 1 for there in inside]
    found["position"] = rng.choice(["none", "table", "table", "decomposed"])
    if found["position"] == "table":
        found["table_prefix"] = chance(rng)
    found |= {"dropout": 0.3} if chance(rng, 0.3) else {}
    found |= {"add_query": True} if chance(rng, 0.2) else {}
    return a_grid(rng), token_for(rng, over), found


def cut(rng: Random, what: tuple[str, ...]) -> tuple[int, Any, int, dict[str, tuple[int, int]]]:
    """An axis in windows, and kernel and stride of what is pooled along it: all of them divide each other."""
    most = rng.choice([1, 1, 2, 2, 3])
    steps = {name: rng.choice([1, most]) for name in what}
    window = most * rng.randint(1, 2)
    size = window * rng.randint(1, 3 if window < 4 else 2)
    shift = most * rng.randint(0, window // most - 1)
    return size, window, shift, {name: (rng.choice([step, 1, 3]), step) for name, step in steps.items()}


def uncut(rng: Random, what: tuple[str, ...]) -> tuple[int, Any, int, dict[str, tuple[int, int]]]:
    """The same of a whole axis: if it is pooled, it need not be divided."""
    steps = {name: rng.choice([1, 1, 2, 2, 3]) for name in what}
    return rng.randint(1, 6), "all", 0, {name: (rng.choice([step, 1, 3, 3]), step) for name, step in steps.items()}


def still(rng: Random, what: tuple[str, ...]) -> tuple[int, Any, int, dict[str, tuple[int, int]]]:
    """An axis that is not looked along."""
    return rng.randint(1, 4), "all", 0, dict.fromkeys(what, (1, 1))


def pooled(rng: Random) -> Network:
    """Of queries, of keys and values or of both, in windows or not."""
    over = rng.choice(["space_time", *AXES])
    what = rng.choice([("q",), ("kv",), ("kv",), ("q", "kv")])
    ways = [cut, cut, uncut] if chance(rng) else [uncut]
    axes = [(rng.choice(ways) if axis in AXES[over] else still)(rng, what) for axis in "thw"]
    found = {**general(rng), "over": over, "pool": rng.choice(["max", "avg", "conv"]), "pool_norm": chance(rng)}
    found |= {"window": [window for _, window, _, _ in axes], "shift": [shift for _, _, shift, _ in axes]}
    for name in what:
        found[f"{name}_pool"] = [ends[name][0] for *_, ends in axes]
        found[f"{name}_stride"] = [ends[name][1] for *_, ends in axes]
    if "kv" in what and found["pool"] != "conv" and not found["pool_norm"]:
        found["kv_pool_first"] = chance(rng)
    found["position"] = rng.choice(["none", "decomposed", "table"])
    found |= another_grid(rng, found)
    found["add_query"] = chance(rng)
    t, h, w = (size for size, *_ in axes)
    return (t, h, w), token_for(rng, over), found


def bands(rng: Random) -> Network:
    over = rng.choice(["time", "height", "width"])
    at = "thw".index(AXES[over])
    token = rng.choice(["", "", "clip"])
    size = [1 if token else rng.randint(1, 3) for _ in "thw"]
    dilation = 1 if token else rng.choice([1, 1, 2, 3])
    size[at] = dilation * rng.choice([*range(1, 13), *([33, 40, 65, 70] if dilation == 1 else [34])])
    found = {**general(rng), "over": over, "band": 2 * rng.randint(1, 6)}
    if dilation > 1:
        found["dilation"] = [dilation if i == at else 1 for i in range(3)]
    found["position"] = rng.choice(["none", "table"])
    if token:
        found["token_projections"] = chance(rng)
    found |= {"dropout": 0.3} if chance(rng, 0.3) else {}
    t, h, w = size
    return (t, h, w), token, found


def scores(rng: Random) -> Network:
    over = rng.choice(list(AXES))
    found = {**general(rng), "over": over, "score": rng.choice(["gaussian", "dot_product", "concatenation"])}
    if chance(rng):
        for name in ("kv_pool", *(["kv_stride"] if chance(rng) else [])):
            found[name] = [rng.randint(1, 2) if axis in AXES[over] else 1 for axis in "thw"]
        found["kv_pool_first"] = chance(rng)
    return a_grid(rng), "", found


def halves(rng: Random) -> Network:
    heads = rng.choice([2, 4])
    found = {**general(rng), "heads": heads, "dim": heads * rng.choice([2, 3])}
    found |= {"over": rng.choice(list(AXES)), "half_over": rng.choice(list(AXES))}
    found |= {"dropout": 0.3} if chance(rng) else {}
    return a_grid(rng), rng.choice(["", "", "", "clip", "frame"]), found


FAMILIES = {"whole": whole, "windows": windows, "pooled": pooled, "bands": bands, "scores": scores, "halves": halves}
OTHER: dict[str, list[Any]] = {
    "over": list(AXES),
    "half_over": list(AXES),
    "window": [["all", 2, 2], [1, 2, 3], [2, "all", "all"]],
    "shift": [[0, 1, 1], [1, 0, 0], [2, 2, 2]],
    "dilation": [[1, 2, 2], [2, 1, 1], [2, 2, 2]],
    "band": [1, 2, 4, 100],
    "score": ["gaussian", "dot_product", "concatenation"],
    "scale": [False],
    "pool": ["max", "avg", "conv"],
    "q_pool": [[1, 2, 2], [1, 3, 3], [3, 1, 1], [3, 3, 3]],
    "q_stride": [[1, 2, 2], [1, 1, 2], [2, 1, 1], [0, 0, 0]],
    "kv_pool": [[1, 2, 2], [1, 3, 3], [3, 1, 1], [3, 3, 3]],
    "kv_stride": [[1, 2, 2], [1, 1, 2], [2, 1, 1], [0, 0, 0]],
    "kv_pool_first": [True],
    "pool_norm": [True],
    "add_query": [True],
    "position": ["none", "table", "decomposed"],
    "position_grid": [[0, 4, 4], [3, 3, 3]],
    "table_prefix": [True],
    "token_projections": [True],
    "heads": [1, 2, 3, 4],
    "dropout": [0.3],
}


def edited(rng: Random) -> Network:
    """One or two settings that may not go with the others."""
    grid, token, found = rng.choice(list(FAMILIES.values()))(rng)
    found |= {name: rng.choice(OTHER[name]) for name in rng.sample(list(OTHER), rng.choice([1, 1, 2]))}
    return grid, rng.choice([token, token, "", "clip", "frame"]), found


def written(settings: Settings) -> str:
    """The settings as a spec has them."""

    def value(v: Any) -> str:
        if isinstance(v, bool):
            return "on" if v else "off"
        return f"[{', '.join(map(str, v))}]" if isinstance(v, list) else str(v)

    return f"attention({', '.join(f'{k} = {value(v)}' for k, v in settings.items())})"


def drawn_spec(rng: Random, family: Callable[[Random], Network]) -> str:
    """A network; a second attention is like the first, so that they share their windows, or another for any grid."""
    grid, token, found = family(rng)
    attentions, again = [found], rng.choice(["", "", "same", "other heads", "other"])
    if again == "other":
        _, _, second = rng.choice([whole, windows])(rng)
        attentions.append(second if token != "frame" else {**second, "over": "space", "position": "decomposed"})
    elif again and not any(name in found for name in ("q_pool", "q_stride", "out")):
        attentions.append({**found, **({"heads": 2, "dim": 8} if again == "other heads" else {})})
    end = rng.choice(["", "", "", "select(token)", "select(grid)"]) if token else ""
    wrapped = chance(rng)
    several = rng.choice([token, REGISTERS[token]]) if token else ""
    return spec(grid, several, *map(written, attentions), end=end, wrapped=wrapped)


def run(family: Callable[[Random], Network], examples: int) -> Drawn:
    """Checks random networks, which are the same in each run."""
    drawn = Drawn()
    for seed in range(examples):
        drawn.check(drawn_spec(Random(f"{family.__name__} {seed}"), family))
    return drawn


# --- random settings -------------------------------------------------------------------------------------------------

WANTED = {
    "whole": [
        *AXES, "add_query", "position decomposed", "position table", "dropout", "several heads", "unscaled", "dim",
        "out", "height, token of a clip", "space, token of a frame", "position table, token of a clip",
        "position decomposed, token of a clip", "position decomposed, token of a frame",
        "another grid, token of a clip",
    ],
    "windows": [
        "window", "larger window", "padded", "padded, shift", "shift", "shift, token of a clip", "dilation",
        "dilation, token of a clip", "padded, token of a clip", "padded, token of a frame", "position table, shift",
        "position decomposed, shift", "dilation, position table", "dilation, padded", "dropout, shift",
        "position decomposed, window", "position table, table_prefix", "larger window, table_prefix",
    ],
    "pooled": [
        "q_pool", "kv_pool", "kv_pool, q_pool", "pool max", "pool avg", "pool conv", "pool_norm", "overlap",
        "add_query", "kv_pool_first", "kv_pool, window", "q_pool, window", "pool conv, shift",
        "position table, q_pool",
        "kv_pool, position table", "position decomposed, q_pool", "another grid, kv_pool", "pool conv, token of a clip",
        "pool_norm, token of a clip", "add_query, token of a clip", "pool max, token of a frame",
        "token of a clip, window",
    ],
    "bands": [
        "band", "wide band", "long", "dilation", "dilation, position table", "position table, token of a clip",
        "token_projections", "dropout", "height", "long, position table", "long, token of a clip",
        "dilation, wide band",
    ],
    "scores": [
        "gaussian", "dot_product", "concatenation", "gaussian, kv_pool", "concatenation, several heads",
        "kv_pool_first", "dot_product, kv_pool",
    ],
    "halves": ["halves", "space_time", "space", "time", "dropout", "several heads"],
}  # fmt: skip


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_random_settings(family: str) -> None:
    """Mostly legal settings of one kind, all of which occur."""
    drawn = run(FAMILIES[family], {"windows": 130, "pooled": 130, "whole": 90}.get(family, 70))
    assert drawn.compiled >= drawn.refused, "settings are meant to be legal mostly"
    drawn.assert_has(*WANTED[family])


def test_settings_that_may_not_go_together() -> None:
    """One or two settings of any kind put to legal ones."""
    drawn = run(edited, 150)
    assert min(drawn.compiled, drawn.refused) >= 30
    drawn.assert_has("E0508", "E0509", "E0510", "E0511")


# --- single settings -------------------------------------------------------------------------------------------------

RIGHT = {
    "windows": ((3, 5, 4), "", "attention(2, window = [2, 2, 3])"),
    "windows of a token": ((3, 5, 4), "clip", "attention(2, window = [2, 2, 3])"),
    "windows of tokens": ((3, 5, 4), "frame", "attention(2, over = space, window = [1, 2, 3])"),
    "shifted": ((4, 5, 4), "", "attention(2, window = [2, 3, 2], shift = [1, 2, 1])"),
    "shifted beside a token": (
        (4, 5, 4), "clip", "attention(2, window = [2, 3, 2], shift = [1, 2, 1], position = table)"
    ),
    "shifted and decomposed": (
        (4, 5, 4), "", "attention(2, window = [2, 3, 2], shift = [1, 2, 1], position = decomposed)"
    ),
    "dilated": ((5, 4, 3), "clip", "attention(2, window = [2, all, 1], dilation = [2, 3, 2], position = table)"),
    "groups of padding alone": (
        (5, 1, 1), "clip", "attention(2, over = time, window = [1, 1, 1], dilation = [4, 1, 1])"
    ),
    "table of a larger window": ((3, 2, 3), "", "attention(2, window = [4, 3, 3], position = table)"),
    "prefix of its index": ((3, 2, 3), "", "attention(2, window = [4, 3, 5], position = table, table_prefix = on)"),
    "table and pooled keys": (
        (4, 8, 4), "", "attention(2, window = [2, 4, 4], kv_pool = [1, 2, 2], position = table)"
    ),
    "pooled in windows": (
        (4, 8, 6), "clip", "attention(2, window = [2, 4, all], shift = [1, 2, 0], q_pool = [1, 3, 3], "
        "q_stride = [1, 2, 2], kv_pool = [1, 2, 2], pool = conv, pool_norm = on, add_query = on, "
        "position = decomposed)",
    ),
    "pooled by convolution": (
        (3, 5, 4), "clip", "attention(2, kv_pool = 3, kv_stride = [1, 2, 2], pool = conv, position = decomposed)"
    ),
    "each frame by convolution": (
        (2, 3, 5), "frame", "attention(2, over = space, pool = conv, kv_pool = [1, 3, 3], kv_stride = [1, 1, 3])"
    ),
    "table of another grid": (
        (4, 6, 6), "", "attention(2, position = decomposed, position_grid = [4, 9, 9], kv_pool = [1, 2, 2])"
    ),
    "distances that float32 rounds": ((1, 1, 13), "", "attention(2, position = decomposed, kv_pool = [1, 1, 2])"),
    "band": ((70, 1, 2), "", "attention(2, over = time, band = 6, position = table)"),
    "dilated band": ((12, 1, 2), "", "attention(2, over = time, band = 4, dilation = [3, 1, 1], position = table)"),
    "band that leaves nothing out": ((1, 1, 4), "", "attention(2, over = width, band = 100, dilation = [1, 1, 2])"),
    "band beside a token": ((40, 1, 1), "clip", "attention(2, over = time, band = 6, token_projections = on)"),
    "table of a band beside a token": ((40, 1, 1), "clip", "attention(2, over = time, band = 6, position = table)"),
    "wide band beside a token": ((4, 1, 1), "clip", "attention(2, over = time, band = 100, token_projections = on)"),
    "groups of pooled keys beside a token": ((2, 4, 4), "clip", "attention(2, over = space, kv_pool = [1, 2, 2])"),
    "groups of pooled queries beside a token": ((2, 4, 4), "clip", "attention(2, over = space, q_pool = [1, 2, 2])"),
    "halves": ((3, 4, 2), "", "attention(4, over = space, half_over = time)"),
    "unscaled": ((3, 4, 2), "clip", "attention(4, over = space, scale = off)"),
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case, (_, token, _) in RIGHT.items() if token])
def test_settings_beside_several_tokens(case: str) -> None:
    grid, token, text = RIGHT[case]
    assert_right(spec(grid, REGISTERS[token], text))


@pytest.mark.parametrize("case", RIGHT)
def test_settings(case: str) -> None:
    """Once as the only attention and once as two that share what they can."""
    grid, token, text = RIGHT[case]
    assert_right(spec(grid, token, text))
    if "q_pool" not in text:
        assert_right(spec(grid, token, text, text.replace("2,", "4,", 1)))


TOGETHER = {  # classes of one name, and how each of them begins
    "two kinds of windows": (
        "attention(2, window = 2, position = table)", "attention(window = 2, position = decomposed)"
    ),
    "windows without a bias": ("attention(2, window = 2, bias = off)", "attention(2, window = 2, shift = 1)"),
    "bands without a bias": (
        "attention(2, over = time, band = 2, bias = off)", "attention(2, over = time, band = 2, position = table)"
    ),
    "decomposed over other axes": (
        "attention(2, over = time, position = decomposed)", "attention(2, over = space, position = decomposed)"
    ),
    "stretched and not": (
        "attention(2, position = decomposed, position_grid = [5, 5, 5])", "attention(2, position = decomposed)"
    ),
    "pooled in two ways": (
        "attention(2, pool = conv, kv_pool = [1, 2, 2])",
        "attention(2, pool_norm = on, kv_pool = [1, 2, 2], bias = off, proj_bias = off)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOGETHER)
@pytest.mark.parametrize("token", ["", "clip"])
def test_settings_in_one_network(case: str, token: str) -> None:
    first, second = TOGETHER[case]
    if token and "band" in first:
        pytest.skip("a class token sees all of one row")
    for texts in ((first, second), (first, second, second), (second, first, first)):  # the start of most is said once
        assert_right(spec((3, 4, 4), token, *texts))


REFUSED_OR_RIGHT = {
    "halves beside a token": ((2, 2, 2), "clip", "attention(2, over = space, half_over = time)"),
    "halves beside tokens": ((2, 2, 2), "frame", "attention(2, over = width, half_over = height)"),
    "keys pooled first beside a token": ((2, 2, 2), "clip", "attention(kv_pool = [1, 2, 2], kv_pool_first = on)"),
    "keys pooled first beside tokens": (
        (2, 2, 2), "frame", "attention(over = space, kv_pool = [1, 2, 2], kv_pool_first = on)"
    ),
    "a whole axis that is not pooled evenly": ((3, 4, 4), "", "attention(window = [all, 2, 2], kv_pool = [2, 1, 1])"),
    "queries of one": ((3, 4, 4), "", "attention(window = [all, 2, 2], q_pool = [2, 1, 1])"),
    "a table of one": ((3, 3, 3), "clip", "attention(position = table, kv_pool = 2)"),
    "a mean over more than the grid": ((1, 1, 2), "", "attention(pool = avg, kv_pool = [1, 1, 3], kv_stride = 1)"),
    "a band in each frame": ((1, 3, 1), "frame", "attention(over = height, band = 2)"),
    "a prefix for pooled keys": (
        (2, 2, 2), "", "attention(window = [2, 4, 4], position = table, table_prefix = on, kv_pool = [1, 2, 2])"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_OR_RIGHT)
def test_settings_without_effect(case: str) -> None:
    Drawn().check(spec(*REFUSED_OR_RIGHT[case]))


REFUSED = {
    "E0503": ((2, 2, 2), "", "attention(kv_pool = [1, 3, 3])"),
    "E0508": ((2, 2, 2), "", "attention(3)"),
    "E0509": ((2, 2, 2), "", "attention(over = space, window = [2, 2, 2])"),
    "E0510": ((4, 2, 2), "", "attention(over = time, band = 3)"),
    "E0511": ((2, 2, 2), "frame", "attention(over = time)"),
    "E0512": ((2, 3, 4), "", "attention(window = [1, 2, 2], kv_pool = [1, 2, 2])"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusals(code: str) -> None:
    assert_refused(spec(*REFUSED[code]), code)


DROPPING = [
    ((2, 3, 2), "", "attention(2, over = space, dropout = 1)"),
    ((2, 3, 2), "clip", "attention(2, dropout = 1)"),
    ((2, 3, 2), "frame", "attention(2, over = space, dropout = 1)"),
    ((2, 3, 2), "", "attention(2, window = [1, 2, 2], position = table, dropout = 1)"),
    ((2, 3, 2), "", "attention(2, window = [1, 2, 2], shift = [0, 1, 1], dropout = 1)"),
    ((2, 3, 2), "", "attention(2, kv_pool = [1, 2, 2], dropout = 1)"),
    ((2, 3, 2), "", "attention(2, over = space, half_over = time, dropout = 1)"),
    ((9, 1, 1), "clip", "attention(2, over = time, band = 2, dropout = 1, token_projections = on)"),
    ((9, 1, 2), "", "attention(2, over = time, band = 2, dropout = 1)"),
    ((9, 1, 2), "", "attention(2, over = time, band = 100, dropout = 1)"),
]


@pytest.mark.parametrize(("grid", "token", "text"), DROPPING)
def test_dropped_weights(grid: tuple[int, int, int], token: str, text: str) -> None:
    """In training all weights can be dropped, of the class token too, and in evaluation none is."""
    arch = load(spec(grid, token, text, wrapped=False))
    assert_as_defined(arch)
    model = random_weights(arch.build()).train()
    output = model(torch.randn(BATCH, 3, *grid, dtype=torch.float64))
    bias = dict(model.named_parameters())["s.attention.proj.bias"]
    wanted = bias if token else bias[:, None, None, None]
    torch.testing.assert_close(output, wanted.expand_as(output))


# --- layers beside attention -----------------------------------------------------------------------------------------

BESIDE = [
    "class_token -> layernorm(eps = 1e-6) -> gelu",
    "class_token(frame) -> layernorm -> gelu(tanh = on) -> relu",
    "class_token -> rmsnorm -> l2norm -> linear(4)",
    "class_token(frame) -> l2norm -> rmsnorm(eps = 0.1)",
    "l2norm -> conv(3, 1) -> l2norm -> rmsnorm(eps = 0.1)",
    "class_token -> token_type -> linear(4)",
    "class_token -> dropout(0.5) -> drop_path(0.5) -> select(grid)",
    "class_token(frame) -> linear(4) -> select(token) -> conv(2, [3, 1, 1])",
    "class_token(frame) -> select(grid) -> class_token -> select(token) -> linear(2)",
    "class_token(frame) -> linear(4) -> select(token) -> class_token -> attention(2) -> select(token)",
    "class_token -> maxpool([1, 3, 3], stride = [1, 2, 2])",
    "class_token -> maxpool([2, 2, 1], stride = [2, 2, 1], padding = valid) -> linear(3)",
    "class_token -> concat { linear(3), layernorm, gelu -> linear(2) }",
    "class_token(frame) -> concat { linear(3), layernorm }",
    "class_token -> add { linear(8), layernorm, gelu }",
    "class_token -> mean { linear(8), layernorm }",
    "class_token -> residual { select(grid) -> attention(2, over = time) -> linear(8) }",
    "class_token(frame) -> residual { select(grid) -> attention(2, over = time) }",
    "class_token(frame) -> add { layernorm -> select(grid), linear(8) }",
    "multiply { in, linear(8) -> sigmoid, layernorm } -> relu",
    "avgpool(3, padding = half) -> avgpool([1, 3, 3], stride = 2, padding = half)",
    "avgpool([all, 3, 1], padding = half)",
    "avgpool([3, 2, 1], stride = [2, 2, 1], padding = half)",
    "class_token -> multiply { layernorm, linear(8) -> sigmoid }",
    "class_token -> multiply { select(grid) -> sigmoid, linear(8) }",
    "class_token(frame) -> multiply { in, select(grid) -> linear(8) }",
    "class_token -> tokens(registers, 2) -> multiply { in, select(grid) -> linear(8) } -> rmsnorm",
    "class_token -> tokens(registers, 2) -> token_type -> without(token) -> layernorm",
    "tokens(prompts, 3, frame) -> class_token(frame) -> without(prompts) -> linear(4)",
    "class_token(frame) -> tokens(prompts, 2, frame) -> tokens(sinks, 1, frame) -> without(prompts) -> gelu",
    "class_token -> tokens(registers, 2) -> without(token) -> without(registers)",
    "tokens(prompts, 3, frame, init = zeros) -> without(prompts) -> conv(4)",
    "class_token -> tokens(registers, 2) -> select(registers) -> conv(4, [1, 1, 2])",
    "class_token(frame) -> tokens(registers, 2, frame) -> select(registers) -> conv(4, [3, 1, 1])",
    "class_token(frame) -> tokens(registers, 2, frame) -> linear(4) -> select(token)",
    "class_token -> tokens(registers, 2) -> linear(4) -> select(grid)",
    "class_token -> tokens(registers, 2) -> maxpool([1, 3, 3], stride = [1, 2, 2]) -> concat { in, gelu }",
    "class_token -> tokens(registers, 2) -> residual { select(grid) -> conv(8) } -> mean { in, layernorm }",
    "tokens(prompts, 3, frame) -> residual { select(grid) -> conv(8) }",
    "class_token -> tokens(registers, 2) -> position",
    "class_token -> tokens(registers, 2) -> position(space) -> position(time)",
    "class_token -> tokens(registers, 2) -> position(token = off) -> position(space, token = off)",
    "class_token -> tokens(registers, 2) -> position(apart = on)",
    "class_token -> tokens(registers, 2) -> position(apart = on, token = off)",
    "tokens(prompts, 3, frame) -> position(space)",
    "class_token(frame) -> tokens(prompts, 3, frame) -> position(space, token = off)",
    "class_token -> tokens(registers, 2) -> position(time, vectors = sinusoid)",
    "beside(all) { in, avgpool } -> layernorm",
    "class_token -> beside(grown) { in, select(grid) -> avgpool([all, 1, 1]) } -> linear(4)",
    "class_token(frame) -> beside(message) { in, select(token) -> conv(8, [3, 1, 1]) } -> without(token)",
    "beside(message, frame) { in, avgpool([1, all, 2], stride = 1) } -> select(message)",
    "class_token -> tokens(registers, 2) -> grid { conv(8) -> relu }",
    "class_token(frame) -> grid { conv(8, [1, 2, 2], stride = [1, 2, 2]) } -> layernorm",
    "grid { conv(4) -> relu } -> class_token -> residual { grid { conv(4) -> relu } }",
    "space_to_channel(2) -> layernorm -> linear(8)",
    "space_to_channel(3) -> class_token -> attention(2)",
    "position",
    "position(space) -> position(time)",
    "position(apart = on)",
    "class_token -> position",
    "class_token -> position(space) -> position(time)",
    "class_token -> position(token = off) -> position(space, token = off) -> position(time, token = off)",
    "class_token -> position(apart = on)",
    "class_token -> position(apart = on, token = off)",
    "class_token(frame) -> position(space)",
    "class_token(frame) -> position(space, token = off)",
    "linear(19) -> rotary",
    "linear(6) -> class_token -> rotary(base = 10) -> linear(3)",
    "class_token(frame) -> rotary(frequencies = tiled) -> rotary(over = space)",
    "rotary(over = space, base = 2) -> gelu -> rotary(over = time, frequencies = tiled)",
    "attention(2) -> latents(3) -> layernorm -> linear(2)",
    "latents(5, 12, init = normal(0.1)) -> attention(4, over = space)",
    "latents(1) -> linear(2)",
    "position(time, vectors = sinusoid)",
    "class_token -> position(time, vectors = sinusoid)",
]


@pytest.fixture
def _double() -> Iterator[None]:
    """Fixed vectors are worked out in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("chain", BESIDE)
def test_layers_beside_attention(chain: str) -> None:
    text = f"arch beside\ninput clip: video[3, 4, 5, 3]\nstage s {{ linear(8) -> {chain} }}\n"
    arch = load(text, "beside")
    assert_as_defined(arch)
    assert_as_predicted(arch)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("chain", ["", "class_token -> ", "class_token -> token_type -> "])
@pytest.mark.parametrize("options", ["", ", vectors = sinusoid", ", token = off"])
def test_numbers_of_frames(chain: str, options: str) -> None:
    """Positions of the frames of a longer video: of all clips, or of each."""
    text = (
        "arch longer\ninput clip: video[3, 4, 2, 3]\ninput frame_index: index[4]\n"
        f"stage s {{ linear(8) -> {chain}position(time, table = 7, frames = frame_index{options}) }}\n"
    )
    arch = load(text, "longer")
    assert_as_predicted(arch)
    assert_as_defined(arch)
    assert_as_defined(arch, frame_index=torch.tensor([1, 3, 8, 20]))
    assert_as_defined(arch, frame_index=torch.tensor([[1, 3, 8, 20], [0, 5, 6, 7]]))


# --- cost ------------------------------------------------------------------------------------------------------------


class Sizes(TorchDispatchMode):
    """Counts the operations of a run and the elements that they give."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.total = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else [found]:
            if isinstance(value, torch.Tensor):
                self.total += value.numel()
                self.largest = max(self.largest, value.numel())
        self.calls += 1
        return found


def sizes(grid: tuple[int, int, int], token: str, text: str) -> tuple[int, Sizes]:
    """Multiply-adds, and what making a module, running it and its backward pass take."""
    arch = load(spec(grid, token, text))
    counted = Sizes()
    with counted, sdpa_kernel(SDPBackend.MATH):  # which holds the weights, so that they are counted
        model = arch.build()
        model(torch.randn(1, 3, *grid)).sum().backward()
    return arch.macs, counted


BANDED = [
    ("", "attention(2, over = time, band = 18)"),
    ("", "attention(2, over = time, band = 18, position = table, dropout = 0.1)"),
    ("", "attention(2, over = time, band = 18, dilation = [2, 1, 1])"),
    ("clip", "attention(2, over = time, band = 18, token_projections = on)"),
]


@pytest.mark.parametrize(("token", "text"), BANDED)
def test_a_band_costs_as_much_as_the_clip_is_long(token: str, text: str) -> None:
    """Eight times the frames: eight times the products and the memory, in as many operations."""
    (few, small), (many, large) = (sizes((frames, 1, 1), token, text) for frames in (256, 2048))
    assert many == pytest.approx(8 * few, rel=0.01)
    assert large.total == pytest.approx(8 * small.total, rel=0.05)
    assert large.largest <= 8.01 * small.largest
    assert large.calls == small.calls


def test_without_a_band_it_would_be_more() -> None:
    """The measure of the last test does see the weights."""
    (few, small), (many, large) = (sizes((frames, 1, 1), "", "attention(2, over = time)") for frames in (256, 2048))
    assert many > 30 * few
    assert large.largest == 64 * small.largest
