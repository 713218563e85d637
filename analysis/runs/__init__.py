"""A trained net on disk: a directory that a person can read and any tool can open.

`files` writes whole or not at all, `format` says what is in config.json and status.json, `fields`
and `provenance` check and parse what they hold, `checks` looks whether a run is whole, `listing`
knows which directories are runs, `reader` reads one, `loading` thousands, `writer` makes them;
`remembering` keeps answers about a run in the `index` beside it; `recordings` are layer responses
of modules that are no nets of ours, `finding` tells which run or recording a name means. Nothing
here imports torch, and no file of a run is a pickle, so that reading one executes nothing by
construction.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analysis.runs.listing import BUNDLED, default_folder

if TYPE_CHECKING:
    from analysis.runs.finding import find_comparable, find_run
    from analysis.runs.format import ImagesInfo, RunConfig, RunStatus, State
    from analysis.runs.loading import list_runs
    from analysis.runs.reader import DamagedRun, Run, load_or_damaged, load_run
    from analysis.runs.recordings import (
        Comparable,
        SavedRecording,
        list_recordings,
        load_recording,
        only_readable,
        write_recording,
    )
    from analysis.runs.writer import RunWriter, create_run, delete_run, open_writer

_IN = {
    "finding": "find_comparable find_run",
    "format": "ImagesInfo RunConfig RunStatus State",
    "loading": "list_runs",
    "reader": "DamagedRun Run load_or_damaged load_run",
    "recordings": "Comparable SavedRecording list_recordings load_recording only_readable "
    "write_recording",
    "writer": "RunWriter create_run delete_run open_writer",
}
"""Imported when asked for: a list of known runs needs none of them, in a fifth of the time."""
_LAZY = {name: f"{__name__}.{module}" for module, names in _IN.items() for name in names.split()}

__all__ = [
    "BUNDLED",
    "Comparable",
    "DamagedRun",
    "ImagesInfo",
    "Run",
    "RunConfig",
    "RunStatus",
    "RunWriter",
    "SavedRecording",
    "State",
    "create_run",
    "default_folder",
    "delete_run",
    "find_comparable",
    "find_run",
    "list_recordings",
    "list_runs",
    "load_or_damaged",
    "load_recording",
    "load_run",
    "only_readable",
    "open_writer",
    "write_recording",
]

if not TYPE_CHECKING:  # or every name would be taken for one of the package's

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_LAZY[name]), name)
        return found
