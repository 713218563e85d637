"""Files that are whole or absent: write to a temporary name, flush, fsync, replace.

The same on Windows, where a file that somebody reads can't be replaced and a folder not synced.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from analysis.errors import RunDamaged, RunError
from analysis.text import Message

Result = TypeVar("Result")

CONFIG = "config.json"
STATUS = "status.json"
MODEL = "model.safetensors"
RESUME = "resume.safetensors"
LABELS = "labels.json"
RECORDING = "recording.json"
PROGRESS = "progress.json"
"""The status of a training that a recording watches: as a run's status.json."""
KEPT = "weights"
"""Folder of the weights of every epoch, where a training keeps them."""
LOG = "train.log"
CANCEL = "cancel"
LOCK = "lock"
_LARGEST_JSON = 2**24
_DIGITS = 40
_CHUNK = 2**16
"""Bytes read at once: of most files all."""
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Of a pipe, too, without waiting for somebody who writes into it."""

_PATIENCE = 5.0
"""Seconds that a file is waited for which another program has open (Windows)."""
_HELD_OPEN = (5, 32, 33, 1224)
"""Windows' error numbers of that: access denied, in use, locked, mapped into memory."""
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_TOO_LONG = (206,)
"""Windows' own of a path that is too long, besides ENAMETOOLONG."""


def kept_weights(epoch: int) -> str:
    """Where the weights after an epoch are kept: `weights/epoch-0012.safetensors`."""
    return f"{KEPT}/epoch-{epoch:04}.safetensors"


def table_file(table: str) -> str:
    """The file of a table of `analysis.runs.tables`: `history` -> `history.csv`."""
    return f"{table}.csv"


def write_whole(
    path: Path,
    write: Callable[[Path], object],
    durable: bool = True,
    check: Callable[[], object] | None = None,
) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in `path`'s place at once.

    `durable=False` leaves out the fsyncs: for a heartbeat, which a power cut may lose. `check` is
    called right before the file takes its place; what it raises leaves all as it was.

    Raises:
        RunError: no space, no permission, or another program keeps `path` open (Windows); what was
            at `path` before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # safetensors makes files that only their owner reads
        if durable:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        if check:
            check()
        replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):  # what went wrong above is what is said
            temporary.unlink(missing_ok=True)


_written = 0


def written() -> int:
    """Changes with each write of this process: what it has looked at before may be another now."""
    return _written


def note_written() -> None:
    """A file was written or deleted."""
    global _written
    _written += 1


def replace(source: Path, target: Path) -> None:
    """`os.replace`, `patiently`."""
    note_written()
    patiently(lambda: os.replace(source, target))


def patiently(action: Callable[[], Result]) -> Result:
    """What `action` gives; tried again for some seconds while another program has a file (Windows).

    Raises:
        OSError: as the action does, at once or once the patience is over.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except OSError as error:
            if not _is_held_open(error) or time.monotonic() >= end:
                raise
            time.sleep(0.02)


def _is_held_open(error: OSError) -> bool:
    return getattr(error, "winerror", None) in _HELD_OPEN


def write_tensors(
    path: Path,
    tensors: dict[str, Any],
    metadata: Mapping[str, str],
    check: Callable[[], object] | None = None,
) -> None:
    """A dictionary of torch tensors as a safetensors file, whole or not at all.

    Equal tensors and metadata give equal bytes. Raises as `write_whole`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    def write(temporary: Path) -> None:
        try:
            save_file(tensors, temporary, {"format": "pt", **metadata})
        except SafetensorError as error:
            raise _system_error(error) from error
        _sort_metadata(temporary)

    write_whole(path, write, check=check)


def _system_error(error: Exception) -> OSError:
    """What the system said: safetensors has its error's number in its words alone."""
    number = re.search(r"os error (\d+)", str(error))
    code = int(number[1]) if number else errno.EIO
    if os.name == "nt" and number:
        return OSError(None, str(error), None, code)
    return OSError(code, os.strerror(code) if number else str(error))


def _sort_metadata(file: Path) -> None:
    # The library writes them in an order that differs from process to process.
    with open(file, "rb+") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= size:  # as always: both write JSON without a blank
            opened.seek(8)
            opened.write(text.ljust(size))


def sweep(folder: Path) -> None:
    """Delete the temporary files that a killed writer left; only for who holds the lock."""
    for left in folder.glob(".*.tmp"):
        remove(left)


def write_text(path: Path, text: str) -> None:
    """A text as UTF-8, whatever the locale, whole or not at all; raises as `write_whole`."""
    write_whole(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "replace")))


def write_json(
    path: Path,
    values: dict[str, Any],
    durable: bool = True,
    check: Callable[[], object] | None = None,
) -> None:
    """`values` as indented JSON, whole or not at all; raises as `write_whole`.

    A name that is not UTF-8 is written out (`visible`), so that the file can be read again.
    """
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    data = _LONE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()
    write_whole(path, lambda temporary: temporary.write_bytes(data), durable, check)


_LONE = re.compile("[\ud800-\udfff]")
"""Half a surrogate pair: Python's stand-in for a byte of a file name that is not UTF-8."""


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
    """Before a file is opened by somebody else, whose errors say less.

    Raises:
        RunDamaged: missing, no regular file, it may not be read, or its folder can't be entered.
    """
    check_kind(path)
    if not os.access(path, os.R_OK):
        raise unreadable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def open_regular(path: Path | str) -> tuple[int, int]:
    """A regular file's descriptor for `os.read` and its size: a third of the time of `open`.

    Where thousands are opened, a Path of each takes as long as all else: a text will do.

    Raises:
        RunDamaged: missing, no regular file, or it can't be read.
    """
    try:
        file = patiently(lambda: os.open(path, _READING))
    except (OSError, ValueError) as error:
        check_kind(path)
        raise unreadable(path, error) from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        os.close(file)
        raise _not_regular(path)
    return file, found.st_size


def read_up_to(file: int, most: int) -> bytes:
    """From where a descriptor stands: so many bytes, or all that there are."""
    parts = []
    while most and (part := os.read(file, min(most, _CHUNK))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def check_kind(path: Path | str) -> None:
    """Before a file is opened, which may wait for ever at a pipe or read a device.

    Raises:
        RunDamaged: missing, no regular file, or its folder can't be entered.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise RunDamaged("{file} is missing", file=Path(path).name) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise _not_regular(path)


def _not_regular(path: Path | str) -> RunDamaged:
    return RunDamaged("{file} is not a regular file", file=Path(path).name)


def unreadable(path: Path | str, error: Exception) -> RunDamaged:
    """The error of a file that is there and can't be read."""
    reason = getattr(error, "strerror", None) or error
    return RunDamaged("{file} can't be read: {error}", file=Path(path).name, error=reason)


def read_text(path: Path | str, most: int = 2**30) -> str:
    """A regular file's text, UTF-8.

    Raises:
        RunDamaged: missing, not regular, not UTF-8, larger than `most` bytes.
    """
    file, size = open_regular(path)
    try:
        data = read_up_to(file, min(size, most + 1))
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    finally:
        os.close(file)
    if len(data) > most:
        raise RunDamaged("{file} is larger than {most} bytes", file=Path(path).name, most=most)
    return text


def read_json(path: Path | str) -> dict[str, Any]:
    """The object in a JSON file: every number finite, every text encodable.

    Raises:
        RunDamaged: no such file, not JSON, or not an object.
    """
    text = read_text(path, _LARGEST_JSON)
    try:
        values = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode("utf-8")  # half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(values, dict):
        raise RunDamaged("{file} holds no JSON object", file=Path(path).name)
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


_DECODER = json.JSONDecoder(parse_constant=_number, parse_float=_number, parse_int=_whole_number)


def append_text(path: Path, text: str) -> None:
    """Add lines at the end of a file and make sure that they are on disk.

    A write that fails half-way (a full disk) is taken back, so that the file ends where it did.

    Raises:
        RunError: no space, no permission.
    """
    note_written()
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
    if _is_held_open(error) and path.exists():
        return RunError(
            "{path} is open in another program, or may not be changed: close the program that "
            "reads it, then go on",
            path=path,
        )
    if error.errno == errno.ENAMETOOLONG or getattr(error, "winerror", None) in _TOO_LONG:
        return RunError(
            "{path}: this path, of {count} characters, is longer than the system allows. Choose a "
            "shorter --name, or a folder nearer to the root with --runs FOLDER.",
            path=path,
            count=len(str(path.absolute())),
        )
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return RunError(
            "There is no folder {folder}: it was never made, or was moved or removed meanwhile.",
            folder=path.parent,
        )
    in_a_run = exists(path.parent / CONFIG) or path.name == STATUS
    if error.errno in _FULL:
        if in_a_run:
            return RunError(
                "{path}: the disk is full. Nothing recorded so far is lost: free some space, "
                "then resume the run.",
                path=path,
            )
        return RunError(
            "{path}: the disk is full. Nothing was written: free some space, then try again.",
            path=path,
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(
            "{path}: can't be written here ({reason}). {remedy}",
            path=path,
            reason=error.strerror,
            remedy=Message("Choose another folder with --runs FOLDER.")
            if in_a_run
            else Message("Choose a place that you can write to."),
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return RunError(
            "{path}: a part of this path is a file, not a folder. Choose another place.", path=path
        )
    return RunError("{path}: {reason}", path=path, reason=error.strerror or error)


@contextmanager
def told(path: Path) -> Generator[None]:
    """What the system refuses to do with a path, as one of our errors: around anything that makes,
    removes or looks through files elsewhere. Raises RunError."""
    try:
        yield
    except OSError as error:
        raise disk_error(_named(error) or path, error) from error


def _named(error: OSError) -> Path | None:
    """The path that an error is about, where it says so."""
    return Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None


def remove(path: Path) -> None:
    """Delete a file, if it is there. Raises RunError."""
    note_written()
    with told(path):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder can't be opened there; NTFS keeps its own journal of names
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
