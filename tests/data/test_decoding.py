"""Image files of every kind become RGB, or are refused with the reason."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from analysis.errors import DataError
from analysis.pictures.decoding import decode


def _save(path, image, **options):
    image.save(path, **options)
    return path


def test_rgb_is_taken_as_it_is(tmp_path):
    """A lossless file gives back its pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)

    decoded = decode(_save(tmp_path / "a.png", Image.fromarray(pixels)), 32, False)

    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("L", 77, ".png", (77, 77, 77)),
        ("1", 1, ".png", (255, 255, 255)),
        ("P", 0, ".gif.png", (0, 0, 0)),
        ("LA", (77, 255), ".png", (77, 77, 77)),
        ("LA", (77, 0), ".png", (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), ".png", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), ".png", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), ".webp", (204, 204, 204)),
        ("CMYK", (255, 0, 0, 0), ".tif", (0, 255, 255)),
        ("I;16", 77 * 257, ".png", (77, 77, 77)),
    ],
)
def test_other_modes_become_rgb(tmp_path, mode, colour, suffix, expected):
    """Grey, palette, CMYK and 16 bits are converted; what is transparent becomes white."""
    image = Image.new(mode, (32, 32), colour)
    options = {"lossless": True} if suffix == ".webp" else {}

    decoded = decode(_save(tmp_path / f"a{suffix}", image, **options), 32, False)

    assert decoded.shape == (32, 32, 3)
    assert decoded.dtype == np.uint8
    assert (decoded == expected).all()


def test_a_palette_with_a_transparent_colour(tmp_path):
    """Its transparent pixels become white, the others keep their colour."""
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))

    decoded = decode(_save(tmp_path / "a.png", image, transparency=0), 32, False)

    assert (decoded[:, :16] == 255).all()
    assert (decoded[:, 16:] == (0, 0, 255)).all()


def test_photographs_are_turned_upright(tmp_path):
    """EXIF orientation 6 means: turn clockwise; the top row was the left column."""
    image = Image.new("RGB", (32, 32))
    image.paste((255, 255, 255), (0, 0, 8, 32))
    exif = image.getexif()
    exif[0x0112] = 6

    decoded = decode(_save(tmp_path / "a.png", image, exif=exif), 32, False)

    assert (decoded[:8] == 255).all()
    assert (decoded[8:] == 0).all()


def test_resizing_keeps_proportions_and_cuts_the_centre(tmp_path):
    """A 96x64 image whose middle 64x64 is white becomes all white."""
    image = Image.new("RGB", (96, 64))
    image.paste((255, 255, 255), (16, 0, 80, 64))

    decoded = decode(_save(tmp_path / "a.png", image), 32, True)

    assert decoded.shape == (32, 32, 3)
    assert (decoded[:, 2:30] == 255).all()


def test_a_large_jpeg_is_shrunk_close_to_the_exact_way(tmp_path):
    """Decoding at reduced scale stays within 3 levels of full bicubic, on average."""
    ramp = np.linspace(0, 255, 512)[:, None] + np.linspace(0, 60, 512) * np.ones((512, 1))
    image = Image.fromarray(np.repeat((ramp % 256).astype(np.uint8)[..., None], 3, axis=2))
    path = _save(tmp_path / "a.jpg", image, quality=95)
    with Image.open(path) as opened:
        exact = np.asarray(opened.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC))

    difference = np.abs(decode(path, 32, True).astype(int) - exact.astype(int))

    assert difference.mean() < 3


def _refusal(path, size=32, resize=False) -> str:
    with pytest.raises(DataError) as error:
        decode(path, size, resize)
    return str(error.value)


def test_a_wrong_size_is_refused(tmp_path):
    """Nothing is resized unasked."""
    path = _save(tmp_path / "a.png", Image.new("RGB", (48, 40)))

    assert _refusal(path) == ("is 48x40 pixels, not 32x32; --resize 32 resizes all images")


def test_a_text_file_is_refused(tmp_path):
    """Whatever its name says."""
    path = tmp_path / "a.png"
    path.write_text("not an image")

    assert _refusal(path) == "can't be read as an image (cannot identify image file)"


def test_what_another_program_would_draw_is_refused(tmp_path):
    """An EPS by the name of a PNG is no image here: Pillow would give it to Ghostscript."""
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png", "EPS")

    assert _refusal(tmp_path / "a.png") == "can't be read as an image (cannot identify image file)"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "PPM", "TIFF"])
def test_a_name_with_another_endings_image_is_read(tmp_path, kind):
    """Collections have PNGs called .jpg; MPO is what some cameras call a JPEG."""
    Image.new("RGB", (32, 32), "white").save(tmp_path / "a.jpg", kind)

    assert (decode(tmp_path / "a.jpg", 32, False) == 255).all()


def test_a_cut_off_image_is_refused(tmp_path):
    """Half a JPEG is not quietly filled with grey."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = _save(tmp_path / "a.jpg", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:900])

    assert _refusal(path).startswith("can't be read as an image (")


def test_a_missing_file_is_refused(tmp_path):
    """Deleted between listing and reading."""
    assert _refusal(tmp_path / "a.png") == (
        "can't be read as an image ([Errno 2] No such file or directory: the file)"
    )


def test_floating_point_pixels_are_refused(tmp_path):
    """Their range is anyone's guess."""
    path = _save(tmp_path / "a.tif", Image.new("F", (32, 32), 0.5))

    assert _refusal(path) == "has 32-bit pixels (mode F); save it with 8 bits a channel"


@pytest.mark.parametrize("side", [9_000, 12_000, 20_000])
def test_a_huge_image_is_refused_unread(tmp_path, side):
    """A small file that claims 81 to 400 megapixels never gets to fill the memory."""
    path = _save(tmp_path / "a.png", Image.new("1", (32, 32)))
    header = bytearray(path.read_bytes())
    header[16:24] = side.to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    path.write_bytes(header)

    for action in ("error", "ignore"):  # Pillow's own warning of such images
        with warnings.catch_warnings():
            warnings.simplefilter(action, Image.DecompressionBombWarning)
            assert _refusal(path, resize=True) in (
                f"has {side}x{side} pixels, more than 64 megapixels",
                "has more than 64 megapixels",
            )


@pytest.mark.parametrize("most", [65535, 1023])
def test_a_pgm_of_16_bits_is_read(tmp_path, most):
    """Pillow widens it to 32 bits; its white is white."""
    path = tmp_path / "a.pgm"
    values = np.full((32, 32), most, ">u2")
    values[:16] = most // 2
    path.write_bytes(f"P5 32 32 {most}\n".encode() + values.tobytes())

    decoded = decode(path, 32, False)

    assert (decoded[16:] == 255).all()
    assert (decoded[:16] == 127).all()


@pytest.mark.parametrize(("mode", "clear", "other"), [("L", 0, 77), ("I;16", 0, 77 * 257)])
def test_grey_with_a_transparent_colour(tmp_path, mode, clear, other):
    """That grey becomes white, the others stay."""
    image = Image.new(mode, (32, 32), clear)
    image.paste(other, (0, 0, 32, 16))

    decoded = decode(_save(tmp_path / "a.png", image, transparency=clear), 32, False)

    assert (decoded[:16] == 77).all()
    assert (decoded[16:] == 255).all()
