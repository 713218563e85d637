"""The mean that is subtracted is the training set's, exactly, and travels with the weights."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional as tv

from analysis.data import Normalizer


def _images(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=generator)


def test_per_pixel_mean_equals_float64():
    """Section 4.2's per-pixel mean, over more images than a chunk holds, to float32's last bit."""
    images = _images(2500)

    expected = (images.double() / 255).mean(0)

    normalizer = Normalizer.fit(images)
    assert normalizer.mean.dtype == torch.float32
    torch.testing.assert_close(normalizer.mean.double(), expected, rtol=6e-8, atol=0)
    assert normalizer.std is None


def test_training_images_have_zero_mean_at_every_pixel():
    """What the net sees is centred, and nothing is divided."""
    images = _images(300)

    seen = Normalizer.fit(images).apply(images)

    assert seen.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(seen.std(), (images / 255).std(), rtol=0.01, atol=0)


def test_black_and_white_by_hand():
    """Half black, half white: mean 0.5, so pixels become -0.5 and 0.5."""
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    images[2:] = 255

    seen = Normalizer.fit(images).apply(images)

    assert seen[:2].eq(-0.5).all()
    assert seen[2:].eq(0.5).all()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("divide", [False, True])
def test_equals_torchvision_bit_for_bit(channels_last, divide):
    """ToTensor's /255 and Normalize's (x - mean) / std, in either memory layout."""
    images = _images(20)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225] if divide else [1.0, 1.0, 1.0]
    expected = tv.normalize(images.float().div(255), mean, std)

    normalizer = Normalizer(
        torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1) if divide else None
    )
    seen = normalizer.apply(images, channels_last=channels_last)

    assert torch.equal(seen, expected)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert seen.is_contiguous(memory_format=layout)


def test_input_is_left_alone():
    """Pixels are shared by every batch that comes after."""
    images = _images(4)
    before = images.clone()

    Normalizer.fit(images).apply(images)

    assert torch.equal(images, before)


@pytest.mark.parametrize("std", [None, torch.full((3, 1, 1), 0.25)])
def test_state_round_trip(std):
    """What is saved with the weights is what was fitted."""
    normalizer = Normalizer(torch.rand(3, 8, 8), std)

    again = Normalizer.from_state_dict(normalizer.state_dict())

    assert torch.equal(again.apply(_images(3)), normalizer.apply(_images(3)))
    assert list(normalizer.state_dict()) == (["mean"] if std is None else ["mean", "std"])
