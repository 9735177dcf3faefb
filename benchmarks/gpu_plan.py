"""What `gpu.py` measures, in the order of worth. Needs archdsl."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpu_forms
import pass_gains
import peers
import training_speed
from gpu_folder import PLAIN
from gpu_forms import GRAPH

from archdsl.planning.memory import CHECKPOINTINGS

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))

from parity_cases import CASES, FEW, Case

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = dict[str, Any]
MODES = ("train", "infer")
CHECKS = ("train f32", "infer f32", "train bf16", "infer bf16", "gradients f32", "gradients bf16")


@dataclass(frozen=True)
class Measured:
    """A spec with a clip and parameters, beside a peer of a library, if there is one."""

    spec: str
    clip: peers.Clip
    peer: str = ""
    params: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def id(self) -> str:
        """Return its name in the folder."""
        return f"{self.spec}__{self.peer or 'alone'}"

    @property
    def row(self) -> Row:
        """Return the columns that all rows of it have."""
        return {"id": self.id, "model": self.spec, "clip": "x".join(map(str, self.clip))}


@dataclass(frozen=True)
class Plan:
    """All that is measured."""

    tiny: bool
    batch: int
    rounds: tuple[int, int]  # the fewest and the most of a row
    cases: Sequence[Case]  # of correctness
    beside: Sequence[Measured]  # models and peers
    alone: Sequence[Measured]  # models of memory
    passes: Sequence[Measured]
    graphs: Sequence[Measured]
    trained: Sequence[Measured]
    dtypes: Sequence[str]  # of memory
    compiled: Sequence[str]  # modes in which modules are compiled, too

    @property
    def models(self) -> dict[str, Measured]:
        """Return all models by the names that they have in the folder."""
        return {m.id: m for m in (*self.beside, *self.alone, *self.passes, *self.graphs, *self.trained)}


def whole_plan(batch: int) -> Plan:
    """Return what a GPU measures."""
    alone = {name: Measured(name, model.clip) for name, model in peers.MODELS.items()}
    beside = [
        Measured(name, model.clip, peer.library)
        for name, model in sorted(peers.MODELS.items(), key=lambda item: WORTH.index(item[0]))
        for peer in model.peers
    ]
    small = [case for case in CASES if "small" in case.record]
    cases = sorted(small, key=lambda case: case.record not in FEW.values())  # one of each kind first
    passes = [alone[name] for name in pass_gains.DEFAULT]
    graphs = [alone[name] for name in ("swin3d_t", "mvitv2_s_16x4", "r2plus1d_18")]
    trained = [alone[name] for name in training_speed.NETWORKS]
    order = [alone[name] for name in WORTH]
    return Plan(False, batch, (5, 30), cases, beside, order, passes, graphs, trained, ("bf16", "f32"), MODES)


# One model of each kind first, and those that take longest last.
WORTH = (
    "slowfast_r50", "mvitv2_s_16x4", "swin3d_t", "timesformer_ts", "r2plus1d_18", "vivit_b_joint", "mvit_b_16x4",
    "i3d_r50", "r3d_18", "swin3d_b", "i3d_r50_nl5", "vtn_vit_b",
)  # fmt: skip


def tiny_plan() -> Plan:
    """Return something of each step that a CPU measures in seconds; the peer is our own module without passes."""
    swin = {"width": 8, "depths": [2], "heads": [1], "window": [2, 2, 2], "classes": 4}
    resnet = {"width": 8, "beta": "1/4", "alpha": 2, "depths": [1, 1, 1, 1], "classes": 4}
    beside = [Measured("swin3d_t", (3, 4, 24, 24), PLAIN, swin)]
    cases = [case for case in CASES if case.record == "tv_mc3_18_small"]
    slowfast = Measured("slowfast_r50", (3, 4, 32, 32), "", resnet)
    return Plan(True, 2, (2, 2), cases, beside, [slowfast], beside, beside, [slowfast], ("bf16",), ("train",))


def rows(plan: Plan, working: dict[tuple[str, str], list[str]]) -> dict[str, list[Row]]:
    """Return the rows of each step but those of memory.

    Args:
        plan: what is measured.
        working: the passes that do something, by model and target.
    """
    return {
        "correctness": [
            {"record": case.record, "spec": case.spec, "check": check} for case in plan.cases for check in CHECKS
        ],
        "speed": [
            m.row | {"peer": m.peer, "mode": mode, "dtype": "bf16", "batch": plan.batch, "compiled": how}
            for how, modes in ((False, MODES), (True, plan.compiled))
            for mode in modes
            for m in plan.beside
        ],
        "passes": [
            m.row | {"mode": mode, "dtype": "bf16", "batch": plan.batch, "pass": name}
            | {"without": without(m, mode, name)}
            for mode in MODES
            for m in plan.passes
            for name in working[m.id, mode]
        ],
        "alternatives": [*forms(plan)],
        "training": [
            m.row | {"dtype": "bf16", "batch": 2 * plan.batch, "compiled": how}
            for how in ((False,) if plan.tiny else (False, True))
            for m in plan.trained
        ],
    }  # fmt: skip


def without(model: Measured, mode: str, name: str) -> str:
    """Return the name of a module that was compiled without a pass."""
    return f"{model.id}__{mode}__without_{name}"


def forms(plan: Plan) -> Iterator[Row]:
    """Yield the rows of forms of code."""
    for m in plan.graphs:
        what = f"inference of one clip, {m.spec}"
        yield {"id": m.id, "what": what, "form": GRAPH, "beside": "eager", "dtype": "bf16"}
    for what, every, _ in gpu_forms.cases(tiny=plan.tiny):
        first, *others = every
        yield from ({"what": what, "form": other, "beside": first, "dtype": "bf16"} for other in others)


def memory_settings(plan: Plan) -> Iterator[tuple[Measured, str, str]]:
    """Yield models, dtypes and checkpointings whose memory is measured."""
    for dtype in plan.dtypes:
        for m in plan.alone:
            yield from ((m, dtype, checkpointing) for checkpointing in CHECKPOINTINGS)
