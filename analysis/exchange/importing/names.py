"""Which names in a pickle make tensors, and which say that the file means harm.

Nothing that a pickle names is imported or called here. The few functions by which torch rebuilds
tensors are understood, every other name becomes an inert stand-in; but a file that would have
`torch.load` run commands is refused by name, for the sake of whoever would load it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.errors import ImportRefused
from analysis.text import Message

STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip

SAVE_WEIGHTS = "torch.save(net.state_dict(), 'weights.pth')"
ADVICE = Message(
    "If you trust it, save its weights alone where it was made: {command}", command=SAVE_WEIGHTS
)

_HARMFUL = {
    "os", "posix", "nt", "sys", "subprocess", "commands", "socket", "shutil", "pty", "runpy",
    "importlib", "imp", "ctypes", "code", "webbrowser", "pip", "requests", "urllib", "signal",
    "multiprocessing", "asyncio", "pickle", "marshal", "timeit", "cProfile", "pdb", "bdb",
}  # fmt: skip
"""Packages whose functions no weights need."""
_PLAIN_BUILTINS = {
    "set", "frozenset", "complex", "slice", "range", "object", "list", "dict", "tuple", "int",
    "float", "bool", "str", "bytes", "type", "Ellipsis", "NotImplemented", "print", "len", "max",
    "min", "sum", "abs", "round", "getattr",
}  # fmt: skip
_BUILTINS = ("builtins", "__builtin__")


def is_harmful(module: str, name: str) -> bool:
    """Whether only a file that means harm names this."""
    if module in _BUILTINS:
        return name not in _PLAIN_BUILTINS
    return module.split(".")[0] in _HARMFUL


def harmful(names: Iterable[str]) -> ImportRefused:
    """The refusal of a pickle with such names."""
    return ImportRefused(
        "loading it would import and may run {names}; nothing in a file is executed here. {advice}",
        names=", ".join(list(dict.fromkeys(names))[:5]),
        advice=ADVICE,
    )
