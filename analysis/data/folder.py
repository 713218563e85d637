"""A folder of images, train/CLASS/... and test/CLASS/..., decoded in parallel.

The listing alone tells whether anything changed since the last time. Images are taken as they
are or refused by name; they are resized only when that was asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.data.cache import Content, Source
from analysis.data.listing import Listing, list_folder
from analysis.errors import DataError
from analysis.pictures.decoding import decode
from analysis.specs import DataSpec
from analysis.text import Listed, Message

DEFAULT_SIZE = 32

_CHUNK = 256
"""Images a task decodes."""
_REPORTED = 5
"""Bad images named before decoding stops."""


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


def left_out(data: DataSpec) -> tuple[Message, ...]:
    """What a folder of images holds that is not taken, in sentences; nothing of named data sets.

    Raises:
        DataError: as `folder_source`.
    """
    return () if data.path is None else list_folder(Path(data.path).expanduser()).left_out


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
