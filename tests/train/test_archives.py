"""Videos in tar files and Hugging Face datasets, and the clips of every kind of source, also where a run resumes."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
import video_sources
from training import PLAIN, train

from archdsl.files import DataError, EnvironmentFault, UsageError
from archdsl.train.data.check import check_data
from archdsl.train.data.clips import Sampling
from archdsl.train.data.dataset import Clips
from archdsl.train.data.listing import Split, read_split, read_tested, read_unlabelled
from archdsl.train.data.opening import open_sample
from archdsl.train.data.sources.files import expanded
from archdsl.train.data.video import VideoError
from archdsl.train.engine import Engine
from archdsl.train.loading import TrainLoader
from archdsl.train.synthetic import FPS

if TYPE_CHECKING:
    from collections.abc import Sequence


def split_of(options: Sequence[str]) -> Split:
    """The videos of options of `archdsl train`."""
    named = Namespace(data=None, val=None, root=None)
    for name, value in zip(options[::2], options[1::2], strict=True):
        setattr(named, name.lstrip("-"), Path(value))
    return read_split(named.data, named.val, named.root)


def loader(split: Split, rank: int = 0, **engine: int) -> TrainLoader:
    clips = Clips(split.train, Sampling(4, 2, FPS), (16, 16), training=True, flip=True, decoder="pyav")
    return TrainLoader(clips, Engine(**{"batch": 8, "workers": 0} | engine), rank)


def batches(loader: TrainLoader, count: int | None = None) -> list[torch.Tensor]:
    """The clips of an epoch, or of its first batches."""
    found: list[torch.Tensor] = []
    for batch in loader:
        assert not batch["problems"]
        found.append(batch["clip"])
        if len(found) == count:
            break
    return found


@pytest.fixture(scope="module")
def expected(videos: Path) -> list[torch.Tensor]:
    """The clips of an epoch of the folder of videos."""
    return batches(loader(read_split(videos)))


@pytest.mark.parametrize("kind", video_sources.KINDS)
def test_clips_of_every_source(kind: str, expected: list[torch.Tensor], videos: Path, tmp_path: Path) -> None:
    """The clips are those of the same videos as files; after a restart, and of two processes, they are the same."""
    options = video_sources.made(kind, videos, tmp_path / "data")
    split = split_of(options)
    assert (len(split.train), len(split.val), split.classes) == (24, 6, ("left", "right"))
    clips = batches(loader(split))
    if kind != "gif":  # 256 colours
        expected_bytes = [batch.numpy().tobytes() for batch in expected]
        assert [batch.numpy().tobytes() for batch in clips] == expected_bytes
    begun = loader(split)
    batches(begun, 2)
    resumed = loader(split_of(options), workers=int(kind in {"tar", "parquet"}))
    resumed.set_position(resumed.restored(json.loads(json.dumps(begun.state())))[0])
    assert torch.equal(torch.cat(batches(resumed)), torch.cat(clips[2:]))
    halves = [batches(loader(split, rank, devices=2), 1)[0] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), clips[0])


# --- tar files --------------------------------------------------------------------------------------------------------


def shard(path: Path, video: bytes, **texts: str) -> Path:
    """A tar file with a video for each class `a` and `b`, the first with texts of its own."""
    members = [("x/1.mp4", video), *((f"x/1.{suffix}", text.encode()) for suffix, text in texts.items())]
    video_sources.tar(path, [*members, ("x/2.b.json", b"{}"), ("x/2.mp4", video), ("x/2.cls", b"b")])
    return path


@pytest.fixture(scope="module")
def video(videos: Path) -> bytes:
    return (videos / "val/left/000.mp4").read_bytes()


@pytest.mark.parametrize(
    ("texts", "label"),
    [
        ({"cls": "a\n"}, "a"),
        ({"txt": "a c"}, "a c"),
        ({"json": '{"fps": 25, "label": "a"}'}, "a"),
        ({"json": '"a"', "txt": "a caption"}, "a"),
        ({"txt": "a caption", "cls": "a"}, "a"),
    ],
    ids=str,
)
def test_classes_of_members(texts: dict[str, str], label: str, video: bytes, tmp_path: Path) -> None:
    split = read_tested(shard(tmp_path / "s.tar", video, **texts))
    assert split.classes == tuple(sorted((label, "b")))
    sample = next(s for s in split.val if split.classes[s.label] == label)
    assert sample.path == f"{tmp_path}/s.tar/x/1.mp4"
    with open_sample(sample) as reader:
        assert reader.video.frames == 24
        assert reader.read([0.0]).shape == (1, 64, 64, 3)
    assert len(read_unlabelled(tmp_path / "s.tar")) == 2


def test_a_label_of_several(video: bytes, tmp_path: Path) -> None:
    text = '{"verb": "cut", "noun": 3}'
    path = tmp_path / "s.tar"
    video_sources.tar(
        path, [("1.mp4", video), ("1.json", text.encode()), ("2.mp4", video), ("2.json", b'{"verb": "eat"}')]
    )
    assert read_split(path, label="verb").classes == ("cut", "eat")
    with pytest.raises(UsageError, match=r"--label noun: .*member 2\.mp4 has json beside it"):
        read_split(path, label="noun")


def test_several_classes_and_numbers_of_members(video: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    texts = [
        '{"label": ["run", "jump"], "x": 1.5, "y": 2, "target": 7}',
        '{"label": [], "x": 0, "y": 3}',
        '{"label": ["run"], "x": -1, "y": 4}',
    ]
    members = [
        (f"{n}.{suffix}", data) for n, t in enumerate(texts) for suffix, data in (("mp4", video), ("json", t.encode()))
    ]
    video_sources.tar(path, members)
    split = read_tested(path, task="multilabel")
    assert (split.classes, [s.labels for s in split.val]) == (("jump", "run"), [(0, 1), (), (1,)])
    split = read_tested(path, task="regression", label="x, y")
    assert (split.classes, [s.numbers for s in split.val]) == (("x", "y"), [(1.5, 2.0), (0.0, 3.0), (-1.0, 4.0)])
    with pytest.raises(DataError, match=r'member 0\.mp4: the video has several classes, \["run", "jump"\]'):
        read_tested(path)
    assert len(read_unlabelled(path)) == 3


def test_splits_by_names_of_shards(video: bytes, tmp_path: Path) -> None:
    for name in ("set-train-0", "set-train-1", "set-val-0", "set-test-0"):
        shard(tmp_path / f"{name}.tar", video, cls="a")
    split = read_split(tmp_path)
    assert (len(split.train), len(split.val)) == (4, 2)
    assert "from the names of the tar files" in split.note
    assert "2 lines of other splits ignored" in split.note
    (tmp_path / "folders").mkdir()
    for name in ("train", "val"):
        (tmp_path / "folders" / name).mkdir()
        shard(tmp_path / "folders" / name / "0.tar", video, cls="a")
    assert len(read_split(tmp_path / "folders").val) == 2


def test_patterns(tmp_path: Path, video: bytes) -> None:
    assert expanded("a{08..10}b{x,y}") == ["a08bx", "a08by", "a09bx", "a09by", "a10bx", "a10by"]
    assert expanded("{8..10}") == ["8", "9", "10"]
    shard(tmp_path / "s-0.tar", video, cls="a")
    with pytest.raises(UsageError, match=r"no such file: .*s-1\.tar, .*s-2\.tar; expected 3 files"):
        read_split(tmp_path / "s-{0..2}.tar")
    with pytest.raises(UsageError, match=r"no such file: .*t-\*\.tar"):
        read_split(tmp_path / "t-*.tar")


def test_tar_files_that_cannot_be_read(video: bytes, tmp_path: Path) -> None:
    good = shard(tmp_path / "good.tar", video, cls="a").read_bytes()
    (tmp_path / "cut.tar").write_bytes(good[: 512 + len(video) // 2])
    (tmp_path / "text.tar").write_text("no tar file\n" * 100)
    (tmp_path / "s.tar.gz").touch()
    shard(tmp_path / "bare.tar", video)
    video_sources.tar(tmp_path / "twice.tar", [("1.mp4", video), ("1.webm", video)])
    video_sources.tar(tmp_path / "none.tar", [("1.jpg", b"")])
    expected = {
        "cut.tar": r"is truncated: it ends within x/1\.mp4", "text.tar": "cannot be read as a tar file",
        "s.tar.gz": r"is compressed.* decompress it", "twice.tar": r"two videos 1: 1\.mp4 and 1\.webm",
        "bare.tar": r"member x/1\.mp4: has no class; expected x/1\.cls", "none.tar": "has no videos",
    }  # fmt: skip
    for name, message in expected.items():
        with pytest.raises(DataError, match=message):
            read_split(tmp_path / name)


def test_a_shard_that_changes_is_noticed(video: bytes, tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", video, cls="a")
    split = read_tested(path)
    video_sources.tar(path, [("1.mp4", b""), ("1.cls", b"a"), ("2.mp4", video[:100]), ("2.cls", b"b")])
    findings = check_data(read_tested(path), workers=0).findings
    assert [f.problem for f in findings] == ["is empty (0 bytes)", "is not a video, or is damaged at the start"]
    path.unlink()
    with pytest.raises(VideoError, match="No such file"):
        open_sample(split.val[0])


def test_duplicates_in_tar_files(video: bytes, videos: Path, tmp_path: Path) -> None:
    shard(tmp_path / "train.tar", video, cls="a")
    other = (videos / "val/left/001.mp4").read_bytes()
    video_sources.tar(tmp_path / "val.tar", [("1.mp4", other), ("1.cls", b"a"), ("2.mp4", video), ("2.cls", b"b")])
    report = check_data(read_split(tmp_path), workers=0, full=True)
    assert not report.faulty
    pairs = {(Path(one).name, Path(other).name) for one, other in report.duplicates}
    assert pairs == {("1.mp4", "2.mp4"), ("2.mp4", "2.mp4")}


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def test_a_missing_package_is_named_before_a_folder_is_made(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "train.parquet").touch()
    run = tmp_path / "run"
    assert train(spec, "--data", tmp_path / "train.parquet", "-o", run, *PLAIN) == 1
    assert "pip install 'archdsl[huggingface]'" in capsys.readouterr().err
    assert not run.exists()
    with pytest.raises(EnvironmentFault, match="need pyarrow"):
        read_split(tmp_path)


def test_columns_and_labels(videos: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    writer = pytest.importorskip("pyarrow.parquet")
    paths = video_sources.ordered(videos, "val")[2:5]
    columns = {"file": [str(p) for p in paths], "n": [1, 2, 3], "action": ["a", "b", None]}
    writer.write_table(arrow.table(columns), tmp_path / "paths.parquet")
    samples = read_unlabelled(tmp_path / "paths.parquet")
    assert [s.path for s in samples] == columns["file"]
    assert samples[0].stored is None
    with pytest.raises(DataError, match="no column of classes; its columns are file, n, action"):
        read_split(tmp_path / "paths.parquet")
    with pytest.raises(DataError, match="row 2: has no class"):
        read_split(tmp_path / "paths.parquet", label="action")
    assert read_split(tmp_path / "paths.parquet", label="n").classes == ("1", "2", "3")
    writer.write_table(arrow.table({"a": [b"x"], "b": [b"y"], "label": [0]}), tmp_path / "two.parquet")
    with pytest.raises(DataError, match="several columns could be the videos: a, b"):
        read_split(tmp_path / "two.parquet")
    listed = {"file": columns["file"], "labels": [[0, 2], [], [1]], "x": [1.5, 2.0, 3.0], "y": [0, 1, 1]}
    names = {"labels": {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["a", "b", "c"]}}}
    text = json.dumps({"info": {"features": names}})
    table = arrow.table(listed).replace_schema_metadata({"huggingface": text})
    writer.write_table(table, tmp_path / "several.parquet")
    split = read_tested(tmp_path / "several.parquet", task="multilabel")
    assert (split.classes, [s.labels for s in split.val]) == (("a", "b", "c"), [(0, 2), (), (1,)])
    with pytest.raises(DataError, match=r"row 0: the video has several classes, \[0, 2\]; choose --task multilabel"):
        read_tested(tmp_path / "several.parquet")
    split = read_tested(tmp_path / "several.parquet", task="regression", label="x,y")
    assert [s.numbers for s in split.val] == [(1.5, 0.0), (2.0, 1.0), (3.0, 1.0)]
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"text\.parquet: cannot be read"):
        read_split(tmp_path / "text.parquet")
    cells = [{"bytes": paths[0].read_bytes(), "path": None}, {"bytes": None, "path": "x.mp4"}]
    writer.write_table(arrow.table({"video": cells, "label": ["a", "b"]}), tmp_path / "mixed.parquet")
    report = check_data(read_tested(tmp_path / "mixed.parquet"), workers=0)
    assert [f.problem for f in report.findings] == ["", "cannot be opened: row 1 has no bytes"]


def test_a_dataset_of_the_library(videos: Path, tmp_path: Path) -> None:
    """What `datasets` itself writes, where it is installed."""
    library: Any = pytest.importorskip("datasets")
    features = library.Features(
        video=library.Video(decode=False), label=library.ClassLabel(names=["still", "left", "right"])
    )
    parts = {}
    for split, name in (("train", "train"), ("val", "validation")):
        paths = video_sources.ordered(videos, split)
        cells = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
        labels = [1 + int(path.parent.name == "right") for path in paths]
        parts[name] = library.Dataset.from_dict({"video": cells, "label": labels}, features=features)
    library.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    parts["train"].to_parquet(tmp_path / "train.parquet")
    parts["validation"].shuffle(seed=1).save_to_disk(tmp_path / "shuffled")
    whole = batches(loader(read_split(videos)))
    for source in ("saved", "train.parquet"):
        split = read_split(tmp_path / source, tmp_path / "shuffled" if source != "saved" else None)
        assert split.classes == ("still", "left", "right")
        assert (len(split.train), len(split.val)) == (24, 6)
        assert "no videos of still" in split.note
        assert all(torch.equal(one, other) for one, other in zip(batches(loader(split)), whole, strict=True))
