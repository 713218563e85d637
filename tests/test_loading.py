"""What the index keeps of runs is what their files say: `pytest tests/test_loading.py`."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from analysis.errors import RunError
from analysis.runs import BUNDLED, DamagedRun, Run, list_runs, load_run, loading, open_writer
from analysis.runs.index import FILE
from analysis.runs.known import KnownRuns
from analysis.runs.listing import real_path
from analysis.runs.stamps import stamp
from analysis.text import Message
from tests import tiny

FROZEN = Path(__file__).parent / "frozen/format1/2026-11-26_resnet-8-w4_quick-e2_s0_3c55"


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
    shutil.copytree(FROZEN, tmp_path / "of_format_1")
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


@pytest.mark.parametrize("question", ["run", "runs"])
@pytest.mark.parametrize(
    "value",
    ["", "[]", "null", '["no key", [1, "", ""], {}, "", {}]', "[{}, 0, 0, 0, 0]", "{", "[" * 10**5],
)
def test_what_makes_no_sense_in_the_index_is_read_again(folder: Path, question: str, value: str):
    read = told(folder)
    with sqlite3.connect(folder / FILE) as index:
        index.execute("UPDATE answers SET value = ? WHERE question = ?", (value, question))
    index.close()

    assert told(folder) == read
    assert KnownRuns().entries([folder]) == read


def test_a_run_whose_files_may_no_longer_be_read_is_damaged(folder: Path):
    """What was kept of it is not shown to who may not read it."""
    run = told(folder)[0]
    before = stamp(run.path / "config.json")
    (run.path / "config.json").chmod(0)
    assert os.name == "nt" or stamp(run.path / "config.json") != before
    if os.access(run.path / "config.json", os.R_OK):
        pytest.skip("this user reads everything")

    assert [one.id for one in list_runs([folder]) if isinstance(one, DamagedRun)] == [run.id]


def test_a_copy_of_a_bundled_run_is_kept_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both are kept in one file, by one name."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    bundled = told(BUNDLED)[0]
    shutil.copytree(bundled.path, tmp_path / bundled.id)
    both = list_runs()
    monkeypatch.setattr(loading, "load_or_damaged", never)

    assert list_runs() == both
    assert len([run for run in both if run.id == bundled.id]) == 2


def test_where_a_relative_path_leads_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A notebook may change its directory."""
    for name in "ab":
        (tmp_path / name / "runs").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        here = tmp_path.resolve() / name / "runs"
        assert real_path(str(Path("runs", "x"))) == str(here / "x")
        assert real_path("runs") == str(here)


def test_a_run_that_trains_is_not_kept(tmp_path: Path):
    """Its process may be gone, and its files change with each epoch."""
    tiny.write_run(tmp_path, "plain-8", state="running")

    list_runs([tmp_path])

    with sqlite3.connect(tmp_path / FILE) as index:
        rows = index.execute("SELECT run FROM answers WHERE question = 'run'").fetchall()
    index.close()
    assert rows == []
