"""How does the data set pass through a net? One streaming pass: responses by image, exemplars.

For every layer the standard deviation of each image's response, so that one image can be placed
among them; for every channel the images that excite it most, and where. Memory does not grow with
the number of images but for one number an image and layer.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.lens.answers import mapped_layers
from analysis.lens.hooks import watching
from analysis.lens.own_images import Progress, images_of, same_images
from analysis.nets import Net
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import Run, store
from analysis.runs.learned import SURVEYED, TOP, Origin, Survey, survey_entry
from analysis.specs.plan import LayerInfo


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


def surveyed_images(origin: Origin, n: int = SURVEYED) -> Tensor:
    """The test images that a survey is of: uint8 (at most n, 3, H, W), always the same.

    Raises:
        DataError: they can't be had any more, or they have changed.
    """
    return same_images(origin).subset(test=n).test


def make_survey(
    run: Run,
    net: Net,
    normalizer: Normalizer,
    n: int = SURVEYED,
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
    store.write(run, *survey_entry(run, n), made.arrays())
    return made
