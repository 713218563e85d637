"""The runs of folders, for whoever looks again and again: only what changed is loaded anew."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.runs import files
from analysis.runs.reader import DamagedRun, Run, entries, is_run, load_or_damaged, real_path
from analysis.runs.stamps import Stamp, stamp, stamps

CLOSER = 5.0
"""Seconds between looks at the times of all files of a run, rather than of its folder and status,
which all that we write changes."""


@dataclass(frozen=True)
class _Loaded:
    entry: Run | DamagedRun
    real: str
    quick: Stamp
    """Of its folder and status."""
    all: Stamp
    """Of what loading it looks at besides."""


class KnownRuns:
    """All runs of folders as they are now; may be asked by several threads."""

    def __init__(self) -> None:
        self._known: dict[str, _Loaded] = {}
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
                self._known = {p: one for p, one in self._known.items() if os.path.lexists(p)}
            found = {one.real: one.entry for one in self._look(places, closer)}
        return [
            Run(one.path, one.config, one.status) if isinstance(one, Run) else one
            for one in found.values()
        ]

    def runs(self, folder: Path) -> list[Run]:
        """The readable ones of a folder."""
        return [run for run in self.entries([folder]) if isinstance(run, Run)]

    def _look(self, places: Iterable[Path], closer: bool) -> Iterator[_Loaded]:
        for folder in places:
            for path in entries(folder):
                quick = (*stamp(path), *stamp(f"{path}{os.sep}{files.STATUS}"))
                before = self._known.get(path)
                same = before is not None and before.quick == quick
                if same and not (closer and before.all != stamps(path)):
                    yield before
                elif is_run(path, folder):
                    every = stamps(path)  # before it is loaded: changes meanwhile are seen later
                    loaded = _Loaded(load_or_damaged(Path(path)), real_path(path), quick, every)
                    self._known[path] = loaded
                    yield loaded
