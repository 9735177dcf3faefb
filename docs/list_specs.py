"""Write specs/index.json, which `archdsl list` reads; `make generated` runs it, a test holds the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import archdsl  # noqa: E402
from archdsl.resources import bundled_specs  # noqa: E402

INDEX = ROOT / "specs" / "index.json"


def index(load: Callable[[Path], archdsl.Architecture] = archdsl.load) -> str:
    """Return what `archdsl list` shows of each bundled spec, as JSON with a line for each."""
    lines: list[str] = []
    for name, path in bundled_specs().items():
        arch = load(path)
        network = arch._analysis.network
        clip = [int(n) for n in network.node(next(iter(network.clips.values()))).shape.shape]
        doc = network.doc.strip().partition("\n")[0].strip()
        entry = {"doc": doc, "clip": clip, "params": arch.params, "macs": arch.macs}
        lines.append(f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    INDEX.write_text(index(), "utf-8")
