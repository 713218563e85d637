"""How does the data set pass through a net? One streaming pass: responses by image, exemplars.

For every layer the standard deviation of each image's response, so that one image can be placed
among them; for every channel the images that excite it most, and where. Memory does not grow with
the number of images but for one number an image and layer.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.lens.activations import mapped_layers
from analysis.lens.hooks import watching
from analysis.lens.own_images import Progress, images_of, same_images
from analysis.nets import Net
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import Run, store
from analysis.runs.learned import Origin
from analysis.specs.plan import LayerInfo

IMAGES = 2000
"""Test images of a survey, class-balanced."""
TOP = 9
"""Exemplars a channel."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass over images found; layers in forward order."""

    layers: tuple[str, ...]
    stds: np.ndarray
    """float32 (N, L): std of each image's response at each layer, over channels and positions."""
    channels: np.ndarray
    """int64 (L,): channels of each layer; the next arrays have them one after another."""
    values: np.ndarray
    """float32 (TOP, sum of channels): each channel's largest responses, the largest first."""
    images: np.ndarray
    """int64, like `values`: which image has it."""
    positions: np.ndarray
    """int64, like `values`: where, as row * width + column of the map."""
    origin: Origin | None = None
    """Of the images; None where they are nobody's data set."""

    def exemplars(self, layer: str, channel: int) -> list[tuple[int, int, float]]:
        """(image, position, response) of a channel's exemplars, the strongest first."""
        at = self.layers.index(layer)
        column = int(self.channels[:at].sum()) + channel
        found = zip(
            self.images[:, column], self.positions[:, column], self.values[:, column], strict=True
        )
        return [(int(image), int(position), float(value)) for image, position, value in found]

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields, for a file."""
        origin = self.origin.text() if self.origin else ""
        return {
            **self.__dict__, "layers": np.array(self.layers), "origin": np.array(origin),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Survey:
        """What `arrays` gave."""
        layers = tuple(str(name) for name in arrays["layers"])
        return cls(**{**arrays, "layers": layers, "origin": Origin.parse(str(arrays["origin"]))})  # type: ignore


def survey(
    net: Net, images: Tensor, normalizer: Normalizer, progress: Progress | None = None
) -> Survey:
    """Pass images through a copy of the net, so that others may go on using it.

    Args:
        net: one of ours.
        images: uint8 (N, 3, H, W).
        normalizer: the net's.
        progress: called after each batch.
    """
    net = deepcopy(net)
    watched = [_Watched(layer) for layer in mapped_layers(net.spec)]
    with watching(net, {w.layer.maps: w.take for w in watched}):
        for batch in images.split(RECORD_BATCH):
            net(normalizer.apply(batch))
            if progress:
                progress(watched[0].seen, len(images))
    return Survey(
        layers=tuple(w.layer.name for w in watched),
        stds=torch.stack([torch.cat(w.stds) for w in watched], 1).numpy(),
        channels=np.array([w.layer.channels for w in watched]),
        values=torch.cat([w.values for w in watched], 1).numpy(),
        images=torch.cat([w.images for w in watched], 1).numpy(),
        positions=torch.cat([w.positions for w in watched], 1).numpy(),
    )


class _Watched:
    """One layer's running numbers."""

    def __init__(self, layer: LayerInfo) -> None:
        self.layer = layer
        self.seen = 0
        self.stds: list[Tensor] = []
        self.values = torch.empty(0, layer.channels)
        self.images = torch.empty(0, layer.channels, dtype=torch.int64)
        self.positions = torch.empty(0, layer.channels, dtype=torch.int64)

    def take(self, _input: Tensor, output: Tensor) -> None:
        y = output.flatten(2)
        self.stds.append(y.flatten(1).std(1, correction=0))
        values, positions = y.max(2)
        images = torch.arange(self.seen, self.seen + len(y))[:, None].expand_as(positions)
        self.seen += len(y)
        values = torch.cat([self.values, values])
        self.values, order = values.topk(min(TOP, len(values)), dim=0)
        self.images = torch.cat([self.images, images]).gather(0, order)
        self.positions = torch.cat([self.positions, positions]).gather(0, order)


def surveyed_images(found: Survey, n: int = IMAGES) -> Tensor:
    """The test images that a survey is of: uint8 (at most n, 3, H, W), always the same.

    Raises:
        DataError: they can't be had any more, or they have changed.
        ValueError: the survey is of nobody's data set.
    """
    if found.origin is None:
        raise ValueError("a survey of images that came from no data set")
    return same_images(found.origin).subset(test=n).test


def read_survey(run: Run, n: int = IMAGES) -> Survey | None:
    """The run's survey, where one was made; needs no images."""
    return store.read(run, "survey", _stamp(run, n), Survey.from_arrays)


def make_survey(
    run: Run,
    net: Net,
    normalizer: Normalizer,
    n: int = IMAGES,
    progress: Progress | None = None,
    source: tuple[Images, Origin] | None = None,
) -> Survey:
    """Survey a run's net over test images, and keep the result.

    Args:
        run: any run with weights.
        net: its net.
        normalizer: its net's.
        n: test images at most.
        progress: called after each batch.
        source: from `images_of`; None: the run's own.

    Raises:
        DataError: as `images_of`.
        RunError: it can be kept nowhere.
    """
    images, origin = source or images_of(run)
    made = survey(net, images.subset(test=n).test, normalizer, progress)
    made = replace(made, origin=origin)
    store.write(run, "survey", _stamp(run, n), made.arrays())
    return made


def _stamp(run: Run, n: int) -> str:
    info = run.config.images
    return store.stamp_of(run, "survey 2", n, TOP, info.fingerprint if info else "")


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def distribution(found: Survey) -> dict[str, np.ndarray]:
    """By column: a value a layer of the per-image std: mean, and q05 to q95 its quantiles."""
    columns = {"mean": found.stds.mean(0, dtype=np.float64)}
    quantiles = np.quantile(found.stds.astype(np.float64), QUANTILES, axis=0)
    for level, values in zip(QUANTILES, quantiles, strict=True):
        columns[f"q{round(100 * level):02d}"] = values
    return columns
