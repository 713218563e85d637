"""From a data set's name to its images: CIFAR by download, folders, scikit-learn's digits.

No silent fall-back: what can't be had is an error that says what can.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch

from analysis.data.cache import Content, Progress, Source, open_cached, open_or_build
from analysis.data.folder import folder_source
from analysis.data.images import Images, balanced_choice
from analysis.errors import DataError
from analysis.runs.files import replace
from analysis.specs import DataSpec
from analysis.specs.datasets import cache_folder, source_folder
from analysis.text import Message

ALTERNATIVES = Message(
    "--data folder:PATH (your own, as PATH/train/CLASS/image.png and "
    "PATH/test/CLASS/image.png) or --data digits (needs no download)"
)
TIMEOUT = 30.0
"""Seconds without an answer after which a download gives up."""
DIGITS_TEST = 360


def load_images(
    data: DataSpec, cache: Path | str | None = None, progress: Progress | None = None,
    test_only: bool = False,
) -> Images:  # fmt: skip
    """The full data set in memory; decoded the first time, memory-mapped from then on.

    With `test_only` a folder's training images are not decoded, unless they already are; the
    fingerprint is then that of the test images, `test:...`.

    `cache` is where downloads and decoded images are kept, by default `cache_folder()`.
    `progress(done, total)` counts images while they are decoded.

    Raises:
        DataError: the images can't be had, or are not what was described.
    """
    folder = Path(cache) if cache is not None else cache_folder()
    if data.name == "folder":
        source = folder_source(str(data.path), data.resize)
        if test_only and open_cached(folder, source) is None:
            source = folder_source(str(data.path), data.resize, test_only=True)
        return open_or_build(folder, source, progress)
    if data.resize is not None:
        raise DataError(
            "only a folder's images can be resized; {data} is {size}x{size} as it is",
            data=data.name,
            size=data.known.size if data.known else 0,
        )
    if data.name == "digits":
        return open_or_build(folder, Source("digits", "1", read_digits), progress)
    return open_or_build(folder, Source(data.name, "1", lambda: _read(data.name, cache)), progress)


def _read(name: str, cache: Path | str | None) -> Content:
    # Nothing is downloaded into a folder that somebody named.
    folder = Path(cache) if cache is not None else source_folder(name)
    return read_cifar(cifar_class(name), folder, cache is not None or folder == cache_folder())


def cifar_class(name: str) -> Any:
    """torchvision's class of a data set, which has its files' names and checksums."""
    # Here, not above: torchvision takes a second to import, and a cached set does without.
    from torchvision import datasets

    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]


def read_cifar(kind: Any, folder: Path, download: bool = True) -> Content:
    """CIFAR through torchvision's class, its checksums checked, downloaded unless it is there.

    Raises:
        DataError: no network and no archive, or files with the wrong checksum.
    """
    extracted = folder / kind.base_folder
    was_there = extracted.exists()
    try:
        with _old_pickles():
            train = _train_split(kind, folder, download)
            test = kind(folder, train=False, download=False)
    except (OSError, RuntimeError, HTTPException) as error:
        raise _no_cifar(kind, folder, error) from error
    if not was_there:
        shutil.rmtree(extracted, ignore_errors=True)  # the archive stays; these are 180 MB more
    splits = {"train": train, "test": test}
    return Content(
        tuple(train.classes),
        32,
        {split: np.array(images.targets, dtype=np.int64) for split, images in splits.items()},
        {split: [images.data.transpose(0, 3, 1, 2)] for split, images in splits.items()},
    )


def _train_split(kind: Any, folder: Path, download: bool) -> Any:
    """The class's training images; where they are not there, the archive's, which is first had."""
    try:
        return kind(folder, train=True, download=False)
    except RuntimeError:  # not there, or not whole
        _fetch(kind, folder / kind.filename, download)
        return kind(folder, train=True, download=True)  # extracts what is there


def _fetch(kind: Any, archive: Path, download: bool) -> None:
    """Download the archive unless it is there and whole; torchvision's own would wait for ever.

    Raises:
        OSError: no network, or a server that is silent for `TIMEOUT` seconds.
        RuntimeError: it has another checksum, or may not be downloaded.
    """
    from torchvision.datasets.utils import check_integrity

    if check_integrity(archive, kind.tgz_md5):
        return
    if not download:
        raise RuntimeError("not there, or not whole")
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with urlopen(kind.url, timeout=TIMEOUT) as answer, open(part, "wb") as file:
            shutil.copyfileobj(answer, file)
        replace(part, archive)
    finally:
        part.unlink(missing_ok=True)
    if not check_integrity(archive, kind.tgz_md5):
        raise RuntimeError("the checksum is wrong")


@contextmanager
def _old_pickles() -> Generator[None]:
    # CIFAR's files were pickled by a NumPy so old that today's warns of their dtypes.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=np.exceptions.VisibleDeprecationWarning)
        yield


def _no_cifar(kind: Any, folder: Path, error: Exception) -> DataError:
    archive = folder / kind.filename
    if archive.exists():
        words = "{archive} is damaged: its MD5 checksum is not {md5}"
        what = Message(words, archive=archive, md5=kind.tgz_md5)
    else:
        what = Message("{data} is not in {folder}", data=kind.__name__, folder=folder)
    if not isinstance(error, RuntimeError):  # that one says: a wrong checksum
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        what = Message("{what}, and can't be downloaded: {reason}", what=what, reason=reason)
    return DataError(
        "{what}. Try again, or get {url} by hand and put it at {archive}, "
        "or use other images: {alternatives}",
        what=what,
        url=kind.url,
        archive=archive,
        alternatives=ALTERNATIVES,
    )


def read_digits() -> Content:
    """scikit-learn's 1,797 handwritten digits, 8x8 with values 0..16, as 32x32 RGB.

    Each pixel becomes a block of 4x4 in grey. 36 of each class are the test set.
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    grey = (bunch.images.astype(np.int64) * 255 + 8) // 16
    rgb = np.repeat(grey.astype(np.uint8).repeat(4, 1).repeat(4, 2)[:, None], 3, axis=1)
    labels = bunch.target.astype(np.int64)
    test = np.zeros(len(labels), dtype=bool)
    test[balanced_choice(torch.from_numpy(labels), DIGITS_TEST).numpy()] = True
    return Content(
        tuple(str(name) for name in bunch.target_names),
        32,
        {"train": labels[~test], "test": labels[test]},
        {"train": [rgb[~test]], "test": [rgb[test]]},
    )
