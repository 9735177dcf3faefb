"""`gpu.py prepare`: everything that is measured, compiled into one folder. Needs archdsl."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpu_plan
import peers
from gpu_folder import PLAIN
from gpu_journal import MANIFEST
from gpu_plan import Measured, Plan

import archdsl
from archdsl.planning.memory import Optimizer, Sizes, Way
from archdsl.targets.torch.checkpoints import blocks_of, stages_of
from archdsl.targets.torch.lower import TARGETS, lower, lowered_with_counts, switchable
from archdsl.targets.torch.ops.sites import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OWN = (
    "gpu", "gpu_folder", "gpu_forms", "gpu_journal", "gpu_run", "gpu_steps", "gpu_worker", "alternatives", "goals",
    "measure", "peers", "sides", "table", "tool_speed", "training_speed",
)  # fmt: skip
# Files from elsewhere, by the names that they have in the folder.
OTHERS = {
    "parity_weights": ROOT / "tests" / "support" / "parity_weights.py",
    "recipe_mix": ROOT / "archdsl" / "train" / "mix.py",
    "recipe_optim": ROOT / "archdsl" / "train" / "optim.py",
}
# pytorchvideo and what its models import, all of it plain Python, which few machines have.
LIBRARIES = ("pytorchvideo", "fvcore", "iopath", "parameterized", "yacs", "termcolor", "portalocker", "tabulate")
LARGEST = 50 * 2**20  # bytes of the folder


class Writer:
    """A folder that is being made, and its manifest."""

    def __init__(self, to: Path) -> None:
        self.to = to
        for part in ("modules", "records", "libraries"):
            shutil.rmtree(to / part, ignore_errors=True)
            (to / part).mkdir(parents=True)
        self.modules: dict[str, str] = {}

    def module(self, name: str, arch: archdsl.Architecture, **how: Any) -> str:
        """Write a module, and return its name."""
        if name not in self.modules:
            self.modules[name] = arch.name
            (self.to / "modules" / f"{name}.py").write_text(arch.source(**how), "utf-8")
        return name

    def model(self, measured: Measured) -> dict[str, Any]:
        """Write the modules of a model, and return what the manifest says of it."""
        arch, source = loaded(measured)
        network = arch._analysis.network
        found = {target: self.module(f"{measured.id}__{target}", arch, target=target) for target in TARGETS}
        if measured.peer == PLAIN:
            found[PLAIN] = self.module(f"{measured.id}__{PLAIN}", arch, without=switchable("train"))
        inputs = [data["shape"] for _, data in arch.graph.nodes(data=True) if data["kind"] == "input"]
        blocks = [block.name for stage in stages_of(network) for block in blocks_of(stage)]
        return found | {
            "spec": measured.spec, "peer": measured.peer, "clip": measured.clip, "inputs": inputs, "macs": arch.macs,
            "classes": classes_of(arch), "moves": moves(arch, source), "recipe": arch.recipe.as_dict(),
            "blocks": blocks,
        }  # fmt: skip

    def passes(self, measured: Measured) -> dict[tuple[str, str], list[str]]:
        """Write modules without one pass each, and return the passes that do something by model and target."""
        arch, _ = loaded(measured)
        working: dict[tuple[str, str], list[str]] = {}
        for target in TARGETS:
            counts = lowered_with_counts(arch._analysis.network, target=target)[1]
            working[measured.id, target] = [name for name in switchable(target) if counts[name]]
            for name in working[measured.id, target]:
                self.module(gpu_plan.without(measured, target, name), arch, without=[name], target=target)
        return working

    def record(self, case: gpu_plan.Case) -> dict[str, Any]:
        """Write a record and its modules, and return what the manifest says of it."""
        whole = json.loads((ROOT / "tests" / "parity" / f"{case.record}.json").read_text("utf-8"))
        kept = {k: whole[k] for k in ("inputs", "output", "state_dict", "weight_scale", "position_ids") if k in whole}
        write_json(self.to / "records" / f"{case.record}.json", kept)
        clip = tuple(whole["inputs"]["clip"][1:])
        arch = archdsl.load(ROOT / "specs" / f"{case.spec}.arch", clip=clip, like=case.source, **dict(case.params))
        found = {target: self.module(f"{case.record}__{target}", arch, target=target) for target in TARGETS}
        return found | {"tolerance": case.tolerance, "moves": moves(arch, case.source)}

    def copy(self) -> None:
        """Copy what runs in the folder, and packages that are installed here."""
        files = {name: HERE / f"{name}.py" for name in OWN} | OTHERS
        for name, path in files.items():
            shutil.copyfile(path, self.to / f"{name}.py")
        for name in LIBRARIES if find_spec("pytorchvideo") else ():
            found = find_spec(name)
            if found is not None and found.submodule_search_locations:
                ignored = shutil.ignore_patterns("__pycache__", "*.so", "tests")
                shutil.copytree(found.submodule_search_locations[0], self.to / "libraries" / name, ignore=ignored)


def loaded(measured: Measured) -> tuple[archdsl.Architecture, str]:
    """Return the architecture of a model, and the source whose names its peer has."""
    known = {p.library: p.source for p in peers.MODELS[measured.spec].peers}
    source = known.get(measured.peer, "")
    path = peers.SPECS / f"{measured.spec}.arch"
    return archdsl.load(path, clip=measured.clip, like=source or None, **measured.params), source or "archdsl"


def classes_of(arch: archdsl.Architecture) -> int:
    """Return the number of logits."""
    network = arch._analysis.network
    return int(network.node(network.outputs[""]).shape.elements)


def moves(arch: archdsl.Architecture, source: str) -> list[dict[str, Any]]:
    """Return the map from a source's tensors to ours, as `gpu_folder.converted` takes it."""
    plan = arch.plan_weights(source)
    found: list[dict[str, Any]] = []
    for move in plan.moves:
        back = move.change.back() if move.change is not None else None
        ends = [move.change.end if move.change is not None else t.shape for t in move.ours]
        found.append(
            {
                "ours": [t.name for t in move.ours],
                "theirs": [plan.aliases.of(t.name) for t in move.theirs],
                "sizes": [end[0] for end in ends] if len(ends) > 1 else [],
                "back": {"split": back.split, "order": back.order, "end": back.end} if back is not None else None,
            }
        )
    return found


def memory_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the rows of memory, with what `archdsl plan` predicts."""
    sizes: dict[tuple[str, str], Sizes] = {}
    for m, dtype, checkpointing in gpu_plan.memory_settings(plan):
        arch, _ = loaded(m)
        if (m.id, dtype) not in sizes:
            precision = Precision(half=dtype == "bf16", cuda=True)
            sizes[m.id, dtype] = Sizes(lower(arch._analysis.network), precision)
        optimizer = Optimizer(arch.recipe.optimizer, float(arch.recipe.momentum))
        states = sizes[m.id, dtype].states(optimizer, Way("ddp", checkpointing)).total
        predicted = states + sizes[m.id, dtype].activations(plan.batch, checkpointing).total
        yield m.row | {
            "batch": plan.batch, "dtype": dtype, "checkpointing": checkpointing, "optimizer": optimizer.name,
            "predicted": predicted,
        }  # fmt: skip


def write_json(path: Path, data: Any) -> None:
    """Write JSON; fractions become floats."""

    def plain(value: Any) -> float:
        if isinstance(value, Fraction):
            return float(value)
        message = f"{value!r} is not for JSON"
        raise TypeError(message)

    path.write_text(json.dumps(data, default=plain, separators=(",", ":")), "utf-8")


def prepare(to: Path, batch: int, *, tiny: bool) -> None:
    """Make the folder.

    Raises:
        SystemExit: if it is larger than 50 MiB.
    """
    plan = gpu_plan.tiny_plan() if tiny else gpu_plan.whole_plan(batch)
    writer = Writer(to)
    working: dict[tuple[str, str], list[str]] = {}
    for measured in plan.passes:
        working |= writer.passes(measured)
    manifest = {
        "tiny": plan.tiny,
        "rounds": plan.rounds,
        "models": {name: writer.model(measured) for name, measured in plan.models.items()},
        "records": {case.record: writer.record(case) for case in plan.cases},
        "rows": gpu_plan.rows(plan, working) | {"memory": [*memory_rows(plan)]},
        "modules": writer.modules,
    }
    writer.copy()
    write_json(to / MANIFEST, manifest)
    size = sum(p.stat().st_size for p in to.rglob("*") if p.is_file() and "cache" not in p.relative_to(to).parts)
    print(f"{to}: {size / 2**20:.1f} MiB, {sum(map(len, manifest['rows'].values()))} rows to measure")
    for name in () if tiny or find_spec("pytorchvideo") else ("pytorchvideo",):
        print(f"{name} is not installed here, so it is not in the folder: {peers.INSTALL[name]}")
    if size > LARGEST:
        raise SystemExit(f"{to}: more than {LARGEST // 2**20} MiB")
