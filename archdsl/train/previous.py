"""Runs whose weights start another run: their network, their classes, and the file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.architecture import Architecture
from archdsl.core.source import Source
from archdsl.files import FileLibrary, UsageError, WeightsError, read_source
from archdsl.frontend.parse import parse_binding
from archdsl.pipeline import analyse, plan_transfer
from archdsl.resources import bundled_specs
from archdsl.state_dicts import transferred
from archdsl.train.run import BEST, CONFIG, SPECS, WEIGHTS, load_run
from archdsl.train.tasks import HEADS, PRETRAIN, by_head
from archdsl.train.weights import Initial, counts_text, note_of, read_tensors, show
from archdsl.transfer.plan import Rules
from archdsl.transfer.steps import NEW
from archdsl.weights.convert import shapes
from archdsl.weights.plan import OWN
from archdsl.weights.runs import weights_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.pipeline import Analysis
    from archdsl.train.run import Run, Spec
    from archdsl.transfer.plan import TransferPlan

_LISTED = 5  # classes in a message
_KINDS = {BEST: "the best epoch in validation", WEIGHTS: "the last epoch"}


@dataclass(frozen=True, eq=False)
class Previous:
    """A run, and the file with its weights."""

    folder: Path
    run: Run
    spec: Spec
    file: Path

    @property
    def path(self) -> str:
        """The spec of the run: a file in its folder, or the name of a bundled one."""
        return self.spec.name if self.spec.name in bundled_specs() else str(self.folder / SPECS / self.spec.name)

    def analysis(self) -> Analysis:
        """Return the analysis of the run's network.

        Raises:
            SpecError: if the spec has faults in this version of archdsl.
            UsageError: if the file of the spec is missing.
        """
        spec, settings = self.spec, [parse_binding(Source("--set", text)) for text in self.spec.settings]
        return analyse(
            read_source(bundled_specs().get(spec.name, self.path)), FileLibrary(), settings, spec.clip, spec.like
        )

    def initial(self, analysis: Analysis, classes: Sequence[str]) -> Initial:
        """Return the initial weights of another network, of which classes of the run keep their rows of the head.

        Args:
            analysis: the network to initialise.
            classes: the names of its classes.

        Raises:
            SpecError: if the file cannot be read.
            WeightsError: if the weights are not those of the run's network.
        """
        base, arch = Architecture(self.analysis()), Architecture(analysis)
        tensors, warnings, kind = read_tensors(str(self.file), base.tensors)
        if shapes(tensors) != base.tensors:
            network = f"the network of {self.folder} (spec {self.spec.name})"
            raise WeightsError(f"{self.file}: has other tensors than {network}; name its own spec with --weights-spec")
        plan = plan_transfer(self.analysis(), analysis, FileLibrary(), self._rules(analysis, classes))
        show([*warnings, *plan.warnings])
        initial = transferred(plan, base.plan_weights(OWN), tensors, arch, str(self.file))
        note = note_of(str(self.file), kind or _KINDS.get(self.file.name, ""), counts_text(plan))
        return Initial(initial, "\n".join([note, *self._class_lines(plan, analysis, classes)]))

    def _rules(self, analysis: Analysis, classes: Sequence[str]) -> Rules:
        """Return the rules of a transfer: classes keep their rows; of several heads, those of others are new."""
        old = self.run.classes
        if not classes:  # of a pre-training
            return Rules()
        if self.run.task != HEADS or len(analysis.network.outputs) == 1:
            return Rules(classes=tuple(old.index(name) if name in old else -1 for name in classes))
        return Rules(new=tuple(f"head.{head}.*" for head, same in self._heads(analysis, classes).items() if not same))

    def _heads(self, analysis: Analysis, classes: Sequence[str]) -> dict[str, bool]:
        """Return for each of several heads whether it has the classes of the run's head of that name."""
        before = dict(zip(self.analysis().network.outputs, by_head(self.run.classes).values(), strict=True))
        now = dict(zip(analysis.network.outputs, by_head(classes).values(), strict=True))
        return {head: before.get(head) == own for head, own in now.items()}

    def _class_lines(self, plan: TransferPlan, analysis: Analysis, classes: Sequence[str]) -> list[str]:
        """Return a line about the classes that the head keeps, unless they are the same."""
        old = self.run.classes
        if tuple(classes) == old or self.run.task == PRETRAIN:
            return []
        if self.run.task == HEADS and len(analysis.network.outputs) > 1:
            new = [head for head, same in self._heads(analysis, classes).items() if not same]
            return [f"classes: those of {', '.join(new)} are others, so that head is new"]
        head = [e for e in plan.entries if e.name.startswith("head.") and e.shape[:1] == (len(classes),)]
        if not set(old) & set(classes):
            names = self.folder / "classes.txt"
            return [f"classes: none is one of {names}, so the head is new; `--classes {names}` names indices of lists"]
        if all(entry.how == NEW for entry in head):
            return [f"classes: the head is new: {head[0].why}" if head else "classes: the head is another one"]
        kept = [name for name in classes if name in old]
        parts = [f"classes: {len(kept)} of {len(classes)} keep their weights in the head"]
        parts += [f"new: {_listed(c for c in classes if c not in old)}"] * (len(kept) < len(classes))
        parts += [f"left out: {_listed(c for c in old if c not in classes)}"] * (len(kept) < len(old))
        return ["; ".join(parts)]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_LISTED]) + f" and {len(names) - _LISTED} more" * (len(names) > _LISTED)


def previous_run(name: str) -> Previous | None:
    """Return the run of a folder, or of a file of weights in one; None for other files.

    Of a folder, the weights of the best epoch are taken, or else those of the last one.

    Raises:
        UsageError: if a folder has no run, or its run no weights or no record of its spec.
        DataError: if the files of the run are damaged.
    """
    path = Path(name)
    is_folder = path.is_dir()
    around = path.parent, path.parent.parent, *path.absolute().parents[:2]
    folder = path if is_folder else next((p for p in around if (p / CONFIG).is_file()), None)
    if folder is None:
        return None
    run = load_run(folder)
    files = weights_files(folder)
    if is_folder and not files:
        raise UsageError(f"{folder}: has no weights yet: no epoch of the run has ended")
    if run.spec is None:
        if not is_folder:
            return None
        hint = f"--weights {files[0]} --weights-spec SPEC"
        raise UsageError(f"{folder}: a run of an earlier version, which has no record of its spec; write {hint}")
    return Previous(folder, run, run.spec, files[0] if is_folder else path)
