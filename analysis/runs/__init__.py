"""A trained net on disk: a directory that a person can read and any tool can open.

`files` writes whole or not at all, `format` says what is in config.json and status.json,
`fields` and `provenance` check and parse what they hold, `checks` looks whether a run is whole,
`listing` knows which directories are runs, `reader` reads them, `writer` makes them; `recordings`
are layer responses of modules that are no nets of ours, `finding` tells which run or recording a
name means. Nothing here imports torch, and no file of a run is a pickle, so that reading one
executes nothing by construction.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.runs.finding import find_comparable, find_run
    from analysis.runs.format import ImagesInfo, RunConfig, RunStatus, State
    from analysis.runs.listing import BUNDLED, default_folder
    from analysis.runs.reader import (
        DamagedRun,
        Run,
        list_runs,
        load_or_damaged,
        load_run,
        run_paths,
    )
    from analysis.runs.recordings import (
        Comparable,
        SavedRecording,
        list_recordings,
        load_recording,
        only_readable,
        write_recording,
    )
    from analysis.runs.writer import RunWriter, create_run, delete_run, open_writer

_MODULES = ("listing", "format", "reader", "recordings", "finding", "writer")
"""Each imports those before it, and is imported when a name is asked for that they don't have: a
list of known runs needs the first alone, in a fifth of the time."""

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
    "run_paths",
    "write_recording",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = (import_module(f"{__name__}.{module}") for module in _MODULES)
    globals()[name] = found = next(vars(module)[name] for module in modules if name in vars(module))
    return found
