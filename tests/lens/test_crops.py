"""Crops and samples: the pixels that a net gets."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.pictures.crops import Crop, to_input
from analysis.pictures.samples import sample, sample_names
from analysis.pictures.uploads import MIN_SIDE


def halves(height=64, width=128):
    """Left half red, right half blue."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2, 0] = 255
    rgb[:, width // 2 :, 2] = 255
    return rgb


def test_own_size_is_untouched():
    """A picture of the net's size comes back pixel for pixel, whatever the crop."""
    rgb = np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8)

    for how in ("centre", "whole", "square"):
        assert (to_input(rgb, Crop(how)) == rgb).all()


def test_centre():
    """The centre of two halves is half of each."""
    pixels = to_input(halves(), Crop("centre"))

    assert pixels.shape == (32, 32, 3)
    assert pixels[5, 3].tolist() == [255, 0, 0]
    assert pixels[5, 28].tolist() == [0, 0, 255]


def test_whole_has_black_bars():
    """All of a wide picture is there, with equal black bars above and below."""
    pixels = to_input(halves(), Crop("whole"))

    assert (pixels[:8] == 0).all()
    assert (pixels[24:] == 0).all()
    assert pixels[16, 0].tolist() == [255, 0, 0]
    assert pixels[16, 31].tolist() == [0, 0, 255]


def test_square():
    """A square at the right edge holds the right half only."""
    pixels = to_input(halves(), Crop("square", size=0.5, left=1.0, top=0.0))

    assert (pixels == [0, 0, 255]).all()
    assert Crop("square", 0.5, 1.0, 0.0).box(128, 64) == (96, 0, 128, 32)


@pytest.mark.parametrize("size", [(640, 427), (300, 900), (64, 64)])
@pytest.mark.parametrize("crop", [(0.5, 0.25, 1.0), (0.05, 0.0, 0.5), (0.9, 1.0, 0.0)])
def test_square_of_a_box(size, crop):
    """The square of a square's own edges is that square; others are moved and shrunk to fit."""
    given = Crop("square", *crop)
    left, top, right, _bottom = given.box(*size)
    found = Crop.of_box(left, top, right - left, *size)
    assert (found.size, found.left, found.top) == pytest.approx(crop)

    outside = Crop.of_box(-50, 9_000, 9_000, *size)
    assert outside.size == 1
    edges = outside.box(*size)
    assert min(edges[:2]) >= 0
    assert edges[2] <= size[0]
    assert edges[3] <= size[1]


@pytest.mark.parametrize("name", sample_names())
def test_samples(name):
    """Every sample is a picture, large enough, and the same each time."""
    picture = sample(name)

    assert picture.rgb.dtype == np.uint8
    assert min(picture.rgb.shape[:2]) >= MIN_SIDE
    assert picture.digest == sample(name).digest
