"""The examples of docs/own-nets.md run as they are copied, with smaller images."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from analysis.runs import list_recordings

TEXT = (Path(__file__).parents[2] / "docs" / "own-nets.md").read_text(encoding="utf-8")


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
