"""The runs of folders, for whoever looks again and again: only what changed is loaded anew."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.runs import files
from analysis.runs.listing import entries, is_run, real_path
from analysis.runs.reader import DamagedRun, Run, load_or_damaged
from analysis.runs.stamps import LOADED, Stamp, stamp, stamps

CLOSER = 5.0
"""Seconds between looks at the times of all files of runs, rather than of their folders, which
every status that takes another's place changes."""
_ALL = (*LOADED, files.STATUS)
_AT_ONCE = 1000
"""Runs of which all files are looked at in one such look; of more, one part after the other."""


@dataclass(frozen=True)
class _Loaded:
    entry: Run | DamagedRun
    real: str
    quick: Stamp
    """Of its folder."""
    all: Stamp
    """Of what loading it looks at."""


class KnownRuns:
    """All runs of folders as they are now; may be asked by several threads.

    Args:
        kind: of the runs that are returned. The same objects as long as nothing changes.
    """

    def __init__(self, kind: type[Run] = Run) -> None:
        self._kind = kind
        self._known: dict[str, _Loaded] = {}
        self._looked: dict[tuple[Path, ...], float] = {}
        self._turn = 0
        self._lock = threading.Lock()

    def entries(self, folders: Iterable[Path | str]) -> list[Run | DamagedRun]:
        """As `list_runs`; whether a process is at work on a run is always asked anew."""
        places = tuple(map(Path, folders))
        with self._lock:
            now = time.monotonic()
            closer = now - self._looked.get(places, -CLOSER) >= CLOSER
            if closer:
                self._looked[places] = now
                self._turn += 1
                self._known = {p: one for p, one in self._known.items() if os.path.lexists(p)}
            found = {one.real: one.entry for one in self._look(places, closer)}
        return [self._asked_anew(one) for one in found.values()]

    def runs(self, folder: Path) -> list[Run]:
        """The readable ones of a folder."""
        return [run for run in self.entries([folder]) if isinstance(run, Run)]

    def _asked_anew(self, one: Run | DamagedRun) -> Run | DamagedRun:
        """An object keeps the state that it was once asked for, and a process may be gone."""
        if isinstance(one, Run) and one.status.state == "running":
            return self._kind(one.path, one.config, one.status)
        return one

    def _look(self, places: Iterable[Path], closer: bool) -> Iterator[_Loaded]:
        parts = 1 + len(self._known) // _AT_ONCE
        for folder in places:
            for number, path in enumerate(entries(folder)):
                quick = stamp(path)
                before = self._known.get(path)
                same = before is not None and before.quick == quick
                due = closer and number % parts == self._turn % parts
                if same and not (due and before.all != stamps(path, _ALL)):
                    yield before
                elif is_run(path, folder):
                    every = stamps(path, _ALL)  # before it is loaded: later changes are seen
                    entry = load_or_damaged(Path(path))
                    if isinstance(entry, Run):
                        entry = self._kind(entry.path, entry.config, entry.status)
                    loaded = _Loaded(entry, real_path(path), quick, every)
                    self._known[path] = loaded
                    yield loaded
