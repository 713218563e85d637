"""What a torch pickle would build, found out without building it: names, shapes, sizes, no tensors.

A small stack machine for the opcodes that torch.save writes. It imports nothing, calls nothing
and allocates no more than the pickle's own length, so it is a gate in front of
`torch.load(weights_only=True)`: what asks for more than plain containers and dense tensors, or
for more memory than the file holds, is refused before torch sees it.
"""

from __future__ import annotations

import pickletools
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from analysis.errors import ImportRefused
from analysis.importing.names import ADVICE, STORAGES, is_known, needs_code
from analysis.importing.stubs import (
    NUMPY_SCALARS,
    Attributed,
    Opaque,
    StorageStub,
    TensorStub,
    check_state,
    numpy_dtype,
    numpy_number,
    opaque,
    tensor_stub,
)

MAX_PICKLE = 4 * 2**20
"""Bytes of pickle that are looked at; ResNet-1202 with its optimiser has 2.2 MB."""
MAX_KEYS = 20_000
"""Entries of all dictionaries together; ResNet-1202 with its optimiser has 11,000."""


@dataclass
class Outline:
    """What a pickle describes."""

    value: Any
    storages: dict[str, StorageStub] = field(default_factory=dict)


def outline(data: BytesIO) -> Outline:
    """Read one pickle from where `data` stands to its end.

    Raises:
        ImportRefused: it would run code, is torn, or describes what no net of ours needs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pickletools': of escapes in strings that nobody writes
        return _outline(data)


def _outline(data: BytesIO) -> Outline:
    start = data.tell()
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
    except _UnknownNameError as unknown:
        data.seek(start)
        raise needs_code(data, str(unknown)) from None
    except ImportRefused:
        raise
    except _TORN as error:
        raise ImportRefused(
            "its pickle is torn or not from torch.save ({reason}); get the file again",
            reason=str(error) or type(error).__name__,
        ) from None
    return Outline(machine.result, machine.storages)


_TORN = (
    ValueError, IndexError, KeyError, TypeError, RecursionError, OverflowError, struct.error,
)  # fmt: skip


class _UnknownNameError(Exception):
    """A name that the pickle wants imported and that is not on our list."""


class _Machine:
    """The stack, the memo and one method an opcode; a value never has a method of the file's."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageStub] = {}
        self.keys = 0
        self.result: Any = None

    def step(self, name: str, argument: Any) -> None:
        """Do one opcode."""
        if name in _PUSH:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _PUT:
            self.memo[argument] = self.stack[-1]
        elif name in _GET:
            self.stack.append(self.memo[argument])
        elif name in _OPERATIONS:
            _OPERATIONS[name](self)
        elif name == "GLOBAL":
            self._global(*argument.split(" ", 1))
        elif name not in ("PROTO", "FRAME"):
            raise ImportRefused(
                "its pickle has the opcode {opcode}, which torch.save does not write: an object "
                "that is no plain data. {advice}",
                opcode=name,
                advice=ADVICE,
            )

    def _popmark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def tuple_(self) -> None:
        items = tuple(self._popmark())
        self.stack.append(items)

    def tuple_of(self, n: int) -> None:
        self.stack[-n:] = [tuple(self.stack[-n:])]

    def append(self) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def appends(self) -> None:
        values = self._popmark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise ValueError("appends to what is no list")
        return self.stack[-1]

    def setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def setitems(self) -> None:
        self._set(self._popmark())

    def _set(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("sets entries of what is no dictionary")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            self._put(target, key, value)

    def _put(self, target: dict, key: Any, value: Any) -> None:
        # Only plain keys: hashing a tuple of tuples of tuples ... can take for ever.
        if not isinstance(key, str | int | float | None):
            raise ImportRefused(
                "a dictionary in it has a {kind} for a key", kind=type(key).__name__
            )
        self.keys += 1
        if self.keys > MAX_KEYS:
            raise ImportRefused(
                "it has more than {most:,} entries; the deepest net here, ResNet-1202, has "
                "7,208 tensors",
                most=MAX_KEYS,
            )
        target[key] = value

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._global(str(module), str(name))

    def _global(self, module: str, name: str) -> None:
        if not is_known(module, name):
            raise _UnknownNameError(f"{module}.{name}")
        self.stack.append(_Global(f"{module}.{name}"))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or type(arguments) is not tuple:
            raise ValueError("calls what is no function")
        self.stack.append(self._call(function.name, arguments))

    def newobj(self) -> None:
        """A parameter as torch before 0.4 wrote it: torchvision's first files."""
        arguments, made = self.stack.pop(), self.stack.pop()
        match made, arguments:
            case _Global("torch.nn.parameter.Parameter"), (TensorStub() as tensor,):
                self.stack.append(tensor)
            case _:
                raise ImportRefused(
                    "it makes an object that is no parameter. {advice}", advice=ADVICE
                )

    def _call(self, name: str, arguments: tuple) -> Any:
        match name:
            case "collections.OrderedDict":
                return self._dict(arguments[0] if arguments else ())
            case "collections.Counter":
                return self._dict(dict(*arguments).items())
            case "numpy.dtype":
                return numpy_dtype(arguments)
            case name if name in NUMPY_SCALARS:
                return numpy_number(arguments)
            case "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor":
                return tensor_stub(*arguments[:4])
            case "torch._utils._rebuild_parameter":
                if not isinstance(arguments[0], TensorStub):
                    raise ValueError("a parameter of no tensor")
                return arguments[0]
            case "torch.Size" | "torch.device" | "_codecs.encode":
                return opaque(name, arguments)
        raise ImportRefused(
            "it calls {function}, which a state dict does not. {advice}",
            function=name,
            advice=ADVICE,
        )

    def _dict(self, items: Any) -> Attributed:
        made = Attributed()
        for key, value in items:
            self._put(made, key, value)
        return made

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Opaque | TensorStub):
            check_state(target, state)
            return
        if not isinstance(target, Attributed) or not isinstance(state, dict):
            raise ImportRefused(
                "it sets attributes of what is no OrderedDict: a whole object. {advice}",
                advice=ADVICE,
            )
        target.attributes = dict(state)

    def persistent(self) -> None:
        match self.stack.pop():
            case ("storage", _Global(name), str(key), _, int(numel), *view) if (
                numel >= 0 and not any(view)
            ):
                dtype = STORAGES[name.removeprefix("torch.")]
                stub = StorageStub(key, dtype, numel)
                if self.storages.setdefault(stub.key, stub) != stub:
                    raise ImportRefused(
                        "it describes its storage {key} twice, differently", key=key
                    )
                self.stack.append(stub)
            case _:
                raise ImportRefused("it refers to more than tensors. {advice}", advice=ADVICE)

    def stop(self) -> None:
        self.result = self.stack.pop()


@dataclass(frozen=True)
class _Global:
    """A name of our list; it stands for a function that is never called."""

    name: str


_PUSH = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "SHORT_BINSTRING",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict,
}  # fmt: skip
_PUT, _GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
_OPERATIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "MEMOIZE": _Machine.memoize,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.newobj,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "STOP": _Machine.stop,
}
