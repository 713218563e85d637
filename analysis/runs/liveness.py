"""Whether a process is at work on a run: it holds the run's lock, which the system frees at death.

A pid alone proves nothing (it is reused, and a zombie still answers), and a clock may jump; a
lock knows neither.
"""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from analysis.commands import about
from analysis.errors import RunInUse
from analysis.runs import files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_GLANCE = 1.0
"""Seconds to wait for a lock: a reader that looks whether it is free has it for microseconds."""


def file_lock(path: Path) -> FileLock:
    """A lock on a file for this machine's processes; its file stays when it is released."""
    return FileLock(path)


def run_lock(path: Path) -> FileLock:
    """The lock that a trainer holds for as long as it works on a run."""
    return file_lock(path / files.LOCK)


def is_locked(path: Path) -> bool:
    """Whether some live process holds the run's lock."""
    return is_held(path / files.LOCK)


def is_held(file: Path) -> bool:
    """Whether some live process holds the lock on a file."""
    if not files.exists(file):
        return False
    lock = file_lock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return _is_locked_by_another_account(file)
    lock.release()
    return False


def _is_locked_by_another_account(file: Path) -> bool:
    """The same of a lock file that can be read only, or not even that."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        if fcntl is None:
            os.read(descriptor, 1)  # Windows refuses to read what somebody locked
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def take(file: Path) -> FileLock | None:
    """The lock on a file, held; None where another process has it.

    Raises:
        RunError: the file can't be written.
    """
    lock = file_lock(file)
    try:
        lock.acquire(timeout=_GLANCE, poll_interval=0.02)
    except Timeout:
        return None
    except OSError as error:
        raise files.disk_error(file, error) from error
    return lock


def hold(path: Path) -> FileLock:
    """Take the run's lock.

    Raises:
        RunInUse: another process has it.
        RunError: its folder can't be written.
    """
    lock = take(path / files.LOCK)
    if lock is None:
        raise RunInUse(
            "{run} is being trained by another process; this stops it: {command}",
            run=path.name,
            command=about("cancel", path),
        )
    return lock
