"""The cache is whole or made again, whoever was killed or writes at the same time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from analysis.data import cache_folder, load_images
from analysis.errors import DataError
from analysis.specs import DataSpec


def _load(folder, cache):
    """The images, and whether they had to be decoded."""
    told = []
    images = load_images(
        DataSpec("folder", str(folder)), cache, lambda *counts: told.append(counts)
    )
    return images, bool(told)


def _entry(cache: Path) -> Path:
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    return entry


def test_second_start_does_not_decode(image_folder, cache):
    """The same pixels, labels, classes and fingerprint, from disk, without a warning."""
    first, decoded = _load(image_folder, cache)
    assert decoded

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second, decoded = _load(image_folder, cache)

    assert not decoded
    for name in ("train", "train_labels", "test", "test_labels"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert (first.classes, first.fingerprint) == (second.classes, second.fingerprint)


def test_a_changed_folder_is_decoded_again(image_folder, cache):
    """The old entry is replaced, not kept beside."""
    _load(image_folder, cache)
    Image.new("RGB", (32, 32)).save(image_folder / "train" / "dog" / "new.png")

    images, decoded = _load(image_folder, cache)

    assert decoded
    assert len(images.train) == 7
    assert _entry(cache).is_dir()


def _truncate(entry):
    path = entry / "train.npy"
    path.write_bytes(path.read_bytes()[:-1])


def _damage_header(entry):
    (entry / "train.npy").write_bytes(b"\x93NUMPY, but not quite" * 1000)


def _swap(entry):
    (entry / "train.npy").write_bytes((entry / "test.npy").read_bytes())


DAMAGES = {
    "pixels cut off": _truncate,
    "another set's pixels": _swap,
    "header overwritten": _damage_header,
    "labels missing": lambda entry: (entry / "test_labels.npy").unlink(),
    "meta.json missing": lambda entry: (entry / "meta.json").unlink(),
    "meta.json cut off": lambda entry: (entry / "meta.json").write_text('{"format": 1, "sta'),
    "meta.json of another shape": lambda entry: (entry / "meta.json").write_text("[1, 2]"),
    "newer format": lambda entry: (entry / "meta.json").write_text('{"format": 99}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(image_folder, cache, damage):
    """Silently, with the same result: the images themselves are still there."""
    before, _ = _load(image_folder, cache)
    expected = before.train.clone()
    DAMAGES[damage](_entry(cache))

    after, decoded = _load(image_folder, cache)

    assert decoded
    assert torch.equal(after.train, expected)
    assert not _load(image_folder, cache)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")
def test_killed_while_it_writes(image_folder, cache):
    """SIGKILL in the middle leaves nothing that is taken for an entry, and nothing for long."""
    killed = _start(image_folder, cache, "os.kill(os.getpid(), signal.SIGKILL)")
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name[0] for path in cache.iterdir() if path.is_dir()] == ["."]

    images, decoded = _load(image_folder, cache)

    assert decoded
    assert len(images.train) == 6
    assert _entry(cache).name[0] != "."


def test_writing_to_the_tensors_does_not_reach_the_disk(image_folder, cache):
    """A slip in a notebook must not damage the cache for everyone."""
    images, _ = _load(image_folder, cache)
    expected = images.train.clone()
    images.train.zero_()

    assert torch.equal(_load(image_folder, cache)[0].train, expected)


def test_processes_that_start_at_once_agree(image_folder, cache):
    """One builds and the other waits: both get the images, and only one decodes."""
    processes = [_start(image_folder, cache, "told.append(1)") for _ in range(2)]
    printed = [process.communicate(timeout=120)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0][:2] == printed[1][:2]
    assert sorted(words[2] for words in printed) == ["False", "True"]


def _start(folder: Path, cache: Path, on_progress: str) -> subprocess.Popen[str]:
    """A process that loads the folder; it prints fingerprint, sum and whether it decoded."""
    program = (
        "import os, signal, sys\n"
        "from analysis.data import load_images\n"
        "from analysis.specs import DataSpec\n"
        "told = []\n"
        f"def progress(done, total): {on_progress}\n"
        "images = load_images(DataSpec('folder', sys.argv[1]), sys.argv[2], progress)\n"
        "print(images.fingerprint, int(images.train.sum()), bool(told))"
    )
    command = [sys.executable, "-c", program, str(folder), str(cache)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_place_of_the_cache(monkeypatch, tmp_path):
    """The environment decides; without it, the platform's cache folder."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path

    monkeypatch.delenv("RESIDUAL_LENS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "residual-lens"


def test_a_cache_that_cannot_be_written(image_folder, tmp_path):
    """Says where, why and what to do."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")

    with pytest.raises(DataError) as error:
        _load(image_folder, blocked)

    assert str(error.value) == (
        f"decoded images can't be written to the cache {blocked}: File exists; make room or "
        "change its permissions, or name another folder in RESIDUAL_LENS_CACHE"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes the POSIX way")
def test_no_room_for_the_pixels(image_folder, cache):
    """An error in words and no half-written entry, where a memory map would die of SIGBUS."""
    resource = pytest.importorskip("resource")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, limits[1]))
    try:
        with pytest.raises(DataError) as error:
            _load(image_folder, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(error.value) == (
        f"decoded images can't be written to the cache {cache}: {os.strerror(errno.EFBIG)}; make "
        "room or change its permissions, or name another folder in RESIDUAL_LENS_CACHE"
    )
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
