"""The HTML report: `pytest tests/test_report.py`."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

from analysis.evidence.presets import presets
from analysis.experiments.reproduce import experiment, write_figure
from analysis.figures.report import report, write_report
from analysis.runs import BUNDLED, Run, list_runs, load_run
from tests.probed import write_probed
from tests.tiny import write_run


def test_the_report_needs_nothing_else(tmp_path: Path):
    """Both nets, both figures, plotly's script once, and no address to load anything from."""
    runs = [load_run(write_run(tmp_path, net)) for net in ("plain-8", "resnet-8")]
    write_report(runs, tmp_path / "compare.html")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")

    assert "<h1>plain-8 | resnet-8</h1>" in text
    assert '<html lang="en">' in text
    assert text.count('class="plotly-graph-div"') == 2
    packed = text.split('id="plotly">')[1].split("<")[0]
    assert b"plotly.js v" in gzip.decompress(base64.b64decode(packed))
    assert "<script src=" not in text
    assert len(text) < 3_000_000
    assert 'class="note"' not in text


def test_runs_that_can_not_be_compared_are_marked(tmp_path: Path):
    """The note names both runs."""
    one = load_run(write_run(tmp_path, "plain-8"))
    other = load_run(write_run(tmp_path, "resnet-8", fingerprint="00000000000000bb"))
    write_report([one, other], tmp_path / "compare.html")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")

    assert f"{other.id} is not directly comparable with {one.id}: " in text


def test_small_refinements_are_in_the_report(tmp_path: Path):
    """Of runs with probes: by block, sorted, cosine and over training, after the usual two."""
    run = load_run(write_probed(tmp_path, "resnet-8"))
    write_report([run], tmp_path / "compare.html")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")

    assert text.count('class="plotly-graph-div"') == 2 + 4


def test_refinement_is_reproduced_from_runs(tmp_path: Path):
    """The page's figures and the medians against depth, in one file; absent nets are named."""
    runs = [load_run(write_probed(tmp_path, net)) for net in ("resnet-20", "resnet-56")]
    write_figure(experiment("refinement"), runs, tmp_path / "refinement.html")
    text = (tmp_path / "refinement.html").read_text(encoding="utf-8")

    assert text.count('class="plotly-graph-div"') == 5
    assert "not in the figure: resnet-110." in text


def test_a_figure_says_what_it_shows_and_where_it_was_made_is_left_out(tmp_path: Path):
    """Data and recipe under each figure; numbers as in the app; no place of the author's disk."""
    path = write_run(tmp_path, "plain-8")
    config = json.loads((path / "config.json").read_text())
    config["command"] = "python -m analysis train --data folder:/home/author/images --epochs 3"
    (path / "config.json").write_text(json.dumps(config))
    text = report([load_run(path)])
    assert text.count("Digits (8x8, upsampled); recipe quick-e3.") == 2
    assert "/home/author" not in text
    assert "--data folder:images --epochs 3" in text
    assert "40.55 M" not in text
    assert "0.08 M" in text


def test_the_report_is_as_compare_opens():
    """Seeds as one line, plain beside residual nets, machines in words; a heading that fits."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    text = report(presets(runs)["fig6"])
    assert "<h1>Plain vs residual nets</h1>" in text
    assert "range over seeds" in text
    assert "NVIDIA H200, Intel Xeon (16 cores), Linux x86_64, then Intel Xeon (2 cores)" in text
    assert "{&#x27;" not in text
    assert "Residual nets" in text
