"""What the lens learned of a run in a pass over images, as it is kept and read again.

Passes are in `lens/`; reading their results needs no torch, so that pages and the site open without
it. `store` keeps the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.errors import SpecError
from analysis.runs import store
from analysis.runs.reader import Run
from analysis.specs import DataSpec

PROBE = 256
"""Test images that a lesion is tried on, class-balanced."""
DRAWS = 8
"""Random choices of k blocks."""
SWAPS = 30
"""Pairs of blocks that are swapped at most, drawn at random."""
TRAIN, TEST = 3000, 1000
"""Images that readouts are fitted on, and that their accuracy is counted on."""
SHRINKAGE = 0.01
"""Part of the mean variance in the scatter matrix, so that dead channels do no harm."""
IMAGES = 512
"""Test images that two nets are compared on, class-balanced."""
BATCH = 64
"""Images whose Gram matrices are compared; an estimate needs at least 4."""


@dataclass(frozen=True)
class Origin:
    """Where the images of a pass came from."""

    data: DataSpec
    fingerprint: str
    """Of the images, not of their place."""

    @property
    def data_here(self) -> DataSpec:
        """`data` with its folder on this machine, where somebody named another than it had."""
        return self.data.on_this_machine(self.fingerprint)

    @property
    def is_at_hand(self) -> bool:
        """Whether they are on this machine, so that nothing would be downloaded."""
        return self.data_here.is_at_hand

    def is_own(self, run: Run) -> bool:
        """Whether they are what the run was trained on, wherever they lie."""
        info = run.config.images
        return info is not None and info.fingerprint == self.fingerprint

    def text(self) -> str:
        """One line, for a file."""
        return json.dumps({**self.data.to_dict(), "fingerprint": self.fingerprint})

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """What `text` gave; None where nothing is known."""
        try:
            values = json.loads(text)
            return cls(DataSpec.from_dict(values), str(values["fingerprint"]))
        except (ValueError, KeyError, TypeError, SpecError):
            return None


@dataclass(frozen=True, eq=False)
class Lesions:
    """Errors in percent of the test images, of a net with and without its blocks."""

    names: tuple[str, ...]
    """All blocks in forward order."""
    intact: float
    """Without a lesion."""
    single: np.ndarray
    """float64 (blocks,): when this block alone is removed; NaN where it can't be."""
    counts: np.ndarray
    """int64 (K,): how many random blocks are removed at once."""
    several: np.ndarray
    """float64 (K, DRAWS): the error for each draw."""
    swaps: np.ndarray
    """int64 (S, 2): which two blocks are swapped, as indices of `names`."""
    swapped: np.ndarray
    """float64 (S,): the error then."""
    n_images: int = 0
    origin: Origin | None = None
    """Of the images; None where they are nobody's data set."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields, for a file."""
        origin = self.origin.text() if self.origin else ""
        fields = {**self.__dict__, "names": np.array(self.names), "origin": origin}
        return {name: np.asarray(value) for name, value in fields.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Lesions:
        """What `arrays` gave."""
        fields: dict[str, Any] = {
            **arrays,
            "names": tuple(str(name) for name in arrays["names"]),
            "intact": float(arrays["intact"]), "n_images": int(arrays["n_images"]),
            "origin": Origin.parse(str(arrays["origin"])),
        }  # fmt: skip
        return cls(**fields)


def read_lesions(run: Run, whole: bool = False) -> Lesions | None:
    """The run's lesions, where they were tried: on all test images, else (unless whole) a probe."""
    for n in (None,) if whole else (None, PROBE):
        found = store.read(run, *lesions_entry(run, n), Lesions.from_arrays)
        if found:
            return found
    return None


def lesions_entry(run: Run, n: int | None) -> tuple[str, str]:
    """(name, stamp) in the store of lesions on n images; None: on all."""
    stamp = store.stamp_of(run, "lesions 1", n, DRAWS, SWAPS, _fingerprint(run))
    return "lesions" if n else "lesions_all", stamp


@dataclass(frozen=True)
class Lesion:
    """What is done to a net's blocks."""

    strengths: Mapping[str, float] = field(default_factory=dict)
    """alpha, 0 to 1, by block name; 1 for those that are not named."""
    swapped: tuple[str, str] | None = None
    """Two blocks of equal shape that change places."""


@dataclass(frozen=True)
class Effect:
    """What one lesion does to a net's predictions."""

    wrong: float
    """Percent of the images, under the lesion."""
    intact: float
    """Percent of the images, without it."""
    changed: float
    """Percent of the images that get another prediction."""
    n_images: int

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields, for a file."""
        return {name: np.array(value) for name, value in self.__dict__.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Effect:
        """What `arrays` gave."""
        shares = (float(arrays[name]) for name in ("wrong", "intact", "changed"))
        return cls(*shares, int(arrays["n_images"]))


def read_effect(run: Run, lesion: Lesion) -> Effect | None:
    """What a lesion does over all test images of a run's data, where that was found out."""
    return store.read(run, *effect_entry(run, lesion), Effect.from_arrays)


def effect_entry(run: Run, lesion: Lesion) -> tuple[str, str]:
    """(name, of what was done to which blocks, stamp) in the store."""
    done = sorted((name, strength) for name, strength in lesion.strengths.items() if strength != 1)
    digest = hashlib.sha256(repr((done, lesion.swapped)).encode()).hexdigest()[:12]
    return f"lesion_{digest}", store.stamp_of(run, "effect 1", digest, _fingerprint(run))


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


def read_readouts(run: Run) -> Readouts | None:
    """The run's readouts, where they were fitted; needs no images."""
    return store.read(run, *readouts_entry(run), Readouts.from_arrays)


def readouts_entry(run: Run) -> tuple[str, str]:
    """(name, stamp) in the store."""
    parts = "readouts 2", TRAIN, TEST, SHRINKAGE, _fingerprint(run)
    return "readouts", store.stamp_of(run, *parts)


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


def read_similarity(first: Run, second: Run) -> Similarity | None:
    """What was kept of two runs, in this order."""
    return store.read(first, *similarity_entry(first, second), Similarity.from_arrays)


def similarity_entry(first: Run, second: Run) -> tuple[str, str]:
    """(name, stamp) in the first run's store."""
    other = store.stamp_of(second)
    stamp = store.stamp_of(first, "similarity 1", IMAGES, BATCH, other, _fingerprint(first))
    return similarity_name(second), stamp


def similarity_name(second: Run) -> str:
    """What the comparison with another run is called where it is kept."""
    return f"similarity_{second.id}"


def _fingerprint(run: Run) -> str:
    return run.config.images.fingerprint if run.config.images else ""


SURVEYED = 2000
"""Test images of a survey, class-balanced."""
TOP = 9
"""Exemplars a channel."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


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


def read_survey(run: Run, n: int = SURVEYED) -> Survey | None:
    """The run's survey, where one was made; needs no images."""
    return store.read(run, *survey_entry(run, n), Survey.from_arrays)


def survey_entry(run: Run, n: int) -> tuple[str, str]:
    """A survey's name and stamp."""
    info = run.config.images
    return "survey", store.stamp_of(run, "survey 2", n, TOP, info.fingerprint if info else "")


def distribution(found: Survey) -> dict[str, np.ndarray]:
    """By column: a value a layer of the per-image std: mean, and q05 to q95 its quantiles."""
    columns = {"mean": found.stds.mean(0, dtype=np.float64)}
    quantiles = np.quantile(found.stds.astype(np.float64), QUANTILES, axis=0)
    for level, values in zip(QUANTILES, quantiles, strict=True):
        columns[f"q{round(100 * level):02d}"] = values
    return columns
