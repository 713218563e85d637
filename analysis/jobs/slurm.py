"""A study on Slurm, through submitit (an extra): an array whose tasks drain it. No torch.

A task that is warned before its time is over puts its run back and queues itself again. A preempted
one puts it back, too, and begins again where Slurm requeues what it preempts: it is told no more
than one that `scancel` ends, which has to stay ended. What a killed task had is taken by another,
or by the same command given again.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.errors import RunError, SpecError
from analysis.escape import visible
from analysis.jobs.drain import STOP_SIGNALS, drain
from analysis.jobs.processes import ROOT
from analysis.runs.files import disk_error
from analysis.specs import visible_in_files

FOLDER = ".slurm"
"""In the runs folder: submitit's files and what the tasks printed, a folder for each study."""
_WARNED = 120
"""Seconds before the time limit that a task has for the end of an update and its files."""
_FOR_EVER = 10**6


@dataclass(frozen=True)
class Settings:
    """What each task gets."""

    partition: str = ""
    minutes: int = 720
    """After which Slurm ends a task; it then begins again."""
    gpus_per_task: int | None = None
    more: Mapping[str, str | bool] = field(default_factory=dict)
    """Further #SBATCH settings by their long names; True: without a value."""
    setup: Sequence[str] = ()
    """Lines of the shell before it starts, such as `module load cuda`."""


@dataclass(frozen=True)
class Task:
    """What a task of the array does; submitit calls it."""

    name: str
    folder: str
    minutes: int = 0
    """That Slurm gives it; 0: as it was submitted by an earlier version."""

    def __call__(self) -> int:
        """Drain; warned of the end, queue this task again."""
        polite = (signal.SIGINT, signal.SIGTERM)
        warnings = {n: signal.getsignal(n) for n in STOP_SIGNALS if n not in polite}
        stopped = drain(self.name, self.folder, max(0, 60 * self.minutes - _WARNED))
        requeue = warnings.get(stopped)
        if callable(requeue):
            requeue(stopped, None)
        return stopped

    def checkpoint(self) -> Any:
        """For submitit: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit_array(name: str, folder: Path, tasks: int, settings: Settings) -> list[str]:
    """Ask Slurm for tasks that drain a study; their job ids, `17_0`, `17_1`, ...

    Raises:
        RunError: submitit or Slurm are not there, or Slurm refuses.
    """
    try:
        import submitit
        from submitit.core.utils import FailedJobError
    except ImportError:
        raise RunError(
            "--slurm needs submitit: pip install 'residual-lens[slurm]' (or submitit itself)"
        ) from None
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise RunError("there is no Slurm on this machine: neither sbatch nor srun is found")
    folder = folder.resolve()
    if str(folder) != visible_in_files(str(folder)):
        raise RunError(
            "{folder}: this name is not text in UTF-8, which Slurm's script has to be; rename it",
            folder=visible(folder),
        )
    path = f'export PYTHONPATH="{ROOT}${{PYTHONPATH:+:$PYTHONPATH}}"'
    given = {"partition": settings.partition or None, "gpus_per_task": settings.gpus_per_task}
    task = Task(name, str(folder), settings.minutes)
    try:
        executor = submitit.SlurmExecutor(folder / FOLDER / name, max_num_timeout=_FOR_EVER)
        executor.update_parameters(
            job_name=name, time=settings.minutes, signal_delay_s=_WARNED, ntasks_per_node=1,
            setup=[path, *settings.setup], additional_parameters=dict(settings.more),
            **{key: value for key, value in given.items() if value is not None},
        )  # fmt: skip
        with executor.batch():
            jobs = [executor.submit(task) for _ in range(tasks)]
    except (subprocess.CalledProcessError, FailedJobError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise RunError("Slurm refused the study: {said}", said=said) from error
    except OSError as error:
        raise disk_error(folder / FOLDER / name, error) from error
    return [job.job_id for job in jobs]


def array_status(name: str, folder: Path) -> list[tuple[str, str, str, str]]:
    """(job, state, node, reason) of the study's tasks that Slurm has, in its own words.

    Raises:
        RunError: Slurm does not answer.
    """
    known = {p.name.removesuffix("_submitted.pkl").partition("_")[0]
             for p in (folder / FOLDER / name).glob("*_submitted.pkl")}  # fmt: skip
    if not known:
        return []
    try:
        done = subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%i|%T|%N|%r"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise RunError("Slurm does not answer: {said}", said=said) from error
    rows = [line.split("|", 3) for line in done.stdout.splitlines() if line.count("|") >= 3]
    return [(r[0], r[1], r[2], r[3]) for r in rows if r[0].partition("_")[0] in known]


def parse_settings(given: Sequence[str]) -> dict[str, str | bool]:
    """`KEY=VALUE` of `--slurm-set`, each; or `KEY`, of a setting without a value.

    Raises:
        SpecError: there is no name.
    """
    found: dict[str, str | bool] = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        if not key.strip("-"):
            raise SpecError(
                "--slurm-set takes KEY=VALUE, as in mem=16G; this is {given!r}", given=setting
            )
        found[key.strip("-")] = value if equals else True
    return found
