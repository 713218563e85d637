"""What tells whether a file is still the one that was read: its time, number and size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from analysis.runs import files, tables

Stamp = tuple[int, ...]

TABLES = tuple(map(files.table_file, tables.SCHEMAS))
LOADED = (files.CONFIG, files.MODEL, *TABLES)
"""What a run says of itself besides its status."""


def stamp(file: Path | str) -> Stamp:
    """Changes with a file or a folder; zeros where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path takes as long again
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_ino, found.st_size


def stamps(folder: Path | str, names: Iterable[str] = LOADED) -> Stamp:
    """Changes with any of the named files of a folder."""
    found: list[int] = []
    for name in names:
        found += stamp(f"{folder}{os.sep}{name}")
    return tuple(found)
