"""The last line of defence: an error that nobody foresaw becomes one sentence and a log file.

The command line and the app both end up here. It is never reached by what a person can cause: that
is one of `analysis.errors`.
"""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from analysis import __version__
from analysis.errors import LensError

LOG = "errors.log"
_LARGEST = 2**20
"""Bytes of the log beyond which it is begun anew."""


class Unforeseen(LensError):
    """What should not have happened, with where its traceback is."""

    exit_code = 70  # as BSD's sysexits.h has it


def keep(error: BaseException) -> Unforeseen:
    """Write an error's traceback to the log and say where it is; never raises."""
    what = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:300]
    file = _write("".join(traceback.format_exception(error)))
    if file is None:
        return Unforeseen(
            "something went wrong that should not have ({what}), and no log could be written. "
            "Please report it with what you did.",
            what=what,
        )
    return Unforeseen(
        "something went wrong that should not have ({what}). Please report it with what you did; "
        "the details are at the end of {file}",
        what=what,
        file=file,
    )


def _write(trace: str) -> Path | None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    head = f"{when} Residual Lens {__version__}, Python {platform.python_version()}, "
    text = f"{head}{platform.system()}, process {os.getpid()}\n{trace}\n"
    for folder in _folders():
        file = folder / LOG
        try:
            folder.mkdir(parents=True, exist_ok=True)
            large = file.is_file() and file.stat().st_size > _LARGEST
            with open(file, "w" if large else "a", encoding="utf-8", errors="replace") as log:
                log.write(text)
        except OSError:
            continue
        return file
    return None


def _folders() -> list[Path]:
    """Where to write, the first one first."""
    folders = [Path(tempfile.gettempdir())]
    with suppress(OSError, ImportError):  # such as no descriptor left
        from analysis.specs.datasets import cache_folder

        folders.insert(0, cache_folder())
    return folders
