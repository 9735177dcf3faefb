"""The counters' tables, and our counts by hand where docs/counting.md works them out."""

from __future__ import annotations

import json
import re
import sys
from math import prod

import pytest
import torch
from repository import ROOT
from torch.utils.flop_counter import FlopCounterMode

import archdsl

sys.path.append(str(ROOT / "benchmarks"))

import counters
from goals import marked

PAGE = (ROOT / "docs" / "counting.md").read_text("utf-8")
RESULT = json.loads(counters.RESULTS.read_text("utf-8"))


def worked_out(product: str) -> tuple[int, int]:
    """The value of a product on the page, and the number that stands behind it."""
    number = re.search(re.escape(product) + r" = ([\d,]+)", " ".join(PAGE.split()))
    assert number is not None, product
    return prod(int(f.replace(",", "")) for f in re.split(r" *· *|·", product)), int(
        number[1].rstrip(",").replace(",", "")
    )


def test_a_convolution_counts_as_by_hand() -> None:
    value, written = worked_out("64 · 64·1·3·3 · 8·56·56")
    layers = archdsl.load("slowfast_r50").graph.nodes
    assert value == written == layers["slow.res2.0.conv2"]["macs"]


def test_attention_counts_as_by_hand() -> None:
    linear, products = worked_out("4 · 768·768 · 1,568"), worked_out("2 · 14·14 · 8·8·768")
    layers = archdsl.load("timesformer_ts").graph.nodes(data=True)
    first = next(data for _, data in layers if data["kind"] == "attention")
    assert linear[0] == linear[1]
    assert products[0] == products[1]
    assert first["macs"] == linear[0] + products[0]


@pytest.mark.parametrize("layer", counters.LAYERS, ids=lambda layer: layer[0])
def test_torch_counts_a_layer_as_by_hand(layer: tuple) -> None:
    """Torch's counter on meta is the one that finds all: it is independent of our formulas."""
    _, make, shape, formula = layer
    assert counters.count("torch, meta", make, shape) == counters.by_hand(formula)


@pytest.mark.parametrize("row", RESULT["models"], ids=lambda row: row["spec"])
def test_the_results_hold_our_counts(row: dict) -> None:
    arch = archdsl.load(row["spec"], clip=row["clip"])
    assert row["ours"] == arch.macs == row["torch, meta, without"]


def test_torch_on_meta_agrees_today() -> None:
    arch = archdsl.load("swin3d_t", clip="3x8x64x64")
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        arch.build(without=["masks"]).eval()(torch.zeros(1, 3, 8, 64, 64))
    assert counter.get_total_flops() == 2 * arch.macs


def test_the_page_shows_the_results() -> None:
    text = PAGE
    for mark, table in counters.tables(RESULT).items():
        text = marked(text, mark, table)
    assert text == PAGE, "python benchmarks/counters.py --write-docs"


@pytest.mark.parametrize(("count", "text"), [(100, "0"), (150, "+50.0 %"), (99.99, "−0.0 %"), (1, "−99.0 %")])
def test_differences_are_in_percent(count: float, text: str) -> None:
    assert counters.difference(count, 100) == text
