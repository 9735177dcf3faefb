"""Checks of installed packages."""

from __future__ import annotations

import traceback
from importlib.metadata import version

from archdsl.files import EnvironmentFault


def check_torchvision() -> None:
    """Raise EnvironmentFault if torchvision, which Lightning imports if it is installed, does not fit torch."""
    try:
        import lightning  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        if "torchvision" not in "".join(traceback.format_exception(error)):
            raise
        pair = " and ".join(f"{name} {version(name)}" for name in ("torchvision", "torch"))
        raise EnvironmentFault(
            f"{pair} do not fit each other ({str(error).splitlines()[0]}); archdsl does not need torchvision: install "
            "the version for this torch (pip install --upgrade torchvision), or pip uninstall torchvision"
        ) from None
