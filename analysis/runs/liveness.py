"""Whether a process is at work on a run: it holds the run's lock, which the kernel frees at death.

A pid alone proves nothing (it is reused, and a zombie still answers), and a clock may jump; a
lock knows neither.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from filelock import FileLock, Timeout

from analysis.errors import RunInUse
from analysis.runs import files


def run_lock(path: Path) -> FileLock:
    """The lock that a trainer holds for as long as it works on a run."""
    return FileLock(path / files.LOCK)


def is_locked(path: Path) -> bool:
    """Whether some live process holds the run's lock."""
    if not files.exists(path / files.LOCK):
        return False
    lock = run_lock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return _is_locked_by_another_account(path / files.LOCK)
    lock.release()
    return False


def _is_locked_by_another_account(file: Path) -> bool:
    """The same of a lock file that can be read only, or not even that."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def hold(path: Path) -> FileLock:
    """Take the run's lock.

    Raises:
        RunInUse: another process has it.
    """
    lock = run_lock(path)
    try:
        # A reader that looks whether the lock is free has it for some microseconds.
        lock.acquire(timeout=1.0)
    except Timeout:
        raise RunInUse(
            "{run} is being trained by another process; `python -m analysis cancel {run}` stops it",
            run=path.name,
        ) from None
    return lock
