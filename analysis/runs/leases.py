"""Who is at work on a run, where several machines share its disk: a lease with a heartbeat.

A lock is known to its own machine alone (or not even there, as on some network disks). So whoever
works on a run also holds the newest of its lease files, `lease.1`, `lease.2`, ..., and rewrites it
every few seconds. Another machine calls it stale after `MISSED` heartbeats in which the file did
not change: it compares what it sees over its own time, never two clocks. To take a run over is to
create the next file, which the system grants to one process only; the one before sees it, or misses
its own, before its next write.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from analysis.commands import about
from analysis.errors import RunInUse
from analysis.runs import files

BEAT = float(os.environ.get("RESIDUAL_LENS_BEAT") or 5.0)
"""Seconds between heartbeats: the same on all machines that share a disk."""
MISSED = 6
"""Heartbeats after which a lease is stale."""
CLAIM = "RESIDUAL_LENS_CLAIM"
"""In the environment of a process: the token of the lease that its parent took for it."""
_LONG_AGO = 3600.0
"""Seconds by which clocks don't differ: a file this old is stale at first sight."""
_DIGITS = 12
_BYTES = 300
"""Of a lease file, so that each heartbeat covers the one before."""


@cache
def this_machine() -> tuple[str, str]:
    """(name, what tells it from others of that name: on Linux, the id of its boot and of its table
    of processes, since containers on one machine don't see each other's)."""
    claimed = os.environ.get("RESIDUAL_LENS_HOST")
    if claimed:
        return claimed, claimed
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        with suppress(OSError):
            boot += f" {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
        return platform.node(), boot
    return platform.node(), f"{uuid.getnode():x}"


@dataclass(frozen=True)
class Holder:
    """What a lease file says."""

    file: Path
    number: int
    token: str
    host: str
    boot: str
    pid: int
    """0: it was released where its file could not be deleted."""
    began: float
    """When that process began, seconds since 1970."""
    beat: str
    """Changes with every heartbeat."""
    written: float
    """Seconds since 1970, by the clock of the machine or the disk that wrote it."""

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.boot == this_machine()[1]

    def lives_here(self) -> bool:
        """Whether that process of this machine still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        return False

    def beats(self) -> bool:
        """Whether it is fresh, as far as this process has watched it: at first sight it is."""
        if not self.pid:
            return False
        age = time.time() - self.written
        # By a machine's own clock its earlier boot is over; clocks of others, a namesake's among
        # them, may differ by minutes.
        before_boot = self.host == this_machine()[0] and self.written < psutil.boot_time()
        if age > (stale_after() if before_boot else _LONG_AGO):
            return False
        now = time.monotonic()
        beat, since = _seen.get(self.token, (None, now))
        if beat != self.beat:
            _seen[self.token] = (self.beat, now)
            return True
        return now - since < stale_after()


_seen: dict[str, tuple[str, float]] = {}
"""By token: the last heartbeat, and when this process saw it first."""


def stale_after() -> float:
    """Seconds."""
    return MISSED * BEAT


def holder(run: Path) -> Holder | None:
    """The newest lease of a run; None where nobody has one. Doesn't say whether it is fresh."""
    newest = max(_numbers(run), default=0)
    return _read(run / f"lease.{newest}", newest) if newest else None


def _numbers(run: Path) -> list[int]:
    try:
        names = [entry.name for entry in os.scandir(run) if entry.name.startswith("lease.")]
    except OSError:
        return []
    return [int(name[6:]) for name in names if name[6:].isdecimal()]


def _read(file: Path, number: int) -> Holder | None:
    """None where it has gone meanwhile."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:  # opened: not a cached stat
            text, status = opened.read(4096), os.fstat(opened.fileno())
    except OSError:  # it has gone, or is another account's: then its time tells of heartbeats
        try:
            text, status = "", file.stat()
        except OSError:
            return None
    try:
        said = json.loads(text)
        return Holder(
            file, number, said["token"], said["host"], said["boot"], int(said["pid"]),
            float(said["began"]), said["beat"], status.st_mtime,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):  # just being written, or not to be read
        mark, beat = f"{status.st_ino}", f"{status.st_mtime_ns}"
        return Holder(file, number, mark, "?", "?", 1, 0.0, beat, status.st_mtime)


class Lease:
    """The newest lease file of a run, kept fresh by a thread until it is released."""

    def __init__(self, run: Path, number: int) -> None:
        self.token, self._run, self._number = secrets.token_hex(8), run, number
        self._file = run / f"lease.{number}"
        self._beats = 0
        self._released, self._writing = threading.Event(), threading.Lock()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._file, flags, 0o666)
        self._beat()
        threading.Thread(target=self._keep, daemon=True, name="heartbeat").start()

    def _beat(self, released: bool = False) -> None:
        # Into the open file, which stays this one when another process has taken over its name.
        host, boot = this_machine()
        began = psutil.Process().create_time()
        said = {"token": self.token, "host": host, "boot": boot, "began": began,
                "pid": 0 if released else os.getpid(),
                "beat": str(self._beats).zfill(_DIGITS)}  # fmt: skip
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, json.dumps(said).ljust(_BYTES).encode())
        self._beats += 1
        if not released:
            with suppress(OSError):
                os.fsync(self._descriptor)  # or other machines see it late

    def _keep(self) -> None:
        while not self._released.wait(BEAT):
            with self._writing, suppress(OSError, psutil.Error):
                if not self._released.is_set():  # or the number may be another file's by now
                    self._beat()

    def check(self) -> None:
        """Before each write. Raises RunInUse where another process has taken the run over."""
        if self._is_mine() and not files.exists(self._run / f"lease.{self._number + 1}"):
            return
        if not files.is_folder(self._run):
            return  # deleted or moved: the write says so
        other = holder(self._run)
        raise RunInUse(
            "{run} was taken over by {host} while this process stood still or could not reach the "
            "disk; it ends here and writes nothing more",
            run=self._run.name,
            host=other.host if other else "another process",
        )

    def _is_mine(self) -> bool:
        try:
            with open(self._file, "rb") as named:
                return os.path.sameopenfile(named.fileno(), self._descriptor)
        except OSError:
            return False

    def release(self) -> None:
        """Let go of it; another's is not touched."""
        if self._released.is_set():
            return
        mine = self._is_mine()
        with self._writing:
            self._released.set()
            with suppress(OSError, psutil.Error):
                self._beat(released=True)  # for a run's folder that was moved meanwhile
            os.close(self._descriptor)
        if mine:
            with suppress(OSError):
                self._file.unlink()


def lease(run: Path) -> Lease:
    """Take a run's lease.

    Raises:
        RunInUse: another process has it, or was faster.
        OSError: the folder can't be written.
    """
    before = holder(run)
    mine = before is not None and before.token == os.environ.get(CLAIM)
    if before is not None and not mine and is_live(before):
        raise in_use(run, before)
    number = before.number + 1 if before else 1
    try:
        taken = Lease(run, number)
    except FileExistsError:
        raise in_use(run, holder(run)) from None
    if max(_numbers(run), default=0) != number:
        taken.release()
        raise in_use(run, holder(run))
    for older in _numbers(run):
        if older < number:
            with suppress(OSError):  # Windows: its owner still has it open
                (run / f"lease.{older}").unlink()
    return taken


def is_live(found: Holder) -> bool:
    """Whether whoever has this lease is at work, or may be, as far as can be told by now."""
    return found.lives_here() if found.here else found.beats()


def in_use(run: Path, found: Holder | None) -> RunInUse:
    """The error of a run that another process is at work on."""
    if found is None or found.here:
        return RunInUse(
            "{run} is being trained by another process; this stops it: {command}",
            run=run.name,
            command=about("cancel", run),
        )
    return RunInUse(
        "{run} is being trained on {host}; this stops it: {command}. If {host} is gone, that is "
        "known after {seconds:.0f} seconds: try again then",
        run=run.name,
        command=about("cancel", run),
        host=found.host,
        seconds=stale_after(),
    )


def elsewhere(run: Path) -> Holder | None:
    """Who of another machine has the run's lease; doesn't say whether it is fresh."""
    found = holder(run)
    return None if found is None or found.here else found


def watch(*runs: Path) -> None:
    """Wait until it is known of each run whether another machine is at work: a heartbeat, or none
    for long. Of many it takes about as long as of one."""
    for found in map(elsewhere, runs):
        if found is not None:
            found.beats()  # from now on it is watched
    for run in runs:
        first = elsewhere(run)
        now = first
        while now is not None and now == first and now.beats():
            time.sleep(BEAT / 5)
            now = elsewhere(run)
