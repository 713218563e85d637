"""A stranger's bytes to RGB pixels in bounded memory, or the reason why not in words.

The header's size is checked before anything is decoded, only the first frame of an animation is,
and what is kept is at most KEEP pixels a side. Knows nothing of nets, pages or sessions.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from analysis.errors import DataError
from analysis.pictures import FORMATS, MAX_BYTES, MAX_PIXELS
from analysis.pictures.decoding import grey_of_16_bits
from analysis.text import Message

MAX_JPEG_PIXELS = 89_000_000
"""Of a JPEG that can be decoded at 1/8 of its size (not a progressive one)."""
MIN_SIDE = 8
KEEP = 1024
"""Longer side of what is kept, in pixels."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that was read."""

    name: str
    rgb: np.ndarray
    """uint8 (H, W, 3), upright, neither side above KEEP."""
    size: tuple[int, int]
    """Width and height of the file's image in pixels."""
    notes: tuple[Message, ...] = ()
    """What was done to it that its owner may not expect, as sentences."""

    @property
    def digest(self) -> str:
        """Of the pixels: a key for caches."""
        return pixel_digest(self.rgb)


def pixel_digest(rgb: np.ndarray) -> str:
    """16 hex digits that differ whenever the pixels or their arrangement do."""
    return hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()[:16]


def read_image(
    data: bytes, name: str, most_bytes: int = MAX_BYTES, most_pixels: int = MAX_PIXELS
) -> Picture:
    """The image in a file's bytes.

    Turned upright by its EXIF orientation; transparent parts become white; grey and CMYK become
    RGB, 16 bits a channel become 8; of an animation the first frame. Whatever of this happened is
    in `notes`.

    Args:
        data: the file.
        name: it, as its owner calls it.
        most_bytes: of the file.
        most_pixels: of an image; where it is MAX_PIXELS, a JPEG that need not be decoded whole
            may have MAX_JPEG_PIXELS.

    Raises:
        DataError: not an image, not whole, too small or too large; the message begins with `name`.
    """
    _check_bytes(data, name, most_bytes)
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            size = image.size
            _check_size(image, name, most_pixels)
            if image.format in ("JPEG", "MPO"):
                image.draft(None, (2 * KEEP, 2 * KEEP))  # decodes at 1/2, 1/4 or 1/8
            notes = _notes(image)
            rgb = _to_rgb(ImageOps.exif_transpose(_small(image)))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, _claimed_size(data), most_pixels) from None
    except (OSError, SyntaxError) as error:
        raise _unreadable(name, error) from None
    except Exception as error:  # foreign bytes: Pillow's decoders raise nearly anything
        raise _damaged(name, type(error).__name__) from error
    return Picture(name, np.ascontiguousarray(rgb), size, notes)


def _check_bytes(data: bytes, name: str, most: int) -> None:
    if not data:
        raise DataError("{name} is empty (0 bytes). Choose another file.", name=name)
    if len(data) > most:
        raise DataError(
            "{name} has {size} MB; the most is {most} MB. Save it smaller.",
            name=name,
            size=len(data) // 10**6,
            most=most // 10**6,
        )
    if _is_svg(data):
        raise DataError(
            "{name} is an SVG drawing, not pixels, and nothing in it is executed here. "
            "Export it as PNG.",
            name=name,
        )
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        raise DataError(
            "{name} is HEIC or AVIF, which can't be read here. Save it as JPEG or PNG.",
            name=name,
        )


_SVG = re.compile(
    rb"(?>\xef\xbb\xbf)?+"  # a byte order mark
    rb"(?>\s++|<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*+(?>\[.*?\]\s*+)?+>)*+"
    rb"<(?:[\w-]++:)?svg[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
"""Up to an SVG's first tag. Nothing in it is tried twice, so no file can make it slow."""


def _is_svg(data: bytes) -> bool:
    """Whether the root element is an SVG drawing's, whatever stands before it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", "ignore").encode()
    return _SVG.match(data) is not None


def _claimed_size(data: bytes) -> str | Message:
    """Width and height in the header of an image that Pillow refuses to open."""
    for kind in FORMATS:
        open_header, accepts = Image.OPEN[kind]
        if accepts is not None and accepts(data[:16]) is True:
            with suppress(Exception), open_header(BytesIO(data), "") as image:
                return f"{image.width} x {image.height}"
    return Message("more than 89 million")


def _check_size(image: Image.Image, name: str, most: int) -> None:
    width, height = image.size
    scales = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    if width * height > (MAX_JPEG_PIXELS if scales and most >= MAX_PIXELS else most):
        raise _too_large(name, f"{width} x {height}", most)
    if min(width, height) < MIN_SIDE:
        raise DataError(
            "{name} has {width} x {height} pixels: too small to show anything. "
            "At least {least} x {least} are needed.",
            name=name,
            width=width,
            height=height,
            least=MIN_SIDE,
        )


def _too_large(name: str, pixels: str | Message, most: int) -> DataError:
    return DataError(
        "{name} claims {pixels} pixels, too many to decode safely: the most is {most} megapixels. "
        "Save it smaller.",
        name=name,
        pixels=pixels,
        most=most // 10**6,
    )


def _unreadable(name: str, error: Exception) -> DataError:
    if isinstance(error, Image.UnidentifiedImageError):
        return DataError(
            "{name} is not an image that can be read here. PNG, JPEG, WebP, BMP and GIF can.",
            name=name,
        )
    if "truncated" in str(error).lower() or "broken" in str(error).lower():
        return DataError(
            "{name} is cut short: a part of the file is missing. Copy it again.", name=name
        )
    return _damaged(name, str(error) or type(error).__name__)


def _damaged(name: str, reason: str) -> DataError:
    return DataError(
        "{name} is damaged: it can't be decoded as an image ({reason}).", name=name, reason=reason
    )


def _notes(image: Image.Image) -> tuple[Message, ...]:
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append(Message("It is animated: this is its first frame."))
    if image.has_transparency_data:
        notes.append(Message("Transparent parts are shown over white."))
    if image.mode == "CMYK":
        notes.append(Message("Its CMYK colours were converted to RGB without a colour profile."))
    if image.mode.startswith("I"):
        notes.append(Message("16 bits a pixel were reduced to 8."))
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I"):
        notes.append(Message("It is grey: red, green and blue are equal."))
    if image.getexif().get(0x0112, 1) != 1:
        notes.append(Message("It was turned upright as its EXIF orientation says."))
    return tuple(notes)


def _small(image: Image.Image) -> Image.Image:
    """The first frame, decoded, at most KEEP pixels a side.

    Palettes and bits can't be averaged, so those are converted first.
    """
    image.load()
    if max(image.size) <= KEEP:
        return image
    factor = -(-max(image.size) // (2 * KEEP))
    if factor > 1 and image.mode in ("RGB", "RGBA", "L", "CMYK", "I;16"):
        exif = image.info.get("exif")
        image = image.reduce(factor)  # averages boxes: no copy of the whole at full size
        if exif:
            image.info["exif"] = exif
    return image


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        wide = image.mode.startswith("I;16") or np.asarray(image).max(initial=0) > 255
        image = grey_of_16_bits(image, 8 if wide else 0)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert("RGB")
    image.thumbnail((KEEP, KEEP), Image.Resampling.BICUBIC)
    return np.asarray(image)
