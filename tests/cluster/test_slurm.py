"""A study on a real Slurm with two nodes on this machine: `pytest -m cluster tests/cluster`.

Needs root (or sudo) and Debian's slurm-wlm and munge; `tests/cluster/slurm` starts it. Skipped
elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from analysis import jobs
from analysis.runs import Run, leases, list_runs, load_run
from analysis.specs import Compute, DataSpec
from analysis.training import train_run

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("slurm")
EPOCHS = 5
NETS = ("plain-8", "resnet-8")
SEEDS = (0, 1)
PATIENCE = 100.0
PATH = f"{os.environ['PATH']}:/usr/sbin"


def may_be_root() -> bool:
    """By itself, or by sudo without a password."""
    if os.name == "nt" or not shutil.which("id"):
        return False
    return os.geteuid() == 0 or subprocess.run(["sudo", "-n", "true"], check=False).returncode == 0


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands and ours find it."""
    there = all(shutil.which(name, path=PATH) for name in ("sbatch", "slurmctld", "munged"))
    if not there or not may_be_root():
        pytest.skip("needs slurm-wlm and munge, and root or sudo without a password")
    pytest.importorskip("submitit")
    place = tmp_path / "slurm"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    try:
        started = subprocess.run(
            [SCRIPT, "start", place, port], capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stderr
        yield {**os.environ, "SLURM_CONF": started.stdout.strip(), "PYTHONPATH": str(ROOT),
               "OMP_NUM_THREADS": "1", "RESIDUAL_LENS_BEAT": "0.5"}  # fmt: skip
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
        """The same of `study mine`."""
        command = [sys.executable, "-m", "analysis", "study", "mine", "--runs", str(self.folder)]
        return self.run(*command, *words)

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


def write_study(folder: Path) -> list[Path]:
    """Small nets on few images, in the study's folder."""
    changes = {"epochs": EPOCHS, "batch_size": 16, "train_images": 640, "test_images": 20}
    compute = Compute("cpu", "float32", compile=False, threads=1)
    asked = [
        request
        for seed in SEEDS
        for request in jobs.requests_for(
            NETS, DataSpec.parse("digits"), "quick", changes, seed, compute
        )
    ]
    return jobs.write_missing(jobs.parts(jobs.study_requests("mine", asked), []), folder)


def test_a_study_is_trained_whole_whatever_happens_to_its_tasks(
    tmp_path: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """A step killed, a task warned of its end, one cancelled: each run ends once, same bits."""
    monkeypatch.setattr(leases, "BEAT", float(slurm["RESIDUAL_LENS_BEAT"]))
    names = [path.name for path in write_study(tmp_path / "runs")]
    at = Cluster(tmp_path / "runs", slurm)
    said = at.study(
        "--slurm", "--slurm-tasks", "4", "--slurm-partition", "main", "--slurm-time", "60",
        "--slurm-set", "mem=100M", "--slurm-setup", "export RESIDUAL_LENS_HOST=$SLURMD_NODENAME",
    )  # fmt: skip
    array = re.search(r"has 4 tasks: (\d+)", said)
    assert array, said
    task = [f"{array[1]}_{number}" for number in range(4)]

    touched = [at.wait_for_training(task[0])]
    assert "running" in at.study("--status")
    at.run("scancel", "--signal=KILL", f"{task[0]}.0")
    killed = tmp_path / "runs" / touched[0]
    at.wait(lambda: load_run(killed).state == "interrupted", "killed")
    touched.append(at.wait_for_training(task[1]))
    at.run("scancel", "--signal=USR2", f"{task[1]}.0")  # as before its time limit
    at.wait(lambda: at.restarts(task[1]) == 1, "it queues itself again")
    touched.append(at.wait_for_training(task[2]))
    at.run("scancel", task[2])
    at.wait(lambda: all(load_run(tmp_path / "runs" / n).state == "finished" for n in names), "end")

    assert "Nothing is left" in at.study("--slurm")
    for path in write_study(tmp_path / "plain"):
        mine, theirs = tmp_path / "runs" / path.name, train_run(path)
        assert load_run(mine).history()["epoch"].tolist() == list(range(1, EPOCHS + 1))
        ours, plain = (load_file(p / "model.safetensors") for p in (mine, theirs.path))
        assert all((ours[name] == plain[name]).all() for name in plain)
        log = (mine / "train.log").read_text()
        assert log.count("finished after") == 1
        again = log.count("epoch ") - EPOCHS
        assert again <= (1 if path.name in touched else 0), log  # at most the epoch under way
    at.run("scancel", array[1])


def test_without_the_extra_it_says_what_to_install(tmp_path: Path):
    """No traceback; nothing was asked of Slurm."""
    write_study(tmp_path)
    code = "import sys; sys.modules['submitit'] = None\nfrom analysis.cli import main; main()"
    words = [sys.executable, "-c", code, "study", "mine", "--runs", str(tmp_path), "--slurm"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 4
    assert "pip install 'residual-lens[slurm]'" in done.stderr
