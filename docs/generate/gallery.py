"""The gallery: a page for every bundled spec, and the table of all of them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import archdsl
from archdsl.files import FileLibrary
from archdsl.resources import bundled_specs
from archdsl.weights.sources import all_maps
from generate import pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

GENERATED = Path(__file__).parent.parent.parent / "generated"

# Families in the order of their papers: how the names of their specs begin, and the title.
FAMILIES = {
    "I3D with Inception modules": ("i3d_inception", "i3d_two"),
    "C2D, I3D and non-local networks": ("c2d", "i3d"),
    "ResNets with 2D, 3D and (2+1)D convolutions": ("r2d", "fr2d", "r3d", "mc", "rmc", "r2plus1d"),
    "SlowFast": ("slowfast", "slow", "fast"),
    "VTN": ("vtn",),
    "TimeSformer": ("timesformer",),
    "ViViT": ("vivit",),
    "MViT and MViTv2": ("mvit_", "mvit", "mvitv2"),
    "Video Swin": ("swin3d",),
    "Image networks": ("",),
}
PREFIXES = [prefix for prefixes in FAMILIES.values() for prefix in prefixes]


class Entry(NamedTuple):
    """A bundled spec, as the gallery shows it."""

    name: str
    file: Path
    arch: archdsl.Architecture
    at_clip: archdsl.Architecture  # at the clip that the published figures are for

    @property
    def network(self) -> Any:
        """The graph, which also holds the description and the published figures."""
        return self.arch._analysis.network

    @property
    def doc(self) -> str:
        """The first line of the description."""
        return self.network.doc.strip().partition("\n")[0].strip()

    @property
    def figures(self) -> tuple[str, ...]:
        """Clip, parameters and multiply-adds, the same as published, and the source of these."""
        published = self.network.published
        clip = "×".join(map(str, clip_of(self.at_clip)))
        params = f"{published.params / 1e6:.5g} M" if published and published.params else "–"
        macs = f"{published.macs / 1e9:.5g} G" if published and published.macs else "–"
        source = published.source if published and published.source else ""
        return clip, f"{self.at_clip.params / 1e6:.2f} M", f"{self.at_clip.macs / 1e9:.2f} G", params, macs, source

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Code bases whose checkpoints fit, with what the map says of them."""
        return [(w.source.text, w.doc or "") for w in all_maps(self.arch._analysis.program, FileLibrary())]


def clip_of(arch: archdsl.Architecture) -> tuple[int, ...]:
    """Return the size of the first input."""
    network = arch._analysis.network
    return tuple(int(n) for n in network.node(next(iter(network.clips.values()))).shape.shape)


@cache
def entries() -> dict[str, list[Entry]]:
    """Return the bundled specs of each family, in the order of the families and by name."""
    found: dict[str, list[Entry]] = {title: [] for title in FAMILIES}
    for name, file in bundled_specs().items():
        arch = archdsl.load(file)
        clip = getattr(arch._analysis.network.published, "clip", None)
        at_clip = arch if clip in (None, clip_of(arch)) else archdsl.load(file, clip=clip)
        found[_family(name, file)].append(Entry(name, file, arch, at_clip))
    return {title: sorted(group, key=lambda e: (_place(e.name), e.name)) for title, group in found.items()}


def _family(name: str, file: Path) -> str:
    if file.parent.name == "images":
        return "Image networks"
    return next(title for title, prefixes in FAMILIES.items() if name.startswith(prefixes))


def _place(name: str) -> int:
    return next(i for i, prefix in enumerate(PREFIXES) if name.startswith(prefix))


def overview() -> str:
    """Return the tables of the gallery, one for each family, with links to the pages."""
    lines: list[str] = []
    for title, group in entries().items():
        rows = [_row(entry) for entry in group]
        names = "\n".join(f"gallery/{entry.name}" for entry in group)
        lines += [f"## {title}", "", HEAD, *rows, "", f":::{{toctree}}\n:hidden:\n\n{names}\n:::", ""]
    return "\n".join(lines)


HEAD = "| spec | clip | parameters | published | multiply-adds | published |\n|---|--:|--:|--:|--:|--:|"


def _row(entry: Entry) -> str:
    clip, params, macs, published_params, published_macs, _ = entry.figures
    cells = [f"[`{entry.name}`](gallery/{entry.name}.md)", clip, params, published_params, macs, published_macs]
    return f"| {' | '.join(cells)} |"


def write_pages(folder: Path) -> None:
    """Write the page and the pictures of every spec; files that have not changed keep their time."""
    folder.mkdir(exist_ok=True)
    files: dict[str, str] = {}
    for group in entries().values():
        for entry in group:
            files |= {f"{entry.name}.md": _page(entry), **pictures.themed(entry.arch, entry.name)}
    for old in folder.iterdir():
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        file = folder / name
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")


def _page(entry: Entry) -> str:
    """The page of a spec: what it is, its diagram, cost, weights, text and module."""
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", entry.network.doc.strip())]
    cites = [f"> {' '.join(text.split())}" for text in entry.network.citations]
    return "\n\n".join(
        [
            f"# {entry.name}", *paragraphs, *cites, _picture(entry.name),
            "## Cost", _cost(entry),
            "## Published weights", _weights(entry),
            "## Spec and module", _code(entry),
        ]
    )  # fmt: skip


def _picture(name: str) -> str:
    shown = [
        f"![Diagram of the stages of {name}]({name}-{theme}.svg){{.diagram .only-{theme}}}" for theme in pictures.THEMES
    ]
    return "\n".join([*shown, "", f"`archdsl draw {name} -o {name}.svg`; `--level block` and `layer` show more."])


def _cost(entry: Entry) -> str:
    clip, params, macs, published_params, published_macs, source = entry.figures
    table = "\n".join(
        [
            f"| at {clip} | archdsl | published |", "|---|--:|--:|",
            f"| parameters | {params} | {published_params} |",
            f"| multiply-adds | {macs} | {published_macs} |",
        ]
    )  # fmt: skip
    return "\n\n".join(filter(None, [table, source and f"Published: {source}.", f"`archdsl cost {entry.name}`"]))


def _weights(entry: Entry) -> str:
    if not entry.sources:
        return "No published checkpoint has a map of names for this spec."
    rows = [f"| `{source}` | {doc} |" for source, doc in entry.sources]
    table = "\n".join(["| `--from` | checkpoints |", "|---|---|", *rows])
    return f"{table}\n\n[Published weights](../weights.md) has the steps to convert them."


def _code(entry: Entry) -> str:
    module = GENERATED / f"{entry.name}.py"
    text = module.read_text("utf-8") if module.exists() else entry.arch.source()
    return "\n".join(
        [
            "::::{tab-set}",
            *_tab("Spec", "arch", entry.file.read_text("utf-8")),
            *_tab("Module", "python", text),
            "::::", "",
        ]
    )  # fmt: skip


def _tab(title: str, kind: str, text: str) -> Iterable[str]:
    return (f":::{{tab-item}} {title}", f"```{kind}", text.rstrip("\n"), "```", ":::")
