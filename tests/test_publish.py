"""The static site: `pytest tests/test_publish.py`; tests/browser/test_publish.py opens it."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from analysis import escape
from analysis.errors import RunError
from analysis.figures import similarity
from analysis.figures.html import origin
from analysis.figures.site import Learned, publish
from analysis.figures.site_page import Page
from analysis.runs import Run, load_run
from analysis.runs.learned import Similarity
from tests import forked
from tests.figures.test_text_out import IN_FILES, run_titled
from tests.pages.reading import figures
from tests.probed import write_probed
from tests.tiny import write_run

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("index", "refinements", "argument")
NETS = ("plain-8", "plain-14", "resnet-8", "resnet-14")


def probed(folder: Path, nets: tuple[str, ...] = NETS) -> list[Run]:
    return [load_run(write_probed(folder, net)) for net in nets]


def drawn(page: Path) -> list[dict]:
    """The figures of a page, as plotly gets them."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r'(?s)<script type="application/json" class="figure">(.*?)</script>', text)
    return [json.loads(figure) for figure in found]


def words(page: Path) -> str:
    """What a page says, without its figures."""
    text = re.sub(r"(?s)<script.*?</script>", "", page.read_text(encoding="utf-8"))
    return html.unescape(re.sub(r"<[^>]+>", "", text))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four tiny nets; not to be written in."""
    folder = tmp_path_factory.mktemp("publish")
    publish(folder / "site", probed(folder / "runs"))
    return folder / "site"


def test_every_page_in_every_language(site: Path):
    """Three pages each, linked with one another; plotly once, compressed; all of it below 8 MB."""
    for code, where in (("en", site), ("zh-CN", site / "zh")):
        for name in PAGES:
            text = (where / f"{name}.html").read_text(encoding="utf-8")
            assert f'<html lang="{code}">' in text
            links = re.findall(r'(?:href|src)="([^"]+)"', text)
            for link in links:
                assert link == "data:," or (where / link).is_file(), link
            assert sorted({Path(link).name for link in links if link.endswith("html")}) == sorted(
                f"{name}.html" for name in PAGES
            )
            assert drawn(where / f"{name}.html")
    packed = (site / "assets/plotly.js").read_text(encoding="utf-8").split('"')[1]
    assert b"plotly.js v" in gzip.decompress(base64.b64decode(packed))
    files = [file for file in site.rglob("*") if file.is_file()]
    assert len([file for file in files if file.stat().st_size > 1_000_000]) == 1
    assert sum(file.stat().st_size for file in files) < 8_000_000


def test_nothing_is_asked_of_another_host(site: Path):
    """No address to load anything from: pages, styles and our script (plotly's own asks only for
    maps, which are not here)."""
    for file in site.rglob("*"):
        if file.suffix in (".html", ".css") or file.name == "site.js":
            assert not re.search(r"https?:|url\(|@import|//\w+\.", file.read_text("utf-8")), file


def test_the_figures_and_sentences_are_the_apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of the same runs Compare draws the same lines and writes the same sentence."""
    monkeypatch.setattr("analysis.runs.listing.BUNDLED", tmp_path / "bundled")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    runs = probed(tmp_path / "runs")
    publish(tmp_path / "site", runs, runs)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params["compare_runs"] = [f"{run.net} quick-e3" for run in runs]
    page.run()

    ours = drawn(tmp_path / "site/index.html")
    assert len(ours) == 2
    for one, other in zip(ours, figures(page), strict=True):
        assert [trace.get("name") for trace in one["data"]] == [
            trace.get("name") for trace in other["data"]
        ]
        assert [trace.get("y") for trace in one["data"]] == [
            trace.get("y") for trace in other["data"]
        ]
    shown = words(tmp_path / "site/index.html")
    for sentence in [one.value.replace("*", "") for one in page.markdown if "**" in one.value]:
        assert sentence in shown


def test_data_and_commands_are_under_each_figure(site: Path):
    """Every figure has its table, and each run that it is of its command."""
    for name in PAGES:
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        files = re.findall(r'href="data/([^"]+)\.csv"', text)
        assert len(files) == len(drawn(site / f"{name}.html"))
        assert len(files) == text.count('<details class="behind">')
        for file in files:
            pd.read_csv(site / f"data/{file}.csv")
    table = pd.read_csv(site / "data/compare_errors.csv")
    run = load_run(site.parent / "runs/2026-11-24_plain-8_quick-e3_s0_tiny")
    shown = table[table["run"] == run.id]["train_error"]
    assert shown.tolist() == pytest.approx(run.history()["train_error"].tolist())
    assert "python -m analysis train --net plain-14 --data digits --recipe quick" in words(
        site / "index.html"
    )


def test_a_claims_picture_has_its_numbers_and_its_runs(site: Path):
    """Of the nets that the verdict is of, and of no others."""
    text = (site / "argument.html").read_text(encoding="utf-8")
    (card,) = re.findall(r'(?s)<section class="claim[^>]*>(?:(?!</section>).)*claim_degradation.*?'
                         r"</section>", text)  # fmt: skip
    assert re.findall(r"analysis train --net (\S+)", card) == ["plain-8", "plain-14"]
    table = pd.read_csv(site / "data/claim_degradation.csv")
    assert table["net"].tolist() == ["plain-8", "plain-14"]
    runs = [load_run(path) for path in sorted((site.parent / "runs").glob("*plain*"))]
    errors = {run.net: run.status.train_error_clean for run in runs}
    assert table["mean"].tolist() == pytest.approx([errors["plain-8"], errors["plain-14"]])


TRAIN = "python -m analysis train --net plain-8"


GIVEN = {
    f"{TRAIN} --data folder:/home/jane/images --epochs 3": "--data folder:images --epochs 3",
    f"{TRAIN} --data 'folder:/home/Jane Doe/My images/x'": "--data folder:x",
    f"{TRAIN} --data=folder:/images --runs /mnt": "--data=folder:images --runs mnt",
    f"{TRAIN} --data folder:../Jane/x/ --runs ~/runs": "--data folder:x --runs runs",
    f"{TRAIN} --data 'folder:/home/Jane'\"'\"'s own/x'": "--data folder:x",
    f"{TRAIN} --data folder:C:\\Users\\jane\\x --seed 1": "--data folder:x --seed 1",
    f'{TRAIN} --data "folder:C:\\Users\\Jane Doe\\x" --seed 1': "--data folder:x --seed 1",
    f'{TRAIN} --data "folder:\\\\nas\\Jane Doe\\x" --seed 1': "--data folder:x --seed 1",
    f'{TRAIN} --data "folder:C:\\Jane Doe\\x" --runs C:\\r': "--data folder:x --runs r",
    f"{TRAIN} --normalization 0.4,0.5,0.6/1,1,1": "--normalization 0.4,0.5,0.6/1,1,1",
    f"{TRAIN} --data-title CIFAR-10/100 --lr 0.05": "--data-title CIFAR-10/100 --lr 0.05",
    f"{TRAIN} --data 'folder:/home/Jane Doe/x": None,
    f"{TRAIN} --data folder:/home/jane{'/x' * 10_000}": None,
}
"""A command, of any system's shell, and what is shown of it; None: nothing, as it is none."""


def trained_by(folder: Path, command: str) -> Run:
    path = write_run(folder, "plain-8", run_id=f"run{len(list(folder.glob('*')))}")
    config = json.loads((path / "config.json").read_text())
    config["command"] = command
    (path / "config.json").write_text(json.dumps(config))
    return load_run(path)


def test_no_place_of_the_author_is_published(tmp_path: Path):
    """Neither folders of runs nor those in commands, however they are quoted."""
    (tmp_path / "runs").mkdir()
    runs = [trained_by(tmp_path / "runs", command) for command in GIVEN]
    for file in publish(tmp_path / "site", runs, runs):
        if file.suffix in (".html", ".csv"):
            text = file.read_text(encoding="utf-8")
            assert not re.search("[Jj]ane|Users|nas|/home|/mnt", text)
            assert str(tmp_path) not in text
    shown = words(tmp_path / "site/index.html")
    assert f"{TRAIN} --data-title CIFAR-10/100 --lr 0.05" in shown


@pytest.mark.parametrize("given", GIVEN)
def test_a_command_stays_one_without_its_places(tmp_path: Path, given: str):
    """Of each path its last part; what only looks like a path stays."""
    said = [fact for fact in origin(trained_by(tmp_path, given)) if "analysis" in fact]
    assert said == ([f"{TRAIN} {GIVEN[given]}"] if GIVEN[given] else [])


def test_names_are_shown_as_typed(tmp_path: Path):
    """No tag or script of a data set's title becomes one, on any page."""
    runs = [run_titled(tmp_path, title, f"run{n}") for n, title in enumerate(IN_FILES)]
    publish(tmp_path / "site", runs, runs)
    for name in PAGES:
        page = tmp_path / f"site/{name}.html"
        body = re.sub(r"(?s)<script.*?</script>", "", page.read_text(encoding="utf-8"))
        assert not re.search(r"<img|<script|<b>bold|href=.http|[\x00\x1b\u202e]", body)
        assert drawn(page)
    said = words(tmp_path / "site/index.html")
    for title in IN_FILES:
        assert escape.visible(title) in said


def test_the_title_is_read_aloud_as_it_is_seen():
    """To who can't see the figure: no line breaks' tags, no escapes."""
    info = similarity.similarity_info(Similarity(("a",), ("b",), np.eye(1)))
    drawn = similarity.plot_similarity(info, "<b>bold</b> & its neighbours", "resnet-56 of others")
    page = Page("en")
    page.figure("refinements_similarity", drawn, info, [], "**Most** are alike.")
    (said,) = re.findall(r'aria-label="([^"]*)"', page.parts[0])
    assert html.unescape(said) == (
        "Layers of <b>bold</b> & its neighbours and resnet-56 of others Most are alike."
    )


@pytest.mark.parametrize("given", ["a file", "a full folder", "another page"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, tiny_run: Run, given: str):
    """It says so and writes nothing."""
    where = tmp_path / "site"
    if given == "a file":
        where.write_text("mine")
    else:
        where.mkdir()
        name = "notes.txt" if given == "a full folder" else "index.html"
        (where / name).write_text("<!doctype html>mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=r"name a (new )?folder"):
        publish(where, [tiny_run])
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_site_is_written_anew(tmp_path: Path, tiny_run: Run):
    """Into an empty folder, and again; the same runs give the same files."""
    (tmp_path / "site").mkdir()
    first = {file: file.read_bytes() for file in publish(tmp_path / "site", [tiny_run])}
    again = {file: file.read_bytes() for file in publish(tmp_path / "site", [tiny_run])}
    assert first == again
    with pytest.raises(RunError, match="no run to publish"):
        publish(tmp_path / "other", [])
    assert not (tmp_path / "other").exists()


def test_of_an_earlier_site_nothing_is_left(tmp_path: Path):
    """Neither tables of runs that are not shown any more; what somebody else put there stays."""
    runs, where = probed(tmp_path / "runs"), tmp_path / "site"
    publish(where, runs)
    theirs = {where / "data/mine.csv": "run\nplain-8\n", where / "data/notes.txt": "plain-8",
              where / "CNAME": "example.org"}  # fmt: skip
    for file, text in theirs.items():
        file.write_text(text)
    assert (where / "data/refinements_depth.csv").is_file()

    written = publish(where, runs[:1], runs[:1])
    files = {file for file in where.rglob("*") if file.is_file()}
    assert files == {*written, *theirs}
    for run in runs[1:]:
        assert not [file for file in written if run.id in file.read_text(encoding="utf-8")]
    assert {file: file.read_text() for file in theirs} == theirs


def test_a_large_site_is_said_to_be_large(tmp_path: Path):
    """With its size, and what to do; a small one with its size alone."""
    path = write_run(tmp_path / "runs", "plain-8")
    asked = ("publish", str(tmp_path / "site"), path.name, "--runs", str(tmp_path / "runs"))
    said = re.compile(r"Written: .*index.html and \d+ more files, (\S+) MB in all\n")
    done = forked.analysis(*asked)
    found = said.fullmatch(done.stdout)
    assert found
    assert float(found[1]) < 8
    assert not done.stderr
    config = json.loads((path / "config.json").read_text())
    config["data"]["title"] = "x" * 500_000
    (path / "config.json").write_text(json.dumps(config))
    done = forked.analysis(*asked)
    found = said.fullmatch(done.stdout)
    assert found
    assert float(found[1]) > 8
    assert done.stderr == (
        "More than 8 MB: slow to open over a class's network; name fewer runs to show.\n"
    )


def test_a_site_without_learning_has_no_empty_parts(site: Path):
    """What no pass over images has found is left out, heading and all."""
    assert Learned().of_run(load_run(next((site.parent / "runs").iterdir())), "lesions") is None
    said = words(site / "refinements.html")
    assert "Over training" in said
    assert "Take a block away" not in said
    assert "What depth bought" not in said


@pytest.mark.trains
def test_the_command_publishes_the_bundled_runs(tmp_path: Path):
    """All there is, lesions and similarity too, below 8 MB; a name that is no run is an error."""
    asked = ("publish", str(tmp_path / "site"))
    done = forked.analysis(*asked)
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"Written: .*index.html and \d+ more files, (\S+) MB in all\n", done.stdout)
    assert said
    assert float(said[1]) < 8
    assert "Take a block away" in words(tmp_path / "site/refinements.html")
    done = forked.analysis(*asked, "no-such-run")
    assert done.returncode == 4
    assert done.stderr.startswith("Error: ")
