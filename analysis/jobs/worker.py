"""The process that works off a queue: one a runs folder, alive while there is something to do.

Whoever queues something starts it, unless it lives; it outlives them, starts runs as processes of
their own session, notes how they ended and leaves when the queue is empty. Killed, it takes no
training with it, and the next one goes on where it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from analysis.errors import RunError, RunInUse
from analysis.jobs import processes
from analysis.jobs.queue import LOG, at_a_time, cores, is_waiting, queue_lock, queue_position
from analysis.runs import DamagedRun, Run, RunStatus, files, load_or_damaged, open_writer, run_paths
from analysis.runs.format import now
from analysis.text import Message

WORKER_LOCK = ".worker.lock"
WORKER_LOG = ".worker.log"
LOOK_EVERY = 0.5
"""Seconds between looks at the folder."""
NICENESS = 5
"""So that pages and whoever sits at the machine come before trainings."""
_ROOT = Path(__file__).resolve().parents[2]


def start_worker(folder: Path | str) -> bool:
    """Make sure that a worker works off a folder's queue; whether it had to be started.

    The new process is born with the worker lock, so there is never a moment with two or none.

    Raises:
        RunError: the folder can't be written.
    """
    folder = Path(folder).resolve()
    with queue_lock(folder):
        lock = _take_patiently(folder / WORKER_LOCK)
        if lock is None:
            return False
        try:
            _spawn(
                ["jobs", "work", "--runs", str(folder), "--lock", str(lock)],
                folder / WORKER_LOG, pass_fds=(lock,), reap=True, mode="wb",
            )  # fmt: skip
        finally:
            os.close(lock)
    return True


def worker_alive(folder: Path | str) -> bool:
    """Whether some process works off the folder's queue."""
    path = Path(folder) / WORKER_LOCK
    if not path.exists():
        return False
    try:
        lock = _take(path)
    except RunError:
        return False
    if lock is None:
        return True
    os.close(lock)
    return False


def _take(path: Path) -> int | None:
    """A descriptor that holds the lock; None where another process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise files.disk_error(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _take_patiently(path: Path) -> int | None:
    """As `_take`, past a page that looks with `worker_alive`: it has the lock for microseconds."""
    for _ in range(3):
        lock = _take(path)
        if lock is not None:
            return lock
        time.sleep(0.02)
    return None


def _spawn(
    arguments: list[str],
    log: Path,
    *,
    pass_fds: tuple[int, ...] = (),
    reap: bool = False,
    mode: str = "ab",
    threads: int | None = None,
) -> subprocess.Popen[bytes]:
    """`python -m analysis ...`, in a session of its own and with what it prints in a log."""
    environment = dict(os.environ)
    paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    try:
        with open(log, mode) as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "analysis", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, pass_fds=pass_fds, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise files.disk_error(log, error) from error
    if reap:
        threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie behind
    return process


def work(folder: Path | str, lock: int | None = None) -> bool:
    """Work off a folder's queue until it is empty; False where another process does.

    Args:
        folder: of the runs.
        lock: a descriptor that holds the worker lock already.
    """
    folder = Path(folder).resolve()
    if lock is None:
        with queue_lock(folder):
            lock = _take(folder / WORKER_LOCK)
        if lock is None:
            return False
    worker = _Worker(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.nice(max(0, NICENESS - os.nice(0)))
    while True:
        try:
            busy = worker.turn()
        except RunError as error:  # a full disk, say: the queue waits until there is room
            print(f"{now()} {error}", flush=True)
            busy = True
        if not busy and worker.leave(lock):
            return True
        time.sleep(LOOK_EVERY)


class _Worker:
    """One sitting of the worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listing = Listing(folder)
        self.children: dict[Path, subprocess.Popen[bytes]] = {}
        self.asked: dict[Path, float] = {}
        self.pressed: set[Path] = set()
        self.places: dict[Path, float | None] = {}

    def turn(self) -> bool:
        """Look once, do what there is to do; whether there may be more."""
        runs = self.listing.runs()
        for path in [p for p, child in self.children.items() if child.poll() is not None]:
            code = self.children.pop(path).returncode
            _note_end(path, code, self.places[path])
            print(f"{now()} {path.name} ended with exit code {code}", flush=True)
            runs = self.listing.runs()
        running = [run for run in runs if run.state == "running"]
        insisting = self._insist(running)
        started = self._start_next(running)
        return bool(self.children or insisting or started)

    def _start_next(self, running: list[Run]) -> bool:
        """Start queued runs while there is room; whether any is still waiting or was started."""
        with queue_lock(self.folder):
            waiting = sorted(filter(is_waiting, self.listing.runs()), key=queue_position)
            waiting = [run for run in waiting if run.path not in self.children]
            busy = {run.path for run in running} | set(self.children)
            room = at_a_time(self.folder)
            for run in waiting[: max(0, room - len(busy))]:
                sharing = min(room, len(busy) + len(waiting))
                threads = None if run.config.compute.threads else max(1, cores() // sharing)
                arguments = ["resume", str(run.path), "--queued"]
                self.children[run.path] = _spawn(arguments, run.path / LOG, threads=threads)
                self.places[run.path] = run.status.queued_at
                print(f"{now()} {run.id} started", flush=True)
        return bool(waiting)

    def _insist(self, running: list[Run]) -> bool:
        """Press those that were asked to stop and have not; whether there are any."""
        asked = {run.path for run in running if (run.path / files.CANCEL).exists()}
        self.asked = {p: self.asked.get(p, time.monotonic()) for p in asked}
        self.pressed &= asked
        for path, since in self.asked.items():
            waited = time.monotonic() - since
            if path in self.pressed and waited < processes.KILL_AFTER:
                continue  # a second SIGTERM would end it at once, in the midst of what it does
            sent = processes.press(path, waited)
            if sent:
                self.pressed.add(path)
                print(f"{now()} {path.name} did not stop: {sent}", flush=True)
            if sent == "SIGKILL" and path not in self.children:
                _note_end(path, -signal.SIGKILL)
        return bool(asked)

    def leave(self, lock: int) -> bool:
        """Give the lock back, unless something was queued at the last moment."""
        with queue_lock(self.folder):
            if any(map(is_waiting, self.listing.runs())):
                return False
            os.close(lock)
            return True


class Listing:
    """The runs of a folder, read again only where their status file changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[tuple[int, int], Run | DamagedRun]] = {}

    def runs(self) -> list[Run]:
        """The readable ones, by name."""
        known: dict[Path, tuple[tuple[int, int], Run | DamagedRun]] = {}
        for path in run_paths([self.folder]):
            stamp = _stamp(path)
            before = self._known.get(path)
            known[path] = (
                before if before and before[0] == stamp else (stamp, load_or_damaged(path))
            )
        self._known = known
        # Anew, since a run remembers whether its process lived when it was first asked.
        found = [run for _, run in known.values() if isinstance(run, Run)]
        return [Run(run.path, run.config, run.status) for run in found]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = (path / files.STATUS).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def _note_end(path: Path, code: int, place: float | None = None) -> None:
    """Write into a run how its process ended, where the process could not do so itself.

    `place` is where the run stood in the queue when the process was started: where it stands
    elsewhere now, somebody resumed it before this was noticed, and it waits for a new process.
    """
    try:
        with open_writer(path) as writer:
            if writer.status.state == "queued" and writer.status.queued_at != place:
                return
            changes = _ending(path, writer.status, code)
            if changes:
                writer.set_status(True, **changes)
                writer.clear_cancel()
    except (RunInUse, RunError):
        pass  # somebody goes on with it, or it was deleted


def _ending(path: Path, status: RunStatus, code: int) -> dict[str, Any]:
    if status.state == "queued" and code == 0:
        return {}  # it was cancelled and queued again while its process came up
    if status.state not in ("queued", "running"):
        return {}
    ended = {"ended": now()}
    if code < 0:
        name = signal.Signals(-code).name
        if (path / files.CANCEL).exists():
            return ended | {
                "state": "cancelled",
                "reason": Message("cancelled; it did not answer, so {signal}", signal=name),
            }
        reason = Message("its process was killed ({signal})", signal=name)
        if code == -signal.SIGKILL:
            reason = Message(
                "its process was killed ({signal}): by hand, or by the system for want of memory",
                signal=name,
            )
        return ended | {"state": "interrupted", "reason": reason}
    return ended | {"state": "failed", "reason": _last_words(path / LOG)}


def _last_words(log: Path) -> Message:
    """The message for people that the command line ended with, else the exception's line."""
    said = _last_line(log)
    if said.startswith("Error: "):
        return Message(said.removeprefix("Error: "))
    if not said:
        return Message("its process broke; nothing of it is in {log}", log=log.name)
    return Message("its process broke: {said}", said=said)


def _last_line(log: Path) -> str:
    """Empty where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
