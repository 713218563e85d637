"""One run's trouble is that run's line: `pytest tests/test_damage.py`.

Whatever happens to a file of one run, that run is read or is damaged with a reason, and the others
are there as before: in Python, and in every command that goes through all runs.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from analysis.cli import argument, runs
from analysis.cli import jobs as cli_jobs
from analysis.errors import LensError, RunError
from analysis.runs import (
    DamagedRun,
    Run,
    SavedRecording,
    find_run,
    list_recordings,
    list_runs,
    only_readable,
    write_recording,
)
from analysis.specs import NetSpec
from tests.tiny import errors, responses, write_run

EDITED, SOUND = "edited", "sound"
JSON_FILES, TABLES = ("config.json", "status.json"), ("history.csv", "responses.csv")
FILES = (*JSON_FILES, *TABLES, "model.safetensors")

Edit = Callable[[Path], object]
REFINEMENT = """epoch,block_name,order,stage,block,rms_x,rms_f,ratio,cosine,n_images
3,stage1.block1,1,1,1,1,1,1,1,9
3,stage2.block1,2,2,1,1,1,1,1,9
3,stage3.block1,3,3,1,1,1,1,1,9
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs and a recording, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    edited = write_run(folder, "resnet-8", run_id=EDITED)
    write_run(folder, "plain-8", run_id=SOUND)
    write_recording(responses(find_run(str(edited)).config.net, 1), "module", folder)
    return folder


@pytest.fixture(autouse=True)
def _only_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bundled runs: they would take most of the time."""
    for where in ("analysis.runs.BUNDLED", "analysis.runs.listing.BUNDLED"):
        monkeypatch.setattr(where, tmp_path / "bundled")


@contextmanager
def copied(template: Path) -> Iterator[Path]:
    """A folder of runs of one's own."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(shutil.copytree(template, Path(place) / "runs"))


def said(command: Callable[..., None], *arguments: object, **options: object) -> str:
    """What a command prints; an error of ours is said, any other fails the test."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            command(*arguments, **options)
        except LensError as error:
            return f"Error: {error}"
    return out.getvalue() + err.getvalue()


def no_number(text: str) -> float:
    raise AssertionError(f"{text} is not JSON")


def check_the_rest(folder: Path) -> Run | DamagedRun:
    """All but the edited run are there, in every command; the edited one as it is found."""
    found = {run.id: run for run in list_runs([folder])}
    assert set(found) <= {EDITED, SOUND}
    assert isinstance(found[SOUND], Run)
    edited = found.get(EDITED)
    if isinstance(edited, Run):
        _whole, torn = only_readable([edited])
        edited = torn[0] if torn else edited
    (recording,) = list_recordings([folder])
    assert isinstance(recording, SavedRecording)

    rows = json.loads(said(runs.list_command, folder, as_json=True), parse_constant=no_number)
    assert {row["id"] for row in rows} == {*found, recording.id}
    assert SOUND in said(runs.list_command, folder)
    assert said(runs.show, SOUND, folder).startswith("id ")
    assert "resnet-8" in said(argument.claims, None, folder)
    if isinstance(edited, DamagedRun):
        assert str(edited.reason)
        assert said(runs.show, EDITED, folder).startswith(("Error: ", "id "))
        if EDITED in found:
            assert f"{EDITED} is left out: " in said(argument.claims, None, folder)
    elif edited is not None:
        assert said(runs.show, EDITED, folder).startswith("id ")
    return edited or DamagedRun(folder / EDITED, RunError("gone").message)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.just(10**30), st.floats(),
    st.text(max_size=5), st.just("\ud800"), st.just("x\0y"), st.just([]), st.just({}),
    st.lists(st.integers(), max_size=4), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


def paths_in(values: object, own: tuple = ()) -> Iterator[tuple]:
    """The place of every value in a JSON object."""
    inside = values.items() if isinstance(values, dict) else enumerate(values)  # type: ignore
    for key, value in inside:
        yield (*own, key)
        if isinstance(value, dict | list):
            yield from paths_in(value, (*own, key))


@st.composite
def json_edits(draw: st.DrawFn) -> Edit:
    """Any value at any place of config.json or status.json."""
    name, number, value = draw(st.sampled_from(JSON_FILES)), draw(st.integers(0, 200)), draw(VALUES)
    remove = draw(st.booleans()) and draw(st.booleans())

    def edit(run: Path) -> None:
        held = json.loads((run / name).read_text())
        places = list(paths_in(held))
        *way, last = places[number % len(places)]
        inside = held
        for key in way:
            inside = inside[key]
        if remove:
            del inside[last]
        else:
            inside[last] = value
        (run / name).write_text(json.dumps(held))

    return edit


CELLS = ("", "1e30", "-1", "0.5", "nan", "inf", "-inf", "9" * 400, "9" * 5000, "True", "x", '"',
         "\0", "1,2", "#", "1_000", "2026-01-01", "é")  # fmt: skip


@st.composite
def table_edits(draw: st.DrawFn) -> Edit:
    """Any cell of a table, its header's too."""
    name, cell = draw(st.sampled_from(TABLES)), draw(st.sampled_from(CELLS))
    row, column = draw(st.integers(0, 60)), draw(st.integers(0, 20))

    def edit(run: Path) -> None:
        lines = [line.split(",") for line in (run / name).read_text().splitlines()]
        chosen = lines[row % len(lines)]
        chosen[column % len(chosen)] = cell
        (run / name).write_text("".join(",".join(line) + "\n" for line in lines))

    return edit


@st.composite
def byte_edits(draw: st.DrawFn) -> Edit:
    """Some bytes of any file removed, replaced or put in."""
    name, new = draw(st.sampled_from(FILES)), draw(st.binary(max_size=12))
    start, length = draw(st.floats(0, 1)), draw(st.one_of(st.integers(0, 40), st.just(10**9)))

    def edit(run: Path) -> None:
        data = (run / name).read_bytes()
        at = int(start * len(data))
        (run / name).write_bytes(data[:at] + new + data[at + length :])

    return edit


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(edit=st.one_of(json_edits(), table_edits(), byte_edits()))
def test_any_edit_of_a_file_is_this_runs_trouble_alone(template: Path, edit: Edit):
    """Values of any type and size, cells, bytes, halves."""
    with copied(template) as folder:
        edit(folder / EDITED)
        check_the_rest(folder)


def replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replaced_by_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replaced_by_a_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "edit",
    [Path.unlink, lambda file: file.write_bytes(b""), replaced_by_a_folder, replaced_by_a_loop,
     pytest.param(replaced_by_a_pipe, marks=pytest.mark.skipif(
         not hasattr(os, "mkfifo"), reason="pipes in the file system are POSIX's"))],
)  # fmt: skip
def test_a_file_that_is_none_is_damage_in_a_finished_run(template: Path, name: str, edit: Edit):
    """Missing, empty, a folder, a link to itself; a pipe is not waited for."""
    with copied(template) as folder:
        edit(folder / EDITED / name)
        found = check_the_rest(folder)
        assert isinstance(found, DamagedRun)
        assert name in str(found.reason)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("config.json", '"seed": 0', '"seed": Infinity', "Infinity is no finite number"),
        ("config.json", '"seed": 0', '"seed": 1e400', "1e400 is no finite number"),
        ("config.json", '"seed": 0', '"seed": true', "seed is True, not a whole number"),
        ("config.json", '"depth": 8', '"depth": 14', "model.safetensors is not of resnet-14"),
        ("config.json", '"size": 32', '"size": -32', "config.json: images.size is -32"),
        ("status.json", '"heartbeat": "', '"heartbeat": 5, "x": "', "heartbeat is 5, not a text"),
        ("status.json", '"epoch": 3', '"epoch": 2', "history.csv does not end with epoch 2"),
        ("status.json", '"train_error": ', '"train_error": 1', "train_error is 1"),
        ("history.csv", "\n3,", "\n1e30,", "history.csv: epoch is 1e+30 in row 3"),
        ("history.csv", "\n2,", "\n2,#", "history.csv: iteration is '#40' in row 2"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_named(
    template: Path, name: str, old: str, new: str, reason: str
):
    """With file and field, and the other runs are there."""
    with copied(template) as folder:
        file = folder / EDITED / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
        found = check_the_rest(folder)
        assert isinstance(found, DamagedRun)
        assert reason in str(found.reason)


@pytest.mark.parametrize("name", [*TABLES, "model.safetensors"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_half_a_file_of_a_finished_run_is_noticed_when_it_is_listed(
    template: Path, name: str, kept: float
):
    """At a glance: no table has been read."""
    with copied(template) as folder:
        file = folder / EDITED / name
        whole = file.read_bytes()
        cut = int(len(whole) * kept)
        if name.endswith(".csv"):
            cut = whole.rfind(b"\n", 0, cut) + 1  # whole rows
        file.write_bytes(whole[:cut])
        found = next(run for run in list_runs([folder]) if run.id == EDITED)
        assert isinstance(found, DamagedRun)
        assert name in str(found.reason)


@pytest.mark.parametrize("cell", ["", "9" * 5000, "-1", "x", "nan"])
@pytest.mark.parametrize("table", ["responses", "refinement"])
def test_any_order_in_the_last_row_is_this_runs_trouble(template: Path, table: str, cell: str):
    """It is looked at when runs are listed, before the table is read."""
    with copied(template) as folder:
        file = folder / EDITED / f"{table}.csv"
        if table == "refinement":
            file.write_text(REFINEMENT)
        start, last = file.read_text().rstrip("\n").rsplit("\n", 1)
        cells = last.split(",")
        cells[2] = cell
        file.write_text(f"{start}\n{','.join(cells)}\n")
        found = check_the_rest(folder)
        assert isinstance(found, DamagedRun)
        assert f"{table}.csv" in str(found.reason)


def test_compare_writes_the_report_of_the_sound_ones(template: Path):
    """And says what is wrong with the damaged one, if that is named."""
    with copied(template) as folder:
        table = folder / EDITED / "history.csv"
        table.write_text(table.read_text().replace("\n2,", "\n2,x"))
        (recording,) = list_recordings([folder])
        report = folder / "c.html"
        assert "Written: " in said(runs.compare, [SOUND, recording.id], report, folder)
        assert "edited: history.csv: iteration is 'x40' in row 2" in said(
            runs.compare, [SOUND, EDITED], report, folder
        )


def test_the_weights_of_another_net_are_noticed(template: Path):
    """Of the same kind and depth, but wider."""
    with copied(template) as folder:
        other = write_run(folder.parent, "resnet-8-w32")
        shutil.copy(other / "model.safetensors", folder / EDITED)
        found = check_the_rest(folder)
        assert isinstance(found, DamagedRun)
        assert "model.safetensors is not of resnet-8: stem.conv.weight is (32, 3, 3, 3)" in str(
            found.reason
        )


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that this account can't enter: somebody else's, with mode 700."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    folder.chmod(0o700 if root else 0)
    if root:
        for place in (folder.parent, *folder.parent.parents):
            if place != Path(place.anchor) and place.stat().st_mode & 0o005 != 0o005:
                place.chmod(0o755)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_run_folder_that_can_not_be_entered_is_its_own_line(template: Path):
    """`can't be read: Permission denied`; the volume's lost+found is no run at all."""
    with copied(template) as folder:
        (folder / "lost+found").mkdir(mode=0o700)
        for file in folder.rglob("*.*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
        with closed(folder / EDITED):
            found = check_the_rest(folder)
        assert isinstance(found, DamagedRun)
        assert str(found.reason) == "config.json can't be read: Permission denied"


def test_a_run_with_a_recording_in_it_is_listed_once(template: Path):
    """It is a run."""
    with copied(template) as folder:
        (other,) = list_recordings([folder])
        shutil.copy(other.path / "recording.json", folder / EDITED)
        rows = json.loads(said(runs.list_command, folder, as_json=True))
        assert [row["id"] for row in rows].count(EDITED) == 1


def test_a_file_in_place_of_the_runs_folder_is_an_error(template: Path):
    """Not the bundled runs and success."""
    with copied(template) as folder:
        file = folder / EDITED / "config.json"
        error = f"Error: {file} is a file; --runs takes a folder"
        assert said(runs.list_command, file) == error
        assert said(cli_jobs.jobs, SimpleNamespace(invoked_subcommand=None), file) == error
        assert said(cli_jobs.work, file) == error


def test_an_unknown_name_lists_the_nearest_of_many(tmp_path: Path):
    """Not all 30 of them."""
    for seed in range(30):
        write_run(tmp_path, "plain-8", epochs=1, seed=seed, run_id=f"plain-8_s{seed}")
    with pytest.raises(RunError) as caught:
        find_run("plain-9_s7", [tmp_path])
    assert "plain-8_s7" in str(caught.value)
    assert str(caught.value).count("plain-8_s") <= 8
    assert "others: `python -m analysis list` shows them" in str(caught.value)


ERROR = str(errors(NetSpec.parse("resnet-8"), 2)[0])
PAGE_EDITS = {
    "seed": ("config.json", '"seed": 0', '"seed": Infinity'),
    "heartbeat": ("status.json", '"heartbeat": "', '"heartbeat": 5, "x": "'),
    "epoch": ("history.csv", "\n3,", "\n1e30,"),
    "error": ("history.csv", ERROR, "9" * 400),
    "std": ("responses.csv", "closed_form,", "closed_form,x"),
}


@pytest.mark.parametrize("edit", PAGE_EDITS)
def test_the_compare_page_goes_on(
    template: Path, edit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The sound run is drawn, the damaged one is named with what is wrong."""
    with copied(template) as folder:
        monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(folder))
        name, old, new = PAGE_EDITS[edit]
        file = folder / EDITED / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
        root = Path(__file__).resolve().parents[1]
        page = AppTest.from_file(str(root / "app.py"), default_timeout=120).run()
        assert not page.exception
        page.multiselect[0].set_value([SOUND, EDITED]).run()
        assert not page.exception
        text = " ".join(element.value for element in [*page.markdown, *page.error])
        assert EDITED in text
