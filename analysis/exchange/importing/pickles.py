"""What a torch pickle describes, found out without building it: names, shapes, sizes, plain data.

A small stack machine over the opcodes that `pickletools` decodes. It imports nothing, calls
nothing and allocates no more than the pickle's own length. Tensors become stubs, which are checked
against the file; objects of any class become inert stand-ins that hold their data. So whole
modules can be read, and nothing that a file says is ever executed.
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
from analysis.exchange.importing.containers import Containers, Name
from analysis.exchange.importing.names import ADVICE, STORAGES, harmful, is_harmful
from analysis.exchange.importing.stubs import (
    NUMPY_SCALARS,
    Attributed,
    StandIn,
    StorageStub,
    TensorStub,
    encoded,
    numpy_number,
    tensor_stub,
)


@dataclass
class Outline:
    """What a pickle describes."""

    value: Any
    storages: dict[str, StorageStub] = field(default_factory=dict)


def outline(data: BytesIO) -> Outline:
    """Read one pickle from where `data` stands to its end.

    Raises:
        ImportRefused: it means harm, is torn, or describes what no net of ours needs.
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickletools': of escapes that nobody writes
            for opcode, argument, _ in pickletools.genops(data):
                machine.step(opcode.name, argument)
    except ImportRefused:
        raise
    except _TORN as error:
        if machine.harm:
            raise harmful(machine.harm) from None
        raise ImportRefused(
            "its pickle is torn or not from torch.save ({reason}); get the file again",
            reason=str(error) or type(error).__name__,
        ) from None
    if machine.harm:
        raise harmful(machine.harm)
    return Outline(machine.result, machine.storages)


_TORN = (
    ValueError, IndexError, KeyError, TypeError, RecursionError, OverflowError, struct.error,
)  # fmt: skip


class _Machine(Containers):
    """The stack, the memo and one method an opcode; a value never has a method of the file's."""

    def __init__(self) -> None:
        super().__init__()
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageStub] = {}
        self.harm: list[str] = []
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
            self._name(*argument.split(" ", 1))
        elif name not in ("PROTO", "FRAME"):
            raise ImportRefused(
                "its pickle has the opcode {opcode}, which torch.save does not write. {advice}",
                opcode=name,
                advice=ADVICE,
            )

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(str(module), str(name))

    def _name(self, module: str, name: str) -> None:
        if is_harmful(module, name):
            self.harm.append(f"{module}.{name}")
        self.stack.append(Name(f"{module}.{name}"))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple:
            raise ValueError("calls without arguments")
        named = isinstance(function, Name)
        self.stack.append(self._described(function.name if named else "an object", arguments))

    def newobj(self) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        match made, arguments:
            case Name("torch.nn.parameter.Parameter"), (TensorStub() as tensor,):
                self.stack.append(tensor)  # as torch before 0.4 wrote it: torchvision's first files
            case Name(name), tuple():
                self.make_room()
                self.stack.append(StandIn(name, arguments))
            case _:
                raise ValueError("makes an object of what is no class")

    def newobj_ex(self) -> None:
        self.stack.pop()
        self.newobj()

    def _described(self, name: str, arguments: tuple) -> Any:
        """What such a call would give: a tensor's stub, plain data, or a stand-in."""
        match name:
            case "collections.OrderedDict" | "builtins.dict" | "__builtin__.dict":
                return self.made_dict(arguments[0] if arguments else ())
            case "collections.defaultdict":
                return self.made_dict(())
            case "collections.Counter":
                return self.made_dict(arguments[0].items() if arguments else ())
            case name if name in NUMPY_SCALARS:
                return numpy_number(arguments)
            case "_codecs.encode":
                return encoded(arguments)
            case "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor":
                return tensor_stub(*arguments[:4])
            case "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state":
                if not isinstance(arguments[0], TensorStub):
                    raise ValueError("a parameter of no tensor")
                return arguments[0]
            case "torch._tensor._rebuild_from_type_v2":
                return self._of_type(*arguments[:3])
            case "copyreg._reconstructor" | "copy_reg._reconstructor":
                self.make_room()
                return StandIn(getattr(arguments[0], "name", "an object"))
        return StandIn(name, arguments)

    def _of_type(self, function: Any, _type: Any, arguments: Any) -> Any:
        """A tensor of a subclass or with attributes of its own: the tensor."""
        if isinstance(function, Name) and function.name.startswith("torch._utils._rebuild_"):
            return self._described(function.name, arguments)
        return StandIn("torch.Tensor")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        match target, state:
            case Attributed(), dict():
                target.attributes = state
            case StandIn(), (dict() | None, dict()) if any(state):
                target.state = state[0] or state[1]
            case StandIn(), _:
                target.state = state
            case TensorStub(), (bool(), bool(), None | Attributed()):
                pass  # a parameter of torch before 0.4
            case _:
                raise ValueError("sets attributes of what has none")

    def persistent(self) -> None:
        match self.stack.pop():
            case ("storage", Name(name), str(key), _, int(numel), *view) if numel >= 0 and not any(
                view
            ):
                kind = name.removeprefix("torch.")
                if kind not in STORAGES:
                    raise ImportRefused("its storage {key} is a {kind}", key=key, kind=kind)
                stub = StorageStub(key, STORAGES[kind], numel)
                if self.storages.setdefault(stub.key, stub) != stub:
                    raise ImportRefused(
                        "it describes its storage {key} twice, differently", key=key
                    )
                self.stack.append(stub)
            case ("module", Name() as name, *_):
                self.stack.append(name)  # a class, with its source, in files before torch 1.6
            case _:
                raise ImportRefused("it refers to more than tensors. {advice}", advice=ADVICE)

    def stop(self) -> None:
        self.result = self.stack.pop()


_PUSH = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "SHORT_BINSTRING", "SHORT_BINBYTES", "BINBYTES",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: StandIn("builtins.set"),
}  # fmt: skip
_PUT, _GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
_OPERATIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.drop,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.appends,
    "FROZENSET": _Machine.frozenset_,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "MEMOIZE": _Machine.memoize,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.newobj,
    "NEWOBJ_EX": _Machine.newobj_ex,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "STOP": _Machine.stop,
}
