"""The runs of folders, for whoever looks again and again: only what changed is loaded anew."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.runs.listing import bundled_folder, real_entries
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
        self._known: dict[Path, dict[str, _Loaded]] = {}
        """By folder and path."""
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
        parts = 1 + sum(map(len, self._known.values())) // _AT_ONCE
        for folder in places:
            known, found = self._known.get(folder, {}), {}
            ask = folder not in self._known  # once, for a server's first page
            with without_collecting(), Loader(folder, ask).keeping() as loader:
                for number, (path, real) in enumerate(real_entries(folder)):
                    due = closer and number % parts == self._turn % parts
                    one = self._now(known.get(path), path, real, due, loader)
                    if one is not None:
                        found[path] = one
            self._known[folder] = found
            yield from found.values()

    def _now(
        self, before: _Loaded | None, path: str, real: str, due: bool, loader: Loader
    ) -> _Loaded | None:
        """What is known of a run, or what loading it says where it has changed."""
        quick = stamp(path)
        same = before is not None and before.quick == quick
        if same and not (due and before.all != stamps(path, READ)):
            return before
        every = stamps(path, READ)
        entry = loader.load(path, every)
        if entry is None:
            return None
        if isinstance(entry, Run):
            entry = self._kind(entry.path, entry.config, entry.status)
            # Asked of every run by every page, and quickly known here.
            vars(entry)["bundled"] = os.path.dirname(real) == bundled_folder()  # noqa: PTH120
        return _Loaded(entry, real, quick, every)
