"""A folder of images: what is read, in which order, and what is said of one that can't be."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.data import load_images
from analysis.data.folder import list_folder
from analysis.errors import DataError
from analysis.specs import DataSpec

EXTENSIONS = ".jpg, .jpeg, .png, .bmp, .ppm, .pgm, .tif, .tiff, .webp"


def _load(path, cache, resize=None, progress=None):
    return load_images(DataSpec("folder", str(path), resize=resize), cache, progress)


def _message(path, cache, resize=None) -> str:
    with pytest.raises(DataError) as error:
        _load(path, cache, resize)
    return str(error.value)


def test_pixels_labels_and_classes(image_folder, cache):
    """Images come sorted by class and name, each with the pixels of its file."""
    images = _load(image_folder, cache)

    assert images.classes == ("cat", "dog")
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test_labels.tolist() == [0, 0, 1, 1]
    assert (images.size, images.train.dtype, images.train_labels.dtype) == (
        32,
        torch.uint8,
        torch.int64,
    )
    with Image.open(image_folder / "train" / "dog" / "1.png") as image:
        assert np.array_equal(images.train[4].permute(1, 2, 0).numpy(), np.asarray(image))
    with Image.open(image_folder / "test" / "cat" / "0.png") as image:
        assert np.array_equal(images.test[0].permute(1, 2, 0).numpy(), np.asarray(image))


def test_more_images_than_a_task_decodes(write_images, tmp_path, cache):
    """600 images in three tasks stay in order, and progress is told up to the last one."""
    write_images(tmp_path / "many", ("a", "b"), n_train=299, n_test=1)
    told = []

    images = _load(tmp_path / "many", cache, progress=lambda *counts: told.append(counts))

    assert told[-1] == (600, 600)
    assert told == sorted(told)
    names = sorted(f"{i}.png" for i in range(299))
    with Image.open(tmp_path / "many" / "train" / "b" / names[-1]) as image:
        assert np.array_equal(images.train[-1].permute(1, 2, 0).numpy(), np.asarray(image))


def test_fingerprint_tells_images_not_places(image_folder, tmp_path, cache):
    """The same images elsewhere, written in another order, are the same data set."""
    copy = tmp_path / "elsewhere"
    for path in sorted(image_folder.rglob("*.png"), reverse=True):
        target = copy / path.relative_to(image_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    original = _load(image_folder, cache)

    assert _load(copy, cache).fingerprint == original.fingerprint
    assert len(original.fingerprint) == 16


@pytest.mark.parametrize("change", ["pixel", "label", "class name", "split"])
def test_fingerprint_differs_with_the_images(image_folder, tmp_path, cache, change):
    """One changed pixel, label or name, or a test image that moved to training, is another set."""
    original = _load(image_folder, cache).fingerprint
    if change == "pixel":
        path = image_folder / "train" / "cat" / "0.png"
        with Image.open(path) as image:
            image.putpixel((5, 5), (1, 2, 3))
            image.save(path)
    if change == "label":
        (image_folder / "train" / "cat" / "2.png").rename(image_folder / "train" / "dog" / "-.png")
    if change == "class name":
        for split in ("train", "test"):
            (image_folder / split / "dog").rename(image_folder / split / "fox")
    if change == "split":
        (image_folder / "test" / "dog" / "1.png").rename(image_folder / "train" / "dog" / "9.png")

    assert _load(image_folder, cache).fingerprint != original


def test_other_files_are_left_out(image_folder, cache):
    """Hidden files and folders, notes and thumbnails' databases are no images and no classes."""
    (image_folder / "train" / ".ipynb_checkpoints").mkdir()
    (image_folder / "train" / "cat" / "._0.png").write_bytes(b"")
    (image_folder / "train" / "cat" / "notes.txt").write_text("nice cats")
    (image_folder / "train" / "README").write_text("pets")

    assert len(_load(image_folder, cache).train) == 6


def test_images_below_a_class_folder_count(image_folder, cache):
    """As in torchvision's ImageFolder, a class may have folders of its own."""
    below = image_folder / "train" / "cat" / "kittens"
    below.mkdir()
    Image.new("RGB", (32, 32)).save(below / "x.JPG")

    assert _load(image_folder, cache).train_labels.bincount().tolist() == [4, 3]


def test_same_images_as_torchvision(image_folder, cache):
    """Classes, labels and pixels are those of ImageFolder."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2.functional import pil_to_tensor

    reference = ImageFolder(image_folder / "train", transform=pil_to_tensor)
    images = _load(image_folder, cache)

    assert list(images.classes) == reference.classes
    assert images.train_labels.tolist() == reference.targets
    assert torch.equal(images.train, torch.stack([pixels for pixels, _ in reference]))


def test_resized_when_asked(write_images, tmp_path, cache):
    """Any sizes, one size afterwards; and the unresized set is another cache entry."""
    write_images(tmp_path / "pets")
    Image.new("RGB", (100, 50)).save(tmp_path / "pets" / "train" / "cat" / "0.png")

    assert _load(tmp_path / "pets", cache, resize=24).train.shape == (6, 3, 24, 24)
    assert _load(tmp_path / "pets", cache, resize=32).size == 32


def test_missing_folder(tmp_path, cache):
    """The layout is named, so that the next try succeeds."""
    path = tmp_path / "nowhere"

    assert _message(path, cache) == (
        f"the image folder {path} does not exist; it must hold train/CLASS/image.png and "
        "test/CLASS/image.png"
    )


def test_a_file_for_a_folder(tmp_path, cache):
    """An archive has to be unpacked first."""
    path = tmp_path / "pets.zip"
    path.write_bytes(b"PK")

    assert _message(path, cache) == (
        f"the image folder {path} is a file, not a folder; it must hold train/CLASS/image.png "
        "and test/CLASS/image.png"
    )


def test_no_test_folder(image_folder, cache):
    """Says what is there instead."""
    (image_folder / "test").rename(image_folder / "val")

    assert _message(image_folder, cache) == (
        f"{image_folder} has no folder test/ (it holds: train, val); it must hold "
        "train/CLASS/image.png and test/CLASS/image.png"
    )


def test_no_class_folders(tmp_path, cache):
    """Images right in train/ have no labels."""
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "train" / "0.png")

    assert _message(tmp_path, cache) == (
        f"{tmp_path / 'train'} has no class folders; {tmp_path} must hold train/CLASS/image.png "
        "and test/CLASS/image.png"
    )


def test_classes_that_differ(image_folder, cache):
    """All differences at once."""
    (image_folder / "test" / "dog").rename(image_folder / "test" / "Dog")
    (image_folder / "train" / "fox").mkdir()

    assert _message(image_folder, cache) == (
        f"the classes of {image_folder} differ between train/ and test/: only in train/: dog, fox; "
        "only in test/: Dog; 'dog' and 'Dog' look alike but differ in upper and lower case; both "
        "must have the same class folders"
    )


def test_classes_without_images(image_folder, cache):
    """Every empty one is named, and what counts as an image."""
    shutil.rmtree(image_folder / "test" / "dog")
    (image_folder / "test" / "dog").mkdir()
    for split in ("train", "test"):
        (image_folder / split / "fox").mkdir()
        (image_folder / split / "fox" / "fox.psd").write_bytes(b"8BPS")

    assert _message(image_folder, cache) == (
        f"{image_folder} has class folders with no images: train/fox, test/dog, test/fox; images "
        f"are files that end in {EXTENSIONS}"
    )


def test_unreadable_and_wrong_sized_images_are_named(image_folder, cache):
    """All of them in one message, each with its reason; nothing is resized unasked."""
    Image.new("RGB", (48, 40)).save(image_folder / "train" / "cat" / "1.png")
    (image_folder / "train" / "dog" / "0.png").write_text("not an image")

    assert _message(image_folder, cache) == (
        f"images in {image_folder} can't be used:\n"
        "  train/cat/1.png is 48x40 pixels, not 32x32; --resize 32 resizes all images\n"
        "  train/dog/0.png can't be read as an image (cannot identify image file)"
    )
    assert not list(cache.glob("folder-*[!k]/")), "a refused folder leaves no cache entry"


def test_many_bad_images_are_cut_short(write_images, tmp_path, cache):
    """A folder of photographs does not fill the screen with its files."""
    write_images(tmp_path, ("a", "b"), n_train=4, n_test=1)
    for path in (tmp_path / "train").rglob("*.png"):
        Image.new("RGB", (64, 64)).save(path)

    lines = _message(tmp_path, cache).splitlines()

    assert len(lines) == 7
    assert lines[1] == "  train/a/0.png is 64x64 pixels, not 32x32; --resize 32 resizes all images"
    assert lines[-1] == "  and more"


def test_listing_alone_notices_changes(image_folder):
    """A new, deleted, renamed or rewritten file changes the stamp; looking does not."""
    stamps = [list_folder(image_folder).stamp]
    assert list_folder(image_folder).stamp == stamps[0]

    path = image_folder / "train" / "cat" / "0.png"
    Image.new("RGB", (32, 32)).save(image_folder / "train" / "cat" / "3.png")
    stamps.append(list_folder(image_folder).stamp)
    path.rename(path.with_name("9.png"))
    stamps.append(list_folder(image_folder).stamp)
    Image.new("RGB", (32, 32), "red").save(path.with_name("9.png"))
    stamps.append(list_folder(image_folder).stamp)
    path.with_name("9.png").unlink()
    stamps.append(list_folder(image_folder).stamp)

    assert len(set(stamps)) == 5
