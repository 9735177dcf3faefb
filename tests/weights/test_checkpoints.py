"""Checkpoints in every form that people have: the tensors are read, or a diagnostic says what the file is."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections import OrderedDict, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from repository import ROOT
from safetensors.torch import load_file, save, save_file

import archdsl
from archdsl.cli import main
from archdsl.core.diagnostics import SpecError
from archdsl.weights.checkpoint import state_dict_of, without_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

NET = """\
arch net
param classes = 3
input clip: video[3, 2, 4, 4]
stage conv1 { conv(4, 1) -> bn }
head: avgpool -> linear(classes)
"""
MAP = """\
weights theirs for net
conv1.{layer}.{t} = backbone.{layer}.{t}
head.linear.{t} = cls_head.fc.{t}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec with a map, and the folder of the process."""
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(NET)
    Path("weights").mkdir()
    Path("weights/theirs.weights").write_text(MAP)
    return tmp_path


@cache
def whole() -> dict[str, torch.Tensor]:
    """A state dict that fits."""
    shapes = {"conv.weight": (4, 3, 1, 1, 1), **dict.fromkeys(("bn.weight", "bn.bias"), (4,))}
    shapes |= dict.fromkeys(("bn.running_mean", "bn.running_var"), (4,))
    found = {f"backbone.{n}": torch.rand(s) for n, s in shapes.items()}
    found["backbone.bn.num_batches_tracked"] = torch.tensor(7)
    return found | {"cls_head.fc.weight": torch.rand(3, 4), "cls_head.fc.bias": torch.rand(3)}


def changed(**tensors: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state dict with other tensors in place of the weight of the head, by the names of their kinds."""
    return whole() | {"cls_head.fc.weight": next(iter(tensors.values()))}


def converted(file: str, *options: str) -> int:
    Path("out.safetensors").unlink(missing_ok=True)
    return main(["weights", "convert", "net.arch", file, "--from", "theirs", "-o", "out.safetensors", *options])


# --- odd files -------------------------------------------------------------------------------------------------------


class Bomb:
    """An object that would write a file if it was unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


class Holder:
    """A class that a checkpoint can name."""


def of_torch(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


def numpy_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.zeros(3))
    return buffer.getvalue()


def numpy_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("tensors"))
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def cycle() -> dict[str, Any]:
    found: dict[str, Any] = {"epoch": 3}
    found["again"] = found
    return found


def chain(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = {"inner": value}
    return value


def pickled_chain(depth: int) -> bytes:
    """A dict in a dict, and so on, which no recursion has written."""
    return b"\x80\x02" + b"}X\x01\x00\x00\x00a" * depth + b"}" + b"s" * depth + b"."


def header(value: object, data: bytes = b"") -> bytes:
    """A safetensors file of this header."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def damaged(data: bytes, seed: int) -> bytes:
    """The same with some bytes changed."""
    chosen = random.Random(seed)
    found = bytearray(data)
    for _ in range(8):
        found[chosen.randrange(len(found))] = chosen.randrange(256)
    return bytes(found)


CAFFE2 = {"blobs": {"conv1_w": np.zeros(3, np.float32), "lr": 0.1}, "cfg": "x"}
# The file's bytes, and the code of the diagnostic.
ODD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "E0808"),
    "one byte": (lambda: b"\x80", "E0808"),
    "text": (lambda: b"hello, these are no weights\n", "E0808"),
    "zeros": (lambda: bytes(1000), "E0808"),
    "noise": (lambda: random.Random(1).randbytes(1000), "E0808"),
    "cut archive": (lambda: of_torch(whole())[:-200], "E0808"),
    "cut to its head": (lambda: of_torch(whole())[:64], "E0808"),
    "cut legacy file": (lambda: of_torch(whole(), _use_new_zipfile_serialization=False)[:-90], "E0808"),
    "a bomb": (lambda: of_torch({"x": Bomb()}), "E0810"),
    "a bomb of old": (lambda: of_torch({"x": Bomb()}, _use_new_zipfile_serialization=False), "E0810"),
    "a bare bomb": (lambda: pickle.dumps({"blobs": Bomb()}), "E0810"),
    "a whole module": (lambda: of_torch(torch.nn.Linear(2, 2)), "E0810"),
    "a class of theirs": (lambda: of_torch({"model": whole(), "args": Holder()}), "E0810"),
    "numpy in torch": (lambda: of_torch({"model": np.zeros(3)}), "E0810"),
    "Caffe2": (lambda: pickle.dumps(CAFFE2, protocol=2), "E0809"),
    "Caffe2 in text": (lambda: pickle.dumps(CAFFE2, protocol=0), "E0809"),
    "Caffe2, newest": (lambda: pickle.dumps(CAFFE2), "E0809"),
    "pickled arrays": (lambda: pickle.dumps({"w": np.zeros(3)}), "E0809"),
    "pickled numbers": (lambda: pickle.dumps({"w": [1.0, 2.0]}), "E0809"),
    "pickled text": (lambda: pickle.dumps("weights"), "E0809"),
    "deep pickle": (lambda: pickled_chain(20_000), "E0809"),
    "npz": (numpy_archive, "E0809"),
    "npy": (numpy_array, "E0809"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "E0809"),
    "gzip": (lambda: gzip.compress(of_torch(whole())), "E0809"),
    "tar": (tar, "E0809"),
    "bzip2": (lambda: b"BZh91AY", "E0809"),
    "xz": (lambda: b"\xfd7zXZ\x00" + bytes(10), "E0809"),
    "zstd": (lambda: b"(\xb5/\xfd" + bytes(10), "E0809"),
    "TorchScript": (script, "E0809"),
    "export": (lambda: archive(m__archive_format=b"pt2"), "E0809"),
    "another archive": (lambda: archive(word__document_DOT_xml=b"<x/>"), "E0809"),
    "empty archive": (archive, "E0808"),
    "archive bomb": (lambda: archive(a__data_DOT_pkl=bytes(3_000_000)), "E0808"),
    "archive of nonsense": (lambda: archive(a__data_DOT_pkl=b"nonsense", a__version=b"3"), "E0808"),
    "git-lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "E0809"),
    "web page": (lambda: b"<!DOCTYPE html><html></html>", "E0809"),
    "index of shards": (lambda: json.dumps({"weight_map": {}}).encode(), "E0809"),
    "None": (lambda: of_torch(None), "E0811"),
    "number": (lambda: of_torch(3), "E0811"),
    "string": (lambda: of_torch("weights"), "E0811"),
    "list": (lambda: of_torch([torch.rand(1)]), "E0811"),
    "tuple": (lambda: of_torch((whole(),)), "E0811"),
    "tensor": (lambda: of_torch(torch.rand(3)), "E0811"),
    "empty dict": (lambda: of_torch({}), "E0811"),
    "empty state dict": (lambda: of_torch({"state_dict": {}}), "E0811"),
    "only numbers": (lambda: of_torch({"epoch": 3, "loss": 0.1}), "E0811"),
    "only None": (lambda: of_torch({"state_dict": None}), "E0811"),
    "list of state dicts": (lambda: of_torch({"models": [whole(), whole()]}), "E0811"),
    "two models": (lambda: of_torch({"student": whole(), "teacher": whole()}), "E0811"),
    "keys of numbers": (lambda: of_torch({i: torch.rand(1) for i in range(3)}), "E0811"),
    "keys of tuples": (lambda: of_torch({(1, "a"): torch.rand(1)}), "E0811"),
    "a key of None": (lambda: of_torch({"state_dict": {"x": torch.rand(1), None: torch.rand(1)}}), "E0811"),
    "a list among tensors": (lambda: of_torch(whole() | {"x": [1, 2]}), "E0811"),
    "a number among tensors": (lambda: of_torch(whole() | {"x": 1}), "E0811"),
    "None among tensors": (lambda: of_torch(whole() | {"x": None}), "E0811"),
    "holds itself": (lambda: of_torch(cycle()), "E0811"),
    "holds itself, wrapped": (lambda: of_torch({"model": cycle()}), "E0811"),
    "deep and empty": (lambda: of_torch(chain(200, {})), "E0811"),
    "too deep": (lambda: of_torch(chain(200, whole())), "E0811"),
    "set": (lambda: of_torch({"x": {1, 2}}), "E0811"),
    "optimizer alone": (lambda: of_torch({"optimizer": {"state": {0: {"exp_avg": torch.rand(1)}}}}), "E0811"),
    "complex": (lambda: of_torch(changed(complex=torch.rand(3, 4) * 1j)), "E0813"),
    "integers": (lambda: of_torch(changed(integers=torch.ones(3, 4, dtype=torch.int32))), "E0813"),
    "bytes": (lambda: of_torch(changed(bytes=torch.ones(3, 4, dtype=torch.int8))), "E0813"),
    "bools": (lambda: of_torch(changed(bools=torch.ones(3, 4, dtype=torch.bool))), "E0813"),
    "sparse": (lambda: of_torch(changed(sparse=torch.eye(3, 4).to_sparse())), "E0813"),
    "quantised": (lambda: of_torch(changed(q=torch.quantize_per_tensor(torch.rand(3, 4), 1, 0, torch.qint8))), "E0813"),
    "without values": (lambda: of_torch(changed(meta=torch.empty(3, 4, device="meta"))), "E0813"),
    "huge by a stride of 0": (lambda: of_torch(changed(huge=torch.zeros(1).expand(10**12))), "E0807"),
    "other names": (lambda: of_torch({"x": torch.rand(1)}), "E0807"),
    "names of 100,000 letters": (lambda: of_torch(whole() | {"a." * 50_000: torch.rand(1)}), "E0807"),
    "names that move the cursor": (lambda: of_torch(whole() | {"\x1b[2J\n\u202e": torch.rand(1)}), "E0807"),
    "names of half a character": (lambda: of_torch(whole() | {"\ud800": torch.rand(1)}), "E0807"),
    "names like patterns": (lambda: of_torch(whole() | {"(?P<x>{t}*": torch.rand(1)}), "E0807"),
    "a number for a vector": (lambda: of_torch(changed(scalar=torch.tensor(1.0))), "E0807"),
    "nothing of a vector": (lambda: of_torch(changed(empty=torch.rand(0))), "E0807"),
    "more axes": (lambda: of_torch(changed(axes=torch.rand(3, 4, 1))), "E0807"),
    "no backbone": (lambda: of_torch({n: t for n, t in whole().items() if "head" in n}), "E0807"),
}  # fmt: skip
SAFE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "cut": lambda: save(whole())[:-10],
    "cut header": lambda: save(whole())[:40],
    "header of 2**62 bytes": lambda: struct.pack("<Q", 2**62) + b"{}",
    "header of 2**31 bytes": lambda: struct.pack("<Q", 2**31) + b"{}",
    "no JSON": lambda: header(b"{not json at all"),
    "a list": lambda: header([]),
    "not UTF-8": lambda: header(b'{"\xff": 1}'),
    "unknown type": lambda: header(entry("F31"), bytes(8)),
    "negative shape": lambda: header(entry(shape=(-2,)), bytes(8)),
    "endless shape": lambda: header(entry(shape=(2**62, 2**62)), bytes(8)),
    "another shape": lambda: header(entry(shape=(3,)), bytes(8)),
    "offsets beyond": lambda: header(entry(offsets=(0, 800)), bytes(8)),
    "offsets back": lambda: header(entry(offsets=(8, 0)), bytes(8)),
    "offsets of text": lambda: header(entry(offsets="all"), bytes(8)),
    "a hole": lambda: header(entry(offsets=(4, 12)), bytes(12)),
    "no data": lambda: header(entry()),
    "deep header": lambda: header(b"[" * 100_000),
}


def refused(code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Nothing was written, and a diagnostic says why."""
    told = capsys.readouterr().err
    assert code == 1, told
    assert "Traceback" not in told
    assert not Path("out.safetensors").exists()
    found = told.partition("error[")[2][:5]
    assert found, told
    return found


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_checkpoint_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, code = ODD[kind]
    Path("in.pth").write_bytes(make())
    assert refused(converted("in.pth"), capsys) == code
    assert not Path("exploded").exists()


@pytest.mark.parametrize("kind", SAFE)
def test_an_odd_file_of_safetensors_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in.safetensors").write_bytes(SAFE[kind]())
    assert refused(converted("in.safetensors"), capsys) == "E0808"


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damaged_bytes_end_in_a_diagnostic_or_in_weights(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = save(whole()) if form == "safetensors" else of_torch(whole(), _use_new_zipfile_serialization=form == "zip")
    for seed in range(40):
        Path("in.pth").write_bytes(damaged(data, seed))
        assert converted("in.pth") in (0, 1), seed
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_format_is_recognised_by_content_not_by_name(form: str) -> None:
    Path("in.bin").write_bytes(save(whole()))
    assert converted("in.bin") == 0
    Path("in.safetensors").write_bytes(of_torch(whole(), _use_new_zipfile_serialization=form == "zip"))
    assert converted("in.safetensors") == 0


def test_what_is_no_file_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A device and a pipe have no end."""
    os.mkfifo("pipe.pth")
    Path("locked.pth").write_bytes(of_torch(whole()))
    for name, told in [
        ("pipe.pth", "a device or a pipe"),
        ("/dev/zero", "a device or a pipe"),
        ("/dev/null", "a device or a pipe"),
        (".", "is a directory"),
        ("none.pth", "no such file"),
        ("a\0b", "null"),
        ("x" * 5000, "too long"),
    ]:
        assert converted(name) == 2, name
        assert told in capsys.readouterr().err


def test_caffe2_and_numpy_are_no_damage(capsys: pytest.CaptureFixture[str]) -> None:
    for data, told in [(pickle.dumps(CAFFE2), "Caffe2"), (numpy_archive(), ".npz"), (numpy_array(), "numpy")]:
        Path("in.pkl").write_bytes(data)
        converted("in.pkl")
        shown = capsys.readouterr().err
        assert told in shown
        assert "torch.save" in shown
        assert "only a part" not in shown


@pytest.mark.parametrize("depth", [0, 1, 10, 40])
def test_nested_dicts_are_searched(depth: int) -> None:
    torch.save(chain(depth, whole()), "in.pth")
    assert converted("in.pth") == 0


def test_a_dict_that_holds_itself_beside_the_model_does_no_harm() -> None:
    found: dict[str, Any] = {"model": whole()}
    found["self"] = found
    assert state_dict_of(found, "x").tensors.keys() == whole().keys()


# --- numbers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_named(value: float, capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.rand(3, 4)
    weight[1, 2] = value
    torch.save(changed(weight=weight), "in.pth")
    assert converted("in.pth") == 0
    told = capsys.readouterr().err
    assert "W0803" in told
    assert "`head.linear.weight`" in told
    with pytest.warns(UserWarning, match="W0803"):
        archdsl.convert_weights(archdsl.load("net.arch"), changed(weight=weight), "theirs")


def test_numbers_whose_sum_is_not_finite_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(changed(weight=torch.full((3, 4), 3e38)), "in.pth")
    assert converted("in.pth") == 0
    assert "W0803" not in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_every_type_of_floating_point_is_taken(dtype: torch.dtype, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({n: t.to(dtype) if t.is_floating_point() else t for n, t in whole().items()}, "in.pth")
    assert converted("in.pth") == 0
    assert "W0803" not in capsys.readouterr().err
    assert load_file("out.safetensors")["conv1.conv.weight"].dtype == dtype


def test_a_tensor_of_the_wrong_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("complex", "integers"):
        Path("in.pth").write_bytes(ODD[kind][0]())
        converted("in.pth")
        assert "`cls_head.fc.weight` holds" in capsys.readouterr().err


# --- averages, and parts ---------------------------------------------------------------------------------------------


def averaged() -> dict[str, torch.Tensor]:
    return {n: t + 1 if t.is_floating_point() else t for n, t in whole().items()}


def prefixed(before: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{before}{n}": t for n, t in tensors.items()}


AVERAGES: dict[str, tuple[dict[str, Any], str]] = {
    "timm": ({"state_dict": whole(), "state_dict_ema": averaged()}, "state_dict_ema"),
    "ConvNeXt": ({"model": whole(), "model_ema": averaged(), "epoch": 3}, "model_ema"),
    "MMEngine": ({"state_dict": whole(), "ema_state_dict": averaged()}, "ema_state_dict"),
    "nested": ({"last": {"model": whole(), "ema": {"module": averaged()}}}, "last.ema"),
    "a prefix": ({"state_dict": whole() | prefixed("ema.", averaged())}, "ema"),
    "Lightning": ({"state_dict": prefixed("model.", whole()) | prefixed("ema_model.", averaged())}, "ema_model"),
    "bare": (whole() | prefixed("model_ema.module.", averaged()), "model_ema"),
}


@pytest.mark.parametrize("kind", AVERAGES)
def test_chosen_weights_are_reported(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, key = AVERAGES[kind]
    torch.save(checkpoint, "in.pth")
    assert converted("in.pth") == 0
    told = capsys.readouterr().err
    assert "W0802" in told
    assert "the raw weights" in told
    assert f"--key {key}" in told or kind == "nested"
    assert torch.equal(load_file("out.safetensors")["conv1.conv.weight"], whole()["backbone.conv.weight"])
    assert converted("in.pth", "--key", key) == 0
    assert "W0802" not in capsys.readouterr().err
    assert torch.equal(load_file("out.safetensors")["conv1.conv.weight"], averaged()["backbone.conv.weight"])
    arch = archdsl.load("net.arch")
    with pytest.warns(UserWarning, match="W0802"):
        archdsl.convert_weights(arch, checkpoint, "theirs")
    found = archdsl.convert_weights(arch, checkpoint, "theirs", key=key)
    assert torch.equal(found["head.linear.bias"], averaged()["cls_head.fc.bias"])


def test_averages_alone_are_read_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    for checkpoint in ({"model_ema": averaged()}, prefixed("ema.", averaged()), {"ema": {"module": averaged()}}):
        torch.save(checkpoint, "in.pth")
        assert converted("in.pth") == 0
        told = capsys.readouterr().err
        assert "W0802" in told
        assert "averages" in told


def test_a_module_that_is_called_like_an_average_is_the_models() -> None:
    tensors = {"ema.weight": torch.rand(1), "fc.weight": torch.rand(1)}
    assert state_dict_of(tensors, "x", expected=tensors).tensors.keys() == tensors.keys()
    assert state_dict_of(tensors, "x", expected=tensors).warnings == ()
    for name in ("schema.weight", "cinema.weight", "average_pool.weight", "thema.weight"):
        assert state_dict_of({name: torch.rand(1)}, "x").warnings == ()


def test_parts_that_are_saved_apart_are_put_together() -> None:
    """Omnivore saves `{"trunk": …, "heads": …}`; a student and a teacher are no parts of one model."""
    parts = {"trunk": {"conv.weight": torch.rand(2)}, "heads": {"video.1.weight": torch.rand(3)}}
    expected = ["trunk.conv.weight", "heads.video.1.weight"]
    found = state_dict_of({**parts, "optimizer": {"lr": torch.rand(1)}}, "x", "", expected).tensors
    assert list(found) == expected
    assert found["trunk.conv.weight"] is parts["trunk"]["conv.weight"]
    assert list(state_dict_of(parts, "x", "trunk", expected).tensors) == ["conv.weight"]
    with pytest.raises(SpecError, match="several state dicts: `trunk`, `heads`"):
        state_dict_of(parts, "x", "", ["trunk.conv.weight"])


def test_parts_are_chosen_by_their_path(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"student": {"net": whole()}, "teacher": averaged(), "a.b": {"c": averaged()}}, "in.pth")
    assert refused(converted("in.pth"), capsys) == "E0811"
    keys = {"student": whole(), "student.net": whole(), "teacher": averaged(), "a.b": averaged(), "a.b.c": averaged()}
    for key, tensors in keys.items():
        assert converted("in.pth", "--key", key) == 0
        assert torch.equal(load_file("out.safetensors")["head.linear.bias"], tensors["cls_head.fc.bias"])


def test_a_list_has_a_part_for_each_number(capsys: pytest.CaptureFixture[str]) -> None:
    """As the probes of V-JEPA 2, which are trained side by side."""
    optimizer = {"opt": [{"state": {0: {"exp_avg": torch.rand(1)}}, "param_groups": [{"params": [0]}]}]}
    torch.save({"classifiers": [whole()], **optimizer}, "in.pth")
    assert converted("in.pth") == 0
    torch.save({"classifiers": [averaged(), whole()], **optimizer}, "in.pth")
    assert refused(converted("in.pth"), capsys) == "E0811"
    assert converted("in.pth", "--key", "classifiers.1") == 0
    assert torch.equal(load_file("out.safetensors")["head.linear.bias"], whole()["cls_head.fc.bias"])


def test_each_of_several_files_has_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    """As V-JEPA 2's encoder beside its average, and one of several probes."""
    tensors = whole()
    halves = [{n.removeprefix(p): t for n, t in tensors.items() if n.startswith(p)} for p in ("backbone.", "cls_head.")]
    wrong = [{n: t + 1 for n, t in half.items()} for half in halves]
    torch.save({"encoder": prefixed("module.", wrong[0]), "target": prefixed("module.", halves[0])}, "one.pth")
    torch.save({"probes": [wrong[1], halves[1]]}, "two.pth")
    command = ["weights", "convert", "net.arch", "backbone=one.pth", "cls_head=two.pth", "--from", "theirs"]
    command += ["-o", "out.safetensors", "--key", "target", "--key"]
    assert main([*command, "probes.1"]) == 0
    made = load_file("out.safetensors")
    assert torch.equal(made["conv1.conv.weight"], tensors["backbone.conv.weight"])
    assert torch.equal(made["head.linear.bias"], tensors["cls_head.fc.bias"])
    assert main(command[:-1]) == 1
    assert "choose one: `--key probes.0`" in capsys.readouterr().err
    assert main([*command, "probe.1"]) == 1
    assert "the file has no `probe.1`" in capsys.readouterr().err


# What is wrong with a whole checkpoint, and what the message says to do.
HINTS = {
    "lacks one": (lambda t: {n: v for n, v in t.items() if n != "backbone.conv.weight"}, "--new 'conv1.conv.weight'"),
    "has one more": (lambda t: t | {"metric": torch.ones(2)}, "save the state dict without them"),
    "of another": (lambda t: {f"trunk.{i}.w": v for i, v in enumerate(t.values())}, "it is of another network"),
    "unnamed": (
        lambda t: {f"x.{n.partition('.')[2]}": v for n, v in t.items()},
        "network: backbone=FILE cls_head=FILE",
    ),
}


@pytest.mark.parametrize("wrong", HINTS)
def test_a_message_says_what_to_do(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, hint = HINTS[wrong]
    torch.save(change(whole()), "in.pth")
    assert converted("in.pth") == 1
    assert hint in capsys.readouterr().err


def test_an_unknown_part_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": whole(), "model_ema": averaged()}, "in.pth")
    assert converted("in.pth", "--key", "model_emma") == 1
    told = capsys.readouterr().err
    assert "E0812" in told
    assert "but `model`, `model_ema`" in told
    assert "did you mean `model_ema`" in told
    torch.save([1], "in.pth")
    assert converted("in.pth", "--key", "model") == 1
    assert "and no tensors" in capsys.readouterr().err


# --- backbones without a head ----------------------------------------------------------------------------------------


def backbone(prefix: str = "backbone.") -> dict[str, torch.Tensor]:
    kept = {n.removeprefix("backbone."): t for n, t in whole().items() if "head" not in n}
    return prefixed(prefix, kept)


@pytest.mark.parametrize("prefix", ["backbone.", "", "module.backbone."])
def test_a_backbone_gets_a_new_head(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": backbone(prefix)}, "in.pth")
    assert converted("in.pth", "--set", "classes=5") == 0
    told = capsys.readouterr().err
    assert "W0804" in told
    assert "`head.linear.weight`, `head.linear.bias`" in told
    made = load_file("out.safetensors")
    assert made["head.linear.weight"].shape == (5, 4)
    assert torch.equal(made["conv1.conv.weight"], whole()["backbone.conv.weight"])
    assert converted("in.pth", "--set", "classes=5", "--to", "theirs") == 0
    assert load_file("out.safetensors").keys() == whole().keys()


def test_a_backbone_is_enough_where_the_head_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(backbone(), "in.pth")
    command = ["weights", "transfer", "net.arch", "in.pth", "--from", "theirs", "-o", "out.safetensors"]
    assert main([*command, "--set", "classes=5"]) == 0
    assert load_file("out.safetensors")["head.linear.weight"].shape == (5, 4)
    capsys.readouterr()
    assert main(command) == 1
    assert "--new 'head.*'" in capsys.readouterr().err
    assert main([*command, "--new", "head.*"]) == 0
    base, arch = archdsl.load("net.arch"), archdsl.load("net.arch", classes=5)
    assert archdsl.transfer_weights(base, backbone(), arch, "theirs")["head.linear.bias"].shape == (5,)


def test_a_prefix_that_names_lack_is_put_before_them() -> None:
    names = [f"backbone.{i}.w" for i in range(4)] + ["head.w"]
    found = without_prefix({f"{i}.w": torch.rand(1) for i in range(4)}, names)
    assert list(found) == names[:4]
    other = {"a.w": torch.rand(1), "b.w": torch.rand(1)}
    assert without_prefix(other, names) == other


# --- whose tensors they are ------------------------------------------------------------------------------------------

LINKED = """\
arch linked
param alpha = 4, kernel = 7
input clip: video[3, 8, 4, 4]
stage conv1 { conv(4, [kernel, 1, 1], stride = [alpha, 1, 1]) -> bn }
head: avgpool -> linear(3)
"""
OF_LINKED = "weights theirs for linked\nconv1.{layer}.{t} = {layer}.{t}\nhead.linear.{t} = fc.{t}\n"


def fitting(spec: str, **values: Any) -> dict[str, torch.Tensor]:
    shapes = archdsl.load(spec, like="theirs", **values).plan_weights("theirs").theirs
    return {name: torch.rand(shape) if shape else torch.tensor(1) for name, shape in shapes.items()}


@pytest.fixture
def linked() -> None:
    Path("linked.arch").write_text(LINKED)
    Path("sibling.arch").write_text("arch sibling extends linked\nparam alpha = 8, kernel = 5\n")
    Path("weights/linked.weights").write_text(OF_LINKED)


@pytest.mark.usefixtures("linked")
def test_a_checkpoint_of_a_sibling_is_known() -> None:
    """The kernel alone would make the shapes right, and another network."""
    with pytest.raises(SpecError) as caught:
        archdsl.convert_weights(archdsl.load("linked.arch"), fitting("sibling.arch"), "theirs")
    assert "names and shapes match `sibling`" in str(caught.value)
    assert "--set" not in str(caught.value)
    archdsl.convert_weights(archdsl.load("sibling.arch"), fitting("sibling.arch"), "theirs")


@pytest.mark.usefixtures("linked")
def test_a_hint_keeps_the_rule_of_a_map() -> None:
    tensors = fitting("sibling.arch")
    Path("sibling.arch").unlink()
    Path("weights/linked.weights").write_text(OF_LINKED + "default kernel = 7 if alpha == 4 else 5\n")
    with pytest.raises(SpecError) as caught:
        archdsl.convert_weights(archdsl.load("linked.arch", like="theirs"), tensors, "theirs")
    assert "in these checkpoints `kernel` is `7 if alpha == 4 else 5`" in str(caught.value)
    assert "--set kernel=5" not in str(caught.value)
    archdsl.convert_weights(archdsl.load("linked.arch", like="theirs", alpha=8), tensors, "theirs")


def test_slowfast_4x16_is_known_in_slowfast_8x8() -> None:
    root = ROOT / "specs"
    small = archdsl.load(root / "slowfast_4x16_r50.arch", like="pytorchvideo").plan_weights("pytorchvideo")
    from archdsl.weights.fit import check_tensors

    plan = archdsl.load(root / "slowfast_r50.arch", like="pytorchvideo").plan_weights("pytorchvideo")
    with pytest.raises(SpecError, match="names and shapes match `slowfast_4x16_r50`"):
        check_tensors(plan, small.theirs, "SLOWFAST_4x16_R50.pyth")


def test_own_weights_are_not_taken_for_those_of_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a network that computes something else do not become theirs, even where all shapes agree."""
    net = NET.replace("-> bn }", "-> if norm { bn(eps = eps) } }").replace(
        "classes = 3", "classes = 3, norm = on, eps = 1e-3"
    )
    Path("net.arch").write_text(net)
    Path("weights/theirs.weights").write_text(MAP + "default norm = off\nparam eps = 1e-5\n")
    torch.save(archdsl.load("net.arch").build().state_dict(), "own.pth")
    command = [
        "weights",
        "convert",
        "net.arch",
        "own.pth",
        "--from",
        "archdsl",
        "--to",
        "theirs",
        "-o",
        "out.safetensors",
    ]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "E0806" in told
    assert "checkpoints of `theirs` need norm = `off`; this network has `on`" in told
    assert "checkpoints of `theirs` need eps = 1e-05; this network has 0.001" in told
    assert main([*command, "--like", "theirs"]) == 1
    told = capsys.readouterr().err
    assert "the checkpoint matches `net` without `like`; `theirs` needs it with norm = off, eps = 1e-5" in told
    assert main([*command, "--set", "norm=on"]) == 1  # ε is no choice
    assert "E0806" in capsys.readouterr().err
    assert main([*command, "--set", "norm=on", "--like", "theirs"]) == 0
    assert "W0801" in capsys.readouterr().err


def test_own_weights_go_back_where_their_file_names_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.arch").write_text(
        NET.replace("-> bn }", "-> bn(eps = eps) }").replace("classes = 3", "classes = 3, eps = 1e-3")
    )
    Path("weights/theirs.weights").write_text(MAP + "param eps = 1e-5\n")
    torch.save(whole(), "in.pth")
    assert converted("in.pth") == 0
    Path("out.safetensors").rename("own.safetensors")
    command = ["weights", "convert", "net.arch", "own.safetensors", "--from", "archdsl", "--to", "theirs"]
    assert main([*command, "-o", "back.safetensors"]) == 0
    back = load_file("back.safetensors")
    assert all(torch.equal(back[n], t) for n, t in whole().items())
    save_file(load_file("own.safetensors"), "own.safetensors")  # without a word of what it is
    assert main([*command, "-o", "back.safetensors"]) == 1
    assert "E0806" in capsys.readouterr().err
    save_file(load_file("own.safetensors"), "own.safetensors", {"parameters": "[1"})
    assert main([*command, "-o", "back.safetensors"]) == 1
    assert main([*command, "--like", "theirs", "-o", "back.safetensors"]) == 0
    assert converted("in.pth", "--like", "theirs") == 2


# --- OrderedDict and other forms -------------------------------------------------------------------------------------


def test_forms_of_state_dicts() -> None:
    for form in (OrderedDict(whole()), {"model": OrderedDict(whole())}, {"model": defaultdict(None, whole())}):
        assert state_dict_of(form, "x").tensors.keys() == whole().keys()
    shared = whole()
    assert state_dict_of({"model": shared, "best": shared}, "x", "best").tensors.keys() == whole().keys()


def test_half_of_a_head_is_no_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cls_head.fc.bias", "backbone.bn.weight"):
        torch.save({n: t for n, t in whole().items() if n != name}, "in.pth")
        assert refused(converted("in.pth"), capsys) == "E0807"
    torch.save(backbone() | {"backbone.extra": torch.rand(1)}, "in.pth")
    assert refused(converted("in.pth"), capsys) == "E0807"
