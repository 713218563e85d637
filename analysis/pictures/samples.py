"""Pictures to begin with: photographs that an installed library bundles, and drawings of our own.

Nothing is downloaded and nothing is committed. The images of a run's data set are `load_images`'
business.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from analysis.pictures.uploads import Picture
from analysis.text import _

PHOTOGRAPHS = ("china", "flower")
DRAWINGS = ("ship", "aeroplane", "stripes", "disc", "noise")
SIZE = 256


def sample_names() -> tuple[str, ...]:
    """The names that `sample` takes."""
    return PHOTOGRAPHS + DRAWINGS


def sample_title(name: str) -> str:
    """What a page calls it."""
    titles = {
        "china": _("Temple (photograph)"),
        "flower": _("Flower (photograph)"),
        "ship": _("Ship (drawn)"),
        "aeroplane": _("Aeroplane (drawn)"),
        "stripes": _("Stripes (drawn)"),
        "disc": _("Disc (drawn)"),
        "noise": _("Noise (drawn)"),
    }
    return titles[name]


def sample_classes(name: str) -> tuple[str, ...]:
    """What data sets call the class that it shows; empty where it shows none."""
    return {"ship": ("ship",), "aeroplane": ("airplane", "aeroplane")}.get(name, ())


def sample(name: str) -> Picture:
    """The picture of that name.

    Raises:
        KeyError: none of `sample_names()`.
    """
    rgb = _photograph(name) if name in PHOTOGRAPHS else _DRAW[name]()
    return Picture(sample_title(name), rgb, (rgb.shape[1], rgb.shape[0]))


@cache
def _photograph(name: str) -> np.ndarray:
    from sklearn.datasets import load_sample_image

    return np.asarray(load_sample_image(f"{name}.jpg"))


def _sky_and(draw_on) -> np.ndarray:
    scale = 4  # drawn large and shrunk: smooth edges
    side = SIZE * scale
    rows = np.linspace(0, 1, side)[:, None, None]
    sky = (1 - rows) * np.array([96, 150, 214]) + rows * np.array([206, 226, 242])
    image = Image.fromarray(np.broadcast_to(sky, (side, side, 3)).astype(np.uint8))
    draw_on(ImageDraw.Draw(image), side)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX))


def _ship() -> np.ndarray:
    def draw_on(draw: ImageDraw.ImageDraw, s: int) -> None:
        draw.rectangle((0, 0.68 * s, s, s), fill=(32, 82, 128))
        hull = [(0.1, 0.6), (0.9, 0.6), (0.8, 0.76), (0.2, 0.76)]
        draw.polygon([(x * s, y * s) for x, y in hull], fill=(150, 34, 34))
        draw.rectangle((0.3 * s, 0.46 * s, 0.66 * s, 0.6 * s), fill=(240, 240, 236))
        draw.rectangle((0.42 * s, 0.3 * s, 0.5 * s, 0.46 * s), fill=(40, 40, 44))
        for x in (0.34, 0.43, 0.52):
            draw.rectangle((x * s, 0.5 * s, (x + 0.05) * s, 0.55 * s), fill=(70, 110, 150))

    return _sky_and(draw_on)


def _aeroplane() -> np.ndarray:
    def draw_on(draw: ImageDraw.ImageDraw, s: int) -> None:
        draw.ellipse((0.08 * s, 0.42 * s, 0.92 * s, 0.56 * s), fill=(236, 238, 242))
        for shape in (
            [(0.46, 0.48), (0.6, 0.48), (0.44, 0.8), (0.36, 0.8)],
            [(0.46, 0.48), (0.58, 0.48), (0.46, 0.26), (0.4, 0.26)],
            [(0.1, 0.48), (0.22, 0.46), (0.12, 0.28), (0.06, 0.28)],
        ):
            draw.polygon([(x * s, y * s) for x, y in shape], fill=(178, 186, 198))
        for x in np.linspace(0.3, 0.8, 9):
            draw.ellipse((x * s, 0.46 * s, (x + 0.02) * s, 0.48 * s), fill=(60, 84, 120))

    return _sky_and(draw_on)


def _stripes() -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    wave = 127.5 + 127.5 * np.sin((x + y) * 2 * np.pi / (SIZE / 6))
    return np.repeat(wave.astype(np.uint8)[..., None], 3, axis=2)


def _disc() -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    inside = (x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2 < (0.32 * SIZE) ** 2
    rgb = np.where(inside[..., None], np.array([206, 60, 44]), np.array([226, 226, 220]))
    return rgb.astype(np.uint8)


def _noise() -> np.ndarray:
    noise = np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8)
    return noise.repeat(SIZE // 32, 0).repeat(SIZE // 32, 1)


_DRAW = {
    "ship": _ship,
    "aeroplane": _aeroplane,
    "stripes": _stripes,
    "disc": _disc,
    "noise": _noise,
}
