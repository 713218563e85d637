"""Ending a trainer that does not answer: SIGTERM, then SIGKILL, and never to a stranger.

A pid alone proves nothing, since it is reused, and a start time in seconds since 1970 moves with
the clock. A process is the run's trainer if it has the run's lock file open while that is locked.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from analysis.runs import files, load_run
from analysis.runs.liveness import is_locked

TERM_AFTER = 10.0
"""Seconds that a trainer has to obey its cancel file before it gets SIGTERM."""
KILL_AFTER = 20.0
"""Seconds before SIGKILL: at most the epoch under way is lost."""


def trainer_of(path: Path) -> psutil.Process | None:
    """The live process that trains a run; None where there is none that can be told for sure."""
    pid = load_run(path).status.pid
    if pid is None or not is_locked(path):
        return None
    try:
        process = psutil.Process(pid)
        opened = {Path(file.path) for file in process.open_files()}
    except psutil.Error:
        return None
    return process if (path / files.LOCK).resolve() in opened else None


def press(
    path: Path, waited: float, term_after: float = TERM_AFTER, kill_after: float = KILL_AFTER
) -> str:
    """Insist on a cancel asked `waited` seconds ago; returns what was sent, if anything."""
    if waited < term_after:
        return ""
    process = trainer_of(path)
    if process is None:
        return ""
    with contextlib.suppress(psutil.Error):
        if waited < kill_after:
            process.terminate()
            return "SIGTERM"
        for child in process.children(recursive=True):
            child.kill()
        process.kill()
        return "SIGKILL"
    return ""
