"""A queue that stands still for as long as a test needs it to, or is ended with the test; waiting
for another process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock

from analysis.jobs.worker import WORKER_LOCK


@contextmanager
def nobody_works(folder: Path) -> Generator[None]:
    """Hold the worker's lock, so that what is queued waits; end it and call `start_worker`."""
    with FileLock(folder / WORKER_LOCK):
        yield


def end_all(folder: Path) -> None:
    """End what works on runs in a folder: the worker first, which would go on with its queue."""
    for word in ("work", "resume"):
        found = [p for p in psutil.process_iter(["cmdline"]) if _is_at(p, word, folder)]
        for process in found:
            process.kill()
        psutil.wait_procs(found, timeout=20)


def _is_at(process: psutil.Process, word: str, folder: Path) -> bool:
    """Whether it is the command line's, with this subcommand and at something in the folder."""
    words = process.info["cmdline"] or []  # ty: ignore[missing-attribute]
    return word in words and any(folder in (Path(w), *Path(w).parents) for w in words)


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
