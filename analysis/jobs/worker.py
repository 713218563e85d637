"""The process that works off a queue: one a runs folder, alive while there is something to do.

Whoever queues something starts it, unless it lives; it outlives them, starts runs as processes of
their own session, notes how they ended and leaves when the queue is empty. Killed, it takes no
training with it, and the next one goes on where it was.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from analysis.errors import RunError, RunInUse
from analysis.jobs import processes
from analysis.jobs.estimate import memory_of
from analysis.jobs.gpus import Placed, gpu_for, gpu_used, gpus
from analysis.jobs.queue import LOG, at_a_time, cores, is_waiting, queue_lock, queue_position
from analysis.runs import Run, RunStatus, files, open_writer
from analysis.runs.format import now
from analysis.runs.known import KnownRuns
from analysis.runs.liveness import is_held, take
from analysis.text import Message

WORKER_LOCK = ".worker.lock"
WORKER_LOG = ".worker.log"
LOOK_EVERY = 0.5
"""Seconds between looks at the folder."""
_STARTING = ".worker.json"
"""Which process was started to work off the queue: it counts before it has the lock."""


def start_worker(folder: Path | str) -> bool:
    """Make sure that a worker works off a folder's queue; whether it had to be started.

    The new process takes the worker lock itself, once it is up. Until then it is known by its pid
    and start, so that nobody starts a second one; if somebody does, one of them gets the lock.

    Raises:
        RunError: the folder can't be written.
    """
    folder = Path(folder).resolve()
    with queue_lock(folder):
        if worker_alive(folder):
            return False
        arguments = ["jobs", "work", "--runs", str(folder)]
        worker = processes.start_detached(arguments, folder / WORKER_LOG, mode="wb")
        processes.reap(worker)
        processes.remember(worker.pid, folder / _STARTING)
    return True


def worker_alive(folder: Path | str) -> bool:
    """Whether some process works off the folder's queue, or was started to and comes up."""
    folder = Path(folder)
    return is_held(folder / WORKER_LOCK) or processes.remembered(folder / _STARTING) is not None


def work(folder: Path | str) -> bool:
    """Work off a folder's queue until it is empty; False where another process does."""
    folder = Path(folder).resolve()
    with queue_lock(folder):
        lock = take(folder / WORKER_LOCK)
    if lock is None:
        return False
    worker = _Worker(folder, gpus())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    processes.lower_priority()
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
    """The work of one process, on these GPUs."""

    def __init__(self, folder: Path, devices: Sequence[str]) -> None:
        self.folder, self.devices = folder, devices
        self.known = KnownRuns()
        self.children: dict[Path, subprocess.Popen[bytes]] = {}
        self.asked: dict[Path, float] = {}
        self.sent: dict[Path, str] = {}
        self.given: dict[Path, Placed] = {}
        self.places: dict[Path, float | None] = {}

    def turn(self) -> bool:
        """Look once, do what there is to do; whether there may be more."""
        runs = self.known.runs(self.folder)
        for path in [p for p, child in self.children.items() if child.poll() is not None]:
            code = self.children.pop(path).returncode
            forced = processes.KILL if self.sent.get(path) == processes.KILL else ""
            note_end(path, code, processes.ended_by(code) or forced, self.places[path])
            print(f"{now()} {path.name} ended with exit code {code}", flush=True)
            runs = self.known.runs(self.folder)
        running = [run for run in runs if run.state == "running" and not run.host]
        insisting = self._insist(running)
        started = self._start_next(running)
        return bool(self.children or insisting or started)

    def _start_next(self, running: list[Run]) -> bool:
        """Start queued runs while there is room; whether any is still waiting or was started."""
        with queue_lock(self.folder):
            waiting = sorted(filter(is_waiting, self.known.runs(self.folder)), key=queue_position)
            waiting = [run for run in waiting if run.path not in self.children]
            busy = {run.path for run in running} | set(self.children)
            room = at_a_time(self.folder)
            others = [run for run in running if run.path not in self.children]
            placed = [
                Placed(gpu_used(run.status.pid, run.config.compute, self.devices), memory_of(run))
                for run in others
            ]
            # Of its own it knows: a process just started has no environment yet.
            placed += [self.given[path] for path in self.children]
            free, one_waits = room - len(busy), False
            for run in waiting:
                if free <= 0:
                    break
                needs = memory_of(run)
                gpu = gpu_for(run.config.compute, needs, self.devices, placed)
                one_waits = one_waits or gpu is None
                if gpu is None or (gpu and one_waits):
                    continue  # who waits for room on a GPU is not overtaken by who needs less
                free -= 1
                sharing = min(room, len(busy) + len(waiting))
                threads = None if run.config.compute.threads else max(1, cores() // sharing)
                arguments = ["resume", str(run.path), "--queued"]
                log = run.path / LOG
                child = processes.start_detached(arguments, log, threads=threads, gpu=gpu)
                processes.lower_priority(child.pid, idle=True)
                self.children[run.path] = child
                self.given[run.path] = Placed(gpu, needs)
                placed.append(self.given[run.path])
                self.places[run.path] = run.status.queued_at
                print(f"{now()} {run.id} started", flush=True)
        return bool(waiting)

    def _insist(self, running: list[Run]) -> bool:
        """Press those that were asked to stop and have not; whether there are any."""
        asked = {run.path for run in running if (run.path / files.CANCEL).exists()}
        self.asked = {p: self.asked.get(p, time.monotonic()) for p in asked}
        self.sent = {path: sent for path, sent in self.sent.items() if path in asked}
        for path, since in self.asked.items():
            waited = time.monotonic() - since
            if path in self.sent and waited < processes.KILL_AFTER:
                continue  # a second SIGTERM would end it at once, in the midst of what it does
            sent = processes.press(path, waited)
            if sent:
                self.sent[path] = sent
                print(f"{now()} {path.name} did not stop: {sent}", flush=True)
            if sent == processes.KILL and path not in self.children:
                note_end(path, 1, sent)
        return bool(asked)

    def leave(self, lock: FileLock) -> bool:
        """Give the lock back, unless something was queued at the last moment."""
        with queue_lock(self.folder):
            if any(map(is_waiting, self.known.runs(self.folder))):
                return False
            files.remove(self.folder / _STARTING)
            lock.release()
            return True


def note_end(path: Path, code: int, ended_by: str = "", place: float | None = None) -> None:
    """Write into a run how its process ended, where the process could not do so itself.

    Args:
        path: the run's directory.
        code: the process's exit code.
        ended_by: the signal, or the like, that ended it.
        place: where the run stood in the queue when the process was started. Where it stands
            elsewhere now, somebody resumed it before this was noticed, and it waits for a new one.
    """
    try:
        with open_writer(path) as writer:
            if writer.status.state == "queued" and writer.status.queued_at != place:
                return
            changes = _ending(path, writer.status, code, ended_by)
            if changes:
                writer.set_status(True, **changes)
                writer.clear_cancel()
    except (RunInUse, RunError):
        pass  # somebody goes on with it, or it was deleted


def _ending(path: Path, status: RunStatus, code: int, ended_by: str) -> dict[str, Any]:
    if status.state == "queued" and code == 0:
        return {}  # it was cancelled and queued again while its process came up
    if status.state not in ("queued", "running"):
        return {}
    ended = {"ended": now()}
    if ended_by:
        if (path / files.CANCEL).exists():
            return ended | {
                "state": "cancelled",
                "reason": Message("cancelled; it did not answer, so {signal}", signal=ended_by),
            }
        reason = Message("its process was killed ({signal})", signal=ended_by)
        if ended_by == processes.KILL:
            reason = Message(
                "its process was killed ({signal}): by hand, or by the system when memory ran out",
                signal=ended_by,
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
