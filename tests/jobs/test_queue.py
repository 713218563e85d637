"""The queue on disk: configs, order, cancel, duplicates, names. No trainer runs here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from analysis import jobs
from analysis.errors import RunError, SpecError
from analysis.jobs import estimate, processes
from analysis.runs import Run, files, load_run, open_writer
from analysis.runs.liveness import hold
from analysis.specs import DataSpec
from analysis.text import Message
from tests import forked
from tests.queues import wait_until
from tests.tiny import write_run

ROOT = Path(__file__).resolve().parents[2]
DIGITS = DataSpec.parse("digits")


def _requests(*nets: str, **given) -> list[jobs.Request]:
    return jobs.requests_for(nets, DIGITS, "quick", **given)


def test_a_job_has_the_config_that_the_command_line_makes(tmp_path: Path):
    """`train --queue` with the command of a request writes the same config.json."""
    changes = {"epochs": 2, "lr": 0.05, "augment": False}
    request = _requests("resnet-8", changes=changes, seed=3)[0]
    ours = jobs.enqueue([request], tmp_path / "page").paths[0]
    words = ["train", *request.arguments(), "--queue", "--runs", str(tmp_path / "cli")]
    assert forked.analysis(*words).returncode == 0
    theirs = jobs.list_jobs(tmp_path / "cli")[0].path
    jobs.cancel(theirs)
    first, second = (json.loads((path / files.CONFIG).read_text()) for path in (ours, theirs))
    for varying in ("created", "command"):
        first.pop(varying), second.pop(varying)

    assert first == second


def test_the_queue_keeps_the_order_of_asking(tmp_path: Path):
    """First come, first served, whatever the names."""
    jobs.enqueue(_requests("resnet-20", "plain-8"), tmp_path)
    jobs.enqueue(_requests("plain-20"), tmp_path)

    assert [run.net for run in jobs.list_jobs(tmp_path)] == ["resnet-20", "plain-8", "plain-20"]


def test_a_clock_that_is_put_back_changes_no_order(tmp_path: Path, monkeypatch):
    """Places are counted; also where someone sets how many train at a time."""
    jobs.enqueue(_requests("resnet-20"), tmp_path)
    monkeypatch.setattr("analysis.jobs.queue.time.time", lambda: 1.0)
    jobs.set_at_a_time(tmp_path, 2)
    jobs.enqueue(_requests("plain-8", "plain-20"), tmp_path)

    assert [run.net for run in jobs.list_jobs(tmp_path)] == ["resnet-20", "plain-8", "plain-20"]
    assert jobs.at_a_time(tmp_path) == 2


def test_the_same_training_is_queued_once(tmp_path: Path):
    """A second tab gets the run that there is; another seed is another training."""
    first = jobs.enqueue(_requests("plain-8"), tmp_path)
    second = jobs.enqueue(_requests("plain-8"), tmp_path)
    third = jobs.enqueue(_requests("plain-8", seed=1), tmp_path)

    assert second.paths == []
    assert [path for _, path in second.already] == first.paths
    assert len(third.paths) == 1


def test_two_tabs_at_once_start_one_training_and_one_worker(tmp_path: Path):
    """Four processes press Start in the same moment: one run, one worker."""
    code = (
        "import sys, time; from analysis import jobs; from analysis.specs import DataSpec\n"
        "r = jobs.requests_for(['plain-8'], DataSpec.parse('digits'), 'quick')\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "jobs.enqueue(r, sys.argv[1]); print(jobs.start_worker(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(time.time() + 2.5)]
    tabs = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    said = sorted(tab.communicate()[0].decode().strip() for tab in tabs)
    found = jobs.list_jobs(tmp_path)
    jobs.cancel(found[0].path)

    assert len(found) == 1
    assert said == ["False", "False", "False", "True"]


def test_a_queued_run_is_cancelled_at_once_and_can_be_queued_again(tmp_path: Path):
    """Cancelled in the queue, it waits again after Resume, at the end."""
    first, second = jobs.enqueue(_requests("plain-8", "resnet-8"), tmp_path).paths

    assert jobs.cancel(first) == "cancelled"
    assert load_run(first).state == "cancelled"
    jobs.requeue(first)
    assert [run.path for run in jobs.list_jobs(tmp_path)] == [second, first]


def test_what_can_t_be_cancelled_or_resumed_says_why(tmp_path: Path):
    """Whole messages."""
    done = write_run(tmp_path, run_id="done")
    with pytest.raises(RunError, match=r"^done is finished, so there is nothing to cancel$"):
        jobs.cancel(done)
    with pytest.raises(RunError, match=r"^done has finished; there is nothing to resume$"):
        jobs.requeue(done)
    kept = write_run(tmp_path, state="cancelled", run_id="kept")
    message = "^kept has no resume.safetensors, so its training can't go on; start a new run$"
    with pytest.raises(RunError, match=message):
        jobs.requeue(kept)


def test_a_cancel_that_comes_too_late_leaves_no_file(tmp_path: Path, monkeypatch):
    """The run ends between the look at its state and the asking."""
    path = write_run(tmp_path, state="running", run_id="r")
    lock = hold(path)
    touch = Path.touch

    def ends_first(self: Path, *given) -> None:
        status = json.loads((path / files.STATUS).read_text())
        (path / files.STATUS).write_text(json.dumps(status | {"state": "finished"}))
        touch(self, *given)

    monkeypatch.setattr(Path, "touch", ends_first)
    with pytest.raises(RunError, match=r"^r has just ended, so there is nothing to cancel$"):
        jobs.cancel(path)
    lock.release()

    assert not (path / files.CANCEL).exists()


def test_a_name_in_use_is_refused(tmp_path: Path):
    """The message says what to do."""
    jobs.enqueue(_requests("plain-8", name="mine"), tmp_path)
    message = f"^{tmp_path}/mine exists already; choose another name or delete it$"
    with pytest.raises(RunError, match=message):
        jobs.enqueue(_requests("plain-8", name="mine", seed=5), tmp_path)


def test_all_wrong_nets_are_named_at_once():
    """Two mistakes, two lines."""
    with pytest.raises(SpecError) as raised:
        _requests("plain-21", "resnet-20", "vgg-19")

    assert len(str(raised.value).split("\n")) == 2


def test_deleting_stays_inside_the_folder(tmp_path: Path):
    """A run elsewhere is refused; one inside is gone."""
    inside = write_run(tmp_path / "runs", run_id="inside")
    outside = write_run(tmp_path / "other", run_id="outside")
    with pytest.raises(RunError, match="is not in the runs folder"):
        jobs.delete(outside, tmp_path / "runs")
    jobs.delete(inside, tmp_path / "runs")

    assert outside.exists()
    assert not inside.exists()


@pytest.mark.parametrize("years", [-20, 20])
def test_a_jumping_clock_changes_no_state(tmp_path: Path, years: int):
    """A heartbeat and a start from another decade: the lock alone says who lives."""
    path = write_run(tmp_path, state="running", run_id="r")
    status = json.loads((path / files.STATUS).read_text())
    status |= {"heartbeat": f"{2026 + years}-11-24T00:00:00+00:00", "pid": os.getpid()}
    status |= {"pid_started": time.time() + years * 3e7}
    (path / files.STATUS).write_text(json.dumps(status))

    assert load_run(path).state == "interrupted"
    lock = hold(path)
    assert load_run(path).state == "running"
    assert processes.trainer_of(path).pid == os.getpid()
    lock.release()


def test_a_stranger_with_the_trainer_s_pid_is_never_killed(tmp_path: Path):
    """The pid was reused by a process that does not have the run's lock open."""
    path = write_run(tmp_path, state="running", run_id="r")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        with open_writer(path) as writer:
            writer.set_status(pid=stranger.pid)
            assert processes.press(path, waited=1e6) == ""
        assert stranger.poll() is None
        stranger.kill()


def test_no_room_is_said_before_the_start(tmp_path: Path):
    """Memory and disk, in one message."""
    request = _requests("resnet-8")[0]
    huge = estimate.Estimate("resnet-1202", None, None, "none", "", 2**50, 2**51, 2**50)
    with pytest.raises(RunError) as raised:
        estimate.check_room([huge], tmp_path / "not yet", 1)

    assert "not enough disk" in str(raised.value)
    assert "resnet-1202 needs about 1048576.0 GiB of memory" in str(raised.value)
    estimate.check_room([estimate.estimate(request, [])], tmp_path, 1)


def test_what_is_submitted_without_room_is_not_queued(tmp_path: Path):
    """The one call of pages and commands looks first: no run, no worker."""
    wanted = jobs.Trainings(_requests("resnet-1202", changes={"batch_size": 10**7}))
    with pytest.raises(RunError, match="of memory"):
        jobs.submit(wanted, tmp_path / "runs")

    assert not (tmp_path / "runs").exists()


def test_what_is_submitted_is_worked_off(tmp_path: Path):
    """Queued, and somebody works off the queue; stopped, it leaves."""
    done = jobs.submit(jobs.Trainings(_requests("resnet-8")), tmp_path)
    assert jobs.worker_alive(tmp_path)
    jobs.stop(done.paths[0])
    wait_until(lambda: not jobs.worker_alive(tmp_path))
    assert load_run(done.paths[0]).state == "cancelled"


def test_a_validation_split_that_leaves_nothing_is_refused_before_there_is_a_run():
    """Digits have 1437 training images."""
    request = _requests("resnet-8", changes={"validation": 1437})[0]
    with pytest.raises(SpecError, match="leave none to train on: digits has 1437"):
        estimate.estimate(request, [])


def test_a_run_s_typical_rate_is_its_median(tmp_path: Path):
    """An epoch that compiled, or shared the machine, does not spoil the estimate of the next."""
    path = write_run(tmp_path, "plain-8", epochs=3)
    history = load_run(path).history().assign(images_per_second=[10.0, 1000.0, 1100.0])
    history.to_csv(path / "history.csv", index=False)
    with open_writer(path) as writer:
        writer.set_status(images_per_second=30.0)
    rates = estimate.known_rates([load_run(path)], tmp_path)
    assert [rate.images_per_second for rate in rates] == [1000.0]

    class Closed(Run):
        def table(self, table: str) -> pd.DataFrame:
            raise AssertionError(table)  # the index has what an estimate needs

    run = load_run(path)
    assert estimate.known_rates([Closed(path, run.config, run.status)], tmp_path) == rates


def test_one_slow_run_does_not_spoil_the_estimate(tmp_path: Path):
    """The rate of a net is the median of its newest runs, of which one had to share the machine."""
    runs = []
    for seed, speed in enumerate([900.0, 1000.0, 100.0]):
        path = write_run(tmp_path, "plain-8", epochs=1, seed=seed)
        history = load_run(path).history().assign(images_per_second=speed)
        history.to_csv(path / "history.csv", index=False)
        with open_writer(path) as writer:
            writer.set_status(images_per_second=speed)
        runs.append(load_run(path))
    rates = estimate.known_rates(runs, tmp_path)
    assert [rate.images_per_second for rate in rates] == [900.0]


def test_time_is_scaled_by_multiply_adds_and_says_so():
    """Half the work, twice the rate; the same net is not scaled."""
    request = _requests("plain-20", changes={"epochs": 1})[0]
    rate = estimate.Rate("plain-8", 1000.0, 2 * 40_551_040, 1, "cpu", True)
    found = estimate.estimate(request, [rate])

    assert (found.basis, found.based_on, found.images_per_second) == ("scaled", "plain-8", 2000.0)
    assert found.seconds == pytest.approx((1437 + (360 + 1437 + 360) / 3) / 2000 + 8)


def test_a_gpus_speed_is_no_guess_for_a_machine_without_one(monkeypatch: pytest.MonkeyPatch):
    """Of other machines the rates on a like device count: the median, by multiply-adds."""
    request = _requests("plain-20", changes={"epochs": 1})[0]
    adds = 40_551_040
    rates = [estimate.Rate("plain-20", speed, adds, 1, device, False)
             for speed, device in ((8000.0, "cuda:0"), (90.0, "cpu"), (500.0, "cpu"))]  # fmt: skip
    rates.append(estimate.Rate("plain-8", 1000.0, adds // 2, 1, "cpu", False))
    for found, expected in (((), 500.0), (("GPU-1",), 8000.0)):
        monkeypatch.setattr(estimate, "gpus", lambda found=found: found)
        guess = estimate.estimate(request, rates)
        assert (guess.basis, guess.images_per_second) == ("elsewhere", expected)
    monkeypatch.setattr(estimate, "gpus", lambda: ())
    assert estimate.estimate(request, rates[:1]).basis == "none"


def test_the_worker_and_all_of_jobs_know_nothing_of_torch():
    """Importing the package loads no torch."""
    code = "import sys, analysis.jobs, analysis.jobs.estimate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_run_is_loaded_again_only_when_its_files_changed(tmp_path: Path):
    """Ten looks at an unchanged folder load each run once; new, changed and deleted ones show."""
    from analysis.runs.known import KnownRuns

    path, known = write_run(tmp_path, run_id="r"), KnownRuns()

    def only() -> Run:
        (run,) = known.entries([tmp_path])
        assert isinstance(run, Run)
        return run

    first = only()
    assert all(only().config is first.config for _ in range(10))
    with open_writer(path) as writer:
        writer.set_status(reason=Message("new"))
    assert str(only().status.reason) == "new"
    write_run(tmp_path, run_id="s")
    assert [run.id for run in known.entries([tmp_path])] == ["r", "s"]
    shutil.rmtree(path)
    assert only().id == "s"


def test_a_table_that_is_torn_in_place_shows_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither the folder's time nor the status's tells it; a closer look does."""
    from analysis.runs import DamagedRun, known

    monkeypatch.setattr(known, "CLOSER", 0.2)
    path, runs = write_run(tmp_path, run_id="r"), known.KnownRuns()
    assert isinstance(runs.entries([tmp_path])[0], Run)
    os.truncate(path / "history.csv", 40)
    wait_until(lambda: isinstance(runs.entries([tmp_path])[0], DamagedRun), seconds=10)
