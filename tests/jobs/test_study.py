"""A study: what is there, what is missing, one command a run: `pytest tests/jobs/test_study.py`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from analysis import jobs
from analysis.errors import RunError, SpecError
from analysis.jobs.request import request_of
from analysis.jobs.slurm import parse_settings
from analysis.runs import list_runs, load_run, open_writer
from analysis.specs import DataSpec
from tests import forked
from tests.queues import nobody_works
from tests.tiny import write_run

NETS = "plain-8,resnet-8"
QUICK = ["--recipe", "quick", "--data", "digits", "--epochs", "1"]


def study(*words: str, before: str = "") -> list[str]:
    """What the command printed, by lines."""
    return command(["study", "mine", *words], before)


def command(words: list[str], before: str = "") -> list[str]:
    done = forked.analysis(*words, before=before)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def requests(*nets: str, seeds: int = 1, epochs: int = 3) -> list[jobs.Request]:
    digits = DataSpec.parse("digits")
    asked = [
        request
        for seed in range(seeds)
        for request in jobs.requests_for(nets, digits, "quick", {"epochs": epochs}, seed)
    ]
    return jobs.study_requests("mine", asked)


def test_the_same_study_twice_adds_nothing(tmp_path: Path):
    """Nets by seeds, each once; a larger one adds what it has more."""
    where = ["--nets", NETS, "--runs", str(tmp_path), *QUICK]
    first = study(*where, "--seeds", "2")
    again = study(*where, "--seeds", "2")
    wanted = {f"mine_{net}_s{seed}" for net in NETS.split(",") for seed in (0, 1)}

    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == wanted
    assert f"Written: 4 runs in {tmp_path}." in first
    assert not [line for line in again if line.startswith("Written")]
    assert [line.split()[:4] for line in again[:2]] == [
        ["plain-8", "seed", "0", "queued,"],
        ["resnet-8", "seed", "0", "queued,"],
    ]
    more = study("--nets", f"{NETS},plain-14", "--runs", str(tmp_path), *QUICK)
    assert f"Written: 1 runs in {tmp_path}." in more
    assert len(study("--runs", str(tmp_path))) == 5 + 2  # without nets: as it stands


def test_runs_of_other_names_serve(tmp_path: Path):
    """A finished run of the same training is not trained again under the study's name."""
    asked = requests("resnet-8", "plain-8")
    run = load_run(write_run(tmp_path, "resnet-8", recipe=asked[0].recipe))
    found = jobs.parts(asked, [run])

    assert [part.standing for part in found] == ["finished", "missing"]
    assert [path.name for path in jobs.write_missing(found, tmp_path)] == ["mine_plain-8_s0"]


def test_an_unfinished_run_of_another_name_is_not_the_study_s(tmp_path: Path):
    """Nobody who works the study off would come to it; one that trains is waited for, untouched."""
    asked = requests("resnet-8")
    other = write_run(tmp_path, "resnet-8", recipe=asked[0].recipe, epochs=0, state="queued")
    assert jobs.parts(asked, [load_run(other)])[0].standing == "missing"
    with open_writer(other) as writer:
        writer.set_status(state="running")
        assert jobs.parts(asked, [load_run(other)])[0].standing == "running"
        where = ["--nets", "resnet-8", "--runs", str(tmp_path), *QUICK[:-1], "3"]
        assert study(*where, "--cancel") == []
        assert not writer.cancel_asked()


def test_a_name_of_another_training_is_refused(tmp_path: Path):
    """The same study with other epochs would mix two experiments."""
    jobs.write_missing(jobs.parts(requests("plain-8"), []), tmp_path)
    other = jobs.parts(requests("plain-8", epochs=7), [])
    with pytest.raises(RunError, match="mine_plain-8_s0 is there already and is another training"):
        jobs.write_missing(other, tmp_path)
    for name in ("a:b", ""):  # none would be that of all runs
        with pytest.raises(RunError, match="is not a name for a study"):
            jobs.study_requests(name, requests("plain-8"))


def test_what_is_written_is_in_nobodys_queue_until_it_is_queued(tmp_path: Path):
    """So that this machine's worker and Slurm never want the same run."""
    asked = requests("plain-8", "resnet-8")
    jobs.write_missing(jobs.parts(asked, []), tmp_path)
    assert not any(jobs.is_waiting(run) for run in jobs.list_jobs(tmp_path))
    assert [request_of(run).net.name for run in jobs.list_jobs(tmp_path)] == ["plain-8", "resnet-8"]

    left = jobs.parts([*asked, *requests("plain-14")], jobs.list_jobs(tmp_path))
    with nobody_works(tmp_path):
        jobs.submit(jobs.Study(left), tmp_path)
    queued = [run.net for run in jobs.list_jobs(tmp_path) if jobs.is_waiting(run)]
    assert queued == ["plain-8", "resnet-8", "plain-14"]


def test_a_stopped_run_is_put_back_and_a_finished_one_is_not(tmp_path: Path):
    """`put_back` leaves alone what somebody trains."""
    path = write_run(tmp_path, "plain-8", state="cancelled", epochs=0, run_id="mine_plain-8_s0")
    assert jobs.put_back(path)
    assert (load_run(path).status.state, load_run(path).status.queued_at) == ("queued", None)
    with open_writer(path):
        assert not jobs.put_back(path)
    with pytest.raises(RunError, match="has finished"):
        jobs.put_back(write_run(tmp_path, "resnet-8"))


@pytest.mark.trains
def test_the_printed_commands_train_the_study_in_any_order_and_twice(tmp_path: Path):
    """As lines of a shell, from an empty folder whose name has a blank: each net trained once."""
    folder = tmp_path / "my runs"
    where = ["--nets", NETS, "--runs", str(folder), "--threads", "1", *QUICK]
    lines = study(*where, "--print")
    assert not folder.exists()
    for line in reversed(lines):
        words = shlex.split(line)
        assert words[:4] == ["python", "-m", "analysis", "train"]
        command(words[3:])
    trained = {run.id: run.status.heartbeat for run in list_runs([folder])}
    for line in lines:
        assert command(shlex.split(line)[3:])[-1].endswith("finished already.")

    assert {run.id: run.status.heartbeat for run in list_runs([folder])} == trained
    assert all(run.state == "finished" for run in list_runs([folder]))
    assert study(*where, "--print") == []


def test_a_study_is_submitted_to_the_queue(tmp_path: Path):
    """The one call behind `--queue` and the app: room is looked at, then both runs wait."""
    missing = [jobs.Part(request, None) for request in requests(*NETS.split(","))]
    with nobody_works(tmp_path):
        made = jobs.submit(jobs.Study(missing), tmp_path)
        for path in made.paths:
            jobs.cancel(path)
    assert [path.name for path in made.paths] == ["mine_plain-8_s0", "mine_resnet-8_s0"]


@pytest.mark.parametrize("nets", [["--nets", NETS], []])
def test_a_run_that_can_t_go_on_stands_in_no_other_s_way(tmp_path: Path, nets: list[str]):
    """Kept as it is, or half made as by a kill: said in a sentence; the others are queued."""
    kept, _ = jobs.write_missing(jobs.parts(requests("plain-8", "resnet-8"), []), tmp_path)
    with open_writer(kept) as writer:
        writer.set_status(state="cancelled", epoch=1)
    words = ["study", "mine", "--runs", str(tmp_path), *nets, *QUICK[:-1], "3", "--queue"]
    with nobody_works(tmp_path):
        done = forked.analysis(*words)

    assert done.returncode == 4
    reason = f"{kept.name} has no resume.safetensors, so its training can't go on; start a new run"
    assert done.stderr == (
        f"{kept} can't be trained ({reason}). Move or delete it; this study with its --nets then "
        "makes it anew.\n"
    )
    assert done.stdout.splitlines()[-1] == f"Queued: {tmp_path / 'mine_resnet-8_s0'}"
    (kept / "config.json").unlink()
    printed = forked.analysis(*words[:-1], "--print")
    if nets:
        assert "mine_plain-8_s0 can't be trained (config.json is missing)" in printed.stderr
    assert "mine_resnet-8_s0" in printed.stdout


def test_a_run_that_somebody_trains_stands_in_no_other_s_way(tmp_path: Path):
    """Its process has the lease and has not begun: the others are queued."""
    jobs.write_missing(jobs.parts(requests("plain-8", "resnet-8"), []), tmp_path)
    with open_writer(tmp_path / "mine_plain-8_s0"), nobody_works(tmp_path):
        printed = study("--queue", "--runs", str(tmp_path))
    assert printed[-2:] == [
        f"Queued: {tmp_path / 'mine_resnet-8_s0'}",
        "mine_plain-8_s0 is being trained.",
    ]


QUICK_HEART = "from analysis.runs import leases; leases.BEAT = 0.3"


def leave_a_lease(run: Path) -> None:
    """As of a machine that went down: it looks fresh at first sight."""
    said = {"token": "t", "host": "gone", "boot": "gone", "pid": 1, "began": 1.0, "beat": "0"}
    (run / "lease.1").write_text(json.dumps(said))


@pytest.mark.parametrize("state", ["running", "queued"])
@pytest.mark.parametrize("words", [["study", "mine", "--queue"], ["resume", "R", "--background"]])
def test_a_run_whose_machine_is_gone_is_taken_up_again(
    tmp_path: Path, state: str, words: list[str]
):
    """Also one that had not begun to train: the command watches its lease, then queues it."""
    run = write_run(tmp_path, "plain-8", run_id="mine_plain-8_s0", epochs=0, state=state)
    leave_a_lease(run)
    words = [run.name if word == "R" else word for word in words]
    with nobody_works(tmp_path):
        printed = command([*words, "--runs", str(tmp_path)], before=QUICK_HEART)

    assert f"Looking whether other machines are still at work: {run.name} on gone ..." in printed
    assert f"Queued: {run}" in printed
    assert jobs.is_waiting(load_run(run))


@pytest.mark.trains
def test_the_printed_command_goes_on_where_a_machine_is_gone(tmp_path: Path):
    """`train --once` given again, as by any engine, does not need the hour of `leases`."""
    words = shlex.split(study("--nets", "plain-8", "--runs", str(tmp_path), *QUICK, "--print")[0])
    study("--nets", "plain-8", "--runs", str(tmp_path), *QUICK)
    leave_a_lease(tmp_path / "mine_plain-8_s0")
    command(words[3:], before=QUICK_HEART)
    assert load_run(tmp_path / "mine_plain-8_s0").state == "finished"


def test_settings_of_slurm_with_and_without_a_value():
    """As submitit takes them: `#SBATCH --mem=16G`, `#SBATCH --exclusive`."""
    given = ["mem=16G", "--exclusive", "comment=a=b", "qos="]

    assert parse_settings(given) == {"mem": "16G", "exclusive": True, "comment": "a=b", "qos": ""}
    for nothing in ("", "--", "=16G"):
        with pytest.raises(SpecError, match="--slurm-set"):
            parse_settings([nothing])
