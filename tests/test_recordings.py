"""Recordings: layer responses of a module that is no net of ours. `pytest tests/test_recordings.py`

They are compared with runs wherever responses are, and refused in words everywhere else.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from analysis import figures
from analysis.cli import build
from analysis.errors import ImportRefused, RunDamaged, RunError
from analysis.exchange.importing import import_checkpoint
from analysis.figures.report import write_report
from analysis.responses import closed_form, record, save_recording
from analysis.runs import (
    DamagedRun,
    SavedRecording,
    find_comparable,
    find_run,
    list_recordings,
    list_runs,
    load_recording,
    load_run,
)
from tests.tiny import write_run


def module() -> nn.Sequential:
    """A net of nobody's family: two 3x3 layers and a 1x1 layer with BN."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 2, 1), nn.BatchNorm2d(2),
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> SavedRecording:
    """A recording in an otherwise empty runs folder."""
    recording = record(module(), torch.rand(6, 3, 16, 16))
    return save_recording(recording, "odd net", tmp_path, data="noise")


def test_a_recording_comes_back_as_it_was(saved: SavedRecording, tmp_path: Path):
    """Title, class, parameters (4*27+4 + 8 + 8*36+8 + 16 + 2*8+2 + 4 = 454), images, numbers."""
    found = load_recording(saved.path)
    assert (found.net, found.info.module, found.data_title) == ("odd net", "Sequential", "noise")
    assert (found.info.parameters, found.n_images) == (454, 6)
    assert found.responses()["layer"].tolist() == ["0", "3", "6"]
    assert found.history().empty
    assert [entry.id for entry in list_recordings([tmp_path])] == [saved.id]


def test_a_recording_is_no_run(saved: SavedRecording, tmp_path: Path):
    """What lists runs never meets one; what is given its name says why it won't do."""
    write_run(tmp_path, "resnet-8")
    assert [run.id for run in list_runs([tmp_path])] == ["2026-11-24_resnet-8_quick-e3_s0_tiny"]
    for name in (saved.id, "odd net", "odd-net", str(saved.path)):
        with pytest.raises(RunError) as error:
            find_run(name, [tmp_path])
        assert str(error.value) == (
            f"{saved.id} is a recording of layer responses: there is no net in it that could be "
            "run or trained, and no history. Compare, `show` and `compare` open it"
        )
        assert find_comparable(name, [tmp_path]).id == saved.id
    assert find_comparable("resnet-8", [tmp_path]).net == "resnet-8"


def test_only_3x3_layers_are_compared_and_all_where_there_are_none(tmp_path: Path):
    """Fig. 7's rule; a module of linear layers shows what it has."""
    whole = save_recording(closed_form(module()), "odd net", tmp_path)
    linear = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2), nn.BatchNorm1d(2))
    flat = save_recording(closed_form(linear), "flat", tmp_path)
    info = figures.responses_info([whole, flat])
    assert info["label"].tolist() == ["odd net"] * 2 + ["flat"] * 2
    assert info["layer"].tolist() == ["0", "3", "0", "2"]


def test_it_is_drawn_beside_runs_and_named_where_curves_would_be(
    saved: SavedRecording, tmp_path: Path
):
    """In both panels of Fig. 7, last in the legend; in Fig. 6 as a name."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    drawn = figures.plot_responses(figures.responses_info([saved, run], epoch=3))
    assert [t.name for t in drawn.data if t.showlegend] == ["resnet-8", "odd net"]
    assert [len(t.x) for t in drawn.data if not t.meta] == [7, 7, 2, 2]
    assert "after epoch 3." in drawn.layout.title.subtitle.text
    without = figures.without_history([saved, run])
    curves = figures.plot_error_curves(figures.error_curves_info([saved, run]), without=without)
    assert "Without a training history: odd net." in curves.layout.title.subtitle.text
    alone = figures.plot_error_curves(figures.error_curves_info([saved]), without=without)
    assert alone.layout.annotations[0].text == (
        "No curves: odd net came without a training history."
    )


def test_its_row_of_the_summary_has_what_there_is(saved: SavedRecording, tmp_path: Path):
    """Parameters, images, mean response; blanks for depth, errors, epochs, seed."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    info = figures.summary_info([run, saved])
    words = figures.summary_words(info).iloc[1]
    assert words["Run"] == "odd net"
    mean = saved.responses()["std"][:2].mean()
    assert words["Mean response (std)"] == f"{mean:.3f}"
    blank = ("Training error, running (%)", "Test error (%)", "Multiply-adds per image", "Epochs",
             "Depth (layers)", "Shortcut option", "Seed", "State")  # fmt: skip
    assert {words[name] for name in blank} == {"–"}
    assert (words["Recipe"], words["Data"]) == ("recording", "noise")
    assert words["Not directly comparable"] == "a recording: nothing is known of its training"
    assert figures.summary_table(info)["Parameters"].tolist() == [run.parameters, 454]


def test_a_title_of_one_of_our_nets_is_told_apart(tmp_path: Path):
    """Another colour, and the legend says which is the recording."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    other = save_recording(closed_form(module()), "resnet-8", tmp_path)
    styles = figures.run_styles([run, other])
    assert [style.label for style in styles] == ["resnet-8, quick-e3, Digits (8x8, upsampled), "
                                                 "seed 0", "resnet-8, recording"]  # fmt: skip
    assert styles[0].colour != styles[1].colour


def test_the_report_takes_recordings(saved: SavedRecording, tmp_path: Path):
    """Its title, its row, and that it is a recording."""
    run = load_run(write_run(tmp_path, "resnet-8"))
    write_report([run, saved], tmp_path / "compare.html")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<h1>resnet-8 | odd net</h1>" in text
    assert f"{saved.id}<br>a recording of layer responses: no net, no history" in text
    assert f"{saved.id} is not directly comparable with {run.id}: a recording" in text


def test_the_commands_know_recordings(saved: SavedRecording, tmp_path: Path):
    """`list`, `show` and `compare` open one; the others say why not, and exit with 4."""
    write_run(tmp_path, "resnet-8")

    def call(*arguments: str):
        return CliRunner().invoke(build(), [*arguments, "--runs", str(tmp_path)])

    listed = " ".join(call("list").output.split())
    assert f"{saved.id} recording of layer responses of odd net: no net, no history" in listed
    entries = json.loads(call("list", "--json").output)
    assert [e["state"] for e in entries if e["id"] == saved.id] == ["recording"]
    shown = call("show", "odd net").output
    assert "No training history" in shown
    assert "parameters         454" in shown
    done = call("compare", "resnet-8", "odd net", "-o", str(tmp_path / "c.html"))
    assert done.exit_code == 0, done.output
    for arguments in (
        ("record", "odd net"), ("resume", "odd net"), ("export", "odd net", "-o", "x.pth"),
    ):  # fmt: skip
        with pytest.raises(RunError, match="is a recording of layer responses"):
            raise call(*arguments).exception or AssertionError(arguments)


def test_a_recording_can_not_be_imported(saved: SavedRecording, tmp_path: Path):
    """There are no weights in it."""
    with pytest.raises(ImportRefused, match="is a recording of layer responses: it has no weights"):
        import_checkpoint(saved.path, tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "recording.json can't be read"),
        ('{"format": 9, "title": "x"}', "recording.json has format 9"),
        ('{"format": 1, "title": 3}', "recording.json: title is 3"),
        ('{"format": 1}', "recording.json has no title"),
        ('{"format": 1, "title": "x", "parameters": "many"}', "recording.json: parameters is"),
    ],
)
def test_a_damaged_one_is_listed_with_its_reason(saved, text: str, reason: str):
    """Never raised by a list."""
    (saved.path / "recording.json").write_text(text)
    (found,) = list_recordings([saved.path.parent])
    assert isinstance(found, DamagedRun)
    assert str(found.reason).startswith(reason)


def test_a_torn_table_is_named(saved: SavedRecording):
    """As of a run."""
    (saved.path / "responses.csv").write_text("epoch,layer\n1,x\n")
    with pytest.raises(RunDamaged, match=r"responses\.csv: no column"):
        load_recording(saved.path).responses()


@pytest.mark.parametrize("title", ["", "  ", "a\nb", "x" * 61])
def test_titles_fit_into_a_legend(title: str, tmp_path: Path):
    """And nothing is written without one."""
    with pytest.raises(RunError, match="a recording needs a title of 1 to 60"):
        save_recording(closed_form(module()), title, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_title_can_not_leave_the_folder(tmp_path: Path):
    """Its directory is named by what is harmless of it."""
    saved = save_recording(closed_form(module()), "../../etc/passwd", tmp_path / "runs")
    assert saved.path.parent == tmp_path / "runs"
    assert "etc-passwd_recording_" in saved.id


def test_the_documents_example_runs_and_opens_in_compare(tmp_path: Path, monkeypatch):
    """docs/own-nets.md, the torchvision net, with random weights and smaller images."""
    text = (Path(__file__).parents[1] / "docs" / "own-nets.md").read_text(encoding="utf-8")
    start = text.index("    import torch, torchvision\n")
    code = textwrap.dedent(text[start : text.index("The same of a timm net", start)])
    assert len(code.strip().splitlines()) <= 10
    code = code.replace('weights="DEFAULT"', "weights=None").replace(
        "64, 3, 224, 224", "2, 3, 64, 64"
    )
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    exec(compile(code, "docs/own-nets.md", "exec"), {})
    (found,) = list_recordings([tmp_path])
    assert isinstance(found, SavedRecording)
    assert len(figures.responses_info([found])) == 16
