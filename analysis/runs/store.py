"""What a streaming pass learned of a run, kept as one .npz: with the run, or in the cache folder.

An entry is stamped with the weights and images it is of, and made again when either changes.
Bundled and read-only runs have theirs in the user's cache folder. Knows nothing of what is kept.
"""

from __future__ import annotations

import hashlib
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
            check_regular(path)
            data = BytesIO(path.read_bytes())
            with np.load(data, allow_pickle=False) as found:
                arrays = {key: found[key] for key in found.files}
            whole = str(arrays.pop("digest", "")) in ("", digest_of(arrays))  # older ones have none
            if str(arrays.pop("stamp")) == stamp and whole:
                return make(arrays)
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, RunError,
                zipfile.BadZipFile):  # fmt: skip
            continue
    return None


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
