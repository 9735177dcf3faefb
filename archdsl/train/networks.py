"""Networks that `archdsl train` can train: their clip, their task, and the sizes of their outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.files import UsageError
from archdsl.layers.input import MASK
from archdsl.train.tasks import HEADS, PRETRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from archdsl.ir.network import Network

OWN_LOOP = "train the module in a loop of your own: docs/howto/training_loop.md"


def clip_of(network: Network) -> tuple[int, int, int, int]:
    """Return channels, frames, height and width of a network's clip.

    Raises:
        UsageError: if its input is not a single video in colour or grey.
    """
    if len(network.clips) > 1:
        raise UsageError(
            f"{network.name}: has {len(network.clips)} video inputs; `archdsl train` supports one; "
            f"for several, {OWN_LOOP}"
        )
    others = [name for name in network.arguments if name not in network.clips and name not in masks_of(network)]
    if others:
        kind = network.node(network.inputs[others[0]]).layer.kind
        raise UsageError(
            f"{network.name}: its {kind} {others[0]!r} is not in the data that `archdsl train` reads, which are videos "
            f"alone; {OWN_LOOP}"
        )
    (number,) = network.clips.values()
    c, t, h, w = map(int, network.node(number).shape.shape)
    if c not in {1, 3}:
        raise UsageError(
            f"{network.name}: has {c} input channels; `archdsl train` reads videos in colour (3 channels) or grey (1); "
            f"for other inputs, {OWN_LOOP}"
        )
    return c, t, h, w


def masks_of(network: Network) -> list[str]:
    """Return the names of the inputs that are masks."""
    return [name for name, number in network.inputs.items() if network.node(number).layer.kind == MASK]


def task_of(network: Network, chosen: str | None) -> str | None:
    """Return the task of a network, where it decides on it, or else the chosen one.

    Raises:
        UsageError: if the chosen task is for other networks.
    """
    heads, masks = list(network.outputs), masks_of(network)
    if masks and chosen not in {None, PRETRAIN}:
        raise UsageError(
            f"--task {chosen}: {network.name} has a mask, and is trained with --task {PRETRAIN}; a classifier "
            "that begins with its weights has a spec of its own: `archdsl train SPEC --weights RUN`"
        )
    if masks or chosen == PRETRAIN:
        return PRETRAIN
    if len(heads) > 1 and chosen not in {None, HEADS}:
        raise UsageError(
            f"--task {chosen}: {network.name} has the heads {', '.join(heads)}; `archdsl train` trains several heads "
            f"with a class per video for each; omit --task, or {OWN_LOOP}"
        )
    if chosen == HEADS and len(heads) == 1:
        raise UsageError(f"--task {HEADS}: {network.name} has one head; omit it")
    return HEADS if len(heads) > 1 else chosen


def columns_of(network: Network, label: str | None) -> str | None:
    """Return the option `--label` with a column for each of several heads, by default those of their names.

    Raises:
        UsageError: if it names another number of columns.
    """
    heads = list(network.outputs)
    if len(heads) == 1:
        return label
    columns = heads if label is None else [word.strip() for word in label.split(",") if word.strip()]
    if len(columns) != len(heads):
        raise UsageError(
            f"--label {label}: {network.name}: expected a column for each of its heads {', '.join(heads)}, "
            "with commas between them"
        )
    return ",".join(columns)


def sized(network: Network, values: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, int]:
    """Return values of parameters with which the heads have some numbers of outputs.

    The parameter of a head is that of its last layer, as in `linear(verbs)`.

    Args:
        network: the network.
        values: its parameters, by name.
        counts: the number of outputs, by the name of the head.

    Raises:
        UsageError: if a head has another number, and no parameter.
    """
    found: dict[str, int] = {}
    for head, count in counts.items():
        last = network.node(network.outputs[head])
        out = int(last.shape.channels)
        written = re.fullmatch(r"linear\(\s*(\w+)\s*[,)].*", last.span.text, re.DOTALL)
        name = written[1] if written is not None and values.get(written[1]) == out else None
        if out != count and (name is None or found.get(name, count) != count):
            raise UsageError(
                f"{network.name}: its head {head} has {out} outputs, the videos have {count} classes; a parameter of "
                f"its own, as in `linear({head}s)`, lets archdsl set it"
            )
        if name is not None:
            found[name] = count
    return found
