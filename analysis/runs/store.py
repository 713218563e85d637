"""What a streaming pass learned of a run, kept as one .npz: with the run, or in the cache folder.

An entry is stamped with the weights and images it is of, and made again when either changes.
Bundled and read-only runs have theirs in the user's cache folder. Knows nothing of what is kept.
"""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np

from analysis.errors import RunError
from analysis.runs.files import check_regular, replace, unreadable
from analysis.runs.reader import Run
from analysis.specs.datasets import cache_folder

Made = TypeVar("Made")

FOLDER = "lens"
"""In a run's directory, and in the cache folder."""
LARGEST = 2**28
"""Bytes of a file; readouts of ResNet-152 for 1,000 classes have 0.2 GB."""
UNPACKED = 2**26
"""Bytes that a file may unpack to however small it is; a survey of ResNet-1202 has 18 MB."""
MOST_PACKED = 4
"""Times its own size that it may unpack to above that; what is kept here has 1.1 to 2.4."""


def stamp_of(run: Run, *parts: object) -> str:
    """Of the run's weights and whatever else an entry depends on: 16 hex digits."""
    try:
        state = run.weights_path.stat()
        weights = _digest(run.weights_path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise unreadable(run.weights_path, error) from error
    return hashlib.sha256(weights + repr(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _digest(path: Path, _changed: int, _size: int) -> bytes:
    # Kept: a page asks at each look, and a net of 85 MB takes a third of a second to hash.
    return hashlib.sha256(path.read_bytes()).digest()


def read(
    run: Run, name: str, stamp: str, make: Callable[[dict[str, np.ndarray]], Made]
) -> Made | None:
    """What `make` makes of an entry's arrays; None where there is none, or it is torn or edited,
    or of other weights."""
    for path in places(run, name):
        try:
            arrays = _arrays(path, stamp)
            if arrays is not None:
                return make(arrays)
        except Exception:  # anybody's bytes: zipfile, zlib and numpy raise nearly anything
            continue
    return None


def _arrays(path: Path, stamp: str) -> dict[str, np.ndarray] | None:
    """An entry's arrays; None where it has another stamp or digest, or is out of all proportion."""
    check_regular(path)
    size = path.stat().st_size
    if size > LARGEST:
        return None
    with zipfile.ZipFile(BytesIO(path.read_bytes())) as archive:
        found = archive.infolist()
        parts = {info.filename.removesuffix(".npy"): info for info in found}
        unpacked = sum(info.file_size for info in found)
        hidden = any(info.comment or info.extra for info in found)  # maybe the next part's entry
        if hidden or unpacked > max(UNPACKED, MOST_PACKED * size):
            return None
        if str(_array(archive, parts["stamp"])) != stamp:
            return None
        arrays = {key: _array(archive, info) for key, info in parts.items()}
    if str(arrays.pop("digest", "")) not in ("", digest_of(arrays)):  # older ones have none
        return None
    del arrays["stamp"]
    return arrays


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an entry; no more is unpacked than the zip's directory says that there is.

    Raises:
        ValueError: it is no array, or its shape is not that of so many bytes.
        Exception: nearly any other, where it is damaged.
    """
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("compressed as none is here: others unpack without a limit")
    with archive.open(info) as packed:
        data = BytesIO(packed.read(info.file_size))
    if np.lib.format.read_magic(data) != (1, 0):
        raise ValueError("written by another program")
    shape, _columns_first, dtype = np.lib.format.read_array_header_1_0(data)
    if math.prod(shape) * max(dtype.itemsize, 1) != info.file_size - data.tell():
        raise ValueError("its shape is another than its length says")
    data.seek(0)
    return np.lib.format.read_array(data, allow_pickle=False)


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names, types, shapes and values."""
    digest = hashlib.sha256()
    for key, value in sorted(arrays.items()):
        value = np.asarray(value)
        digest.update(f"{key} {value.dtype} {value.shape}".encode() + value.tobytes())
    return digest.hexdigest()


def write(run: Run, name: str, stamp: str, arrays: dict[str, np.ndarray]) -> Path:
    """Keep an entry in the first place that can be written: whole or not at all.

    Raises:
        RunError: no place can be written.
    """
    arrays = {"stamp": np.array(stamp), **arrays}
    arrays["digest"] = np.array(digest_of(arrays))
    for path in places(run, name):
        temporary = path.with_name(f".{name}.{os.getpid()}.npz")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(temporary, **arrays)  # type: ignore
            replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            continue
        return path
    raise RunError(
        "What was found of {run} can't be kept: {places} can't be written. Make room or change "
        "their permissions, or name another folder in RESIDUAL_LENS_CACHE.",
        run=run.id,
        places=", ".join(str(path.parent) for path in places(run, name)),
    )


def places(run: Run, name: str) -> list[Path]:
    """Where an entry is looked for and kept, best first."""
    return [folder / f"{name}.npz" for folder in _folders(run)]


def _folders(run: Run) -> list[Path]:
    """Where to look, best first. A bundled run's own folder is only read where it has one."""
    cache = cache_folder() / FOLDER / run.id
    own = run.path / FOLDER
    if run.bundled and not own.is_dir():
        return [cache]
    return [cache, own] if run.bundled else [own, cache]
