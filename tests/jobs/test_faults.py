"""Faults with real processes: kills, a full disk, a trainer that does not answer. Nothing is lost.

pytest tests/jobs/test_faults.py
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from analysis import jobs
from analysis.jobs import processes
from analysis.runs import Run, load_run
from analysis.specs import Compute, DataSpec
from tests.benchmarks import bench_faults
from tests.queues import end_all

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parents[2]
EAGER = Compute("cpu", "float32", compile=False, threads=1)
PATIENCE = 120.0


def _request(epochs: int, train_images: int = 640) -> jobs.Request:
    changes = {
        "epochs": epochs, "batch_size": 16, "train_images": train_images, "test_images": 20,
    }  # fmt: skip
    data = DataSpec.parse("digits")
    return jobs.requests_for(["resnet-8"], data, "quick", changes, compute=EAGER)[0]


def _start(folder: Path, epochs: int, train_images: int = 640) -> Path:
    path = jobs.enqueue([_request(epochs, train_images)], folder).paths[0]
    jobs.start_worker(folder)
    return path


def _wait(path: Path, wanted: Callable[[Run], bool]) -> Run:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = load_run(path)
        if wanted(run):
            return run
        time.sleep(0.02)
    raise AssertionError(f"{path.name} is {run.state} at epoch {run.status.epoch}")


def _trains(run: Run) -> bool:
    return run.state == "running" and run.status.epoch >= 1 and run.status.pid is not None


def _finishes(path: Path, epochs: int) -> None:
    """It ends with every epoch once, and nothing left over."""
    run = _wait(path, lambda run: run.state == "finished")
    assert run.history()["epoch"].tolist() == list(range(1, epochs + 1))
    assert sorted(set(run.responses()["epoch"])) == list(range(1, epochs + 1))
    assert list(path.glob(".*.tmp")) == []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A runs folder; what still works in it at the end is ended."""
    yield tmp_path
    end_all(tmp_path)


def test_a_trainer_killed_in_mid_epoch_is_interrupted_and_resumes(folder: Path):
    """SIGKILL: shown with the reason; resumed, it has every epoch once."""
    path = _start(folder, 4)
    os.kill(_wait(path, _trains).status.pid, signal.SIGKILL)
    run = _wait(path, lambda run: run.status.state == "interrupted")

    assert str(run.status.reason) == (
        "its process was killed (SIGKILL): by hand, or by the system when memory ran out"
    )
    jobs.requeue(path)
    jobs.start_worker(folder)
    _finishes(path, 4)


def test_a_trainer_killed_in_mid_write_leaves_nothing_half_written(folder: Path):
    """A torn line and a temporary file, as a kill in the middle of a write leaves them."""
    path = _start(folder, 3)
    os.kill(_wait(path, _trains).status.pid, signal.SIGKILL)
    _wait(path, lambda run: run.status.state == "interrupted")
    (path / ".model.safetensors.1.tmp").write_bytes(b"half")
    with open(path / "history.csv", "a") as file:
        file.write("2,80,0.0")

    assert load_run(path).history()["epoch"].max() < 3
    jobs.requeue(path)
    jobs.start_worker(folder)
    _finishes(path, 3)


def test_trainings_outlive_whoever_started_them_and_the_worker(folder: Path):
    """SIGKILL of the process that queued it, then of the worker: it goes on, started once.

    And it gives way to others: by its niceness, and on Linux its session, which comes first.
    """
    code = (
        "import sys, time; sys.path.insert(0, '.'); from pathlib import Path\n"
        "from tests.jobs.test_faults import _start; _start(Path(sys.argv[1]), 4); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT) as page:
        while not (found := jobs.list_jobs(folder)):
            time.sleep(0.05)
        path = found[0].path
        pid = _wait(path, _trains).status.pid
        page.send_signal(signal.SIGKILL)
    assert psutil.Process(pid).nice() >= processes.NICENESS
    if (session := Path(f"/proc/{pid}/autogroup")).exists():
        assert session.read_text().endswith(f" nice {processes.NICENESS}\n")
        idle = os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert idle == processes._has_share_of_session(pid)
    worker = next(
        p for p in psutil.process_iter(["cmdline"])
        if "work" in (p.info["cmdline"] or []) and str(folder) in p.info["cmdline"]
    )  # fmt: skip
    worker.kill()
    while jobs.worker_alive(folder):
        time.sleep(0.05)

    assert jobs.start_worker(folder) is True
    assert load_run(path).status.pid == pid
    _finishes(path, 4)
    assert load_run(path).status.pid == pid


def test_a_trainer_that_does_not_answer_is_killed_in_the_end(folder: Path):
    """A stopped process obeys neither the cancel file nor SIGTERM; the run says what happened."""
    path = _start(folder, 50)
    pid = _wait(path, _trains).status.pid
    os.kill(pid, signal.SIGSTOP)
    assert jobs.cancel(path) == "asked"

    assert processes.press(path, waited=15.0) == "SIGTERM"
    assert load_run(path).state == "running"
    assert processes.press(path, waited=30.0) == "SIGKILL"
    run = _wait(path, lambda run: run.status.state == "cancelled")
    assert str(run.status.reason) == "cancelled; it did not answer, so SIGKILL"


def test_a_running_training_is_cancelled_within_seconds_and_resumes(folder: Path):
    """The cancel file is obeyed; the last whole epoch is kept."""
    path = _start(folder, 4)
    _wait(path, _trains)
    jobs.cancel(path)
    run = _wait(path, lambda run: run.state == "cancelled")

    assert run.status.epoch >= 1
    jobs.requeue(path)
    jobs.start_worker(folder)
    _finishes(path, 4)


def test_a_trainer_that_breaks_fails_with_its_last_words(folder: Path):
    """Data that can't be had: failed with the reason, not started again and again."""
    (folder / "images" / "train" / "cat").mkdir(parents=True)
    data = DataSpec.parse(f"folder:{folder}/images")
    request = jobs.requests_for(["resnet-8"], data, "quick", compute=EAGER)[0]
    path = jobs.enqueue([request], folder / "runs").paths[0]
    jobs.start_worker(folder / "runs")
    run = _wait(path, lambda run: run.state == "failed")

    assert str(folder / "images") in str(run.status.reason)


def _fill(file: Path) -> None:
    """Write until the disk is full."""
    with open(file, "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


@pytest.mark.skipif(
    getattr(os, "geteuid", int)() != 0 or os.name == "nt", reason="mounting a small disk needs root"
)
def test_a_full_disk_loses_no_whole_epoch(tmp_path: Path):
    """The disk fills in mid-training: failed with what to do; with room again it goes on."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(tmp_path)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        path = _start(tmp_path, 4)
        _wait(path, _trains)
        filler = tmp_path / "filler"
        _fill(filler)
        run = _wait(path, lambda run: run.state in ("failed", "interrupted"))
        assert run.status.epoch >= 1
        assert "the disk is full" in str(run.status.reason) or run.state == "interrupted"
        assert run.history()["epoch"].max() >= run.status.epoch
        filler.unlink()
        jobs.requeue(path)
        jobs.start_worker(tmp_path)
        _finishes(path, 4)
    finally:
        end_all(tmp_path)
        subprocess.run(["umount", "-l", str(tmp_path)], check=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the benchmark's faults are held against."""
    return bench_faults.plain_runs(tmp_path_factory.mktemp("plain"))


def test_kills_at_random_points_cost_nothing_but_the_epoch_under_way(
    tmp_path: Path, plain: dict[str, Path]
):
    """Three kills of a training and three of the worker: no run or whole epoch lost, same bits."""
    trained = bench_faults.hit_trainings(
        bench_faults.Tally("killed"), tmp_path / "killed", *plain.values(), 3, bench_faults.kill
    )
    queued = bench_faults.kill_workers(
        bench_faults.Tally("worker killed"), tmp_path / "queue", plain, 3
    )

    for tally in (trained, queued):
        assert tally.faults == 3
        assert (tally.lost, tally.epochs, tally.unequal) == (0, 0, 0)
        assert "3 faults" in str(tally)


def test_a_folder_that_turns_read_only_loses_nothing(tmp_path: Path, plain: dict[str, Path]):
    """The training ends; once it may write again it goes on to the same bits."""
    prefix = bench_faults.as_a_person()
    if prefix is None:
        pytest.skip("this machine's root writes everywhere")
    tally = bench_faults.hit_trainings(
        bench_faults.Tally("read-only"), tmp_path / "runs", *plain.values(), 1,
        bench_faults.forbid_writing, prefix,
    )  # fmt: skip

    assert (tally.lost, tally.epochs, tally.unequal) == (0, 0, 0)
