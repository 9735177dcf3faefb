"""Six counters of multiply-adds beside ours: on generated modules, and on single layers that are counted by hand.

    python benchmarks/counters.py [SPEC…] [--write-docs]

Needs torch, einops and those of fvcore, ptflops, thop, torchinfo and calflops (with transformers) that are to be
compared; one that is not installed is left out. Counts go to benchmarks/results/counters.json and, as tables, to
counters.md; `--write-docs` puts the tables of the JSON file into docs/counting.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import goals
import table
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import archdsl
from archdsl.targets.torch.lower import lowered_with_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Counter = Callable[[nn.Module, Tensor], float]

RESULTS = Path(__file__).parent / "results" / "counters.json"
PAGE = Path(__file__).parent.parent / "docs" / "counting.md"
# At half of the crop: a CPU runs each module once for each counter.
MODELS = {
    "slowfast_r50": "3x32x112x112",
    "slow_r50_nl": "3x8x112x112",
    "mvitv2_s_16x4": "3x16x112x112",
    "swin3d_t": "3x16x112x112",
    "timesformer_s": "3x8x112x112",
}
# Passes that put positions and masks into further channels of queries and keys, which are computed and not part of
# the network.
MORE_WORK = ("distances", "masks")


# --- the counters ----------------------------------------------------------------------------------------------------


def of_torch(model: nn.Module, clip: Tensor) -> float:
    """Torch's own counter, which counts two operations for a multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(clip)
    return counter.get_total_flops() / 2


def of_fvcore(model: nn.Module, clip: Tensor) -> float:
    """Fvcore's, whose flops are multiply-adds."""
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(model, clip)
    return counter.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False).total()


def of_ptflops(model: nn.Module, clip: Tensor) -> float:
    """The backend `pytorch` of ptflops, its default."""
    from ptflops import get_model_complexity_info

    size = tuple(clip.shape[1:])
    counted = get_model_complexity_info(model, size, as_strings=False, print_per_layer_stat=False, backend="pytorch")
    return float(counted[0])


def of_thop(model: nn.Module, clip: Tensor) -> float:
    """The count of thop."""
    from thop import profile

    return profile(model, inputs=(clip,), verbose=False)[0]


def of_torchinfo(model: nn.Module, clip: Tensor) -> float:
    """The `total_mult_adds` of torchinfo."""
    from torchinfo import summary

    return summary(model, input_data=clip, verbose=0).total_mult_adds


def of_calflops(model: nn.Module, clip: Tensor) -> float:
    """The multiply-adds of calflops."""
    from calflops import calculate_flops

    return calculate_flops(model=model, args=[clip], print_results=False, output_as_string=False)[1]


COUNTERS: dict[str, tuple[str, Counter]] = {  # by column: the package, the function
    "torch, CPU": ("torch", of_torch),
    "torch, meta": ("torch", of_torch),
    "fvcore": ("fvcore", of_fvcore),
    "ptflops": ("ptflops", of_ptflops),
    "thop": ("thop", of_thop),
    "torchinfo": ("torchinfo", of_torchinfo),
    "calflops": ("calflops", of_calflops),
}


def installed() -> dict[str, str]:
    """The versions of the packages that are installed."""
    found: dict[str, str] = {}
    for package, _ in COUNTERS.values():
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is not installed: left out")
    return found


def count(column: str, make: Callable[[], nn.Module], shape: Iterable[int]) -> float:
    """Return what a counter says of a module."""
    # Under `torch.device` functions are dispatched in another way, which some counters see: only where it is needed.
    device = torch.device("meta") if column.endswith("meta") else nullcontext()
    with device, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(COUNTERS[column][1](make().eval(), torch.zeros(1, *shape)))


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own: some counters leave torch's functions replaced behind them."""
    way = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"  # a fork has torch at once
    with multiprocessing.get_context(way).Pool(1) as pool:
        return pool.apply(function, arguments)


def count_model(column: str, spec: str) -> float:
    """Return what a counter says of the module of a spec."""
    arch = archdsl.load(spec, MODELS.get(spec))
    return count(column, arch.build, arch.cost()["input"])


def of_model(spec: str, columns: Iterable[str]) -> dict[str, Any]:
    """Return our count of a spec beside those of its module."""
    arch = archdsl.load(spec, MODELS.get(spec))
    shape = arch.cost()["input"]
    done = lowered_with_counts(arch._analysis.network)[1]
    more = [name for name in MORE_WORK if done[name]]
    print(f"{spec}: {arch.macs:,}", flush=True)
    return {
        "spec": spec,
        "clip": "x".join(map(str, shape)),
        "ours": arch.macs,
        "without": more,
        "torch, meta, without": count("torch, meta", lambda: arch.build(without=more), shape),
        "counts": {column: in_process(count_model, column, spec) for column in columns},
    }


# --- single layers ---------------------------------------------------------------------------------------------------


class Functional(nn.Conv3d):
    """A subclass of a convolution, with a forward pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv3d(x, self.weight, self.bias, padding=self.padding)  # pyright: ignore[reportArgumentType]


class Call(nn.Module):
    """A function of a tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.unused = nn.Linear(1, 1)  # calflops asks each module for its first parameter

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


GRID, TOKENS, HEADS = (3, 4, 6, 6), (10, 16), (2, 10, 8)
# What is counted, how it is made, the shape of its input, and its multiply-adds by hand.
LAYERS: tuple[tuple[str, Callable[[], nn.Module], tuple[int, ...], str], ...] = (
    ("`nn.Conv3d`", lambda: nn.Conv3d(3, 8, 3, padding=1, bias=False), GRID, "8*3*27 * 4*6*6"),
    ("a subclass of it that calls `F.conv3d`", lambda: Functional(3, 8, 3, padding=1, bias=False), GRID,
     "8*3*27 * 4*6*6"),
    ("`nn.Linear` on tokens", lambda: nn.Linear(16, 32, bias=False), TOKENS, "10 * 16*32"),
    ("`F.scaled_dot_product_attention`", lambda: Call(lambda x: F.scaled_dot_product_attention(x, x, x)), HEADS,
     "2 * 2*10*10*8"),
    ("`x @ y`", lambda: Call(lambda x: x @ x.transpose(-2, -1)), HEADS, "2*10*10*8"),
    ("`torch.einsum`", lambda: Call(lambda x: torch.einsum("bhnd,bhmd->bhnm", x, x)), HEADS, "2*10*10*8"),
    ("`nn.BatchNorm3d`", lambda: nn.BatchNorm3d(3), GRID, "0"),
    ("`nn.LayerNorm`", lambda: nn.LayerNorm(16), TOKENS, "0"),
    ("`F.relu`", lambda: Call(F.relu), GRID, "0"),
    ("`F.max_pool3d`", lambda: Call(lambda x: F.max_pool3d(x, 2)), GRID, "0"),
)  # fmt: skip


def by_hand(formula: str) -> int:
    """Return the product that a formula such as `8*3*27 * 4*6*6` writes out."""
    result = 1
    for factor in formula.replace(" ", "").split("*"):
        result *= int(factor)
    return result


def count_layers(column: str) -> list[float]:
    """Return what a counter says of each layer."""
    return [count(column, make, shape) for _, make, shape, _ in LAYERS]


def of_layers(columns: Iterable[str]) -> list[dict[str, Any]]:
    """Return the count of each layer by hand beside those of the counters."""
    found = {column: in_process(count_layers, column) for column in columns}
    return [
        {
            "layer": name,
            "formula": formula,
            "hand": by_hand(formula),
            "elements": by_hand("*".join(map(str, shape))),
            "counts": {column: of_all[index] for column, of_all in found.items()},
        }
        for index, (name, _, shape, formula) in enumerate(LAYERS)
    ]


# --- tables ----------------------------------------------------------------------------------------------------------


def models_table(result: Mapping[str, Any]) -> str:
    """The counts of modules: ours, and by how much each counter is above or below."""
    columns = list(result["models"][0]["counts"])
    lines = [
        [
            f"`{row['spec']}`", row["clip"].replace("x", "×"), f"{row['ours'] / 1e9:.3f} G",
            *(difference(row["counts"][c], row["ours"]) for c in columns),
        ]
        for row in result["models"]
    ]  # fmt: skip
    return f"{versions(result)}\n\n" + table.markdown(("module", "clip", "ours", *columns), lines)


def difference(count: float, ours: int) -> str:
    """By how much a count differs from ours, in percent; 0 only where it is the same number."""
    if count == ours:
        return "0"
    share = 100 * (count / ours - 1)
    return f"{share:+.1f} %".replace("-", "−") if abs(share) >= 0.05 else f"{'+' if share > 0 else '−'}0.0 %"


def layers_table(result: Mapping[str, Any]) -> str:
    """The counts of single layers: those by hand, and what each counter counts of them."""
    columns = list(result["layers"][0]["counts"])
    lines = [
        [row["layer"], f"{row['formula'].replace('*', '·')} = {row['hand']:,}" if row["hand"] else "0",
         *(share(row, c) for c in columns)]
        for row in result["layers"]
    ]  # fmt: skip
    return table.markdown(("layer", "by hand", *columns), lines)


def share(row: Mapping[str, Any], column: str) -> str:
    """A count by that by hand; where that is 0, the operations for each element of the input."""
    count = row["counts"][column]
    return f"{count / (row['hand'] or row['elements']):.3g}"


def passes_table(result: Mapping[str, Any]) -> str:
    """Torch's count on meta of modules in which passes do not add work."""
    rows = [row for row in result["models"] if row["without"]]
    lines = [
        [f"`{row['spec']}`", ", ".join(f"`{name}`" for name in row["without"]), f"{row['ours']:,}",
         f"{row['counts']['torch, meta']:,.0f}", f"{row['torch, meta, without']:,.0f}"]
        for row in rows
    ]  # fmt: skip
    return table.markdown(("module", "passes", "ours", "torch, meta", "torch, meta, without the passes"), lines)


def versions(result: Mapping[str, Any]) -> str:
    """The packages that were compared."""
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items()) + "."


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """What the page shows, by mark."""
    return {
        "counted modules": models_table(result),
        "counted layers": layers_table(result),
        "counted passes": passes_table(result),
    }


def main() -> None:
    """Count, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("specs", nargs="*", metavar="SPEC", default=list(MODELS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write-docs", action="store_true", help="write the tables of the JSON file to the page")
    arguments = parser.parse_args()
    if arguments.write_docs:
        goals.write_page(PAGE, **tables(json.loads(arguments.results.read_text("utf-8"))))
        return
    torch.set_num_threads(1)  # whose threads a fork would lack
    packages = installed()
    columns = [column for column, (package, _) in COUNTERS.items() if package in packages]
    result = {
        "versions": packages,
        "models": [of_model(spec, columns) for spec in arguments.specs],
        "layers": of_layers(columns),
    }
    arguments.results.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    text = "\n".join(tables(result).values())
    arguments.results.with_suffix(".md").write_text(text, "utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
