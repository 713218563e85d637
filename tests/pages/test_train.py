"""The Train page by AppTest: what it offers, says and refuses. Nothing is trained here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.jobs import (
    enqueue,
    list_jobs,
    parts,
    requests_for,
    study_requests,
    worker_alive,
    write_missing,
)
from analysis.runs import files, load_run
from analysis.specs import DataSpec, Recipe
from tests.queues import nobody_works
from tests.tiny import write_run

pytestmark = pytest.mark.trains

APP = str(Path(__file__).resolve().parents[2] / "app.py")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page before its first run, on an empty runs folder."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    return AppTest.from_file(APP, default_timeout=60)


def _open(page: AppTest) -> AppTest:
    page.run()
    page.switch_page("pages/training/train.py").run()
    assert not page.exception
    return page


def test_kinds_times_depths_and_names_make_one_training_each(page: AppTest):
    """Two kinds by two depths and a name: five rows, five command lines."""
    _open(page)
    page.multiselect(key="train_depths").set_value([20, 56])
    page.text_input(key="train_names").set_value("resnet-34-w16").run()

    assert page.dataframe[0].value["Net"].tolist() == [
        "plain-20", "resnet-20", "plain-56", "resnet-56", "resnet-34-w16",
    ]  # fmt: skip
    commands = page.code[0].value.split("\n")
    assert len(commands) == 5
    assert commands[0].startswith(
        "python -m analysis train --net plain-20 --data digits --recipe quick --runs "
    )
    assert page.button(key="train_start").label == "Start 5 trainings"


def test_a_wrong_net_is_said_on_the_page(page: AppTest):
    """The message of the package, no traceback, no Start button."""
    _open(page).text_input(key="train_names").set_value("resnet-21").run()

    assert not page.exception
    assert "no net has depth 21" in page.error[0].value
    assert "train_start" not in [button.key for button in page.button]


def test_a_wrong_net_is_said_in_chinese_too(page: AppTest):
    """Errors are part of the app in both languages."""
    page.query_params["lang"] = "zh_CN"
    _open(page).text_input(key="train_names").set_value("resnet-33").run()
    assert page.error[0].value.startswith("'resnet-33'：没有深度为 33 的网络")


def test_a_folder_without_images_is_said_on_the_page(page: AppTest, tmp_path: Path):
    """Data that can't be had is said before anything starts."""
    _open(page).segmented_control(key="train_data").set_value("folder").run()
    page.text_input(key="train_folder").set_value(str(tmp_path)).run()

    assert "with a folder of images for each class" in page.error[0].value


def test_a_server_that_can_t_write_says_so(page: AppTest, tmp_path: Path):
    """A file is in the runs folder's place."""
    (tmp_path / "runs").write_text("")
    _open(page).button(key="train_start").click().run()

    assert not page.exception
    assert "can't be written: name another folder for runs" in page.error[0].value


def test_an_interrupted_run_is_shown_as_such_and_can_be_resumed(page: AppTest, tmp_path: Path):
    """Its file says running, nobody has its lock: Resume, Keep as it is, Delete."""
    path = write_run(tmp_path / "runs", "resnet-8", state="running", run_id="lost")
    (path / files.RESUME).write_bytes(b"")
    _open(page)

    words = [element.value for element in page.markdown]
    assert "**resnet-8** · interrupted after 3 of 3 epochs · `lost`" in words
    keys = [button.key for button in page.button]
    assert {"train_resume_lost", "train_keep_lost", "train_delete_lost"} <= set(keys)


def test_keeping_a_cancelled_run_as_it_is_drops_what_only_resuming_needs(
    page: AppTest, tmp_path: Path
):
    """The weights stay, Resume is gone."""
    path = write_run(tmp_path / "runs", "resnet-8", state="cancelled", run_id="kept")
    (path / files.RESUME).write_bytes(b"")
    _open(page).button(key="train_keep_kept").click().run()

    assert not (path / files.RESUME).exists()
    assert "train_resume_kept" not in [button.key for button in page.button]
    assert load_run(path).state == "cancelled"


def test_deleting_asks_first(page: AppTest, tmp_path: Path):
    """One click deletes nothing; the second, in the dialog, does."""
    path = write_run(tmp_path / "runs", "resnet-8", state="cancelled", run_id="old")
    _open(page).button(key="train_delete_old").click().run()
    assert path.exists()
    page.button(key="train_delete_yes").click().run()

    assert not path.exists()


def test_taking_one_out_of_the_queue_starts_nothing(page: AppTest, tmp_path: Path):
    """After a reboot nobody works off the queue until somebody says so."""
    runs = tmp_path / "runs"
    for name in ("resnet-8-w4", "plain-8-w4"):
        enqueue(requests_for([name], DataSpec.parse("digits"), "quick"), runs)
    first, second = list_jobs(runs)
    _open(page).button(key=f"train_cancel_{first.id}").click().run()

    assert load_run(first.path).state == "cancelled"
    assert load_run(second.path).state == "queued"
    assert not worker_alive(runs)


def test_a_study_is_a_table_and_is_cancelled_and_taken_up_as_a_whole(page: AppTest, tmp_path: Path):
    """Two nets by two seeds: their states, one not there; both buttons move all that they may."""
    folder = tmp_path / "runs"
    write_run(folder, "plain-8", run_id="mine_plain-8_s0", seed=0)
    stopped = write_run(
        folder, "plain-8", run_id="mine_plain-8_s1", seed=1, state="cancelled", epochs=2,
        recipe=Recipe.parse("quick", epochs=3),
    )  # fmt: skip
    (stopped / files.RESUME).write_bytes(b"")
    digits = DataSpec.parse("digits")
    asked = requests_for(["resnet-8"], digits, "quick", {"epochs": 3})
    write_missing(parts(study_requests("mine", asked), []), folder)
    write_run(folder, "resnet-8", run_id="alone_resnet-8_s0")
    _open(page)

    def table() -> list[list[str]]:
        found = next(t.value for t in page.dataframe if t.value.index.name == "Net")
        assert found.index.tolist() == ["plain-8", "resnet-8"]
        assert found.columns.tolist() == ["Seed 0", "Seed 1"]
        return found.to_numpy().tolist()

    assert table() == [["finished", "cancelled, epoch 2 of 3"], ["not started", ""]]
    page.button(key="train_study_cancel_mine").click().run()  # before Slurm comes to it, say
    assert table() == [["finished", "cancelled, epoch 2 of 3"], ["cancelled", ""]]
    assert "train_study_cancel_mine" not in [button.key for button in page.button]
    assert not [button.key for button in page.button if "alone" in str(button.key)]
    with nobody_works(folder):
        page.button(key="train_study_resume_mine").click().run()
        assert table() == [["finished", "queued, epoch 2 of 3"], ["queued", ""]]
        page.button(key="train_study_cancel_mine").click().run()
    assert table() == [["finished", "cancelled, epoch 2 of 3"], ["cancelled", ""]]


def test_a_study_is_cancelled_though_a_run_of_it_was_deleted_meanwhile(
    page: AppTest, tmp_path: Path
):
    """Said of the one; the others are cancelled."""
    asked = requests_for(["plain-8", "resnet-8"], DataSpec.parse("digits"), "quick")
    gone, other = write_missing(parts(study_requests("mine", asked), []), tmp_path / "runs")
    _open(page)
    shutil.rmtree(gone)
    page.button(key="train_study_cancel_mine").click().run()

    assert not page.exception
    assert f"{gone.name} is not a directory" in page.error[0].value
    assert load_run(other).state == "cancelled"
