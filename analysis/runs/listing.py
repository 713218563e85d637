"""Which directories of a folder are runs: by names alone, nothing is read."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from analysis.runs import files

BUNDLED = Path(__file__).resolve().parents[2] / "checkpoints"
"""The runs that come with Residual Lens; read-only."""
MAKE_A_RUN = (files.CONFIG, files.STATUS, files.MODEL)
"""A directory with any of these files is a run, or what is left of one."""


def default_folder() -> Path:
    """Where new runs go: $RESIDUAL_LENS_RUNS, or `runs` in the current directory."""
    return Path(os.environ.get("RESIDUAL_LENS_RUNS") or "runs")


def labels_folder() -> Path:
    """With what the user says of bundled runs, a file each; its time changes with every one."""
    return default_folder() / ".labels"


def bundled_folder() -> str:
    """`BUNDLED` without links, as `real_path` gives it."""
    return _real(str(BUNDLED))


def real_path(path: str) -> str:
    """Without links, of an entry of a folder; quick where there are many."""
    if os.path.islink(path):  # noqa: PTH114
        return os.path.realpath(path)
    whole = path if os.path.isabs(path) else os.path.abspath(path)  # noqa: PTH100, PTH117
    folder, name = os.path.split(whole)
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    return f"{_real(folder)}{os.sep}{name}"


def real_entries(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, `real_path` of it) of what may be a run in a folder, by name; the folder's own if it
    can't be read. One look at the folder tells all links."""
    place = str(folder)
    if not os.path.lexists(place):
        return
    try:
        with os.scandir(place) as found:
            names = sorted((entry.name, entry.is_symlink()) for entry in found)
    except OSError:
        yield place, real_path(place)  # so that this is told
        return
    real = real_path(place)
    for name, is_link in names:
        if not name.startswith(".") and name != "lost+found":
            path = f"{place}{os.sep}{name}"
            yield path, real_path(path) if is_link else f"{real}{os.sep}{name}"


def entries(folder: Path) -> list[str]:
    """The paths of `real_entries`."""
    return [path for path, _real in real_entries(folder)]


def is_run(path: str, folder: Path) -> bool:
    """Whether an entry of a folder is a directory with a run's file in it, or may be."""
    if path == str(folder):  # which can't be read
        return True
    try:
        names = os.listdir(path)  # noqa: PTH208
    except NotADirectoryError:
        return False
    except OSError:
        return files.is_folder(Path(path))  # what is wrong is told when it is loaded
    return any(name in names for name in MAKE_A_RUN)


def recording_paths(
    folders: Iterable[Path | str] | None = None, runs: Container[str] = ()
) -> list[Path]:
    """The directories with a recording and no run, by name; where `list_runs` looks.

    Args:
        folders: where to look; by default the bundled runs and the user's.
        runs: paths that are known to be runs, which are passed over.
    """
    found: list[Path] = []
    for folder in folders if folders is not None else (BUNDLED, default_folder()):
        inside = (path for path in entries(Path(folder)) if path not in runs)
        found += [
            Path(path) for path in inside if os.path.lexists(f"{path}{os.sep}{files.RECORDING}")
        ]
    return [path for path in dict.fromkeys(found) if not is_run(str(path), path.parent)]


@lru_cache(maxsize=64)  # asked of thousands of runs in the same few folders
def _real(folder: str) -> str:
    return os.path.realpath(folder)
