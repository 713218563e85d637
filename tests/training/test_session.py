"""How a session of work begins, is stopped and ends: `pytest tests/training/test_session.py`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from analysis.errors import RunError, TrainingFailed
from analysis.runs import files, load_run, open_writer
from analysis.training import session, train_run
from analysis.training.session import Session
from tests.training.test_training import prepared


def test_a_cancel_that_comes_too_late_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Asked between the last look and the end: finished, and no later session takes it for its."""
    monkeypatch.setattr(session, "LOOK_EVERY", 1e9)
    path = prepared(tmp_path, epochs=1)

    def ask(line: str) -> None:
        if line.startswith("epoch"):
            (path / files.CANCEL).touch()

    assert train_run(path, log=ask).state == "finished"
    assert not (path / files.CANCEL).exists()


def test_a_cancelled_run_keeps_no_file_either(tmp_path: Path):
    """What it asked for is done."""
    path = prepared(tmp_path)
    (path / files.CANCEL).touch()

    assert train_run(path).state == "cancelled"
    assert not (path / files.CANCEL).exists()


@pytest.mark.parametrize("away", [lambda path: path.rename(path.parent / "moved"), shutil.rmtree])
def test_a_run_whose_folder_goes_while_it_trains_ends_with_a_sentence(
    tmp_path: Path, away: Callable[[Path], object]
):
    """What was moved is whole and goes on where it lies now."""
    path = prepared(tmp_path)
    gone: list[object] = []

    def take_away(line: str) -> None:
        if line.startswith("epoch 1/") and not gone:
            gone.append(away(path))

    with pytest.raises(RunError) as raised:
        train_run(path, log=take_away)
    assert str(raised.value) == (
        f"There is no folder {path}: it was never made, or was moved or removed meanwhile."
    )
    assert not path.exists()
    moved = tmp_path / "moved"
    if moved.exists():
        assert load_run(moved).state == "interrupted"
        assert train_run(moved).history()["epoch"].tolist() == [1, 2, 3]


def test_equal_trainings_have_equal_weights_files(tmp_path: Path):
    """To the last byte: also the order of what the file says of itself."""
    paths = [train_run(prepared(tmp_path / name, epochs=1)).path for name in "ab"]
    one, other = ((path / files.MODEL).read_bytes() for path in paths)
    assert one == other

    tensors, words = {"x": torch.arange(3.0)}, {name: name for name in "hgfedcba"}
    for number in range(8):
        files.write_tensors(tmp_path / f"{number}", tensors, words)
    assert len({(tmp_path / f"{number}").read_bytes() for number in range(8)}) == 1


def test_work_without_a_run_is_stopped_and_fails_in_the_same_words():
    """As a survey, or the fitting of the identity."""
    asked: list[bool] = []
    with Session(should_stop=lambda: bool(asked)) as work:
        work.stoppable()(1, 2)
        asked.append(True)
        work.look()
    assert work.stopped

    said = r"^plain-8 can't be measured in the memory that is free"
    with pytest.raises(TrainingFailed, match=said), Session(net="plain-8"):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def test_the_tensor_library_s_own_error_becomes_ours():
    """It has the system's number in its words alone."""
    said = OSError("Error while serializing: I/O error: No space left on device (os error 28)")
    error = files.disk_error(Path("x"), files._system_error(said))
    assert str(error).startswith("x: the disk is full.")


def test_an_error_of_a_run_is_in_its_status(tmp_path: Path):
    """The reason, and that it has ended."""
    path = prepared(tmp_path)
    with open_writer(path) as writer, pytest.raises(RunError), Session(writer):
        raise RunError("this went wrong")

    status = load_run(path).status
    assert (status.state, str(status.reason), bool(status.ended)) == (
        "failed", "this went wrong", True,
    )  # fmt: skip
