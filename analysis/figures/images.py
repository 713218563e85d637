"""Arrays to pictures: feature maps tiled on one colour scale, attributions as overlays.

Tiles are made as pixels, not as heatmaps: 64 of those take a browser seconds. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Literal

import numpy as np

Scale = Literal["signed", "positive"]

_ANCHORS: dict[Scale, tuple[str, ...]] = {
    "signed": ("#053061", "#2f79b5", "#9bc9e0", "#f5f5f3", "#f3a582", "#c6413e", "#67001f"),
    "positive": ("#0b0724", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf"),
}
"""Blue - white - red for values of both signs; dark to bright for values from 0."""

GAP = 1
"""Pixels between tiles, before they are enlarged."""


@cache
def _table(scale: Scale) -> np.ndarray:
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _ANCHORS[scale]])
    at = np.linspace(0, len(anchors) - 1, 256)
    columns = [np.interp(at, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    return np.stack(columns, 1).round().astype(np.uint8)


def colour_scale(scale: Scale) -> list[str]:
    """The same colours for a plotly colour bar."""
    return list(_ANCHORS[scale])


def scale_of(*maps: np.ndarray) -> Scale:
    """`positive` where nothing is below zero."""
    return "signed" if min(float(m.min(initial=0)) for m in maps) < 0 else "positive"


def limit_of(*maps: np.ndarray) -> float:
    """Where a shared colour scale ends: the largest absolute value, at least 1e-12."""
    return max(*(float(np.abs(m).max(initial=0)) for m in maps), 1e-12)


def coloured(values: np.ndarray, limit: float, scale: Scale) -> np.ndarray:
    """Values of any shape to uint8 (..., 3); from -limit (signed) or 0 (positive) to limit."""
    low = -limit if scale == "signed" else 0.0
    index = ((values - low) / (limit - low) * 255).clip(0, 255)
    return _table(scale)[np.nan_to_num(index).round().astype(np.uint8)]


def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel as a square: nearest neighbour, so that nothing is smoothed over."""
    return pixels.repeat(factor, 0).repeat(factor, 1)


@dataclass(frozen=True, eq=False)
class Tiles:
    """Feature maps in rows, as one picture."""

    pixels: np.ndarray
    """uint8 (H, W, 3)."""
    centres: np.ndarray
    """float (C, 2): x and y of each tile's centre in pixels, in the order given."""


def tile(
    maps: np.ndarray, limit: float, scale: Scale, columns: int | None = None, least: int = 420
) -> Tiles:
    """Maps (C, h, w) in rows, on one colour scale, enlarged to a width of at least `least`."""
    count, height, width = maps.shape
    columns = columns or columns_for(count)
    rows = ceil(count / columns)
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 128, np.uint8)
    centres = np.empty((count, 2))
    for index, values in enumerate(coloured(maps, limit, scale)):
        row, column = divmod(index, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        canvas[top : top + height, left : left + width] = values
        centres[index] = left + width / 2, top + height / 2
    factor = max(ceil(least / canvas.shape[1]), 1)
    return Tiles(enlarged(canvas, factor), centres * factor)


def columns_for(count: int) -> int:
    """Twice as wide as high, or so."""
    return min(max(round((2 * count) ** 0.5), 1), count)


def overlaid(
    rgb: np.ndarray, values: np.ndarray, opacity: float, scale: Scale, limit: float | None = None
) -> np.ndarray:
    """A map (H, W) over an image uint8 (H, W, 3) in grey; 0 shows the image alone."""
    height, width = rgb.shape[:2]
    if values.shape != (height, width):
        values = resized(values, height, width)
    grey = rgb.astype(np.float64).mean(2, keepdims=True)
    base = rgb if opacity == 0 else np.repeat(grey, 3, 2)
    over = coloured(values, limit or limit_of(values), scale)
    return ((1 - opacity) * base + opacity * over).round().astype(np.uint8)


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map (h, w) at another size, nearest neighbour."""
    rows = np.arange(height) * values.shape[0] // height
    columns = np.arange(width) * values.shape[1] // width
    return values[rows][:, columns]


def row_of(pictures: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """Pictures of one height beside each other."""
    space = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (space, picture)][1:]
    return np.concatenate(parts, 1)
