"""`archdsl predict`: see `train`."""

from archdsl.commands.train import predict as command

__all__ = ["command"]
