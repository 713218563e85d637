"""Tables that grow: older files are read, damaged ones are told: `pytest tests/test_tables.py`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.errors import RunDamaged
from analysis.runs import Run, list_runs, load_run, open_writer, tables
from analysis.runs.checks import read_table
from tests.tiny import write_run

FROZEN = Path(__file__).parent / "frozen"
"""Run folders as version 0.1 wrote them: format 1, all tables of version 1. Never rewritten."""


def test_the_frozen_runs_of_format_1_open():
    """Trained, constructed and trained on: every table, with what is newer by its default."""
    runs = list_runs([FROZEN / "format1"])

    assert len(runs) == 4
    for run in runs:
        assert isinstance(run, Run), run
        assert run.state == "finished"
        assert len(run.history()) == run.status.epoch + bool(run.construction)
        assert run.responses().columns.tolist() == tables.names("responses")
        assert set(run.responses()["fingerprint"]) == {""}


@pytest.mark.parametrize(
    ("table", "rows"), [("history", 6), ("responses", 6 * 19 + 19), ("refinement", 9)]
)
def test_the_tables_of_a_frozen_bundled_run_are_read(table: str, rows: int):
    """ResNet-20 has 19 convolutions and 9 blocks."""
    (path,) = (FROZEN / "bundled").glob(f"*/{table}.csv")
    found = read_table(path, table)

    assert len(found) == rows
    assert found.columns.tolist() == tables.names(table)


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of `history`: `lr` renamed in version 2, a number and a text in version 3."""

    def patch_1_to_2(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.rename(columns={"lr": "learning_rate"})

    old = {column.name: column for column in tables.HISTORY}
    columns = [column for column in tables.HISTORY if column.name != "lr"]
    columns += [
        tables.Column("learning_rate", "float64", "", old["lr"].meaning, since=2),
        tables.Column("zeros", "float64", "", "share of zeros", since=3),
        tables.Column("phase", "str", "", "of the schedule", since=3, default="unknown"),
    ]
    table = tables.Table(tuple(columns), {1: patch_1_to_2}, increasing=True)
    monkeypatch.setitem(tables.SCHEMAS, "history", table)


@pytest.mark.usefixtures("grown")
def test_an_older_table_is_read_through_its_patch_and_defaults():
    """Two versions on, the frozen rows are there and what is newer is its default."""
    (path,) = (FROZEN / "bundled").glob("*/history.csv")
    found = read_table(path, "history")

    assert found["learning_rate"].tolist() == pd.read_csv(path)["lr"].tolist()
    assert found["zeros"].isna().all()
    assert set(found["phase"]) == {"unknown"}


@pytest.mark.usefixtures("grown")
def test_a_column_of_the_files_own_version_can_not_be_missing():
    """Of version 3 by one of its columns, so another of version 3 was lost."""
    frame = pd.read_csv(next((FROZEN / "bundled").glob("*/history.csv")))
    newer = frame.rename(columns={"lr": "learning_rate"}).assign(zeros=0.5)
    with pytest.raises(RunDamaged, match="history: no column phase"):
        tables.conform(newer, "history")


def test_rows_are_added_to_a_table_of_an_older_version(tmp_path: Path):
    """The file is whole afterwards: no row is longer than the header."""
    path = write_run(tmp_path, epochs=2, state="running")
    file = path / "responses.csv"
    old = pd.read_csv(file)[[c.name for c in tables.RESPONSES if c.since == 1]]
    old.to_csv(file, index=False)
    with open_writer(path) as writer:
        writer.append("responses", old[old["source"] == "measured"].assign(epoch=3))

    found = load_run(path).table("responses")
    assert len(found) == len(old) + (old["source"] == "measured").sum()
    assert (found["fingerprint"] != "").sum() == (found["epoch"] == 3).sum()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("epoch", "1e30", "history.csv: epoch is 1e+30 in row 2"),
        ("epoch", "1.5", "history.csv: epoch is 1.5 in row 2"),
        ("epoch", "", "history.csv: epoch is empty in row 2"),
        ("epoch", "1", "history.csv: its epochs are not in order"),
        ("iteration", "-1", "history.csv: iteration is -1 in row 2"),
        ("iteration", "True", "history.csv: iteration is 'True' in row 2"),
        ("test_error", "9" * 400, "history.csv: test_error is "),
        ("test_error", "100.5", "history.csv: test_error is 100.5 in row 2"),
        ("train_error", "inf", "history.csv: train_error is inf in row 2"),
        ("seconds", "soon", "history.csv: seconds is 'soon' in row 2"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, column: str, value: str, reason: str):
    """Column, value and row."""
    path = write_run(tmp_path, state="running")
    rows = [line.split(",") for line in (path / "history.csv").read_text().splitlines()]
    rows[2][rows[0].index(column)] = value
    (path / "history.csv").write_text("".join(",".join(row) + "\n" for row in rows))

    with pytest.raises(RunDamaged) as caught:
        load_run(path).history()
    assert reason in str(caught.value)


def test_cutting_back_drops_what_is_measured_again(tmp_path: Path):
    """Later epochs, later updates of the same epoch, and measurements of the end."""
    path = write_run(tmp_path, "resnet-8", epochs=3, state="running")
    with open_writer(path) as writer:
        writer.cut_tables(2)
        assert set(load_run(path).responses()["source"]) == {"closed_form"}
        assert load_run(path).history()["epoch"].tolist() == [1, 2]
        writer.cut_tables(2, iteration=20)
    assert load_run(path).history()["iteration"].tolist() == [20]


def test_every_table_can_be_empty_and_every_column_has_a_range():
    """Also those that are added later: the defaults and units make sense."""
    for name, table in tables.SCHEMAS.items():
        assert tables.empty(name).empty
        for column in table.columns:
            low, high = column.range
            assert low < high
            assert not (column.since > 1 and column.filler is None), column
            assert column.dtype != "int64" or column.filler is None or column.filler >= low


def test_a_second_measurement_stands_beside_the_first(tmp_path: Path):
    """Over other images it is added, the same one again replaces itself; the first is drawn."""
    from analysis.lens.measure import store_measurement
    from analysis.responses import Recording

    run = load_run(write_run(tmp_path, epochs=2))
    own = run.responses()
    measured = own[own["source"] == "measured"]
    over = {"fingerprint": "b" * 16, "n_images": 12, "std": 9.0, "version": "1"}
    for std in (8.0, 9.0):
        found = measured.assign(**{**over, "std": std})
        store_measurement(run, Recording(found, tables.empty("refinement")))

    pd.testing.assert_frame_equal(run.responses(), own)
    made = tables.measurements(run.table("responses"))
    assert made["n_images"].tolist() == [100, 12]
    assert len(run.table("responses")) == len(own) + len(measured)
    assert run.table("responses")["std"].max() == 9.0

    store_measurement(run, Recording(found, tables.empty("refinement")), in_place=True)
    assert tables.measurements(run.table("responses"))["n_images"].tolist() == [12]
    assert len(run.responses()) == len(own)


def documented() -> str:
    """How docs/format.md ends: all tables."""
    said = []
    for name, table in tables.SCHEMAS.items():
        said.append(f"### {name}.csv\n\n| column | unit | what it is |\n|---|---|---|\n")
        for column in table.columns:
            later = f" (since version {column.since})" if column.since > 1 else ""
            said.append(f"| {column.name} | {column.unit} | {column.meaning}{later} |\n")
        said.append("\n")
    return "".join(said)[:-1]


def test_the_document_has_every_column():
    """docs/format.md is for programs of other people: names, units and meanings as in the schema.

    Where it fails: let the document end with what `documented()` says.
    """
    path = Path(__file__).parents[1] / "docs/format.md"
    assert path.read_text(encoding="utf-8").endswith(documented())
