"""Runs that are passed on: `pytest tests/test_bundling.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import RunError
from analysis.evidence import bundling
from analysis.runs import BUNDLED, Run, list_runs, load_run, open_writer
from tests.tiny import write_run


def finished(folder: Path, **given) -> Run:
    """A run trained somewhere else, with what a machine leaves in it."""
    path = write_run(folder, "resnet-8", **given)
    with open_writer(path) as writer:
        command = (
            f"python -m analysis train --net resnet-8 --runs '{folder}' --seed 1 --device cuda"
        )
        writer.complete_config(replace(writer.config, command=command))
        writer.set_status(pid=17, pid_started=1.0, host="node7", machine={"gpu": "H200"})
        writer.log("epoch 1")
    (path / "resume.safetensors").write_bytes(b"momentum")
    (path / "weights").mkdir()
    return load_run(path)


def test_nothing_of_the_machine_is_passed_on(tmp_path: Path):
    """No path, process or host, and no file that only a resume reads; the tables to the byte."""
    run = finished(tmp_path / "runs")
    made = load_run(bundling.bundle(run, tmp_path / "bundled"))

    files = {path.name for path in made.path.iterdir()}
    assert files == {
        "config.json", "status.json", "history.csv", "responses.csv", "train.log",
        "model.safetensors",
    }  # fmt: skip
    assert made.config.command == "python -m analysis train --net resnet-8 --seed 1"
    assert (made.status.pid, made.status.host) == (None, "")
    assert made.status.machine == {"gpu": "H200"}
    for name in ("history.csv", "responses.csv", "model.safetensors"):
        assert (made.path / name).read_bytes() == (run.path / name).read_bytes()
    assert str(tmp_path) not in (made.path / "config.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "given",
    [
        "train --net plain-8 --data folder:/home/me/pets --threads=2",
        "train --net plain-8 --data=folder:/home/me/pets/",
        "train --net plain-8 --data 'folder:/home/my own/pets'",
        r"train --net plain-8 --data folder:C:\Users\me\pets --runs D:\runs",
        r'train --net plain-8 --data "folder:C:\Users\my own\pets" --runs "D:\my runs"',
        r"train --net plain-8 --data folder:C:\Users\me\pets --name 'a$b'",
    ],
)
def test_of_a_folder_of_images_its_name_alone_is_passed_on(given: str):
    """Whichever system's shell the command was typed into."""
    passed_on = bundling._portable(given).replace("--data=", "--data ")

    assert passed_on == "train --net plain-8 --data folder:pets"


def test_weights_can_stay_behind(tmp_path: Path):
    """The run is whole without them, and says how to get them."""
    run = finished(tmp_path / "runs")
    made = load_run(bundling.bundle(run, tmp_path / "bundled", weights=False))

    assert not made.has_weights
    assert len(made.history()) == len(run.history())
    with pytest.raises(RunError, match="train --net resnet-8"):
        made.check_weights()


def test_only_finished_runs_are_bundled(tmp_path: Path):
    """And one that is there already is not bundled over itself."""
    half = load_run(write_run(tmp_path / "runs", "plain-8", state="cancelled"))
    with pytest.raises(RunError, match="only finished runs"):
        bundling.bundle(half, tmp_path / "bundled")
    made = load_run(bundling.bundle(finished(tmp_path / "runs"), tmp_path / "bundled"))
    with pytest.raises(RunError, match="already"):
        bundling.bundle(made, tmp_path / "bundled")


def test_the_table_is_made_from_the_runs(tmp_path: Path):
    """Between its marks; what people wrote around it stays."""
    run = finished(tmp_path / "runs")
    bundling.bundle(run, tmp_path / "bundled")
    readme = tmp_path / "bundled" / "README.md"
    readme.write_text(
        f"# Mine\n\n{bundling.BEGIN}\nold\n{bundling.END}\n\nMore.\n", encoding="utf-8"
    )
    bundling.write_table(tmp_path / "bundled")

    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# Mine\n")
    assert text.endswith("\n\nMore.\n")
    assert "old" not in text
    last = run.history().iloc[-1]
    assert f"| resnet-8 | {run.data_title} | {run.recipe} | 0 | 3 |" in text
    assert f"| {last['train_error_clean']:.2f} | {last['test_error']:.2f} |" in text


def test_the_bundled_table_is_that_of_the_bundled_runs():
    """checkpoints/README.md says what is there."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]

    assert bundling.markdown(runs) in (BUNDLED / "README.md").read_text(encoding="utf-8")


def test_the_bundle_is_small_and_keeps_no_secrets():
    """At most 45 MB, and no path of whoever trained it."""
    assert sum(bundling.weigh(BUNDLED).values()) <= 45
    for run in list_runs([BUNDLED]):
        config = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
        assert "/" not in str((config["data"] or {}).get("path") or "")
        assert "--runs" not in config["command"]
