"""What a checkpoint file says it holds, checked against its size before any tensor is made.

Three formats: torch's zip, torch's older run of pickles ("legacy"), safetensors. Each check reads
a few megabytes at most, whatever the file claims. `Contents.read` gives the bytes of one storage,
which is all that is ever taken from a file; what they mean is `reading`'s.
"""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

from analysis.errors import ImportRefused
from analysis.exchange.importing.containers import MAX_KEYS, MAX_PICKLE
from analysis.exchange.importing.formats import FORMATS, other_format, refuse_other_zips
from analysis.exchange.importing.pickles import outline
from analysis.exchange.importing.stubs import StorageStub
from analysis.text import Message

Format = Literal["zip", "legacy", "safetensors"]

MAX_FILE = 2 * 2**30
"""Bytes; ResNet-152 for ImageNet with Adam's state has 0.7 GB."""
MAX_DIRECTORY = 8 * 2**20
"""Bytes of a zip's directory."""

_END = struct.Struct("<4s4H2IH")  # a zip's end record
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


@dataclass(frozen=True)
class Contents:
    """A file that passed the checks."""

    format: Format
    outline: Any = None
    """The containers of the pickle with stubs for tensors; None for safetensors."""
    places: Mapping[str, zipfile.ZipInfo | int] = field(default_factory=dict)
    """Where each storage is: its record, or its first byte in a legacy file."""

    def read(self, file: BinaryIO, storage: StorageStub) -> bytes:
        """The numbers of one storage; raises ImportRefused if they are damaged."""
        place = self.places[storage.key]
        if isinstance(place, int):
            file.seek(place)
            return file.read(storage.nbytes)
        return _record(file, place)


def check_file(path: Path) -> Contents:
    """Recognise the format by the first bytes, and check all that is declared.

    Raises:
        ImportRefused: not such a file, cut off, too large, or it claims what it does not hold.
    """
    try:
        if not path.exists():
            raise ImportRefused("there is no file {path}", path=path)
        if not path.is_file():
            raise ImportRefused(
                "{path} is not a file; name one with {formats}", path=path, formats=FORMATS
            )
        size = path.stat().st_size
        if size > MAX_FILE:
            raise ImportRefused(
                "it has {size:.1f} GiB; weights of these nets fit into {most} GiB",
                size=size / 2**30,
                most=MAX_FILE // 2**30,
            )
        with open(path, "rb") as file:
            return _check(file, size)
    except OSError as error:
        raise ImportRefused(
            "{path} can't be read: {reason}", path=path, reason=error.strerror or error
        ) from None


def _check(file: BinaryIO, size: int) -> Contents:
    start = file.read(16)
    if not start:
        raise ImportRefused("it is empty")
    if start.startswith(b"PK\x03\x04"):
        return _check_zip(file, size)
    if start[8:9] == b"{":
        _check_safetensors(start, size)
        return Contents("safetensors")
    if start.startswith(b"\x80"):
        return _check_legacy(file, size)
    raise other_format(start + file.read(4096))


def _check_zip(file: BinaryIO, size: int) -> Contents:
    records = _records(file, size)
    roots = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise ImportRefused("it is a zip, but not one of torch.save: it has no data.pkl")
    root = roots[0].removesuffix("data.pkl")
    length = records[roots[0]].file_size
    if length > MAX_PICKLE:
        raise ImportRefused(
            "its list of tensors has {size:.0f} MiB (more than {entries:,} entries); that of the "
            "deepest net here has less than {most}",
            size=length / 2**20,
            entries=MAX_KEYS,
            most=MAX_PICKLE // 2**20,
        )
    found = outline(BytesIO(_record(file, records[roots[0]])))
    if records.get(root + "byteorder") and _record(file, records[root + "byteorder"]) == b"big":
        raise ImportRefused("it was written on a big-endian machine")
    for stub in found.storages.values():
        held = records.get(f"{root}data/{stub.key}")
        if held is None or held.file_size != stub.nbytes:
            raise _not_held(stub, held.file_size if held else 0)
    places = {key: records[f"{root}data/{key}"] for key in found.storages}
    return Contents("zip", found.value, places)


def _record(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.read(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise _damaged(error) from None


def _damaged(error: Exception) -> ImportRefused:
    return ImportRefused("it is a damaged zip ({reason}); get the file again", reason=error)


def _records(file: BinaryIO, size: int) -> dict[str, zipfile.ZipInfo]:
    """The zip's records by name: all stored, none twice, together no longer than the file."""
    file.seek(max(size - _END.size, 0))
    tail = file.read(_END.size)
    if len(tail) < _END.size or not tail.startswith(b"PK\x05\x06"):
        raise ImportRefused("it is cut off: the end of the zip is missing; get the file again")
    _, _, _, _, entries, directory, _, _ = _END.unpack(tail)
    if entries > MAX_KEYS or directory > MAX_DIRECTORY:
        raise ImportRefused(
            "it has {count} records; more than {most:,} are no net of these families",
            count=Message("more than 65,000") if entries == 0xFFFF else f"{entries:,}",
            most=MAX_KEYS,
        )
    try:
        with zipfile.ZipFile(file) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise _damaged(error) from None
    refuse_other_zips([info.filename for info in found])
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in found):
        unpacked = sum(info.file_size for info in found)
        raise ImportRefused(
            "its records are compressed (they would unpack to {size:,.1f} MB), which torch.save "
            "never does",
            size=unpacked / 1e6,
        )
    twice = [name for name, n in Counter(info.filename for info in found).items() if n > 1]
    if twice or sum(info.file_size for info in found) > size:
        raise ImportRefused("its records overlap: it claims to hold more than its size")
    if not found or min(info.header_offset for info in found) != 0:
        raise ImportRefused("something else comes before the zip in it")
    return {info.filename: info for info in found}


def _check_legacy(file: BinaryIO, size: int) -> Contents:
    file.seek(0)
    head = BytesIO(file.read(MAX_PICKLE))
    if not head.getvalue().startswith(_LEGACY_START):
        outline(head)  # says what it would execute
        raise ImportRefused(
            "it is a pickle, but not one of torch.save; weights come from torch.save(...)"
        )
    if outline(head).value != _LEGACY_MAGIC or outline(head).value != 1001:
        raise ImportRefused("it is from a version of torch.save that is not known")
    system = outline(head).value
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ImportRefused("it was written on a big-endian machine")
    found = outline(head)
    keys = outline(head).value
    strings = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not strings or sorted(keys) != sorted(found.storages):
        raise ImportRefused("its list of storages does not fit its tensors")
    stubs = [found.storages[key] for key in keys]
    return Contents("legacy", found.value, _legacy_places(file, head.tell(), size, stubs))


def _legacy_places(
    file: BinaryIO, at: int, size: int, stubs: list[StorageStub]
) -> dict[str, zipfile.ZipInfo | int]:
    """Each storage is its length (8 bytes) and its numbers, one after the other."""
    places: dict[str, zipfile.ZipInfo | int] = {}
    for stub in stubs:
        file.seek(at)
        length = file.read(8)
        if len(length) < 8 or at + 8 + stub.nbytes > size:
            raise _not_held(stub, max(size - at - 8, 0))
        if int.from_bytes(length, "little") != stub.numel:
            raise ImportRefused(
                "its storage {key} has another length than its tensors say", key=stub.key
            )
        places[stub.key] = at + 8
        at += 8 + stub.nbytes
    return places


def _check_safetensors(start: bytes, size: int) -> None:
    length = int.from_bytes(start[:8], "little")
    if length > MAX_PICKLE:
        raise ImportRefused(
            "its header says that it has {length:,} bytes; that of the deepest net here has less "
            "than {most} MiB",
            length=length,
            most=MAX_PICKLE // 2**20,
        )
    if 8 + length > size:
        raise ImportRefused("it is cut off in its header; get the file again")


def _not_held(stub: StorageStub, held: int) -> ImportRefused:
    return ImportRefused(
        "it is cut off, or claims more than it holds: storage {key} should have {wanted:,} bytes, "
        "the file has {held:,} for it; get the file again",
        key=stub.key,
        wanted=stub.nbytes,
        held=held,
    )
