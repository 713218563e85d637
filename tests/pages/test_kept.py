"""What the pages keep is of the runs as they are now: `pytest tests/pages/test_kept.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.runs import load_run, write_recording
from analysis.runs.files import LOCK
from analysis.runs.labels import change_labels
from analysis.runs.liveness import take
from tests import tiny
from tests.tiny import write_run


@pytest.fixture(params=[200, 0], ids=["few", "many"])
def page(page: AppTest, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app, to which a few runs are few, and to which they are many."""
    monkeypatch.setattr("pages.common.cached.MANY", request.param)
    return page


ERROR = "Test error (%)"


def listed(page: AppTest, column: str) -> list:
    """A column of the page Runs, looked at anew."""
    page.run()
    assert not page.exception, page.exception[0].message
    return page.dataframe[0].value[column].tolist()


@pytest.fixture
def runs_page(page: AppTest) -> AppTest:
    return page.run().switch_page("pages/evidence/runs.py")


def test_a_file_edited_in_place_is_seen_at_the_next_closer_look(
    folder: Path, runs_page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """Also where the page was drawn meanwhile, of the run as it was loaded before."""
    status = write_run(folder, "resnet-8") / "status.json"
    (before,) = listed(runs_page, ERROR)
    status.write_text(json.dumps({**json.loads(status.read_text()), "test_error": 12.25}))
    listed(runs_page, ERROR)
    monkeypatch.setattr("analysis.runs.known.CLOSER", 0.0)
    assert listed(runs_page, ERROR) == [12.25] != [before]


def test_a_training_that_was_killed_is_no_longer_running(folder: Path, runs_page: AppTest):
    """No file says so: only its process is gone."""
    path = write_run(folder, "resnet-8", state="running")
    lock = take(path / LOCK)
    assert lock is not None
    (before,) = listed(runs_page, "State")
    lock.release()
    (after,) = listed(runs_page, "State")
    assert (before, after) == ("running", "interrupted")


def test_a_label_of_a_bundled_run_is_seen(tmp_path: Path, folder: Path, runs_page: AppTest):
    """It is in the user's folder, not in the run's."""
    path = write_run(tmp_path / "bundled", "resnet-8")
    write_run(folder, "plain-8")
    listed(runs_page, "Net")
    assert "Name" not in runs_page.dataframe[0].value
    change_labels(load_run(path), name="ours")
    assert sorted(listed(runs_page, "Name")) == ["", "ours"]
    compare = runs_page.switch_page("pages/evidence/compare.py").run()
    (runs,) = [one for one in compare.multiselect if one.label == "Runs"]
    assert any(name.startswith("ours: resnet-8") for name in runs.options)


def test_runs_and_recordings_that_appear_are_chosen_from(folder: Path, page: AppTest):
    """The presets too: the second net of a pair brings its button."""
    write_run(folder, "plain-34-w4")
    page.run()
    assert "plain-34 and ResNet-34" not in [button.label for button in page.button]
    path = write_run(folder, "resnet-34-w4")
    recorded = write_recording(tiny.responses(load_run(path).config.net, 1), "theirs", folder)
    page.run()
    assert "plain-34 and ResNet-34" in [button.label for button in page.button]
    (runs,) = [one for one in page.multiselect if one.label == "Runs"]
    assert len(runs.options) == 3
    assert any(name.startswith("theirs") for name in runs.options), (runs.options, recorded.id)
