"""What an image set is: all its images in memory as uint8, labels, class names, a fingerprint.

Knows subsets and held-out images (fixed and class-balanced), not where images come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis.data.normalizer import Normalizer
from analysis.errors import DataError
from analysis.runs import ImagesInfo


def fingerprint_of(classes: Sequence[str], size: int, counts: dict[str, int]) -> hashlib._Hash:
    """The beginning of a fingerprint; each split's labels (<i8) and pixels follow."""
    return hashlib.sha256(json.dumps([list(classes), size, counts]).encode())


def balanced_choice(labels: Tensor, n: int) -> Tensor:
    """Indices of n images, as equally many of each class as there are: int64 (n,), ascending.

    Fixed: the same labels give the same choice on every machine, whatever the seed of a run; and
    a smaller choice is part of a larger one. A class with too few images gives all it has.
    """
    numbers = labels.numpy()
    # RandomState's stream is frozen by NumPy's policy (NEP 19), unlike torch's and default_rng's.
    shuffled = np.random.RandomState(0).permutation(len(numbers))
    by_class = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    grouped = numbers[by_class]
    place_in_class = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
    chosen = by_class[np.argsort(place_in_class, kind="stable")[:n]]
    return torch.from_numpy(np.sort(chosen).astype(np.int64))


def _take(pixels: Tensor, labels: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    # index_select copies whole images: 7 times as fast here as pixels[index].
    return pixels.index_select(0, index), labels.index_select(0, index)


@dataclass(frozen=True, eq=False)
class Images:
    """A data set in memory. Pixels may be memory-mapped: never write to them."""

    train: Tensor
    """uint8 (N, 3, H, W), RGB."""
    train_labels: Tensor
    """int64 (N,), an index into `classes`."""
    test: Tensor
    """uint8 (M, 3, H, W), RGB."""
    test_labels: Tensor
    """int64 (M,)."""
    classes: tuple[str, ...]
    """Class names in the order of the labels."""
    fingerprint: str
    """First 16 hex digits of SHA-256 over class names, labels and pixels of the full data set;
    `test:` before it where only test images were read."""

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.test.shape[-1]

    def has_fingerprint(self, fingerprint: str) -> bool:
        """Whether these are the images of a fingerprint, be it of their test images alone."""
        if not fingerprint.startswith("test:") or self.fingerprint.startswith("test:"):
            return fingerprint == self.fingerprint
        counts = {"train": 0, "test": len(self.test_labels)}
        sha = fingerprint_of(self.classes, self.size, counts)
        sha.update(self.test_labels.numpy().astype("<i8").tobytes())
        for chunk in self.test.split(1024):
            sha.update(np.ascontiguousarray(chunk.numpy()).data)
        return fingerprint == f"test:{sha.hexdigest()[:16]}"

    def subset(self, train: int | None = None, test: int | None = None) -> Images:
        """At most so many training and test images, class-balanced and fixed; None: all.

        The fingerprint stays that of the full data set.
        """
        images = self
        if train is not None and train < len(self.train_labels):
            pixels, labels = _take(
                self.train, self.train_labels, balanced_choice(self.train_labels, train)
            )
            images = replace(images, train=pixels, train_labels=labels)
        if test is not None and test < len(self.test_labels):
            pixels, labels = _take(
                self.test, self.test_labels, balanced_choice(self.test_labels, test)
            )
            images = replace(images, test=pixels, test_labels=labels)
        return images

    def hold_out(self, n: int) -> tuple[Images, Tensor, Tensor]:
        """`(rest, images, labels)`: n training images held out, class-balanced and fixed.

        The paper holds out 5,000 of CIFAR-10's 50,000 (section 4.2).

        Raises:
            DataError: nothing would be left to train on.
        """
        have = len(self.train_labels)
        if n >= have:
            raise DataError(
                "{n} validation images can't be held out of {have} training images; "
                "hold out fewer than {have}",
                n=n,
                have=have,
            )
        held = torch.zeros(have, dtype=torch.bool)
        held[balanced_choice(self.train_labels, n)] = True
        pixels, labels = _take(self.train, self.train_labels, (~held).nonzero().flatten())
        rest = replace(self, train=pixels, train_labels=labels)
        return rest, *_take(self.train, self.train_labels, held.nonzero().flatten())

    def info(self, subset: bool = False) -> ImagesInfo:
        """What a run records of its images; the mean is that of the training images here.

        Of the test images where only they were read.
        """
        seen = self.train if len(self.train) else self.test
        red, green, blue = Normalizer.fit(seen).mean.mean((1, 2)).tolist()
        return ImagesInfo(
            fingerprint=self.fingerprint,
            n_train=len(self.train_labels),
            n_test=len(self.test_labels),
            classes=self.classes,
            size=self.size,
            mean=(red, green, blue),
            subset=subset,
        )
