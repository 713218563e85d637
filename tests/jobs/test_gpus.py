"""Which GPU a training gets, by lists of pretended ones: `pytest tests/jobs/test_gpus.py`.

What the driver's tool says is not tested here: no GPU.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from analysis import jobs
from analysis.jobs.gpus import VISIBLE, gpu_for, gpu_of, visible_gpus
from analysis.jobs.worker import _Worker
from analysis.runs import load_run
from analysis.specs import Compute, DataSpec
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


def test_trainings_are_spread_evenly():
    """Five on two GPUs, and where one has ended the next takes its place."""
    taken: list[str] = []
    for _ in range(5):
        taken.append(gpu_for(Compute(), TWO, taken))
    assert taken == ["GPU-a", "GPU-b", "GPU-a", "GPU-b", "GPU-a"]
    assert gpu_for(Compute("cuda:0"), TWO, ["GPU-a", "GPU-a", "GPU-b"]) == "GPU-b"


def test_who_wants_another_device_gets_no_gpu():
    """The CPU, one named of all, or a machine without."""
    assert gpu_for(Compute("cpu"), TWO, []) == ""
    assert gpu_for(Compute("cuda:1"), TWO, []) == ""
    assert gpu_for(Compute(), [], []) == ""


def _asked(seed: int, compute: Compute = Compute()) -> list[jobs.Request]:
    digits = DataSpec.parse("digits")
    return jobs.requests_for(["resnet-8"], digits, "quick", {"epochs": 200}, seed, compute)


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
        assert second.given[paths[3]] == "GPU-a"
        wait_until(lambda: gpu_of(second.children[paths[3]].pid) == "GPU-a")
    finally:
        for child in [*first.children.values(), *second.children.values()]:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
