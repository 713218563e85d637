"""Uploads: every kind of image file becomes RGB, every bad one a sentence, in bounded memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from analysis.errors import DataError
from analysis.pictures.uploads import KEEP, Picture, read_image
from tests.lens.bad_files import animation, encoded, photo, png_header, refused


def words(picture: Picture) -> list[str]:
    """What its notes say."""
    return [str(note) for note in picture.notes]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG"])
def test_kinds(kind):
    """PNG, BMP and lossless WebP come back pixel for pixel, JPEG nearly, none with a note."""
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    picture = read_image(encoded(photo(), kind, **options.get(kind, {})), "a")

    difference = np.abs(picture.rgb.astype(int) - np.asarray(photo()).astype(int))
    assert difference.max() <= (12 if kind == "JPEG" else 0)
    assert picture.size == (60, 40)
    assert picture.notes == ()


def test_alpha_over_white():
    """A transparent pixel is white, a half transparent one half way, and the note says so."""
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[0, 1, 3], rgba[0, 2, 3] = 255, 128
    picture = read_image(encoded(Image.fromarray(rgba)), "a.png")

    assert picture.rgb[0, 0].tolist() == [255, 255, 255]
    assert picture.rgb[0, 1].tolist() == [200, 0, 0]
    assert np.abs(picture.rgb[0, 2].astype(int) - [227, 127, 127]).max() <= 1
    assert words(picture) == ["Transparent parts are shown over white."]


def test_sixteen_bits():
    """16-bit grey keeps its brightness: 65535 is white and 32768 is mid-grey."""
    values = np.full((8, 8), 32768, np.uint16)
    values[0, 0] = 65535
    picture = read_image(encoded(Image.fromarray(values)), "a.png")

    assert picture.rgb[0, 0].tolist() == [255, 255, 255]
    assert picture.rgb[1, 1].tolist() == [128, 128, 128]
    assert "16 bits a pixel were reduced to 8." in words(picture)


def test_grey_and_cmyk():
    """Grey has equal channels; CMYK's pure cyan is cyan."""
    grey = read_image(encoded(photo().convert("L")), "a.png")
    assert (grey.rgb[..., 0] == grey.rgb[..., 2]).all()
    cyan = read_image(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG"), "a.jpg")
    assert np.abs(cyan.rgb[4, 4].astype(int) - [0, 255, 255]).max() <= 3
    assert "CMYK" in words(cyan)[0]


@pytest.mark.parametrize("large", [False, True])
def test_exif_orientation(large):
    """Orientation 6 (turned by 90 degrees) is undone, in large images too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = photo(3000, 2400) if large else photo()
    picture = read_image(encoded(image, "JPEG", exif=exif), "a.jpg")

    height, width = picture.rgb.shape[:2]
    assert height > width
    assert picture.rgb[height // 8, width - width // 8, 0] > 200  # the red corner, now right
    assert picture.rgb[height // 8, width // 8, 1] > 100
    assert words(picture) == ["It was turned upright as its EXIF orientation says."]


def test_animation_gives_first_frame():
    """Of 1,000 frames the first one is taken, and the note says so."""
    picture = read_image(animation(), "a.gif")

    assert picture.rgb[0, 0].tolist() == [255, 0, 0]
    assert words(picture)[0] == "It is animated: this is its first frame."


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_images_are_kept_small(kind):
    """What is kept of a large image has KEEP pixels on its longer side."""
    picture = read_image(encoded(photo(4000, 2000), kind), "a")

    assert picture.rgb.shape == (KEEP // 2, KEEP, 3)
    assert picture.size == (4000, 2000)


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", refused())
def test_refused(name):
    """Each bad file is refused with its own message, allocating next to nothing."""
    data, message = refused()[name]
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        read_image(data, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert str(caught.value).startswith(message)
    assert peak < 5_000_000


@pytest.mark.parametrize("text", [b"<!--", b"<!-- -->", b"<?", b" ", b"<!doctype [", b"<!doctype "])
def test_nothing_makes_the_svg_check_slow(text):
    """Megabytes of what may stand before an SVG are passed once, not once for every part."""
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"a\.png is not an image"):
        read_image(text * (4_000_000 // len(text)), "a.png")

    assert time.perf_counter() - start < 5


def test_missing_pixels():
    """A PNG whose pixels end early is cut short, not black."""
    with pytest.raises(DataError, match=r"b\.png is (cut short|damaged)"):
        read_image(png_header(640, 480), "b.png")


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 4), st.integers(0, 100))
def test_any_bytes(noise, kind, where):
    """Whatever is in the file: an image, or a message that begins with its name."""
    base = encoded(photo(), ["PNG", "JPEG", "GIF", "BMP", "WEBP"][kind])
    data = base[:where] + noise + base[where + len(noise) :]
    problem = ""
    try:
        rgb = read_image(data, "x.png").rgb
        problem = "" if (rgb.dtype, rgb.ndim) == (np.uint8, 3) else "not RGB"
    except DataError as error:
        problem = str(error)

    assert not problem or problem.startswith("x.png ")


SIDE = st.integers(0, 2**32 - 1) | st.integers(0, 300)


def check_bounds(data: bytes) -> None:
    """A file is read within 5 s, to pixels in bounds, or gets a message with its name first."""
    start = time.perf_counter()
    message = "x.png "
    try:
        rgb = read_image(data, "x.png").rgb
        assert (rgb.dtype, rgb.ndim) == (np.uint8, 3)
        assert max(rgb.shape) <= KEEP
    except DataError as error:
        message = str(error)
    assert message.startswith("x.png ")
    assert time.perf_counter() - start < 5


SIZES = [("BMP", 18, "<ii"), ("GIF", 6, "<HH"), ("JPEG", 163, ">HH"), ("WEBP", 26, "<HH")]
"""Where width and height stand in what `photo` is saved as, and how; in a JPEG the height first."""


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE, st.binary(min_size=5, max_size=5) | st.just(b"\x08\x02\0\0\0"))
def test_any_png_header(width, height, rest):
    """Whole, with a right checksum: any size, depth, colours, compression, filter, interlacing."""
    body = struct.pack(">II", width, height) + rest
    whole = png_header(60, 40)
    chunk = b"IHDR" + body
    check_bounds(whole[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:])


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SIZES),
    st.integers(-(2**31), 2**31 - 1) | st.integers(0, 300),
    st.integers(0, 2**31 - 1),
)
def test_any_size_in_a_header(place, width, height):
    """Where BMP, GIF, JPEG and WebP say their width and height."""
    kind, at, form = place
    if form.endswith("HH"):
        width, height = width % 2**16, height % 2**16
    data = encoded(photo(), kind)
    size = struct.pack(form, *((height, width) if kind == "JPEG" else (width, height)))
    check_bounds(data[:at] + size + data[at + len(size) :])
