"""A trained net on disk: a directory that a person can read and any tool can open.

`files` writes whole or not at all, `format` says what is in config.json and status.json,
`fields` and `provenance` check and parse what they hold, `checks` looks whether a run is whole,
`reader` lists runs, `writer` makes them; `recordings` are layer responses of modules
that are no nets of ours, `finding` tells which run or recording a name means. Nothing here imports
torch, and no file of a run is a pickle, so that reading one executes nothing by construction.
"""

from analysis.runs.finding import find_comparable, find_run
from analysis.runs.format import ImagesInfo, RunConfig, RunStatus, State
from analysis.runs.reader import (
    BUNDLED,
    DamagedRun,
    Run,
    default_folder,
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
