"""Small folders of real image files, made in a temporary directory; no network anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _write_images(root: Path, classes=("cat", "dog"), n_train: int = 3, n_test: int = 2) -> Path:
    """A folder laid out as train/CLASS/i.png and test/CLASS/i.png, 32x32, no two images alike."""
    rng = np.random.default_rng(0)
    for split, n in (("train", n_train), ("test", n_test)):
        for name in classes:
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


@pytest.fixture
def write_images() -> Callable[..., Path]:
    """Writes such a folder: `write_images(root, classes, n_train, n_test)`."""
    return _write_images


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Two classes, 6 training and 4 test images."""
    return _write_images(tmp_path / "pets")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache folder."""
    return tmp_path / "cache"
