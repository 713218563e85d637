"""What differs between systems about processes: starting one that stays, ending one, its memory.

Trainers are ended politely first, by the run's cancel file, then by force, and never a stranger: a
pid alone proves nothing, since it is reused, and a start time in seconds since 1970 moves with the
clock. A process is the run's trainer if it has the run's lock file open while that is locked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from analysis.jobs.gpus import VISIBLE
from analysis.runs import files, leases, load_run
from analysis.runs.liveness import is_locked

WINDOWS = os.name == "nt"
TERM, KILL = ("", "TerminateProcess") if WINDOWS else ("SIGTERM", "SIGKILL")
"""How a process is asked to end, where it can be asked at all, and how it is ended by force."""
TERM_AFTER = 10.0
"""Seconds that a trainer has to obey its cancel file before it gets SIGTERM."""
KILL_AFTER = 20.0
"""Seconds before SIGKILL: at most the epoch under way is lost."""
NICENESS = 10
"""As of `nice`: pages and whoever sits at the machine come before trainings."""
ROOT = Path(__file__).resolve().parents[2]
"""Where `python -m analysis` is found."""


def start_detached(
    arguments: list[str],
    log: Path,
    *,
    mode: str = "ab",
    threads: int | None = None,
    claim: str = "",
    variables: Mapping[str, str] | None = None,
    gpu: str = "",
) -> subprocess.Popen[bytes]:
    """`python -m analysis ...` as a process that outlives this one and its terminal.

    Args:
        arguments: after `python -m analysis`.
        log: gets what it prints.
        mode: in which the log is opened.
        threads: for its arithmetic; None: the library's own choice.
        claim: token of the lease of a run, which it may take over.
        variables: of its environment, besides this process's.
        gpu: the one that it sees; empty: as this process does.

    Raises:
        RunError: the log can't be written.
    """
    environment = dict(os.environ)
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONIOENCODING": "utf-8:replace"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    if gpu:
        environment[VISIBLE] = gpu
    if claim:
        environment[leases.CLAIM] = claim
    environment |= variables or {}
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    try:
        with open(log, mode) as output:
            return subprocess.Popen(
                [sys.executable, "-m", "analysis", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=not WINDOWS, creationflags=flags, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise files.disk_error(log, error) from error


def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a child's end aside, so that it leaves no zombie behind."""
    threading.Thread(target=process.wait, daemon=True).start()


def ended_by(code: int) -> str:
    """The signal that an exit code tells of; empty where a process ended by itself.

    Windows has no signals: who ends a process by force there has to remember it.
    """
    return "" if WINDOWS or code >= 0 else signal.Signals(-code).name


def lower_priority(pid: int | None = None, idle: bool = False) -> None:
    """Let other processes of this machine come before one.

    Args:
        pid: None: this process.
        idle: on Linux it also leaves its processor at once when somebody else wakes up, instead of
            at the end of its turn. It needs a session of its own, whose share it keeps.
    """
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(max(NICENESS, process.nice()))
            if _lower_group(process.pid) and idle and hasattr(os, "sched_setscheduler"):
                os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))


def _lower_group(pid: int) -> bool:
    """Linux shares processors out among sessions first (autogroup): niceness counts within one.

    Returns:
        Whether the process has the share of a session of its own, and that was lowered.
    """
    group, stat = Path(f"/proc/{pid}/autogroup"), Path(f"/proc/{pid}/stat")
    if not group.exists():
        return False
    session = stat.read_text(errors="replace").rpartition(")")[2].split()[3]
    if session != str(pid):
        return False  # else it would be lowered for whoever shares the session, such as a shell
    for _time in range(3):
        with contextlib.suppress(BlockingIOError):  # at most one process of a system in 0.1 s
            group.write_text(str(NICENESS))
            return _has_share_of_session(pid)
        time.sleep(0.15)
    return False


_CGROUPS = Path("/sys/fs/cgroup")


def _has_share_of_session(pid: int) -> bool:
    """Whether no group of another kind gives it its share: of a container, of a user, of Slurm."""
    if Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() != "1":
        return False
    for line in Path(f"/proc/{pid}/cgroup").read_text(errors="replace").splitlines():
        _number, controllers, place = line.split(":", 2)
        if "cpu" in controllers.split(",") and place != "/":
            return False
        inside = _CGROUPS / place.lstrip("/")
        if not controllers and any(
            (at / "cpu.weight").exists() for at in (inside, *inside.parents)
        ):
            return False
    return True


def peak_memory_mb() -> float:
    """Peak resident memory of this process, MiB."""
    try:
        import resource
    except ImportError:  # Windows, where psutil knows the peak
        info = psutil.Process().memory_info()
        return getattr(info, "peak_wset", info.rss) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def began(pid: int) -> float | None:
    """When a live process began, seconds since 1970; None where there is none, or only a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def remember(pid: int, path: Path) -> None:
    """Write down which process it is, for `remembered`; raises RunError as `write_json`."""
    files.write_json(path, {"pid": pid, "began": began(pid)}, durable=False)


def remembered(path: Path) -> psutil.Process | None:
    """The process that was written down in a file, while it lives; a pid alone is reused."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        pid, start = int(values["pid"]), float(values["began"])
        found = began(pid)
        same = found is not None and abs(found - start) < 1
        return psutil.Process(pid) if same else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def trainer_of(path: Path) -> psutil.Process | None:
    """The live process that trains a run; None where there is none that can be told for sure."""
    status = load_run(path).status
    if status.pid is None or not is_locked(path):
        return None
    try:
        process = psutil.Process(status.pid)
        if WINDOWS:  # which tells of no other process which files it has open
            same = status.pid_started is not None and (
                abs(process.create_time() - status.pid_started) < 1
            )
        else:
            opened = {Path(file.path) for file in process.open_files()}
            same = (path / files.LOCK).resolve() in opened
    except psutil.Error:
        return None
    return process if same else None


def press(
    path: Path, waited: float, term_after: float = TERM_AFTER, kill_after: float = KILL_AFTER
) -> str:
    """Insist on a cancel asked `waited` seconds ago; returns what was sent, if anything.

    On Windows there is nothing between the cancel file and force.
    """
    if waited < (kill_after if WINDOWS else term_after):
        return ""
    process = trainer_of(path)
    if process is None:
        return ""
    with contextlib.suppress(psutil.Error):
        if waited < kill_after:
            process.terminate()
            return TERM
        for child in process.children(recursive=True):
            child.kill()
        process.kill()
        return KILL
    return ""
