"""How a picture becomes a net's small square input: where it is cut, and the pixels that result.

Knows pictures as arrays, nothing of files or nets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

How = Literal["centre", "whole", "square"]
LEAST = 0.05
"""Smallest side of a square that is drawn, as a fraction of the picture's shorter side."""


@dataclass(frozen=True)
class Crop:
    """Where to cut, in fractions of the picture, so that it means the same at any resolution."""

    how: How = "centre"
    """`centre`: the largest square in the middle; `whole`: all of it, with black bars; `square`:
    the one that the other fields give."""
    size: float = 1.0
    """`square` only: its side as a fraction of the picture's shorter side, above 0 to 1."""
    left: float = 0.5
    """`square` only: 0 at the left edge, 1 at the right, 0.5 in the middle."""
    top: float = 0.5
    """`square` only: 0 at the upper edge, 1 at the lower."""

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels; beyond the picture where there will be bars."""
        if self.how == "whole":
            side = float(max(width, height))
            left, top = (width - side) / 2, (height - side) / 2
        else:
            size, x, y = (1.0, 0.5, 0.5) if self.how == "centre" else self._fractions()
            side = size * min(width, height)
            left, top = x * (width - side), y * (height - side)
        return left, top, left + side, top + side

    @classmethod
    def of_box(cls, left: float, top: float, side: float, width: int, height: int) -> Crop:
        """The square of a picture with these edges in pixels; moved and shrunk to fit into it."""
        shorter = min(width, height)
        side = min(max(side, LEAST * shorter), shorter)
        across, down = width - side, height - side
        return cls(
            "square",
            side / shorter,
            min(max(left / across, 0), 1) if across else 0.5,
            min(max(top / down, 0), 1) if down else 0.5,
        )

    def _fractions(self) -> tuple[float, float, float]:
        return min(max(self.size, 0.01), 1.0), min(max(self.left, 0), 1), min(max(self.top, 0), 1)


def to_input(rgb: np.ndarray, crop: Crop, size: int = 32) -> np.ndarray:
    """The net's input pixels: uint8 (H, W, 3) -> uint8 (size, size, 3).

    Scaled with Pillow's bicubic filter, which averages when it shrinks. Bars are black: so are
    the borders of training's padded crops (section 4.2), so a net has seen them. A picture that
    is already size x size comes back pixel for pixel.
    """
    height, width = rgb.shape[:2]
    image = Image.fromarray(rgb)
    box = crop.box(width, height)
    if crop.how != "whole" or width == height:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
    scale = size / max(width, height)
    inner = max(round(width * scale), 1), max(round(height * scale), 1)
    canvas = Image.new("RGB", (size, size))
    corner = (size - inner[0]) // 2, (size - inner[1]) // 2
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), corner)
    return np.asarray(canvas)
