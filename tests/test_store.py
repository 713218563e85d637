"""What was learned of a run is read as it was written, or not at all: `pytest tests/test_store.py`.

Whatever is done to a kept file, its reader makes the answer again; nothing else happens.
"""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.runs import Run, load_run, store
from tests.tiny import write_run

STAMP = "0123456789abcdef"
ARRAYS = {
    "names": np.array(["stage1.block1", "stage1.block2"]),
    "errors": np.linspace(0, 90, 24).reshape(4, 6),
    "counts": np.asfortranarray(np.arange(6).reshape(2, 3)),
}
LITTLE = 2**20
"""Bytes of memory that refusing may take."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One with a place of its own for what is learned of it."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path / "cache"))
    return load_run(write_run(tmp_path))


def read(run: Run, stamp: str = STAMP) -> dict[str, np.ndarray] | None:
    return store.read(run, "thing", stamp, dict)


def refused_unread(run: Run, stamp: str = STAMP) -> bool:
    """Whether nothing is found, and hardly any memory was taken to find that out."""
    tracemalloc.start()
    found = read(run, stamp)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < store.places(run, "thing")[0].stat().st_size + LITTLE
    return found is None


def npy(value: object) -> bytes:
    """An array as it is in an entry."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value))
    return buffer.getvalue()


def header(kind: str, shape: tuple[int, ...]) -> bytes:
    """The beginning of an array, and nothing of it."""
    buffer = io.BytesIO()
    described = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def write_zip(run: Run, method: int = zipfile.ZIP_DEFLATED, **parts: bytes) -> Path:
    """An entry of these parts, with the stamp and without a digest."""
    place = store.places(run, "thing")[0]
    place.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(place, "w", method) as archive:
        for name, data in {"stamp": npy(STAMP), **parts}.items():
            archive.writestr(f"{name}.npy", data)
    return place


def test_what_is_written_is_read(run: Run):
    """Names, types, shapes and values."""
    store.write(run, "thing", STAMP, ARRAYS)

    found = read(run)
    assert found is not None
    assert store.digest_of(found) == store.digest_of(ARRAYS)
    assert read(run, "another") is None


@pytest.mark.parametrize("flip", [4, 8, 255])
def test_a_flipped_byte(run: Run, flip: int):
    """At every place: in the names, the sizes, the methods, the numbers, the zip's directory."""
    place = store.write(run, "thing", STAMP, ARRAYS)
    whole = place.read_bytes()
    unread = 0
    for at, byte in enumerate(whole):
        place.write_bytes(whole[:at] + bytes([byte ^ flip]) + whole[at + 1 :])
        found = read(run)
        unread += found is None
        assert found is None or store.digest_of(found) == store.digest_of(ARRAYS), at
    assert unread > len(whole) / 2


def test_a_cut_file(run: Run):
    """At every place, and bytes after its end."""
    place = store.write(run, "thing", STAMP, ARRAYS)
    whole = place.read_bytes()
    for at in range(len(whole)):
        place.write_bytes(whole[:at])
        assert read(run) is None, at


@pytest.mark.parametrize(
    "error", [MemoryError, RuntimeError, AttributeError, ZeroDivisionError, OverflowError]
)
def test_arrays_of_another_kind(run: Run, error: type[Exception]):
    """What they are made into may fail in any way."""

    def make(_arrays: dict[str, np.ndarray]) -> None:
        raise error

    store.write(run, "thing", STAMP, ARRAYS)
    assert store.read(run, "thing", STAMP, make) is None


def test_a_bomb(run: Run):
    """A kilobyte of file for a megabyte of zeros."""
    store.write(run, "thing", STAMP, {"zeros": np.zeros(store.UNPACKED + 1, np.uint8)})
    assert refused_unread(run)


def test_a_bomb_that_does_not_say_so(run: Run):
    """The zip's directory has 1,000 bytes for 32 million; no more are unpacked."""
    place = write_zip(run, zeros=npy(np.zeros(2**25, np.uint8)))
    size = (2**25 + 128).to_bytes(4, "little")
    data = place.read_bytes()
    assert data.count(size) == 2
    place.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    assert refused_unread(run)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_of_another_method(run: Run, method: int):
    """Python unpacks these whole, whatever the directory says."""
    write_zip(run, method, zeros=npy(np.zeros(2**25, np.uint8)))
    assert refused_unread(run)


def test_of_other_weights_only_the_stamp_is_unpacked(run: Run):
    """However much there is."""
    store.write(run, "thing", STAMP, {"zeros": np.zeros(2**25, np.uint8)})
    assert refused_unread(run, "another")


@pytest.mark.parametrize("kind", ["<f8", "<U8", "|V0", "<U0", "|O"])
@pytest.mark.parametrize("shape", [(10**12,), (2**40, 2**40), (0, 10**30), (-1,)])
def test_a_shape_that_is_not_there(run: Run, kind: str, shape: tuple[int, ...]):
    """Not made to find out; nor are a trillion things of no size."""
    write_zip(run, huge=header(kind, shape))
    assert refused_unread(run)
