"""How does the prediction form from block to block? The net's own classifier, and fitted readouts.

The last stage's blocks all have the channels that the head expects, so the head can be applied
after each. Earlier blocks get a readout of their own: the classes' means of the pooled features,
compared in the metric of the scatter within classes (linear discriminant analysis; Fisher 1936),
fitted in one streaming pass. It is linear in the features and its posterior is a probability.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.lens import store
from analysis.lens.hooks import watching
from analysis.lens.own_images import Origin, Progress, images_of
from analysis.nets import Net
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import Run
from analysis.specs.plan import BlockInfo, blocks, layers

TRAIN, TEST = 3000, 1000
"""Images that readouts are fitted on, and that their accuracy is counted on."""
SHRINKAGE = 0.01
"""Part of the mean variance in the scatter matrix, so that dead channels do no harm."""


@dataclass(frozen=True)
class Place:
    """A point on the main path where a prediction can be read."""

    name: str
    """`stem`, or a block's path."""
    depth: int
    """Weighted layers passed so far."""
    channels: int
    has_head: bool
    """Whether the net's own head fits: the blocks of the last stage."""


def places(net: Net) -> list[Place]:
    """The stem and every block, in forward order."""
    passed = {layer.block_name: layer.order for layer in layers(net.spec)}
    found = [Place("stem", 1, net.spec.width, False)]
    for info in blocks(net.spec):
        last = info.stage == len(net.spec.blocks)
        found.append(Place(info.name, passed[info.name], info.c_out, last))
    return found


@dataclass(frozen=True, eq=False)
class Readouts:
    """A linear readout at every place."""

    names: tuple[str, ...]
    weights: list[np.ndarray]
    """By place, float32 (C, classes)."""
    biases: np.ndarray
    """float32 (places, classes)."""
    accuracy: np.ndarray
    """float64 (places,): percent of the test images that each readout gets right."""
    origin: Origin | None = None
    """Of the images; None where they are nobody's data set."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields, for a file."""
        return {
            "names": np.array(self.names),
            "weights": np.concatenate(self.weights),
            "channels": np.array([len(weights) for weights in self.weights]),
            "biases": self.biases,
            "accuracy": self.accuracy,
            "origin": np.array(self.origin.text() if self.origin else ""),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Readouts:
        """What `arrays` gave."""
        ends = np.cumsum(arrays["channels"])[:-1]
        weights = np.split(arrays["weights"], ends)
        names = tuple(str(name) for name in arrays["names"])
        origin = Origin.parse(str(arrays["origin"]))
        return cls(names, weights, arrays["biases"], arrays["accuracy"], origin)


def fit_readouts(
    net: Net, images: Images, normalizer: Normalizer, progress: Progress | None = None
) -> Readouts:
    """Fit a readout at every place on training images, and count its accuracy on test images.

    Args:
        net: one of ours; a copy is used, so that others may go on with it.
        images: with as many of both as are wanted.
        normalizer: the net's.
        progress: called after each batch.
    """
    net = deepcopy(net)
    tell = progress or (lambda done, total: None)
    total = len(images.train) + len(images.test)
    sums = [_Sums(place.channels, net.spec.classes) for place in places(net)]

    def add(index: int, features: Tensor, labels: Tensor) -> None:
        sums[index].add(features, labels)

    _each(net, normalizer, images.train, images.train_labels, add, lambda n: tell(n, total))
    solved = [one.solve() for one in sums]
    right = torch.zeros(len(solved))

    def count(index: int, features: Tensor, labels: Tensor) -> None:
        weights, bias = solved[index]
        right[index] += ((features @ weights + bias).argmax(1) == labels).sum()

    done = len(images.train)
    _each(net, normalizer, images.test, images.test_labels, count, lambda n: tell(done + n, total))
    return Readouts(
        tuple(place.name for place in places(net)),
        [weights.float().numpy() for weights, _bias in solved],
        torch.stack([bias for _weights, bias in solved]).float().numpy(),
        100 * right.double().numpy() / max(len(images.test), 1),
    )


def _each(
    net: Net,
    normalizer: Normalizer,
    pixels: Tensor,
    labels: Tensor,
    take: Callable[[int, Tensor, Tensor], Any],
    tell: Callable[[int], None],
) -> None:
    """Call `take(place index, pooled float64 features, labels)` for every batch and place."""
    names = [place.name for place in places(net)]
    for start in range(0, len(pixels), RECORD_BATCH):
        wanted = slice(start, start + RECORD_BATCH)
        for index, features in enumerate(_pooled(net, normalizer.apply(pixels[wanted]), names)):
            take(index, features, labels[wanted])
        tell(min(start + RECORD_BATCH, len(pixels)))


def _pooled(net: Net, x: Tensor, names: list[str]) -> list[Tensor]:
    """Channel means after each place, float64 (N, C)."""
    kept: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda _in, out: kept.__setitem__(name, out.mean((2, 3)).cpu().double())

    with watching(net, {name: keep(name) for name in names}):
        net(x)
    return [kept[name] for name in names]


class _Sums:
    """What linear discriminant analysis needs of any number of features."""

    def __init__(self, channels: int, classes: int) -> None:
        self.counts = torch.zeros(classes, dtype=torch.float64)
        self.sums = torch.zeros(classes, channels, dtype=torch.float64)
        self.products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, features: Tensor, labels: Tensor) -> None:
        self.counts += torch.bincount(labels, minlength=len(self.counts)).double()
        self.sums.index_add_(0, labels, features)
        self.products += features.T @ features

    def solve(self) -> tuple[Tensor, Tensor]:
        """Weights (C, classes) and biases (classes,) of the logits; classes equally probable."""
        means = self.sums / self.counts.clamp(min=1)[:, None]
        within = self.products - (means * self.counts[:, None]).T @ means
        within /= (self.counts.sum() - (self.counts > 0).sum()).clamp(min=1)
        mean_variance = within.diagonal().mean().clamp(min=1e-12)
        identity = torch.eye(len(within), dtype=torch.float64)
        metric = (1 - SHRINKAGE) * within + SHRINKAGE * mean_variance * identity
        weights = torch.linalg.solve(metric, means.T)
        bias = -0.5 * (means * weights.T).sum(1)
        bias[self.counts == 0] = -torch.inf  # a class without images is never read
        return weights, bias


FORMING_COLUMNS = ("place", "stage", "block", "depth", "source", "index", "probability", "accuracy")


def forming(net: Net, x: Tensor, readouts: Readouts | None = None) -> pd.DataFrame:
    """Class probabilities after each place for one image (1, 3, H, W): a row a place and class.

    Columns: place, stage, block, depth (weighted layers passed), source (`head`: the net's own
    classifier; `readout`: the fitted one), index of the class, probability, and accuracy of the
    readout in percent (nan for the head).

    Args:
        net: one of ours.
        x: normalised.
        readouts: of this net; None: the head only.
    """
    found = places(net)
    stages: dict[str, BlockInfo] = {info.name: info for info in blocks(net.spec)}
    features = _pooled(net, x, [place.name for place in found])
    heads = _head_logits(net, x, [place.name for place in found if place.has_head])
    parts = []
    for at, (place, pooled) in enumerate(zip(found, features, strict=True)):
        info = stages.get(place.name)
        for source, logits, accuracy in _readings(heads, place, pooled[0], readouts, at):
            parts.append(
                pd.DataFrame(
                    {
                        "place": place.name,
                        "stage": info.stage if info else 0,
                        "block": info.block if info else 0,
                        "depth": place.depth,
                        "source": source,
                        "index": np.arange(net.spec.classes),
                        "probability": torch.softmax(logits, 0).numpy(),
                        "accuracy": accuracy,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)[list(FORMING_COLUMNS)]


def _head_logits(net: Net, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """By place, what the net's own end (a last BN and ReLU, where it has them, and the head) makes
    of its output: float64 (classes,)."""
    kept: dict[str, Tensor] = {}

    def classify(name: str):
        return lambda _in, out: kept.__setitem__(name, net.classify(out)[0].cpu().double())

    with watching(net, {name: classify(name) for name in names}):
        net(x)
    return kept


def _readings(
    heads: dict[str, Tensor], place: Place, pooled: Tensor, readouts: Readouts | None, at: int
):
    if place.has_head:
        yield "head", heads[place.name], np.nan
    if readouts is not None:
        weights = torch.from_numpy(readouts.weights[at]).double()
        bias = torch.from_numpy(readouts.biases[at]).double()
        yield "readout", pooled @ weights + bias, float(readouts.accuracy[at])


def _stamp(run: Run) -> str:
    info = run.config.images
    parts = "readouts 2", TRAIN, TEST, SHRINKAGE, info.fingerprint if info else ""
    return store.stamp_of(run, *parts)


def read_readouts(run: Run) -> Readouts | None:
    """The run's readouts, where they were fitted; needs no images."""
    return store.read(run, "readouts", _stamp(run), Readouts.from_arrays)


def make_readouts(
    run: Run,
    net: Net,
    normalizer: Normalizer,
    progress: Progress | None = None,
    source: tuple[Images, Origin] | None = None,
) -> Readouts:
    """Fit a run's readouts, and keep them.

    Args:
        run: any run with weights.
        net: its net.
        normalizer: its net's.
        progress: called after each batch.
        source: from `images_of`; None: the run's own.

    Raises:
        DataError: as `images_of`.
        RunError: they can be kept nowhere.
    """
    images, origin = source or images_of(run)
    fitted = fit_readouts(net, images.subset(train=TRAIN, test=TEST), normalizer, progress)
    made = replace(fitted, origin=origin)
    store.write(run, "readouts", _stamp(run), made.arrays())
    return made
