"""Whether a process is at work on a run: it holds the run's lock, which the system frees at death.

A pid alone proves nothing (it is reused, and a zombie still answers), and a clock may jump; a
lock knows neither. It holds a lease as well, since other machines may not see the lock: `leases`.
"""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from analysis.runs import files, leases
from analysis.runs.leases import Lease

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_GLANCE = 1.0
"""Seconds to wait for a lock: a reader that looks whether it is free has it for microseconds."""


def file_lock(path: Path) -> FileLock:
    """A lock on a file for this machine's processes; its file stays when it is released."""
    return FileLock(path)


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


def at_work(path: Path) -> bool:
    """Whether some process is at work on the run, here or on another machine."""
    found = leases.holder(path)
    if found is None or found.here:
        return is_locked(path) or (found is not None and found.lives_here())
    return found.beats()


def elsewhere(path: Path) -> str:
    """The name of the other machine that is at work on the run; empty where none is."""
    found = leases.elsewhere(path)
    return found.host if found and found.beats() else ""


class Hold:
    """A run's lock, for the processes of this machine, and its lease, for all."""

    def __init__(self, lock: FileLock, lease: Lease) -> None:
        self._lock, self._lease = lock, lease

    def check(self) -> None:
        """Before each write. Raises RunInUse where another machine has taken the run over."""
        self._lease.check()

    def release(self) -> None:
        """Let go of the run."""
        self._lease.release()
        self._lock.release()


def hold(path: Path) -> Hold:
    """Take the run for writing.

    Raises:
        RunInUse: another process has it.
        RunError: its folder can't be written.
    """
    lock = take(path / files.LOCK)
    found = leases.elsewhere(path)
    if lock is None and found and not found.beats():
        # Of a machine that stands still: its lock is on this file, and goes with it.
        (path / files.LOCK).unlink(missing_ok=True)
        lock = take(path / files.LOCK)
    if lock is None:
        raise leases.in_use(path, found)
    try:
        return Hold(lock, leases.lease(path))
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError):
            raise files.disk_error(path, error) from error
        raise
