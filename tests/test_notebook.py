"""Figures and runs in a notebook: `pytest tests/test_notebook.py`"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from analysis import compare, observe, refinement, study
from analysis.errors import RunError
from analysis.runs import load_run
from tests.tiny import write_run

ROOT = Path(__file__).parents[1]


def test_importing_analysis_and_comparing_load_no_torch():
    """The names are there, and torch comes with the three that need it alone."""
    code = (
        "import sys, analysis; analysis.compare; a = 'torch' in sys.modules; "
        "from analysis import find_residuals, observe, watch; print(a, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("False True", "")


def test_compare_shows_both_figures_and_the_table(tmp_path: Path):
    """By name and as an object; plotly's script comes once."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    write_run(tmp_path, "plain-8")
    found = compare(["plain-8", run], [tmp_path])
    for figure in (found.errors, found.responses):
        assert len([trace for trace in figure.data if not trace.meta]) == 4
    assert found.summary["Run"].tolist() == ["plain-8", "resnet-8"]
    shown = found._repr_html_()
    assert shown.count("Plotly.newPlot") == 2
    assert "plain-8" in shown


def test_a_run_and_a_recording_show_what_they_are(tmp_path: Path):
    """Their facts; a title is text, whatever is in it."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    assert "<strong>resnet-8</strong>" in run._repr_html_()
    assert "<th>state</th><td>finished</td>" in run._repr_html_()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    saved = observe(net, torch.rand(2, 3, 8, 8)).save("<b>mine</b>", tmp_path)
    assert "<strong>&lt;b&gt;mine&lt;/b&gt;</strong>" in saved._repr_html_()


def test_a_study_is_a_table_of_its_runs(tmp_path: Path):
    """A row a net and seed with how far it is; a name that no run has is refused in words."""
    for net, state in (("plain-8", "finished"), ("resnet-8", "cancelled")):
        write_run(tmp_path, net, state=state, run_id=f"mine_{net}_s0")
    shown = study("mine", [tmp_path])._repr_html_()
    assert "<strong>1 of 2 trained</strong>" in shown
    assert "<th>plain-8 seed 0</th><td>finished, epoch" in shown
    assert "<th>resnet-8 seed 0</th><td>stopped" in shown
    with pytest.raises(RunError, match="there is no run of a study other"):
        study("other", [tmp_path])


def test_refinement_is_the_apps_figure(tmp_path: Path):
    """A run and a recording beside each other."""
    run = load_run(write_run(tmp_path, "resnet-8"))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.tanh(self.linear(x))

    saved = observe(nn.Sequential(Block(), Block()), torch.rand(6, 4)).save("mine", tmp_path)
    names = {trace.name for trace in refinement([run, saved]).data}
    assert "mine" in names
