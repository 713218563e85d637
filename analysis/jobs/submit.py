"""The one call behind everything that pages and commands do "in the background"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.jobs.queue import Enqueued, at_a_time, cancel, enqueue, requeue
from analysis.jobs.request import Request
from analysis.jobs.worker import start_worker


class Work(ABC):
    """What can be asked for: trainings, going on with one, a construction, a study."""

    def check(self, folder: Path) -> None:
        """Raises LensError where it can't be done here; nothing is queued then."""
        return

    @abstractmethod
    def enqueue(self, folder: Path) -> Enqueued:
        """Put it in the queue of a runs folder. Raises LensError."""


@dataclass(frozen=True)
class Trainings(Work):
    """Trainings of new nets, in this order."""

    requests: Sequence[Request]

    def check(self, folder: Path) -> None:
        """Raises RunError where disk or memory do not suffice, SpecError where images do not."""
        check_room(self.requests, folder)

    def enqueue(self, folder: Path) -> Enqueued:
        """As `jobs.enqueue`."""
        return enqueue(self.requests, folder)


@dataclass(frozen=True)
class Resumed(Work):
    """A run that stopped, to go on from its last whole epoch."""

    path: Path

    def enqueue(self, folder: Path) -> Enqueued:
        """As `jobs.requeue`; the run is in its own folder's queue."""
        requeue(self.path)
        return Enqueued([self.path])


def check_room(requests: Sequence[Request], folder: Path) -> None:
    """Raises RunError where disk or memory do not suffice, SpecError where images do not."""
    from analysis.jobs import estimate  # knows of requests, so it can't be loaded with them

    found = [estimate.estimate(request, []) for request in requests]
    estimate.check_room(found, folder, at_a_time(folder))


def submit(work: Work, folder: Path | str) -> Enqueued:
    """Queue work, and see to it that somebody works off the queue.

    Args:
        work: what is asked for.
        folder: of the runs.

    Raises:
        LensError: it can't be done here. What got into the queue before is worked off all the same.
    """
    folder = Path(folder)
    work.check(folder)
    try:
        return work.enqueue(folder)
    finally:
        start_worker(folder)


def stop(path: Path | str) -> str:
    """As `cancel`; a worker insists where a trainer does not answer."""
    done = cancel(path)
    if done == "asked":
        start_worker(Path(path).parent)
    return done
