"""The names that a pickle may have imported, which are few, and what is said of all others."""

from __future__ import annotations

import pickletools
from io import BytesIO

from analysis.errors import ImportRefused
from analysis.importing.refusals import listed
from analysis.importing.stubs import ITEM_SIZES, NUMPY_SCALARS
from analysis.text import Message

STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip
_REBUILD = {"_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_parameter"}

SAVE_WEIGHTS = "torch.save(net.state_dict(), 'weights.pth')"
ADVICE = Message(
    "If you trust it, save its weights alone where it was made: {command}", command=SAVE_WEIGHTS
)


def needs_code(data: BytesIO, first: str) -> ImportRefused:
    """The refusal of a pickle that wants other names: which, and what to do."""
    names = [first]
    try:
        for opcode, argument, _ in pickletools.genops(data):
            module, _, name = str(argument).partition(" ")
            if opcode.name == "GLOBAL" and not is_known(module, name):
                names.append(f"{module}.{name}")
    except ValueError:
        pass
    return ImportRefused(
        "loading it would import and may run {names}; nothing in a file is executed here. {advice}",
        names=listed(list(dict.fromkeys(names)), 5),
        advice=ADVICE,
    )


def is_known(module: str, name: str) -> bool:
    """Whether a pickle may name this."""
    if module == "collections":
        return name in ("OrderedDict", "Counter")
    if module == "torch._utils":
        return name in _REBUILD
    if module == "torch":
        return name in STORAGES or name in ITEM_SIZES or name in ("Size", "device")
    if module == "torch.nn.parameter":
        return name == "Parameter"
    if f"{module}.{name}" in NUMPY_SCALARS:
        return True
    return (module, name) in (("_codecs", "encode"), ("numpy", "dtype"))
