"""Files that people upload by mistake or on purpose, made in memory."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 60, height: int = 40) -> Image.Image:
    """Something with edges and colours."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    rgb = np.stack([x, y, 255 - x], axis=2).astype(np.uint8)
    rgb[: height // 2, : width // 2] = (250, 20, 20)
    return Image.fromarray(rgb)


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size; its pixels are a stream of zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def animation(frames: int = 1000) -> bytes:
    """A GIF whose first frame is red and whose others are not."""
    red = Image.new("P", (16, 16), 1)
    red.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255] + [0] * 759)
    others = [Image.new("P", (16, 16), 2 * (i % 2)) for i in range(frames - 1)]
    for other in others:
        other.putpalette(red.getpalette())
    return encoded(red, "GIF", save_all=True, append_images=others, duration=10)


SVG_TAG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">'
    b"<script>alert(1)</script></svg>"
)
SVG = b'<?xml version="1.0"?>\n' + SVG_TAG
PROLOG = (
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn by <hand> -->\n<?style a?>'
    b'<!DOCTYPE svg PUBLIC "-//W3C" "x.dtd" [<!ENTITY a "b>">]>\n<!-- ' + b"words " * 200 + b"-->\n"
)
"""What may stand before an SVG's first tag."""


def refused() -> dict[str, tuple[bytes, str]]:
    """By name: the bytes, and a part of the message that the file must get."""
    jpeg = encoded(photo(400, 300), "JPEG")
    return {
        "empty.png": (b"", "empty.png is empty (0 bytes)"),
        "text.png": (b"just some words\n" * 20, "text.png is not an image that can be read here"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated.jpg is cut short"),
        "drawing.svg": (SVG, "drawing.svg is an SVG drawing"),
        "drawing.png": (SVG, "drawing.png is an SVG drawing"),
        "spaces.svg": (b" \n" * 2000 + SVG_TAG, "spaces.svg is an SVG drawing"),
        "comment.svg": (PROLOG + SVG_TAG, "comment.svg is an SVG drawing"),
        "wide.svg": ((PROLOG + SVG_TAG).decode().encode("utf-16"), "wide.svg is an SVG drawing"),
        "feed.png": (b'<?xml version="1.0"?>\n<rss><svg/></rss>', "feed.png is not an image"),
        "bomb.png": (png_header(60_000, 60_000), "bomb.png claims 60000 x 60000 pixels"),
        "huge.png": (png_header(20_000, 20_000), "huge.png claims 20000 x 20000 pixels"),
        "large.png": (png_header(8_000, 8_000), "large.png claims 8000 x 8000 pixels"),
        "dot.png": (encoded(photo(1, 1)), "dot.png has 1 x 1 pixels: too small"),
    }
