"""Every cache of the app. Keys are paths and file stamps, so a run that grows is read again.

What a cache returns is shared by all sessions: tables from here are read, never written to.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from analysis.runs import DamagedRun, Run, SavedRecording, load_or_damaged, run_paths
from analysis.runs.files import CONFIG, MODEL, STATUS, table_file
from analysis.runs.reader import read_table
from analysis.runs.recordings import RECORDING, recording_or_damaged, recording_paths

Stamp = tuple[int, int]


class _CachedTables:
    """Tables are read from disk once for each change of the file."""

    path: Path

    def _table(self, table: str) -> pd.DataFrame:
        path = self.path / table_file(table)
        return _read_table(str(path), table, _stamp(path))


class CachedRun(_CachedTables, Run):
    """A run with cached tables."""


class CachedRecording(_CachedTables, SavedRecording):
    """A recording with cached tables."""


def list_runs() -> tuple[list[Run], list[DamagedRun]]:
    """The bundled runs and the user's, and those that are damaged."""
    whole: list[Run] = []
    damaged: list[DamagedRun] = []
    for path in run_paths():
        stamps = tuple(_stamp(path / name) for name in (CONFIG, STATUS, MODEL))
        run = _load(str(path), stamps)
        if isinstance(run, DamagedRun):
            damaged.append(run)
        else:
            # A fresh object: whether a process is at work on it is not to be cached.
            whole.append(CachedRun(run.path, run.config, run.status))
    return whole, damaged


def list_recordings() -> tuple[list[SavedRecording], list[DamagedRun]]:
    """Recorded modules, and those that are damaged."""
    found = [_load_recording(str(p), _stamp(p / RECORDING)) for p in recording_paths()]
    whole = [CachedRecording(r.path, r.info) for r in found if isinstance(r, SavedRecording)]
    return list(whole), [r for r in found if isinstance(r, DamagedRun)]


@st.cache_resource(max_entries=512, show_spinner=False)
def _load_recording(path: str, stamp: Stamp) -> SavedRecording | DamagedRun:
    return recording_or_damaged(Path(path))


@st.cache_resource(max_entries=4096, show_spinner=False)
def _load(path: str, stamps: tuple[Stamp, ...]) -> Run | DamagedRun:
    return load_or_damaged(Path(path))


@st.cache_resource(max_entries=128, show_spinner=False)
def _read_table(path: str, table: str, stamp: Stamp) -> pd.DataFrame:
    frame = read_table(Path(path), table)
    words = [name for name in ("layer", "source", "block_name") if name in frame]
    # 110 layers by 164 epochs by two sources: 36,000 rows with few words in them.
    return frame.astype(dict.fromkeys(words, "category"))


def _stamp(path: Path) -> Stamp:
    """Changes with the file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
