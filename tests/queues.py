"""A queue that stands still for as long as a test needs it to."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from analysis.jobs.worker import WORKER_LOCK


@contextmanager
def nobody_works(folder: Path) -> Generator[None]:
    """Hold the worker's lock, so that what is queued waits; end it and call `start_worker`."""
    with open(folder / WORKER_LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
