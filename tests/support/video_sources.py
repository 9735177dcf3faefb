"""The videos of a folder `train|val/CLASS/NAME.mp4` in the other forms that a set of videos can have."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import av
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KINDS = ("frames", "gif", "list", "tar", "parquet", "arrow")
SPLITS = ("train", "val")


def made(kind: str, videos: Path, folder: Path) -> list[str]:
    """Write videos in another form; return the options of `archdsl train` that name them."""
    makers = {"frames": frames, "gif": gifs, "list": published, "tar": shards, "parquet": parquet, "arrow": saved}
    makers[kind](videos, folder)
    if kind == "list":
        return ["--data", str(folder / "something-something-v2-train.json"), "--root", str(folder)]
    if kind == "tar":
        return ["--data", str(folder / "train-{000..002}.tar"), "--val", str(folder / "val-*.tar")]
    return ["--data", str(folder)]


def ordered(videos: Path, split: str) -> list[Path]:
    """Return the videos of a split in the order of a folder."""
    return sorted((videos / split).glob("*/*.mp4"))


def frames(videos: Path, folder: Path) -> None:
    """Write folders of frames without loss."""
    for path in (p for split in SPLITS for p in ordered(videos, split)):
        place = folder / path.relative_to(videos).with_suffix("")
        place.mkdir(parents=True)
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0), 1):
                frame.to_image().save(place / f"img_{number:05}.png", compress_level=0)


def gifs(videos: Path, folder: Path) -> None:
    """Write GIFs."""
    for path in (p for split in SPLITS for p in ordered(videos, split)):
        place = folder / path.relative_to(videos).with_suffix(".gif")
        place.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path)) as container, av.open(str(place), "w") as output:
            stream: Any = output.add_stream("gif", rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb8"
            for frame in container.decode(video=0):
                output.mux(stream.encode(frame.reformat(format="rgb8")))
            output.mux(stream.encode(None))


def published(videos: Path, folder: Path) -> None:
    """Write the lists of Something-Something V2, beside links to the videos."""
    folder.mkdir()
    for split, name in zip(SPLITS, ("train", "validation"), strict=True):
        entries = []
        for number, path in enumerate(ordered(videos, split)):
            (folder / f"{split}{number}.webm").symlink_to(path)
            entries.append({"id": f"{split}{number}", "template": path.parent.name})
        (folder / f"something-something-v2-{name}.json").write_text(json.dumps(entries))
    (folder / "something-something-v2-labels.json").write_text('{"left": "0", "right": "1"}')


def shards(videos: Path, folder: Path) -> None:
    """Write three tar files for training and one for validation, in the form of WebDataset."""
    folder.mkdir()
    for split, count in zip(SPLITS, (3, 1), strict=True):
        paths = ordered(videos, split)
        each = -(-len(paths) // count)
        for number in range(count):
            members = []
            for path in paths[number * each : (number + 1) * each]:
                key = f"{path.parent.name}_{path.stem}"
                members += [(f"{key}.mp4", path.read_bytes()), (f"{key}.txt", f"{path.parent.name}\n".encode())]
            tar(folder / f"{split}-{number:03}.tar", members)


def tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar file."""
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def rows(videos: Path, split: str) -> Any:
    """Return a table of a split, as `datasets` writes it."""
    arrow = pytest.importorskip("pyarrow")
    paths = ordered(videos, split)
    features = {"video": {"_type": "Video"}, "label": {"names": ["left", "right"], "_type": "ClassLabel"}}
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    schema = arrow.schema([("video", kind), ("label", arrow.int64())])
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    labels = [int(path.parent.name == "right") for path in paths]
    text = json.dumps({"info": {"features": features}})
    return arrow.table({"video": cells, "label": labels}, schema.with_metadata({"huggingface": text}))


def parquet(videos: Path, folder: Path) -> None:
    """Write the files of a repository on the hub: `data/train-00000-of-00001.parquet` and that for validation."""
    writer = pytest.importorskip("pyarrow.parquet")
    (folder / "data").mkdir(parents=True)
    for split, name in zip(SPLITS, ("train", "validation"), strict=True):
        table = rows(videos, split)
        writer.write_table(table, folder / "data" / f"{name}-00000-of-00001.parquet", row_group_size=5)


def saved(videos: Path, folder: Path) -> None:
    """Write the folder that `DatasetDict.save_to_disk` writes."""
    arrow = pytest.importorskip("pyarrow")
    for split, name in zip(SPLITS, ("train", "validation"), strict=True):
        place, table = folder / name, rows(videos, split)
        place.mkdir(parents=True)
        files = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
        for number, file in enumerate(files):
            part = table.slice(number * 7, 7 if number == 0 else None)
            with arrow.OSFile(str(place / file), "wb") as sink, arrow.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(part, max_chunksize=3)
        (place / "state.json").write_text(json.dumps({"_data_files": [{"filename": file} for file in files]}))
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
