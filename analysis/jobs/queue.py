"""The queue on disk: what is in it, in which order, and all that a person can do to it.

Every change happens under the folder's queue lock, so that two tabs or two processes never queue
the same training twice, and never cancel what is just being started.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from analysis.errors import RunDamaged, RunError, RunInUse
from analysis.jobs.gpus import gpus
from analysis.jobs.request import Request
from analysis.runs import (
    DamagedRun,
    Run,
    RunConfig,
    create_run,
    delete_run,
    files,
    list_runs,
    load_or_damaged,
    load_run,
    open_writer,
)
from analysis.runs.format import now
from analysis.runs.resuming import check_resumable
from analysis.text import Message

QUEUE_LOCK = ".queue.lock"
SETTINGS = ".queue.json"
LOG = "job.log"
"""In a run's directory: what its process printed, so the traceback of one that broke."""
_WAIT = 20.0
"""Seconds after which a queue lock that is held this long is called stuck."""


@contextmanager
def queue_lock(folder: Path) -> Generator[None]:
    """Hold the queue of a runs folder, which is made if it is not there.

    Raises:
        RunError: the folder can't be written, or somebody holds the queue for seconds.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / QUEUE_LOCK)
        lock.acquire(timeout=_WAIT, poll_interval=0.01)
    except Timeout:
        raise RunError(
            "{folder}: the queue is busy for {wait:.0f} s; try again", folder=folder, wait=_WAIT
        ) from None
    except OSError as error:
        raise files.disk_error(folder, error) from error
    try:
        yield
    finally:
        lock.release()


@dataclass
class Enqueued:
    """What became of several requests."""

    paths: list[Path] = field(default_factory=list)
    """New run directories, in the order of the queue."""
    already: list[tuple[Request, Path]] = field(default_factory=list)
    """Requests that some queued or running run fulfils already."""


def enqueue(requests: Sequence[Request], folder: Path | str) -> Enqueued:
    """Put trainings at the end of the queue; the same training is queued or running once only.

    Nothing starts until `start_worker`.

    Raises:
        RunError: the folder can't be written, or a name is taken.
    """
    folder = Path(folder)
    done = Enqueued()
    with queue_lock(folder):
        busy = [run for run in list_jobs(folder) if run.state in ("queued", "running")]
        for request in requests:
            twin = next((run for run in busy if request.same_training(run.config)), None)
            if twin is not None:
                done.already.append((request, twin.path))
                continue
            config = request.config(request.command(folder))
            path = create_waiting(folder, config, request.name or None)
            done.paths.append(path)
            busy.append(load_run(path))
    return done


def create_waiting(folder: Path | str, config: RunConfig, run_id: str | None = None) -> Path:
    """As `create_run`, at the end of the queue; the caller holds `queue_lock`."""
    path = create_run(folder, config, run_id)
    put_last(path)
    return path


def put_last(path: Path) -> None:
    """Put a run that never started at the end of the queue; the caller holds `queue_lock`."""
    with open_writer(path) as writer:
        writer.set_status(queued_at=_next_place(path.parent))


def _next_place(folder: Path) -> float:
    """One more than the last place given, whatever the clock does; the time, for the first.

    The caller holds `queue_lock`.
    """
    settings = _settings(folder)
    last = settings.get("last_place")
    counted = isinstance(last, int | float) and math.isfinite(last)
    place = last + 1.0 if counted else time.time()
    files.write_json(folder / SETTINGS, {**settings, "last_place": place})
    return place


def _settings(folder: Path) -> dict[str, Any]:
    with suppress(RunDamaged):
        return files.read_json(folder / SETTINGS)
    return {}


def list_jobs(folder: Path | str) -> list[Run]:
    """The readable runs of a folder: queued ones in the queue's order, then by name."""
    runs = [run for run in list_runs([folder]) if not isinstance(run, DamagedRun)]
    return sorted(runs, key=lambda run: (queue_position(run), run.id))


def queue_position(run: Run) -> float:
    """A number that orders queued runs; infinite for those that are not in the queue."""
    if run.status.state != "queued" or run.status.queued_at is None:
        return float("inf")
    return run.status.queued_at


def is_waiting(run: Run) -> bool:
    """Whether it is in the queue."""
    return queue_position(run) < float("inf")


def requeue(path: Path | str) -> None:
    """Put a run that stopped, or never started, at the end of the queue.

    Raises:
        RunError: it has finished, or can't go on since its momentum was dropped.
        RunInUse: a process trains it.
    """
    path = Path(path)
    with queue_lock(path.parent):
        run = load_run(path)
        if run.status.state == "queued" and run.status.queued_at is not None:
            return
        check_resumable(run)
        with open_writer(path) as writer:
            writer.clear_cancel()
            writer.set_status(
                state="queued", queued_at=_next_place(path.parent), reason=Message(), ended=""
            )


def cancel(path: Path | str) -> str:
    """Cancel a run: a queued one at once, a running one when it next looks, within a second.

    A worker insists where a trainer does not answer: see `processes`.

    Returns:
        `cancelled`, or `asked` where a process has still to stop.

    Raises:
        RunError: it is neither queued nor running.
    """
    path = Path(path)
    if load_run(path).state == "finished":
        raise RunError("{run} is finished, so there is nothing to cancel", run=path.name)
    with queue_lock(path.parent):
        run = load_run(path)
        if run.status.state == "queued":
            with suppress(RunInUse), open_writer(path) as writer:
                writer.set_status(
                    state="cancelled", reason=Message("cancelled in the queue"), ended=now()
                )
                return "cancelled"
        elif run.state != "running":
            raise RunError(
                "{run} is {state}, so there is nothing to cancel",
                run=run.id,
                state=Message(run.state),
            )
        try:
            with files.told(path / files.CANCEL):
                (path / files.CANCEL).touch()
        except OSError as error:
            raise files.disk_error(path / files.CANCEL, error) from error
        now_is = load_run(path).status.state
        if now_is not in ("queued", "running"):
            # It came to its end meanwhile: nobody else looks at the file, and none is to find it.
            files.remove(path / files.CANCEL)
        if now_is not in ("queued", "running", "cancelled"):
            raise RunError("{run} has just ended, so there is nothing to cancel", run=path.name)
    return "asked"


def delete(path: Path | str, folder: Path | str) -> None:
    """Delete a run that no process is at work on.

    Raises:
        RunInUse: one is.
        RunError: it is not directly inside the folder, or came with Residual Lens.
    """
    path = Path(path)
    with queue_lock(Path(folder)):
        found = load_or_damaged(path)
        if isinstance(found, DamagedRun):
            raise RunDamaged(
                "{path} is no whole run ({reason}), so it is not deleted from here; look "
                "into it, then delete the directory by hand",
                path=path,
                reason=found.reason,
            )
        delete_run(found, folder)


def drop_resume(path: Path | str) -> None:
    """Keep a stopped run as it is: forget the momentum that only resuming needs.

    Raises:
        RunInUse: a process trains it.
    """
    path = Path(path)
    with queue_lock(path.parent), open_writer(path) as writer:
        writer.remove(files.RESUME)


def at_a_time(folder: Path | str) -> int:
    """How many runs of a folder train at once: as set, else `default_at_a_time`."""
    with suppress(ValueError, KeyError, TypeError):
        return max(1, int(_settings(Path(folder))["at_a_time"]))
    return default_at_a_time()


def default_at_a_time() -> int:
    """One a GPU where GPUs compute, else one a core, at most four; they share the threads.

    Measured on 2 cores (bench_jobs.py): two trainings with a thread each get more images a second
    in all than one with two threads, which wait for each other in every layer.
    """
    if gpus():
        return len(gpus())
    return 1 if sys.platform == "darwin" else max(1, min(cores(), 4))


def cores() -> int:
    """Processors that this process may use."""
    process = psutil.Process()
    mine = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None  # not on macOS
    return len(mine or ()) or os.cpu_count() or 1


def set_at_a_time(folder: Path | str, number: int) -> None:
    """Let this many runs train at once, from the next start on. Raises RunError."""
    folder = Path(folder)
    with queue_lock(folder):
        files.write_json(folder / SETTINGS, {**_settings(folder), "at_a_time": max(1, number)})
