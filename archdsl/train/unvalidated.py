"""The end of an epoch in a run without validation (`--no-val`)."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lightning import Callback

from archdsl.train.averages import Average
from archdsl.train.journal import Journal
from archdsl.train.norms import PreciseNorms

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class Unvalidated(Callback):
    """Callback that lets others do at the end of an epoch what they do around a validation.

    These are the statistics of precise batch norms, the moving average, the table of epochs and the file of weights.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Call the hooks of a validation, in their order."""
        callbacks: list[Any] = cast("Any", trainer).callbacks
        own = [callback for callback in callbacks if isinstance(callback, Average | Journal | PreciseNorms)]
        pl_module.eval()
        for name in ("on_validation_start", "on_validation_epoch_start", "on_validation_epoch_end"):
            for callback in own:
                getattr(callback, name)(trainer, pl_module)
