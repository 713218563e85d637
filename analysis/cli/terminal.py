"""The terminal: what it can't show is replaced, what would steer it is written out, and the last
line of defence against errors that nobody foresaw.

`guard` is the one place where standard output and error are set up, and whatever is printed goes
through there. Only rich, which draws with escape codes of its own, writes past it (`console`): what
it is given has to be `escape.one_line`.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from analysis import faults
from analysis.errors import LensError
from analysis.escape import visible

if TYPE_CHECKING:
    from rich.console import Console

TRACEBACK = "--traceback"


class _Shown(io.TextIOBase):
    """A stream to which nothing is written that would steer a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # where rich writes to, past this

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(visible(text.replace("\r\n", "\n")))
        return len(text)

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "rich_proxied_file", "__class__", "writelines"):
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("rich_proxied_file"), name)


def guard() -> None:
    """Set up standard output and error: never fatal, whatever the locale's encoding can't say."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, _Shown):  # without a console, as pythonw has none
            continue
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        setattr(sys, name, _Shown(stream))


def console(stderr: bool = False) -> Console:
    """A console of rich that takes names for names, not for markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=getattr(stream, "rich_proxied_file", stream), markup=False, emoji=False,
        highlight=False,
    )  # fmt: skip


def print_json(rows: Sequence[Any]) -> None:
    """One JSON array, as UTF-8 or, where standard output is something else, in ASCII: the same.

    JSON has no NaN and no infinity: such a number is null.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    print(json.dumps(_finite(rows), indent=1, ensure_ascii=encoding != "utf8", allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(inside) for name, inside in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def ended_by(error: BaseException) -> int:
    """Say in one sentence what ended a command; gives its exit code.

    Ours are said as they are, the system's with path and reason, and of what nobody foresaw the
    traceback goes to a file that is named.
    """
    from analysis.runs.files import disk_error

    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _forget_output()
        return 1
    if TRACEBACK in sys.argv:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        path = Path(os.fsdecode(error.filename))
        error = disk_error(path, error)
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _forget_output()
        error = LensError("standard output can't be written: the disk is full")
    elif isinstance(error, MemoryError):
        error = LensError("out of memory: close other programs, or ask for less at a time")
    if not isinstance(error, LensError):
        error = faults.keep(error)
    _say(f"Error: {error}")
    return error.exit_code


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return  # nobody listens; the exit code says it


def _forget_output() -> None:
    """What is still to be written can't be: Python would complain about it as it ends."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
