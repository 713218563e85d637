"""What faults cost: kills at random points, a full disk, a folder that turns read-only.

    python tests/benchmarks/bench_faults.py [--trainings 50] [--workers 20] [--steps 20]
                                            [--disks 5] [--folders 5] [--seed 0]

Trains small nets on digits, each fault at a random point of a training, and resumes until every run
is finished. A run is lost that can't be read or resumed; an epoch, that was complete and is trained
again (the one under way always is). Every finished run is compared with one that nothing disturbed:
weights, errors and layer responses, to the bit. Faults that this machine can't have (a small disk
needs root, a Slurm step needs Slurm) are left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from analysis import jobs  # noqa: E402
from analysis.errors import RunError  # noqa: E402
from analysis.runs import Run, leases, list_runs, load_run  # noqa: E402
from tests.cluster import slurm_here  # noqa: E402

EPOCHS = slurm_here.EPOCHS
NET = "resnet-8"
PATIENCE = 300.0
_MEASURED = ["seconds", "images_per_second", "wall_seconds"]
"""Columns of the history that differ each time."""


@dataclass
class Tally:
    """What the faults of one kind cost."""

    fault: str
    faults: int = 0
    runs: int = 0
    lost: int = 0
    epochs: int = 0
    """Complete epochs trained again, of all faults."""
    unequal: int = 0

    def __str__(self) -> str:
        return (
            f"{self.fault:38} {self.faults:3} faults, {self.runs:3} runs: {self.lost} lost, "
            f"{self.epochs} complete epochs lost, {self.runs - self.lost - self.unequal} equal to "
            "the bit"
        )

    def judge(self, path: Path, plain: Path) -> None:
        """Count a run that should be finished, like the one that nothing disturbed."""
        self.runs += 1
        epochs = re.findall(r"epoch (\d+)/", (path / "train.log").read_text())
        self.epochs += len(epochs) - len(set(epochs))
        try:
            run = load_run(path)
            whole = run.state == "finished" and len(run.history()) == EPOCHS
        except RunError:
            whole = False
        if not whole:
            self.lost += 1
        elif not same_bits(run, load_run(plain)):
            self.unequal += 1


def same_bits(run: Run, plain: Run) -> bool:
    """Weights, errors and layer responses."""
    ours, theirs = (load_file(one.path / "model.safetensors") for one in (run, plain))
    rows = [one.history().drop(columns=_MEASURED) for one in (run, plain)]
    return (
        ours.keys() == theirs.keys()
        and all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
        and rows[0].equals(rows[1])
        and run.responses().equals(plain.responses())
    )


def resume(path: Path, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A process that trains a run from its last epoch on."""
    command = [*prefix, sys.executable, "-m", "analysis", "resume", str(path)]
    with open(path / "job.log", "ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def trains(process: subprocess.Popen[bytes], path: Path) -> bool:
    """Wait until it does; False where it has ended before."""
    while process.poll() is None:
        status = load_run(path).status
        if (status.state, status.pid) == ("running", process.pid):
            return True
        time.sleep(0.02)
    return False


def plain_runs(folder: Path, seeds: Sequence[int] = (0,)) -> dict[str, Path]:
    """By name: the same runs, which nothing disturbs."""
    paths = slurm_here.write_study(folder, [NET], seeds)
    for path in paths:
        if resume(path).wait(PATIENCE):
            raise SystemExit((path / "job.log").read_text())
    return {path.name: path for path in paths}


def an_epoch(plain: Path) -> float:
    """Seconds, with all that is written."""
    return float(load_run(plain).history()["wall_seconds"].iloc[-1]) / EPOCHS


Strike = Callable[[Path, subprocess.Popen[bytes]], object]
"""Lets a fault come upon a run and its process, and pass when that has ended."""


def hit_trainings(
    tally: Tally, place: Path, plain: Path, count: int, strike: Strike, prefix: Sequence[str] = ()
) -> Tally:
    """Runs one after another, struck at random points, until there were that many faults."""
    beat = an_epoch(plain)
    while tally.faults < count:
        path = slurm_here.write_study(place / f"{tally.runs:03}", [NET], [0])[0]
        while trains(process := resume(path, prefix), path):
            if tally.faults < count:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(random.uniform(0, 1.5 * beat))
                if process.poll() is None:
                    strike(path, process)
                    tally.faults += 1
            process.wait(PATIENCE)
            if load_run(path).state == "finished":
                break
        tally.judge(path, plain)
    return tally


def kill(_path: Path, process: subprocess.Popen[bytes]) -> None:
    """By force, so without a last word."""
    process.kill()


def fill_the_disk(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the training has ended."""
    filler = path.parent / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    process.wait(PATIENCE)
    filler.unlink()


def forbid_writing(path: Path, process: subprocess.Popen[bytes]) -> None:
    """In the run's folder and its files, until the training has ended."""
    files = [file for file in path.iterdir() if file.is_file()]
    path.chmod(0o555)
    for file in files:
        with suppress(FileNotFoundError):
            file.chmod(0o444)
    process.wait(PATIENCE)
    path.chmod(0o755)
    for file in path.iterdir():
        file.chmod(0o644)


def as_a_person() -> list[str] | None:
    """Words before a command that root can't write everywhere with; None where it always can."""
    if os.name == "nt" or os.geteuid():
        return []
    return ["setpriv", "--bounding-set=-dac_override"] if shutil.which("setpriv") else None


@contextmanager
def small_disk(place: Path) -> Generator[bool]:
    """A disk of 4 MB at `place`; False where this machine mounts nothing."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    mounted = shutil.which("mount") and not subprocess.run(command, check=False).returncode
    try:
        yield bool(mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)


def kill_workers(tally: Tally, place: Path, plain: dict[str, Path], count: int) -> Tally:
    """A queue's worker killed while trainings run and wait, and started again."""
    beat = an_epoch(next(iter(plain.values())))
    while tally.faults < count:
        folder = place / f"{tally.runs:03}"
        paths = slurm_here.write_study(folder, [NET], range(len(plain)))
        for path in paths:
            jobs.requeue(path)
        while any(load_run(path).state in ("queued", "running") for path in paths):
            jobs.start_worker(folder)
            if tally.faults < count:
                time.sleep(random.uniform(0, 3 * beat))
                tally.faults += _kill_worker(folder)
            else:
                time.sleep(0.2)
        for path in paths:
            tally.judge(path, plain[path.name])
    return tally


def _kill_worker(folder: Path) -> bool:
    """Whether there was one."""
    with suppress(OSError, psutil.Error):  # it leaves when there is nothing left to do
        worker = psutil.Process(json.loads((folder / ".worker.json").read_text())["pid"])
        if str(folder) in worker.cmdline():
            worker.kill()
            while jobs.worker_alive(folder):
                time.sleep(0.02)
            return True
    return False


def kill_steps(tally: Tally, place: Path, environment: dict[str, str], count: int) -> Tally:
    """Steps of a Slurm array killed while they train: the drain and its trainer at once."""
    plain = {path.name: path for path in slurm_here.write_study(place / "plain")}
    for path in plain.values():
        resume(path).wait(PATIENCE)
    beat = an_epoch(next(iter(plain.values())))
    while tally.faults < count:
        at = slurm_here.Cluster(place / f"{tally.runs:03}", environment)
        paths = slurm_here.write_study(at.folder)
        while any(load_run(path).state != "finished" for path in paths):
            tasks = at.run("squeue", "-h", "-r", "-t", "R", "-o", "%i").split()
            if not at.run("squeue", "-h"):
                at.study(*slurm_here.TASKS)
            elif tasks and tally.faults < count:
                tally.faults += _kill_step(at, tasks[0], random.uniform(0, 1.5 * beat))
            time.sleep(0.2)
        while at.run("squeue", "-h"):
            time.sleep(0.2)
        for path in paths:
            tally.judge(path, plain[path.name])
    return tally


def _kill_step(at: slurm_here.Cluster, task: str, after: float) -> bool:
    """Whether the task trained something, and was killed at it."""
    node = at.node_of(task)
    runs = [run for run in list_runs([at.folder]) if isinstance(run, Run)]
    trained = next((run.path for run in runs if node and run.host == node), None)
    if trained is None:
        return False
    time.sleep(after)
    killed = load_run(trained).state == "running"
    at.run("scancel", "--signal=KILL", f"{task}.0")
    at.wait(lambda: load_run(trained).state != "running", "killed")
    return killed


def main() -> None:
    """A line for each kind of fault."""
    parser = argparse.ArgumentParser(description="Count what faults cost.")
    counts = {"trainings": 50, "workers": 20, "steps": 20, "disks": 5, "folders": 5, "seed": 0}
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    random.seed(asked.seed)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plains = plain_runs(place / "plain", range(3 if asked.workers else 1))
        plain = next(iter(plains.values()))
        print(f"{EPOCHS} epochs of {an_epoch(plain):.2f} s a run", flush=True)
        killed = Tally("training killed (SIGKILL)")
        tell(hit_trainings(killed, place / "killed", plain, asked.trainings, kill))
        worker = Tally("queue's worker killed (SIGKILL)")
        tell(kill_workers(worker, place / "queue", plains, asked.workers))
        with small_disk(place / "disk") as mounted:
            if mounted:
                full = Tally("disk full")
                tell(hit_trainings(full, place / "disk", plain, asked.disks, fill_the_disk))
            else:
                print("no small disk here: mounting one needs root", flush=True)
        if (prefix := as_a_person()) is not None:
            forbidden = Tally("folder turned read-only")
            tell(
                hit_trainings(forbidden, place / "ro", plain, asked.folders, forbid_writing, prefix)
            )
        if not slurm_here.can_start():
            print("no Slurm here: see tests/cluster/slurm")
        elif asked.steps:
            with slurm_here.started(place / "slurm") as environment:
                leases.BEAT = slurm_here.BEAT
                steps = Tally("Slurm step killed (SIGKILL)")
                tell(kill_steps(steps, place / "steps", environment, asked.steps))


def tell(tally: Tally) -> None:
    """Unless none was asked for."""
    if tally.faults:
        print(tally, flush=True)


if __name__ == "__main__":
    main()
