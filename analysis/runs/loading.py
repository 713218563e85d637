"""Loading the runs of folders: thousands at once, from what the index has kept of them.

A run that is at rest is checked and parsed when it is first seen. What was read is kept in the
index, and counts as long as none of the run's files changes: a new process opens none of them.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.errors import RunDamaged
from analysis.runs import files, listing, stamps
from analysis.runs.format import RunConfig, RunStatus
from analysis.runs.index import index_of, is_bundled, within_look, words
from analysis.runs.reader import DamagedRun, Run, load_or_damaged
from analysis.text import Message

READ = (*stamps.LOADED, files.STATUS)
"""The files of a run that make it another when they change."""
_OWN = "seed", "created", "command"
"""Fields of config.json that each run has for itself; in the others thousands are alike."""
_RUN, _SHARED = "run", "runs"
"""Questions of the index: what a run has for itself, and by its hash what it shares with others."""
_OF_LOADED = len(stamps.LOADED) * stamps.NUMBERS
_NOT_OURS = (ValueError, TypeError, KeyError, AttributeError, RecursionError, RunDamaged)
"""What may come of a row that we have not written: the run's files are read, then."""
_ANY = ""
"""The stamp of what never changes."""


def list_runs(folders: Iterable[Path | str] | None = None) -> list[Run | DamagedRun]:
    """All runs in the folders, oldest first, damaged ones with their reason.

    Args:
        folders: where to look; by default the bundled runs and the user's.
    """
    places = (listing.BUNDLED, listing.default_folder()) if folders is None else folders
    found: dict[str, Run | DamagedRun] = {}
    with without_collecting():
        for folder in map(Path, places):
            with Loader(folder).keeping() as loader:
                for path, real in listing.real_entries(folder):
                    entry = loader.load(path, stamps.stamps(path, READ))
                    if entry is not None:
                        found[real] = entry
    return list(found.values())


@contextmanager
def without_collecting() -> Generator[None]:
    """Thousands of runs are many small objects, none of them garbage."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


class Loader:
    """Loads runs of one folder.

    Args:
        folder: of the runs.
        ask: the index, which takes some milliseconds: not worth it for one run or two.
    """

    def __init__(self, folder: Path, ask: bool = True) -> None:
        self._folder = folder
        # One of each may have the same name, and what is kept of both is in the user's folder.
        self._question = f"bundled {_RUN}" if is_bundled(folder) else _RUN
        self._known = index_of(folder).get_all(self._question) if ask else {}
        self._shared = index_of(folder).get_all(_SHARED) if ask else {}
        self._configs: dict[str, RunConfig] = {}
        self._new: dict[tuple[str, str], tuple[str, str]] = {}
        """(stamp, value) by run and question."""

    @contextmanager
    def keeping(self) -> Generator[Loader]:
        """Around the loading: at the end what was read of files is kept in the index."""
        yield self
        if self._new:
            index_of(self._folder).put_all([(*key, *kept) for key, kept in self._new.items()])

    def load(self, path: str, stamp: stamps.Stamp) -> Run | DamagedRun | None:
        """The run in a directory of the folder, or what is wrong with it; None: it is no run.

        Args:
            path: of the directory.
            stamp: of the files `READ`, before: what is written meanwhile is read again later.
        """
        name, now = path.rpartition(os.sep)[2], words(stamp)
        # What is asked of its tables next, `remembering`, need not look at the same files again.
        within_look(("files", path), lambda: words(stamp[:_OF_LOADED]))
        kept, text = self._known.get(name, (_ANY, ""))
        if kept == now:
            with suppress(*_NOT_OURS):
                return self._told(path, text)
        if not listing.is_run(path, self._folder):
            return None
        entry = load_or_damaged(Path(path))
        if isinstance(entry, Run) and entry.status.state != "running":
            self._keep(name, now, entry)
        return entry

    def _keep(self, name: str, stamp: str, run: Run) -> None:
        config = run.config.to_json()
        own = [config.pop(field) for field in _OWN]
        shared = json.dumps(config)
        key = hashlib.sha256(shared.encode()).hexdigest()[:16]
        self._new[key, _SHARED] = _ANY, shared
        self._new[name, self._question] = stamp, json.dumps([key, own, *_parts(run.status)])

    def _told(self, path: str, text: str) -> Run:
        key, own, status, reason, parts = json.loads(text)
        if key not in self._configs:
            values = {**json.loads(self._shared[key][1]), **dict.fromkeys(_OWN, ""), "seed": 0}
            self._configs[key] = RunConfig.from_json(values)
        config = replace(self._configs[key], **dict(zip(_OWN, own, strict=True)))
        why = (Message.from_json(parts) if parts else None) or Message(reason)
        return Run(Path(path), config, RunStatus(**status, reason=why))


_USUAL = vars(RunStatus("queued"))


def _parts(status: RunStatus) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """(what is not as usual, the reason in English, its text and values)."""
    own = {
        name: value for name, value in vars(status).items()
        if name == "state" or (name != "reason" and value != _USUAL[name])
    }  # fmt: skip
    return own, status.reason.english(), status.reason.to_json() if status.reason.values else {}
