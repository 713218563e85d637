"""The examples of docs/own-nets.md run as they are copied, with smaller images."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torchvision import models

from analysis import refinement
from analysis.runs import DamagedRun, Run, list_recordings, list_runs

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "own-nets.md").read_text(encoding="utf-8")


def test_the_three_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """torchvision's resnet50 and a ViT: found, measured, saved, and both open."""
    start = TEXT.index("    import torch\n    import torchvision\n    from analysis")
    code = textwrap.dedent(TEXT[start : TEXT.index("Both open in Compare", start)])
    code = code.replace("8, 3, 224, 224", "2, 3, 32, 32").replace(
        "vit_b_16(weights=None)", "vit_b_16(weights=None, image_size=32)"
    )
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    exec(compile(code, "docs/own-nets.md", "exec"), {})
    found = {entry.net: len(entry.refinement()) for entry in list_recordings([tmp_path])}
    assert found == {"ViT-B/16": 24, "torchvision resnet50": 16}


def test_the_watched_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its lines, around a loop of two epochs."""
    import torch
    from torch import nn

    start = TEXT.index("    from analysis import watch\n")
    code = textwrap.dedent(TEXT[start : TEXT.index("Errors are in percent", start)])
    code = code.replace("range(90)", "range(2)").replace("epochs=90", "epochs=2")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    values = {"model": model, "images": torch.rand(2, 3, 8, 8)}
    exec(compile(code, "docs/own-nets.md", "exec"), values)
    (found,) = list_recordings([tmp_path])
    assert found.history()["epoch"].tolist() == [1, 2]
    assert len(found.responses()) == 2


@pytest.mark.trains
def test_the_readmes_lines_put_any_net_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Copied as they are, for a ResNet-50 and a ViT: both beside resnet-56, figure and page."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("    from analysis import find_residuals, observe, watch")
    code = textwrap.dedent(text[start : text.index("See [docs/own-nets.md]", start)])
    nets = [models.resnet50(weights=None), models.vit_b_16(weights=None, image_size=32)]
    images = torch.rand(2, 3, 32, 32)
    for net in nets:
        values = {"model": net, "example": images, "batches": [images], "images": images}
        exec(compile(code, "README.md", "exec"), values)
    found = [entry for entry in list_recordings([tmp_path]) if not isinstance(entry, DamagedRun)]
    measured = {e.info.module: e for e in found if e.status is None}
    blocks = {module: len(entry.refinement()) for module, entry in measured.items()}
    assert blocks == {"ResNet": 16, "VisionTransformer": 24}

    ours = next(run for run in list_runs() if isinstance(run, Run) and run.net == "resnet-56")
    together = [ours, *measured.values()]
    lines = [trace for trace in refinement(together).data if trace.showlegend]
    assert sorted(len(line.x) for line in lines) == [16, 24, 27]

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    page.switch_page("pages/evidence/refinements.py").run()
    page.multiselect(key="refinements_runs").set_value([run.id for run in together]).run()
    assert not page.exception
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    drawn = [len(t["customdata"]) for t in figure["data"] if t.get("showlegend")]
    assert sorted(drawn) == [16, 24, 27]


@pytest.mark.trains
def test_akamasters_net_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The commands, on a file of the public one's layout and a few images in CIFAR's place."""
    from collections import OrderedDict

    from tests.importing.foreign import akamaster, shaken

    start = TEXT.index("    python -m analysis import resnet20-12fca82f.th")
    lines = textwrap.dedent(TEXT[start : TEXT.index("Without `--net`", start)]).splitlines()
    random = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "images" / ("train" if number < 20 else "test") / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    state = shaken(akamaster(n=3)).state_dict()
    wrapped = OrderedDict((f"module.{key}", value) for key, value in state.items())
    torch.save({"state_dict": wrapped, "best_prec1": 91.73}, tmp_path / "resnet20-12fca82f.th")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "RESIDUAL_LENS_RUNS": str(tmp_path / "runs"),
        "RESIDUAL_LENS_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    for line in filter(None, lines):
        words = shlex.split(line.replace("cifar10", f"folder:{tmp_path / 'images'}"))
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=tmp_path, env=environment, capture_output=True,
            text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (made,) = [run for run in list_runs([tmp_path / "runs"]) if isinstance(run, Run)]
    assert made.net == "resnet-20"
    assert made.config.normalization["name"] == "imagenet"
    report = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "plain-20" in report
