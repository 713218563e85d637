"""The command line as a person uses it: `pytest tests/test_cli.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from analysis.runs import load_run
from tests import forked
from tests.importing import foreign
from tests.queues import wait_until
from tests.tiny import write_run

pytestmark = pytest.mark.trains


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RESIDUAL_LENS_RUNS": str(cwd / "runs")}
    root = str(Path(__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", "analysis", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**environment, "PYTHONPATH": root},
    )


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return forked.analysis(*arguments, cwd=cwd, RESIDUAL_LENS_RUNS=str(cwd / "runs"))


@pytest.mark.parametrize("command", ["train", "resume", "list", "show", "record", "compare"])
def test_help_reads_well(tmp_path: Path, command: str):
    """Every subcommand explains itself."""
    done = run(command, "--help", cwd=tmp_path)

    assert done.returncode == 0
    assert "Usage: python -m analysis " + command in done.stdout


def test_train_list_show_compare(tmp_path: Path):
    """The main job in small: train two nets, list them, show one, write a report, deepen one."""
    for net in ("plain-8", "resnet-8"):
        done = run(
            "train", "--net", net, "--data", "digits", "--recipe", "quick", "--epochs", "1",
            cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "epoch 1/1: training error " in done.stdout
    listed = json.loads(run("list", "--json", cwd=tmp_path).stdout)
    mine = {item["net"]: item for item in listed if item["path"].startswith(str(tmp_path))}

    assert set(mine) == {"plain-8", "resnet-8"}
    assert mine["plain-8"]["state"] == "finished"
    shown = run("show", mine["plain-8"]["id"], cwd=tmp_path).stdout
    assert "stage3.block1.conv2" in shown
    report = run("compare", "plain-8", "resnet-8", "-o", "report.html", cwd=tmp_path)
    assert report.stdout == "Written: report.html\n"
    assert (tmp_path / "report.html").stat().st_size > 1_000_000
    recorded = run("record", "resnet-8", "--images", "50", "--save", cwd=tmp_path)
    assert "rms(F)/rms(x)" in recorded.stdout
    elsewhere = ("--runs", str(tmp_path / "elsewhere"))
    made = run("construct", mine["plain-8"]["path"], "14", *elsewhere, cwd=tmp_path)
    errors = re.findall(r"error: plain-8 (\S+) %, plain-14 (\S+) %", made.stdout)
    assert [before for before, _ in errors] == [after for _, after in errors], made.stderr
    assert len(errors) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("train", "--net", "plain-21", "--data", "digits"), 2, "Error: 'plain-21': no net has"),
        (("train", "--net", "plain-8", "--data", "imagenet"), 2, "is not a data set; there are"),
        (("train", "--net", "plain-8", "--data", "folder:/no"), 2, "there is no /no/train"),
        (("train", "--net", "plain-8", "--recipe", "long"), 2, "'long' is not a recipe; there are"),
        (("train", "--net", "plain-8", "--device", "cuda:9"), 2, "Error: no device 'cuda:9' here"),
        (("cancel", "resnet-34"), 4, "is finished, so there is nothing to cancel"),
        (("resume", "resnet-34"), 4, "came with Residual Lens and is not trained further"),
        (("record", "resnet-34", "--csv", "/no/x.csv"), 4, "there is no folder /no to write x.csv"),
        (("identity", "--steps", "1", "--csv", "/no/x.csv"), 4, "there is no folder /no to write"),
        (("identity", "--steps", "1", "--csv", "/dev"), 4, "/dev is a folder or a device; name a"),
        (("complexity", "--measure", "--csv", "/no/x.csv"), 4, "there is no folder /no to write"),
        (("complexity", "--measure", "--device", "cuda:9"), 2, "Error: no device 'cuda:9' here"),
        (("construct", "resnet-34", "56", "--epochs", "7", "--lr", "9"), 2,
         "Without --train RECIPE nothing is trained, so construct takes no --epochs, --lr"),
        (("construct", "resnet-34", "56", "--queue", "--epochs", "7"), 2,
         "--queue takes the recipe of the run, so it takes no --epochs"),
        (("show", "plain-8"), 4, "Error: no run 'plain-8'. There are:"),
        (("resume", "nothing"), 4, "Error: no run 'nothing'."),
    ],
)  # fmt: skip
def test_mistakes_get_a_message_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
):
    """No traceback, before anything else is done; the code of the error's class."""
    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_measured_tables_are_written(tmp_path: Path):
    """`--csv` of `identity` and `complexity --measure`."""
    identity = run("identity", "--layers", "2", "--steps", "2", "--csv", "losses.csv", cwd=tmp_path)
    times = run(
        "complexity", "plain-8", "--measure", "--batch", "1", "--seconds", "0", "--csv",
        "times.csv", cwd=tmp_path,
    )  # fmt: skip

    assert identity.stdout.endswith("Written: losses.csv\n")
    assert times.stdout.endswith("Written: times.csv\n")
    assert set(pd.read_csv(tmp_path / "losses.csv")["kind"]) == {"plain", "residual"}
    assert pd.read_csv(tmp_path / "times.csv")["net"].tolist() == ["plain-8"]


def test_a_net_without_data_is_not_constructed_upon(tmp_path: Path):
    """With `--train` too, whose recipe is fitted to the data."""
    torch.save(foreign.akamaster().state_dict(), tmp_path / "net.pth")
    imported = run("import", "net.pth", cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    done = run("construct", "resnet-8", "14", "--train", "quick", cwd=tmp_path)

    assert done.returncode == 4
    assert re.match(r"Error: \S+ names no data set, so a net made of it can't be", done.stderr)
    assert len(list((tmp_path / "runs").glob("*/config.json"))) == 1


def _epochs_of(path: Path) -> int:
    return load_run(path).status.epoch if (path / "status.json").exists() else 0


def test_cancelled_from_elsewhere_is_not_done(tmp_path: Path):
    """`train` and `resume` end with 7 where another process cancels them, so that `&&` stops."""
    options = ("--data", "digits", "--recipe", "quick", "--epochs", "3000", "--name", "mine")
    options += ("--no-compile",)  # which would take longer than all the rest
    path = tmp_path / "runs" / "mine"
    epochs = 0
    for command in (("train", "--net", "plain-8", *options), ("resume", "mine")):
        process = started(*command, cwd=tmp_path)
        try:
            wait_until(lambda more=epochs: _epochs_of(path) > more, process)  # it is at work
            assert run("cancel", "mine", cwd=tmp_path).returncode == 0
            said, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == 7, (command, said[-300:], errors)
        epochs = _epochs_of(path)
        assert re.search(r"Cancelled after epoch \d+ of 3000\. Go on with: .* resume ", said)
    assert load_run(path).state == "cancelled"


def test_a_damaged_run_is_listed_with_its_reason(tmp_path: Path):
    """`list` goes on."""
    path = write_run(tmp_path / "runs", "plain-8")
    (path / "config.json").write_text("{")
    done = run("list", cwd=tmp_path)

    assert done.returncode == 0
    assert "damaged: config.json can't be read" in done.stdout
