"""One image file to RGB pixels, or the reason why not. Used by image folders; knows no layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from analysis.errors import DataError
from analysis.pictures import FORMATS

MAX_PIXELS = 64_000_000
"""An image that claims more is refused before it is decoded: 64 megapixels are 192 MB."""


def decode(path: Path, size: int, resize: bool) -> np.ndarray:
    """The image as uint8 (size, size, 3).

    Turned upright by its EXIF orientation; transparent parts become white; grey and CMYK become
    RGB, 16-bit grey 8-bit. With `resize` the shorter side is scaled to size and the centre cut
    out (bicubic); without, any other size is refused.

    Raises:
        DataError: says why, as the rest of a sentence that begins with the file.
    """
    try:
        with Image.open(path, formats=(*FORMATS, "PPM", "TIFF")) as image:
            _check_size(image, size, resize)
            if resize:
                # JPEG can decode at 1/2, 1/4 or 1/8: much faster for photographs.
                image.draft(None, (2 * size, 2 * size))
            upright = ImageOps.exif_transpose(image)
            rgb = _to_rgb(upright, widened=image.format == "PPM")
        if rgb.size != (size, size):
            rgb = ImageOps.fit(rgb, (size, size), Image.Resampling.BICUBIC)
        return np.asarray(rgb)
    except DataError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError("has more than {most} megapixels", most=MAX_PIXELS // 10**6) from error
    except Exception as error:  # foreign bytes: Pillow's decoders raise nearly anything
        raise DataError(
            "can't be read as an image ({reason})", reason=_first_line(error, path)
        ) from error


def _check_size(image: Image.Image, size: int, resize: bool) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            "has {width}x{height} pixels, more than {most} megapixels",
            width=width,
            height=height,
            most=MAX_PIXELS // 10**6,
        )
    if not resize and (width, height) != (size, size):
        raise DataError(
            "is {width}x{height} pixels, not {size}x{size}; --resize {size} resizes all images",
            width=width,
            height=height,
            size=size,
        )


def _to_rgb(image: Image.Image, widened: bool = False) -> Image.Image:
    """`widened`: of mode "I", whether it had 16 bits, as Pillow reads a PGM of so many."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and widened):
        return grey_of_16_bits(image).convert("RGB")
    if image.mode in ("I", "F"):
        raise DataError(
            "has 32-bit pixels (mode {mode}); save it with 8 bits a channel", mode=image.mode
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def grey_of_16_bits(image: Image.Image, shift: int = 8) -> Image.Image:
    """Grey of 8 bits; the grey that stands for "nothing here", if one does, becomes white.

    Args:
        image: one channel of whole numbers.
        shift: bits to leave out at the end.
    """
    values = np.asarray(image)
    grey = (values >> shift).clip(0, 255).astype(np.uint8)
    clear = image.info.get("transparency")
    return Image.fromarray(
        np.where(values == clear, np.uint8(255), grey) if clear is not None else grey
    )


def _first_line(error: Exception, path: Path) -> str:
    known = str(error).replace(f"image file {str(path)!r}", "image file")
    message = known.replace(repr(str(path)), "the file").splitlines()
    return message[0] if message else type(error).__name__
