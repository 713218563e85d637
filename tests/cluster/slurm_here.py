"""A real Slurm with two nodes on this machine, and what a person does with a study on it.

Needs root (or sudo) and Debian's slurm-wlm and munge; `tests/cluster/slurm` starts it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis import jobs
from analysis.runs import Run, list_runs
from analysis.specs import Compute, DataSpec
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("slurm")
EPOCHS = 5
BEAT = 0.5
NETS = ("plain-8", "resnet-8")
SEEDS = (0, 1)
PATIENCE = 300.0
"""Seconds; a test beside two others, on two processors, has needed more than 100."""
PATH = f"{os.environ['PATH']}:/usr/sbin"
TASKS = [
    "--slurm", "--slurm-tasks", "4", "--slurm-partition", "main", "--slurm-time", "60",
    "--slurm-set", "mem=100M", "--slurm-setup", "export RESIDUAL_LENS_HOST=$SLURMD_NODENAME",
]  # fmt: skip
"""Words of `study` for an array on both nodes, each with a name of its own."""


def may_be_root() -> bool:
    """By itself, or by sudo without a password."""
    if os.name == "nt" or not shutil.which("id"):
        return False
    return os.geteuid() == 0 or subprocess.run(["sudo", "-n", "true"], check=False).returncode == 0


def can_start() -> bool:
    """Whether this machine has what it needs."""
    there = all(shutil.which(name, path=PATH) for name in ("sbatch", "slurmctld", "munged"))
    return there and may_be_root()


@contextmanager
def started(place: Path) -> Generator[dict[str, str]]:
    """The environment in which Slurm's commands and ours find it, while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    try:
        begun = subprocess.run(
            [SCRIPT, "start", place, port], capture_output=True, text=True, check=False
        )
        assert begun.returncode == 0, begun.stderr
        yield {**os.environ, "SLURM_CONF": begun.stdout.strip(), "PYTHONPATH": str(ROOT),
               "OMP_NUM_THREADS": "1", "RESIDUAL_LENS_BEAT": str(BEAT)}  # fmt: skip
    finally:
        subprocess.run([SCRIPT, "stop", place], check=True)


class Cluster:
    """The study, Slurm, and what a person does to them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def run(self, *words: str) -> str:
        """What a command printed."""
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env=self.environment, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def study(self, *words: str) -> str:
        """The same of `study mine`, without the seconds that its imports take."""
        command = ["study", "mine", "--runs", str(self.folder), *words]
        heart = f"from analysis.runs import leases; leases.BEAT = {BEAT}"
        done = forked.analysis(*command, cwd=ROOT, before=heart, **self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def node_of(self, task: str) -> str:
        """Empty while it waits."""
        return self.run("squeue", "-h", "-j", task, "-o", "%N").strip()

    def restarts(self, task: str) -> int:
        """How often Slurm has queued it again."""
        found = re.search(r"Restarts=(\d+)", self.run("scontrol", "show", "job", task))
        return int(found[1]) if found else 0

    def trains_on(self, node: str) -> Run | None:
        """What a node trains and has an epoch of."""
        runs = [run for run in list_runs([self.folder]) if isinstance(run, Run)]
        return next((r for r in runs if r.host == node and r.status.epoch), None)

    def wait(self, holds: Callable[[], object], what: str) -> None:
        """Until it holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"{what}: {self.study('--status')}"
            time.sleep(0.1)

    def wait_for_training(self, task: str) -> str:
        """The id of the run that a task trains, once it has an epoch of it."""
        self.wait(lambda: (node := self.node_of(task)) and self.trains_on(node), task)
        found = self.trains_on(self.node_of(task))
        return found.id if found else ""


def write_study(
    folder: Path,
    nets: Sequence[str] = NETS,
    seeds: Sequence[int] = SEEDS,
    epochs: int = EPOCHS,
) -> list[Path]:
    """Small nets on few images, in the study's folder and nobody's queue."""
    changes = {"epochs": epochs, "batch_size": 16, "train_images": 640, "test_images": 20}
    compute = Compute("cpu", "float32", compile=False, threads=1)
    asked = [
        request
        for seed in seeds
        for request in jobs.requests_for(
            nets, DataSpec.parse("digits"), "quick", changes, seed, compute
        )
    ]
    return jobs.write_missing(jobs.parts(jobs.study_requests("mine", asked), []), folder)
