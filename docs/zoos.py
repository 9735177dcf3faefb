"""Write docs/zoos.md: the networks of public model zoos, and how archdsl covers each.

`zoos/zoos.csv` has a row for each configuration file, hub function or checkpoint of eight zoos: its network, and the
spec, the settings and the variant that describe it. Configurations with the same network differ in optimiser, data or
sampling. `parameters` is the zoo's own figure, counted on the network that its own code builds. `python docs/zoos.py`
loads every network that is covered and compares its parameters with that figure, before it writes the page.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import archdsl  # noqa: E402

FOLDER = ROOT / "docs" / "zoos"
PAGE = ROOT / "docs" / "zoos.md"
AS_IS, SET, VARIANT, NOT = "as is", "by `--set`, `--like`", "by a variant", "not"
WAYS = (AS_IS, SET, VARIANT, NOT)
SOURCES = {
    "PySlowFast": "facebookresearch/SlowFast at 287ec00",
    "VTN": "bomri/SlowFast at 00a6820",
    "TimeSformer": "facebookresearch/TimeSformer at a5ef29a",
    "mmaction2": "open-mmlab/mmaction2 at 4d6c934: recognition, detection and PoseC3D",
    "Video-Swin": "SwinTransformer/Video-Swin-Transformer at db018fb, its own configurations",
    "pytorchvideo": "facebookresearch/pytorchvideo at f3142bb",
    "torchvision": "torchvision.models.video, 0.28",
    "transformers": "the video classifiers of transformers 5.24",
}
INTRODUCTION = """\
# Networks of public model zoos

Every configuration of eight public collections, and how archdsl covers its network: as a bundled spec, with `--set` or
`--like`, by a variant of at most six statements, or not. `python docs/zoos.py` writes this page from
[`zoos/zoos.csv`](zoos/zoos.csv), after it has loaded each network and compared its parameters with those of the network
that the zoo's own code builds.

- Networks are the same if spec, settings and clip are. Classes, frames, crop, depth, pooling and heads make a network;
  optimiser, data, sampling and drop rates do not.
- ✓: the parameters equal the zoo's, to the last digit. Without a mark its network was not built. Parts of training
  alone, such as TPN's auxiliary head, V-JEPA 2's predictor and momentum encoders, do not count.
- `--like` names the zoo whose checkpoints are meant; see [weights](weights.md).

"""


class Row(NamedTuple):
    """A configuration of a zoo."""

    zoo: str
    configuration: str
    network: str
    spec: str  # empty if archdsl does not cover it
    like: str
    set: str
    clip: str
    variant: str  # a file beside the table
    parameters: str  # those of the zoo, if they are known
    missing: str

    @property
    def how(self) -> str:
        if not self.spec:
            return NOT
        return VARIANT if self.variant else SET if self.set or self.like else AS_IS

    @property
    def command(self) -> str:
        """Return the spec with its options."""
        spec = f"{self.variant}.arch" if self.variant else self.spec
        like = [f"--like {self.like}"] if self.like else []
        return " ".join([spec, *like, *(f"--set {setting}" for setting in self.set.split()), f"--clip {self.clip}"])


def read() -> list[Row]:
    """Return the rows of the table."""
    with (FOLDER / "zoos.csv").open(encoding="utf-8", newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def networks(rows: list[Row]) -> list[Row]:
    """Return the first configuration of each network."""
    return list({(row.zoo, row.network): row for row in reversed(rows)}.values())[::-1]


def load(row: Row) -> archdsl.Architecture:
    """Load the network of a row."""
    spec = FOLDER / f"{row.variant}.arch" if row.variant else row.spec
    settings: dict[str, Any] = dict(setting.split("=", 1) for setting in row.set.split())
    return archdsl.load(spec, like=row.like or None, clip=row.clip, **settings)


def fault(row: Row) -> str:
    """Return what is wrong with a row whose network is covered; empty if nothing is."""
    try:
        found = load(row).params
    except archdsl.SpecError as error:
        return f"{row.network}: {error}"
    return (
        "" if row.parameters in ("", str(found)) else f"{row.network}: {found} parameters, {row.parameters} of the zoo"
    )


def page(rows: list[Row]) -> str:
    """Return the text of docs/zoos.md."""
    found = networks(rows)
    zoos = list(dict.fromkeys(row.zoo for row in rows))
    totals = [[zoo, *counts([row for row in found if row.zoo == zoo]), SOURCES[zoo]] for zoo in zoos]
    totals.append(["**all**", *counts(found), ""])
    parts = [INTRODUCTION, table(["zoo", "networks", *WAYS, "source"], totals)]
    for zoo in zoos:
        mine = [row for row in found if row.zoo == zoo]
        covered = [
            [
                row.network,
                f"`{row.command}`",
                f"{int(row.parameters):,} ✓" if row.parameters else "",
                configurations(row, rows),
            ]
            for row in mine
            if row.spec
        ]
        others = [[row.network, row.missing, configurations(row, rows)] for row in mine if not row.spec]
        parts.append(f"\n## {zoo}\n\n")
        parts += [table(["network", "spec", "parameters", "configurations"], covered)] if covered else []
        parts += (
            ["\nNot covered:\n\n", table(["network", "what is missing", "configurations"], others)] if others else []
        )
    return "".join(parts)


def counts(rows: list[Row]) -> list[str]:
    """Return the number of networks, and that of each way to cover them."""
    return [str(len(rows)), *(str(sum(row.how == way for row in rows)) for way in WAYS)]


def configurations(network: Row, rows: list[Row]) -> str:
    """Return the number of a network's configurations, and the name of the first."""
    same = sum((row.zoo, row.network) == (network.zoo, network.network) for row in rows)
    return f"`{network.configuration.rpartition('/')[2]}`" + (f" and {same - 1} more" if same > 1 else "")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    everything = read()
    faults = [text for row in networks(everything) if row.spec and (text := fault(row))]
    if faults:
        sys.exit("\n".join(faults))
    PAGE.write_text(page(everything), "utf-8")
