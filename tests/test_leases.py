"""Two machines on one disk, claimed by two processes of this one: `pytest tests/test_leases.py`.

RESIDUAL_LENS_HOST makes a process another machine's: then only heartbeats tell it of this one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analysis import jobs
from analysis.errors import RunInUse
from analysis.evidence.catalog import catalog, where
from analysis.runs import delete_run, files, leases, load_run, open_writer
from pages.common.words import progress_words, standing_words
from tests.tiny import history, write_run

ROOT = Path(__file__).resolve().parents[1]
BEAT = 0.1

WRITES = """
import sys, time
from pathlib import Path
from analysis.runs import open_writer
writer = open_writer(Path(sys.argv[1]))
writer.set_status(state="running", pid=None)
print("has it", flush=True)
while True:
    writer.set_status(durable=False, step=writer.status.step + 1)
    writer.log(sys.argv[2])
    time.sleep(0.005)
"""


@pytest.fixture(autouse=True)
def _fast_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT", BEAT)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Of one epoch, not finished."""
    path = write_run(tmp_path, "plain-8", state="cancelled", epochs=1, run_id="r")
    (path / files.RESUME).touch()
    return path


@pytest.fixture
def there(run: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the machine `node-a` that writes the run until it is ended."""
    with writer_on("node-a", run) as process:
        yield process
        process.kill()


def writer_on(host: str, run: Path, within: Sequence[str] = ()) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"RESIDUAL_LENS_HOST": host, "RESIDUAL_LENS_BEAT": str(BEAT)}
    process = subprocess.Popen(
        [*within, sys.executable, "-c", WRITES, str(run), host], cwd=ROOT, env=environment,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    return process


def test_a_run_on_another_machine_is_shown_and_left_alone(run: Path, there: subprocess.Popen[str]):
    """With that machine's name; for as long as its heart beats, and a while after."""
    time.sleep(2 * leases.stale_after())
    found = load_run(run)
    assert (found.state, found.host) == ("running", "node-a")
    assert where(catalog([found]), "host = node-a")["run"].tolist() == [found.id]
    assert standing_words(found) == "running on node-a, epoch 1 of 1"  # as the Train page has it
    assert progress_words(found).endswith(" on node-a")
    with pytest.raises(RunInUse, match="r is running on node-a"):
        jobs.requeue(run)
    with pytest.raises(RunInUse, match="trained on node-a"):
        delete_run(found, run.parent)
    with pytest.raises(RunInUse, match="trained on node-a"):
        open_writer(run)
    assert there.poll() is None
    assert jobs.cancel(run) == "asked"  # by the file, which is seen on every machine


def test_a_machine_that_is_gone_is_known_after_the_missed_heartbeats(
    run: Path, there: subprocess.Popen[str]
):
    """At first sight it may be at work; watched for as long as that takes, it is not."""
    there.kill()
    there.wait()
    assert load_run(run).state == "running"
    began = time.monotonic()
    leases.watch(run)
    assert time.monotonic() - began >= leases.stale_after()
    assert (load_run(run).state, load_run(run).host) == ("interrupted", "")
    jobs.requeue(run)
    assert load_run(run).state == "queued"
    assert list(run.glob("lease.*")) == []


def test_clocks_that_differ_by_minutes_do_no_harm(run: Path, there: subprocess.Popen[str]):
    """Its clock ten minutes behind or ahead: only whether the file changes counts."""
    for behind in (600, -600):
        for _ in range(2 * leases.MISSED):
            os.utime(leases.holder(run).file, (time.time() - behind,) * 2)
            assert load_run(run).host == "node-a"
            time.sleep(BEAT)
    there.kill()
    there.wait()
    os.utime(leases.holder(run).file, (time.time() + 600,) * 2)
    leases.watch(run)
    assert load_run(run).state == "interrupted"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows stops no process")
def test_a_writer_that_stood_still_ends_before_its_next_write(
    run: Path, there: subprocess.Popen[str]
):
    """SIGSTOP past the lease: another machine takes the run; awake again, it writes nothing."""
    os.kill(there.pid, signal.SIGSTOP)
    load_run(run).state  # noqa: B018 (watched from here on)
    time.sleep(leases.stale_after() + 2 * BEAT)
    with open_writer(run) as writer:
        writer.set_status(state="running", reason=writer.status.reason, step=7)
        before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
        os.kill(there.pid, signal.SIGCONT)
        assert there.wait(30) == 1
        assert there.stderr is not None
        assert "r was taken over by" in there.stderr.read()
        ours = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
        heart = leases.holder(run).file.name
        assert {n: b for n, b in ours.items() if n != heart} == {
            n: b for n, b in before.items() if n != heart
        }
        writer.set_status(state="cancelled")  # it still holds it
    assert load_run(run).status.step == 7


def test_a_run_is_granted_to_one_of_two_machines(run: Path):
    """Both find a stale lease and take it at the same moment, fifty times."""
    code = """
import sys, time
from pathlib import Path
from analysis.errors import RunInUse
from analysis.runs import leases
run, at = Path(sys.argv[1]), float(sys.argv[2])
won = []
for number in range(50):
    place = run / str(number)
    leases.holder(place) and leases.holder(place).beats()
    time.sleep(max(0, at + 0.02 * number - time.time()))
    try:
        won.append((number, leases.lease(place)))
    except RunInUse:
        pass
print([number for number, _ in won], flush=True)
time.sleep(2)
"""
    for number in range(50):
        (run / str(number)).mkdir()
        if number % 2:  # one that a machine left behind, long ago
            left = {"token": str(number), "host": "gone", "boot": "gone", "pid": 1, "began": 0.0}
            (run / f"{number}/lease.3").write_text(json.dumps({**left, "beat": "1"}))
            os.utime(run / f"{number}/lease.3", (0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    at = str(time.time() + 3)
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(run), at], stdout=subprocess.PIPE,
                         text=True, cwd=ROOT, env={**environment, "RESIDUAL_LENS_HOST": host})
        for host in ("node-a", "node-b")
    ]  # fmt: skip
    won = [json.loads(process.communicate(timeout=60)[0]) for process in both]

    assert sorted(won[0] + won[1]) == list(range(50))


def test_a_lease_of_this_machine_needs_no_watching(run: Path):
    """The system tells at once whether its process lives: no waiting after a kill."""
    with writer_on(leases.this_machine()[0], run) as process:
        process.kill()
    lease = leases.holder(run)
    said = json.loads(lease.file.read_text()) | {"boot": leases.this_machine()[1]}
    lease.file.write_text(json.dumps(said))
    assert load_run(run).state == "interrupted"
    with open_writer(run) as writer:
        writer.set_status(state="cancelled")
    assert files.exists(run / files.LOCK)


def test_a_namesake_whose_clock_is_behind_keeps_its_run(run: Path, monkeypatch: pytest.MonkeyPatch):
    """Two machines may be called the same; only before this one's boot is it surely this one."""
    monkeypatch.setattr(psutil, "boot_time", lambda: time.time() - 3600)
    lease, file = leases.lease(run), run / "lease.1"
    said = json.loads(file.read_text()) | {"boot": "another", "pid": 7}
    lease.release()

    def beat(number: int, ago: float) -> None:
        file.write_text(json.dumps({**said, "beat": str(number)}))
        os.utime(file, (time.time() - ago,) * 2)

    for number in range(2 * leases.MISSED):
        beat(number, ago=600)
        with pytest.raises(RunInUse):
            leases.lease(run)
        time.sleep(BEAT)

    monkeypatch.setattr(psutil, "boot_time", lambda: time.time() - 300)
    beat(-1, ago=600)
    leases.lease(run).release()
    said["host"] = "another"
    beat(-2, ago=600)
    with pytest.raises(RunInUse):
        leases.lease(run)


CONTAINED = "unshare", "--pid", "--fork", "--mount-proc", "--kill-child"


@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*CONTAINED, "true"], check=False, capture_output=True).returncode != 0,
    reason="this user can't have a table of processes of its own",
)
def test_containers_of_one_machine_see_no_processes_of_each_other(run: Path):
    """Another container's process is not gone because its number is not in this one's table."""
    with writer_on("", run, CONTAINED) as process:
        assert leases.holder(run).boot != leases.this_machine()[1]
        for _ in range(2 * leases.MISSED):
            assert load_run(run).state == "running"
            with pytest.raises(RunInUse):
                leases.lease(run)
            time.sleep(BEAT)
        process.kill()
    leases.watch(run)
    leases.lease(run).release()


@pytest.mark.parametrize("readable", [True, False])
def test_a_lease_that_says_nothing_is_watched_as_well(run: Path, readable: bool):
    """Just made and still empty, or of an account whose files can't be read: its time tells."""
    file = run / "lease.1"
    file.touch() if readable else file.mkdir()  # root can read every file, but not a folder
    for _ in range(2 * leases.MISSED):
        with pytest.raises(RunInUse):
            leases.lease(run)
        os.utime(file)
        time.sleep(BEAT)
    leases.watch(run)
    leases.lease(run).release()


def test_rows_are_not_added_to_a_run_taken_over_while_they_were_written_out(
    run: Path, monkeypatch: pytest.MonkeyPatch
):
    """The lease is looked at right before the write, not before the rows are text."""
    before, render = (run / "history.csv").read_bytes(), pd.DataFrame.to_csv

    def taken_over(*given, **more) -> str | None:
        (run / "lease.2").touch()
        return render(*given, **more)

    with open_writer(run) as writer:
        monkeypatch.setattr(pd.DataFrame, "to_csv", taken_over)
        with pytest.raises(RunInUse):
            writer.append("history", history(writer.config.net, 2)[1:])
    assert (run / "history.csv").read_bytes() == before
