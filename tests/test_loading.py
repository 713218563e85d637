"""What the index keeps of runs is what their files say: `pytest tests/test_loading.py`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from analysis.errors import RunError
from analysis.runs import BUNDLED, DamagedRun, Run, list_runs, load_run, loading, open_writer
from analysis.runs.index import FILE
from analysis.text import Message
from tests import tiny

FROZEN = Path(__file__).parent / "frozen" / "format1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Runs in every state but `running`, one of format 1, one with fields of a later version."""
    for number, state in enumerate(("finished", "cancelled", "failed", "queued")):
        tiny.write_run(tmp_path, "resnet-14", seed=number, state=state)
    failed = next(tmp_path.glob("*_s2_*"))
    with open_writer(failed) as writer:
        error = RunError("{path}: the disk is full", path="/runs/é")
        writer.set_status(reason=Message("It failed: {error}", error=error))
    late = next(tmp_path.glob("*_s0_*")) / "config.json"
    late.write_text(json.dumps({**json.loads(late.read_text()), "colour": [1, 2.0, "red"]}))
    shutil.copytree(next(FROZEN.iterdir()), tmp_path / "of_format_1")
    return tmp_path


def told(folder: Path) -> list[Run]:
    """Its runs, of which none is damaged."""
    runs = list_runs([folder])
    assert all(isinstance(run, Run) for run in runs), runs
    return [run for run in runs if isinstance(run, Run)]


def never(path: Path) -> Run:
    """For what is not to be called."""
    raise AssertionError(path)


def test_kept_runs_are_as_their_files_say(folder: Path, monkeypatch: pytest.MonkeyPatch):
    read = told(folder)
    monkeypatch.setattr(loading, "load_or_damaged", never)

    kept = told(folder)

    assert kept == read == [load_run(run.path) for run in read]
    assert len(kept) == 5
    assert [run.status.reason.to_json() for run in kept] == [
        run.status.reason.to_json() for run in read
    ]
    assert {"colour": [1, 2.0, "red"]} in [run.config.extra for run in kept]


def test_bundled_runs_are_kept_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    read = told(BUNDLED)
    monkeypatch.setattr(loading, "load_or_damaged", never)

    assert told(BUNDLED) == read
    assert (tmp_path / FILE).is_file()


@pytest.mark.parametrize(
    "file", ["config.json", "status.json", "model.safetensors", "history.csv", "responses.csv"]
)
def test_a_file_that_is_spoilt_meanwhile_is_seen(folder: Path, file: str):
    run = next(run for run in told(folder) if run.config.seed == 0)

    place = run.path / file
    place.write_bytes(place.read_bytes()[:20])

    (damaged,) = [run for run in list_runs([folder]) if isinstance(run, DamagedRun)]
    assert file in str(damaged.reason)


@pytest.mark.parametrize(
    "value", ["", "[]", "null", '["no key", [1, "", ""], {}, "", {}]', "[{}, 0, 0, 0, 0]", "{"]
)
def test_what_somebody_else_wrote_into_the_index_is_not_taken(folder: Path, value: str):
    read = told(folder)
    with sqlite3.connect(folder / FILE) as index:
        index.execute("UPDATE answers SET value = ? WHERE question = 'run'", (value,))
    index.close()

    assert told(folder) == read


def test_a_run_that_trains_is_not_kept(tmp_path: Path):
    """Its process may be gone, and its files change with each epoch."""
    tiny.write_run(tmp_path, "plain-8", state="running")

    list_runs([tmp_path])

    with sqlite3.connect(tmp_path / FILE) as index:
        rows = index.execute("SELECT run FROM answers WHERE question = 'run'").fetchall()
    index.close()
    assert rows == []
