"""`archdsl eval`: see `train`."""

from archdsl.commands.train import evaluate as command

__all__ = ["command"]
