"""A folder of images, train/CLASS/... and test/CLASS/..., listed cheaply and decoded in parallel.

The listing alone tells whether anything changed since the last time. Images are taken as they
are or refused by name; they are resized only when that was asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.data.cache import Content, Source
from analysis.data.decoding import decode
from analysis.errors import DataError
from analysis.text import Listed, Message

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
LAYOUT = "train/CLASS/image.png and test/CLASS/image.png"
DEFAULT_SIZE = 32

_CHUNK = 256
"""Images a task decodes."""
_REPORTED = 5
"""Bad images named before decoding stops."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted, so that the file system's order does not matter."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, list[tuple[str, int]]]
    """By split: path under the root and label."""
    stamp: str
    """Hash of all names, sizes and modification times."""


def folder_source(path: str, resize: int | None, test_only: bool = False) -> Source:
    """The images under a path with train/ and test/; with `test_only` none of train/.

    Raises:
        DataError: the folder is not laid out so, or its classes differ between the two.
    """
    root = Path(path).expanduser()
    listing = list_folder(root)
    size = resize or DEFAULT_SIZE
    place = os.fsencode(root.resolve()) + f" {resize}".encode()
    if test_only:
        listing = replace(listing, files={"train": [], "test": listing.files["test"]})
    return Source(
        f"folder-{hashlib.sha256(place).hexdigest()[:12]}{'-test' if test_only else ''}",
        listing.stamp,
        lambda: _content(listing, size, bool(resize)),
        origin=str(root.resolve()),
    )


def list_folder(root: Path) -> Listing:
    """All images of a folder; a stat of each file, no more: 0.3 s for 60,000.

    Raises:
        DataError: as `folder_source`.
    """
    if not root.is_dir():
        if root.exists():
            words = Message("the image folder {root} is a file, not a folder", root=root)
        else:
            words = Message("the image folder {root} does not exist", root=root)
        raise DataError("{what}; it must hold {layout}", what=words, layout=LAYOUT)
    stamp = hashlib.sha256()
    classes: dict[str, list[str]] = {}
    files: dict[str, list[tuple[str, int]]] = {}
    for split in ("train", "test"):
        classes[split] = _class_folders(root, split)
        files[split] = []
        for label, name in enumerate(classes[split]):
            found = sorted(_scan(root / split / name, f"{split}/{name}"))
            stamp.update(repr(found).encode())
            files[split] += [(file, label) for file, _, _ in found]
    _check_classes(root, classes)
    _check_not_empty(root, classes["train"], files)
    return Listing(root, tuple(classes["train"]), files, stamp.hexdigest()[:16])


def _class_folders(root: Path, split: str) -> list[str]:
    try:
        with os.scandir(root / split) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError) as error:
        there = ", ".join(sorted(e.name for e in root.iterdir())[:8]) or Message("nothing")
        raise DataError(
            "{root} has no folder {split}/ (it holds: {there}); it must hold {layout}",
            root=root,
            split=split,
            there=there,
            layout=LAYOUT,
        ) from error
    except OSError as error:
        raise DataError(
            "{folder} can't be read: {reason}", folder=root / split, reason=error.strerror
        ) from error
    if not names:
        raise DataError(
            "{folder} has no class folders; {root} must hold {layout}",
            folder=root / split,
            root=root,
            layout=LAYOUT,
        )
    return names


def _scan(folder: Path, name: str) -> Iterator[tuple[str, int, int]]:
    """(name under the root, bytes, modification time in ns) of every image below a folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                below = f"{name}/{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(EXTENSIONS) and entry.is_file():
                    stat = entry.stat()
                    yield below, stat.st_size, stat.st_mtime_ns
                elif entry.is_dir(follow_symlinks=False):
                    yield from _scan(folder / entry.name, below)
    except OSError as error:
        raise DataError(
            "{folder} can't be read: {reason}", folder=folder, reason=error.strerror
        ) from error


def _check_classes(root: Path, classes: dict[str, list[str]]) -> None:
    train, test = set(classes["train"]), set(classes["test"])
    if train != test:
        differences = [
            Message("only in {where}/: {names}", where=where, names=Listed(tuple(sorted(names))))
            for where, names in (("train", train - test), ("test", test - train))
            if names
        ]
        raise DataError(
            "the classes of {root} differ between train/ and test/: {differences}; "
            "both must have the same class folders",
            root=root,
            differences=Listed(tuple(differences), "; "),
        )


def _check_not_empty(
    root: Path, classes: list[str], files: dict[str, list[tuple[str, int]]]
) -> None:
    empty = []
    for split, listed in files.items():
        filled = {label for _, label in listed}
        empty += [f"{split}/{c}" for label, c in enumerate(classes) if label not in filled]
    if empty:
        raise DataError(
            "{root} has class folders with no images: {folders}; images are files "
            "that end in {endings}",
            root=root,
            folders=Listed(tuple(empty)),
            endings=Listed(EXTENSIONS),
        )


def _content(listing: Listing, size: int, resize: bool) -> Content:
    return Content(
        listing.classes,
        size,
        {
            split: np.array([label for _, label in files], dtype=np.int64)
            for split, files in listing.files.items()
        },
        {
            split: _decode_all(listing.root, [name for name, _ in files], size, resize)
            for split, files in listing.files.items()
        },
    )


def _decode_all(root: Path, names: list[str], size: int, resize: bool) -> Iterator[np.ndarray]:
    """Chunks (n, 3, size, size) in the order of names, decoded a few chunks ahead in threads.

    Raises:
        DataError: names the first few images that can't be used.
    """
    starts = iter(range(0, len(names), _CHUNK))
    workers = os.cpu_count() or 1
    problems: list[Message] = []
    pending: deque[Future[tuple[np.ndarray, list[Message]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:

        def submit() -> None:
            start = next(starts, None)
            if start is not None:
                chunk = names[start : start + _CHUNK]
                pending.append(pool.submit(_decode_chunk, root, chunk, size, resize))

        for _ in range(2 * workers):
            submit()
        while pending:
            pixels, bad = pending.popleft().result()
            problems += bad
            if len(problems) < _REPORTED:
                submit()
            if not problems:
                yield pixels
    if problems:
        raise _report(root, problems)


def _decode_chunk(
    root: Path, names: list[str], size: int, resize: bool
) -> tuple[np.ndarray, list[Message]]:
    pixels = np.empty((len(names), 3, size, size), np.uint8)
    problems = []
    for place, name in enumerate(names):
        try:
            pixels[place] = decode(root / name, size, resize).transpose(2, 0, 1)
        except DataError as error:
            problems.append(Message("{file} {problem}", file=name, problem=error))
            if len(problems) > _REPORTED:
                break
    return pixels, problems


def _report(root: Path, problems: list[Message]) -> DataError:
    shown = problems[:_REPORTED]
    if len(problems) > _REPORTED:
        shown.append(Message("and more"))
    listed = Listed(tuple(shown), "\n  ")
    return DataError("images in {root} can't be used:\n  {problems}", root=root, problems=listed)
