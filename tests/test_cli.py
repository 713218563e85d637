"""The command line as a person uses it: `pytest tests/test_cli.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import write_run


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RESIDUAL_LENS_RUNS": str(cwd / "runs")}
    root = str(Path(__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "analysis", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environment, "PYTHONPATH": root},
    )


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
        (("show", "plain-8"), 4, "Error: no run 'plain-8'. There are:"),
        (("resume", "nothing"), 4, "Error: no run 'nothing'."),
    ],
)  # fmt: skip
def test_mistakes_get_a_message_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
):
    """No traceback; the code of the error's class."""
    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_run_is_listed_with_its_reason(tmp_path: Path):
    """`list` goes on."""
    path = write_run(tmp_path / "runs", "plain-8")
    (path / "config.json").write_text("{")
    done = run("list", cwd=tmp_path)

    assert done.returncode == 0
    assert "damaged: config.json can't be read" in done.stdout
