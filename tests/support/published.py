"""Tiny data sets in the folders, files and lists of UCF101, HMDB51, Something-Something and others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PIL import Image
from small_videos import numbered, write

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 8
SIZE = (32, 32)


def video(path: Path, codec: str = "mpeg4") -> None:
    """A video of 8 frames of 32×32 pixels."""
    write(path, FRAMES, codec=codec, size=SIZE)


def frames(folder: Path, count: int = FRAMES, name: str = "{:05}.jpg", first: int = 1) -> None:
    """A folder of frames, which show their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.fromarray(numbered(number, 32, 90)).save(folder / name.format(number), quality=95)


def lines(path: Path, *rows: str) -> None:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), "utf-8")


def ucf101(folder: Path) -> None:
    """Two classes of two groups: `UCF-101/` with the videos, `ucfTrainTestlist/` with two splits."""
    lists: dict[str, list[str]] = {f"{part}list0{fold}": [] for part in ("train", "test") for fold in (1, 2)}
    for number, label in enumerate(("ApplyEyeMakeup", "Archery"), 1):
        for group in (1, 2):
            for clip in (1, 2):
                name = f"{label}/v_{label}_g0{group}_c0{clip}.avi"
                video(folder / "UCF-101" / name)
                for fold in (1, 2):
                    test = group == fold
                    lists[f"{'test' if test else 'train'}list0{fold}"].append(name if test else f"{name} {number}")
    for name, rows in lists.items():
        lines(folder / "ucfTrainTestlist" / f"{name}.txt", *rows)
    lines(folder / "ucfTrainTestlist" / "classInd.txt", "1 ApplyEyeMakeup", "2 Archery")


def hmdb51(folder: Path) -> None:
    """Two classes: `hmdb51/` with the videos, `testTrainMulti_7030_splits/` with two splits."""
    for label in ("brush_hair", "cartwheel"):
        names = [f"{clip}_{label}_u_nm_np1_ba_goo_{clip}.avi" for clip in range(4)]
        for name in names:
            video(folder / "hmdb51" / label / name)
        for fold, marks in ((1, "1120"), (2, "2101")):
            rows = [f"{name} {mark} " for name, mark in zip(names, marks, strict=True)]
            lines(folder / "testTrainMulti_7030_splits" / f"{label}_test_split{fold}.txt", *rows)


def twentybn(folder: Path, name: str, labels: tuple[str, str]) -> None:
    """Something-Something V1 or Jester: folders of frames, and lists `id;label`."""
    for number in range(1, 8):
        frames(folder / f"20bn-{name}" / str(number))
    lines(folder / f"{name}-labels.csv", *labels)
    lines(folder / f"{name}-train.csv", *[f"{n};{labels[n % 2]}" for n in (1, 2, 3, 4)])
    lines(folder / f"{name}-validation.csv", *[f"{n};{labels[n % 2]}" for n in (5, 6)])
    lines(folder / f"{name}-test.csv", "7")


def epic(folder: Path) -> None:
    """EPIC-KITCHENS-100: segments of frames, two of one video, with verbs and nouns."""
    frames(folder / "P01" / "rgb_frames" / "P01_01", 20, "frame_{:010}.jpg")
    frames(folder / "P02" / "rgb_frames" / "P02_03", 20, "frame_{:010}.jpg")
    header = (
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,"
        "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    )
    first = "P01_01_0,P01,P01_01,00:00:00.10,00:00:00.00,00:00:00.20,1,10,take cup,take,0,cup,2,['cup'],[2]"
    other = "P01_01_1,P01,P01_01,00:00:00.30,00:00:00.22,00:00:00.40,11,20,put cup,put,1,cup,2,['cup'],[2]"
    last = "P02_03_0,P02,P02_03,00:00:00.10,00:00:00.10,00:00:00.30,5,14,take lid,take,0,lid,1,\"['lid', 'p']\",[1]"
    lines(folder / "EPIC_100_train.csv", header, first, other)
    lines(folder / "EPIC_100_validation.csv", header, last)
    verbs = "0,take,\"['take', 'get']\",x", "1,put,['put'],x"
    lines(folder / "EPIC_100_verb_classes.csv", "id,key,instances,category", *verbs)
    lines(folder / "EPIC_100_noun_classes.csv", "id,key,instances,category", "0,pan,x,x", "1,lid,x,x", "2,cup,x,x")


def diving48(folder: Path) -> None:
    """Diving48: JSON lists, and a vocabulary of four words for each dive."""
    for number in range(3):
        video(folder / "rgb" / f"dive_0000{number}.mp4")
    entries = [{"vid_name": f"dive_0000{n}", "label": n % 2, "start_frame": 0, "end_frame": 8} for n in range(3)]
    vocabulary = [["Back", "15som", "05Twis", "FREE"], ["Forward", "25som", "NoTwis", "PIKE"]]
    for name, data in (("V2_train", entries[:2]), ("V2_test", entries[2:]), ("vocab", vocabulary)):
        (folder / f"Diving48_{name}.json").write_text(json.dumps(data))


CHARADES = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length,egocentric"


def charades(folder: Path) -> None:
    """Charades: lists of videos with all their actions, one of them without any, and three classes."""
    actions = {"46GP8": "c001 11.90 21.20;c002 0.00 12.60;c001 30.00 31.00", "N11GT": "", "0IH69": "c000 0.00 5.30"}
    rows = [f'{v},HR43,Kitchen,6,7,Yes,"A person, then",food,"cooks, eats",{a},24.83,No' for v, a in actions.items()]
    for name in actions:
        video(folder / "Charades_v1_480" / f"{name}.mp4")
    lines(folder / "Charades_v1_train.csv", CHARADES, *rows[:2])
    lines(folder / "Charades_v1_test.csv", CHARADES, rows[2])
    lines(folder / "Charades_v1_classes.txt", "c000 Holding some clothes", "c001 Putting clothes", "c002 Taking a bag")


def rawframes(folder: Path) -> None:
    """Folders of frames as mmaction2 extracts them, with optical flow beside, and its lists `folder frames label`."""
    for label in ("run", "jump"):
        for number in range(3):
            place = folder / "rawframes" / label / f"video{number}"
            frames(place, name="img_{:05}.jpg")
            frames(place, name="flow_x_{:05}.jpg")
            frames(place, name="flow_y_{:05}.jpg")
    rows = [f"{label}/video{n} {FRAMES} {i}" for i, label in enumerate(("run", "jump")) for n in range(3)]
    lines(folder / "train_rawframes.txt", *rows)
