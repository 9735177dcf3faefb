"""Draw the pictures of README and the pages, light and dark: `make pictures`. A test holds that they are up to date."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent.parent)]

from generate.pictures import themed  # noqa: E402

import archdsl  # noqa: E402


def pictures() -> dict[str, str]:
    """Return every picture by its file name."""
    return {
        **themed(archdsl.load("slowfast_r50"), "slowfast_r50"),
        **themed(of_page("tour.md", "net.arch", 0), "tour1", "layer"),
        **themed(of_page("tour.md", "net.arch", 1), "tour2", "block"),
        **themed(of_page("tour.md", "net.arch", 3), "tour4"),
        **themed(of_page("attention.md", "pooled.arch", 0), "pooled", "layer"),
    }


def of_page(page: str, file: str, index: int) -> archdsl.Architecture:
    """Return the network of a spec on a page; of several with one file name, by index."""
    text = (FOLDER.parent / page).read_text("utf-8")
    spec = re.findall(rf"^```arch file={re.escape(file)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[index]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_text(spec, "utf-8")
        return archdsl.load(path)


if __name__ == "__main__":
    for file, text in pictures().items():
        (FOLDER / file).write_text(text, "utf-8")
