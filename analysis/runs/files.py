"""Files that are whole or absent: write to a temporary name, flush, fsync, replace."""

from __future__ import annotations

import errno
import json
import os
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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RunDamaged: no such file, not JSON, or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunDamaged("{file} is missing", file=path.name) from None
    except (OSError, ValueError) as error:
        raise RunDamaged("{file} can't be read: {error}", file=path.name, error=error) from error
    if not isinstance(values, dict):
        raise RunDamaged("{file} holds no JSON object", file=path.name)
    return values


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
