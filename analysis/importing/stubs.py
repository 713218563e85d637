"""What stands for a tensor until sizes are checked: its storage, dtype and shape, no numbers.

And plain numbers that were numpy's: `best_acc` often is one.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from analysis.errors import ImportRefused
from analysis.text import Message

MAX_DIMENSIONS = 8
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
    """A tensor that the pickle describes; its shape was checked against its storage."""

    storage: StorageStub
    shape: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """`float32`, `int64`, ..."""
        return self.storage.dtype


class Attributed(dict):
    """An OrderedDict of the file; its attributes (torch's `_metadata`) apart from its entries."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.attributes: dict[str, Any] = {}


@dataclass(frozen=True)
class Opaque:
    """Something harmless that we have no use for: a dtype, a device, bytes."""

    name: str
    value: Any = None


NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
"""Where numpy's numbers are made: before version 2, and since."""
NUMBER_CODES = {
    "f2": "<e", "f4": "<f", "f8": "<d", "i1": "<b", "i2": "<h", "i4": "<i", "i8": "<q",
    "u1": "<B", "u2": "<H", "u4": "<I", "u8": "<Q", "b1": "<?",
}  # fmt: skip
_DTYPE_STATES = [(3, order, None, None, None, -1, -1, 0) for order in "<|"]


def opaque(name: str, arguments: tuple) -> Opaque:
    """A call whose result is data that we carry along at most: sizes, devices, bytes."""
    if name != "_codecs.encode":
        return Opaque(name)
    match arguments:
        case (str(text), "latin1"):
            return Opaque(name, text.encode("latin1"))
    raise ValueError("bytes in an unknown encoding")


def numpy_dtype(arguments: tuple) -> Opaque:
    """The dtype of a plain number: `("f8", False, True)`."""
    match arguments:
        case (str(code), bool() | 0 | 1, bool() | 0 | 1) if code in NUMBER_CODES:
            return Opaque("numpy.dtype", code)
    raise ImportRefused("it holds a numpy dtype that is not of a plain number")


def check_state(target: Any, state: Any) -> None:
    """Of what was made with plain values: a numpy dtype, or a parameter of torch before 0.4.

    Raises:
        ValueError: the values are not those that numpy and torch write.
    """
    if isinstance(target, Opaque) and target.name == "numpy.dtype" and state in _DTYPE_STATES:
        return
    match target, state:
        case TensorStub(), (bool(), bool(), None | Attributed()):
            return
    raise ValueError("sets attributes of what has none")


def numpy_number(arguments: tuple) -> int | float | bool:
    """The number in a numpy scalar, taken from its bytes without numpy."""
    match arguments:
        case (Opaque("numpy.dtype", code), Opaque("_codecs.encode", bytes(data))):
            return struct.unpack(NUMBER_CODES[code], data)[0]
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
    elements = math.prod(numbers[1 : 1 + len(shape)])
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
    return TensorStub(storage, tuple(shape))


def _short(shape: Any) -> str:
    # Only numbers: a tuple of tuples of tuples ... can take for ever to print.
    return "x".join(str(n) if type(n) is int else "?" for n in shape[:MAX_DIMENSIONS])[:80]


def _bytes(n: int) -> str | Message:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:,.1f} {unit}"
    return Message("{n} bytes", n=n)
