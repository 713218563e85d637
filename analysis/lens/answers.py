"""What nets answer about one image, and what can be said of it without torch.

The questions are in `activations` and `attribution`; the pages put them by `asking`, so that they
read these without loading torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.specs import NetSpec
from analysis.specs.plan import BlockInfo, LayerInfo, layers

Method = Literal[
    "saliency",
    "integrated_gradients",
    "grad_cam",
    "guided_grad_cam",
    "occlusion",
    "layer_conductance",
]

WINDOW, STRIDE = 6, 3
"""Of occlusion, in pixels of 32: 100 passes. With 4 and 2 they are 225, for maps in which one sees
the same."""


@dataclass(frozen=True, eq=False)
class Probe:
    """One image's way through a net."""

    probabilities: np.ndarray
    """(classes,) float64, the softmax of the logits."""
    responses: pd.DataFrame
    """The `responses` table, of this image alone: std over a layer's channels and positions."""
    refinement: pd.DataFrame
    """The `refinement` table, of this image alone; empty for plain nets."""


def top_classes(probabilities: np.ndarray, classes: tuple[str, ...], k: int = 5) -> pd.DataFrame:
    """The k most probable classes: columns rank (from 1), index, class, probability."""
    order = np.argsort(-probabilities, kind="stable")[:k]
    names = [classes[i] if i < len(classes) else str(i) for i in order]
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "index": order,
            "class": names,
            "probability": probabilities[order],
        }
    )


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """A layer's feature maps, float32 (C, H, W) each."""

    layer: LayerInfo
    before: np.ndarray
    """The response: the BN's output, before ReLU and addition (section 4.2); of a layer without a
    BN its own output. A pre-activation layer's BN is the one before it: these are its inputs."""
    after: np.ndarray
    """What the ReLU gives. A residual block's last layer has its shortcut added before that; where
    there is no ReLU (a projection, a pre-activation net's stem) this is `before`."""


def mapped_layers(net: NetSpec) -> list[LayerInfo]:
    """The layers that have feature maps, in forward order: not a linear one without a BN."""
    return [layer for layer in layers(net) if layer.response or layer.role != "head"]


def channel_table(maps: np.ndarray) -> pd.DataFrame:
    """A row a channel of maps (C, H, W): mean, std, extremes, percent of positions above zero."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    return pd.DataFrame(
        {
            "channel": np.arange(len(flat)),
            "mean": flat.mean(1),
            "std": flat.std(1),
            "min": flat.min(1),
            "max": flat.max(1),
            "positive_percent": 100 * (flat > 0).mean(1),
        }
    )


@dataclass(frozen=True, eq=False)
class BlockParts:
    """What a block makes of one image, float32 (C, H, W) each; in the order of computation."""

    info: BlockInfo
    x: np.ndarray
    """The block's input as the shortcut hands it on: the input itself, or padded or projected.
    Of a plain block, whose input may have another shape, the input itself."""
    f: np.ndarray
    """F(x): the last BN's output; a pre-activation block's last convolution's."""
    total: np.ndarray
    """x + F(x); F(x) in plain blocks."""
    out: np.ndarray
    """The block's output H(x): after the last ReLU; `total` where there is none."""

    @property
    def ratio(self) -> float:
        """rms(F) / rms(x): the size of the refinement; nan where x is zero or of another shape."""
        if self.info.shortcut == "none":
            return float("nan")
        rms_x = _rms(self.x)
        return _rms(self.f) / rms_x if rms_x else float("nan")

    @property
    def cosine(self) -> float:
        """Of x and x + F(x): 1 where the block changes no direction."""
        a, b = self.x.astype(np.float64).ravel(), self.total.astype(np.float64).ravel()
        if self.info.shortcut == "none":
            return float("nan")
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / lengths if lengths else float("nan")

    @property
    def ratio_map(self) -> np.ndarray:
        """The same at each position, over channels: float64 (H, W); nan where x is zero."""
        x, f = (np.sqrt(np.square(part, dtype=np.float64).mean(0)) for part in (self.x, self.f))
        return np.divide(f, x, out=np.full_like(f, np.nan), where=x > 0)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@dataclass(frozen=True, eq=False)
class StageRow:
    """The strongest channels at the end of a stage."""

    stage: int
    """From 1."""
    block: str
    """The stage's last block."""
    channels: np.ndarray
    """Their indices, the one with the largest std first."""
    maps: np.ndarray
    """The block's output, float32 (k, H, W)."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each pixel counts for one class."""

    method: Method
    target: int
    layer: str
    """Of the methods that look at one; empty for the others."""
    values: np.ndarray
    """float32 (H, W) of the input: summed over colours, or over channels and scaled up."""
    signed: bool
    """Whether negative values mean evidence against the class; else all are >= 0."""
    delta: float | None
    """How far the method's sum is from what it should explain, f(x) - f(baseline); None where the
    method promises no such sum."""
    total: float | None
    """What the values should sum to, f(x) - f(baseline), in logits; None as `delta`."""


def layered(method: str) -> bool:
    """Whether a method looks at a layer of choice."""
    return method in ("grad_cam", "guided_grad_cam", "layer_conductance")


def patch(size: int) -> tuple[int, int]:
    """Side and stride of occlusion's patch for an input of so many pixels.

    In proportion to the input, so that one of 224 pixels takes 100 passes too, not 5,476.
    """
    scale = max(size // 32, 1)
    return WINDOW * scale, STRIDE * scale
