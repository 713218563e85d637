"""Compare with nets that were not trained here: `pytest tests/pages/test_compare_imported.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from analysis.exchange.importing import import_checkpoint
from analysis.responses import record, save_recording
from tests.importing import foreign
from tests.pages.reading import figures, legend
from tests.tiny import write_run

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parents[2]


def _import(folder: Path) -> str:
    path = folder.parent / "net.pth"
    torch.save(foreign.shaken(foreign.chenyaofo()).state_dict(), path)
    return import_checkpoint(path, folder).run.id


def _record(folder: Path) -> str:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    )
    return save_recording(record(net, torch.rand(2, 3, 8, 8)), "odd net", folder, "noise").id


def test_all_three_kinds_beside_each_other(page: AppTest, folder: Path):
    """A run, an import, a recording: curves of the first, responses of all, words for the rest."""
    ids = [write_run(folder, "resnet-8").name, _import(folder), _record(folder)]
    page.run()
    page.multiselect(key="compare_runs").set_value(ids).run()
    curves, responses = figures(page)
    assert legend(curves) == ["resnet-8"]
    assert legend(responses) == ["resnet-8", "resnet-8-B", "odd net"]
    assert (
        "Without a training history: resnet-8-B, odd net."
        in (curves["layout"]["title"]["subtitle"]["text"])
    )
    captions = [caption.value for caption in page.caption]
    assert any(text.startswith("resnet-8-B: not trained here, so without") for text in captions)
    assert any(text.startswith("odd net: layer responses recorded") for text in captions)


def test_an_imported_net_keeps_its_responses_at_every_epoch(page: AppTest, folder: Path):
    """It has one set; the slider is that of the runs trained here."""
    ids = [write_run(folder, "resnet-8").name, _import(folder)]
    page.run()
    page.multiselect(key="compare_runs").set_value(ids).run()
    page.segmented_control(key="compare_source").set_value("closed_form").run()
    page.select_slider(key="compare_epoch").set_value(2).run()
    assert legend(figures(page)[1]) == ["resnet-8", "resnet-8-B"]
    assert page.select_slider(key="compare_epoch").options == ["1", "2", "3"]


@pytest.mark.parametrize("make", [_import, _record])
def test_alone_it_says_why_there_is_no_curve(make, page: AppTest, folder: Path):
    """The only thing in the folder is shown without being picked."""
    make(folder)
    page.run()
    curves, responses = figures(page)
    assert "without a training history" in curves["layout"]["annotations"][0]["text"]
    assert len(legend(responses)) == 1
    assert "after epoch" not in responses["layout"]["title"]["subtitle"]["text"]


@pytest.mark.parametrize("page_file", ["lens/image", "evidence/argument", "training/train"])
def test_every_other_page_leaves_recordings_out(page_file: str, page: AppTest, folder: Path):
    """No traceback where there is a recording and nothing else."""
    saved = _record(folder)
    page.run()
    page.switch_page(f"pages/{page_file}.py").run()
    assert not page.exception, page.exception[0].message
    texts = [box.value for box in [*page.markdown, *page.caption, *page.info]]
    assert saved not in " ".join(texts)


def test_a_damaged_recording_is_named(page: AppTest, folder: Path):
    """With the damaged runs, under the figures of the others."""
    write_run(folder, "resnet-8")
    (folder / _record(folder) / "recording.json").write_text("{")
    page.run()
    assert legend(figures(page)[0]) == ["resnet-8"]
    assert "recording.json can't be read" in page.expander[-1].markdown[0].value
