"""What stands for the objects of a pickle: tensors by storage and shape, all others inert.

And plain numbers that were numpy's: `best_acc` often is one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.errors import ImportRefused
from analysis.text import Message

MAX_DIMENSIONS = 8
MAX_SHARED = 4
"""Times a file's size that its tensors may have together: they may lie in one storage."""
ALWAYS_SHARED = 64 * 2**20
"""Bytes that they may have however small the file: a net may be one block, used 50 times."""
ITEM_SIZES = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
    "int8": 1, "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip


@dataclass(frozen=True)
class StorageStub:
    """A run of numbers that the file says it holds."""

    key: str
    dtype: str
    numel: int

    @property
    def nbytes(self) -> int:
        """Its length in bytes."""
        return self.numel * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class TensorStub:
    """A tensor that the pickle describes, inside its storage and no larger than it."""

    storage: StorageStub
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """`float32`, `int64`, ..."""
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        """Its length in bytes once it has memory of its own."""
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


class Attributed(dict):
    """A dictionary of the file; its attributes (torch's `_metadata`) apart from its entries."""

    attributes: Mapping[Any, Any] = {}


class StandIn:
    """An object of a class that is not ours: its class's name and its data, no behaviour.

    Attributes of an object are in `state`, entries of one that is a dictionary in `entries`.
    """

    def __init__(self, name: str, arguments: tuple = ()) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None
        self.entries: dict[Any, Any] = {}


def members(value: Any) -> Mapping[Any, Any]:
    """What is in a dictionary or an object by name; nothing in anything else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, StandIn):
        return (value.state if isinstance(value.state, dict) else {}) | value.entries
    return {}


NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
"""Where numpy's numbers are made: before version 2, and since."""
_NUMBER_CODES = {
    "f2": "<e", "f4": "<f", "f8": "<d", "i1": "<b", "i2": "<h", "i4": "<i", "i8": "<q",
    "u1": "<B", "u2": "<H", "u4": "<I", "u8": "<Q", "b1": "<?",
}  # fmt: skip


def encoded(arguments: tuple) -> bytes:
    """Bytes as pickles before protocol 3 write them: text, in latin-1."""
    match arguments:
        case (str(text), "latin1"):
            return text.encode("latin1")
    raise ValueError("bytes in an unknown encoding")


def numpy_number(arguments: tuple) -> int | float | bool:
    """The number in a numpy scalar, taken from its bytes without numpy."""
    match arguments:
        case (StandIn(name="numpy.dtype") as dtype, data):
            code = dtype.arguments[0] if dtype.arguments else None
            if not isinstance(code, str) or code not in _NUMBER_CODES:
                raise ImportRefused("it holds a numpy dtype that is not of a plain number")
            if isinstance(data, bytes):
                return struct.unpack(_NUMBER_CODES[code], data)[0]
    raise ValueError("a numpy scalar that is no plain number")


def tensor_stub(storage: Any, offset: Any, shape: Any, stride: Any) -> TensorStub:
    """The stub of a dense tensor, inside its storage and no larger than it."""
    if type(shape) is not tuple or type(stride) is not tuple:
        raise ValueError("a tensor without a shape")
    numbers: tuple[Any, ...] = (offset, *shape, *stride)
    if not isinstance(storage, StorageStub) or len(shape) != len(stride):
        raise ValueError("a tensor without a storage")
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
        raise ImportRefused("a tensor in it has the impossible shape {shape}", shape=_short(shape))
    elements = math.prod(shape)
    ends = zip(numbers[1 : 1 + len(shape)], numbers[1 + len(shape) :], strict=True)
    last = offset + sum((n - 1) * step for n, step in ends)
    if elements > storage.numel or (elements and last >= storage.numel):
        raise ImportRefused(
            "a tensor in it claims the shape {shape}, which is {claimed}, but the file has {held} "
            "for it",
            shape=_short(shape),
            claimed=_bytes(elements * ITEM_SIZES[storage.dtype]),
            held=_bytes(storage.nbytes),
        )
    return TensorStub(storage, offset, shape, stride)


def check_together(stubs: Collection[TensorStub], held: int) -> None:
    """Before these are given memory of their own: they share storages, and each is as large as its.

    Args:
        stubs: all that are made of one file.
        held: the file's bytes.

    Raises:
        ImportRefused: together they are far larger than the file.
    """
    claimed = sum(stub.nbytes for stub in stubs)
    if claimed > max(MAX_SHARED * held, ALWAYS_SHARED):
        raise ImportRefused(
            "its {n:,} tensors claim {claimed} together, but the file has {held} for them; a net "
            "shares a few of its weights, not nearly all",
            n=len(stubs),
            claimed=_bytes(claimed),
            held=_bytes(held),
        )


def _short(shape: Any) -> str:
    # Only numbers: a tuple of tuples of tuples ... can take for ever to print.
    return "x".join(str(n) if type(n) is int else "?" for n in shape[:MAX_DIMENSIONS])[:80]


def _bytes(n: int) -> str | Message:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:,.1f} {unit}"
    return Message("{n} bytes", n=n)
