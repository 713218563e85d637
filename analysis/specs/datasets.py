"""The data sets that have a name: one table for all that is known of them without their images.

A new data set is an entry here and a loader in `data.sources`. Torch-free, so that forms, estimates
and pickers know sizes and classes; whether the images are at hand is looked up in the cache folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from analysis.specs.places import place_of

CACHE_VARIABLE = "RESIDUAL_LENS_CACHE"
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Of the files in a folder of images that are read, in small letters."""
SMALLEST, LARGEST = 8, 512
"""Height and width to which a folder's images can be resized, pixels."""


@dataclass(frozen=True)
class DataSet:
    """One named data set; all have square RGB images."""

    title: str
    """What figures call it."""
    classes: int
    size: int
    """Height and width in pixels."""
    n_train: int
    n_test: int
    mirrored: bool = True
    """Whether augmentation may mirror: a mirrored digit is another sign."""
    source: str = ""
    """Where it is downloaded from, in words; empty where nothing has to be."""
    files: tuple[str, ...] = ()
    """The archive and its unpacked folder, as torchvision calls them: either will do."""


DATASETS: dict[str, DataSet] = {
    "cifar10": DataSet(
        "CIFAR-10", 10, 32, 50_000, 10_000, source="www.cs.toronto.edu/~kriz/cifar.html",
        files=("cifar-10-python.tar.gz", "cifar-10-batches-py/test_batch"),
    ),
    "cifar100": DataSet(
        "CIFAR-100", 100, 32, 50_000, 10_000, source="www.cs.toronto.edu/~kriz/cifar.html",
        files=("cifar-100-python.tar.gz", "cifar-100-python/test"),
    ),
    "digits": DataSet("Digits (8x8, upsampled)", 10, 32, 1437, 360, mirrored=False),
}  # fmt: skip


def cache_folder() -> Path:
    """Where downloads and decoded images are kept: $RESIDUAL_LENS_CACHE, or the platform's cache
    folder (on Linux ~/.cache/residual-lens)."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("residual-lens", appauthor=False)


def is_here(name: str) -> bool:
    """Whether the images of a named data set are on this machine: nothing would be downloaded.

    Looks for folders and files only; that they are whole is the loader's business.
    """
    known, folder = DATASETS[name], cache_folder()
    if not known.source or source_folder(name) != folder:
        return True
    try:
        return any((folder / file).exists() for file in (f"{name}/meta.json", *known.files))
    except OSError:  # the cache folder can't be entered
        return False


def source_folder(name: str) -> Path:
    """Where a named data set's files are: the folder that was named for them, while it holds them,
    else the cache folder, into which they would be downloaded."""
    place = place_of(name)
    try:
        named = place and any((place / file).exists() for file in DATASETS[name].files)
    except OSError:  # it can't be entered
        named = False
    return place if place and named else cache_folder()
