"""An upload passes through the runs folder under a name of ours, and is deleted at the end."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from analysis.errors import ImportRefused
from analysis.exchange.importing.archives import MAX_FILE
from analysis.runs import files

UPLOADS = ".uploads"
"""Folder in the runs folder; its name begins with a dot, so no run is looked for in it."""


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
