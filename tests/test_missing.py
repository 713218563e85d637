"""Commands that pages print train what they say: `pytest tests/test_missing.py`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.evidence.missing import commands_elsewhere
from analysis.runs import load_run
from analysis.specs import Recipe
from tests.tiny import write_run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of four images, training and test."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "images"


def test_the_printed_command_trains_by_the_groups_recipe(tmp_path: Path, images: Path):
    """With its changes: the new run is comparable with the old one but for the images."""
    recipe = Recipe.parse("short", epochs=1, lr=0.05, batch_size=4)
    run = load_run(write_run(tmp_path / "old", "plain-8", recipe=recipe, data=f"folder:{images}"))
    (command,) = commands_elsewhere(["plain-8-w4"], run, seed=2)
    assert command == (
        "python -m analysis train --net plain-8-w4 --data folder:PATH --recipe short --epochs 1 "
        "--batch-size 4 --lr 0.05 --seed 2"
    )
    words = shlex.split(command.replace("PATH", str(images)))
    subprocess.run(
        [sys.executable, *words[1:], "--runs", str(tmp_path / "new")],
        check=True, capture_output=True, timeout=300,
        env={**os.environ, "RESIDUAL_LENS_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    (made,) = (path for path in (tmp_path / "new").iterdir() if (path / "config.json").exists())
    new = load_run(made)
    assert new.config.seed == 2
    assert new.config.recipe == recipe


def test_without_a_group_the_command_has_no_recipe_to_keep():
    """And names the images' place."""
    assert commands_elsewhere(["resnet-20"], None) == [
        "python -m analysis train --net resnet-20 --data folder:PATH"
    ]
