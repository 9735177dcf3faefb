"""Writes the table of specs in README.md. `make generated` runs it, and a test does to see that the table holds."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import archdsl  # noqa: E402

README = ROOT / "README.md"
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


if __name__ == "__main__":
    README.write_text(page(README.read_text("utf-8")), "utf-8")
