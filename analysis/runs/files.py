"""Files that are whole or absent: write to a temporary name, flush, fsync, replace."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.errors import RunDamaged, RunError

CONFIG = "config.json"
STATUS = "status.json"
MODEL = "model.safetensors"
RESUME = "resume.safetensors"
LOG = "train.log"
CANCEL = "cancel"
LOCK = "lock"
_LARGEST_JSON = 2**24
_DIGITS = 40

_UMASK = os.umask(0o022)
os.umask(_UMASK)


def table_file(table: str) -> str:
    """The file of a table of `analysis.tables`: `history` -> `history.csv`."""
    return f"{table}.csv"


def write_whole(path: Path, write: Callable[[Path], object], durable: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in `path`'s place at once.

    `durable=False` leaves out the fsyncs: for a heartbeat, which a power cut may lose.

    Raises:
        RunError: no space, no permission; what was at `path` before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_UMASK)  # safetensors makes files that only their owner reads
        if durable:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete the temporary files that a killed writer left; only for who holds the lock."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, Any], durable: bool = True) -> None:
    """`values` as indented JSON, whole or not at all; raises as `write_whole`."""
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), durable)


def exists(path: Path) -> bool:
    """Whether there is anything; False also where a folder on the way can't be entered."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """The same of a directory."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_regular(path: Path) -> None:
    """Before a file is opened, which may wait for ever at a pipe or read a device.

    Raises:
        RunDamaged: missing, no regular file, or its folder can't be entered.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise RunDamaged("{file} is missing", file=path.name) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise RunDamaged("{file} is not a regular file", file=path.name)
    if not os.access(path, os.R_OK):
        raise unreadable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def unreadable(path: Path, error: Exception) -> RunDamaged:
    """The error of a file that is there and can't be read."""
    reason = getattr(error, "strerror", None) or error
    return RunDamaged("{file} can't be read: {error}", file=path.name, error=reason)


def read_text(path: Path, most: int = 2**30) -> str:
    """A regular file's text, UTF-8.

    Raises:
        RunDamaged: missing, not regular, not UTF-8, larger than `most` bytes.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if len(data) > most:
        raise RunDamaged("{file} is larger than {most} bytes", file=path.name, most=most)
    return text


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file: every number finite, every text encodable.

    Raises:
        RunDamaged: no such file, not JSON, or not an object.
    """
    text = read_text(path, _LARGEST_JSON)
    try:
        values = json.loads(
            text, parse_constant=_number, parse_float=_number, parse_int=_whole_number
        )
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode("utf-8")  # half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(values, dict):
        raise RunDamaged("{file} holds no JSON object", file=path.name)
    return values


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def append_text(path: Path, text: str) -> None:
    """Add lines at the end of a file and make sure that they are on disk.

    A write that fails half-way (a full disk) is taken back, so that the file ends where it did.

    Raises:
        RunError: no space, no permission.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            start = file.tell()
            try:
                data = text.encode()
                while data:
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> RunError:
    """The operating system's error as a sentence with what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(
            "{path}: the disk is full. Nothing recorded so far is lost: free some space, "
            "then resume the run.",
            path=path,
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(
            "{path}: can't be written here ({reason}). Choose another folder with --runs FOLDER.",
            path=path,
            reason=error.strerror,
        )
    return RunError("{path}: {reason}", path=path, reason=error.strerror or error)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
