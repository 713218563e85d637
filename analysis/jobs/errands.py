"""A question asked of a finished net that takes minutes: a process of its own answers it.

The process outlives the page, says in a file how far it is, can be ended, and keeps what it finds
by itself, so that an errand leaves nothing but its log. Trainings are work of the queue instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from analysis.errors import RunError
from analysis.jobs import processes
from analysis.runs import files

FOLDER = ".errands"
"""In a runs folder."""
PROGRESS = "RESIDUAL_LENS_PROGRESS"
"""Names the file that a command says its progress in, where nobody sees its bar."""
_LOG, _PROCESS, _DONE = "log", "process.json", "progress.json"
_SAY_EVERY = 0.5


@dataclass(frozen=True)
class Standing:
    """How far an errand is."""

    running: bool
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    """None while nothing is known yet."""
    log: str = ""
    """The last line that it printed; of one that failed, the reason."""


@dataclass(frozen=True)
class Errand:
    """A command that answers a question, and keeps the answer where it is looked for."""

    folder: Path
    """Of the runs."""
    arguments: tuple[str, ...]
    """After `python -m analysis`."""

    @property
    def path(self) -> Path:
        """What is known of it; the same question has the same folder."""
        digest = hashlib.sha256("\0".join(self.arguments).encode()).hexdigest()
        return self.folder / FOLDER / digest[:16]

    def begin(self) -> None:
        """Start it, unless it is under way.

        Raises:
            RunError: the folder can't be written.
        """
        if (standing := self.look()) and standing.running:
            return
        try:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)
        except OSError as error:
            raise files.disk_error(self.path, error) from error
        variables = {PROGRESS: str(self.path / _DONE)}
        process = processes.start_detached(
            list(self.arguments), self.path / _LOG, variables=variables
        )
        processes.reap(process)
        processes.lower_priority(process.pid)
        values = {"pid": process.pid, "began": processes.began(process.pid)}
        files.write_json(self.path / _PROCESS, values, durable=False)

    def look(self) -> Standing | None:
        """How far it is; None where nobody asked, or it was ended."""
        process = self._process()
        if process is None and not (self.path / _PROCESS).exists():
            return None
        try:
            values = json.loads((self.path / _DONE).read_text(encoding="utf-8"))
            done, total = int(values["done"]), int(values["total"])
            left = float(values["seconds"]) * (total - done) / done
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            done, total, left = 0, 0, None
        return Standing(process is not None, done, total, left, self._last_line())

    def end(self) -> None:
        """End it, and forget that it was asked for."""
        process = self._process()
        if process is not None:
            with suppress(psutil.Error):
                process.terminate()
                process.wait(processes.TERM_AFTER)
            with suppress(psutil.Error):
                process.kill()
        shutil.rmtree(self.path, ignore_errors=True)

    def _process(self) -> psutil.Process | None:
        try:
            values = json.loads((self.path / _PROCESS).read_text(encoding="utf-8"))
            pid, began = int(values["pid"]), float(values["began"])
            found = processes.began(pid)
            same = found is not None and abs(found - began) < 1
            return psutil.Process(pid) if same else None
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None

    def _last_line(self) -> str:
        try:
            lines = (self.path / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line.strip()), "")


def teller() -> Callable[[int, int], None]:
    """For a command: what says its progress, done and total, in the file of `PROGRESS`.

    A file that can't be written is no reason to end the work.
    """
    place = os.environ.get(PROGRESS)
    began = said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if place and now - said >= _SAY_EVERY:
            said = now
            values = {"done": done, "total": total, "seconds": now - began}
            with suppress(RunError):
                files.write_json(Path(place), values, durable=False)

    return tell
