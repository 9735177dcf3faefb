"""Networks are valid behind every step of lowering, and verification says of a broken one what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import program
from programs.check import Texts
from small import EACH, small

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.ir.regions import BlockRow, Fusion, Lateral
from archdsl.ir.verify import BrokenNetwork, verify
from archdsl.pipeline import analyse
from archdsl.targets.torch.lower import TARGETS, lowered_with_counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archdsl.ir.network import Network

TEXT = """
arch net
input clip: video[3, 4, 8, 8]
path a = clip -> conv(4)
path b = clip -> conv(4)
block unit(width) { conv(width) -> relu }
stage one { a: conv(4) -> unit(4) * 2 -> bn
            b: conv(4) -> attention(2)
            lateral b => a: conv(4) }
head: concat { a -> avgpool, b -> avgpool } -> linear(2)
"""
CHUNKS, PROGRAMS = 4, 50


def made(name: str = "net", texts: dict[str, str] | None = None) -> Network:
    texts = texts or {"net": TEXT}
    return analyse(Source(f"{name}.arch", texts[name]), Texts(texts)).network


def number(network: Network, name: str) -> int:
    return next(node.id for node in network.all_nodes() if node.name == name)


def swap(network: Network) -> None:
    network.order[-1], network.order[-2] = network.order[-2], network.order[-1]


def rename(network: Network) -> None:
    network.node(number(network, "a.one.bn")).label = "conv"


def cut(network: Network) -> None:
    end = number(network, "head.linear")
    network.graph.remove_edge(*next(iter(network.graph.in_edges(end))))


def reshape(network: Network) -> None:
    node = network.node(number(network, "a.one.bn"))
    node.input_shapes = (node.shape._replace(t=99),)


def hold_twice(network: Network) -> None:
    network.regions[-1].items.append(number(network, "a.one.bn"))


def let_go(network: Network) -> None:
    network.node(number(network, "a.one.bn")).region.items.pop()


def turn_round(network: Network) -> None:
    network.node(number(network, "a.one.bn")).region.items.reverse()


def number_blocks(network: Network) -> None:
    part = network.node(number(network, "a.one.bn")).region
    next(inner for inner in part.inner if isinstance(inner, BlockRow)).blocks[0].label = "7"


def lose_exit(network: Network) -> None:
    network.regions[0].exit = 99


def lose_entry(network: Network) -> None:
    next(part for part in network.regions if isinstance(part, Lateral)).entry = 99


def fuse_nothing(network: Network) -> None:
    next(part for part in network.regions if isinstance(part, Fusion)).exit = number(network, "a.one.bn")


def lose_output(network: Network) -> None:
    network.outputs = {"": 99}


def forget(network: Network) -> None:
    network.order.pop()


def read_nothing(network: Network) -> None:
    network.node(number(network, "head.linear")).inputs = (99,)


def call_tensors_alike(network: Network) -> None:
    network.node(number(network, "b.one.conv")).label = "attention.proj"


def lose_shape(network: Network) -> None:
    network.node(number(network, "a.one.bn")).input_shapes = ()


def hold_nothing(network: Network) -> None:
    network.regions[-1].items.append(99)


def lose_inputs(network: Network) -> None:
    network.inputs.clear()


def move_away(network: Network) -> None:
    inner = network.node(number(network, "a.one.bn")).region.inner[0]
    inner.parent = network.regions[-1]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (forget, "the order does not contain each node exactly once"),
        (swap, "`head.linear` precedes its input `head.concat`"),
        (read_nothing, "`head.linear` precedes its input node 99, which does not exist"),
        (rename, "two nodes have the name `a.one.conv`"),
        (call_tensors_alike, "two tensors have the name `b.one.attention.proj.weight`"),
        (cut, "the edges into `head.linear` come from"),
        (lose_shape, "`a.one.bn` has 1 inputs and 0 input shapes"),
        (reshape, "`a.one.bn` expects 4×99×8×8 from"),
        (hold_twice, "`a.one.bn` is in two regions"),
        (hold_nothing, "Head `head` contains node 99, which does not exist"),
        (let_go, "`a.one.bn` is not an item of its region, Stage `a.one`"),
        (turn_round, "the items of Stage `a.one` are not in the order of data flow"),
        (number_blocks, "the blocks of BlockRow `a.one.blocks` are not numbered from 0: 7, 1"),
        (lose_exit, "the exit of PathStart `a.input` is node 99"),
        (lose_entry, "the entry of Lateral `b_to_a.one` is node 99"),
        (fuse_nothing, "Fusion `a.one` has fewer than two inputs"),
        (lose_output, "the output is node 99"),
        (lose_inputs, "the output `head.linear` does not depend on an input"),
        (move_away, "a region in Stage `a.one` has another parent"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_broken_network_is_told(break_it: Callable[[Network], None], message: str) -> None:
    network = made()
    verify(network)
    break_it(network)
    with pytest.raises(BrokenNetwork) as caught:
        verify(network)
    assert message in str(caught.value)


@pytest.mark.parametrize("path", EACH)
def test_lowering_leaves_specs_valid(path: Path) -> None:
    network = small(path)._analysis.network
    verify(network)
    for target in TARGETS:
        lowered_with_counts(network, target=target, verify=verify)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_lowering_leaves_programs_valid(chunk: int) -> None:
    for seed in range(chunk * PROGRAMS, (chunk + 1) * PROGRAMS):
        case = program(seed)
        try:
            network = made(case.name, case.texts)
        except SpecError:
            continue
        verify(network)
        for target in TARGETS:
            lowered_with_counts(network, target=target, verify=verify)
