"""A queue that stands still for as long as a test needs it to; waiting for another process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from analysis.jobs.worker import WORKER_LOCK


@contextmanager
def nobody_works(folder: Path) -> Generator[None]:
    """Hold the worker's lock, so that what is queued waits; end it and call `start_worker`."""
    with FileLock(folder / WORKER_LOCK):
        yield


def wait_until(
    holds: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    seconds: float = 120.0,
) -> None:
    """Until it holds; not past the end of the process that brings it about, where one is given."""
    end = time.monotonic() + seconds
    while not holds():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
