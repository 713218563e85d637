"""The index beside the runs is only a cache: `pytest tests/test_index.py`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.errors import RunDamaged
from analysis.evidence.claims import mean_response
from analysis.runs import Run, index, load_run, only_readable
from analysis.runs.index import FILE
from analysis.runs.remembering import remembered
from tests.tiny import write_run

ROOT = Path(__file__).resolve().parents[1]
asked: list[str] = []


@remembered
def epochs(run: Run) -> int:
    asked.append(run.id)
    return len(run.history())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    asked.clear()
    return load_run(write_run(tmp_path, "resnet-8", run_id="r"))


def add_epoch(run: Run) -> None:
    file = run.path / "history.csv"
    last = file.read_text().splitlines()[-1]
    file.write_text(f"{file.read_text()}4{last[1:]}\n")


def test_what_was_computed_is_not_computed_again_until_a_file_changes(run: Run):
    """Also by another process, and by this one when it looks anew."""
    assert [epochs(run), epochs(run), epochs(load_run(run.path))] == [3, 3, 3]
    assert asked == ["r"]
    add_epoch(run)
    assert [epochs(run), epochs(run)] == [4, 4]
    assert asked == ["r", "r"]


def test_what_it_raises_is_not_kept(run: Run):
    """A damaged table is reported each time, and found whole when it was mended."""
    history = (run.path / "history.csv").read_text()
    (run.path / "history.csv").write_text("epoch\nx\n")
    for _ in range(2):
        with pytest.raises(RunDamaged):
            epochs(run)
        assert [damaged.id for damaged in only_readable([run])[1]] == ["r"]
    (run.path / "history.csv").write_text(history)
    assert epochs(run) == 3
    assert only_readable([run]) == ([run], [])


def spoil(file: Path, how: str) -> None:
    match how:
        case "deleted":
            file.unlink()
        case "no database":
            file.write_bytes(b"no database at all" * 1000)
        case "torn":
            file.write_bytes(file.read_bytes()[:5000])
        case "of a newer version":
            with sqlite3.connect(file) as opened:
                opened.execute("DROP TABLE answers")
                opened.execute("CREATE TABLE answers (something TEXT)")
                opened.execute("PRAGMA user_version = 2000000000")
            opened.close()
        case "a folder":
            file.unlink()
            file.mkdir()


@pytest.mark.parametrize(
    "how", ["deleted", "no database", "torn", "of a newer version", "a folder"]
)
@pytest.mark.parametrize("fresh", [True, False])
def test_a_spoilt_index_is_made_anew_or_done_without(run: Run, how: str, fresh: bool):
    """The answer is the same; in the process that had it open, and in one that opens it."""
    assert epochs(run) == 3
    if fresh:
        index._here.__dict__.clear()
    spoil(run.path.parent / FILE, how)
    add_epoch(run)

    assert [epochs(run), epochs(run)] == [4, 4]
    if how != "a folder":
        index._here.__dict__.clear()
        before = len(asked)
        epochs(run), epochs(run)
        assert len(asked) <= before + 1


def test_the_same_numbers_with_and_without(run: Run):
    """NaN too."""
    assert mean_response(run) == mean_response(run) == mean_response.__wrapped__(run)
    nothing = load_run(write_run(run.path.parent, "plain-8", epochs=0, state="cancelled"))
    assert str(mean_response(nothing)) == str(mean_response(nothing)) == "nan"


def test_two_writers_at_once_do_no_harm(tmp_path: Path):
    """Two processes fill and read the same index; both have all answers right."""
    for seed in range(20):
        write_run(tmp_path, "plain-8", seed=seed, epochs=1 + seed % 3, run_id=f"r{seed:02}")
    code = """
import sys
from pathlib import Path
from analysis.runs import list_runs
from analysis.runs.remembering import remembered
def epochs(run): return len(run.history())
for number in range(15):
    epochs.__qualname__ = f"epochs{number % 3}"
    print([remembered(epochs)(run) for run in list_runs([Path(sys.argv[1])])])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]  # fmt: skip
    wanted = str([1 + seed % 3 for seed in range(20)])
    for process in both:
        said, errors = process.communicate(timeout=120)
        assert (said.splitlines(), errors) == ([wanted] * 15, "")


def line(path: Path) -> tuple[str, bool]:
    """A line about a run, such as `remembered_lines` asks for; only for the last it is not kept."""
    asked.append(path.name)
    return f"{path.name} has {len(load_run(path).history())}", path.name != "r2"


def test_thousands_of_lines_are_told_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same, in the same order, and kept as if told by one; what is no run is left out."""
    for number in range(3):
        write_run(tmp_path, "plain-8", epochs=1 + number, run_id=f"r{number}")
    (tmp_path / "a file").touch()
    expected = [
        (str(tmp_path / f"r{number}"), f"r{number} has {1 + number}") for number in range(3)
    ]
    asked.clear()
    monkeypatch.setattr(index, "_THOUSANDS", 3)
    assert list(index.remembered_lines([tmp_path], "line", line).items()) == expected
    assert asked == []  # in this process
    with sqlite3.connect(tmp_path / FILE) as opened:
        kept = opened.execute("SELECT run FROM answers WHERE question = 'line'").fetchall()
    assert sorted(kept) == [("r0",), ("r1",)]
    monkeypatch.setattr(index, "_THOUSANDS", 3000)
    assert list(index.remembered_lines([tmp_path], "line", line).items()) == expected
    assert asked == ["r2"]


def test_a_label_of_a_bundled_run_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`list` again: the label is in the user's folder, the run is as it was."""
    from analysis.cli.runs import _told_of
    from analysis.runs.labels import change_tags

    monkeypatch.setattr("analysis.runs.listing.BUNDLED", tmp_path / "bundled")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    path = write_run(tmp_path / "bundled", "resnet-8")
    (tmp_path / "runs").mkdir()
    for tagged in (False, True):
        (line,) = index.remembered_lines([path.parent], "list", _told_of).values()
        assert ("#good" in line) == tagged
        change_tags(load_run(path), ["good"])
