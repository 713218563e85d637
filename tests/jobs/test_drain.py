"""A study worked off in this process, what it takes and leaves: `pytest tests/jobs/test_drain.py`.

What trains on several nodes at once is in `tests/cluster`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import jobs
from analysis.runs import files, leases, load_run
from analysis.specs import DataSpec
from tests import forked
from tests.cluster.slurm_here import ROOT, write_study
from tests.jobs.test_study import leave_a_lease
from tests.queues import wait_until

pytestmark = pytest.mark.trains


def test_a_run_whose_machine_is_gone_before_it_began_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Still queued, with a lease that looks fresh: the drain stays until it is known."""
    monkeypatch.setattr(leases, "BEAT", 0.3)
    run = write_study(tmp_path, ["plain-8"], [0])[0]
    leave_a_lease(run)

    assert jobs.drain("mine", tmp_path) == 0
    assert load_run(run).state == "finished"


def test_what_could_not_be_trained_is_said_and_is_no_success(tmp_path: Path):
    """A training that fails, then one that was cancelled as well, then nothing else."""
    images = tmp_path / "images/train/cat"
    images.mkdir(parents=True)
    data = DataSpec.parse(f"folder:{images.parents[1]}")
    asked = jobs.study_requests("mine", jobs.requests_for(["plain-8", "resnet-8"], data, "quick"))
    broken, other = jobs.write_missing(jobs.parts(asked, []), tmp_path / "runs")
    jobs.cancel(other)
    words = ["study", "mine", "--runs", str(tmp_path / "runs"), "--drain"]
    first, second = (forked.analysis(*words) for _ in range(2))

    assert load_run(broken).state == "failed"
    for done in (first, second):
        assert done.returncode == 6
        assert f"stopped ({load_run(broken).status.reason})" in done.stdout
        assert "stopped (cancelled in the queue)" in done.stdout
        again = "not all of it was trained; this tries again: python -m analysis study mine --queue"
        assert f"Error: {again}" in done.stderr
    assert " begins" in first.stdout
    assert " begins" not in second.stdout
    jobs.delete(broken, tmp_path / "runs")
    assert forked.analysis(*words).returncode == 7


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="as a scheduler warns, on POSIX alone")
@pytest.mark.parametrize(("seconds", "state"), [(1, "failed"), (3600, "queued")])
def test_an_epoch_that_is_longer_than_a_task_is_not_begun_without_end(
    tmp_path: Path, seconds: int, state: str
):
    """Warned when its time is over, not when it is preempted early: then it is put back."""
    (run,) = write_study(tmp_path, ["plain-110"], [0])
    code = (
        "import sys; from analysis.jobs import drain; drain('mine', sys.argv[1], int(sys.argv[2]))"
    )
    command = [sys.executable, "-u", "-c", code, str(tmp_path), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as task:
        wait_until(lambda: load_run(run).status.step > 0)
        task.send_signal(signal.SIGUSR1)
        said, _ = task.communicate()

    found = load_run(run)
    assert (found.state, found.status.epoch) == (state, 0), said
    assert ("longer --slurm-time" in str(found.status.reason)) == (state == "failed")


def test_what_was_cancelled_stays_so_whatever_signals_come(tmp_path: Path):
    """`study --cancel`, then `scancel`: before the training has begun, and as it has ended."""
    early, late = write_study(tmp_path, ["plain-8"], [0, 1])
    command = [sys.executable, "-m", "analysis", "study", "mine", "--runs", tmp_path, "--drain"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as drain:
        assert drain.stdout
        assert f"{early.name} begins" in drain.stdout.readline()
        assert jobs.cancel(early) == "asked"
        drain.terminate()
        drain.communicate()
    assert drain.returncode == 128 + signal.SIGTERM
    assert load_run(early).state == "cancelled"

    (late / files.CANCEL).touch()
    ends = """
import os, signal
from analysis.training.session import Session
end = Session._end
def then_a_signal(self, *given):
    end(self, *given)
    os.kill(os.getpid(), signal.SIGTERM)
Session._end = then_a_signal
"""
    done = forked.analysis("resume", str(late), "--claimed", before=ends)
    assert done.returncode == 128 + signal.SIGTERM
    assert load_run(late).state == "cancelled"
