"""A study on a real Slurm with two nodes on this machine: `pytest -m cluster tests/cluster`.

Skipped where `slurm_here` can't start one; in CI it then fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from analysis.runs import leases, load_run
from analysis.training import train_run
from tests.cluster.slurm_here import BEAT, ROOT, TASKS, Cluster, can_start, started, write_study

EPOCHS = 12
"""So that each run still trains when it is killed, warned or cancelled, also on a busy machine."""
pytestmark = [pytest.mark.cluster, pytest.mark.trains]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands and ours find it."""
    if os.environ.get("CI") != "true":  # there, what is missing is a mistake
        if not can_start():
            pytest.skip("needs slurm-wlm and munge, and root or sudo without a password")
        pytest.importorskip("submitit")
    with started(tmp_path / "slurm") as environment:
        yield environment


def test_a_study_is_trained_whole_whatever_happens_to_its_tasks(
    tmp_path: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """A step killed, a task warned of its end, one cancelled: each run ends once, same bits."""
    monkeypatch.setattr(leases, "BEAT", BEAT)
    names = [path.name for path in write_study(tmp_path / "runs", epochs=EPOCHS)]
    at = Cluster(tmp_path / "runs", slurm)
    said = at.study(*TASKS)
    array = re.search(r"has 4 tasks: (\d+)", said)
    assert array, said
    task = [f"{array[1]}_{number}" for number in range(4)]

    at.wait(lambda: {at.node_of(one) for one in task[:2]} == {"n1", "n2"}, "on both nodes")
    status = at.study("--status")
    assert re.search(rf"^  {task[0]} +running +n[12]$", status, re.MULTILINE), status
    touched = [at.wait_for_training(task[0])]
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
    for path in write_study(tmp_path / "plain", epochs=EPOCHS):
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
