"""Files that mean harm, or were harmed: refused fast, with a reason, in bounded memory.

`pytest tests/importing/test_hostile.py`
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import io
import json
import operator
import os
import pickle
import random
import struct
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from analysis.errors import ImportRefused
from analysis.exchange.importing import import_checkpoint, inspect, stored_upload
from analysis.exchange.importing.reading import read_checkpoint
from analysis.jobs.processes import peak_memory_mb
from tests.importing import foreign
from tests.importing.edited import save_edited

SECONDS = 2.0
MEGABYTES = 200


class Command:
    """Runs a command when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def refused(path: Path) -> str:
    """The message; in under two seconds, and without the memory that the file claims."""
    before = peak_memory_mb()
    began = time.process_time()
    with pytest.raises(ImportRefused) as error:
        inspect(path)
    took = time.process_time() - began
    grown = peak_memory_mb() - before

    assert took < SECONDS
    assert grown < MEGABYTES
    assert str(error.value).startswith(f"{path.name}")
    return str(error.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_runs_a_command(legacy: bool, tmp_path: Path):
    """It is refused by name, and the command does not run."""
    target = tmp_path / "executed"
    path = tmp_path / "net.pth"
    torch.save(
        {"state_dict": {"conv1.weight": torch.zeros(2)}, "evil": Command(target)},
        path, _use_new_zipfile_serialization=not legacy,
    )  # fmt: skip

    assert refused(path) == (
        "net.pth is refused: loading it would import and may run posix.system; nothing in a file "
        "is executed here. If you trust it, save its weights alone where it was made: "
        "torch.save(net.state_dict(), 'weights.pth')"
    )
    assert not target.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_plain_pickle_that_runs_a_command(protocol: int, tmp_path: Path):
    """Not even of torch.save."""
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(Command(tmp_path / "executed"), protocol))

    assert "may run posix.system" in refused(path)
    assert not (tmp_path / "executed").exists()


class Anything:
    """Calls any function when unpickled, and sets any state."""

    def __init__(self, function: Callable, *arguments: object, state: object = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def mark(path: str) -> dict:
    """What a file would have run: it leaves a file behind."""
    Path(path).touch()
    return {}


class Marking:
    """A class that leaves a file behind when it is made, filled or restored."""

    def __init__(self, path: str = "") -> None:
        if path:
            mark(path)

    def __setstate__(self, state: dict) -> None:
        mark(state["path"])

    def __setitem__(self, key: str, value: object) -> None:
        mark(key)


HOSTILE: dict[str, Callable[[str], object]] = {
    "a function": lambda path: Anything(mark, path),
    "a class": lambda path: Anything(Marking, path),
    "a state": lambda path: Anything(Marking, state={"path": path}),
    "entries": lambda path: Entries(path),
    "partial": lambda path: Anything(functools.partial, mark, path),
    "an attribute": lambda path: Anything(operator.attrgetter("__class__"), path),
    "a rebuilt tensor": lambda path: Anything(
        torch._tensor._rebuild_from_type_v2, mark, torch.Tensor, (path,), {}
    ),
    "an object of a class": lambda path: Anything(copyreg._reconstructor, Marking, object, None),
    "getattr": lambda path: Anything(getattr, Marking, "__init__"),
}


class Entries(dict):
    """Filled by the unpickler, entry by entry, in an object of another class."""

    def __init__(self, path: str) -> None:
        super().__init__({path: 1})

    def __reduce__(self):
        return Marking, (), None, None, iter(self.items())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_is_executed(
    kind: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever it names is a stand-in: no unpickler runs, nothing is imported, weights are read."""
    net = foreign.shaken(foreign.akamaster())
    value = {"state_dict": net.state_dict(), "beside": HOSTILE[kind](str(tmp_path / "executed"))}
    torch.save(value, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    with contextlib.suppress(AttributeError):  # some fail once the harm is done
        torch.load(tmp_path / "net.pth", weights_only=False)
    harmful = (tmp_path / "executed").exists()
    (tmp_path / "executed").unlink(missing_ok=True)
    assert harmful or kind in ("an attribute", "an object of a class", "partial", "getattr")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("an unpickler was run")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    found = inspect(tmp_path / "net.pth")
    assert found.net.spec.name == "resnet-8"
    assert torch.equal(found.file.tensors["conv1.weight"], net.conv1.weight)
    assert not (tmp_path / "executed").exists()


def test_one_thing_referred_to_many_times(tmp_path: Path):
    """Dictionaries in dictionaries, and modules in modules, each of them ten times: 10**30."""
    inner: object = {"a": 1}
    for _ in range(30):
        inner = {f"k{i}": inner for i in range(10)}
    torch.save(inner, tmp_path / "net.pth")
    assert "it holds no state dict" in refused(tmp_path / "net.pth")

    module = torch.nn.Sequential(torch.nn.ReLU())
    for _ in range(30):
        module = torch.nn.Sequential(*[module] * 10)
    torch.save(module, tmp_path / "net.pth")
    assert "more than 20,000 modules" in refused(tmp_path / "net.pth")


def test_whole_modules_and_other_classes_are_named(tmp_path: Path):
    """torch.save(net) pickles classes; they are named where no net of ours is in the file."""
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")

    assert "torch.nn.modules.linear.Linear" in refused(tmp_path / "net.pth")


def test_a_zip_bomb(tmp_path: Path):
    """A gigabyte of zeros in a megabyte."""
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        with archive.open("archive/data/0", "w") as record:
            for _ in range(64):
                record.write(bytes(2**22))

    assert refused(path) == (
        "net.pth is refused: its records are compressed (they would unpack to 268.4 MB), which "
        "torch.save never does"
    )


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("percent", range(0, 100, 10))
def test_truncated(form: str, percent: int, tmp_path: Path):
    """At every 10 %, each format."""
    state = foreign.akamaster().state_dict()
    buffer = io.BytesIO()
    if form == "safetensors":
        save_file(state, tmp_path / "whole")
        data = (tmp_path / "whole").read_bytes()
    else:
        torch.save(state, buffer, _use_new_zipfile_serialization=form == "zip")
        data = buffer.getvalue()
    path = tmp_path / "net.pth"
    path.write_bytes(data[: len(data) * percent // 100])

    message = refused(path)
    assert any(words in message for words in ("cut off", "empty", "torn")), message


@pytest.mark.parametrize("dtype", [torch.double, torch.int8])
@pytest.mark.parametrize("safe", [False, True])
def test_wrong_dtypes(dtype: torch.dtype, safe: bool, tmp_path: Path):
    """Refused with the way to convert: float32 would change values (float16: see test_twins)."""
    state = {k: v.to(dtype) for k, v in foreign.akamaster().state_dict().items() if v.dim()}
    path = tmp_path / "net.bin"
    save_file(state, path) if safe else torch.save(state, path)

    name = str(dtype).removeprefix("torch.")
    assert f"of its tensors are {name}, for example" in refused(path)


def test_nothing_of_a_net(tmp_path: Path):
    """An empty dictionary, strings, a list, an optimizer: each called what it is."""
    optimizer = torch.optim.SGD(foreign.akamaster().parameters(), 0.1, 0.9)
    cases = {
        "it holds an empty dictionary, no weights": {},
        "it holds no state dict: no tensors with names": {"a": "b", "c": "d"},
        "it holds no state dict, but a list": [torch.zeros(2)],
        "it holds the state of an optimizer, not of a net": optimizer.state_dict(),
    }
    for words, value in cases.items():
        torch.save(value, tmp_path / "net.pth")
        assert words in refused(tmp_path / "net.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_100_000_keys(legacy: bool, tmp_path: Path):
    """Of numbers, and of tensors that share a storage."""
    path = tmp_path / "net.pth"
    torch.save(
        {f"k{i}": i for i in range(100_000)}, path, _use_new_zipfile_serialization=not legacy
    )
    assert "more than 20,000 entries" in refused(path)

    one = torch.zeros(1)
    torch.save(
        {f"layer1.{i}.weight": one for i in range(100_000)},
        path, _use_new_zipfile_serialization=not legacy,
    )  # fmt: skip
    refused(path)


def test_100_000_keys_in_safetensors(tmp_path: Path):
    """The header alone says it."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"layer1.{i}.weight": entry for i in range(100_000)}).encode()
    (tmp_path / "net.bin").write_bytes(struct.pack("<Q", len(header)) + header)
    assert "its header says that it has" in refused(tmp_path / "net.bin")


def huge_storage(path: Path, legacy: bool) -> None:
    """A state dict whose first storage claims 10 TB."""
    state = OrderedDict({"conv1.weight": torch.zeros(1000), "layer1.0.bn1.weight": torch.ones(4)})
    small, large = b"M" + struct.pack("<H", 1000), b"\x8a\x06" + (25 * 10**11).to_bytes(6, "little")
    save_edited(state, path, small, large, legacy)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_tensor_that_claims_10_tb(legacy: bool, tmp_path: Path):
    """The storage is not made to find out."""
    huge_storage(tmp_path / "net.pth", legacy)
    assert "claims more than it holds: storage" in refused(tmp_path / "net.pth")


def test_a_shape_larger_than_its_storage(tmp_path: Path):
    """A stride of 0 makes 10 TB of one number."""
    state = {"layer1.0.conv1.weight": torch.zeros(1).expand(1250, 1000, 1000, 2000)}
    torch.save(state, tmp_path / "net.pth")

    assert refused(tmp_path / "net.pth") == (
        "net.pth is refused: a tensor in it claims the shape 1250x1000x1000x2000, which is "
        "10.0 TB, but the file has 4 bytes for it"
    )


@pytest.mark.parametrize("legacy", [False, True])
def test_500_tensors_of_one_storage(legacy: bool, tmp_path: Path):
    """4 MB that would become 2 GB; each tensor by itself is no larger than its storage."""
    one = torch.zeros(1000, 1000, 1, 1)
    state = {f"layer1.{i}.conv1.weight": one.transpose(0, i % 2) for i in range(500)}
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)

    assert refused(path) == (
        "net.pth is refused: its 500 tensors claim 2.0 GB together, but the file has "
        f"{path.stat().st_size / 1e6:.1f} MB for them; a net shares a few of its weights, not "
        "nearly all"
    )


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_that_are_shared_are_read(legacy: bool, tmp_path: Path):
    """One block used 50 times; half of its filters are what the others are, transposed."""
    one = torch.rand(64, 64, 3, 3)
    state = {f"layer1.{i}.conv1.weight": one for i in range(50)}
    state |= {f"layer1.{i}.conv2.weight": one.transpose(0, 1) for i in range(50)}
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)

    read = read_checkpoint(path, as_named=True).tensors
    assert {key for key in state if torch.equal(read[key], state[key])} == set(state)
    assert sum(value.nbytes for value in read.values()) > 50 * path.stat().st_size


def test_safetensors_that_claim_10_tb(tmp_path: Path):
    """In the header's offsets."""
    header = json.dumps(
        {"conv1.weight": {"dtype": "F32", "shape": [25 * 10**11], "data_offsets": [0, 10**13]}}
    ).encode()
    (tmp_path / "net.bin").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    assert "cut off or damaged" in refused(tmp_path / "net.bin")


def test_memory_bombs_of_the_pickle_itself(tmp_path: Path):
    """bytearray(10**12), and a tuple of tuples whose hash takes for ever."""
    nested = b"".join(b"q\x01h\x01\x86" for _ in range(60))
    cases = {
        b"\x80\x02c__builtin__\nbytearray\n\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85R.":
            "may run __builtin__.bytearray",
        b"\x80\x02})" + nested + b"K\x01s.": "has a tuple for a key",
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n)" + nested
        + b"NK\x01tQ.": "it refers to more than tensors",
    }  # fmt: skip
    for data, words in cases.items():
        with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
            archive.writestr("archive/data.pkl", data)
        assert words in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bn1.weight", float("nan"), "bn1.weight holds NaN or infinity"),
        ("layer1.0.conv1.weight", float("inf"), "layer1.0.conv1.weight holds NaN or infinity"),
        ("bn1.running_var", -1.0, "bn1.running_var holds negative running variances"),
    ],
)
def test_impossible_numbers(key: str, value: float, words: str, tmp_path: Path):
    """The import stops and leaves no run behind."""
    state = foreign.akamaster().state_dict()
    state[key].view(-1)[0] = value
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ImportRefused, match=words):
        import_checkpoint(tmp_path / "net.pth", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_uploads_stay_inside_the_runs_folder(tmp_path: Path):
    """Their names are never used, and they are gone afterwards."""
    buffer = io.BytesIO()
    torch.save(foreign.akamaster().state_dict(), buffer)
    with stored_upload(buffer, tmp_path / "runs") as path:
        assert path.parent == tmp_path / "runs" / ".uploads"
        found = inspect(path, name="../../../etc/net.pth")
    assert not path.exists()
    assert found.file.name == "net.pth"
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


def test_what_a_killed_process_left_of_an_upload_goes_with_a_later_one(tmp_path: Path):
    """After a day; another's that is under way stays."""
    place = tmp_path / ".uploads"
    place.mkdir()
    for name, hours in (("killed", 25), ("under way", 1)):
        (place / f"{name}.part").write_bytes(b"")
        then = time.time() - 3600 * hours
        os.utime(place / f"{name}.part", (then, then))
    with stored_upload(io.BytesIO(b"x"), tmp_path):
        assert len(list(place.iterdir())) == 2
    assert [left.name for left in place.iterdir()] == ["under way.part"]


def test_flipped_bytes(tmp_path: Path):
    """Any byte of a file may be wrong: it is read as it is or refused, and nothing else."""
    chances = random.Random(0)
    for legacy in (False, True):
        buffer = io.BytesIO()
        value = {"net": foreign.akamaster().state_dict(), "acc": np.float64(91.7)}
        torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
        path = tmp_path / "net.pth"
        for _ in range(150):
            data = bytearray(buffer.getvalue())
            ends = range(-12_000, 12_000)  # the pickle, and the zip's directory
            for place in chances.choices(ends, k=chances.choice((1, 3, 10))):
                data[place] = chances.randrange(256)
            path.write_bytes(bytes(data))
            with contextlib.suppress(ImportRefused):
                inspect(path)


def test_a_zip_whose_names_disagree(tmp_path: Path):
    """Its directory says data.pkl, the record another name."""
    torch.save(foreign.akamaster().state_dict(), tmp_path / "net.pth")
    data = (tmp_path / "net.pth").read_bytes().replace(b"net/data.pkl", b"net/d_ta.pkl", 1)
    (tmp_path / "net.pth").write_bytes(data)
    assert "it is a damaged zip" in refused(tmp_path / "net.pth")
