"""Working off a study in this process, as one of several on as many machines as see its folder.

Each takes the lease of a run that nobody trains, trains it in a process of its own, as `train`
would, and takes the next. Asked to stop (SIGTERM, SIGINT, and SIGUSR1 or SIGUSR2, by which
schedulers warn), it waits until the run is whole after its last epoch and puts it back.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from analysis.errors import RunError, RunInUse
from analysis.jobs import processes
from analysis.jobs.queue import LOG, is_waiting
from analysis.jobs.study import put_back, study_parts
from analysis.jobs.worker import note_end
from analysis.runs import Run, files, leases, load_run, open_writer
from analysis.runs.format import now
from analysis.runs.known import KnownRuns
from analysis.runs.liveness import is_locked
from analysis.text import Message

STOP_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
"""Windows has the first two."""
_LOOK_EVERY = 0.2
_ALL = 0.9
"""Part of a task's time that counts as all of it."""


def drain(name: str, folder: Path | str, seconds: float = 0.0) -> int:
    """Train what is left of a study until there is nothing that nobody else trains.

    Args:
        name: of the study.
        folder: of its runs.
        seconds: after which a scheduler warns; 0: never. A run that got all of them and has no
            epoch more fails: it would be begun again without end.

    Returns:
        The number of the signal that stopped it; 0 where it came to its end.

    Raises:
        RunError: the folder can't be written.
    """
    with _signals() as asked:
        return _Drain(name, Path(folder).resolve(), seconds, asked).work()


@contextmanager
def _signals() -> Generator[Callable[[], int]]:
    """What was asked while it is open: the first signal's number, or 0."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Drain:
    """The work of one process."""

    def __init__(self, name: str, folder: Path, seconds: float, asked: Callable[[], int]) -> None:
        self.name, self.seconds, self.asked = name, seconds, asked
        self.folder, self.known = folder, KnownRuns()
        self.broke: set[Path] = set()
        self.first_beats: dict[str, str] = {}

    def work(self) -> int:
        """Until nothing is left, or somebody asks."""
        while not self.asked():
            parts = study_parts(self.name, self.known.runs(self.folder))
            runs = [part.run for part in parts if part.run]
            claimed = self._claim(runs)
            if claimed is not None:
                self._train(*claimed)
            elif self._may_come_free(runs):
                time.sleep(leases.BEAT / 2)
            else:
                return 0
        return self.asked()

    def _claim(self, runs: list[Run]) -> tuple[Path, leases.Lease] | None:
        """A run and its lease: one that waits, else one whose process is gone."""
        free = [run for run in runs if run.path not in self.broke and is_free(run)]
        for run in sorted(free, key=lambda run: run.state != "queued"):
            with suppress(RunInUse):
                lease = leases.lease(run.path)
                # Until now another may have trained it.
                if load_run(run.path).status.state == run.status.state:
                    return run.path, lease
                lease.release()
        return None

    def _train(self, path: Path, lease: leases.Lease) -> None:
        """In a process of its own, which takes the lease over."""
        print(f"{now()} {path.name} begins", flush=True)
        epoch, began = load_run(path).status.epoch, time.monotonic()
        try:
            trainer = processes.start_detached(
                ["resume", str(path), "--claimed"], path / LOG, claim=lease.token
            )
            code = self._wait(trainer)
        finally:
            lease.release()
        print(f"{now()} {path.name} ended with exit code {code}", flush=True)
        ended_by = processes.ended_by(code)
        if self.asked() and not (ended_by and (path / files.CANCEL).exists()):
            with suppress(RunError):
                if load_run(path).status.state == "running":  # ended by what it was to heed
                    put_back(path)
            if self.seconds and time.monotonic() - began >= _ALL * self.seconds:
                fail_if_still_at(path, epoch, self.seconds / 60)
        elif code:
            self.broke.add(path)  # now `failed`, which waits for a person, or left to other drains
            note_end(path, code, ended_by)

    def _wait(self, trainer: subprocess.Popen[bytes]) -> int:
        """The trainer's exit code; told to stop where this process is."""
        told = False
        while trainer.poll() is None:
            if self.asked() and not told:
                trainer.terminate()
                told = True
            time.sleep(_LOOK_EVERY)
        return trainer.returncode

    def _may_come_free(self, runs: list[Run]) -> bool:
        """Whether it is not known yet if the other machines still train what they have."""
        for run in runs:
            sought = run.host or (is_free(run) and run.path not in self.broke)
            found = leases.elsewhere(run.path) if sought else None
            if found and self.first_beats.setdefault(found.token, found.beat) == found.beat:
                return True
        return False


def fail_if_still_at(path: Path, epoch: int, minutes: float) -> None:
    """Note of a run that was put back that its epochs take longer than a task has."""
    too_long = Message(
        "no epoch was complete within the {minutes:.0f} minutes that a task has; the study with a "
        "longer --slurm-time goes on with it",
        minutes=minutes,
    )
    with suppress(RunInUse, RunError), open_writer(path) as writer:
        if writer.status.epoch == epoch and writer.status.state == "queued":
            writer.set_status(True, state="failed", reason=too_long, ended=now())


def is_free(run: Run) -> bool:
    """Whether it is written or was put back, in no machine's queue, or its process is gone."""
    if run.state == "queued":
        return not is_waiting(run)
    stopped = run.state == "interrupted" and not (run.path / files.CANCEL).exists()
    return stopped and not is_locked(run.path)
