"""Which GPU a training gets, by lists of pretended ones: `pytest tests/jobs/test_gpus.py`.

What the driver's tool says is not tested here: no GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from analysis import jobs
from analysis.jobs import worker
from analysis.jobs.estimate import memory_of
from analysis.jobs.gpus import (
    VISIBLE,
    Placed,
    gpu_for,
    gpu_of,
    gpu_used,
    told_by_driver,
    visible_gpus,
)
from analysis.jobs.worker import _Worker
from analysis.runs import load_run
from analysis.specs import Compute, DataSpec
from tests import tiny
from tests.queues import wait_until

TWO = ("GPU-a", "GPU-b")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, TWO),
        ("GPU-b", ("GPU-b",)),
        ("1, 0", ("1", "0")),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", ("0",)),
    ],
)
def test_what_the_environment_leaves_out_is_not_used(value: str | None, seen: tuple[str, ...]):
    """As CUDA reads the variable."""
    assert visible_gpus({} if value is None else {VISIBLE: value}, TWO) == seen
    assert visible_gpus({VISIBLE: "0"}, []) == ()


GIB = 2**30


def test_what_the_driver_tells_of_memory():
    """As `nvidia-smi --query-gpu=uuid,memory.total --format=csv,noheader,nounits` prints it."""
    said = "GPU-a, 81559\nGPU-b, [N/A]\n\n"
    assert told_by_driver(said) == {"GPU-a": 81559 * 2**20, "GPU-b": 0}
    assert told_by_driver("No devices were found\n") == {}


def place(needs: list[int], compute: Compute = Compute(), memory: int = 80) -> list[str | None]:
    """Where trainings that need so many GiB go on two GPUs of so many, one after the other."""
    placed: list[Placed] = []
    given: list[str | None] = []
    for need in needs:
        given.append(gpu_for(compute, need * GIB, TWO, placed, lambda gpu: memory * GIB))
        placed.append(Placed(given[-1] or "", need * GIB))
    return given


def test_trainings_are_spread_evenly():
    """Five on two GPUs, and where one has ended the next takes its place."""
    assert place([1] * 5) == ["GPU-a", "GPU-b", "GPU-a", "GPU-b", "GPU-a"]
    under_way = [Placed("GPU-a", GIB), Placed("GPU-a", GIB), Placed("GPU-b", GIB)]
    assert gpu_for(Compute("cuda:0"), GIB, TWO, under_way) == "GPU-b"


def test_trainings_share_a_gpu_only_where_its_memory_suffices():
    """The third finds room beside the second alone, the fourth nowhere, and waits."""
    assert place([70, 30, 50, 40]) == ["GPU-a", "GPU-b", "GPU-b", None]
    assert place([200, 200, 1]) == ["GPU-a", "GPU-b", None]  # each has one to itself, and may fail
    assert place([70, 70, 70], memory=0) == ["GPU-a", "GPU-b", "GPU-a"]  # not known: as asked for


def test_who_wants_another_device_gets_no_gpu():
    """The CPU, one named of all, or a machine without."""
    assert gpu_for(Compute("cpu"), GIB, TWO, []) == ""
    assert gpu_for(Compute("cuda:1"), GIB, TWO, []) == ""
    assert gpu_for(Compute(), GIB, [], []) == ""


def test_a_training_in_a_terminal_counts_on_the_gpu_that_it_uses():
    """Of those that it sees, since nobody gave it one of its own."""
    nobody = None
    assert gpu_used(nobody, Compute(), TWO) == "GPU-a"
    assert gpu_used(nobody, Compute("cuda:1"), TWO) == "GPU-b"
    assert gpu_used(nobody, Compute("cuda:2"), TWO) == ""
    assert gpu_used(nobody, Compute("cpu"), TWO) == ""
    assert gpu_used(nobody, Compute(), ()) == ""


@pytest.mark.parametrize(
    ("seen", "device", "used"),
    [("1", "auto", "GPU-b"), ("1,0", "cuda:1", "GPU-a"), ("GPU-b", "cuda", "GPU-b"),
     ("GPU-b,GPU-a", "cuda:1", "GPU-a"), ("7", "auto", ""), ("1", "cpu", "")],
)  # fmt: skip
def test_its_environment_says_which_it_sees(seen: str, device: str, used: str):
    """By number or id: a real process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE,
                          env={**os.environ, VISIBLE: seen}) as process:  # fmt: skip
        wait_until(lambda: gpu_of(process.pid) == seen)
        assert gpu_used(process.pid, Compute(device), TWO) == used
        process.communicate(b"\n")


def test_who_waits_for_room_is_not_overtaken_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A training on the CPU goes on meanwhile; nothing is started here."""
    wide = _asked(0, net="resnet-20-w64") + _asked(1, net="resnet-20-w64")
    small, on_cpu = _asked(2), _asked(3, Compute("cpu"))
    paths = jobs.enqueue([*wide, *small, *on_cpu], tmp_path).paths
    jobs.set_at_a_time(tmp_path, 4)
    started: list[str] = []

    def start(arguments: list[str], log: Path, **more: object) -> subprocess.Popen[bytes]:
        started.append(arguments[1])
        return ended

    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        monkeypatch.setattr(worker, "gpu_for", partial(gpu_for, memory_of=lambda gpu: 2 * GIB))
        monkeypatch.setattr(worker.processes, "start_detached", start)
        _Worker(tmp_path, TWO[:1]).turn()

    assert started == [str(paths[0]), str(paths[3])]


def test_a_run_needs_what_its_net_and_batch_take(tmp_path: Path):
    """More for a wider net, also of one that waits and whose images nobody has counted."""
    narrow, wide = (
        load_run(tiny.write_run(tmp_path, net)) for net in ("resnet-20", "resnet-20-w64")
    )
    assert 0.6 * GIB < memory_of(narrow) < memory_of(wide) < 4 * GIB
    folder = DataSpec("folder", path=str(tmp_path))
    uncounted = replace(wide.config, images=None, data=folder)
    assert 0.8 * memory_of(wide) < memory_of(replace(wide, config=uncounted))


def _asked(seed: int, compute: Compute = Compute(), net: str = "resnet-8") -> list[jobs.Request]:
    digits = DataSpec.parse("digits")
    return jobs.requests_for([net], digits, "quick", {"epochs": 200}, seed, compute)


@pytest.mark.trains
def test_a_worker_gives_each_training_its_own_and_knows_those_of_the_one_before(tmp_path: Path):
    """Real processes: two on two GPUs and one on none; a new worker takes what has come free."""
    paths = jobs.enqueue([*_asked(0), *_asked(1, Compute("cpu")), *_asked(2)], tmp_path).paths
    jobs.set_at_a_time(tmp_path, 3)
    first, second = _Worker(tmp_path, TWO), _Worker(tmp_path, TWO)
    try:
        first.turn()
        wait_until(lambda: load_run(paths[2]).state == load_run(paths[0]).state == "running")
        assert [gpu_of(first.children[path].pid) for path in paths] == ["GPU-a", "", "GPU-b"]

        _end(first.children.pop(paths[0]))
        paths += jobs.enqueue(_asked(3), tmp_path).paths
        second.turn()
        assert second.given[paths[3]].gpu == "GPU-a"
        wait_until(lambda: gpu_of(second.children[paths[3]].pid) == "GPU-a")
    finally:
        for child in [*first.children.values(), *second.children.values()]:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
