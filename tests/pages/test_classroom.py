"""Classroom mode: visitors look and upload, and change nothing.

pytest tests/pages/test_classroom.py; tests/browser/test_classroom.py has a real server.
"""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.common import classroom
from tests.lens.bad_files import encoded, photo
from tests.probed import write_probed
from tests.tiny import write_damaged, write_run

pytestmark = [
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "compare": "evidence/compare.py", "refinements": "evidence/refinements.py",
    "argument": "evidence/argument.py", "glossary": "evidence/glossary.py",
    "about": "evidence/about.py", "image": "lens/image.py",
}  # fmt: skip
CLOSED = [
    "training/train.py", "training/import_net.py", "evidence/runs.py", "evidence/complexity.py",
]  # fmt: skip
SECRET = "the teacher's folder"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs of a classroom, below one whose name has a blank: whole, damaged, and
    without weights, of images in a folder."""
    home = tmp_path / SECRET
    for net in ("plain-8", "plain-14", "resnet-8", "resnet-14"):
        write_probed(home / "runs", net)
    write_damaged(home / "runs")
    torn = write_run(home / "runs", "resnet-20", run_id="torn")
    (torn / "history.csv").write_text("epoch,nothing\n1,2\n")
    bare = write_run(home / "runs", "plain-20", run_id="bare")
    config = json.loads((bare / "config.json").read_text())
    config["command"] = f"python -m analysis train --data 'folder:{home}/images'"
    config["data"] |= {"name": "folder", "path": f"{home}/images", "title": "images"}
    (bare / "config.json").write_text(json.dumps(config))
    status = json.loads((bare / "status.json").read_text())
    (bare / "status.json").write_text(json.dumps(status | {"weights": "left out"}))
    (bare / "model.safetensors").unlink()
    monkeypatch.setattr("analysis.runs.listing.BUNDLED", home / "bundled")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(home / "runs"))
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(home / "cache"))
    monkeypatch.setenv(classroom.SWITCH, "1")
    return home


@pytest.fixture
def class_of_runs(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classroom that has trained nets alone."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(runs))
    monkeypatch.setattr("analysis.runs.listing.BUNDLED", tmp_path / "none")
    monkeypatch.setenv(classroom.SWITCH, "1")


def opened(page: str = "", **address: str | list[str]) -> AppTest:
    """A page of the app in a session of its own."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    return at.switch_page(f"pages/{page}").run() if page else at


def everything_on(at: AppTest) -> str:
    """All that the browser would get."""
    found = []

    def walk(block) -> None:
        for child in getattr(block, "children", {}).values():
            found.append(str(getattr(child, "proto", "")))
            walk(child)

    walk(at._tree)
    return "\n".join(found)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the index that any listing of runs keeps."""
    files = [file for file in folder.rglob("*") if not file.name.startswith(".index.sqlite")]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("name", FILES)
def test_a_page_shows_no_place_and_writes_nothing(served: Path, name: str):
    """Neither the folder's name nor a part of its path; no file of it is touched or added."""
    before = contents(served)
    at = opened(FILES[name])
    assert not at.exception
    shown = everything_on(at)
    assert SECRET not in shown.replace("\\'", "'")
    assert str(served.parent) not in shown
    assert "python -m analysis train" not in shown
    assert contents(served) == before


@pytest.mark.parametrize("page", CLOSED)
def test_a_closed_page_is_not_there(served: Path, page: str):
    """Nobody can ask for it."""
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        opened(page)


def test_nothing_can_be_queued_or_measured(served: Path):
    """No button that trains, constructs, fits or takes blocks away; verdicts and gaps are there."""
    for name in FILES:
        labels = {button.label for button in opened(FILES[name]).button}
        assert not labels & {
            "Train in the background", "Construct", "Fit", "Compare layer by layer",
            "Train it on, and the same depth from scratch", "Take the blocks away",
            "Survey the test images", "Fit the readouts", "Compare their layers", "Cancel",
            "Try all lesions on all test images", "Try it on all test images",
        }  # fmt: skip
    at = opened(FILES["argument"])
    assert "Nets to train" not in {one.label for one in at.multiselect}
    shown = everything_on(at)
    assert "plain-14 minus plain-8" in shown
    assert "The commands are below" not in shown


def test_an_address_opens_no_place(served: Path):
    """A path where a run is named is a run that is not here, and is not looked up."""
    (served / "elsewhere").mkdir()
    other = write_run(served / "elsewhere", "resnet-8", run_id="hidden")
    for asked in (str(other), "../elsewhere/hidden", "/etc/passwd"):
        at = opened(compare_runs=[asked])
        assert not at.exception
        assert "hidden" not in everything_on(at).replace(asked, "").replace("is hidden", "") or (
            "not on this machine" in everything_on(at)
        )
        assert len(at.warning) == 1


def test_without_the_switch_all_is_there(served: Path, monkeypatch: pytest.MonkeyPatch):
    """Unset, empty or 0 is off; limits are the usual ones and text is left alone."""
    for value in ("", "0", "off"):
        monkeypatch.setenv(classroom.SWITCH, value)
        assert not classroom.is_on()
        assert classroom.limits() == classroom.Limits()
        assert classroom.public(served) == str(served)
    at = opened("training/train.py")
    assert [title.value for title in at.title] == ["Train nets"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("{home}/runs/x/history.csv is damaged", "x/history.csv is damaged"),
        ("see {home}", "see "),
        ("--data folder:/srv/data/images --epochs 3", "--data folder:images --epochs 3"),
        ("C:\\Users\\me\\runs\\x: no", "x: no"),
        ("plain and/or residual, 1/2", "plain and/or residual, 1/2"),
    ],
)
def test_places_are_taken_out_of_text(served: Path, said: str, shown: str):
    """Of any system, also with blanks in known folders; what is no path stays."""
    at = classroom.public(said.format(home=served))
    assert SECRET not in at or said == "see {home}"
    if "{home}/runs" in said or "{home}" not in said:
        assert at == shown


@pytest.mark.trains
@pytest.mark.usefixtures("class_of_runs")
def test_a_picture_too_large_for_a_class():
    """Refused in words before it is decoded, by bytes and by pixels; a usual one is shown."""
    at = opened("lens/image.py")
    at.segmented_control(key="image_source").set_value("upload").run()
    for data, words in (
        (b"\x89PNG" + bytes(classroom.CLASS.size), "the most is 10 MB"),
        (encoded(photo(6000, 5000), "JPEG"), "the most is 25 megapixels"),
    ):
        at.file_uploader(key="image_files").set_value(("large.png", data, "image/png")).run()
        assert words in at.error[0].value
    data = encoded(photo(300, 200))
    at.file_uploader(key="image_files").set_value(("small.png", data, "image/png")).run()
    assert not at.error
    assert "small.png, 300 x 200." in everything_on(at)


@pytest.mark.trains
@pytest.mark.usefixtures("class_of_runs")
def test_busy_is_said_and_passes(monkeypatch: pytest.MonkeyPatch):
    """With every place taken the page says so at once and offers to try again; then it works."""
    monkeypatch.setattr(classroom, "PATIENCE", 0.2)
    for _place in range(classroom.QUERIES):
        classroom._places.acquire()
    try:
        at = opened("lens/image.py")
        assert [one.value for one in at.warning] == [
            "The server is busy with others' questions. Try again in a few seconds."
        ]
        assert not at.get("plotly_chart")
    finally:
        for _place in range(classroom.QUERIES):
            classroom._places.release()
    again = next(button for button in at.button if button.label == "Try again")
    again.click().run()
    assert not at.warning
    assert at.get("plotly_chart")


def test_places_are_given_back(monkeypatch: pytest.MonkeyPatch):
    """After an answer, an error and a stop; never more at once than there are places."""
    monkeypatch.setenv(classroom.SWITCH, "1")
    at_once, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    @classroom.at_work()
    def ask() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        gate.wait(0.05)
        with lock:
            at_once -= 1
        raise ZeroDivisionError

    def visitor() -> None:
        with pytest.raises(ZeroDivisionError):
            ask()

    everybody = [threading.Thread(target=visitor) for _n in range(4 * classroom.QUERIES)]
    for one in everybody:
        one.start()
    for one in everybody:
        one.join()
    assert most == classroom.QUERIES
    assert at_once == 0


def ask_door(method: str, path: str, length: int | None) -> int:
    """The status that an upload gets; 200: it was let in."""
    said = []

    async def inside(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message) -> None:
        said.append(message)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(classroom.Doorkeeper(inside)(scope, lambda: None, send))
    return said[0]["status"]


def test_uploads_are_counted_at_the_door(monkeypatch: pytest.MonkeyPatch):
    """Whatever a client is: too large, of unknown length, or too many of a session."""
    monkeypatch.setenv(classroom.SWITCH, "1")
    monkeypatch.setattr(classroom, "_uploaded", type(classroom._uploaded)())
    place = "/_stcore/upload_file/session/{}"
    assert ask_door("PUT", place.format("a"), classroom.CLASS.size + 500) == 200
    assert ask_door("PUT", place.format("b"), 2 * classroom.CLASS.size) == 413
    assert ask_door("PUT", place.format("c"), None) == 411
    for number in range(classroom.UPLOADS - 1):
        assert ask_door("PUT", place.format(number), 1000) == 200
    assert ask_door("PUT", place.format("z"), 1000) == 429
    assert ask_door("PUT", "/lecture/_stcore/upload_file/other/z", 1000) == 200
    assert ask_door("DELETE", place.format("a"), None) == 200
    assert ask_door("GET", "/", None) == 200
    monkeypatch.setenv(classroom.SWITCH, "")
    assert ask_door("PUT", place.format("b"), 2 * classroom.CLASS.size) == 200
