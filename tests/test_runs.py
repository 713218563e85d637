"""Runs on disk: whole, damaged, newer, deleted: `pytest tests/test_runs.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.errors import RunDamaged, RunError, RunInUse
from analysis.runs import (
    BUNDLED,
    DamagedRun,
    Run,
    delete_run,
    files,
    find_run,
    list_runs,
    liveness,
    load_run,
    open_writer,
)
from analysis.runs.files import append_text, write_json, write_whole
from analysis.runs.liveness import _is_locked_by_another_account
from tests.tiny import write_run


def edit(path: Path, **changes: object) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def reason_of(path: Path) -> str:
    (found,) = list_runs([path.parent])
    assert isinstance(found, DamagedRun)
    return str(found.reason)


def test_a_run_reads_back_as_written(tmp_path: Path):
    """Config, status and tables survive the disk."""
    run = load_run(write_run(tmp_path, "resnet-8", epochs=3, seed=5))

    assert (run.net, run.recipe, run.config.seed, run.state) == (
        "resnet-8",
        "quick-e3",
        5,
        "finished",
    )
    assert run.history()["epoch"].tolist() == [1, 2, 3]
    assert set(run.responses()["source"]) == {"measured", "closed_form"}


def test_unknown_fields_are_kept(tmp_path: Path):
    """What a newer version wrote is still there after this one rewrites the status."""
    path = write_run(tmp_path)
    edit(path / "status.json", mood="good")
    edit(path / "config.json", colour="red")
    with open_writer(path) as writer:
        writer.set_status(epoch=3)

    assert json.loads((path / "status.json").read_text())["mood"] == "good"
    assert load_run(path).config.to_json()["colour"] == "red"


def test_a_newer_format_says_what_to_do(tmp_path: Path):
    """It is listed as damaged, with the advice to update."""
    path = write_run(tmp_path)
    edit(path / "config.json", format=99)

    assert reason_of(path) == (
        "config.json has format 99; this version of Residual Lens reads up to 1: update it to "
        "open this run"
    )


@pytest.mark.parametrize("name", ["config.json", "status.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    """The reason names the file."""
    path = write_run(tmp_path)
    (path / name).unlink()

    assert reason_of(path).startswith(f"{name} is missing")


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["config.json", "status.json", "model.safetensors"])
def test_a_torn_file_is_named_and_breaks_no_list(tmp_path: Path, name: str, keep: float):
    """A sound run beside the torn one is still listed."""
    path, sound = write_run(tmp_path), write_run(tmp_path, "resnet-8")
    whole = (path / name).read_bytes()
    (path / name).write_bytes(whole[: int(len(whole) * keep)])
    found = {run.id: run for run in list_runs([tmp_path])}

    assert isinstance(found[sound.name], Run)
    assert isinstance(found[path.name], DamagedRun)
    assert name in str(found[path.name].reason)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("net", {"kind": "plain"}, "config.json: NetSpec: "),
        ("net", None, "config.json: "),
        ("recipe", {"name": "short", "epochs": -1}, "epochs must be at least 1, not -1"),
        ("seed", "many", "config.json: "),
    ],
)
def test_nonsense_in_the_config_is_a_reason(tmp_path: Path, field: str, value, reason: str):
    """Wrong types and values are told, not raised."""
    path = write_run(tmp_path)
    edit(path / "config.json", **{field: value})

    assert reason in reason_of(path)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("machine", None, "status.json: machine is None, not an object"),
        ("train_error", "x", "status.json: train_error is 'x', not a number"),
        ("epoch", -3, "status.json: epoch is -3, not a whole number"),
    ],
)
def test_nonsense_in_the_status_is_a_reason(tmp_path: Path, field: str, value, reason: str):
    """Wrong types are told, and break no page."""
    path = write_run(tmp_path)
    edit(path / "status.json", **{field: value})

    assert reason_of(path) == reason


def test_a_torn_last_line_is_left_out(tmp_path: Path):
    """A kill in mid-write costs a row, not the table."""
    path = write_run(tmp_path, epochs=3, state="running")
    text = (path / "history.csv").read_text()
    (path / "history.csv").write_text(text[:-10])

    assert load_run(path).history()["epoch"].tolist() == [1, 2]


def test_a_table_with_other_columns_is_damaged(tmp_path: Path):
    """The message names file and columns."""
    path = write_run(tmp_path)
    (path / "history.csv").write_text("epoch,iteration\n1,2\n")

    with pytest.raises(RunDamaged, match=r"history\.csv: no column lr, train_loss"):
        load_run(path).history()


def test_a_run_without_a_table_has_an_empty_one(tmp_path: Path):
    """An imported net has no history."""
    path = write_run(tmp_path)
    edit(path / "config.json", recipe=None, origin={"kind": "import"})
    (path / "history.csv").unlink()

    assert len(load_run(path).history()) == 0


def test_running_without_a_process_is_interrupted(tmp_path: Path):
    """The lock tells, not the pid: this process's pid is alive."""
    path = write_run(tmp_path, state="running")
    edit(path / "status.json", pid=os.getpid())

    assert load_run(path).state == "interrupted"


def test_running_with_a_process_is_running(tmp_path: Path):
    """Another process that holds the lock is at work."""
    path = write_run(tmp_path, state="running")
    code = (
        "import sys, pathlib; from analysis.runs import open_writer\n"
        "with open_writer(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    assert load_run(path).state == "running"
    with pytest.raises(RunInUse, match="is being trained by another process"):
        open_writer(path)
    with pytest.raises(RunInUse):
        delete_run(load_run(path), tmp_path)
    holder.kill()
    holder.communicate()
    assert load_run(path).state == "interrupted"


@pytest.mark.skipif(liveness.fcntl is None, reason="only the test of the adapter to fcntl")
def test_a_lock_file_of_another_account_tells_as_well(tmp_path: Path):
    """Where it can be read but not written, a shared lock is asked for."""
    path = write_run(tmp_path, state="running")
    with open_writer(path):
        assert _is_locked_by_another_account(path / files.LOCK)
    assert not _is_locked_by_another_account(path / files.LOCK)
    assert not _is_locked_by_another_account(path / "absent")


def test_a_damaged_table_says_of_which_run(tmp_path: Path):
    """With ten runs on a page, the file's name alone would not do."""
    path = write_run(tmp_path, state="running")
    (path / "history.csv").write_text("epoch,nonsense\n1,2\n")
    with pytest.raises(RunDamaged, match=f"{path.name}: history.csv"):
        load_run(path).history()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    """Half-written files never take the place of whole ones, and are cleaned up."""
    path = tmp_path / "status.json"
    write_json(path, {"state": "old"})

    def fails(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"the disk is full\. Nothing recorded so far is lost"):
        write_whole(path, fails)
    assert json.loads(path.read_text()) == {"state": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_a_process_killed_in_mid_write_leaves_the_old_file(tmp_path: Path):
    """A real SIGKILL while a new weights file is half on disk; the next writer clears it away."""
    path = write_run(tmp_path, state="running")
    code = (
        "import sys, pathlib, numpy; from safetensors.numpy import save_file\n"
        "from analysis.runs import open_writer; from analysis.runs.files import write_whole\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with open_writer(path):\n"
        "    x = {'x': numpy.zeros(100_000_000, 'uint8')}\n"
        "    write_whole(path / 'model.safetensors', lambda file: save_file(x, file))\n"
    )
    before = (path / "model.safetensors").read_bytes()
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    while not (halves := [*path.glob(".model*.tmp")]) and writer.poll() is None:
        pass
    writer.kill()
    writer.wait()

    assert halves
    assert (path / "model.safetensors").read_bytes() == before
    assert load_run(path).state == "interrupted"
    with open_writer(path):
        assert not [*path.glob("*.tmp"), *path.glob(".*.tmp")]


def test_lines_are_added_at_the_end(tmp_path: Path):
    """Appending keeps what is there."""
    for line in ("a\n", "b\n"):
        append_text(tmp_path / "x.csv", line)

    assert (tmp_path / "x.csv").read_text() == "a\nb\n"


def test_runs_are_found_by_id_part_net_and_path(tmp_path: Path):
    """As on the command line."""
    plain, residual = write_run(tmp_path, "plain-8"), write_run(tmp_path, "resnet-8")
    for name in (plain.name, plain.name[8:18], "plain-8", str(plain)):
        assert find_run(name, [tmp_path]).path == plain
    assert find_run("resnet-8", [tmp_path]).path == residual


def test_an_ambiguous_name_lists_the_runs(tmp_path: Path):
    """Both ids are in the message."""
    ids = [write_run(tmp_path, "plain-8", seed=seed).name for seed in (0, 1)]
    with pytest.raises(RunError) as caught:
        find_run("plain-8", [tmp_path])

    assert all(run_id in str(caught.value) for run_id in ids)


def test_an_unknown_name_lists_what_there_is(tmp_path: Path):
    """Or how to make a run where there is none."""
    with pytest.raises(RunError) as caught:
        find_run("plain-8", [tmp_path])

    assert str(caught.value) == (
        "no run 'plain-8', and no other yet: `python -m analysis train` makes one"
    )


def test_only_runs_inside_the_folder_are_deleted(tmp_path: Path):
    """Neither elsewhere, nor through a link, nor the bundled ones."""
    inside, outside = write_run(tmp_path / "runs"), write_run(tmp_path / "other")
    link = tmp_path / "runs" / "link"
    link.symlink_to(outside)
    for path in (outside, link):
        with pytest.raises(RunError, match="is not in the runs folder"):
            delete_run(load_run(path), tmp_path / "runs")
    delete_run(load_run(inside), tmp_path / "runs")

    assert not inside.exists()
    assert outside.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "."])
def test_a_name_can_not_escape_the_folder(tmp_path: Path, name: str):
    """A run's name is one folder's name."""
    with pytest.raises(RunError):
        write_run(tmp_path / "runs", run_id=name)


def test_the_bundled_runs_are_whole():
    """Each finished, with a history, measured responses and whole weights."""
    runs = list_runs([BUNDLED])

    assert runs
    for run in runs:
        assert isinstance(run, Run), run
        assert run.state == "finished"
        first = 0 if run.construction else 1  # constructed nets begin with what they were given
        assert run.history()["epoch"].tolist() == list(range(first, run.status.epoch + 1))
        assert run.status.epoch == run.status.epochs_total
        measured = {"measured"} if run.is_construction else {"measured", "closed_form"}
        assert measured <= set(run.responses()["source"])
        assert run.history()["train_error_clean"].notna().iloc[-1]
