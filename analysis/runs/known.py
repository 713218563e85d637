"""The runs of folders, for whoever looks again and again: only what changed is loaded anew."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from analysis.runs import files, tables
from analysis.runs.reader import DamagedRun, Run, load_or_damaged, run_paths

CLOSER = 5.0
"""Seconds between looks at the times of all files of a run, rather than of its folder and status,
which all that we write changes."""
_LOADED = (files.CONFIG, files.MODEL, *map(files.table_file, tables.SCHEMAS))

Stamp = tuple[int, ...]


class KnownRuns:
    """All runs of folders as they are now; may be asked by several threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp, Stamp, Run | DamagedRun]] = {}
        self._looked: dict[tuple[Path, ...], float] = {}
        self._lock = threading.Lock()

    def entries(self, folders: Iterable[Path | str]) -> list[Run | DamagedRun]:
        """As `list_runs`; whether a process is at work on a run is always asked anew."""
        places = tuple(map(Path, folders))
        with self._lock:
            now = time.monotonic()
            closer = now - self._looked.get(places, -CLOSER) >= CLOSER
            if closer:
                self._looked[places] = now
            found = {path: self._entry(path, closer) for path in run_paths(places)}
            for gone in [p for p in self._known if p.parent in places and p not in found]:
                del self._known[gone]
        return [
            Run(one.path, one.config, one.status) if isinstance(one, Run) else one
            for one in found.values()
        ]

    def runs(self, folder: Path) -> list[Run]:
        """The readable ones of a folder."""
        return [run for run in self.entries([folder]) if isinstance(run, Run)]

    def _entry(self, path: Path, closer: bool) -> Run | DamagedRun:
        stamp = (*_stamp(f"{path}"), *_stamp(f"{path}{os.sep}{files.STATUS}"))
        before = self._known.get(path)
        if before is not None and before[0] == stamp:
            if not closer:
                return before[2]
            if before[1] == _all_stamps(path):
                return before[2]
        every = _all_stamps(path)  # before it is loaded: what changes meanwhile is seen next time
        entry = load_or_damaged(path)
        self._known[path] = stamp, every, entry
        return entry


def _all_stamps(path: Path) -> Stamp:
    return tuple(time for name in _LOADED for time in _stamp(f"{path}{os.sep}{name}"))


def _stamp(file: str) -> Stamp:
    """Changes with a file or a folder; zeros where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path takes as long again
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_ino, found.st_size
