"""What a streaming pass learned of a run, kept as one .npz: with the run, or in the cache folder.

An entry is stamped with the weights and images it is of, and made again when either changes.
Bundled and read-only runs have theirs in the user's cache folder. Knows nothing of what is kept.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np

from analysis.data import cache_folder
from analysis.runs import Run

FOLDER = "lens"
"""In a run's directory, and in the cache folder."""


def stamp_of(run: Run, *parts: object) -> str:
    """Of the run's weights and whatever else an entry depends on: 16 hex digits."""
    sha = hashlib.sha256(run.weights_path.read_bytes())
    sha.update(repr(parts).encode())
    return sha.hexdigest()[:16]


def read(run: Run, name: str, stamp: str) -> dict[str, np.ndarray] | None:
    """The arrays of an entry; None where there is none, or it is torn or of other weights."""
    for folder in _folders(run):
        try:
            data = BytesIO((folder / f"{name}.npz").read_bytes())
            with np.load(data, allow_pickle=False) as found:
                if str(found["stamp"]) == stamp:
                    return {key: found[key] for key in found.files if key != "stamp"}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
    return None


def write(run: Run, name: str, stamp: str, arrays: dict[str, np.ndarray]) -> Path | None:
    """Keep an entry in the first folder that can be written; None where none can."""
    for folder in _folders(run):
        temporary = folder / f".{name}.{os.getpid()}.npz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(temporary, stamp=np.array(stamp), **arrays)  # type: ignore
            os.replace(temporary, folder / f"{name}.npz")
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            continue
        return folder / f"{name}.npz"
    return None


def _folders(run: Run) -> list[Path]:
    """Where to look, best first. A bundled run's own folder is only read where it has one."""
    cache = cache_folder() / FOLDER / run.id
    own = run.path / FOLDER
    if run.bundled and not own.is_dir():
        return [cache]
    return [cache, own] if run.bundled else [own, cache]
