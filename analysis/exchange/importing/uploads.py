"""An upload passes through the runs folder under a name of ours, and is deleted at the end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from analysis.errors import ImportRefused
from analysis.exchange.importing.archives import MAX_FILE
from analysis.runs import files

UPLOADS = ".uploads"
"""Folder in the runs folder; its name begins with a dot, so no run is looked for in it."""
_ABANDONED = 24 * 3600
"""Seconds after which a file there is nobody's: its process was killed."""


@contextmanager
def stored_upload(upload: BinaryIO, folder: Path | str) -> Generator[Path]:
    """An upload as a file inside the runs folder, under a name of ours; deleted at the end.

    Raises:
        ImportRefused: larger than a checkpoint of these nets can be.
        RunError: the folder can't be written.
    """
    place = Path(folder) / UPLOADS
    path = place / f"{secrets.token_hex(8)}.part"
    try:
        try:
            place.mkdir(parents=True, exist_ok=True)
            _sweep(place)
            upload.seek(0)
            written = 0
            with open(path, "xb") as file:
                while chunk := upload.read(2**20):
                    written += len(chunk)
                    if written > MAX_FILE:
                        raise ImportRefused(
                            "the upload is larger than {most} GiB", most=MAX_FILE // 2**30
                        )
                    file.write(chunk)
        except OSError as error:
            raise files.disk_error(path, error) from error
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    for left in place.glob("*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
