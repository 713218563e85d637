"""Reading a foreign checkpoint: a state dict and what the file says of it; nothing is executed.

`archives` checks all sizes first; then `torch.load(weights_only=True)` or safetensors reads. A
wrapper around the state dict is looked through, prefixes of its keys are stripped. What the
tensors mean is `layouts`' business.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.errors import ImportRefused
from analysis.importing.archives import MAX_FILE, check_file
from analysis.importing.pickles import MAX_KEYS
from analysis.importing.stubs import NUMBER_CODES, NUMPY_SCALARS, Attributed, Opaque, TensorStub
from analysis.text import Message

WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params",
)  # fmt: skip
PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.", "net.", "network.")
HINT = "residual_lens"
"""Key under which our own exports say which net they hold."""

_DTYPES = ("float32",)
_MAX_FACTS = 50


@dataclass(frozen=True)
class ForeignFile:
    """A state dict out of a foreign file, and what came with it."""

    name: str
    """The file's name, without folders."""
    size: int
    """Bytes."""
    sha256: str
    format: str
    """`zip`, `legacy` or `safetensors`."""
    tensors: dict[str, Tensor]
    """By key, prefixes stripped; float32, and int64 for counters."""
    facts: dict[str, int | float | str] = field(default_factory=dict)
    """Plain values beside the state dict: epoch, accuracy, ..."""
    hint: dict[str, str] = field(default_factory=dict)
    """Of our own files: net, normalization."""


def read_checkpoint(path: Path | str, name: str | None = None) -> ForeignFile:
    """The state dict in a checkpoint file.

    Args:
        path: the file.
        name: what messages call it; by default the file's own name.

    Raises:
        ImportRefused: not safe, not whole, or no state dict in it; the message says which.
    """
    path = Path(path)
    name = Path(name or path.name).name
    try:
        return _read(path, name)
    except ImportRefused as error:
        raise ImportRefused("{file} is refused: {reason}", file=name, reason=error) from None


def _read(path: Path, name: str) -> ForeignFile:
    contents = check_file(path)
    if contents.format == "safetensors":
        tensors, hint = _read_safetensors(path)
        facts: dict[str, Any] = dict(list(hint.items())[:_MAX_FACTS])
    else:
        where = _find(contents.outline)
        tensors, facts = _read_torch(path, where, mmap=contents.format == "zip")
        hint = _hint(_at(contents.outline, where), facts)
    return ForeignFile(
        name=name, size=path.stat().st_size, sha256=_sha256(path), format=contents.format,
        tensors=_stripped(tensors), facts=facts, hint=hint,
    )  # fmt: skip


def _find(value: Any) -> tuple[str, ...]:
    """The keys that lead to the state dict, from the outline alone."""
    found = _search(value, depth=3)
    if found is None:
        raise _no_state_dict(value)
    _check_dtypes({k: v.dtype for k, v in _at(value, found).items() if isinstance(v, TensorStub)})
    return found


def _search(value: Any, depth: int) -> tuple[str, ...] | None:
    if not isinstance(value, dict) or depth == 0:
        return None
    shaped = [k for k, v in value.items() if isinstance(v, TensorStub) and len(v.shape) >= 1]
    if any(isinstance(key, str) and "." in key for key in shaped):
        return ()
    for key in WRAPPERS:
        inner = _search(value.get(key), depth - 1)
        if inner is not None:
            return (key, *inner)
    return None


def _no_state_dict(value: Any) -> ImportRefused:
    if not isinstance(value, dict):
        stubs = {TensorStub: Message("tensor"), Opaque: Message("object")}
        return ImportRefused(
            "it holds no state dict, but a {kind}; save net.state_dict()",
            kind=stubs.get(type(value), type(value).__name__),
        )
    if not value:
        return ImportRefused("it holds an empty dictionary, no weights")
    keys = ", ".join(str(key)[:40] for key in list(value)[:6])
    if "param_groups" in value or set(value) <= {"optimizer", "epoch", "scheduler", "step"}:
        return ImportRefused(
            "it holds the state of an optimizer, not of a net (keys: {keys}); save "
            "net.state_dict() too",
            keys=keys,
        )
    return ImportRefused(
        "it holds no state dict: no tensors with names such as layer1.0.conv1.weight, at the top "
        "or under {wrappers} (keys found: {keys})",
        wrappers=", ".join(WRAPPERS),
        keys=keys,
    )


def _check_dtypes(dtypes: dict[str, str]) -> None:
    """float32 weights and integer counters: other precisions would be changed silently."""
    wrong = {
        key: dtype
        for key, dtype in dtypes.items()
        if dtype not in _DTYPES and not key.endswith("num_batches_tracked")
    }
    if wrong:
        key, dtype = next(iter(wrong.items()))
        kinds = ", ".join(sorted(set(wrong.values())))
        raise ImportRefused(
            "{n} of its tensors are {kinds}, for example {key} ({dtype}); nets here are float32, "
            "and an import must not change a weight. If a conversion is meant: {command}",
            n=len(wrong),
            kinds=kinds,
            key=key,
            dtype=dtype,
            command="torch.save({k: v.float() for k, v in state.items()}, 'float32.pth')",
        )


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _read_torch(
    path: Path, where: tuple[str, ...], mmap: bool
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats: torch's, and no concern of the user
            with _ONE_AT_A_TIME, torch.serialization.safe_globals(_numpy_numbers()):
                loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
            state = _at(loaded, where)
            tensors = {
                str(key): value.detach().clone(memory_format=torch.contiguous_format)
                for key, value in state.items()
                if isinstance(value, Tensor)
            }
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError) as error:
        kind = type(error).__name__  # some say no more
        raise ImportRefused(
            "torch can't read it: {reason}", reason=(str(error) or kind).splitlines()[0][:200]
        ) from None
    except pickle.UnpicklingError as error:
        raise ImportRefused(
            "torch won't load it without running code: {reason}", reason=str(error)[:200]
        ) from None
    return tensors | _normalizer(loaded, state), _facts(loaded) if where else {}


_ONE_AT_A_TIME = threading.Lock()
"""torch's list of safe names is one for all threads."""


def _numpy_numbers() -> list[Any]:
    """What torch may call to make a numpy number; `pickles` has checked with which arguments."""
    make = np.float64(0).__reduce__()[0]  # numpy's own name for it changed with version 2
    return [
        *((make, name) for name in NUMPY_SCALARS),
        np.dtype,
        *(type(np.dtype(code)) for code in NUMBER_CODES),
    ]


def _normalizer(loaded: Any, state: Any) -> dict[str, Tensor]:
    """The input's mean and deviation where one of our own exports has them beside its weights."""
    metadata = getattr(state, "_metadata", None)
    inner = metadata.get("") if isinstance(metadata, dict) else None
    found: dict[str, Tensor] = {}
    for source in (loaded, inner):
        for leaf in ("mean", "std"):
            value = source.get(f"{HINT}_{leaf}") if isinstance(source, dict) else None
            if isinstance(value, Tensor) and value.dtype == torch.float32:
                found[f"normalizer.{leaf}"] = value.clone()
    return found


def _facts(root: dict[Any, Any]) -> dict[str, int | float | str]:
    facts: dict[str, int | float | str] = {}
    for key, value in root.items():
        if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1):
            value = value.item()
        plain = isinstance(value, int | float) and math.isfinite(value)
        if plain or (isinstance(value, str) and len(value) <= 200):
            facts[str(key)[:80]] = value
        if len(facts) == _MAX_FACTS:
            break
    return facts


def _hint(state: Any, facts: dict[str, Any]) -> dict[str, str]:
    """Which net our own exports say that they hold: beside the state dict, or in its metadata."""
    hint = {"net": facts.get(f"{HINT}_net"), "normalization": facts.get(f"{HINT}_normalization")}
    if isinstance(state, Attributed) and isinstance(state.attributes.get("_metadata"), dict):
        inner = state.attributes["_metadata"].get("", {})
        if isinstance(inner, dict):
            hint |= {k: inner[f"{HINT}_{k}"] for k in hint if f"{HINT}_{k}" in inner}
    return {key: value for key, value in hint.items() if isinstance(value, str)}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            if len(keys) > MAX_KEYS:
                raise ImportRefused("it has {n:,} tensors; no net here has so many", n=len(keys))
            metadata = dict(file.metadata() or {})
            dtypes = {key: _SAFE.get(file.get_slice(key).get_dtype(), "other") for key in keys}
            if not any("." in key for key in keys):
                raise ImportRefused("it holds no state dict: no tensors such as conv1.weight")
            _check_dtypes(dtypes)
            tensors = {key: file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, RecursionError, ValueError) as error:
        if isinstance(error, ImportRefused):
            raise
        raise ImportRefused("it is cut off or damaged: {reason}", reason=str(error)[:200]) from None
    return tensors, {key: value for key, value in metadata.items() if len(value) <= 200}


_SAFE = {
    "F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def _stripped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys without the prefixes that wrappers put before them.

    Raises:
        ImportRefused: two keys are then the same.
    """
    stripped: dict[str, Tensor] = {}
    for key, value in tensors.items():
        short = key
        while prefix := next((p for p in PREFIXES if short.startswith(p)), ""):
            short = short.removeprefix(prefix)
        if short in stripped:
            raise ImportRefused(
                "it holds two nets: {key} and another key both mean {short} once prefixes "
                "({prefixes}) are taken off; save one of them alone",
                key=key,
                short=short,
                prefixes=", ".join(PREFIXES),
            )
        stripped[short] = value
    return stripped


def _sha256(path: Path) -> str:
    assert path.stat().st_size <= MAX_FILE
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
