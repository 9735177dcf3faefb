"""Write the table of specs in README.md and specs/index.json; `make generated` runs it, a test holds both."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import archdsl  # noqa: E402
from archdsl.resources import bundled_specs  # noqa: E402

README = ROOT / "README.md"
INDEX = ROOT / "specs" / "index.json"
HEAD = (
    "| spec | clip | parameters | multiply-adds | published parameters | published multiply-adds |\n"
    "|---|---|---|---|---|---|"
)
# The families in the order of the survey, by how the names of their specs begin.
FAMILIES = (
    "i3d_inception",
    "i3d_two",
    "c2d",
    "i3d",
    "r2d",
    "fr2d",
    "r3d",
    "mc",
    "rmc",
    "r2plus1d",
    "slowfast",
    "slow",
    "fast",
    "vtn",
    "timesformer",
    "vivit",
    "mvit_",
    "mvitv2",
    "swin3d",
)


def row(path: Path) -> str:
    """One spec, at the clip that its figures are published for, else at its own."""
    published = archdsl.load(path)._analysis.network.published
    arch = archdsl.load(path, clip=published.clip if published else None)
    first = next(data for _, data in arch.graph.nodes(data=True) if data["kind"] == "input")
    clip = "×".join(map(str, first["shape"]))
    params = f"{published.params / 1e6:.5g} M" if published and published.params else "–"
    macs = f"{published.macs / 1e9:.5g} G" if published and published.macs else "–"
    return f"| `{path.stem}` | `{clip}` | {arch.params / 1e6:.2f} M | {arch.macs / 1e9:.2f} G | {params} | {macs} |"


def family(path: Path) -> tuple[int, str]:
    """Where a spec stands in the table."""
    return next(i for i, f in enumerate(FAMILIES) if path.stem.startswith(f)), path.stem


def page(text: str) -> str:
    """The page with its table as it should be."""
    begin, end = "<!-- specs -->\n", "<!-- end of specs -->"
    before, rest = text.split(begin)
    rows = [row(path) for path in sorted((ROOT / "specs").glob("*.arch"), key=family)]
    return before + begin + "\n".join([HEAD, *rows]) + "\n" + end + rest.split(end)[1]


def index() -> str:
    """Return what `archdsl list` shows of each bundled spec, as JSON with a line for each."""
    lines: list[str] = []
    for name, path in bundled_specs().items():
        arch = archdsl.load(path)
        network = arch._analysis.network
        clip = [int(n) for n in network.node(next(iter(network.clips.values()))).shape.shape]
        doc = network.doc.strip().partition("\n")[0].strip()
        entry = {"doc": doc, "clip": clip, "params": arch.params, "macs": arch.macs}
        lines.append(f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    INDEX.write_text(index(), "utf-8")
    README.write_text(page(README.read_text("utf-8")), "utf-8")
