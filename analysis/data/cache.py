"""Decoded images on disk: written once, whole or not at all, then opened as a memory map.

An entry is a folder of .npy files and meta.json, named for its source and stamped with the state
of that source. Anything missing, torn or out of date is made again. Knows nothing of where images
come from: a source says how to read itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from filelock import FileLock

from analysis.data.images import Images, fingerprint_of
from analysis.errors import DataError
from analysis.specs.datasets import CACHE_VARIABLE

FORMAT = 1
"""Raised when the conversion changes, so that older entries are made again."""

Progress = Callable[[int, int], None]
"""Called with the images done and their total."""


@dataclass(frozen=True)
class Content:
    """The images of a source, read as they are written: chunks come once, in order."""

    classes: tuple[str, ...]
    size: int
    labels: dict[str, np.ndarray]
    """By split, `train` and `test`: int64 (N,)."""
    chunks: dict[str, Iterable[np.ndarray]]
    """By split: uint8 (n, 3, size, size), N images in all."""


@dataclass(frozen=True)
class Source:
    """Images that can be had, not read yet."""

    entry: str
    """Name of its cache entry, a file name."""
    stamp: str
    """Differs whenever the images do."""
    read: Callable[[], Content]
    """Raises DataError for images that can't be had."""
    origin: str = ""
    """Where they come from, noted in meta.json for people who look through the cache."""


def open_cached(folder: Path, source: Source) -> Images | None:
    """The images if they were decoded before and have not changed since; else None."""
    return _read(folder / source.entry, source.stamp)


def open_or_build(folder: Path, source: Source, progress: Progress | None = None) -> Images:
    """The source's images from its cache entry, which is first made where it is missing or stale.

    Processes that start at once wait for the one that builds.

    Raises:
        DataError: the images can't be read, or the cache folder can't be written.
    """
    entry = folder / source.entry
    images = open_cached(folder, source)
    if images is not None:
        return images
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not the marker-file fallback: after a crash it would lock for ever.
        path = folder / f"{source.entry}.lock"
        with FileLock(path, fallback_to_soft=False, preserve_lock_file=True):
            if _read(entry, source.stamp) is None:
                _build(entry, source, progress or (lambda done, total: None))
    except OSError as error:
        raise DataError(
            "decoded images can't be written to the cache {folder}: {reason}; "
            "make room or change its permissions, or name another folder in {variable}",
            folder=folder,
            reason=error.strerror or error,
            variable=CACHE_VARIABLE,
        ) from error
    images = _read(entry, source.stamp)
    if images is None:
        raise DataError(
            "the cache entry {entry} can't be read back; delete it, "
            "or name another folder in {variable}",
            entry=entry,
            variable=CACHE_VARIABLE,
        )
    return images


def _read(entry: Path, stamp: str) -> Images | None:
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        if (meta["format"], meta["stamp"]) != (FORMAT, stamp):
            return None
        arrays = [
            array
            for split in ("train", "test")
            for array in _read_split(entry, split, meta["counts"][split], meta["size"])
        ]
        return Images(*arrays, classes=tuple(meta["classes"]), fingerprint=meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_split(entry: Path, split: str, n: int, size: int) -> Iterator[torch.Tensor]:
    # Mode "c" (copy on write) reads the file only, yet gives torch the writable memory without
    # which it warns.
    # Nothing can't be mapped: of a folder whose test images alone were asked for.
    pixels = np.load(entry / f"{split}.npy", mmap_mode="c" if n else None, allow_pickle=False)
    labels = np.load(entry / f"{split}_labels.npy", allow_pickle=False)
    if (pixels.shape, pixels.dtype) != ((n, 3, size, size), np.dtype(np.uint8)):
        raise ValueError("pixels are not what meta.json says")
    if (labels.shape, labels.dtype) != ((n,), np.dtype(np.int64)):
        raise ValueError("labels are not what meta.json says")
    yield torch.from_numpy(pixels)
    yield torch.from_numpy(labels)


def _build(entry: Path, source: Source, progress: Progress) -> None:
    for leftover in entry.parent.glob(f".{entry.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    content = source.read()
    temporary = entry.parent / f".{entry.name}.{os.getpid()}"
    temporary.mkdir()
    try:
        meta = {"format": FORMAT, "origin": source.origin, "stamp": source.stamp}
        meta |= _write(temporary, content, progress)
        with _durable(temporary / "meta.json") as file:
            file.write(json.dumps(meta, indent=1).encode())
        if entry.exists():
            shutil.rmtree(entry)
        temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, content: Content, progress: Progress) -> dict[str, Any]:
    counts = {split: len(labels) for split, labels in content.labels.items()}
    total, done = sum(counts.values()), 0
    sha = fingerprint_of(content.classes, content.size, counts)
    for split, labels in content.labels.items():
        sha.update(labels.astype("<i8").tobytes())
        with _durable(folder / f"{split}_labels.npy") as file:
            np.save(file, labels, allow_pickle=False)
        shape = (counts[split], 3, content.size, content.size)
        with _durable(folder / f"{split}.npy") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            for chunk in content.chunks[split]:
                pixels = np.ascontiguousarray(chunk).data
                file.write(pixels)
                sha.update(pixels)
                done += len(chunk)
                progress(done, total)
    return {
        "classes": list(content.classes),
        "size": content.size,
        "counts": counts,
        "fingerprint": sha.hexdigest()[:16] if counts["train"] else f"test:{sha.hexdigest()[:16]}",
    }


@contextmanager
def _durable(path: Path) -> Generator[BinaryIO]:
    """A file that is on the disk when the block ends, not only in the system's memory."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
