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

IMAGES = "Image networks"  # those of the folder `images`
GENERATED = Path(__file__).parent.parent.parent / "generated"

# Families in the order of their papers: how the names of their specs begin, and the title.
FAMILIES = {
    "C3D": ("c3d",),
    "I3D with Inception modules": ("i3d_inception", "i3d_two"),
    "P3D": ("p3d",),
    "C2D, I3D and non-local networks": ("c2d", "i3d"),
    "ResNets with 2D, 3D and (2+1)D convolutions": ("r2d", "fr2d", "r3d", "mc", "rmc", "r2plus1d", "unet_r3d"),
    "S3D": ("s3d",),
    "SlowFast": ("slowfast", "slow", "fast", "fpn_slow"),
    "Audiovisual SlowFast": ("avslowfast",),
    "TSM": ("tsm",),
    "CSN": ("csn",),
    "X3D": ("x3d",),
    "TPN": ("tpn",),
    "TANet": ("tanet",),
    "MoViNet": ("movinet",),
    "ConvNeXt": ("convnext3d",),
    "VTN": ("vtn",),
    "TimeSformer": ("timesformer",),
    "ViViT": ("vivit",),
    "MViT and MViTv2": ("mvit_", "mvit", "mvitv2", "rev_mvit"),
    "Video Swin": ("swin3d",),
    "UniFormer and UniFormerV2": ("uniformer", "uniformerv2"),
    "VideoMAE": ("videomae",),
    "X-CLIP": ("xclip",),
    "ST-Adapter": ("st_adapter",),
    "AIM": ("aim",),
    "Hiera": ("hiera",),
    "Video-FocalNet": ("videofocalnet",),
    "VideoPrism": ("videoprism",),
    "InternVideo2": ("internvideo2",),
    "V-JEPA 2": ("vjepa2",),
    IMAGES: (),
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


def files() -> dict[str, list[tuple[str, Path]]]:
    """Return the bundled specs of each family, in the order of the families and by name."""
    found: dict[str, list[tuple[str, Path]]] = {title: [] for title in FAMILIES}
    for name, file in sorted(bundled_specs().items(), key=lambda spec: (_place(spec[0]), spec[0])):
        found[_family(name, file)].append((name, file))
    return {title: specs for title, specs in found.items() if specs}


@cache
def entries(*, shortened: bool) -> dict[str, list[Entry]]:
    """Return the specs of `files`, loaded; shortened, the first one of each family."""
    return {title: [_entry(*spec) for spec in specs[: 1 if shortened else None]] for title, specs in files().items()}


def _entry(name: str, file: Path) -> Entry:
    arch = archdsl.load(file)
    clip = getattr(arch._analysis.network.published, "clip", None)
    at_clip = arch if clip in (None, clip_of(arch)) else archdsl.load(file, clip=clip)
    return Entry(name, file, arch, at_clip)


def _family(name: str, file: Path) -> str:
    if file.parent.name == "images":
        return IMAGES
    title = next((title for title, prefixes in FAMILIES.items() if name.startswith(prefixes)), None)
    if title is None:
        message = f"add the family of {name} to FAMILIES in {Path(__file__).name}, with a title for the gallery"
        raise LookupError(message)
    return title


def _place(name: str) -> int:
    return next((i for i, prefix in enumerate(PREFIXES) if name.startswith(prefix)), len(PREFIXES))


def overview(*, shortened: bool = False) -> str:
    """Return the tables of the gallery, one for each family, with links to the pages."""
    lines: list[str] = []
    for title, group in entries(shortened=shortened).items():
        rows = [_row(entry) for entry in group]
        names = "\n".join(f"gallery/{entry.name}" for entry in group)
        lines += [f"## {title}", "", HEAD, *rows, "", f":::{{toctree}}\n:hidden:\n\n{names}\n:::", ""]
    return "\n".join(lines)


HEAD = "| spec | clip | parameters | published | multiply-adds | published |\n|---|--:|--:|--:|--:|--:|"


def _row(entry: Entry) -> str:
    clip, params, macs, published_params, published_macs, _ = entry.figures
    cells = [f"[`{entry.name}`](gallery/{entry.name}.md)", clip, params, published_params, macs, published_macs]
    return f"| {' | '.join(cells)} |"


def write_pages(folder: Path, *, shortened: bool = False) -> None:
    """Write the pages and the pictures of the specs; files that have not changed keep their time."""
    folder.mkdir(exist_ok=True)
    made: dict[str, str] = {}
    for group in entries(shortened=shortened).values():
        for entry in group:
            made |= {f"{entry.name}.md": _page(entry), **pictures.themed(entry.arch, entry.name)}
    for old in folder.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
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
