"""Do two layers see the same? Linear CKA between all layers of two nets, in one pass.

Kornblith et al. 2019, with the unbiased minibatch estimate of Nguyen, Raghu and Kornblith 2021
("Do Wide and Deep Networks Learn the Same Things?"): averages of unbiased HSIC over minibatches
(Song et al. 2012), so that the estimate does not depend on the size of a batch. Memory is
O(layers^2) and one batch: of an activation only its Gram matrix is kept.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.errors import DataError
from analysis.lens import store
from analysis.lens.hooks import watching
from analysis.lens.own_images import Origin, Progress, images_of
from analysis.nets import Net
from analysis.runs import Run
from analysis.specs.plan import layers

IMAGES = 512
"""Test images, class-balanced."""
BATCH = 64
"""Images whose Gram matrices are compared; an estimate needs at least 4."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """CKA of each layer of one net with each of another, in forward order."""

    first: tuple[str, ...]
    """Layers of one net: where the activations were read, as module paths."""
    second: tuple[str, ...]
    """Layers of the other."""
    values: np.ndarray
    """float64 (first, second): 1 the same up to rotation and scale, 0 unrelated; estimates may be
    slightly outside of that."""
    n_images: int = 0
    origin: Origin | None = None
    """Of the images; None where they are nobody's data set."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields, for a file."""
        origin = self.origin.text() if self.origin else ""
        return {
            "first": np.array(self.first), "second": np.array(self.second), "values": self.values,
            "n_images": np.array(self.n_images), "origin": np.array(origin),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Similarity:
        """What `arrays` gave."""
        names = [tuple(str(name) for name in arrays[key]) for key in ("first", "second")]
        origin = Origin.parse(str(arrays["origin"]))
        return cls(*names, arrays["values"], int(arrays["n_images"]), origin)


class Kernels:
    """Running sums of unbiased HSIC between two lists of features, over minibatches."""

    def __init__(self) -> None:
        self.cross: Any = 0.0
        self.first: Any = 0.0
        self.second: Any = 0.0

    def add(self, first: Tensor, second: Tensor) -> None:
        """Add a minibatch: Gram matrices float64 (A, n, n) and (B, n, n) of the same n images."""
        self.cross = self.cross + unbiased_hsic(first, second)
        self.first = self.first + unbiased_hsic(first, first).diagonal()
        self.second = self.second + unbiased_hsic(second, second).diagonal()

    def cka(self) -> np.ndarray:
        """float64 (A, B); NaN for features that don't differ from image to image."""
        scale = self.first.clamp(min=0).sqrt()[:, None] * self.second.clamp(min=0).sqrt()[None]
        return torch.where(scale > 0, self.cross / scale, torch.nan).numpy()


def unbiased_hsic(first: Tensor, second: Tensor) -> Tensor:
    """HSIC_1 (Song et al. 2012, eqn. 5) of Gram matrices (A, n, n) with (B, n, n): (A, B)."""
    n = first.shape[-1]
    a, b = (_hollow(grams) for grams in (first, second))
    traces = a.flatten(1) @ b.flatten(1).T
    rows_a, rows_b = a.sum(2), b.sum(2)
    totals = rows_a.sum(1)[:, None] * rows_b.sum(1)[None]
    mixed = rows_a @ rows_b.T
    return (traces + totals / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)) / (n * (n - 3))


def _hollow(grams: Tensor) -> Tensor:
    return grams - torch.diag_embed(grams.diagonal(dim1=1, dim2=2))


def points(net: Net) -> list[str]:
    """Where a net's layers are read: after the ReLU (and the addition) of each on the main path."""
    found = [layer.activation or layer.response or layer.name for layer in layers(net.spec)
             if layer.conv and layer.role != "head"]  # fmt: skip
    return list(dict.fromkeys(found))


def similarity(
    first: tuple[Net, Normalizer],
    second: tuple[Net, Normalizer],
    images: Tensor,
    progress: Progress | None = None,
) -> Similarity:
    """CKA of all layers of two nets, or of a net with itself, over images.

    Args:
        first: a net of ours and its normalizer; a copy is used, so that others may go on with it.
        second: another, of the same input size; may be the same.
        images: uint8 (N, 3, H, W); a rest below 4 is left out.
        progress: called after each batch.
    """
    same = second[0] is first[0]
    nets = [deepcopy(first[0])] if same else [deepcopy(first[0]), deepcopy(second[0])]
    normalizers = [first[1], second[1]]
    kernels, seen = Kernels(), 0
    for batch in images.split(BATCH):
        if len(batch) < 4:
            break
        grams = [_grams(net, n.apply(batch)) for net, n in zip(nets, normalizers, strict=False)]
        kernels.add(grams[0], grams[-1])
        seen += len(batch)
        if progress:
            progress(seen, len(images))
    return Similarity(tuple(points(first[0])), tuple(points(second[0])), kernels.cka(), seen)


def _grams(net: Net, x: Tensor) -> Tensor:
    """X X^T of each layer's activations X (n, C*H*W): float64 (layers, n, n) on the host."""
    kept: dict[str, Tensor] = {}

    def take(name: str):
        def of(_inputs: Tensor, output: Tensor) -> None:
            flat = output.flatten(1).float()
            flat = flat - flat.mean(0)  # changes no HSIC, and keeps float32 sums accurate
            kept[name] = (flat @ flat.T).cpu().double()

        return of

    names = points(net)
    with watching(net, {name: take(name) for name in names}):
        net(x)
    return torch.stack([kept[name] for name in names])


def read_similarity(first: Run, second: Run) -> Similarity | None:
    """What was kept of two runs, in this order."""
    return store.read(first, entry_of(second), _stamp(first, second), Similarity.from_arrays)


def make_similarity(
    first: Run,
    second: Run,
    nets: tuple[tuple[Net, Normalizer], tuple[Net, Normalizer]],
    progress: Progress | None = None,
    source: tuple[Images, Origin] | None = None,
) -> Similarity:
    """Compare two runs' nets over the first one's test images, and keep the result with it.

    Args:
        first: any run with weights.
        second: another of the same input size, or the same.
        nets: their nets and normalizers; the same object twice for a net with itself.
        progress: called after each batch.
        source: from `images_of`; None: the first run's own.

    Raises:
        DataError: as `images_of`; or inputs of different sizes.
        RunError: it can be kept nowhere.
    """
    if first.config.image_size != second.config.image_size:
        raise DataError(
            "{first} takes images of {a} pixels a side, {second} of {b}: no image fits both.",
            first=first.id, second=second.id, a=first.config.image_size,
            b=second.config.image_size,
        )  # fmt: skip
    images, origin = source or images_of(first)
    made = similarity(*nets, images.subset(test=IMAGES).test, progress)
    made = replace(made, origin=origin)
    store.write(first, entry_of(second), _stamp(first, second), made.arrays())
    return made


def entry_of(second: Run) -> str:
    """What the comparison with another run is called where it is kept."""
    return f"similarity_{second.id}"


def _stamp(first: Run, second: Run) -> str:
    info = first.config.images
    other = store.stamp_of(second)
    fingerprint = info.fingerprint if info else ""
    return store.stamp_of(first, "similarity 1", IMAGES, BATCH, other, fingerprint)
