"""Subsets and held-out images are fixed, balanced and disjoint."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.data import Images
from analysis.data.images import balanced_choice
from analysis.errors import DataError
from analysis.runs import ImagesInfo


def _images(n_train: int = 60, n_test: int = 20, classes: int = 4) -> Images:
    """Image i is filled with the value i, so that it can be recognised; labels go round."""
    n = n_train + n_test
    pixels = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, 8, 8).contiguous()
    labels = torch.arange(n) % classes
    names = tuple("abcdefgh"[:classes])
    return Images(
        pixels[:n_train], labels[:n_train], pixels[n_train:], labels[n_train:], names, "0f" * 8
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_choice_is_balanced_and_nested(labels, n, fewer):
    """No class is ahead of another that has images left; a smaller choice is part of a larger."""
    labels = torch.tensor(labels)
    n = min(n, len(labels))
    chosen = balanced_choice(labels, n)

    assert len(chosen.unique()) == n
    available, taken = labels.bincount(minlength=5), labels[chosen].bincount(minlength=5)
    not_exhausted = taken[taken < available]
    if len(not_exhausted):
        assert taken.max() - not_exhausted.min() <= 1
    smaller = balanced_choice(labels, min(fewer, n))
    assert set(smaller.tolist()) <= set(chosen.tolist())


def test_the_choice_stays_what_it_is():
    """Runs are comparable across versions only while the same images are chosen."""
    assert balanced_choice(torch.arange(40) % 4, 8).tolist() == CHOICE


CHOICE = [4, 10, 11, 15, 20, 22, 25, 29]


def test_subset_keeps_images_with_their_labels():
    """Each chosen image still has its own label, and classes come in equal parts."""
    subset = _images().subset(train=8, test=4)

    assert torch.equal(subset.train[:, 0, 0, 0].long() % 4, subset.train_labels)
    assert torch.equal(subset.test[:, 0, 0, 0].long() % 4, subset.test_labels)
    assert subset.train_labels.bincount().tolist() == [2, 2, 2, 2]
    assert subset.test_labels.bincount().tolist() == [1, 1, 1, 1]
    assert subset.fingerprint == "0f" * 8


def test_a_subset_larger_than_the_set_is_the_set():
    """`quick` asks for 2,560 images, and digits has 1,437: it takes them all."""
    images = _images()

    assert images.subset(train=1000, test=1000) is images
    assert images.subset() is images


def test_held_out_images_are_not_trained_on():
    """The paper's 45k/5k split in small: disjoint, complete, balanced, the same every time."""
    images = _images()
    rest, held, labels = images.hold_out(8)

    assert labels.bincount().tolist() == [2, 2, 2, 2]
    assert torch.equal(held[:, 0, 0, 0].long() % 4, labels)
    together = torch.cat([rest.train, held])[:, 0, 0, 0]
    assert torch.equal(together.sort().values, images.train[:, 0, 0, 0])
    assert rest.test is images.test
    assert torch.equal(images.hold_out(8)[1], held)


def test_holding_out_everything_is_refused():
    """Something must be left to train on."""
    with pytest.raises(DataError) as error:
        _images().hold_out(60)

    assert str(error.value) == (
        "60 validation images can't be held out of 60 training images; hold out fewer than 60"
    )


def test_info_is_what_a_run_records():
    """Counts, classes, size, and the per-channel mean of the training images in 0..1."""
    train = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    train[0, 0] = 255
    train[:, 2] = 51
    labels = torch.tensor([0, 1])
    images = Images(train, labels, train[:1], labels[:1], ("cat", "dog"), "ab" * 8)

    info = images.info(subset=True)

    assert info.mean == pytest.approx((0.5, 0.0, 0.2))
    assert info == ImagesInfo("ab" * 8, 2, 1, ("cat", "dog"), 8, info.mean, True)
