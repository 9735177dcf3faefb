"""The sides of a comparison: our modules of a spec and those of a peer, with the same weights. Needs torch alone."""

from __future__ import annotations

import copy
import statistics
from typing import TYPE_CHECKING, Any, Protocol

import table
import torch
from measure import Runner, Setting, channels_last, compared, contiguous, measured, peak_mib, runner
from peers import Clip, Peer, as_it_is

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Modules(Protocol):
    """Our modules of one spec, compiled now or beforehand."""

    def build(self, target: str) -> torch.nn.Module:
        """Return the module for `train` or `infer`, its weights at their start."""
        ...

    def convert(self, theirs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a peer's state dict by our names."""
        ...


def made_on(device: str, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Return a new module on a device; its weights are drawn there where its code allows that, which is faster."""
    if device == "cpu":
        return make()
    try:
        with torch.device(device):
            module = make()
    except (RuntimeError, TypeError, NotImplementedError):  # it mixes devices, or asks for numpy's numbers
        module = make()
    return module.to(device)


class Sides:
    """Our modules of a spec, for training and for inference, and those of a peer, with the same weights."""

    def __init__(
        self, peer: Peer | None, size: Clip, device: str, modules: Modules, targets: Sequence[str] = ("train", "infer")
    ) -> None:
        torch.manual_seed(0)
        self.size, self.device = size, device
        self.prepare = peer.prepare if peer else as_it_is
        self.theirs: dict[str, torch.nn.Module] = {}
        self.ours = {target: made_on(device, lambda t=target: modules.build(t)) for target in targets}
        weights: Mapping[str, torch.Tensor] = self.ours[targets[0]].state_dict()
        if peer:
            theirs = made_on(device, lambda: peer.make(size))
            with torch.no_grad():
                for weight in theirs.parameters():  # some begin at zero, and hide what is behind them
                    weight.add_(torch.randn_like(weight), alpha=0.02)
            weights = modules.convert(theirs.state_dict())
            self.theirs = {"shipped": theirs, "tuned": channels_last(copy.deepcopy(theirs))}
        for target, module in self.ours.items():
            if peer or target != targets[0]:
                module.load_state_dict(weights)

    def clip(self, batch: int) -> torch.Tensor:
        """Return the same clips (B, C, T, H, W) for all sides."""
        return torch.randn(batch, *self.size, generator=torch.Generator().manual_seed(0)).to(self.device)

    def difference(self, mode: str) -> float | None:
        """Return the largest difference of our outputs and the peer's, over the largest output; None without a peer."""
        if not self.theirs:
            return None
        clip = self.clip(1)
        return compared(self.ours[mode], self.theirs["shipped"], clip, self.prepare(clip))

    def runners(self, setting: Setting, backend: str = "inductor") -> list[Runner]:
        """Return all sides, ready to be timed; `backend` is that of torch.compile."""
        clip = self.clip(setting.batch)
        found = [runner("ours", self.ours[setting.mode], clip, setting, backend)]
        for side, model in self.theirs.items():
            given: Any = self.prepare(channels_last(clip)) if side == "tuned" else contiguous(self.prepare(clip))
            found.append(runner(side, model, given, setting, backend))
        return found


def cells(ready: Sequence[Runner], runs: int, setting: Setting, *, warm: bool) -> dict[str, float]:
    """Return the figures of `table.Row` for all sides: peak memory in training, medians, spreads and ratios."""
    found: dict[str, float] = {}
    if setting.mode == "train":
        found = {f"{r.name}_mib": peak_mib(r, setting.device) for r in ready}
    times = measured(list(ready), runs, setting.device, warm=warm)
    for name, seconds in times.items():
        found |= {name: statistics.median(seconds), f"{name}_spread": table.spread(seconds)}
        if name != "ours":
            found[f"{name}_ratio"] = table.ratio(seconds, times["ours"])
    return found
