"""What a folder of images holds that is not taken is said: `pytest tests/data/test_listing.py`."""

from __future__ import annotations

import os
import unicodedata

import pytest
from PIL import Image

from analysis.data import left_out, load_images
from analysis.data.listing import list_folder
from analysis.errors import DataError, SpecError
from analysis.escape import one_line
from analysis.specs import DataSpec

POSIX = pytest.mark.skipif(os.name != "posix", reason="names and links of POSIX")


def _spec(folder) -> DataSpec:
    return DataSpec.parse(f"folder:{folder}")


def test_formats_that_are_not_read_are_counted_and_named_once(image_folder, cache):
    """With other files and thumbnails of network drives, which are no images of people's."""
    cat, dog = (image_folder / "train" / name for name in ("cat", "dog"))
    for name in ("a.gif", "b.gif", "c.avif"):
        (cat / name).write_bytes(b"x")
    (dog / "d.JFIF").write_bytes(b"x")
    (dog / "labels.txt").write_text("x")
    (dog / "Thumbs.db").write_text("x")
    (dog / "@eaDir").mkdir()
    (image_folder / "train" / "@eaDir").mkdir()
    Image.new("RGB", (8, 8)).save(dog / "@eaDir" / "0.png.jpg")

    spec = _spec(image_folder)

    assert len(load_images(spec, cache).train) == 6
    assert spec.count_classes() == 2
    assert [str(words) for words in left_out(spec)] == [
        "left out: 2 .gif, 1 .avif, 1 .jfif, formats that are not read here; convert them to PNG "
        "or JPEG",
        "left out: 2 @eaDir, not people's folders",
        "left out: 1 .txt, not images by their ending",
    ]


def test_images_beside_the_class_folders_are_said(image_folder):
    """They have no class; who put them there may not know."""
    Image.new("RGB", (32, 32)).save(image_folder / "train" / "loose.PNG")
    (image_folder / "train" / ".hidden.png").write_bytes(b"x")

    found = list_folder(image_folder)

    assert len(found.files["train"]) == 6
    assert [str(words) for words in found.left_out] == [
        "left out: 1 images beside the class folders, in none of them"
    ]


def test_a_class_of_gifs_says_so(image_folder):
    """Its images are there, in a format that is not read."""
    for file in (image_folder / "test" / "dog").iterdir():
        file.rename(file.with_suffix(".gif"))
    with pytest.raises(DataError, match=r"no images: test/dog; .*\(left out: 2 \.gif, formats"):
        list_folder(image_folder)


@POSIX
def test_links_are_followed_and_dangling_ones_counted(image_folder, tmp_path):
    """As ImageFolder follows them; a link back up is not walked for ever."""
    from torchvision.datasets import ImageFolder

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (32, 32)).save(elsewhere / "x.png")
    cat = image_folder / "train" / "cat"
    (cat / "more").symlink_to(elsewhere)
    (cat / "y.png").symlink_to(elsewhere / "x.png")
    found = list_folder(image_folder)
    theirs = ImageFolder(image_folder / "train").samples
    assert {name for name, _ in found.files["train"]} == {
        os.path.relpath(path, image_folder) for path, _ in theirs
    }
    assert len(found.files["train"]) == 8

    (cat / "annexed.png").symlink_to("../../.git/annex/objects/x.png")
    (cat / "loop").symlink_to(cat)
    (cat / "itself").symlink_to("itself")
    again = list_folder(image_folder)
    assert again.files == found.files
    (words,) = again.left_out
    assert "2 links to files that are not there; fetch them first (dvc pull, git annex" in str(
        words
    )


@POSIX
def test_composed_and_decomposed_names_are_one_class(image_folder, cache):
    """macOS writes the umlaut as two characters."""
    composed, decomposed = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    assert composed != decomposed
    (image_folder / "train" / "dog").rename(image_folder / "train" / composed)
    (image_folder / "test" / "dog").rename(image_folder / "test" / decomposed)
    images = load_images(_spec(image_folder), cache)
    assert set(images.classes) == {composed, "cat"}
    assert len(images.test) == 4

    (image_folder / "train" / decomposed).mkdir()
    with pytest.raises(DataError, match="two class folders that are called Müller, once with"):
        list_folder(image_folder)


@POSIX
@pytest.mark.parametrize(
    ("name", "how"),
    [("dog ", "'dog' and 'dog ' look alike but differ in their blanks"),
     ("dog\u200b", "differ in characters that are not seen (U+200B ZERO WIDTH SPACE)"),
     ("do\uff47", "(U+0067 LATIN SMALL LETTER G, U+FF47 FULLWIDTH LATIN SMALL LETTER G)"),
     ("Dog", "'dog' and 'Dog' look alike but differ in upper and lower case"),
     ("d\u043eg", "letters of other alphabets (U+006F LATIN SMALL LETTER O, U+043E CYRILLIC")],
)  # fmt: skip
def test_names_that_look_alike_are_told_apart(image_folder, name: str, how: str):
    """`only in train/: dog; only in test/: dog` helps nobody."""
    (image_folder / "test" / "dog").rename(image_folder / "test" / name)
    with pytest.raises(DataError) as caught:
        list_folder(image_folder)
    assert how in str(caught.value)


@POSIX
def test_names_that_are_not_utf8_are_refused_before_anything_is_made(image_folder):
    """From a zip of Windows, unpacked on Linux: the class, or the folder itself."""
    spec = _spec(image_folder)
    for split in ("train", "test"):
        (image_folder / split / "dog").rename(image_folder / split / os.fsdecode(b"M\xfcller"))
    with pytest.raises(SpecError, match=r"class folder M\\udcfcller is not text in UTF-8"):
        spec.count_classes()
    with pytest.raises(DataError, match=r"M\\udcfcller is not text in UTF-8; rename it"):
        list_folder(image_folder)
    with pytest.raises(SpecError, match="this name is not text in UTF-8"):
        _spec(os.fsdecode(b"/data/M\xfcller"))


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="needs another account")
def test_a_folder_below_a_closed_one_is_an_error(image_folder, tmp_path):
    """`train` and the estimate say it; nothing breaks."""
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    spec = _spec(closed / "inner")
    closed.chmod(0o700)
    for place in (tmp_path, *list(tmp_path.parents)[:-2]):
        place.chmod(0o755)
    os.seteuid(65534)
    try:
        assert not spec.is_at_hand
        with pytest.raises(SpecError, match="can't be read: Permission denied"):
            spec.count_classes()
        with pytest.raises(DataError, match="can't be read: Permission denied"):
            list_folder(closed / "inner")
    finally:
        os.seteuid(0)


def test_what_a_terminal_is_shown_of_a_name():
    """Escape codes are written out."""
    assert one_line("a\x1b[31mb\nc\u202e") == "a\\u001b[31mb c\\u202e"
