"""What tells whether a file is still the one that was read: its times, number and size.

One of the times changes with its contents, the other also with who may read it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from analysis.runs import files, tables

Stamp = tuple[int, ...]
_NOTHING = (0, 0, 0, 0)
NUMBERS = len(_NOTHING)
"""Of each file."""

TABLES = tuple(map(files.table_file, tables.SCHEMAS))
LOADED = (files.CONFIG, files.MODEL, *TABLES)
"""What a run says of itself besides its status."""
CHECKED = (files.MODEL, *map(files.table_file, ("history", "responses", "refinement")))
"""What `checks.check_finished` looks at."""


def stamp(file: Path | str) -> Stamp:
    """Changes with a file or a folder; zeros where there is none."""
    return _of("", (str(file),))


def stamps(folder: Path | str, names: Iterable[str] = LOADED) -> Stamp:
    """Changes with any of the named files of a folder: `NUMBERS` of each."""
    return _of(f"{folder}{os.sep}", names)


def _of(place: str, names: Iterable[str]) -> Stamp:
    found: list[int] = []
    stat = os.stat  # of a hundred thousand files: what Python itself does counts
    for name in names:
        try:
            seen = stat(place + name)
            found += (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_size)
        except OSError:
            found += _NOTHING
    return tuple(found)
