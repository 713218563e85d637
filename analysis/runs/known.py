"""The runs of folders, for whoever looks again and again: only what changed is loaded anew."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.runs.listing import real_entries
from analysis.runs.loading import READ, Loader, without_collecting
from analysis.runs.reader import DamagedRun, Run
from analysis.runs.stamps import Stamp, stamp, stamps

CLOSER = 5.0
"""Seconds between looks at the times of all files of runs, rather than of their folders, which
every status that takes another's place changes."""
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
        self._asked: set[Path] = set()
        """Folders of which the index was asked: once, for a server's first page."""
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
            with (
                without_collecting(),
                Loader(folder, folder not in self._asked).keeping() as loader,
            ):
                self._asked.add(folder)
                for number, (path, real) in enumerate(real_entries(folder)):
                    quick = stamp(path)
                    before = self._known.get(path)
                    same = before is not None and before.quick == quick
                    due = closer and number % parts == self._turn % parts
                    if same and not (due and before.all != stamps(path, READ)):
                        yield before
                        continue
                    every = stamps(path, READ)
                    entry = loader.load(path, every)
                    if entry is None:
                        continue
                    if isinstance(entry, Run):
                        entry = self._kind(entry.path, entry.config, entry.status)
                    self._known[path] = loaded = _Loaded(entry, real, quick, every)
                    yield loaded
